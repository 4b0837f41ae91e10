/* What is lost when these fail: who wrote, when, words of a note, or a file that somebody on a host sent. */
#include "letter/test_letter.h"

#include "codec/ebcdic.h"
#include "codec/netdata_send.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CARDS(file, ...)                                          \
    do {                                                          \
        static const char *const cards[] = { __VA_ARGS__ };       \
        for (size_t c = 0; c < sizeof cards / sizeof *cards; c++) \
            test_card((file), cards[c]);                          \
    } while (0)

/* As netdata_encode makes it of these message lines and this item. */
static void netdata_cards_of(struct hostfile *file, enum netdata_dialect dialect, const struct records *message,
                             const struct netdata_item *item, bool ack)
{
    struct buf stream = { 0 };
    struct netdata_route route = { .from_node = file->from_node,
                                   .from_user = file->from_user,
                                   .to_node = file->to_node,
                                   .to_user = file->to_user,
                                   .time_us = NOV_24_2026_14_03_11,
                                   .ack_wanted = ack };
    assert_int_equal(netdata_encode(dialect, &route, message, item, &stream, NULL), 0);
    netdata_cards(buf_span(&stream), &file->records);
    buf_free(&stream);
}

/* A text line as a record, in place of a card. */
static void add_record(struct records *records, const char *text)
{
    struct buf line = { 0 };
    utf8_to_ebcdic(&ebcdic_page_037, span_text(text), &line, NULL);
    records_add(records, buf_span(&line));
    buf_free(&line);
}

static void a_cms_note(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct records lines = { .count = 0 };
    struct buf mail = { 0 };
    struct buf packed = { 0 };
    struct facts facts;
    add_record(&lines, "Date: 13 November 93, 22:52:42 CET");
    add_record(&lines, "From: CMS1     at ALIJKU11");
    add_record(&lines, "To:   MEA at FINFILES");
    add_record(&lines, "cc:   CMS3 at ALIJKU11, NOBODY AT NOWHERE");
    add_record(&lines, " ");
    add_record(&lines, "*** Reply to note of 11/12/93 19:08");
    add_record(&lines, "Gr\xC3\xBC\xC3\x9F"
                       "e [1]");
    add_record(&lines, " ");
    netdata_cards_of(&file, NETDATA_CMS, &lines, NULL, true);
    test_host_facts(&file, HOST_CMS, &packed, &facts);
    assert_int_equal(facts.letter_count, 1);
    const struct letter_head *head = &facts.letters[0];
    assert_int_equal(head->source, LETTER_NOTE);
    assert_string_equal(letter_first(head, LETTER_FROM)->user.text, "CMS1");
    assert_string_equal(letter_first(head, LETTER_FROM)->node.text, "ALIJKU11");
    assert_true(head->ack_wanted);
    assert_true(head->is_reply);
    assert_int_equal(head->stamp_us, INT64_C(753131280000000));
    test_assert_span(head->sent, "20261124140311000000");
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "Date: Sat, 13 Nov 1993 22:52:42 +0100\r\n"
                          "From: <cms1@alijku11.vm.example.org>\r\n"
                          "To: <mea@example.com>\r\n"
                          "Cc: <cms3@alijku11.vm.example.org>\r\n"
                          "Message-ID: <01ARZ3@alijku11.vm.example.org>\r\n"
                          "MIME-Version: 1.0\r\n"
                          "Content-Type: text/plain; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                          "To: MEA at FINFILES\r\ncc: NOBODY at NOWHERE\r\n\r\n"
                          "*** Reply to note of 11/12/93 19:08\r\nGr=C3=BC=C3=9Fe [1]\r\n");
    assert_null(strstr(text, "13 November"));
    facts_release(&facts);
    records_free(&lines);
    hostfile_release(&file);
    buf_free(&mail);
    buf_free(&packed);
}

/* A header that is not fully understood stays in the text. */
static void a_note_with_a_line_nobody_knows(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    CARDS(&file, "Date: 13 November 93, 22:52:42 CET", "From: CMS1     at ALIJKU11", "Phone: 4711", "", "Test");
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "\r\n\r\nDate: 13 November 93, 22:52:42 CET\r\n"
                          "From: CMS1     at ALIJKU11\r\nPhone: 4711\r\n\r\nTest\r\n");
    hostfile_release(&file);
    buf_free(&mail);
}

