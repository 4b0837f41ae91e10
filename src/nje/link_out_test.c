/* Files from us. What is lost when these fail: a letter to a host user, or the stream it should go by. The neighbour is
 * scripted byte for byte. */
#include "base/log.h"
#include "nje/link_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The file the link sends, as spool bytes; up to its EOF. */
static void hear_file(struct rig *rig, uint8_t rcb, struct buf *file, size_t limit)
{
    for (;;) {
        struct nje_payload payload;
        struct nje_record_walk walk;
        struct nje_record record;
        struct span heard = rig_hear_payload(rig);
        assert_true(heard.size <= limit);
        assert_int_equal(nje_payload_decode(heard, &payload, NULL), 0);
        assert_int_equal(nje_bcb_arrived(&rig->bcb_ours, payload.bcb), NJE_BCB_TAKE);
        nje_record_walk_init(&walk, payload.records);
        unsigned in_buffer = 0, headers = 0;
        while (nje_record_next(&walk, &record, NULL) == 1) {
            assert_int_equal(record.rcb, rcb);
            if (record.null) {
                assert_int_equal(record.srcb, 0x80);
                return;
            }
            nje_spool_put(file, record.srcb, record.bytes);
            in_buffer++;
            headers += record.srcb >= 0xC0;
        }
        assert_true(headers == 0 || in_buffer == 1); /* each header alone in its buffer */
    }
}

static void a_file_goes_out_whole(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 }, heard = { 0 };
    rig->out[rig->out_count++] = rig_spool_file(&spool, 2000);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xA0\x99\x00");
    hear_file(rig, 0x99, &heard, 1024); /* the size agreed at sign-on */
    assert_true(span_equal(buf_span(&heard), buf_span(&spool)));
    assert_int_equal(rig->accepted, 0);
    rig_say_records(rig, "\xC0\x99\x00");
    rig_wait(rig, rig->accepted == 1);
    assert_int_equal(rig->returned, 0);
    buf_free(&spool);
    buf_free(&heard);
}

/* A link that waited for each commit would be as slow as the disk; one that never waited could send any number of files
 * again after a crash. */
static void files_go_on_while_acceptances_are_written(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 }, heard = { 0 };
    rig->hold_record = true;
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    while (rig->out_count <= NJE_RECORDING_MAX)
        rig->out[rig->out_count++] = rig->out[0];
    nje_link_kick(rig->link);
    for (unsigned sent = 1; sent <= NJE_RECORDING_MAX; sent++) {
        rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
        rig_say_records(rig, "\xA0\x99\x00");
        hear_file(rig, 0x99, &heard, 1024);
        rig_say_records(rig, "\xC0\x99\x00");
        rig_wait(rig, rig->accepted == sent);
    }
    assert_int_equal(rig->out_next, NJE_RECORDING_MAX);
    nje_link_removed(rig->link, 1);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    assert_int_equal(rig->out_next, NJE_RECORDING_MAX + 1);
    buf_free(&spool);
    buf_free(&heard);
}

static void a_file_that_is_refused_goes_back(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 };
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xB0\x99\x00");
    rig_wait(rig, rig->returned == 1);
    assert_int_equal(rig->counted, 1);
    assert_int_equal(rig_state(rig), NJE_LINK_UP);
    buf_free(&spool);
}

