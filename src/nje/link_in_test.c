/* Files to us. What is lost when these fail: a letter of a host user on its way in. The neighbour is scripted byte for
 * byte. */
#include "base/log.h"
#include "nje/header.h"
#include "nje/link_rig.h"

#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_file_is_acknowledged_only_when_stored(void **state)
{
    struct rig *rig = *state;
    rig->hold_commit = true;
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(rig, 3, true);
    rig_wait(rig, rig->committed == 1);
    assert_int_equal(rig->got.size, rig->taken); /* no C0 yet */
    struct nje_incoming *file = &rig->in[0];
    assert_int_equal(file->facts.records, 3);
    assert_int_equal(file->facts.datasets, 1);
    assert_int_equal(file->facts.job.job_id, 7);
    assert_string_equal(file->facts.job.origin_user.text, "ALICE");
    assert_string_equal(file->facts.first.user.text, "BOB");
    assert_false(file->facts.headers_bad);
    assert_int_equal(file->facts.bytes, file->bytes.size);
    uint8_t sum[SHA256_DIGEST_LENGTH];
    (void)SHA256(file->bytes.at, file->bytes.size, sum);
    assert_memory_equal(sum, file->facts.sha256, sizeof sum);
    file->open = false;
    nje_link_committed(rig->link, 1, NULL);
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x99);
    assert_int_equal(rig->confirmed, 0);
    rig_say_records(rig, "\x90\x99\x00"); /* the neighbour goes on: it had the C0 */
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    assert_int_equal(rig->confirmed, 1);
}

static void a_file_that_cannot_be_stored_stays_with_the_neighbour(void **state)
{
    struct rig *rig = *state;
    rig->commit_fails = true;
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(rig, 1, true);
    rig_wait(rig, rig->closed);
    assert_int_equal(rig->got.size, rig->taken); /* no C0 */
    assert_int_equal(rig->abandoned, 1);
    assert_non_null(strstr(rig_last_error(rig), "no room on the disk"));
}

static void files_given_up_are_forgotten(void **state)
{
    struct rig *rig = *state;
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(rig, 2, false); /* EOF without a trailer: VM/370 flushes it */
    rig_wait(rig, rig->abandoned == 1);
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_records(rig, "\x99\x80\xC1\x50\x00\x99\x40\x40\x00"); /* transmitter cancel in mid-file */
    rig_wait(rig, rig->abandoned == 2);
    rig_expect_record(rig, 0x99, 0x80); /* confirmed: nothing of ours is on the stream */
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(rig, 0, true); /* a file without records is one all the same */
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x99);
    assert_int_equal(rig->committed, 1);
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_records(rig, "\x99\x80\x00"); /* given up before its first record: the trailer was the last file's */
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    assert_int_equal(rig->committed, 1);
}

static void files_with_bad_headers_are_taken_whole(void **state)
{
    struct rig *rig = *state;
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    /* a job header whose section is longer than it, no data set header, a record of no known kind */
    rig_say_records(rig, "\x99\xC0\xC8\x00\x08\x00\x00\x00\xC8\x00\x00\x00"
                         "\x99\x80\xC2\x50\xC1\x00\x99\xF0\xC1\x01\x00\x99\xD0\xC4\x00\x04\x00\x00\x00");
    rig_say_records(rig, "\x99\x00\x00"); /* EOF as JES2 sends it */
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x99);
    assert_true(rig->in[0].facts.headers_bad);
    assert_int_equal(rig->in[0].facts.records, 2);
    static const uint8_t whole[] = { 0,    9,    0xC0, 0, 8,    0, 0, 0, 0xC8, 0, 0, 0, 3, 0x80,
                                     0x50, 0xC1, 0,    2, 0xF0, 1, 0, 5, 0xD0, 0, 4, 0, 0 };
    assert_int_equal(rig->in[0].bytes.size, sizeof whole);
    assert_memory_equal(rig->in[0].bytes.at, whole, sizeof whole);
}

