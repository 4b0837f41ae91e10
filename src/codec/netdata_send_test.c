/* What is lost when these fail: mail that the host's RECEIVE takes. Expected bytes are those of host-users.md §6, the
 * control records of a real note among them. */
#include "codec/netdata_send.h"

#include "codec/ebcdic.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOV_24_2026_14_02_00 INT64_C(1795528920000000)
#define NOV_24_2026_14_03_11 INT64_C(1795528991000000)
#define NOV_24_2026_15_30_00 INT64_C(1795534200000000)

#define INMR01_NOTE                                                                                            \
    "6AE0C9D5D4D9F0F10042000100020050101100010008D4C9C3D9D6E2C6E3101200010008E7F0F0F0F0F0F1F7"                 \
    "100100010007D4C1D7D3C5C3F1100200010007C7C5D6D9C7C5C2102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F0" \
    "102F0001000400000001"
#define INMR03_CMS "30E0C9D5D4D9F0F3102C000100080000000000000000003C000100024000004200010004000000500049000100020001"
#define INMR06     "08E0C9D5D4D9F0F6"

static struct name8 name(const char *text)
{
    struct name8 name8;
    assert_int_equal(name8_parse(span_text(text), "name", &name8, NULL), 0);
    return name8;
}

static struct netdata_route route(const char *node, const char *user)
{
    return (struct netdata_route){ .from_node = name("MICROSFT"),
                                   .from_user = name("X0000017"),
                                   .to_node = name(node),
                                   .to_user = name(user),
                                   .time_us = NOV_24_2026_14_03_11 };
}

static void add_segment(struct buf *to, const char *head, const char *text)
{
    corpus_add_hex(to, head);
    utf8_to_ebcdic(&ebcdic_page_037, span_text(text), to, NULL);
}

static void assert_bytes(const struct buf *made, const struct buf *expected)
{
    assert_int_equal(made->size, expected->size);
    assert_memory_equal(made->at, expected->at, expected->size);
}

static void a_note_is_that_of_the_example(void **state)
{
    (void)state;
    static const char *const lines[] = { "Date: 24 November 26, 14:03:11 GMT",
                                         "From: X0000017 at MICROSFT",
                                         "To:   GEORGEB at MAPLEC1",
                                         "Subject: Quarterly numbers",
                                         "",
                                         "(Alice Longname <alice.longname@example.com>)",
                                         "The numbers are in the file that follows." };
    struct records note = { .count = 0 };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        corpus_add_text(&note, lines[i]);
    struct netdata_route to = route("MAPLEC1", "GEORGEB");
    struct buf made = { 0 };
    struct buf expected = { 0 };
    assert_int_equal(netdata_encode(NETDATA_CMS, &to, &note, NULL, &made, NULL), 0);
    corpus_add_hex(&expected, INMR01_NOTE);
    corpus_add_hex(&expected, "45E0C9D5D4D9F0F200000001102C000100080000000000000000003C00010002400000420001000400000084"
                              "102800010007C9D5D4C3D6D7E8004900010002000200280000");
    corpus_add_hex(&expected, INMR03_CMS);
    add_segment(&expected, "24C0", lines[0]);
    add_segment(&expected, "1CC0", lines[1]);
    add_segment(&expected, "1AC0", lines[2]);
    add_segment(&expected, "1CC0", lines[3]);
    add_segment(&expected, "03C0", " ");
    add_segment(&expected, "2FC0", lines[5]);
    add_segment(&expected, "2BC0", lines[6]);
    corpus_add_hex(&expected, INMR06);
    assert_bytes(&made, &expected);
    assert_int_equal(made.size, 442);
    struct records cards = { .count = 0 };
    netdata_cards(buf_span(&made), &cards);
    assert_int_equal(cards.count, 6);
    struct reader walk = records_walk(&cards);
    struct span card;
    while (records_next(&walk, &card))
        assert_int_equal(card.size, CARD_COLUMNS);
    records_free(&cards);
    records_free(&note);
    buf_free(&made);
    buf_free(&expected);
}

