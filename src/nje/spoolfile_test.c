/* What is lost when these fail: a letter in the ledger that can no longer be read, or a file that ends the program. */
#include "nje/spoolfile.h"

#include "nje/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct capture capture;

static struct nje_logical_walk walk_of(struct span file, struct buf *scratch)
{
    return (struct nje_logical_walk){ .from = reader_of(file), .scratch = scratch, .len_counts_cc = true };
}

static void assert_bytes(struct span found, const char *expected, size_t size)
{
    assert_int_equal(found.size, size);
    assert_memory_equal(found.at, expected, size);
}

static void a_record_is_stored_as_the_samples_have_it(void **state)
{
    (void)state;
    struct buf file = { 0 };
    nje_spool_put(&file, NJE_SRCB_DATA, SPAN_LITERAL("\x50\xC1"));
    nje_spool_put(&file, NJE_SRCB_DATA_ASA, SPAN_EMPTY);
    assert_bytes(buf_span(&file), "\x00\x03\x80\x50\xC1\x00\x01\xA0", 8);
    struct reader reader = reader_of(buf_span(&file));
    struct nje_spool_record record;
    assert_int_equal(nje_spool_next(&reader, &record, NULL), 1);
    assert_int_equal(record.srcb, 0x80);
    assert_bytes(record.bytes, "\x50\xC1", 2);
    assert_int_equal(nje_spool_next(&reader, &record, NULL), 1);
    assert_int_equal(record.bytes.size, 0);
    assert_int_equal(nje_spool_next(&reader, &record, NULL), 0);
    assert_int_equal(nje_spool_next(&reader, &record, NULL), 0);
    buf_free(&file);
}

static void a_record_is_there_whole_or_not_at_all(void **state)
{
    (void)state;
    struct buf file = { .limit = 8 };
    nje_spool_put(&file, NJE_SRCB_DATA, SPAN_LITERAL("\x50\xC1"));
    nje_spool_put(&file, NJE_SRCB_DATA, SPAN_LITERAL("\x50\xC1"));
    assert_true(file.failed);
    assert_int_equal(file.size, 5);
    buf_free(&file);
    static uint8_t much[65535];
    struct buf other = { 0 };
    nje_spool_put(&other, NJE_SRCB_DATA, span_of(much, 65534));
    assert_false(other.failed);
    nje_spool_put(&other, NJE_SRCB_DATA, span_of(much, 65535));
    assert_true(other.failed);
    buf_free(&other);
}