static void permission_waits_for_room(void **state)
{
    struct rig *rig = *state;
    rig->full = true;
    rig_say_records(rig, "\x90\x99\x00");
    rig_say_payload(rig, SPAN_LITERAL("\x10\x70"));
    rig_say_records(rig, "\x9A\x80\xD8\x20\x77\x04\x00\xD5\xD6\xC4\xC5\xC2\x40\x40\x40\x00\x40\x40\x40\x40\x40\x40\x40"
                         "\x40\xD5\xD6\xC4\xC6\xC5\xC1\x40\x40\x40\x00\x00");
    rig_wait(rig, rig->message_count == 1);
    assert_int_equal(rig->got.size, rig->taken); /* nothing was answered */
    rig->full = false;
    nje_link_room(rig->link);
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
}

static void further_streams_wait_their_turn(void **state)
{
    struct rig *rig = *state;
    rig_say_records(rig, "\x90\xB9\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0xB9);
    rig_say_records(rig, "\x90\x99\x00");
    rig_say_records(rig, "\x90\xA9\x00");
    rig_say_records(rig, "\x90\xB9\x00"); /* already started */
    rig_expect_record(rig, NJE_RCB_NEGATIVE, 0xB9);
    rig_say_records(rig, "\xB9\x80\x00"); /* given up */
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(rig, 1, true);
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x99);
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0xA9);
}

static void jobs_and_fast_open(void **state)
{
    struct rig *rig = *state;
    /* SYSIN 2; then a request with FAST OPEN: data follow at once and no A0 may come */
    rig_say_records(rig, "\x90\xA8\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0xA8);
    rig_say_records(rig, "\xA8\xC0\xC4\x00\x04\x00\x00\x00\xA8\xD0\xC4\x00\x04\x00\x00\x00\xA8\x80\x00");
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0xA8);
    assert_true(rig->in[0].facts.sysin);
    assert_int_equal(rig->in[0].facts.stream, 2);
    rig->bcb++;
    rig_say(rig, SPAN_LITERAL("\0\0\0\x19\0\0\0\0\x80\0\0\x09\x10\x02\x82\x8F\xCF\x90\x99\0\0\0\0\0\0"));
    rig_say_file(rig, 1, true);
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x99);
}

static void a_spool_without_room_stops_the_reading(void **state)
{
    struct rig *rig = *state;
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig->choke = true;
    rig_say_records(rig, "\x99\xC0\xC4\x00\x04\x00\x00\x00");
    rig_wait(rig, rig->in[0].bytes.size > 0);
    size_t before = rig->in[0].bytes.size;
    rig_say_records(rig, "\x99\x80\xC1\x50\x00");
    for (int i = 0; i < 3; i++)
        (void)event_base_loop(loop_base(rig->loop), EVLOOP_NONBLOCK);
    assert_int_equal(rig->in[0].bytes.size, before);
    rig->choke = false;
    nje_link_room(rig->link);
    rig_wait(rig, rig->in[0].bytes.size > before);
}

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
    rig_sign_on(rig); /* and comes back by itself */
}

/* nje.md §4.1, NJ-05: seven streams at once, their records mixed in one buffer; each file arrives whole. */
static void seven_files_at_once(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    struct buf mixed = { 0 };
    options.streams = NJE_STREAMS;
    sign_on_with(rig, &options);
    for (int stream = 1; stream <= NJE_STREAMS; stream++) {
        const uint8_t request[] = { NJE_RCB_REQUEST, nje_sysout_rcb(stream), 0 };
        rig_say_buffer(rig, span_of(request, sizeof request));
        rig_expect_record(rig, NJE_RCB_PERMISSION, nje_sysout_rcb(stream));
    }
    static const uint8_t srcbs[] = { NJE_SRCB_NJH, NJE_SRCB_DSH, NJE_SRCB_DATA, NJE_SRCB_NJT };
    for (size_t i = 0; i < sizeof srcbs; i++)
        for (int stream = 1; stream <= NJE_STREAMS; stream++) {
            const uint8_t data[] = { 1, (uint8_t)(0xF0 + stream) };
            static const uint8_t header[] = { 0, 4, 0, 0 };
            bool is_data = srcbs[i] == NJE_SRCB_DATA;
            nje_buffer_record(&mixed, nje_sysout_rcb(stream), srcbs[i],
                              is_data ? span_of(data, sizeof data) : span_of(header, sizeof header));
        }
    rig_say_buffer(rig, buf_span(&mixed));
    for (int stream = NJE_STREAMS; stream >= 1; stream--) {
        const uint8_t end[] = { nje_sysout_rcb(stream), NJE_SRCB_DATA, 0 };
        rig_say_buffer(rig, span_of(end, sizeof end));
        rig_expect_record(rig, NJE_RCB_COMPLETE, nje_sysout_rcb(stream));
    }
    assert_int_equal(rig->committed, NJE_STREAMS);
    for (int i = 0; i < NJE_STREAMS; i++) {
        const struct nje_incoming *file = &rig->in[i];
        assert_int_equal(file->facts.records, 1);
        const uint8_t card[] = { 0, 3, NJE_SRCB_DATA, 1, (uint8_t)(0xF0 + file->stream) };
        assert_true(span_equal(span_slice(buf_span(&file->bytes), 14, sizeof card), span_of(card, sizeof card)));
    }
    buf_free(&mixed);
}