static void a_file_by_sendfile(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct records records = { .count = 0 };
    struct buf mail = { 0 };
    struct netdata_item item = { .name = test_name("TEST"), .type = test_name("LISTING"), .records = &records };
    add_record(&records, "first");
    add_record(&records, " ");
    add_record(&records, "third");
    netdata_cards_of(&file, NETDATA_CMS, NULL, &item, false);
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "Subject: TEST LISTING\r\n");
    test_assert_has(text, "Content-Disposition: attachment;\r\n filename=\"TEST.LISTING\"\r\n"
                          "Content-Description: RECFM V LRECL 5\r\n"
                          "Content-Type: text/plain; charset=us-ascii\r\n"
                          "Content-Transfer-Encoding: 7bit\r\n\r\nfirst\r\n\r\nthird\r\n\r\n--=_ovvm_--\r\n");
    records_free(&records);
    hostfile_release(&file);
    buf_free(&mail);
}

static void a_binary_file_keeps_its_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 0x00, 0x40, 0xFF, 0x15, 0x40, 0x40 };
    struct hostfile file = test_host_file();
    struct records records = { .count = 0 };
    struct buf mail = { 0 };
    struct netdata_item item = { .name = test_name("LETTER"), .type = test_name("DOC"), .records = &records };
    records_add(&records, span_of(bytes, 4));
    records_add(&records, span_of(bytes, 6));
    netdata_cards_of(&file, NETDATA_CMS, NULL, &item, false);
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                          "AED/FQBA/xVAQA==\r\n");
    records_free(&records);
    hostfile_release(&file);
    buf_free(&mail);
}

static void a_tso_message_and_a_data_set(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct records lines = { .count = 0 };
    struct records records = { .count = 0 };
    struct buf mail = { 0 };
    struct netdata_item item = {
        .name = test_name("TEST"), .type = test_name("CNTL"), .fixed = true, .lrecl = 80, .records = &records
    };
    add_record(&lines, "See the job.");
    add_record(&records, "//JOB");
    netdata_cards_of(&file, NETDATA_TSO, &lines, &item, true);
    const char *text = test_to_mail(&file, HOST_TSO, 0, &mail);
    test_assert_has(text, "Date: Tue, 24 Nov 2026 14:03:11 +0000\r\n"); /* INMFTIME */
    test_assert_has(text, "\r\n\r\nSee the job.\r\n\r\n--=_ovvm_\r\n");
    test_assert_has(text, "filename=\"TEST.CNTL\"");
    test_assert_has(text, "\r\n\r\n//JOB\r\n");
    records_free(&lines);
    records_free(&records);
    hostfile_release(&file);
    buf_free(&mail);
}

static void a_damaged_stream_is_attached_as_it_came(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct hostfile cut = test_host_file();
    struct records lines = { .count = 0 };
    struct buf mail = { 0 };
    struct span card;
    add_record(&lines, "the text of the note, which can still be read although the end is missing");
    netdata_cards_of(&file, NETDATA_CMS, &lines, NULL, false);
    struct reader walk = records_walk(&file.records);
    for (size_t i = 0; i + 1 < file.records.count && records_next(&walk, &card); i++)
        records_add(&cut.records, card);
    const char *text = test_to_mail(&cut, HOST_CMS, 0, &mail);
    test_assert_has(text, "Remarks of the mail connector:\r\nspool.bin is attached as the host sent it:");
    test_assert_has(text, "Content-Type: application/octet-stream");
    records_free(&lines);
    hostfile_release(&file);
    hostfile_release(&cut);
    buf_free(&mail);
}

/* A card with other than text in it. */
static void add_hex_card(struct hostfile *file, const char *hex)
{
    struct buf card = { 0 };
    test_hex(&card, hex);
    records_add_padded(&file->records, buf_span(&card), CARD_COLUMNS, EBCDIC_BLANK);
    buf_free(&card);
}

