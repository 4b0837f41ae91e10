/* What is lost when these fail: a host's programs refuse or misplace what we send (the bytes are those of
 * host-users.md §6), or a part of somebody's mail does not arrive. */
#include "letter/test_letter.h"

#include "codec/ebcdic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void translate(const char *mail, enum letter_host_kind kind, const char *node, const char *user, bool receipt,
                      struct test_files *files)
{
    struct buf input = { 0 };
    struct buf options = { 0 };
    struct buf resolution = { 0 };
    test_mail_read(mail, &input);
    test_options(kind, &options);
    test_host_resolution(node, user, receipt, &resolution);
    test_to_host(buf_span(&input), &options, &resolution, files);
    buf_free(&input);
    buf_free(&options);
    buf_free(&resolution);
}

static void assert_cards(const struct hostfile *file, const struct buf *expected)
{
    struct buf found = { 0 };
    struct reader walk = records_walk(&file->records);
    struct span card;
    while (records_next(&walk, &card))
        assert_int_equal(card.size, CARD_COLUMNS);
    test_stream(file, &found);
    test_assert_bytes(buf_span(&found), buf_span(expected));
    buf_free(&found);
}

/* host-users.md example 2 */
static void expect_cms_note(struct buf *to, bool ack)
{
    if (ack)
        test_hex(to, "6E");
    else
        test_hex(to, "6A");
    test_hex(to, "E0C9D5D4D9F0F10042000100020050101100010008D4C9C3D9D6E2C6E3101200010008E7F0F0F0F0F0F1F710010001"
                 "0007D4C1D7D3C5C3F1100200010007C7C5D6D9C7C5C2102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0"
                 "F0F0102F0001000400000001");
    if (ack)
        test_hex(to, "10260000");
    test_hex(to, "45E0C9D5D4D9F0F200000001102C000100080000000000000000003C00010002400000420001000400000084102800"
                 "010007C9D5D4C3D6D7E8004900010002000200280000");
    test_hex(to, "30E0C9D5D4D9F0F3102C000100080000000000000000003C0001000240000042000100040000005000490001000200"
                 "01");
    test_line(to, "Date: 24 November 26, 14:03:11 GMT");
    test_line(to, "From: X0000017 at MICROSFT");
    test_line(to, "To:   GEORGEB at MAPLEC1");
    test_line(to, "Subject: Quarterly numbers");
    test_line(to, " ");
    test_line(to, "(Alice Longname <alice.longname@example.com>)");
    test_line(to, "The numbers are in the file that follows.");
    test_hex(to, "08E0C9D5D4D9F0F6");
    test_pad(to);
}

static void a_note_to_a_cms_user(void **state)
{
    (void)state;
    struct test_files files;
    struct buf expected = { 0 };
    translate("plain.eml", HOST_CMS, "MAPLEC1", "GEORGEB", false, &files);
    assert_int_equal(files.count, 1);
    expect_cms_note(&expected, false);
    assert_int_equal(expected.size, 480);
    assert_cards(&files.file[0], &expected);
    assert_string_equal(files.file[0].name, "X0000017");
    assert_string_equal(files.file[0].type, "NOTE");
    assert_string_equal(files.file[0].dist, "SYSTEM");
    assert_string_equal(files.file[0].tag, "MAPLEC1 GEORGEB 50");
    assert_int_equal(files.file[0].klass, 'A');
    assert_int_equal(files.file[0].entry_us, NOV_24_2026_14_03_11);
    assert_string_equal(files.file[0].from_user.text, "X0000017");
    assert_string_equal(files.file[0].to_node.text, "MAPLEC1");
    test_files_release(&files);
    buf_free(&expected);
}

static void a_receipt_is_asked_for(void **state)
{
    (void)state;
    struct test_files files;
    struct buf expected = { 0 };
    translate("plain.eml", HOST_CMS, "MAPLEC1", "GEORGEB", true, &files);
    expect_cms_note(&expected, true);
    assert_cards(&files.file[0], &expected);
    test_files_release(&files);
    buf_free(&expected);
}

