/* What is lost when these fail: a letter that came while memory was short, and should have been tried again later.
 * Every allocation of every codec is made to fail in turn: the answer is "no memory", never half a result. */
#include "base/fault.h"
#include "codec/bsmtp.h"
#include "codec/netdata_send.h"
#include "codec/note.h"
#include "codec/print.h"
#include "codec/profs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ALLOCATIONS_MAX = 500 };

static void assert_no_memory(int result, const struct err *err)
{
    if (result < 0)
        assert_int_equal(err->id, ERR_NO_MEMORY);
}

#ifdef OVVM_FAULTS
static void arm(unsigned n)
{
    char setting[32];
    (void)snprintf(setting, sizeof setting, n > 0 ? "alloc:%u+" : "alloc:0", n);
    assert_int_equal(setenv("OVVM_FAULT", setting, 1), 0);
    fault_init();
}
#else
static void arm(unsigned n)
{
    (void)n;
}
#endif

/* Runs `job` with the n-th and all later allocations failing, until n is beyond its last; it returns 0 or -1. */
static void exhaust(int (*job)(struct err *err))
{
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        struct err err = ERR_CLEAR;
        arm(n);
        int result = job(&err);
        arm(0);
        assert_no_memory(result, &err);
        if (result == 0) {
            assert_true(n > 1);
            return;
        }
    }
    fail_msg("it never succeeds");
}

static const struct note_address us = { { "X0000017" }, { "MICROSFT" } };
static const struct note_address them = { { "GEORGEB" }, { "MAPLEC1" } };

/* 300 lines are more than the first room of any buffer */
static void text_of(struct buf *text)
{
    for (int i = 0; i < 300; i++)
        buf_add_text(text, "A line of text, longer than some, and then some more to make it wrap at its words\n");
}

static int failed(bool failed, struct err *err)
{
    return failed ? err_set(err, ERR_NO_MEMORY, "no memory") : 0;
}

static int note_job(struct err *err)
{
    struct buf text = { 0 };
    struct records lines = { .count = 0 };
    struct note note = { .body = SPAN_EMPTY };
    text_of(&text);
    struct note_letter letter = { .from = us,
                                  .to = them,
                                  .subject = SPAN_LITERAL("Subject"),
                                  .address = SPAN_LITERAL("a@b"),
                                  .text = buf_span(&text) };
    note_build(&letter, &ebcdic_page_037, &lines, NULL);
    int result = failed(text.failed || lines.bytes.failed, err);
    if (result == 0)
        result = note_parse(&lines, &ebcdic_page_037, &note, err);
    if (result == 0)
        assert_string_equal(note.from.user.text, "X0000017");
    note_release(&note);
    records_free(&lines);
    buf_free(&text);
    return result;
}

static int netdata_job(struct err *err)
{
    struct records lines = { .count = 0 };
    struct records cards = { .count = 0 };
    struct buf made = { 0 };
    struct buf joined = { 0 };
    struct netdata_stream stream = { .files = NULL };
    for (int i = 0; i < 100; i++)
        records_add_padded(&lines, SPAN_LITERAL("\xC1"), 300, 0xC2);
    struct netdata_route route = {
        .from_node = us.node, .from_user = us.user, .to_node = them.node, .to_user = them.user
    };
    struct netdata_item item = { .name = { "A" }, .type = { "B" }, .fixed = true, .lrecl = 400, .records = &lines };
    int result = netdata_encode(NETDATA_TSO, &route, &lines, &item, &made, err);
    if (result == 0) {
        netdata_cards(buf_span(&made), &cards);
        records_join(&cards, &joined);
        result = failed(joined.failed, err);
    }
    if (result == 0)
        result = netdata_decode(buf_span(&joined), &stream, err);
    if (result == 0) {
        assert_int_equal(stream.file_count, 2);
        assert_int_equal(stream.files[1].records.count, 100);
        buf_clear(&made);
        result = netdata_encode_ack(&stream, 0, NULL, &made, err);
    }
    netdata_release(&stream);
    records_free(&lines);
    records_free(&cards);
    buf_free(&made);
    buf_free(&joined);
    return result;
}

static int profs_job(struct err *err)
{
    struct buf text = { 0 };
    struct records cards = { .count = 0 };
    struct profs_note note = { .body = SPAN_EMPTY };
    text_of(&text);
    struct profs_letter letter = {
        .from = us, .to = them, .subject = SPAN_LITERAL("Subject"), .text = buf_span(&text)
    };
    profs_build(&letter, &ebcdic_page_037, &cards, NULL);
    int result = failed(text.failed || cards.bytes.failed, err);
    if (result == 0) {
        struct reader walk = records_walk(&cards);
        result = profs_next(&walk, &ebcdic_page_037, &note, err) == 1 ? 0 : -1;
    }
    if (result == 0) {
        assert_true(span_equal(note.subject, SPAN_LITERAL("Subject")));
        assert_true(note.body.size + 2 > text.size);
    }
    profs_release(&note);
    records_free(&cards);
    buf_free(&text);
    return result;
}

static int bsmtp_job(struct err *err)
{
    static const struct span recipients[] = {
        SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"),
        SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"), SPAN_LITERAL("a@b"),
    };
    struct buf text = { 0 };
    struct records cards = { .count = 0 };
    struct bsmtp bsmtp = { .recipients = NULL };
    struct bsmtp_message message;
    text_of(&text);
    int result = failed(text.failed, err);
    if (result == 0)
        result = bsmtp_build(us.node, SPAN_LITERAL("c@d"), recipients, 10, buf_span(&text), &ebcdic_page_037, &cards,
                             NULL, err);
    if (result == 0)
        result = bsmtp_open(&bsmtp, &cards, &ebcdic_page_037, true, err);
    if (result == 0)
        result = bsmtp_next(&bsmtp, &message, err) == 1 ? 0 : -1;
    if (result == 0) {
        assert_int_equal(message.recipient_count, 10);
        assert_true(span_equal(message.data, buf_span(&text)));
    }
    bsmtp_close(&bsmtp);
    records_free(&cards);
    buf_free(&text);
    return result;
}

static int print_job(struct err *err)
{
    struct records from = { .count = 0 };
    struct records to = { .count = 0 };
    struct print_facts facts;
    for (int i = 0; i < 300; i++)
        records_add(&from, SPAN_LITERAL("\x40\xC1\xC2\xC3"));
    print_to_lines(&from, PRINT_ASA, &to, &facts);
    int result = failed(to.bytes.failed, err);
    if (result == 0)
        assert_int_equal(to.count, 300);
    records_free(&from);
    records_free(&to);
    return result;
}

static void notes(void **state)
{
    (void)state;
    exhaust(note_job);
}

static void netdata_streams(void **state)
{
    (void)state;
    exhaust(netdata_job);
}

static void profs_notes(void **state)
{
    (void)state;
    exhaust(profs_job);
}

static void bsmtp_files(void **state)
{
    (void)state;
    exhaust(bsmtp_job);
}

static void print_files(void **state)
{
    (void)state;
    exhaust(print_job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes),       cmocka_unit_test(netdata_streams), cmocka_unit_test(profs_notes),
        cmocka_unit_test(bsmtp_files), cmocka_unit_test(print_files),
    };
#ifndef OVVM_FAULTS
    (void)puts("1..0 # SKIP this build has no fault injection");
    return 0;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