static void bad_lengths_are_said(void **state)
{
    (void)state;
    struct nje_spool_record record;
    struct err err = ERR_CLEAR;
    struct reader reader = reader_of(SPAN_LITERAL("\x00\x00\x80"));
    assert_int_equal(nje_spool_next(&reader, &record, &err), -1);
    assert_string_equal(err.text, "spool file: a record of length 0, 3 bytes before the end");
    assert_int_equal(nje_spool_next(&reader, &record, &err), -1);
    reader = reader_of(SPAN_LITERAL("\x00\x03\x80\x50"));
    assert_int_equal(nje_spool_next(&reader, &record, &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    assert_string_equal(err.text, "spool file: cut short, 4 bytes before its end");
}

static void text_before_the_records_is_skipped(void **state)
{
    (void)state;
    struct span records;
    struct err err = ERR_CLEAR;
    assert_int_equal(nje_spool_skip_text(SPAN_LITERAL("FRM: A@B\nEND:\n\x00\x02\x80\x00"), &records, &err), 0);
    assert_bytes(records, "\x00\x02\x80\x00", 4);
    assert_int_equal(nje_spool_skip_text(SPAN_LITERAL("\x00\x02\x80\x00"), &records, &err), 0);
    assert_int_equal(records.size, 4);
    assert_int_equal(nje_spool_skip_text(SPAN_EMPTY, &records, &err), 0);
    assert_int_equal(records.size, 0);
    assert_int_equal(nje_spool_skip_text(SPAN_LITERAL("FRM: A@B\nTAG: END:\n"), &records, &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
}

/* The spool file of the n-th file of a captured session, as the link would have stored it. */
static struct buf captured_file(size_t n)
{
    struct buf file = { 0 };
    size_t at = 0;
    for (size_t i = 0; i < capture.count; i++) {
        const struct capture_record *record = &capture.records[i];
        if (record->rcb != 0x99 || record->size == 0)
            continue;
        if (at == n)
            nje_spool_put(&file, record->srcb, capture_span(record));
        if (record->srcb == NJE_SRCB_NJT)
            at++;
    }
    assert_true(file.size > 0);
    return file;
}

static void a_captured_file_is_walked(void **state)
{
    (void)state;
    struct buf file = captured_file(2), scratch = { 0 };
    struct nje_logical_walk walk = walk_of(buf_span(&file), &scratch);
    walk.len_counts_cc = false; /* UnixNJE */
    struct nje_logical logical;
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
    assert_int_equal(logical.kind, NJE_SRCB_NJH);
    assert_int_equal(logical.bytes.size, 200);
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
    assert_int_equal(logical.kind, NJE_SRCB_DSH);
    assert_int_equal(logical.bytes.size, 292); /* two segments */
    for (size_t line = 0; line < 9; line++) {
        assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
        assert_int_equal(logical.kind, NJE_SRCB_DATA);
        assert_int_equal(logical.carriage, 0x10);
        assert_int_equal(logical.control, 0x09);
        assert_int_equal(logical.lrecl, 132);
        if (line == 8)
            assert_bytes(logical.bytes, "\x82\xA8\x85", 3); /* bye */
    }
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
    assert_int_equal(logical.kind, NJE_SRCB_NJT);
    assert_int_equal(logical.bytes.size, 44);
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 0);
    buf_free(&scratch);
    buf_free(&file);
}

static void a_file_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t n = 0; n < 3; n++) {
        struct buf file = captured_file(n);
        capture_cut_everywhere(buf_span(&file));
        buf_free(&file);
    }
}

static int walk_one(struct span file, struct nje_logical *logical_r, struct buf *scratch, struct err *err)
{
    struct nje_logical_walk walk = walk_of(file, scratch);
    return nje_logical_next(&walk, logical_r, err);
}

static void header_segments_must_follow_each_other(void **state)
{
    (void)state;
    static const struct {
        struct span file;
        const char *text;
    } cases[] = {
        { SPAN_LITERAL("\x00\x06\xE0\x00\x05\x00\x80\xC1"), "data set header: segment 1 is missing" },
        { SPAN_LITERAL("\x00\x06\xE0\x00\x05\x00\x80\xC1\x00\x06\xC0\x00\x05\x00\x01\xC1"),
          "data set header: segment 1 is missing" },
        { SPAN_LITERAL("\x00\x06\xE0\x00\x05\x00\x80\xC1\x00\x06\xE0\x00\x05\x00\x02\xC1"),
          "data set header: segment 2 where segment 1 is due" },
        { SPAN_LITERAL("\x00\x06\xC0\x00\x05\x00\x01\xC1"), "job header: segment 1 where segment 0 is due" },
        { SPAN_LITERAL("\x00\x06\xD0\x00\x06\x00\x00\xC1"),
          "job trailer segment 0: its prefix says 6 bytes, the record has 5" },
        { SPAN_LITERAL("\x00\x06\xD0\x00\x03\x00\x00\xC1"),
          "job trailer segment 0: its prefix says 3 bytes, the record has 5" },
        { SPAN_LITERAL("\x00\x04\xC0\x00\x04\x00"), "job header segment 0: its prefix says 4 bytes, the record has 3" },
        { SPAN_LITERAL("\x00\x02\xF0\x00"), "spool file: a record with SRCB F0, which is neither header nor data" },
        { SPAN_LITERAL("\x00\x02\x84\x00"), "data: a later segment of a spanned record (SRCB 84) without the first" },
        { SPAN_LITERAL("\x00\x03\x88\x01\x00"), "data: the first segment of a spanned record has 2 bytes" },
        { SPAN_LITERAL("\x00\x05\x88\x01\x00\x02\xC1"), "data: a spanned record of 2 bytes has no last segment" },
        { SPAN_LITERAL("\x00\x05\x88\x01\x00\x02\xC1\x00\x03\x80\x01\xC1"),
          "data: a spanned record of 2 bytes has no last segment" },
        { SPAN_LITERAL("\x00\x05\x98\x01\x00\x02\xC1\x00\x03\x8C\x01\xC1"),
          "data: a spanned record of 2 bytes has no last segment" },
    };
    struct buf scratch = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nje_logical logical;
        struct err err = ERR_CLEAR;
        assert_int_equal(walk_one(cases[i].file, &logical, &scratch, &err), -1);
        assert_int_equal(err.id, ERR_BAD_CONTENT);
        assert_string_equal(err.text, cases[i].text);
    }
    buf_free(&scratch);
}