/* The stream holds these bytes. */
static void assert_holds(const struct hostfile *file, const char *hex)
{
    struct buf found = { 0 };
    struct buf wanted = { 0 };
    test_stream(file, &found);
    test_hex(&wanted, hex);
    bool holds = false;
    for (size_t i = 0; !holds && i + wanted.size <= found.size; i++)
        holds = memcmp(found.at + i, wanted.at, wanted.size) == 0;
    if (!holds)
        fail_msg("%s is not in the file %s %s", hex, file->name, file->type);
    buf_free(&found);
    buf_free(&wanted);
}

/* host-users.md example 4 */
static void an_attachment_to_a_cms_user(void **state)
{
    (void)state;
    struct test_files files;
    translate("attached.eml", HOST_CMS, "MAPLEC1", "GEORGEB", false, &files);
    assert_int_equal(files.count, 2);
    assert_string_equal(files.file[1].name, "NUMBERS");
    assert_string_equal(files.file[1].type, "TXT");
    assert_int_equal(files.file[1].klass, 'A');
    assert_int_equal(files.file[1].entry_us, NOV_24_2026_14_03_11 + 1);
    assert_holds(&files.file[1],
                 "73E0C9D5D4D9F0F200000001102C0001000400001000003C00010002400000420001000400000050102800010007C9D5D4C3"
                 "D6D7E80049000100020002000200030001C10007D5E4D4C2C5D9E20003E3E7E3102D00010001F1102100010014F2F0F2F6F1"
                 "F1F2F4F1F4F0F2F0F0F0F0F0F0F0F0");
    assert_holds(&files.file[1], "0DC0868999A2A340404040F1F2"); /* "first    12" */
    /* "File NUMBERS TXT follows: quarterly numbers.txt" */
    assert_holds(&files.file[0], "C689938540D5E4D4C2C5D9E240E3E7E3408696939396A6A27A");
    test_files_release(&files);
}

/* host-users.md example 6 */
static void a_note_to_a_profs_user(void **state)
{
    (void)state;
    static const char *const lines[] = { " To: GEORGEB --MAPLEC1", " From: Alice Longname <alice.longname@example.com>",
                                         " Subject: Quarterly numbers", "",
                                         " The numbers are in the file that follows." };
    struct test_files files;
    struct buf expected = { 0 };
    struct hostfile text = { .klass = 'A' };
    translate("plain.eml", HOST_PROFS, "MAPLEC1", "GEORGEB", true, &files);
    test_hex(&expected, "FED4E2C77AC6D9D6D47A40E7F0F0F0F0F0F1F76060D4C9C3D9D6E2C6E340E3D67A40C7C5D6D9C7C5C2406060D4C1"
                        "D7D3C5C3F14040404040404040404040F1F161F2F461F2F640F1F47AF0F37AF1F101");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        test_card(&text, lines[i]);
    records_join(&text.records, &expected);
    test_hex(&expected, "FFFF00000011D8A48199A3859993A84095A494828599A2");
    while (expected.size % CARD_COLUMNS != 71)
        buf_add_u8(&expected, EBCDIC_BLANK);
    buf_add_fill(&expected, 0, 9);
    assert_int_equal(files.count, 1);
    assert_cards(&files.file[0], &expected);
    assert_string_equal(files.file[0].name, "X0000017");
    hostfile_release(&text);
    test_files_release(&files);
    buf_free(&expected);
}