static void a_profs_note(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    struct buf packed = { 0 };
    struct facts facts;
    /* host-users.md example 6 */
    add_hex_card(&file, "FED4E2C77AC6D9D6D47A40E7F0F0F0F0F0F1F76060D4C9C3D9D6E2C6E340E3D67A40C7C5D6D9C7C5C2406060D4C1"
                        "D7D3C5C3F14040404040404040404040F1F161F2F461F2F640F1F47AF0F37AF1F101");
    CARDS(&file, " To: GEORGEB --MAPLEC1", " From: Alice Longname", " Subject: Quarterly", "",
          " The numbers are in the file that follows.");
    add_hex_card(&file, "FFFF00000011D8A48199A3859993A84095A494828599A2");
    test_host_facts(&file, HOST_PROFS, &packed, &facts);
    assert_int_equal(facts.letters[0].source, LETTER_PROFS);
    assert_true(facts.letters[0].ack_wanted);
    assert_string_equal(letter_first(&facts.letters[0], LETTER_FROM)->user.text, "X0000017");
    test_assert_span(facts.letters[0].subject, "Quarterly numbers");
    const char *text = test_to_mail(&file, HOST_PROFS, 0, &mail);
    test_assert_has(text, "From: Alice Longname <cms1@alijku11.vm.example.org>\r\n");
    test_assert_has(text, "Date: Tue, 24 Nov 2026 14:03:11 +0000\r\n"); /* of the file: the header has no zone */
    test_assert_has(text, "Subject: Quarterly numbers\r\n");
    facts_release(&facts);
    hostfile_release(&file);
    buf_free(&mail);
    buf_free(&packed);
}

/* host-users.md example 7 */
static void a_profs_acknowledgement(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf packed = { 0 };
    struct facts facts;
    add_hex_card(&file,
                 "FED4E2C77AC6D9D6D47A40C7C5D6D9C7C5C2406060D4C1D7D3C5C3F140E3D67A40E7F0F0F0F0F0F1F76060D4C9C3D9D6"
                 "E2C6E340404040404040404040F1F161F2F561F2F640F1F57AF3F07AF0F040");
    CARDS(&file, " The note was opened.");
    add_hex_card(&file, "FFFF00000011D8A48199A3859993A84095A494828599A2");
    test_host_facts(&file, HOST_PROFS, &packed, &facts);
    assert_int_equal(facts.letters[0].source, LETTER_PROFS_ACK);
    test_assert_span(facts.letters[0].subject, "Quarterly numbers");
    test_assert_span(facts.letters[0].ack_text, "The note was opened.");
    facts_release(&facts);
    hostfile_release(&file);
    buf_free(&packed);
}

static void the_envelope_of_a_mailer(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    struct buf packed = { 0 };
    struct facts facts;
    file.klass = 'M';
    /* host-users.md example 8, twice in one file, and a third that ends too early */
    CARDS(&file, "HELO CMSNODE", "MAIL FROM:<FRED@CMSNODE>", "RCPT TO:<ALICE.LONGNAME@EXAMPLE.COM>", "DATA",
          "Received: by CMSNODE with BSMTP;", "          24 Nov 2026 14:03:11 GMT",
          "Message-Id: <FRED.46349.50591@CMSNODE>", "Date: 24 Nov 2026 14:03:10 GMT", "From: FRED@CMSNODE",
          "To: ALICE.LONGNAME@EXAMPLE.COM", "Subject: hello", "", "How are you?", ".", "MAIL FROM:<FRED@CMSNODE>",
          "RCPT TO:<b@x.example>", "RCPT TO:<c@x.example>", "DATA", "From: FRED@CMSNODE", "Subject: again", "",
          "Second.", ".", "MAIL FROM:<FRED@CMSNODE>");
    test_host_facts(&file, HOST_CMS370, &packed, &facts);
    assert_int_equal(facts.letter_count, 2);
    assert_int_equal(facts.rest.id, ERR_BAD_CONTENT);
    const struct letter_address *from = letter_first(&facts.letters[0], LETTER_ENVELOPE_FROM);
    assert_string_equal(from->user.text, "FRED");
    assert_string_equal(from->node.text, "CMSNODE");
    assert_true(facts.letters[1].has_envelope);
    test_assert_span(letter_first(&facts.letters[1], LETTER_ENVELOPE_TO)[1].address, "c@x.example");
    test_assert_span(facts.letters[0].message_id, "<FRED.46349.50591@CMSNODE>");
    const char *text = test_to_mail(&file, HOST_CMS370, 1, &mail);
    test_assert_has(text, "Subject: again\r\n");
    test_assert_has(text, "\r\n\r\nSecond.\r\n");
    facts_release(&facts);
    hostfile_release(&file);
    buf_free(&mail);
    buf_free(&packed);
}

