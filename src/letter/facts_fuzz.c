/* Any bytes as what a translator, taken over by a letter, might say or be asked: reading ends, and facts that were read
 * are the same after another round. */
#include "letter/facts.h"
#include "letter/hostfile.h"
#include "letter/options.h"
#include "letter/resolution.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void round_trip(struct span input)
{
    struct facts facts;
    struct facts again;
    struct buf packed = { 0 };
    struct buf twice = { 0 };
    if (facts_parse(input, &facts, NULL) == 0) {
        for (size_t i = 0; i < facts.letter_count; i++)
            facts_add(&packed, &facts.letters[i]);
        if (facts_parse(buf_span(&packed), &again, NULL) != 0 || again.letter_count != facts.letter_count)
            abort();
        for (size_t i = 0; i < again.letter_count; i++)
            facts_add(&twice, &again.letters[i]);
        if (!span_equal(buf_span(&packed), buf_span(&twice)))
            abort();
        facts_release(&again);
    }
    facts_release(&facts);
    buf_free(&packed);
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct span input = span_of(at, size);
    struct options options;
    struct mail_resolution mail;
    struct host_resolution host;
    struct ack_resolution ack;
    struct hostfile file;
    struct reader list = reader_of(input);
    round_trip(input);
    while (hostfile_next(&list, &file, NULL) == 1)
        hostfile_release(&file);
    (void)options_parse(input, &options, NULL);
    options_release(&options);
    (void)mail_resolution_parse(input, &mail, NULL);
    mail_resolution_release(&mail);
    (void)host_resolution_parse(input, &host, NULL);
    (void)ack_resolution_parse(input, &ack, NULL);
    return 0;
}