/* host-users.md example 8 */
static void a_mail_to_a_vm370_user(void **state)
{
    (void)state;
    static const char *const lines[] = { "HELO MICROSFT",
                                         "MAIL FROM:<alice.longname@example.com>",
                                         "RCPT TO:<FRED@CMSNODE>",
                                         "DATA",
                                         "Message-Id: <abc@example.com>",
                                         "Date: 25 Nov 2026 09:10:00 GMT",
                                         "From: alice.longname@example.com",
                                         "To: FRED@CMSNODE",
                                         "Subject: re: hello",
                                         " ",
                                         "Fine, thanks.",
                                         "." };
    struct test_files files;
    translate("ce.eml", HOST_CMS370, "CMSNODE", "FRED", false, &files);
    assert_int_equal(files.count, 1);
    assert_int_equal(files.file[0].klass, 'M');
    struct reader walk = records_walk(&files.file[0].records);
    struct span card;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct buf text = { 0 };
        assert_true(records_next(&walk, &card));
        (void)ebcdic_to_utf8(&ebcdic_page_037, card, &text);
        test_assert_span(buf_span(&text), lines[i]);
        buf_free(&text);
    }
    assert_false(records_next(&walk, &card));
    test_files_release(&files);
}

/* host-users.md example 9 */
static void a_message_and_a_file_to_a_tso_user(void **state)
{
    (void)state;
    struct test_files files;
    struct buf expected = { 0 };
    translate("attached.eml", HOST_TSO, "MVSNODE", "K000165", true, &files);
    assert_int_equal(files.count, 1);
    assert_int_equal(files.file[0].klass, 'B');
    assert_string_equal(files.file[0].form, "STANDARD");
    test_hex(
        &expected,
        "6EE0C9D5D4D9F0F10042000100020050101100010008D4C9C3D9D6E2C6E3101200010008E7F0F0F0F0F0F1F7100100010007D4E5E2"
        "D5D6C4C5100200010007D2F0F0F0F1F6F5102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F0102F0001000400000002"
        "10260000");
    test_hex(&expected, "41E0C9D5D4D9F0F200000001102800010007C9D5D4C3D6D7E8102C0001000400000000003C00010002400000420001"
                        "0004000000FB004900010002500200280000");
    test_hex(
        &expected,
        "63E0C9D5D4D9F0F200000002102800010007C9D5D4C3D6D7E8102C0001000400001000003C00010002400000420001000400000050"
        "00300001000400000C300049000100029000000200030008E7F0F0F0F0F0F1F70007D5E4D4C2C5D9E20003E3E7E3");
    static const char data_header[] = "2CE0C9D5D4D9F0F3102C0001000400000000003C00010002400000420001000400000050"
                                      "0049000100020001";
    test_hex(&expected, data_header);
    test_line(&expected, "From: Alice Longname <alice.longname@example.com>");
    test_line(&expected, "Subject: Quarterly numbers");
    test_line(&expected, "Date: 24 Nov 2026 14:03:11 GMT");
    test_line(&expected, " ");
    test_line(&expected, "The numbers are in the file that follows.");
    test_line(&expected, " ");
    test_line(&expected, "File X0000017.NUMBERS.TXT follows: quarterly numbers.txt");
    test_hex(&expected, data_header);
    char line[CARD_COLUMNS + 1];
    (void)snprintf(line, sizeof line, "%-80s", "first    12");
    test_line(&expected, line);
    (void)snprintf(line, sizeof line, "%-80s", "second  34");
    test_line(&expected, line);
    test_hex(&expected, "08E0C9D5D4D9F0F6");
    test_pad(&expected);
    assert_cards(&files.file[0], &expected);
    test_files_release(&files);
    buf_free(&expected);
}

