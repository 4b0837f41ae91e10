/* What is lost when these fail: files and notes that hosts send, or the program's end when a stream is damaged. */
#include "codec/netdata.h"

#include "codec/ebcdic.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* --- the rules, by hand --- */
#define INMR01_NOTE                                                                                            \
    "6AE0C9D5D4D9F0F10042000100020050101100010008D4C9C3D9D6E2C6E3101200010008E7F0F0F0F0F0F1F7"                 \
    "100100010007D4C1D7D3C5C3F1100200010007C7C5D6D9C7C5C2102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F0" \
    "102F0001000400000001"
#define INMR02_NOTE                                                                            \
    "45E0C9D5D4D9F0F200000001102C000100080000000000000000003C00010002400000420001000400000084" \
    "102800010007C9D5D4C3D6D7E8004900010002000200280000"
#define INMR03_NOTE "30E0C9D5D4D9F0F3102C000100080000000000000000003C000100024000004200010004000000500049000100020001"
#define INMR06      "08E0C9D5D4D9F0F6"

static int decode_hex(const char *hex, struct netdata_stream *stream_r, struct err *err)
{
    struct buf stream = { 0 };
    corpus_add_hex(&stream, hex);
    int result = netdata_decode(buf_span(&stream), stream_r, err);
    buf_free(&stream);
    return result;
}

static struct span record_at(const struct netdata_file *file, size_t index)
{
    struct reader walk = records_walk(&file->records);
    struct span record = SPAN_EMPTY;
    for (size_t i = 0; i <= index; i++)
        assert_true(records_next(&walk, &record));
    return record;
}

static void a_note_is_a_message(void **state)
{
    (void)state;
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    assert_int_equal(decode_hex(INMR01_NOTE INMR02_NOTE INMR03_NOTE "04C0C181"
                                                                    "03C040" INMR06 "4040",
                                &stream, &err),
                     0);
    assert_string_equal(stream.from_node.text, "MICROSFT");
    assert_string_equal(stream.from_user.text, "X0000017");
    assert_string_equal(stream.to_node.text, "MAPLEC1");
    assert_string_equal(stream.to_user.text, "GEORGEB");
    assert_string_equal(stream.time, "20261124140311000000");
    assert_int_equal(stream.time_us, INT64_C(1795528991000000));
    assert_int_equal(stream.stated_files, 1);
    assert_false(stream.ack_wanted);
    assert_false(stream.is_ack);
    assert_int_equal(stream.file_count, 1);
    assert_true(stream.files[0].message);
    assert_int_equal(stream.files[0].lrecl, 132);
    assert_int_equal(stream.files[0].records.count, 2);
    corpus_assert_record(record_at(&stream.files[0], 0), "Aa");
    netdata_release(&stream);
}

static void acknowledgements_name_what_they_answer(void **state)
{
    (void)state;
    /* host-users.md example 5, both forms */
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    assert_int_equal(decode_hex("60E0C9D5D4D9F0F10042000100020050101100010007D4C1D7D3C5C3F1101200010007C7C5D6D9C7C5C2"
                                "100100010008D4C9C3D9D6E2C6E3100200010008E7F0F0F0F0F0F1F7"
                                "102400010014F2F0F2F6F1F1F2F4F1F5F3F0F0F0F0F0F0F0F0F0"
                                "26E0C9D5D4D9F0F7102400010014F2F0F2F6F1F1F2F4F1F4F0F3F1F1F0F0F0F0F0F000280000" INMR06,
                                &stream, &err),
                     0);
    assert_true(stream.is_ack);
    assert_string_equal(stream.from_user.text, "GEORGEB");
    assert_string_equal(stream.time, "20261124153000000000");
    assert_string_equal(stream.ack_time, "20261124140311000000");
    assert_string_equal(stream.ack_text, "");
    assert_true(stream.about.message);
    assert_int_equal(stream.file_count, 0);
    netdata_release(&stream);
    assert_int_equal(decode_hex("08E0C9D5D4D9F0F1"
                                "35E0C9D5D4D9F0F710240001000EF2F0F2F6F1F1F2F4F1F5F0F0F0F0"
                                "000200030007D2F0F0F0F1F6F50004E3C5E2E30004C3D5E3D3" INMR06,
                                &stream, &err),
                     0);
    assert_string_equal(stream.ack_time, "20261124150000");
    assert_int_equal(stream.about.qualifiers, 3);
    assert_string_equal(stream.about.qualifier[0], "K000165");
    assert_string_equal(stream.about.qualifier[2], "CNTL");
    assert_false(stream.about.message);
    netdata_release(&stream);
}

