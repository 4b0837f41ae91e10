/* Any bytes as a host file: each letter in it becomes a mail of 7-bit lines that can be read again, and its
 * acknowledgement is a file or an error. */
#include "codec/ebcdic.h"
#include "letter/facts.h"
#include "letter/hostfile.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "letter/translate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

enum { LETTERS_TRIED = 4, VARIABLE = 0x80 };

static void fill_records(struct hostfile *file, struct span bytes, bool variable)
{
    struct reader from = reader_of(bytes);
    if (!variable) {
        records_cut(&file->records, bytes, CARD_COLUMNS, EBCDIC_BLANK);
        return;
    }
    while (!reader_at_end(&from)) {
        size_t size = reader_u8(&from);
        records_add(&file->records, reader_take(&from, size < from.rest.size ? size : from.rest.size));
    }
}

static void check_mail(struct span mail)
{
    struct buf packed = { 0 };
    struct facts facts;
    for (size_t i = 0; i < mail.size; i++)
        if (mail.at[i] >= 0x80 || mail.at[i] == 0 || (mail.at[i] == '\n' && (i == 0 || mail.at[i - 1] != '\r')))
            abort();
    if (translate_mail_facts(mail, &packed, NULL) != 0 || facts_parse(buf_span(&packed), &facts, NULL) != 0 ||
        !facts.letters[0].has_date || letter_first(&facts.letters[0], LETTER_FROM) == NULL ||
        !span_equal(letter_first(&facts.letters[0], LETTER_FROM)->address, SPAN_LITERAL("from@example.org")))
        abort();
    facts_release(&facts);
    buf_free(&packed);
}

static void encode(struct span file, struct span options, size_t letter)
{
    struct buf packed = { 0 };
    struct buf out = { 0 };
    struct mail_resolution mail = { .letter = letter,
                                    .from = SPAN_LITERAL("from@example.org"),
                                    .from_name = SPAN_EMPTY,
                                    .to = SPAN_LITERAL("to@example.org"),
                                    .to_name = SPAN_EMPTY,
                                    .reply_to = SPAN_EMPTY,
                                    .message_id = SPAN_LITERAL("<01ARZ3@example.org>"),
                                    .in_reply_to = SPAN_EMPTY,
                                    .now_us = 1 };
    struct ack_resolution ack = { .letter = letter, .entry_us = INT64_C(1795528991000000), .text = SPAN_EMPTY };
    mail_resolution_pack(&packed, &mail);
    if (translate_host_to_mail(file, options, buf_span(&packed), &out, NULL) != 0)
        abort();
    check_mail(buf_span(&out));
    buf_clear(&packed);
    buf_clear(&out);
    ack_resolution_pack(&packed, &ack);
    (void)translate_host_ack(file, options, buf_span(&packed), &out, NULL);
    buf_free(&packed);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size < 2 || translate_init(NULL) != 0)
        return 0;
    struct hostfile file = { .klass = at[1] == 0 ? 'M' : 'A',
                             .name = "SPOOL",
                             .type = "FILE",
                             .carriage = (enum hostfile_carriage)((at[0] >> 4) % 4) };
    struct options options = { .kind = (enum letter_host_kind)(HOST_CMS + at[0] % 8 % HOST_MAILER),
                               .page = "273",
                               .to_pc = SPAN_EMPTY,
                               .from_pc = SPAN_EMPTY,
                               .map_count = options_cms_map_count,
                               .map = options_cms_map };
    struct buf packed = { 0 };
    struct buf packed_options = { 0 };
    struct buf packed_facts = { 0 };
    struct facts facts;
    fill_records(&file, span_of(at + 2, size - 2), (at[0] & VARIABLE) != 0);
    hostfile_pack(&packed, &file);
    options_pack(&packed_options, &options);
    if (translate_host_facts(buf_span(&packed), buf_span(&packed_options), &packed_facts, NULL) != 0 ||
        facts_parse(buf_span(&packed_facts), &facts, NULL) != 0 || facts.letter_count == 0)
        abort();
    for (size_t i = 0; i < facts.letter_count && i < LETTERS_TRIED; i++)
        encode(buf_span(&packed), buf_span(&packed_options), i);
    facts_release(&facts);
    hostfile_release(&file);
    buf_free(&packed);
    buf_free(&packed_options);
    buf_free(&packed_facts);
    return 0;
}