static void mvs_38_never_gets_a_message(void **state)
{
    (void)state;
    struct test_files files;
    translate("attached.eml", HOST_NJE38, "MVS38", "HERC01", true, &files);
    assert_int_equal(files.count, 2);
    for (size_t i = 0; i < files.count; i++) {
        struct buf stream = { 0 };
        static const uint8_t term[] = { 0x00, 0x28, 0x00, 0x00 };
        static const uint8_t fack[] = { 0x10, 0x26 };
        test_stream(&files.file[i], &stream);
        for (size_t at = 0; at + sizeof term <= stream.size; at++)
            assert_true(memcmp(stream.at + at, term, sizeof term) != 0 && memcmp(stream.at + at, fack, 2) != 0);
        buf_free(&stream);
    }
    assert_string_equal(files.file[0].name, "MAIL");
    assert_string_equal(files.file[0].type, "TEXT");
    test_files_release(&files);
}

static void a_mailer_gets_all_in_one(void **state)
{
    (void)state;
    struct test_files files;
    translate("attached.eml", HOST_MAILER, "BITNODE", "MAILER", false, &files);
    assert_int_equal(files.count, 1);
    assert_int_equal(files.file[0].klass, 'M');
    struct reader walk = records_walk(&files.file[0].records);
    struct span card;
    struct buf text = { 0 };
    while (records_next(&walk, &card)) {
        assert_true(card.size <= CARD_COLUMNS);
        (void)ebcdic_to_utf8(&ebcdic_page_037, card, &text);
        buf_add_u8(&text, '\n');
    }
    buf_add_u8(&text, '\0');
    const char *mail = (const char *)text.at;
    test_assert_has(mail, "HELO MICROSFT\nMAIL FROM:<alice.longname@example.com>\nRCPT TO:<MAILER@BITNODE>\nDATA\n");
    test_assert_has(mail, "\nFrom: Alice Longname <alice.longname@example.com>\n");
    test_assert_has(mail, "\nThe numbers are in the file that follows.\n");
    test_assert_has(mail, "filename=\"quarterly numbers.txt\"");
    test_assert_has(mail, "\n.\nQUIT\n");
    test_files_release(&files);
    buf_free(&text);
}

/* The note's lines as text. */
static const char *note_text(const struct hostfile *file, struct buf *text)
{
    struct buf stream = { 0 };
    test_stream(file, &stream);
    (void)ebcdic_to_utf8(&ebcdic_page_037, buf_span(&stream), text);
    for (size_t i = 0; i < text->size; i++)
        if (text->at[i] == 0)
            text->at[i] = ' ';
    buf_add_u8(text, '\0');
    buf_free(&stream);
    return (const char *)text->at;
}

static void every_part_of_a_letter_arrives(void **state)
{
    (void)state;
    struct test_files files;
    struct buf text = { 0 };
    translate("alternative.eml", HOST_CMS, "MAPLEC1", "GEORGEB", false, &files);
    assert_int_equal(files.count, 5);
    const char *note = note_text(&files.file[0], &text);
    test_assert_has(note, "Gr\xC3\xBC\xC3\x9F"
                          "e from the plain text.");
    test_assert_has(note, "Subject: Gr\xC3\xBC\xC3\x9F"
                          "eEUR");
    assert_null(strstr(note, "HTML"));
    test_assert_has(note, "1 character that this system does not have was replaced.");
    assert_string_equal(files.file[1].name, "IMAGE");
    assert_string_equal(files.file[1].type, "PNG");
    assert_holds(&files.file[1], "0AC089504E470D0A1A0A"); /* byte for byte */
    assert_string_equal(files.file[2].type, "ICS");
    assert_holds(&files.file[2], "11C0C2C5C7C9D57AE5C3C1D3C5D5C4C1D9"); /* readable */
    assert_string_equal(files.file[3].name, "THEFORWA");
    assert_string_equal(files.file[3].type, "EML");
    assert_string_equal(files.file[4].name, "TEST");
    assert_string_equal(files.file[4].type, "_$_"); /* AT-06 */
    assert_holds(&files.file[4], "07C000010203FF");
    test_files_release(&files);
    buf_free(&text);
}