static void message_and_data_set_stay_apart(void **state)
{
    (void)state;
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    assert_int_equal(decode_hex("08E0C9D5D4D9F0F1"
                                "10E0C9D5D4D9F0F200000001"
                                "00280000"
                                "3DE0C9D5D4D9F0F200000002"
                                "0049000100029000"
                                "0042000100010400020003"
                                "0001C1"
                                "0001C2"
                                "0001C3"
                                "102800010007C9D5D4C3D6D7E8"
                                "7777000100021234"
                                "08E0C9D5D4D9F0F3"
                                "03C0C1"
                                "08E0C9D5D4D9F0F4"
                                "08E0C9D5D4D9F0F3"
                                "0AC0C1C2C3C4C5C6C7C8"
                                "05C0C1C2C3" INMR06,
                                &stream, &err),
                     0);
    assert_int_equal(stream.file_count, 2);
    assert_true(stream.files[0].message);
    assert_int_equal(stream.files[0].records.count, 1);
    assert_false(stream.files[1].message);
    assert_int_equal(stream.files[1].qualifiers, 3);
    /* two records of LRECL 4 in one, and a short one */
    assert_int_equal(stream.files[1].records.count, 3);
    corpus_assert_record(record_at(&stream.files[1], 1), "EFGH");
    corpus_assert_record(record_at(&stream.files[1], 2), "ABC");
    assert_int_equal(stream.files[1].short_records, 1);
    netdata_release(&stream);
}

static void oddities_of_senders_are_taken(void **state)
{
    (void)state;
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    /* a :READ card before it, record-number segments, an unknown control record, data without INMR03, F0 of length 0 */
    assert_int_equal(decode_hex("7AD9C5C1C44040C14040" INMR01_NOTE "09F0"
                                "0690D5D5D5D5"
                                "08E0C9D5D4D9F0F8"
                                "03E0FF"
                                "00F0" INMR02_NOTE "0380C1"
                                "0300C2"
                                "0340C3"
                                "02C0" INMR06,
                                &stream, &err),
                     0);
    assert_int_equal(stream.unknown_records, 2);
    assert_int_equal(stream.file_count, 1);
    assert_int_equal(stream.files[0].records.count, 2);
    corpus_assert_record(record_at(&stream.files[0], 0), "ABC");
    netdata_release(&stream);
    /* data that no INMR02 speaks of is kept as a file of its own */
    assert_int_equal(decode_hex("08E0C9D5D4D9F0F1"
                                "08E0C9D5D4D9F0F3"
                                "03C0C1" INMR06,
                                &stream, &err),
                     0);
    assert_int_equal(stream.file_count, 1);
    assert_int_equal(stream.files[0].records.count, 1);
    netdata_release(&stream);
}

static void damage_is_an_error_and_never_a_loop(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "C1C2C3",                    /* no NETDATA */
        "",                          /* nothing */
        INMR01_NOTE,                 /* ends early (Q221929) */
        INMR01_NOTE "0000",          /* padding instead of INMR06 */
        INMR01_NOTE "01C0" INMR06,   /* a length below its own header */
        INMR01_NOTE "50C0C1",        /* segment past the end */
        INMR01_NOTE "0300C1" INMR06, /* middle without first */
        INMR01_NOTE "0380C1"
                    "0380C1" INMR06,             /* first without last */
        INMR01_NOTE "09E0C9D5D4D9F0F200" INMR06, /* INMR02 without its number */
        "0EE0C9D5D4D9F0F1"
        "004200010005" INMR06, /* a text unit past its record */
        "0CE0C9D5D4D9F0F1"
        "0042FFFF" INMR06, /* 65535 values, none there */
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct netdata_stream stream;
        struct err err = ERR_CLEAR;
        assert_int_equal(decode_hex(damaged[i], &stream, &err), -1);
        assert_int_equal(err.id, ERR_BAD_CONTENT);
        netdata_release(&stream);
    }
}

static void limits_hold(void **state)
{
    (void)state;
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    struct buf bytes = { 0 };
    corpus_add_hex(&bytes, "08E0C9D5D4D9F0F1");
    for (uint32_t file = 0; file <= NETDATA_FILES_MAX; file++) {
        corpus_add_hex(&bytes, "0CE0C9D5D4D9F0F2");
        buf_add_u32(&bytes, file);
    }
    corpus_add_hex(&bytes, INMR06);
    assert_int_equal(netdata_decode(buf_span(&bytes), &stream, &err), -1);
    assert_int_equal(stream.file_count, NETDATA_FILES_MAX);
    netdata_release(&stream);
    buf_clear(&bytes);
    corpus_add_hex(&bytes, "08E0C9D5D4D9F0F1"
                           "0380C1");
    for (size_t i = 0; i < NETDATA_RECORD_MAX / 253 + 1; i++) {
        corpus_add_hex(&bytes, "FF00");
        buf_add_fill(&bytes, 0x40, 253);
    }
    corpus_add_hex(&bytes, "0240" INMR06);
    assert_int_equal(netdata_decode(buf_span(&bytes), &stream, &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    netdata_release(&stream);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_is_a_message),
        cmocka_unit_test(acknowledgements_name_what_they_answer),
        cmocka_unit_test(message_and_data_set_stay_apart),
        cmocka_unit_test(oddities_of_senders_are_taken),
        cmocka_unit_test(damage_is_an_error_and_never_a_loop),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
