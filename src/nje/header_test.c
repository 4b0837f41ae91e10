/* What is lost when these fail: mail goes to the wrong person, or a neighbour rejects our files. */
#include "nje/header.h"

#include "nje/capture.h"
#include "nje/link.h"
#include "nje/spoolfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct capture capture;

/* Joins the segments of the n-th header of a kind (each its own record) without our own walk. */
static struct buf joined(uint8_t srcb, size_t n, size_t segments)
{
    struct buf made = { 0 };
    for (size_t i = 0; i < segments; i++) {
        const struct capture_record *segment = capture_find(&capture, 0x99, srcb, n * segments + i);
        buf_add_span(&made, span_slice(capture_span(segment), 4, segment->size));
    }
    return made;
}

static struct buf encoded_sections(const struct buf *spool, uint8_t srcb)
{
    struct buf made = { 0 };
    struct reader reader = reader_of(buf_span(spool));
    struct nje_spool_record record;
    while (nje_spool_next(&reader, &record, NULL) == 1) {
        assert_int_equal(record.srcb, srcb);
        assert_true(record.bytes.size <= NJE_SEGMENT_MAX);
        buf_add_span(&made, span_slice(record.bytes, 4, record.bytes.size));
    }
    return made;
}

static void assert_same(const struct buf *ours, const struct buf *theirs)
{
    assert_int_equal(ours->size, theirs->size);
    assert_memory_equal(ours->at, theirs->at, theirs->size);
}

static void the_job_header_of_another_system(void **state)
{
    (void)state;
    struct buf sections = joined(NJE_SRCB_NJH, 1, 1);
    struct nje_job job;
    assert_int_equal(nje_job_decode(buf_span(&sections), &job, NULL), 0);
    assert_int_equal(job.job_id, 2);
    assert_string_equal(job.job_name, "NJE_0002");
    assert_string_equal(job.origin_node.text, "NODEA");
    assert_string_equal(job.origin_user.text, "ALICE");
    assert_int_equal(job.job_class, 0xC1);
    assert_int_equal(job.flags, 0x0C);
    assert_int_equal(job.priority, 7);
    assert_true(job.entry_time == UINT64_C(0xE3A18A4900000000));
    /* 2026-11-24 16:39:48 UTC; it was sent at 13:49:36: the sender computes its high word with a rounded constant */
    assert_true(job.entry_us == INT64_C(1795538388475904));
    buf_free(&sections);
}

static void our_job_header_is_theirs(void **state)
{
    (void)state;
    struct nje_job job = { .job_id = 2,
                           .origin_node = { "NODEA" },
                           .origin_user = { "ALICE" },
                           .job_name = "NJE_0002",
                           .entry_time = UINT64_C(0xE3A18A4900000000),
                           .flags = NJE_JOB_QUIET_FORWARD | NJE_JOB_QUIET_ACCEPT,
                           .priority = 7 };
    struct buf spool = { 0 };
    nje_job_encode(&spool, &job);
    const struct capture_record *theirs = capture_find(&capture, 0x99, NJE_SRCB_NJH, 1);
    assert_int_equal(spool.size, 3 + 204);
    assert_memory_equal(spool.at, "\x00\xCD\xC0", 3);
    assert_memory_equal(spool.at + 3, theirs->bytes, theirs->size);
    buf_free(&spool);
}

static void the_data_set_header_of_another_system(void **state)
{
    (void)state;
    struct buf sections = joined(NJE_SRCB_DSH, 0, 2);
    struct nje_dataset dataset;
    assert_int_equal(nje_dataset_decode(buf_span(&sections), &dataset, NULL), 0);
    assert_string_equal(dataset.node.text, "NODEB");
    assert_string_equal(dataset.user.text, "BOB");
    assert_false(dataset.user_bad);
    assert_string_equal(dataset.name, "TEST");
    assert_string_equal(dataset.type, "NOTE");
    assert_string_equal(dataset.form, "STANDARD");
    assert_string_equal(dataset.dist, "");
    assert_string_equal(dataset.tag, "NODEB    BOB      50");
    assert_int_equal(dataset.klass, 'A');
    assert_false(dataset.print);
    assert_int_equal(dataset.lrecl, 80);
    assert_int_equal(dataset.record_format, 0x80);
    assert_int_equal(dataset.records, 1);
    assert_int_equal(dataset.flags, 0);
    buf_free(&sections);
    sections = joined(NJE_SRCB_DSH, 2, 2);
    assert_int_equal(nje_dataset_decode(buf_span(&sections), &dataset, NULL), 0);
    assert_true(dataset.print);
    assert_int_equal(dataset.lrecl, 132);
    assert_string_equal(dataset.type, "LISTING");
    buf_free(&sections);
}