static void html_can_be_read(void **state)
{
    (void)state;
    struct test_files files;
    struct buf text = { 0 };
    translate("html.eml", HOST_CMS, "MAPLEC1", "GEORGEB", false, &files);
    const char *note = note_text(&files.file[0], &text);
    test_assert_has(note, "Dear George...");
    test_assert_has(note, "* second & last");
    test_assert_has(note, "See the report <https://example.com/report>.");
    test_assert_has(note, "> quoted");
    assert_null(strstr(note, "never"));
    assert_null(strstr(note, "color"));
    test_files_release(&files);
    buf_free(&text);
}

static void attachments_may_be_kept_back(void **state)
{
    (void)state;
    struct buf input = { 0 };
    struct buf packed = { 0 };
    struct buf resolution = { 0 };
    struct buf text = { 0 };
    struct test_files files;
    struct options options = { .kind = HOST_CMS, .page = "037", .to_pc = SPAN_EMPTY, .from_pc = SPAN_EMPTY };
    options_pack(&packed, &options);
    test_mail_read("attached.eml", &input);
    test_host_resolution("MAPLEC1", "GEORGEB", false, &resolution);
    test_to_host(buf_span(&input), &packed, &resolution, &files);
    assert_int_equal(files.count, 1);
    test_assert_has(note_text(&files.file[0], &text), "File not sent, as this system is set up: quarterly numbers.txt");
    test_files_release(&files);
    buf_free(&input);
    buf_free(&packed);
    buf_free(&resolution);
    buf_free(&text);
}

static void a_crafted_parameter_name_holds_nothing_up(void **state)
{
    (void)state;
    static const enum letter_host_kind kinds[] = { HOST_CMS, HOST_MAILER };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct test_files files;
        translate("crafted_parameter.eml", kinds[i], "MAPLEC1", "GEORGEB", false, &files);
        assert_int_equal(files.count, 1);
        test_files_release(&files);
    }
}

/* NT-05, NT-07: every size arrives; sizes near powers of two failed once. */
static void every_size_of_body(void **state)
{
    (void)state;
    enum { BODY_MAX = 20000, STEPS = 220 };
    unsigned seed = getenv("OVVM_TEST_SEED") != NULL ? (unsigned)strtoul(getenv("OVVM_TEST_SEED"), NULL, 10) : 20261124;
    print_message("# seed %u\n", seed);
    struct buf options = { 0 };
    struct buf resolution = { 0 };
    test_options(HOST_CMS, &options);
    test_host_resolution("MAPLEC1", "GEORGEB", false, &resolution);
    for (size_t step = 0; step < STEPS; step++) {
        seed = seed * 1103515245 + 12345;
        size_t size = step < 20 ? step : step < 60 ? 4096 * (1 + step % 4) + step % 5 - 2 : (seed >> 8) % BODY_MAX;
        struct buf mail = { 0 };
        struct buf stream = { 0 };
        struct test_files files;
        size_t words = 0;
        buf_add_text(&mail, "From: a@b.example\r\nSubject: size\r\n\r\n");
        for (size_t i = 0; i < size; i++) {
            seed = seed * 1103515245 + 12345;
            uint8_t byte = i + 1 == size || (seed >> 16) % 9 != 0 ? 'Q' : (seed >> 20) % 7 == 0 ? '\n' : ' ';
            words += byte == 'Q';
            buf_add_u8(&mail, byte);
        }
        test_to_host(buf_span(&mail), &options, &resolution, &files);
        assert_int_equal(files.count, 1);
        test_stream(&files.file[0], &stream);
        for (size_t i = 0; i < stream.size; i++)
            words -= stream.at[i] == 0xD8;
        if (words != 0)
            fail_msg("a body of %zu bytes lost %zd of its letters", size, (ssize_t)words);
        test_files_release(&files);
        buf_free(&mail);
        buf_free(&stream);
    }
    buf_free(&options);
    buf_free(&resolution);
}

