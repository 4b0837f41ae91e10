/* Any lines as BSMTP: it ends, and what was read goes out again as the same message. */
#include "codec/bsmtp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void send_again(const struct bsmtp_message *message)
{
    struct records cards = { .count = 0 };
    struct bsmtp bsmtp;
    struct bsmtp_message again;
    if (bsmtp_build((struct name8){ "NODE" }, message->from, message->recipients, message->recipient_count,
                    message->data, &ebcdic_page_037, &cards, NULL, NULL) == 0) {
        if (bsmtp_open(&bsmtp, &cards, &ebcdic_page_037, true, NULL) != 0 || bsmtp_next(&bsmtp, &again, NULL) != 1 ||
            again.recipient_count != message->recipient_count)
            abort();
        bsmtp_close(&bsmtp);
    }
    records_clear(&cards);
    struct bsmtp_letter letter = { .node = { "NODE" },
                                   .sender = message->from,
                                   .recipient = message->recipients[0],
                                   .from = message->from,
                                   .subject = message->data,
                                   .text = message->data };
    (void)bsmtp_build_ce(&letter, &ebcdic_page_037, &cards, NULL, NULL);
    records_free(&cards);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct records lines = { .count = 0 };
    struct buf line = { 0 };
    struct reader reader = reader_of(span_of(at, size));
    while (!reader_at_end(&reader)) {
        buf_clear(&line);
        utf8_to_ebcdic(&ebcdic_page_037, reader_until(&reader, '\n'), &line, NULL);
        records_add(&lines, buf_span(&line));
    }
    for (int stuffed = 0; stuffed < 2; stuffed++) {
        struct bsmtp bsmtp;
        struct bsmtp_message message;
        if (bsmtp_open(&bsmtp, &lines, &ebcdic_page_037, stuffed != 0, NULL) == 0)
            while (bsmtp_next(&bsmtp, &message, NULL) == 1)
                if (message.has_envelope)
                    send_again(&message);
        bsmtp_close(&bsmtp);
    }
    records_free(&lines);
    buf_free(&line);
    return 0;
}