static void header_segments_are_joined(void **state)
{
    (void)state;
    struct buf scratch = { 0 };
    struct nje_logical logical;
    assert_int_equal(walk_one(SPAN_LITERAL("\x00\x06\xE0\x00\x05\x00\x80\xC1\x00\x07\xE0\x00\x06\x00\x81\xC2\xC3"
                                           "\x00\x06\xE0\x00\x05\x00\x02\xC4"),
                              &logical, &scratch, NULL),
                     1);
    assert_bytes(logical.bytes, "\xC1\xC2\xC3\xC4", 4);
    buf_free(&scratch);
}

/* No byte of a line may be lost because the neighbour counts the control byte in the length or does not. */
static void lines_with_carriage_control(void **state)
{
    (void)state;
    static const struct {
        struct span file;
        bool len_counts_cc;
        uint8_t carriage, control;
        size_t lrecl;
        struct span bytes;
    } cases[] = {
        { SPAN_LITERAL("\x00\x04\x80\x50\xC1\xC2"), true, 0, 0, 80, SPAN_LITERAL("\xC1\xC2") },
        { SPAN_LITERAL("\x00\x05\x90\x03\x09\xC1\xC2"), true, 0x10, 0x09, 2, SPAN_LITERAL("\xC1\xC2") },
        { SPAN_LITERAL("\x00\x05\x90\x84\x09\xC1\xC2"), false, 0x10, 0x09, 132, SPAN_LITERAL("\xC1\xC2") },
        { SPAN_LITERAL("\x00\x05\xA0\x02\xF1\xC1\xC2"), true, 0x20, 0xF1, 2, SPAN_LITERAL("\xC1\xC2") },
        { SPAN_LITERAL("\x00\x05\xB0\x03\x5A\xC1\xC2"), true, 0x30, 0x5A, 2, SPAN_LITERAL("\xC1\xC2") },
        { SPAN_LITERAL("\x00\x02\xA0\x85"), true, 0x20, 0x40, 132, SPAN_LITERAL("") },
        { SPAN_LITERAL("\x00\x02\x90\x85"), true, 0x10, 0x09, 132, SPAN_LITERAL("") },
        { SPAN_LITERAL("\x00\x01\x90"), true, 0x10, 0x09, 0, SPAN_LITERAL("") },
        { SPAN_LITERAL("\x00\x01\x80"), true, 0, 0, 0, SPAN_LITERAL("") },
        { SPAN_LITERAL("\x00\x04\x80\x01\xC1\xC2"), true, 0, 0, 1, SPAN_LITERAL("\xC1") }, /* never longer */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf scratch = { 0 };
        struct nje_logical_walk walk = walk_of(cases[i].file, &scratch);
        walk.len_counts_cc = cases[i].len_counts_cc;
        struct nje_logical logical;
        assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
        assert_int_equal(logical.carriage, cases[i].carriage);
        assert_int_equal(logical.control, cases[i].control);
        assert_int_equal(logical.lrecl, cases[i].lrecl);
        assert_true(span_equal(logical.bytes, cases[i].bytes));
        buf_free(&scratch);
    }
}

static void spanned_records_are_joined(void **state)
{
    (void)state;
    struct buf scratch = { 0 };
    struct nje_logical logical;
    /* SA32-0988: SEGL counts the data, of the first segment with its control byte, not itself and not LRECL; a segment
     * that lost its blanks gets them back */
    assert_int_equal(walk_one(SPAN_LITERAL("\x00\x08\x98\x04\x00\x08\x09\xC1\xC2\xC3\x00\x03\x94\x02\xC4"
                                           "\x00\x04\x9C\x02\xC5\xC6"),
                              &logical, &scratch, NULL),
                     1);
    assert_int_equal(logical.kind, NJE_SRCB_DATA);
    assert_int_equal(logical.carriage, 0x10);
    assert_int_equal(logical.control, 0x09);
    assert_int_equal(logical.lrecl, 7);
    assert_bytes(logical.bytes, "\xC1\xC2\xC3\xC4\x40\xC5\xC6", 7);
    buf_free(&scratch);
}