/* The captured system writes DSNO 1 as X'0100'. */
static void our_data_set_header_is_theirs(void **state)
{
    (void)state;
    struct nje_dataset punch = {
        .node = { "NODEB" }, .user = { "BOB" }, .name = "TEST", .type = "NOTE", .number = 0x0100, .records = 1
    };
    struct nje_dataset print = { .node = { "NODEA" },
                                 .user = { "ALICE" },
                                 .name = "TEST",
                                 .type = "LISTING",
                                 .number = 0x0100,
                                 .records = 1,
                                 .print = true };
    struct nje_dataset *const ours[] = { &punch, NULL, &print };
    for (size_t i = 0; i < 3; i++) {
        if (ours[i] == NULL)
            continue;
        struct buf spool = { 0 };
        nje_dataset_encode(&spool, ours[i]);
        struct buf sections = encoded_sections(&spool, NJE_SRCB_DSH);
        struct buf theirs = joined(NJE_SRCB_DSH, i, 2);
        assert_same(&sections, &theirs);
        buf_free(&theirs);
        buf_free(&sections);
        buf_free(&spool);
    }
}

/* Segments of 253 bytes: what JES2 sends, and all receivers take. */
static void our_data_set_header_is_cut_in_segments(void **state)
{
    (void)state;
    struct nje_dataset dataset = { .node = { "NODEB" }, .user = { "BOB" } };
    struct buf spool = { 0 };
    nje_dataset_encode(&spool, &dataset);
    struct reader reader = reader_of(buf_span(&spool));
    struct nje_spool_record record;
    assert_int_equal(nje_spool_next(&reader, &record, NULL), 1);
    assert_int_equal(record.bytes.size, 253);
    assert_memory_equal(record.bytes.at, "\x00\xFD\x00\x80", 4);
    assert_int_equal(nje_spool_next(&reader, &record, NULL), 1);
    assert_int_equal(record.bytes.size, 292 - 249 + 4);
    assert_memory_equal(record.bytes.at, "\x00\x2F\x00\x01", 4);
    assert_int_equal(nje_spool_next(&reader, &record, NULL), 0);
    buf_free(&spool);
}

static void our_trailer_is_theirs(void **state)
{
    (void)state;
    struct nje_trailer trailer = { .print_records = 7, .punch_records = 7 };
    struct buf spool = { 0 };
    nje_trailer_encode(&spool, &trailer);
    const struct capture_record *theirs = capture_find(&capture, 0x99, NJE_SRCB_NJT, 0);
    assert_int_equal(spool.size, 3 + theirs->size);
    assert_memory_equal(spool.at + 3, theirs->bytes, theirs->size);
    struct nje_trailer back;
    assert_int_equal(nje_trailer_decode(span_slice(capture_span(theirs), 4, 44), &back, NULL), 0);
    assert_int_equal(back.print_records, 7);
    assert_int_equal(back.punch_records, 7);
    buf_free(&spool);
}

/* NJElib states 48 bytes for a section of 44: it counts the prefix. */
static void a_trailer_that_counts_its_prefix_is_read(void **state)
{
    (void)state;
    const struct capture_record *theirs = capture_find(&capture, 0x99, NJE_SRCB_NJT, 0);
    uint8_t bytes[44];
    memcpy(bytes, &theirs->bytes[4], sizeof bytes);
    bytes[1] = 48;
    struct nje_trailer trailer;
    assert_int_equal(nje_trailer_decode(span_of(bytes, sizeof bytes), &trailer, NULL), 0);
    assert_int_equal(trailer.punch_records, 7);
    bytes[1] = 49;
    assert_int_equal(nje_trailer_decode(span_of(bytes, sizeof bytes), &trailer, NULL), -1);
}