static void a_file_that_is_cancelled_is_answered_and_goes_back(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 }, heard = { 0 };
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig->hold_read = true;
    rig_say_records(rig, "\xA0\x99\x00");
    rig_wait(rig, rig->reads == 1);
    rig_say_records(rig, "\xB0\x99\xC2");
    struct span cancel = rig_hear_payload(rig);
    assert_true(span_equal(span_slice(cancel, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\x99\x40\x40\x00\x00")));
    assert_int_equal(rig->returned, 0); /* not under an outstanding read */
    nje_link_piece(rig->link, 1, SPAN_EMPTY, NULL);
    assert_int_equal(rig->returned, 1);
    assert_int_equal(rig->counted, 1);
    /* a C0 now is the end of the cancel, never an acceptance */
    rig_say_records(rig, "\xC0\x99\x00");
    rig_say_records(rig, "\x90\x99\x00");
    rig_wait(rig, rig->got.size > rig->taken);
    assert_int_equal(rig->accepted, 0);
    buf_free(&spool);
    buf_free(&heard);
}

static void a_spool_file_that_cannot_be_sent_is_cancelled(void **state)
{
    struct rig *rig = *state;
    /* it ends within a record */
    rig->out[rig->out_count++] = SPAN_LITERAL("\x00\x05\xC0\x00\x04\x00\x00\x00\x03\x80");
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xA0\x99\x00");
    assert_int_equal(rig_hear_payload(rig).at[NJE_BUFFER_HEAD + 1], NJE_SRCB_NJH);
    struct span cancel = rig_hear_payload(rig);
    assert_true(span_equal(span_slice(cancel, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\x99\x40\x40\x00\x00")));
    rig_wait(rig, rig->returned == 1);
    assert_int_equal(rig->counted, 1);
    assert_non_null(strstr(rig->why.text, "within a record"));
}

static void a_lost_link_gives_the_file_back_uncounted(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 }, heard = { 0 };
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xA0\x99\x00");
    hear_file(rig, 0x99, &heard, 1024);
    rig_hang_up(rig); /* without C0: it goes again, whole */
    rig_wait(rig, rig->returned == 1);
    assert_int_equal(rig->counted, 0);
    rig->out_next = 0;
    rig_sign_on(rig);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    buf_free(&spool);
    buf_free(&heard);
}

static void an_early_acknowledgement_is_none(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 };
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xC0\x99\x00");
    rig_wait(rig, rig->returned == 1);
    assert_int_equal(rig->accepted, 0);
    assert_int_equal(rig->counted, 0);
    buf_free(&spool);
}

static void the_neighbour_can_hold_us(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 }, heard = { 0 };
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    /* A0 with SYSOUT 1 held, then a null buffer that holds all */
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x80\x8F\xCE\xA0\x99\x00\x00"));
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x81\xC0\x80\x00"));
    struct nje_message message = { .text = "hello" };
    (void)name8_parse(SPAN_LITERAL("NODEA"), "node", &message.to_node, NULL);
    (void)name8_parse(SPAN_LITERAL("NODEB"), "node", &message.from_node, NULL);
    /* a message that comes after the hold shows that it was seen */
    rig_say_payload(rig,
                    SPAN_LITERAL("\x10\x02\x82\xC0\x80\x9A\x80\xDE\x20\x77\x04\x00\xD5\xD6\xC4\xC5\xC2\x40\x40\x40"
                                 "\x00\x40\x40\x40\x40\x40\x40\x40\x40\xD5\xD6\xC4\xC5\xC1\x40\x40\x40\x00\x00\x00"));
    rig_wait(rig, rig->message_count == 1);
    assert_true(nje_link_send_message(rig->link, &message));
    assert_int_equal(rig->reads, 0);
    assert_int_equal(rig->got.size, rig->taken);
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x83\x8F\xCF\x00"));
    struct span nmr = rig_hear_payload(rig);
    assert_int_equal(nmr.at[NJE_BUFFER_HEAD], NJE_RCB_NMR);
    rig->bcb_ours.expected++;
    hear_file(rig, 0x99, &heard, 1024);
    buf_free(&spool);
    buf_free(&heard);
}

/* --- answers that do not come --- */

static void sign_on_with(struct rig *rig, struct nje_link_options *options)
{
    options->connect = rig->address;
    rig_link(rig, options);
    rig_sign_on(rig);
}

static void down_saying(struct rig *rig, const char *says)
{
    rig_wait(rig, rig->closed);
    if (strstr(rig_last_error(rig), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", rig_last_error(rig), says);
}

/* nje.md §6: VM/370 and NJE38 reject a file by saying nothing; a 90 for a stream they have not is not answered either.
 */
static void silence_is_no_acceptance(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 }, heard = { 0 };
    struct nje_link_options options = rig_options();
    options.times.answer_us = 50 * 1000;
    sign_on_with(rig, &options);
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    down_saying(rig, "gives no permission");
    assert_int_equal(rig->returned, 1);
    assert_int_equal(rig->counted, 0);
    rig->out_next = 0;
    rig_sign_on(rig);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xA0\x99\x00");
    hear_file(rig, 0x99, &heard, 1024);
    down_saying(rig, "no acknowledgement (C0)");
    assert_int_equal(rig->returned, 2);
    assert_int_equal(rig->counted, 1); /* its third time it goes back to its sender */
    assert_int_equal(rig->accepted, 0);
    rig->out_next = 0;
    rig_sign_on(rig);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x80\x8F\xCE\xA0\x99\x00\x00")); /* permitted, and held for ever */
    down_saying(rig, "holds stream 1");
    buf_free(&spool);
    buf_free(&heard);
}

static void a_refused_stream_asks_again_later(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 };
    struct nje_link_options options = rig_options();
    options.times.refused_us = 10 * 1000;
    sign_on_with(rig, &options);
    rig->out[rig->out_count++] = rig_spool_file(&spool, 3);
    rig->out[rig->out_count++] = rig->out[0];
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xB0\x99\x00");
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    assert_int_equal(rig->returned, 1);
    buf_free(&spool);
}

/* nje.md §6: after our cancel EOF, C0, B0 or silence is its end. UnixNJE's EOF is always on RCB 99. */
static void each_end_of_a_cancel_frees_the_stream(void **state)
{
    struct rig *rig = *state;
    static const char *const ends[] = { "\xA9\x80", "\x99\xA9", "\xC0\xA9", "\xB0\xA9", "" };
    struct buf spool = { 0 };
    struct nje_link_options options = rig_options();
    options.streams = 2;
    options.times.cancel_us = 20 * 1000;
    options.times.refused_us = 1;
    sign_on_with(rig, &options);
    rig->hold_read = true;
    rig_spool_file(&spool, 3);
    rig->out[rig->out_count++] = buf_span(&spool); /* on stream 1 all the time */
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        rig->out[rig->out_count++] = buf_span(&spool);
        nje_link_kick(rig->link);
        rig_expect_record(rig, NJE_RCB_REQUEST, 0xA9);
        rig_say_records(rig, "\xA0\xA9\x00");
        rig_wait(rig, rig->reads == i + 1);
        rig_say_records(rig, "\xB0\xA9\x00");
        struct span cancel = rig_hear_payload(rig);
        assert_true(span_equal(span_slice(cancel, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\xA9\x40\x40\x00\x00")));
        rig->bcb_ours.expected = (rig->bcb_ours.expected + 1) & 0x0F;
        nje_link_piece(rig->link, 2, SPAN_EMPTY, NULL);
        if (ends[i][0] != '\0') {
            const uint8_t end[] = { (uint8_t)ends[i][0], (uint8_t)ends[i][1], 0 };
            rig_say_buffer(rig, span_of(end, sizeof end));
        }
    }
    rig->out[rig->out_count++] = buf_span(&spool);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0xA9);
    assert_int_equal(rig->accepted, 0);
    assert_int_equal(rig->counted, sizeof ends / sizeof ends[0]);
    buf_free(&spool);
}

static void a_neighbour_that_never_reads_is_left(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 };
    struct nje_link_options options = rig_options();
    options.times.write_us = 50 * 1000;
    sign_on_with(rig, &options);
    rig->out[rig->out_count++] = rig_spool_file(&spool, 100000); /* more than the sockets hold */
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\xA0\x99\x00");
    (void)event_del(rig->readable);
    rig_wait(rig, rig->returned == 1);
    assert_int_equal(rig->counted, 0);
    assert_non_null(strstr(rig_last_error(rig), "does not read"));
    buf_free(&spool);
}

/* --- several streams --- */

/* One of two streams is kept for small files; the small one is through long before the large one. */
static void a_small_file_does_not_wait_for_a_large_one(void **state)
{
    struct rig *rig = *state;
    struct buf large = { 0 }, small = { 0 };
    struct nje_link_options options = rig_options();
    options.streams = 2;
    sign_on_with(rig, &options);
    rig->out[rig->out_count++] = rig_spool_file(&large, 5000);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    assert_int_equal(nje_link_file_limit(rig->link, 2), NJE_SMALL_FILE);
    assert_true(nje_link_file_limit(rig->link, 1) == UINT64_MAX);
    rig->out[rig->out_count++] = rig_spool_file(&small, 100);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0xA9);
    rig_say_records(rig, "\xA0\x99\x00");
    rig_say_records(rig, "\xA0\xA9\x00");
    size_t of_large = 0;
    bool ended = false;
    while (!ended) {
        struct nje_payload payload;
        struct nje_record_walk walk;
        struct nje_record record;
        assert_int_equal(nje_payload_decode(rig_hear_payload(rig), &payload, NULL), 0);
        nje_record_walk_init(&walk, payload.records);
        while (nje_record_next(&walk, &record, NULL) == 1) {
            of_large += record.rcb == 0x99;
            ended = ended || (record.rcb == 0xA9 && record.null);
        }
    }
    assert_true(of_large < 1500); /* what filled the way before it began, and then one for one */
    buf_free(&large);
    buf_free(&small);
}

/* nje.md §4: each stream has its bit in FCS. */
static void a_held_stream_holds_no_other(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 }, heard = { 0 };
    struct nje_link_options options = rig_options();
    options.streams = 2;
    sign_on_with(rig, &options);
    rig->out[rig->out_count++] = rig_spool_file(&spool, 30);
    rig->out[rig->out_count++] = rig->out[0];
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0xA9);
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x80\x8F\xCE\xA0\x99\x00\xA0\xA9\x00\x00"));
    hear_file(rig, 0xA9, &heard, 1024);
    assert_int_equal(rig->got.size, rig->taken); /* nothing of stream 1 */
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x81\x8F\xCF\xC0\xA9\x00\x00"));
    buf_clear(&heard);
    hear_file(rig, 0x99, &heard, 1024);
    assert_true(span_equal(buf_span(&heard), buf_span(&spool)));
    assert_int_equal(rig->accepted, 1);
    buf_free(&spool);
    buf_free(&heard);
}

int main(void)
{
    log_set_level(LOG_NJE, LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        rig_test_up(a_file_goes_out_whole),
        rig_test_up(files_go_on_while_acceptances_are_written),
        rig_test_up(a_file_that_is_refused_goes_back),
        rig_test_up(a_file_that_is_cancelled_is_answered_and_goes_back),
        rig_test_up(a_spool_file_that_cannot_be_sent_is_cancelled),
        rig_test_up(a_lost_link_gives_the_file_back_uncounted),
        rig_test_up(an_early_acknowledgement_is_none),
        rig_test_up(the_neighbour_can_hold_us),
        rig_test(silence_is_no_acceptance),
        rig_test(a_refused_stream_asks_again_later),
        rig_test(each_end_of_a_cancel_frees_the_stream),
        rig_test(a_neighbour_that_never_reads_is_left),
        rig_test(a_small_file_does_not_wait_for_a_large_one),
        rig_test(a_held_stream_holds_no_other),
    };
    return cmocka_run_group_tests_name("link_out", tests, NULL, NULL);
}