static void a_spanned_record_has_an_end(void **state)
{
    (void)state;
    static uint8_t segment[256];
    segment[0] = 255;
    struct buf file = { 0 }, scratch = { 0 };
    nje_spool_put(&file, 0x88, span_of(segment, 258 < sizeof segment ? 258 : sizeof segment));
    for (int i = 0; i < 200; i++)
        nje_spool_put(&file, 0x84, span_of(segment, sizeof segment));
    struct nje_logical logical;
    struct err err = ERR_CLEAR;
    assert_int_equal(walk_one(buf_span(&file), &logical, &scratch, &err), -1);
    assert_string_equal(err.text, "data: a spanned record of more than 32760 bytes");
    buf_free(&scratch);
    buf_free(&file);
}

static void cards_are_written_with_their_length(void **state)
{
    (void)state;
    struct buf file = { 0 };
    nje_data_encode(&file, SPAN_LITERAL("\xC1\x40\xC2\x40\x40"), 80);
    nje_data_encode(&file, SPAN_LITERAL("\x40\x40"), 80);
    nje_data_encode(&file, SPAN_EMPTY, 80);
    nje_data_encode(&file, SPAN_EMPTY, 0);
    nje_data_encode(&file, SPAN_LITERAL("\xC1\xC2"), 1);
    assert_bytes(buf_span(&file),
                 "\x00\x05\x80\x50\xC1\x40\xC2"
                 "\x00\x03\x80\x50\x40"
                 "\x00\x03\x80\x50\x40"
                 "\x00\x02\x80\x00"
                 "\x00\x04\x80\x02\xC1\xC2",
                 7 + 5 + 5 + 4 + 6);
    buf_free(&file);
}

static void long_records_are_spanned_and_come_back(void **state)
{
    (void)state;
    static uint8_t data[NJE_RECORD_MAX + 1];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(0xC1 + i % 9);
    static const struct {
        size_t size, lrecl, back;
        bool spanned;
    } cases[] = {
        { 252, 252, 252, false }, { 252, 255, 252, false }, { 253, 253, 253, true },
        { 255, 255, 255, true },  { 10, 256, 256, true },   { 500, 500, 500, true },
        { 502, 502, 502, true },  { 503, 503, 503, true },  { NJE_RECORD_MAX, NJE_RECORD_MAX, NJE_RECORD_MAX, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf file = { 0 }, scratch = { 0 };
        nje_data_encode(&file, span_of(data, cases[i].size), cases[i].lrecl);
        assert_false(file.failed);
        assert_int_equal(file.at[2], cases[i].spanned ? 0x88 : 0x80);
        struct reader reader = reader_of(buf_span(&file));
        struct nje_spool_record record;
        while (nje_spool_next(&reader, &record, NULL) == 1)
            assert_true(record.bytes.size <= NJE_SEGMENT_MAX);
        struct nje_logical logical;
        assert_int_equal(walk_one(buf_span(&file), &logical, &scratch, NULL), 1);
        assert_int_equal(logical.lrecl, cases[i].lrecl);
        assert_int_equal(logical.bytes.size, cases[i].back);
        assert_memory_equal(logical.bytes.at, data, cases[i].size);
        buf_free(&scratch);
        buf_free(&file);
    }
    struct buf file = { 0 };
    nje_data_encode(&file, span_of(data, 253), 253);
    assert_memory_equal(file.at, "\x00\xFE\x88\xFA\x00\xFD\xC1", 7);
    assert_memory_equal(file.at + 256, "\x00\x05\x8C\x03", 4);
    nje_data_encode(&file, span_of(data, sizeof data), 0);
    assert_true(file.failed);
    buf_free(&file);
}

int main(void)
{
    capture_read("nodea-nodeb.annotated.txt", &capture);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_stored_as_the_samples_have_it),
        cmocka_unit_test(a_record_is_there_whole_or_not_at_all),
        cmocka_unit_test(bad_lengths_are_said),
        cmocka_unit_test(text_before_the_records_is_skipped),
        cmocka_unit_test(a_captured_file_is_walked),
        cmocka_unit_test(a_file_cut_at_every_byte),
        cmocka_unit_test(header_segments_must_follow_each_other),
        cmocka_unit_test(header_segments_are_joined),
        cmocka_unit_test(lines_with_carriage_control),
        cmocka_unit_test(spanned_records_are_joined),
        cmocka_unit_test(a_spanned_record_has_an_end),
        cmocka_unit_test(cards_are_written_with_their_length),
        cmocka_unit_test(long_records_are_spanned_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