static void a_file_is_that_of_the_example(void **state)
{
    (void)state;
    struct records records = { .count = 0 };
    corpus_add_text(&records, "1 2 3");
    struct netdata_route to = route("MAPLEC1", "GEORGEB");
    struct netdata_item item = { .name = name("NUMBERS"),
                                 .type = name("TXT"),
                                 .lrecl = 80,
                                 .changed_us = NOV_24_2026_14_02_00,
                                 .records = &records };
    static const char inmr02[] =
        "73E0C9D5D4D9F0F200000001102C0001000400001000003C00010002400000420001000400000050102800010007C9D5D4C3D6D7E8"
        "0049000100020002000200030001C10007D5E4D4C2C5D9E20003E3E7E3102D00010001F1102100010014F2F0F2F6F1F1F2F4F1F4F0F2"
        "F0F0F0F0F0F0F0F0";
    struct buf made = { 0 };
    struct buf expected = { 0 };
    assert_int_equal(netdata_encode(NETDATA_CMS, &to, NULL, &item, &made, NULL), 0);
    corpus_add_hex(&expected, INMR01_NOTE);
    corpus_add_hex(&expected, inmr02);
    corpus_add_hex(&expected, INMR03_CMS);
    add_segment(&expected, "07C0", "1 2 3");
    corpus_add_hex(&expected, INMR06);
    assert_bytes(&made, &expected);

    /* VM/370 CE takes RECFM and LRECL from INMR03 */
    buf_clear(&made);
    buf_clear(&expected);
    assert_int_equal(netdata_encode(NETDATA_CE, &to, NULL, &item, &made, NULL), 0);
    corpus_add_hex(&expected, INMR01_NOTE);
    corpus_add_hex(&expected, inmr02);
    corpus_add_hex(&expected, "30E0C9D5D4D9F0F3102C000100080000000000000000003C000100024000"
                              "004200010004000000500049000100020002");
    add_segment(&expected, "07C0", "1 2 3");
    corpus_add_hex(&expected, INMR06);
    assert_bytes(&made, &expected);
    records_free(&records);
    buf_free(&made);
    buf_free(&expected);
}

static void an_acknowledgement_is_that_of_the_example(void **state)
{
    (void)state;
    /* the note of example 2, sent by GEORGEB to us, is acknowledged by us; the example has the pairs the other way */
    struct netdata_stream original = { .from_node = name("MICROSFT"),
                                       .from_user = name("X0000017"),
                                       .to_node = name("MAPLEC1"),
                                       .to_user = name("GEORGEB"),
                                       .time = "20261124140311000000" };
    struct buf made = { 0 };
    struct buf expected = { 0 };
    struct err err = ERR_CLEAR;
    assert_int_equal(netdata_encode_ack(&original, NOV_24_2026_15_30_00, NULL, &made, &err), 0);
    corpus_add_hex(&expected, "60E0C9D5D4D9F0F10042000100020050101100010007D4C1D7D3C5C3F1101200010007C7C5D6D9C7C5C2"
                              "100100010008D4C9C3D9D6E2C6E3100200010008E7F0F0F0F0F0F1F7"
                              "102400010014F2F0F2F6F1F1F2F4F1F5F3F0F0F0F0F0F0F0F0F0"
                              "26E0C9D5D4D9F0F7102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F000280000" INMR06);
    assert_bytes(&made, &expected);
    original.is_ack = true;
    assert_int_equal(netdata_encode_ack(&original, 0, NULL, &made, &err), -1);
    buf_free(&made);
    buf_free(&expected);
}

static void an_acknowledgement_of_a_data_set_copies_its_name(void **state)
{
    (void)state;
    struct buf stream = { 0 };
    corpus_add_hex(&stream, "32E0C9D5D4D9F0F1"
                            "101100010001D5"
                            "101200010001E4"
                            "10240001000EF2F0F2F6F1F1F2F4F1F5F0F0F0F0"
                            "102600010002ABCD"
                            "2CE0C9D5D4D9F0F200000001"
                            "000200030007D2F0F0F0F1F6F50004E3C5E2E30004C3D5E3D3"
                            "102D00010001F1" INMR06);
    struct netdata_stream original;
    struct err err = ERR_CLEAR;
    struct buf made = { 0 };
    struct buf expected = { 0 };
    assert_int_equal(netdata_decode(buf_span(&stream), &original, &err), 0);
    assert_true(original.ack_wanted);
    assert_int_equal(netdata_encode_ack(&original, NOV_24_2026_15_30_00, "DELETED", &made, &err), 0);
    corpus_add_hex(&expected, "51E0C9D5D4D9F0F7"
                              "10240001000EF2F0F2F6F1F1F2F4F1F5F0F0F0F0"
                              "000200030007D2F0F0F0F1F6F50004E3C5E2E30004C3D5E3D3"
                              "102D00010001F1"
                              "102600010002ABCD"
                              "102700010007C4C5D3C5E3C5C4" INMR06);
    assert_true(made.size > expected.size);
    assert_memory_equal(made.at + made.size - expected.size, expected.at, expected.size);
    netdata_release(&original);
    buf_free(&stream);
    buf_free(&made);
    buf_free(&expected);
}

