/* What is lost when these fail: a letter on its way through the link, or the link itself. The neighbour is scripted
 * byte for byte. */
#include "base/log.h"
#include "nje/header.h"
#include "nje/link_rig.h"

#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void up(struct rig *rig)
{
    rig_open(rig);
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    rig_link(rig, &options);
    rig_sign_on(rig);
}

static void down_with(struct rig *rig, const char *says)
{
    rig_wait(rig, rig->closed);
    if (strstr(rig_last_error(rig), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", rig_last_error(rig), says);
    rig_sign_on(rig); /* and comes back by itself */
}

static void a_file_is_acknowledged_only_when_stored(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig.hold_commit = true;
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(&rig, 3, true);
    rig_wait(&rig, rig.committed == 1);
    assert_int_equal(rig.got.size, rig.taken); /* no C0 yet */
    struct nje_incoming *file = &rig.in[0];
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
    nje_link_committed(rig.link, 1, NULL);
    rig_expect_record(&rig, NJE_RCB_COMPLETE, 0x99);
    assert_int_equal(rig.confirmed, 0);
    rig_say_records(&rig, "\x90\x99\x00"); /* the neighbour goes on: it had the C0 */
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    assert_int_equal(rig.confirmed, 1);
    rig_close(&rig);
}

static void a_file_that_cannot_be_stored_stays_with_the_neighbour(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig.commit_fails = true;
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(&rig, 1, true);
    rig_wait(&rig, rig.closed);
    assert_int_equal(rig.got.size, rig.taken); /* no C0 */
    assert_int_equal(rig.abandoned, 1);
    assert_non_null(strstr(rig_last_error(&rig), "no room on the disk"));
    rig_close(&rig);
}

static void files_given_up_are_forgotten(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(&rig, 2, false); /* EOF without a trailer: VM/370 flushes it */
    rig_wait(&rig, rig.abandoned == 1);
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_records(&rig, "\x99\x80\xC1\x50\x00\x99\x40\x40\x00"); /* transmitter cancel in mid-file */
    rig_wait(&rig, rig.abandoned == 2);
    rig_expect_record(&rig, 0x99, 0x80); /* confirmed: nothing of ours is on the stream */
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(&rig, 0, true); /* a file without records is one all the same */
    rig_expect_record(&rig, NJE_RCB_COMPLETE, 0x99);
    assert_int_equal(rig.committed, 1);
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_records(&rig, "\x99\x80\x00"); /* given up before its first record: the trailer was the last file's */
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    assert_int_equal(rig.committed, 1);
    rig_close(&rig);
}

static void files_with_bad_headers_are_taken_whole(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    /* a job header whose section is longer than it, no data set header, a record of no known kind */
    rig_say_records(&rig, "\x99\xC0\xC8\x00\x08\x00\x00\x00\xC8\x00\x00\x00"
                          "\x99\x80\xC2\x50\xC1\x00\x99\xF0\xC1\x01\x00\x99\xD0\xC4\x00\x04\x00\x00\x00");
    rig_say_records(&rig, "\x99\x00\x00"); /* EOF as JES2 sends it */
    rig_expect_record(&rig, NJE_RCB_COMPLETE, 0x99);
    assert_true(rig.in[0].facts.headers_bad);
    assert_int_equal(rig.in[0].facts.records, 2);
    static const uint8_t whole[] = { 0,    9,    0xC0, 0, 8,    0, 0, 0, 0xC8, 0, 0, 0, 3, 0x80,
                                     0x50, 0xC1, 0,    2, 0xF0, 1, 0, 5, 0xD0, 0, 4, 0, 0 };
    assert_int_equal(rig.in[0].bytes.size, sizeof whole);
    assert_memory_equal(rig.in[0].bytes.at, whole, sizeof whole);
    rig_close(&rig);
}

static void permission_waits_for_room(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig.full = true;
    rig_say_records(&rig, "\x90\x99\x00");
    rig_say_payload(&rig, SPAN_LITERAL("\x10\x70"));
    rig_say_records(&rig, "\x9A\x80\xD8\x20\x77\x04\x00\xD5\xD6\xC4\xC5\xC2\x40\x40\x40\x00\x40\x40\x40\x40\x40\x40\x40"
                          "\x40\xD5\xD6\xC4\xC6\xC5\xC1\x40\x40\x40\x00\x00");
    rig_wait(&rig, rig.message_count == 1);
    assert_int_equal(rig.got.size, rig.taken); /* nothing was answered */
    rig.full = false;
    nje_link_room(rig.link);
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_close(&rig);
}

static void further_streams_wait_their_turn(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig_say_records(&rig, "\x90\xB9\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0xB9);
    rig_say_records(&rig, "\x90\x99\x00");
    rig_say_records(&rig, "\x90\xA9\x00");
    rig_say_records(&rig, "\x90\xB9\x00"); /* already started */
    rig_expect_record(&rig, NJE_RCB_NEGATIVE, 0xB9);
    rig_say_records(&rig, "\xB9\x80\x00"); /* given up */
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(&rig, 1, true);
    rig_expect_record(&rig, NJE_RCB_COMPLETE, 0x99);
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0xA9);
    rig_close(&rig);
}

static void jobs_and_fast_open(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    /* SYSIN 2; then a request with FAST OPEN: data follow at once and no A0 may come */
    rig_say_records(&rig, "\x90\xA8\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0xA8);
    rig_say_records(&rig, "\xA8\xC0\xC4\x00\x04\x00\x00\x00\xA8\xD0\xC4\x00\x04\x00\x00\x00\xA8\x80\x00");
    rig_expect_record(&rig, NJE_RCB_COMPLETE, 0xA8);
    assert_true(rig.in[0].facts.sysin);
    assert_int_equal(rig.in[0].facts.stream, 2);
    rig.bcb++;
    rig_say(&rig, SPAN_LITERAL("\0\0\0\x19\0\0\0\0\x80\0\0\x09\x10\x02\x82\x8F\xCF\x90\x99\0\0\0\0\0\0"));
    rig_say_file(&rig, 1, true);
    rig_expect_record(&rig, NJE_RCB_COMPLETE, 0x99);
    rig_close(&rig);
}

static void a_spool_without_room_stops_the_reading(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig.choke = true;
    rig_say_records(&rig, "\x99\xC0\xC4\x00\x04\x00\x00\x00");
    rig_wait(&rig, rig.in[0].bytes.size > 0);
    size_t before = rig.in[0].bytes.size;
    rig_say_records(&rig, "\x99\x80\xC1\x50\x00");
    for (int i = 0; i < 3; i++)
        (void)event_base_loop(loop_base(rig.loop), EVLOOP_NONBLOCK);
    assert_int_equal(rig.in[0].bytes.size, before);
    rig.choke = false;
    nje_link_room(rig.link);
    rig_wait(&rig, rig.in[0].bytes.size > before);
    rig_close(&rig);
}

/* --- sending --- */

static struct span spool_file(struct buf *spool, unsigned records)
{
    struct nje_job job = { .job_id = 9 };
    struct nje_dataset dataset = { .number = 1 };
    struct nje_trailer trailer = { .punch_records = records };
    (void)name8_parse(SPAN_LITERAL("BOB"), "user", &job.origin_user, NULL);
    nje_job_encode(spool, &job);
    nje_dataset_encode(spool, &dataset);
    for (unsigned i = 0; i < records; i++) {
        uint8_t card[80];
        memset(card, 0x40, sizeof card);
        for (size_t at = 0; at < sizeof card - 9; at++)
            card[at] = (uint8_t)(0xC1 + (i + at * 7) % 9);
        nje_data_encode(spool, span_of(card, sizeof card), 80);
    }
    nje_trailer_encode(spool, &trailer);
    return buf_span(spool);
}

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
    (void)state;
    struct rig rig;
    struct buf spool = { 0 }, heard = { 0 };
    up(&rig);
    rig.out[rig.out_count++] = spool_file(&spool, 2000);
    nje_link_kick(rig.link);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(&rig, "\xA0\x99\x00");
    hear_file(&rig, 0x99, &heard, 1024); /* the size agreed at sign-on */
    assert_true(span_equal(buf_span(&heard), buf_span(&spool)));
    assert_int_equal(rig.accepted, 0);
    rig_say_records(&rig, "\xC0\x99\x00");
    rig_wait(&rig, rig.accepted == 1);
    assert_int_equal(rig.returned, 0);
    rig_close(&rig);
    buf_free(&spool);
    buf_free(&heard);
}

/* A link that waited for each commit would be as slow as the disk; one that never waited could send any number of files
 * again after a crash. */
static void files_go_on_while_acceptances_are_written(void **state)
{
    (void)state;
    struct rig rig;
    struct buf spool = { 0 }, heard = { 0 };
    up(&rig);
    rig.hold_record = true;
    rig.out[rig.out_count++] = spool_file(&spool, 3);
    while (rig.out_count <= NJE_RECORDING_MAX)
        rig.out[rig.out_count++] = rig.out[0];
    nje_link_kick(rig.link);
    for (unsigned sent = 1; sent <= NJE_RECORDING_MAX; sent++) {
        rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
        rig_say_records(&rig, "\xA0\x99\x00");
        hear_file(&rig, 0x99, &heard, 1024);
        rig_say_records(&rig, "\xC0\x99\x00");
        rig_wait(&rig, rig.accepted == sent);
    }
    assert_int_equal(rig.out_next, NJE_RECORDING_MAX);
    nje_link_removed(rig.link, 1);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    assert_int_equal(rig.out_next, NJE_RECORDING_MAX + 1);
    rig_close(&rig);
    buf_free(&spool);
    buf_free(&heard);
}

static void a_file_that_is_refused_goes_back(void **state)
{
    (void)state;
    struct rig rig;
    struct buf spool = { 0 };
    up(&rig);
    rig.out[rig.out_count++] = spool_file(&spool, 3);
    nje_link_kick(rig.link);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(&rig, "\xB0\x99\x00");
    rig_wait(&rig, rig.returned == 1);
    assert_int_equal(rig.counted, 1);
    assert_int_equal(rig_state(&rig), NJE_LINK_UP);
    rig_close(&rig);
    buf_free(&spool);
}

static void a_file_that_is_cancelled_is_answered_and_goes_back(void **state)
{
    (void)state;
    struct rig rig;
    struct buf spool = { 0 }, heard = { 0 };
    up(&rig);
    rig.out[rig.out_count++] = spool_file(&spool, 3);
    nje_link_kick(rig.link);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    rig.hold_read = true;
    rig_say_records(&rig, "\xA0\x99\x00");
    rig_wait(&rig, rig.reads == 1);
    rig_say_records(&rig, "\xB0\x99\xC2");
    struct span cancel = rig_hear_payload(&rig);
    assert_true(span_equal(span_slice(cancel, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\x99\x40\x40\x00\x00")));
    assert_int_equal(rig.returned, 0); /* not under an outstanding read */
    nje_link_piece(rig.link, 1, SPAN_EMPTY, NULL);
    assert_int_equal(rig.returned, 1);
    assert_int_equal(rig.counted, 1);
    /* a C0 now is the end of the cancel, never an acceptance */
    rig_say_records(&rig, "\xC0\x99\x00");
    rig_say_records(&rig, "\x90\x99\x00");
    rig_wait(&rig, rig.got.size > rig.taken);
    assert_int_equal(rig.accepted, 0);
    rig_close(&rig);
    buf_free(&spool);
    buf_free(&heard);
}

static void a_spool_file_that_cannot_be_sent_is_cancelled(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    /* it ends within a record */
    rig.out[rig.out_count++] = SPAN_LITERAL("\x00\x05\xC0\x00\x04\x00\x00\x00\x03\x80");
    nje_link_kick(rig.link);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(&rig, "\xA0\x99\x00");
    assert_int_equal(rig_hear_payload(&rig).at[NJE_BUFFER_HEAD + 1], NJE_SRCB_NJH);
    struct span cancel = rig_hear_payload(&rig);
    assert_true(span_equal(span_slice(cancel, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\x99\x40\x40\x00\x00")));
    rig_wait(&rig, rig.returned == 1);
    assert_int_equal(rig.counted, 1);
    assert_non_null(strstr(rig.why.text, "within a record"));
    rig_close(&rig);
}

static void a_lost_link_gives_the_file_back_uncounted(void **state)
{
    (void)state;
    struct rig rig;
    struct buf spool = { 0 }, heard = { 0 };
    up(&rig);
    rig.out[rig.out_count++] = spool_file(&spool, 3);
    nje_link_kick(rig.link);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(&rig, "\xA0\x99\x00");
    hear_file(&rig, 0x99, &heard, 1024);
    rig_hang_up(&rig); /* without C0: it goes again, whole */
    rig_wait(&rig, rig.returned == 1);
    assert_int_equal(rig.counted, 0);
    rig.out_next = 0;
    rig_sign_on(&rig);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    rig_close(&rig);
    buf_free(&spool);
    buf_free(&heard);
}

static void an_early_acknowledgement_is_none(void **state)
{
    (void)state;
    struct rig rig;
    struct buf spool = { 0 };
    up(&rig);
    rig.out[rig.out_count++] = spool_file(&spool, 3);
    nje_link_kick(rig.link);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    rig_say_records(&rig, "\xC0\x99\x00");
    rig_wait(&rig, rig.returned == 1);
    assert_int_equal(rig.accepted, 0);
    assert_int_equal(rig.counted, 0);
    rig_close(&rig);
    buf_free(&spool);
}

static void the_neighbour_can_hold_us(void **state)
{
    (void)state;
    struct rig rig;
    struct buf spool = { 0 }, heard = { 0 };
    up(&rig);
    rig.out[rig.out_count++] = spool_file(&spool, 3);
    nje_link_kick(rig.link);
    rig_expect_record(&rig, NJE_RCB_REQUEST, 0x99);
    /* A0 with SYSOUT 1 held, then a null buffer that holds all */
    rig_say_payload(&rig, SPAN_LITERAL("\x10\x02\x80\x8F\xCE\xA0\x99\x00\x00"));
    rig_say_payload(&rig, SPAN_LITERAL("\x10\x02\x81\xC0\x80\x00"));
    struct nje_message message = { .text = "hello" };
    (void)name8_parse(SPAN_LITERAL("NODEA"), "node", &message.to_node, NULL);
    (void)name8_parse(SPAN_LITERAL("NODEB"), "node", &message.from_node, NULL);
    /* a message that comes after the hold shows that it was seen */
    rig_say_payload(&rig,
                    SPAN_LITERAL("\x10\x02\x82\xC0\x80\x9A\x80\xDE\x20\x77\x04\x00\xD5\xD6\xC4\xC5\xC2\x40\x40\x40"
                                 "\x00\x40\x40\x40\x40\x40\x40\x40\x40\xD5\xD6\xC4\xC5\xC1\x40\x40\x40\x00\x00\x00"));
    rig_wait(&rig, rig.message_count == 1);
    assert_true(nje_link_send_message(rig.link, &message));
    assert_int_equal(rig.reads, 0);
    assert_int_equal(rig.got.size, rig.taken);
    rig_say_payload(&rig, SPAN_LITERAL("\x10\x02\x83\x8F\xCF\x00"));
    struct span nmr = rig_hear_payload(&rig);
    assert_int_equal(nmr.at[NJE_BUFFER_HEAD], NJE_RCB_NMR);
    rig.bcb_ours.expected++;
    hear_file(&rig, 0x99, &heard, 1024);
    rig_close(&rig);
    buf_free(&spool);
    buf_free(&heard);
}

/* --- the connection --- */

static void broken_frames_end_the_connection_which_comes_back(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig_say(&rig, SPAN_LITERAL("\0\0\xFF\xFF\0\0\0\0\0\0\0\0"));
    down_with(&rig, "TTB with length 65535");
    rig_say(&rig, SPAN_LITERAL("\0\0\0\x04\0\0\0\0\0\0\0\0"));
    down_with(&rig, "TTB with length 4");
    rig_say_payload(&rig, SPAN_LITERAL("\xC1\xC2\xC3"));
    down_with(&rig, "X'C1C2C3'");
    rig_say_records(&rig, "\x99\x80\xC1\x50\x00");
    down_with(&rig, "not started");
    rig_say_records(&rig, "\x77\x80\x00");
    down_with(&rig, "RCB X'77'");
    rig_say_records(&rig, "\x9A\x80\x3F\x00");
    down_with(&rig, "SCB X'3F'");
    rig_say_payload(&rig, SPAN_LITERAL("\x01\x2D\xFF"));
    down_with(&rig, "restarted");
    rig_say_records(&rig, "\xE0\x85\x00");
    down_with(&rig, "X'85'");
    rig_hang_up(&rig);
    rig_sign_on(&rig);
    rig_close(&rig);
}

static void a_lost_buffer_is_told(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig_say_payload(&rig, SPAN_LITERAL("\x10\x02\x85\x8F\xCF\x00"));
    rig_expect_bytes(&rig, "\x10\x02\x95\x8F\xCF\xE0\x80\x00\x00"); /* 5 received, 0 expected */
    down_with(&rig, "BCB");
    rig_close(&rig);
}

static void null_buffers_count_and_are_never_answered(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    for (int i = 0; i < 20; i++)
        rig_say_records(&rig, "");
    rig_say(&rig, SPAN_LITERAL("\0\0\0\x0C\0\0\0\0\0\0\0\0"));                  /* an empty block */
    rig_say_buffer(&rig, SPAN_LITERAL("\xF0\xD3\x09\xFF\xFF\xFF\xFF\x00\xC8")); /* L, as NJElib sends it */
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_close(&rig);
}

static void a_sign_off_is_no_failure(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig_say_buffer(&rig, SPAN_LITERAL("\xF0\xC2\xFF")); /* as UnixNJE sends it */
    rig_wait(&rig, rig.closed);
    assert_string_equal(rig_last_error(&rig), "");
    rig_sign_on(&rig);
    assert_int_equal(rig.state_changes, 3); /* up, down, up */
    rig_close(&rig);
}

static void drained(void *arg)
{
    ((struct rig *)arg)->drained = true;
}

static void draining_waits_and_signs_off(void **state)
{
    (void)state;
    struct rig rig;
    up(&rig);
    rig.hold_commit = true;
    rig_say_records(&rig, "\x90\x99\x00");
    rig_expect_record(&rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(&rig, 1, true);
    rig_wait(&rig, rig.committed == 1);
    nje_link_drain(rig.link, 5 * 1000 * 1000, drained, &rig);
    assert_int_equal(rig_state(&rig), NJE_LINK_DRAINING);
    rig.in[0].open = false;
    nje_link_committed(rig.link, 1, NULL);
    rig_expect_record(&rig, NJE_RCB_COMPLETE, 0x99);
    struct span off = rig_hear_payload(&rig);
    assert_true(span_equal(span_slice(off, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\xF0\xC2\x00")));
    rig_wait(&rig, rig.drained && rig.closed);
    assert_int_equal(rig_state(&rig), NJE_LINK_STOPPED);
    nje_link_start(rig.link);
    rig_sign_on(&rig);
    rig_close(&rig);
}

static void naks_and_names_say_what_the_other_side_must_define(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.connect = rig.address;
    options.send_line_password = "OURS";
    options.expect_line_password = "THEIRS";
    rig_link(&rig, &options);
    rig_accept(&rig);
    (void)rig_hear_control(&rig);
    rig_say_control(&rig, NJE_NAK, "NODEA", "NODEB", NJE_NAK_NO_LINK);
    rig_wait(&rig, rig.closed);
    assert_non_null(strstr(rig_last_error(&rig), "it must have a link NODEB, and NODEA as its own node name"));
    rig_accept(&rig);
    (void)rig_hear_control(&rig);
    rig_say_control(&rig, NJE_ACK, "OTHER", "NODEB", 0);
    rig_wait(&rig, rig.closed);
    assert_non_null(strstr(rig_last_error(&rig), "\"OTHER\""));
    rig_accept(&rig);
    (void)rig_hear_control(&rig);
    rig_say_control(&rig, NJE_ACK, "NODEA", "NODEB", 0);
    (void)rig_hear_payload(&rig);
    rig_say_payload(&rig, SPAN_LITERAL("\x10\x70\xFF"));
    struct span initial = rig_hear_payload(&rig);
    assert_true(
        span_equal(span_slice(initial, NJE_BUFFER_HEAD + 20, 8), SPAN_LITERAL("\xD6\xE4\xD9\xE2\x40\x40\x40\x40")));
    rig_say_signon(&rig, NJE_RESPONSE, "NODEA", 1024, "WRONG");
    struct span off = rig_hear_payload(&rig);
    assert_true(span_equal(span_slice(off, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\xF0\xC2\x00")));
    rig_wait(&rig, rig.closed);
    assert_non_null(strstr(rig_last_error(&rig), "line password"));
    assert_null(strstr(rig_last_error(&rig), "THEIRS"));
    assert_null(strstr(rig_last_error(&rig), "WRONG"));
    rig_close(&rig);
}

static void accept_sign_on(struct rig *rig)
{
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEA", "NODEB", 0);
    struct nje_control ack = rig_hear_control(rig);
    assert_int_equal(ack.type, NJE_ACK);
    rig_say_payload(rig, SPAN_LITERAL("\x01\x2D"));
    rig_expect_bytes(rig, "\x10\x70");
    rig_say_signon(rig, NJE_INITIAL, "NODEA", 0x8000, NULL); /* NJElib's buffer size */
    struct span response = rig_hear_payload(rig);
    assert_int_equal(response.at[NJE_BUFFER_HEAD + 1], NJE_RESPONSE);
    assert_int_equal(response.at[NJE_BUFFER_HEAD + 18], 0x20); /* 8192, ours */
    assert_int_equal(response.at[NJE_BUFFER_HEAD + 37], 0);    /* no feature it did not have */
    rig_wait(rig, rig_state(rig) == NJE_LINK_UP);
}

static void listening_links(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.1";
    rig_link(&rig, &options);
    /* names nobody has: NAK 1, names swapped */
    rig_dial(&rig);
    rig_say_control(&rig, NJE_OPEN, "NODEX", "NODEB", 0);
    struct nje_control nak = rig_hear_control(&rig);
    assert_int_equal(nak.type, NJE_NAK);
    assert_int_equal(nak.reason, NJE_NAK_NO_LINK);
    assert_string_equal(nak.rhost.text, "NODEB");
    assert_string_equal(nak.ohost.text, "NODEX");
    rig_wait(&rig, rig.closed);
    /* TLS where there is none: NAK 4 */
    rig_dial(&rig);
    rig_say_control(&rig, NJE_OPEN_SSL, "NODEA", "NODEB", 0);
    assert_int_equal(rig_hear_control(&rig).reason, NJE_NAK_TEMPORARY);
    accept_sign_on(&rig);
    /* the opener wishes to be secondary */
    rig_hang_up(&rig);
    rig_wait(&rig, rig_state(&rig) == NJE_LINK_WAITING);
    rig_dial(&rig);
    rig_say_control(&rig, NJE_OPEN, "NODEA", "NODEB", 0);
    (void)rig_hear_control(&rig);
    rig_say_payload(&rig, SPAN_LITERAL("\x32\x3D"));
    rig_expect_bytes(&rig, "\x01\x2D");
    rig_say_payload(&rig, SPAN_LITERAL("\x10\x70"));
    assert_int_equal(rig_hear_payload(&rig).at[NJE_BUFFER_HEAD + 1], NJE_INITIAL);
    rig_say_signon(&rig, NJE_RESPONSE, "NODEA", 1024, NULL);
    rig_expect_bytes(&rig, "\x10\x70");
    rig_close(&rig);
}

static void strangers_get_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "192.0.2.1";
    rig_link(&rig, &options);
    rig_dial(&rig);
    rig_wait(&rig, rig.closed);
    assert_int_equal(rig.got.size, 0);
    rig_close(&rig);
}

static void links_may_share_an_address(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.0/8";
    rig_link(&rig, &options);
    struct nje_link *first = rig.link;
    (void)name8_parse(SPAN_LITERAL("NODEC"), "node", &options.node, NULL);
    rig_link(&rig, &options);
    struct nje_link_figures a, b;
    nje_link_figures(first, &a);
    nje_link_figures(rig.link, &b);
    assert_string_equal(a.listening, b.listening);
    rig_dial(&rig);
    rig_say_control(&rig, NJE_OPEN, "NODEC", "NODEB", 0);
    assert_int_equal(rig_hear_control(&rig).type, NJE_ACK);
    rig_wait(&rig, rig_state(&rig) == NJE_LINK_SIGNING_ON);
    nje_link_figures(first, &a);
    assert_int_equal(a.state, NJE_LINK_WAITING);
    nje_link_free(first);
    rig_close(&rig);
}

static void a_restarted_neighbour_takes_its_link_back(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.1";
    rig_link(&rig, &options);
    accept_sign_on(&rig);
    /* the old connection stays open: only the new sign-on ends it */
    int old = rig.fd;
    rig.fd = -1;
    struct nje_link_figures before, after;
    nje_link_figures(rig.link, &before);
    accept_sign_on(&rig);
    rig_wait(&rig, rig.state_changes == 3);
    nje_link_figures(rig.link, &after);
    assert_string_not_equal(before.peer, after.peer);
    uint8_t byte;
    assert_int_equal(recv(old, &byte, 1, MSG_DONTWAIT), 0);
    (void)close(old);
    rig_close(&rig);
}

static void another_system_cannot_keep_taking_the_link(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.0/8";
    rig_link(&rig, &options);
    static const char *const from[] = { "127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3" };
    int old[4];
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        rig.from = from[i];
        accept_sign_on(&rig);
        rig_wait(&rig, rig.state_changes == 2 * i + 1);
        old[i] = rig.fd;
        rig.fd = -1;
    }
    rig.from = "127.0.0.2";
    rig_dial(&rig);
    rig_say_control(&rig, NJE_OPEN, "NODEA", "NODEB", 0);
    struct nje_control nak = rig_hear_control(&rig);
    assert_int_equal(nak.type, NJE_NAK);
    assert_int_equal(nak.reason, NJE_NAK_ACTIVE);
    assert_int_equal(rig_state(&rig), NJE_LINK_UP);
    /* the system that holds it may still come back */
    rig.from = "127.0.0.3";
    accept_sign_on(&rig);
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        (void)close(old[i]);
    rig_close(&rig);
}

static void both_dial_at_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.connect = rig.address;
    options.listen = "127.0.0.1:0";
    rig_link(&rig, &options);
    rig_accept(&rig);
    assert_int_equal(rig_hear_control(&rig).type, NJE_OPEN);
    /* instead of an ACK the neighbour opens a connection of its own */
    int ours = rig.fd;
    rig.fd = -1;
    accept_sign_on(&rig);
    uint8_t byte;
    assert_int_equal(recv(ours, &byte, 1, MSG_DONTWAIT), 0); /* our attempt is closed */
    (void)close(ours);
    rig_close(&rig);
}

static void idle_links_are_probed(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.connect = rig.address;
    options.idle_probe_us = 20 * 1000;
    rig_link(&rig, &options);
    rig_sign_on(&rig);
    assert_int_equal(rig_hear_payload(&rig).size, 0); /* an empty block */
    rig_close(&rig);
}

static void silence_in_the_hand_shake_ends(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct nje_link_options options = rig_options();
    options.connect = rig.address;
    options.record_us = options.signon_us = 20 * 1000;
    rig_link(&rig, &options);
    rig_accept(&rig);
    rig_wait(&rig, rig.closed);
    assert_non_null(strstr(rig_last_error(&rig), "no answer in time"));
    rig_accept(&rig);
    (void)rig_hear_control(&rig);
    rig_say_control(&rig, NJE_ACK, "NODEA", "NODEB", 0);
    rig_wait(&rig, rig.closed);
    rig_close(&rig);
}

static void links_that_cannot_work_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    static const struct {
        const char *connect, *listen, *allow, *rip, *password;
        unsigned buffer, streams;
        const char *says;
    } cases[] = {
        { .says = "connect, listen or both" },
        { .listen = "127.0.0.1:0", .says = "set allow" },
        { .connect = "127.0.0.1", .says = "host:port" },
        { .connect = "127.0.0.1:1", .allow = "nonsense", .says = "is no address" },
        { .connect = "127.0.0.1:1", .rip = "::1", .says = "no IPv4 address" },
        { .connect = "127.0.0.1:1", .password = "much too long", .says = "line password" },
        { .connect = "127.0.0.1:1", .buffer = 32768, .says = "buffer 32768" },
        { .connect = "127.0.0.1:1", .streams = 8, .says = "streams 8" },
        { .listen = "localhost:0", .allow = "::1", .says = "as a number" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nje_link_options options = rig_options();
        struct err err = ERR_CLEAR;
        options.connect = cases[i].connect;
        options.listen = cases[i].listen;
        options.allow = cases[i].allow;
        options.rip = cases[i].rip != NULL ? cases[i].rip : options.rip;
        options.send_line_password = cases[i].password;
        options.buffer = cases[i].buffer;
        options.streams = cases[i].streams;
        assert_null(nje_link_new(rig.loop, &options, &rig.spool, &err));
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
    }
    rig_close(&rig);
}

int main(void)
{
    log_set_level(LOG_NJE, LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_acknowledged_only_when_stored),
        cmocka_unit_test(a_file_that_cannot_be_stored_stays_with_the_neighbour),
        cmocka_unit_test(files_given_up_are_forgotten),
        cmocka_unit_test(files_with_bad_headers_are_taken_whole),
        cmocka_unit_test(permission_waits_for_room),
        cmocka_unit_test(further_streams_wait_their_turn),
        cmocka_unit_test(jobs_and_fast_open),
        cmocka_unit_test(a_spool_without_room_stops_the_reading),
        cmocka_unit_test(a_file_goes_out_whole),
        cmocka_unit_test(files_go_on_while_acceptances_are_written),
        cmocka_unit_test(a_file_that_is_refused_goes_back),
        cmocka_unit_test(a_file_that_is_cancelled_is_answered_and_goes_back),
        cmocka_unit_test(a_spool_file_that_cannot_be_sent_is_cancelled),
        cmocka_unit_test(a_lost_link_gives_the_file_back_uncounted),
        cmocka_unit_test(an_early_acknowledgement_is_none),
        cmocka_unit_test(the_neighbour_can_hold_us),
        cmocka_unit_test(broken_frames_end_the_connection_which_comes_back),
        cmocka_unit_test(a_lost_buffer_is_told),
        cmocka_unit_test(null_buffers_count_and_are_never_answered),
        cmocka_unit_test(a_sign_off_is_no_failure),
        cmocka_unit_test(draining_waits_and_signs_off),
        cmocka_unit_test(naks_and_names_say_what_the_other_side_must_define),
        cmocka_unit_test(listening_links),
        cmocka_unit_test(strangers_get_nothing),
        cmocka_unit_test(links_may_share_an_address),
        cmocka_unit_test(a_restarted_neighbour_takes_its_link_back),
        cmocka_unit_test(another_system_cannot_keep_taking_the_link),
        cmocka_unit_test(both_dial_at_once),
        cmocka_unit_test(idle_links_are_probed),
        cmocka_unit_test(silence_in_the_hand_shake_ends),
        cmocka_unit_test(links_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