static void text_that_begins_like_an_envelope(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    CARDS(&file, "HELO there,", "this is no envelope");
    test_assert_has(test_to_mail(&file, HOST_CMS, 0, &mail), "\r\n\r\nHELO there,\r\nthis is no envelope\r\n");
    hostfile_release(&file);
    buf_free(&mail);
}

/* host-users.md example 10 */
static void a_mail_on_print_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "Date: Tue, 24 Nov 2026 14:03:11 GMT", "From: FRED@NODE", "To: alice@example.com", "Subject: x", "", "text"
    };
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    file.klass = 'M';
    file.carriage = HOSTFILE_MACHINE;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct buf line = { 0 };
        utf8_to_ebcdic(&ebcdic_page_037, span_text(lines[i]), &line, NULL);
        records_add_controlled(&file.records, 0x09, buf_span(&line));
        buf_free(&line);
    }
    const char *text = test_to_mail(&file, HOST_MAILER, 0, &mail);
    test_assert_has(text, "Subject: x\r\n");
    test_assert_has(text, "To: <mea@example.com>, <alice@example.com>\r\n");
    test_assert_has(text, "\r\n\r\ntext\r\n");
    hostfile_release(&file);
    buf_free(&mail);
}

static void a_deck_of_files(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    CARDS(&file, ":READ  PROFILE  EXEC     A1 CMS191 11/12/92 10:56:32", "/* REXX */",
          ":READ  SECOND   SCRIPT   A1 CMS191 11/12/92 10:56", ".sp");
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "filename=\"PROFILE.EXEC\"");
    test_assert_has(text, "\r\n\r\n/* REXX */\r\n");
    test_assert_has(text, "filename=\"SECOND.SCRIPT\"");
    hostfile_release(&file);
    buf_free(&mail);
}

static void what_is_no_text(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    add_hex_card(&file, "02C3D4E2400102030405060708");
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "it is in DISK DUMP form");
    test_assert_has(text, "AsPU4kABAgMEBQYHCEBAQE");
    hostfile_release(&file);
    buf_free(&mail);
}

static void an_empty_file_is_an_empty_letter(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    struct buf packed = { 0 };
    struct facts facts;
    test_host_facts(&file, HOST_CMS, &packed, &facts);
    assert_int_equal(facts.letters[0].source, LETTER_EMPTY);
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "Content-Transfer-Encoding: 7bit\r\n\r\n");
    facts_release(&facts);
    buf_free(&mail);
    buf_free(&packed);
}

static void names_cannot_write_header_lines(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    CARDS(&file, "Date: 13 November 93, 22:52:42 CET", "From: CMS1 at ALIJKU11",
          "Subject: a very long subject with \"quotes\", =?utf-8?Q?fake?= words and many more of its kind to fold", "",
          "From here on", ".");
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    assert_null(strstr(text, "=?utf-8?Q?fake?="));
    test_assert_has(text, "Subject: =?utf-8?B?");
    test_assert_has(text, "\r\n\r\n=46rom here on\r\n=2E\r\n");
    hostfile_release(&file);
    buf_free(&mail);
}