static void unknown_sections_are_skipped(void **state)
{
    (void)state;
    struct buf sections = joined(NJE_SRCB_DSH, 0, 2);
    struct buf mixed = { 0 };
    static const char accounting[] = "\x00\x08\x89\x00\x01\x02\x03\x04";
    static const char characteristics[] = "\x00\x06\x00\x40\xFF\xFF";
    buf_add(&mixed, accounting, 8);
    buf_add_span(&mixed, span_slice(buf_span(&sections), 0, 112));
    buf_add(&mixed, characteristics, 6);
    buf_add(&mixed, "\x00\x04\xC5\x07", 4);
    buf_add_span(&mixed, span_slice(buf_span(&sections), 112, 180));
    struct nje_dataset dataset;
    assert_int_equal(nje_dataset_decode(buf_span(&mixed), &dataset, NULL), 0);
    assert_string_equal(dataset.user.text, "BOB");
    assert_string_equal(dataset.tag, "NODEB    BOB      50");
    buf_free(&mixed);
    buf_free(&sections);
}

static void sections_that_do_not_fit_are_named(void **state)
{
    (void)state;
    struct buf sections = joined(NJE_SRCB_DSH, 0, 2);
    struct nje_dataset dataset;
    struct err err = ERR_CLEAR;
    assert_int_equal(nje_dataset_decode(span_slice(buf_span(&sections), 0, 291), &dataset, &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    assert_string_equal(err.text, "data set header: section 87/00 says it has 180 bytes, 179 are there");
    assert_int_equal(nje_dataset_decode(span_slice(buf_span(&sections), 112, 180), &dataset, &err), -1);
    assert_string_equal(err.text, "data set header: its general section has 0 bytes, at least 20 are needed");
    sections.at[113] = 3; /* a length that would not move on */
    sections.at[112] = 0;
    assert_int_equal(nje_dataset_decode(buf_span(&sections), &dataset, &err), -1);
    assert_string_equal(err.text, "data set header: section 87/00 says it has 3 bytes, 180 are there");
    buf_free(&sections);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct buf dsh = joined(NJE_SRCB_DSH, 0, 2), njh = joined(NJE_SRCB_NJH, 0, 1);
    for (size_t size = 0; size < dsh.size; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, dsh.at, size);
        struct nje_dataset dataset;
        /* 112: the general section alone, a whole header of a system without RSCS section */
        assert_int_equal(nje_dataset_decode(span_of(exact, size), &dataset, NULL), size == 112 ? 0 : -1);
        free(exact);
    }
    for (size_t size = 0; size < njh.size; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, njh.at, size);
        struct nje_job job;
        assert_int_equal(nje_job_decode(span_of(exact, size), &job, NULL), -1);
        struct nje_trailer trailer;
        (void)nje_trailer_decode(span_of(exact, size), &trailer, NULL);
        free(exact);
    }
    buf_free(&dsh);
    buf_free(&njh);
}

static struct nje_dataset changed(size_t at, const char *bytes, size_t size)
{
    struct buf sections = joined(NJE_SRCB_DSH, 0, 2);
    memcpy(sections.at + at, bytes, size);
    struct nje_dataset dataset;
    assert_int_equal(nje_dataset_decode(buf_span(&sections), &dataset, NULL), 0);
    buf_free(&sections);
    return dataset;
}

#define NOTHING "\0\0\0\0\0\0\0\0"
#define BLANKS  "\x40\x40\x40\x40\x40\x40\x40\x40"

static void the_recipient_is_rmt_then_the_writer(void **state)
{
    (void)state;
    assert_string_equal(changed(12, NOTHING, 8).user.text, "BOB"); /* XWTR */
    assert_string_equal(changed(12, BLANKS, 8).user.text, "BOB");
    assert_string_equal(changed(84, NOTHING, 8).user.text, "BOB"); /* RMT */
    struct nje_dataset bad = changed(12, "\xC2\x4B\xD6\x40\x40\x40\x40\x40", 8);
    assert_true(bad.user_bad);
    assert_string_equal(bad.user.text, "");
    struct buf sections = joined(NJE_SRCB_DSH, 0, 2);
    memcpy(sections.at + 12, NOTHING, 8);
    memcpy(sections.at + 84, NOTHING, 8);
    struct nje_dataset none;
    assert_int_equal(nje_dataset_decode(buf_span(&sections), &none, NULL), 0);
    assert_string_equal(none.user.text, "");
    assert_false(none.user_bad);
    buf_free(&sections);
}

