/* Any cards as a deck: every card comes out once, in some file, or was its header. */
#include "codec/punch.h"

#include "codec/ebcdic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct records cards = { .count = 0 };
    records_cut(&cards, span_of(at, size), CARD_COLUMNS, EBCDIC_BLANK);
    struct punch_walk walk = punch_walk_of(&cards);
    struct punch_file file;
    struct span card;
    struct records again = { .count = 0 };
    size_t count = 0;
    while (punch_next_file(&walk, &file)) {
        count += file.named;
        while (punch_next_card(&walk, &card)) {
            count++;
            (void)punch_is_disk_dump(card);
            if (punch_add_line(&again, card) != 1)
                abort();
        }
    }
    if (count != cards.count)
        abort();
    records_free(&again);
    records_free(&cards);
    return 0;
}