/* A job is a job header, cards and a trailer, without a data set header: nothing is wrong with it. */
static void a_job_is_taken_whole(void **state)
{
    struct rig *rig = *state;
    rig_say_records(rig, "\x90\x98\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x98);
    rig_say_file_on(rig, 0x98, 1, true);
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x98);
    assert_true(rig->in[0].facts.sysin);
    assert_false(rig->in[0].facts.headers_bad);
    rig_say_records(rig, "\x90\x98\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x98);
    struct nje_job job = { .job_id = 3, .job_name = "PAYROLL" };
    struct buf spool = { 0 }, records = { 0 };
    struct nje_trailer trailer = { .punch_records = 1 };
    struct nje_spool_record record;
    nje_job_encode(&spool, &job);
    nje_data_encode(&spool, SPAN_LITERAL("\x61\x61"), 80);
    nje_trailer_encode(&spool, &trailer);
    struct reader reader = reader_of(buf_span(&spool));
    while (nje_spool_next(&reader, &record, NULL) == 1)
        nje_buffer_record(&records, 0x98, record.srcb, record.bytes);
    rig_say_buffer(rig, buf_span(&records));
    rig_say_records(rig, "\x98\x00\x00");
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x98);
    assert_int_equal(rig->in[1].facts.datasets, 0);
    assert_string_equal(rig->in[1].facts.job.job_name, "PAYROLL");
    assert_string_equal(rig->in[1].facts.why_bad, "");
    buf_free(&spool);
    buf_free(&records);
}

/* nje.md §6: an EOF on stream s from us would end our own file there without a trailer. The confirmation of a cancel
 * waits until our stream is idle. */
static void a_cancel_is_not_confirmed_into_our_own_file(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 };
    rig->out[rig->out_count++] = rig_spool_file(&spool, 1);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig->hold_read = true;
    rig_say_records(rig, "\xA0\x99\x00");
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_records(rig, "\x99\xC0\xC4\0\4\0\0\x00"); /* a file begins, and is cancelled */
    rig_say_records(rig, "\x99\x40\x40\x00");
    rig_wait(rig, rig->abandoned == 1 && rig->reads == 1);
    rig_say_records(rig, "\x90\xA8\x00"); /* whose permission shows that nothing was said before it */
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0xA8);
    rig->hold_read = false;
    nje_link_piece(rig->link, 1, buf_span(&spool),
                   NULL); /* all of it at once; the next read is answered with its end */
    uint8_t srcb;
    do { /* our file, to its EOF */
        struct span heard = rig_hear_payload(rig);
        rig->bcb_ours.expected = (rig->bcb_ours.expected + 1) & 0x0F;
        assert_int_equal(heard.at[NJE_BUFFER_HEAD], 0x99);
        srcb = heard.at[NJE_BUFFER_HEAD + 2] == 0 ? 0 : heard.at[NJE_BUFFER_HEAD + 1];
    } while (srcb != 0);
    rig_say_records(rig, "\xC0\x99\x00");
    rig_wait(rig, rig->accepted == 1);
    rig_expect_record(rig, 0x99, 0x80); /* now */
    buf_free(&spool);
}

