/* Any cards as PROFS notes: the walk ends, and our note of what was read has 80 columns and reads back. */
#include "codec/profs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void build_again(const struct profs_note *note)
{
    struct profs_letter letter = { .time_us = note->date.us,
                                   .from = note->from,
                                   .to = note->from,
                                   .ack_wanted = note->ack_wanted,
                                   .subject = note->subject,
                                   .name = note->from_text,
                                   .address = note->from_text,
                                   .text = note->body };
    struct records cards = { .count = 0 };
    struct span card;
    struct profs_note again;
    profs_build(&letter, &ebcdic_page_037, &cards, NULL);
    struct reader walk = records_walk(&cards);
    while (records_next(&walk, &card))
        if (card.size != CARD_COLUMNS)
            abort();
    walk = records_walk(&cards);
    if (profs_next(&walk, &ebcdic_page_037, &again, NULL) != 1 || !name8_equal(again.from.user, note->from.user) ||
        again.ack_wanted != note->ack_wanted || !again.has_trailer)
        abort();
    profs_release(&again);
    records_free(&cards);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct records cards = { .count = 0 };
    records_cut(&cards, span_of(at, size), CARD_COLUMNS, EBCDIC_BLANK);
    struct reader walk = records_walk(&cards);
    struct profs_note note;
    while (profs_next(&walk, &ebcdic_page_037, &note, NULL) == 1) {
        build_again(&note);
        profs_release(&note);
    }
    profs_release(&note);
    records_free(&cards);
    return 0;
}