static void a_file_is_readdressed_and_nothing_else_changes(void **state)
{
    (void)state;
    struct buf theirs = joined(NJE_SRCB_DSH, 0, 2), spool = { 0 };
    struct name8 node = { "VMA" }, user = { "GEORGEB" };
    assert_int_equal(nje_dataset_readdress(&spool, buf_span(&theirs), node, user, NULL), 0);
    struct buf ours = encoded_sections(&spool, NJE_SRCB_DSH);
    memcpy(theirs.at + 4, "\xE5\xD4\xC1\x40\x40\x40\x40\x40\xC7\xC5\xD6\xD9\xC7\xC5\xC2\x40", 16);
    memcpy(theirs.at + 84, "\xC7\xC5\xD6\xD9\xC7\xC5\xC2\x40", 8);
    memcpy(theirs.at + 112 + 44, "\xE5\xD4\xC1\x40\x40\x40\x40\x40\x40\xC7\xC5\xD6\xD9\xC7\xC5\xC2\x40", 17);
    assert_same(&ours, &theirs);
    buf_free(&ours);
    struct err err = ERR_CLEAR;
    assert_int_equal(nje_dataset_readdress(&spool, span_slice(buf_span(&theirs), 0, 111), node, user, &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    buf_free(&spool);
    buf_free(&theirs);
}

static void print_and_punch_are_told_apart(void **state)
{
    (void)state;
    assert_true(changed(112 + 6, "\x41", 1).print);
    assert_false(changed(112 + 6, "\x82", 1).print);
    assert_false(changed(112 + 6, "\x00", 1).print); /* FLG2 says punch */
    struct buf sections = joined(NJE_SRCB_DSH, 0, 2);
    sections.at[112 + 6] = 0;
    sections.at[100] = 0;
    sections.at[55] = 82;
    struct nje_dataset dataset;
    assert_int_equal(nje_dataset_decode(buf_span(&sections), &dataset, NULL), 0);
    assert_true(dataset.print);
    sections.at[55] = 81;
    assert_int_equal(nje_dataset_decode(buf_span(&sections), &dataset, NULL), 0);
    assert_false(dataset.print);
    buf_free(&sections);
}

static void the_clock_of_the_host(void **state)
{
    (void)state;
    assert_true(nje_stck(0) == UINT64_C(0x7D91048BCA000000)); /* 1970-01-01, as published for the TOD clock */
    assert_true(nje_stck_us(UINT64_C(0x7D91048BCA000000)) == 0);
    assert_true(nje_stck_us(0) == 0);
    assert_true(nje_stck_us(UINT64_C(0x7D91048BC9FFF000)) == 0); /* 1969 is absurd */
    int64_t now = INT64_C(1795530000123456);
    assert_true(nje_stck_us(nje_stck(now)) == now);
    assert_true(nje_stck_us(nje_stck(now) | 0xFFF) == now);
}

/* A value beyond these and a neighbour's signed short turns negative, or it drops our files without a word. */
static void presets_are_what_neighbours_bear(void **state)
{
    (void)state;
    static const char *const names[NJE_KINDS] = { "rscs", "vm370", "nje38", "jes2", "unixnje" };
    for (size_t i = 0; i < NJE_KINDS; i++) {
        const struct nje_preset *preset = &nje_presets[i];
        assert_string_equal(preset->name, names[i]);
        assert_true(preset->buffer >= 300 && preset->buffer <= preset->buffer_max && preset->buffer_max < 32768);
        assert_false(preset->multi_dsh);
        assert_int_equal(preset->streams_max, i == NJE_VM370 || i == NJE_NJE38 ? 1 : 7);
        assert_int_equal(preset->len_counts_cc, i != NJE_UNIXNJE);
    }
    assert_true(nje_presets[NJE_NJE38].buffer_max <= 4020);
}

int main(void)
{
    capture_read("nodea-nodeb.annotated.txt", &capture);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_job_header_of_another_system),
        cmocka_unit_test(our_job_header_is_theirs),
        cmocka_unit_test(the_data_set_header_of_another_system),
        cmocka_unit_test(our_data_set_header_is_theirs),
        cmocka_unit_test(our_data_set_header_is_cut_in_segments),
        cmocka_unit_test(our_trailer_is_theirs),
        cmocka_unit_test(a_trailer_that_counts_its_prefix_is_read),
        cmocka_unit_test(unknown_sections_are_skipped),
        cmocka_unit_test(sections_that_do_not_fit_are_named),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(the_recipient_is_rmt_then_the_writer),
        cmocka_unit_test(a_file_is_readdressed_and_nothing_else_changes),
        cmocka_unit_test(print_and_punch_are_told_apart),
        cmocka_unit_test(the_clock_of_the_host),
        cmocka_unit_test(presets_are_what_neighbours_bear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