static void a_cancel_is_not_confirmed_late(void **state)
{
    struct rig *rig = *state;
    struct buf spool = { 0 };
    struct nje_link_options options = rig_options();
    options.times.cancel_us = 1;
    options.streams = 2;
    sign_on_with(rig, &options);
    rig->out[rig->out_count++] = rig_spool_file(&spool, 1);
    nje_link_kick(rig->link);
    rig_expect_record(rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_records(rig, "\x99\xC0\xC4\0\4\0\0\x00");
    rig_say_records(rig, "\x99\x40\x40\x00");
    rig_wait(rig, rig->abandoned == 1);
    rig_say_records(rig, "\xB0\x99\x00"); /* our file is refused: the stream is idle, but too late */
    rig_wait(rig, rig->returned == 1);
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    buf_free(&spool);
}

/* A file of which nothing more comes does not hold the stream for ever. */
static void a_file_that_stops_ends_the_link(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.times.stall_us = 20 * 1000;
    options.idle_probe_us = 10 * 1000;
    sign_on_with(rig, &options);
    rig_say_records(rig, "\x90\x99\x00");
    rig_wait(rig, rig->got.size > rig->taken);
    rig_say_records(rig, "\x99\xC0\xC4\0\4\0\0\x00");
    down_saying(rig, "sends nothing more of the file");
    assert_int_equal(rig->abandoned, 1);
}

/* A disk that stays full in mid-file: the partial file is dropped, the neighbour keeps its own. */
static void a_pause_has_an_end(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.times.pause_us = 20 * 1000;
    sign_on_with(rig, &options);
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig->choke = true;
    rig_say_records(rig, "\x99\xC0\xC4\0\4\0\0\x00");
    down_saying(rig, "no room");
    assert_int_equal(rig->abandoned, 1);
}

/* NJ-08: a link lost at any record of a file leaves no part of it. */
static void a_link_lost_at_any_record_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    static const struct span records[] = { { (const uint8_t *)"\x99\xC0\xC4\0\4\0\0\x00", 8 },
                                           { (const uint8_t *)"\x99\xE0\xC4\0\4\0\0\x00", 8 },
                                           { (const uint8_t *)"\x99\x80\xC2\x50\xC1\x00", 6 },
                                           { (const uint8_t *)"\x99\xD0\xC4\0\4\0\0\x00", 8 } };
    for (size_t cut = 0; cut <= sizeof records / sizeof records[0]; cut++) {
        unsigned begun = rig->begun;
        rig_say_records(rig, "\x90\x99\x00");
        rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
        for (size_t i = 0; i < cut; i++)
            rig_say_buffer(rig, records[i]);
        if (cut > 0)
            rig_wait(rig, rig->begun == begun + 1);
        rig_hang_up(rig);
        rig_sign_on(rig);
        assert_int_equal(rig->abandoned, cut);
        assert_int_equal(rig->committed, 0);
    }
}

/* The acknowledgement of the twin (SYSIN for SYSOUT of the same number) proves nothing about this one. */
static void a_twin_is_no_proof(void **state)
{
    struct rig *rig = *state;
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(rig, 1, true);
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x99);
    rig_say_records(rig, "\x90\x98\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x98);
    rig_say_file_on(rig, 0x98, 1, true);
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x98);
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    assert_int_equal(rig->confirmed, 0); /* it would be taken for that of the job */
}

int main(void)
{
    log_set_level(LOG_NJE, LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        rig_test_up(a_file_is_acknowledged_only_when_stored),
        rig_test_up(a_file_that_cannot_be_stored_stays_with_the_neighbour),
        rig_test_up(files_given_up_are_forgotten),
        rig_test_up(files_with_bad_headers_are_taken_whole),
        rig_test_up(permission_waits_for_room),
        rig_test_up(further_streams_wait_their_turn),
        rig_test_up(jobs_and_fast_open),
        rig_test_up(a_spool_without_room_stops_the_reading),
        rig_test(seven_files_at_once),
        rig_test_up(a_job_is_taken_whole),
        rig_test_up(a_cancel_is_not_confirmed_into_our_own_file),
        rig_test(a_cancel_is_not_confirmed_late),
        rig_test(a_file_that_stops_ends_the_link),
        rig_test(a_pause_has_an_end),
        rig_test_up(a_link_lost_at_any_record_leaves_nothing),
        rig_test_up(a_twin_is_no_proof),
    };
    return cmocka_run_group_tests_name("link_in", tests, NULL, NULL);
}