/* host-users.md example 5: the acknowledgement of example 2 */
static void an_acknowledgement_of_a_note(void **state)
{
    (void)state;
    struct buf letter = { 0 };
    struct buf options = { 0 };
    struct buf resolution = { 0 };
    struct buf ack = { 0 };
    struct buf packed = { 0 };
    struct buf expected = { 0 };
    struct buf found = { 0 };
    struct test_files files;
    struct hostfile file;
    struct facts facts;
    test_mail_read("plain.eml", &letter);
    test_options(HOST_CMS, &options);
    test_host_resolution("MAPLEC1", "GEORGEB", true, &resolution);
    test_to_host(buf_span(&letter), &options, &resolution, &files);
    hostfile_pack(&packed, &files.file[0]);
    struct ack_resolution about = { .entry_us = NOV_24_2026_14_03_11 + INT64_C(5209000000), .text = SPAN_EMPTY };
    ack_resolution_pack(&ack, &about);
    buf_clear(&letter);
    assert_int_equal(translate_host_ack(buf_span(&packed), buf_span(&options), buf_span(&ack), &letter, NULL), 0);
    struct reader list = reader_of(buf_span(&letter));
    assert_int_equal(hostfile_next(&list, &file, NULL), 1);
    test_hex(&expected,
             "60E0C9D5D4D9F0F10042000100020050101100010007D4C1D7D3C5C3F1101200010007C7C5D6D9C7C5C2100100010008D4"
             "C9C3D9D6E2C6E3100200010008E7F0F0F0F0F0F1F7102400010014F2F0F2F6F1F1F2F4F1F5F3F0F0F0F0F0F0F0F0F0");
    test_hex(&expected, "26E0C9D5D4D9F0F7102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F000280000");
    test_hex(&expected, "08E0C9D5D4D9F0F6");
    test_pad(&expected);
    test_stream(&file, &found);
    test_assert_bytes(buf_span(&found), buf_span(&expected));
    assert_string_equal(file.from_user.text, "GEORGEB");
    assert_string_equal(file.to_user.text, "X0000017");
    /* and what the daemon learns of it when it arrives */
    buf_clear(&packed);
    test_host_facts(&file, HOST_CMS, &packed, &facts);
    assert_int_equal(facts.letters[0].source, LETTER_ACK);
    test_assert_span(facts.letters[0].ack_sent, "20261124140311000000");
    assert_int_equal(facts.letters[0].ack_sent_us, NOV_24_2026_14_03_11);
    test_assert_span(facts.letters[0].ack_name, "");
    facts_release(&facts);
    hostfile_release(&file);
    test_files_release(&files);
    buf_free(&letter);
    buf_free(&options);
    buf_free(&resolution);
    buf_free(&ack);
    buf_free(&packed);
    buf_free(&expected);
    buf_free(&found);
}

/* A translator has no files: every charset must be at hand after translate_init. */
static void charsets_need_no_files(void **state)
{
    (void)state;
    static const char mail[] = "From: =?koi8-r?Q?=C1=CC?= <a@example.com>\r\n"
                               "Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?= =?gb18030?B?1tC5+g==?= =?big5?B?pKQ=?=\r\n"
                               "To: =?shift_jis?B?k/o=?= <b@example.com>, =?euc-kr?B?x9E=?= <c@example.com>\r\n\r\n";
    struct rlimit none = { 0, 0 };
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0) {
        struct buf packed = { 0 };
        struct facts facts;
        bool good = setrlimit(RLIMIT_NOFILE, &none) == 0 && translate_mail_facts(span_text(mail), &packed, NULL) == 0 &&
                    facts_parse(buf_span(&packed), &facts, NULL) == 0 && facts.letter_count == 1;
        good = good && span_equal(facts.letters[0].subject, span_text("\u65E5\u672C\u4E2D\u56FD\u4E2D")) &&
               span_equal(facts.letters[0].addresses[0].name, span_text("\u0430\u043B")) &&
               span_equal(facts.letters[0].addresses[1].name, span_text("\u65E5")) &&
               span_equal(facts.letters[0].addresses[2].name, span_text("\uD55C"));
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cms_note),
        cmocka_unit_test(a_note_with_a_line_nobody_knows),
        cmocka_unit_test(a_file_by_sendfile),
        cmocka_unit_test(a_binary_file_keeps_its_bytes),
        cmocka_unit_test(a_tso_message_and_a_data_set),
        cmocka_unit_test(a_damaged_stream_is_attached_as_it_came),
        cmocka_unit_test(a_profs_note),
        cmocka_unit_test(a_profs_acknowledgement),
        cmocka_unit_test(the_envelope_of_a_mailer),
        cmocka_unit_test(text_that_begins_like_an_envelope),
        cmocka_unit_test(a_mail_on_print_lines),
        cmocka_unit_test(a_deck_of_files),
        cmocka_unit_test(what_is_no_text),
        cmocka_unit_test(an_empty_file_is_an_empty_letter),
        cmocka_unit_test(names_cannot_write_header_lines),
        cmocka_unit_test(an_acknowledgement_of_a_note),
        cmocka_unit_test(charsets_need_no_files),
    };
    return cmocka_run_group_tests(tests, test_letter_init, NULL);
}