static void a_tso_message_and_file_is_that_of_the_example(void **state)
{
    (void)state;
    struct records message = { .count = 0 };
    struct records records = { .count = 0 };
    corpus_add_text(&message, "Subject: Quarterly numbers");
    corpus_add_text(&message, "");
    corpus_add_text(&records, "1 2 3");
    struct netdata_route to = route("MVSNODE", "K000165");
    to.ack_wanted = true;
    struct netdata_item item = {
        .name = name("NUMBERS"), .type = name("TXT"), .fixed = true, .lrecl = 80, .records = &records
    };
    static const char inmr01[] =
        "6EE0C9D5D4D9F0F10042000100020050101100010008D4C9C3D9D6E2C6E3101200010008E7F0F0F0F0F0F1F7"
        "100100010007D4E5E2D5D6C4C5100200010007D2F0F0F0F1F6F5102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F0"
        "102F000100040000000210260000";
    static const char inmr02_message[] =
        "41E0C9D5D4D9F0F200000001102800010007C9D5D4C3D6D7E8102C0001000400000000003C00010002400000420001"
        "0004000000FB004900010002500200280000";
    static const char inmr02_file[] =
        "63E0C9D5D4D9F0F200000002102800010007C9D5D4C3D6D7E8102C0001000400001000003C0001000240000042000100040000005000"
        "300001000400000C300049000100029000000200030008E7F0F0F0F0F0F1F70007D5E4D4C2C5D9E20003E3E7E3";
    static const char inmr03[] =
        "2CE0C9D5D4D9F0F3102C0001000400000000003C000100024000004200010004000000500049000100020001";
    struct buf made = { 0 };
    struct buf expected = { 0 };
    assert_int_equal(netdata_encode(NETDATA_TSO, &to, &message, &item, &made, NULL), 0);
    corpus_add_hex(&expected, inmr01);
    corpus_add_hex(&expected, inmr02_message);
    corpus_add_hex(&expected, inmr02_file);
    corpus_add_hex(&expected, inmr03);
    add_segment(&expected, "1CC0", "Subject: Quarterly numbers");
    add_segment(&expected, "03C0", " ");
    corpus_add_hex(&expected, inmr03);
    add_segment(&expected, "52C0", "1 2 3");
    buf_add_fill(&expected, 0x40, 75);
    corpus_add_hex(&expected, INMR06);
    assert_bytes(&made, &expected);

    /* a data set alone, as NJE38 takes it: no INMTERM, no INMFACK, file 1 */
    buf_clear(&made);
    assert_int_equal(netdata_encode(NETDATA_NJE38, &to, NULL, &item, &made, NULL), 0);
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    assert_int_equal(netdata_decode(buf_span(&made), &stream, &err), 0);
    assert_int_equal(stream.stated_files, 1);
    assert_false(stream.ack_wanted);
    assert_int_equal(stream.files[0].number, 1);
    assert_false(stream.files[0].message);
    assert_string_equal(stream.files[0].qualifier[0], "X0000017");
    assert_int_equal(stream.files[0].records.count, 1);
    netdata_release(&stream);
    records_free(&message);
    records_free(&records);
    buf_free(&made);
    buf_free(&expected);
}

static void long_records_are_cut_into_segments(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 252, 253, 254, 506, 507, 32760 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct records records = { .count = 0 };
        records_add_padded(&records, SPAN_EMPTY, sizes[i], 0xC1);
        struct netdata_route to = route("MAPLEC1", "GEORGEB");
        struct netdata_item item = { .name = name("A"), .type = name("B"), .records = &records };
        struct buf made = { 0 };
        struct netdata_stream stream;
        struct err err = ERR_CLEAR;
        assert_int_equal(netdata_encode(NETDATA_CMS, &to, NULL, &item, &made, NULL), 0);
        assert_int_equal(netdata_decode(buf_span(&made), &stream, &err), 0);
        assert_int_equal(stream.files[0].lrecl, sizes[i]);
        assert_int_equal(stream.files[0].records.count, 1);
        assert_int_equal(stream.files[0].records.bytes.size, 4 + sizes[i]);
        netdata_release(&stream);
        records_free(&records);
        buf_free(&made);
    }
}

static void what_a_host_cannot_take_is_not_made(void **state)
{
    (void)state;
    struct records lines = { .count = 0 };
    corpus_add_text(&lines, "longer than four");
    struct netdata_route to = route("MAPLEC1", "GEORGEB");
    struct netdata_item item = { .name = name("A"), .type = name("B"), .fixed = true, .lrecl = 4, .records = &lines };
    struct buf made = { 0 };
    struct err err = ERR_CLEAR;
    assert_int_equal(netdata_encode(NETDATA_CMS, &to, NULL, NULL, &made, &err), -1);
    assert_int_equal(netdata_encode(NETDATA_CE, &to, &lines, NULL, &made, &err), -1);
    assert_int_equal(netdata_encode(NETDATA_NJE38, &to, &lines, NULL, &made, &err), -1);
    assert_int_equal(netdata_encode(NETDATA_CMS, &to, NULL, &item, &made, &err), -1);
    assert_int_equal(err.id, ERR_BUG);
    assert_int_equal(made.size, 0);
    records_free(&lines);
    buf_free(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_is_that_of_the_example),
        cmocka_unit_test(a_file_is_that_of_the_example),
        cmocka_unit_test(an_acknowledgement_is_that_of_the_example),
        cmocka_unit_test(an_acknowledgement_of_a_data_set_copies_its_name),
        cmocka_unit_test(a_tso_message_and_file_is_that_of_the_example),
        cmocka_unit_test(long_records_are_cut_into_segments),
        cmocka_unit_test(what_a_host_cannot_take_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