static struct letter_head facts_of(const char *name, struct buf *packed, struct facts *facts)
{
    struct buf mail = { 0 };
    test_mail_read(name, &mail);
    assert_int_equal(translate_mail_facts(buf_span(&mail), packed, NULL), 0);
    buf_free(&mail);
    assert_int_equal(facts_parse(buf_span(packed), facts, NULL), 0);
    assert_int_equal(facts->letter_count, 1);
    return facts->letters[0];
}

static void what_is_left_out_is_known(void **state)
{
    (void)state;
    struct buf packed = { 0 };
    struct facts facts;
    assert_true(facts_of("alternative.eml", &packed, &facts).html_left_out);
    facts_release(&facts);
    buf_clear(&packed);
    assert_false(facts_of("people.eml", &packed, &facts).html_left_out);
    facts_release(&facts);
    buf_free(&packed);
}

static void who_wrote_and_to_whom(void **state)
{
    (void)state;
    struct buf packed = { 0 };
    struct facts facts;
    struct letter_head head = facts_of("people.eml", &packed, &facts);
    const struct letter_address *from = letter_first(&head, LETTER_FROM);
    test_assert_span(from->address, "alice@example.com");
    test_assert_span(from->name, "Longname, Alice");
    test_assert_span(letter_first(&head, LETTER_SENDER)->address, "list-owner@example.com");
    test_assert_span(letter_first(&head, LETTER_REPLY_TO)->address, "answers@example.com");
    const struct letter_address *to = letter_first(&head, LETTER_TO);
    test_assert_span(to->name, "J\xC3\xBCrgen");
    test_assert_span(to[1].name, ""); /* quotes in it: the address is shown (AD-12) */
    test_assert_span(to[1].address, "q@example.com");
    const struct letter_address *cc = letter_first(&head, LETTER_CC);
    test_assert_span(cc->name, "");
    test_assert_span(cc[1].name, "");
    test_assert_span(head.subject, "folded subject");
    test_assert_span(head.message_id, "<people@example.com>");
    test_assert_span(head.in_reply_to, "<one@x>");
    assert_int_equal(head.reference_count, 3);
    test_assert_span(head.references[2], "<three@x>");
    assert_true(head.bulk);
    assert_true(head.ack_wanted);
    assert_false(head.auto_submitted);
    assert_false(head.has_date);
    facts_release(&facts);
    buf_free(&packed);
}

static void a_report_says_what_it_is_about(void **state)
{
    (void)state;
    struct buf packed = { 0 };
    struct facts facts;
    struct letter_head head = facts_of("bounce.eml", &packed, &facts);
    assert_true(head.auto_submitted);
    test_assert_span(head.report_type, "delivery-status");
    test_assert_span(head.report_action, "failed");
    test_assert_span(head.report_about, "<01HZX@maplec1.vm.example.org>");
    facts_release(&facts);
    buf_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_to_a_cms_user),
        cmocka_unit_test(a_receipt_is_asked_for),
        cmocka_unit_test(an_attachment_to_a_cms_user),
        cmocka_unit_test(a_note_to_a_profs_user),
        cmocka_unit_test(a_mail_to_a_vm370_user),
        cmocka_unit_test(a_message_and_a_file_to_a_tso_user),
        cmocka_unit_test(mvs_38_never_gets_a_message),
        cmocka_unit_test(a_mailer_gets_all_in_one),
        cmocka_unit_test(every_part_of_a_letter_arrives),
        cmocka_unit_test(html_can_be_read),
        cmocka_unit_test(attachments_may_be_kept_back),
        cmocka_unit_test(a_crafted_parameter_name_holds_nothing_up),
        cmocka_unit_test(every_size_of_body),
        cmocka_unit_test(what_is_left_out_is_known),
        cmocka_unit_test(who_wrote_and_to_whom),
        cmocka_unit_test(a_report_says_what_it_is_about),
    };
    return cmocka_run_group_tests(tests, test_letter_init, NULL);
}
