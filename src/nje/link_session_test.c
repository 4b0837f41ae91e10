/* The captured session of two UnixNJE nodes (tests/data/nje/nodea-nodeb), with us in the place of the one and of the
 * other: NODEB dials, two files and messages come from NODEA, one file goes back. What is lost when these fail: we do
 * not talk to UnixNJE. Compared byte for byte, but for our own compression (theirs is literals only) and the length
 * that UnixNJE declares for I and J. */
#include "base/log.h"
#include "nje/link_rig.h"
#include "nje/nmr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE_MAX = 8192, RECORDS_MAX = 128, LIMIT = 32768 };

struct side {
    uint8_t bytes[SIDE_MAX];
    size_t size;
    struct span rest;
};

struct heard {
    uint8_t rcb, srcb;
    bool null;
    uint8_t bytes[NJE_RECORD_ACCEPT_MAX];
    size_t size;
};

struct records {
    struct heard all[RECORDS_MAX];
    size_t count;
    unsigned requests, permissions, completes, ends;
};

static void load(struct side *side, const char *name)
{
    char path[4096];
    const char *folder = getenv("OVVM_TEST_DATA");
    assert_non_null(folder);
    (void)snprintf(path, sizeof path, "%s/nje/%s.bin", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    side->size = fread(side->bytes, 1, sizeof side->bytes, file);
    (void)fclose(file);
    side->rest = span_slice(span_of(side->bytes, side->size), NJE_CONTROL_SIZE, SIDE_MAX);
}

/* The next block of the captured side, or empty. */
static struct span next_block(struct side *side)
{
    size_t size;
    if (nje_block_find(side->rest, LIMIT, &size, NULL) != 1)
        return SPAN_EMPTY;
    struct span block = span_slice(side->rest, 0, size);
    side->rest = span_slice(side->rest, size, SIDE_MAX);
    return block;
}

static struct span payload_of(struct span block)
{
    struct nje_block_walk walk = nje_block_walk(block);
    struct nje_ttr ttr;
    (void)nje_block_next(&walk, &ttr, NULL);
    return ttr.data;
}

static void note(struct records *records, struct span data)
{
    struct nje_payload payload;
    struct nje_record_walk walk;
    struct nje_record record;
    assert_int_equal(nje_payload_decode(data, &payload, NULL), 0);
    if (payload.kind != NJE_PAYLOAD_BUFFER)
        return;
    nje_record_walk_init(&walk, payload.records);
    while (nje_record_next(&walk, &record, NULL) == 1) {
        struct heard *heard = &records->all[records->count++];
        assert_true(records->count < RECORDS_MAX);
        *heard = (struct heard){ .rcb = record.rcb, .srcb = record.srcb, .null = record.null };
        heard->size = record.bytes.size;
        memcpy(heard->bytes, record.bytes.at, record.bytes.size);
        records->requests += record.rcb == NJE_RCB_REQUEST;
        records->permissions += record.rcb == NJE_RCB_PERMISSION;
        records->completes += record.rcb == NJE_RCB_COMPLETE;
        records->ends += record.rcb == NJE_RCB_SYSOUT1 && record.null;
    }
}

static void note_side(struct records *records, const char *name)
{
    static struct side side;
    load(&side, name);
    struct span block;
    while ((block = next_block(&side)).size > 0)
        note(records, payload_of(block));
}

/* Gives the files and messages of that side to our spool. */
static void become(struct rig *rig, const struct records *records, struct buf *files, unsigned *messages_r)
{
    unsigned file = 0;
    *messages_r = 0;
    for (size_t i = 0; i < records->count; i++) {
        const struct heard *heard = &records->all[i];
        *messages_r += heard->rcb == NJE_RCB_NMR;
        if (heard->rcb != NJE_RCB_SYSOUT1)
            continue;
        if (heard->null)
            rig->out[rig->out_count++] = buf_span(&files[file++]);
        else
            nje_spool_put(&files[file], heard->srcb, span_of(heard->bytes, heard->size));
    }
}

static void tell(struct rig *rig, const struct records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        struct nje_message message;
        if (records->all[i].rcb != NJE_RCB_NMR)
            continue;
        struct span bytes = span_of(records->all[i].bytes, records->all[i].size);
        assert_int_equal(nje_message_decode(bytes, &message, NULL), 0);
        assert_true(nje_link_send_message(rig->link, &message));
    }
}

static void hear_one(struct rig *rig, struct records *ours)
{
    struct span data = rig_hear_payload(rig);
    struct nje_payload payload;
    assert_int_equal(nje_payload_decode(data, &payload, NULL), 0);
    assert_int_equal(payload.kind, NJE_PAYLOAD_BUFFER);
    assert_int_equal(payload.fcs, NJE_FCS_NORMAL);
    assert_int_equal(nje_bcb_arrived(&rig->bcb_ours, payload.bcb), NJE_BCB_TAKE);
    note(ours, data);
}

/* Plays the captured side, each block when it is due by the protocol; returns its sign-off, where it has one. */
static struct span play(struct rig *rig, struct side *side, struct records *ours)
{
    struct records theirs = { .count = 0 };
    struct span block;
    while ((block = next_block(side)).size > 0) {
        struct span data = payload_of(block);
        uint8_t rcb = data.size > NJE_BUFFER_HEAD ? data.at[NJE_BUFFER_HEAD] : 0;
        uint8_t srcb = data.size > NJE_BUFFER_HEAD ? data.at[NJE_BUFFER_HEAD + 1] : 0;
        if (rcb == NJE_RCB_GENERAL && srcb == NJE_SIGN_OFF)
            return block;
        while ((rcb == NJE_RCB_PERMISSION && ours->requests <= theirs.permissions) ||
               (rcb == NJE_RCB_COMPLETE && ours->ends <= theirs.completes) ||
               (rcb == NJE_RCB_REQUEST && ours->completes < theirs.requests) ||
               (rcb == NJE_RCB_SYSOUT1 && ours->permissions < theirs.requests))
            hear_one(rig, ours);
        rig_say(rig, block);
        note(&theirs, data);
    }
    return SPAN_EMPTY;
}

static void compare(const struct records *ours, const struct records *captured, uint8_t rcb)
{
    size_t at = 0;
    for (size_t i = 0; i < captured->count; i++) {
        const struct heard *expected = &captured->all[i];
        if (expected->rcb != rcb)
            continue;
        while (at < ours->count && ours->all[at].rcb != rcb)
            at++;
        assert_true(at < ours->count);
        const struct heard *got = &ours->all[at++];
        assert_int_equal(got->srcb, expected->srcb);
        assert_int_equal(got->null, expected->null);
        assert_int_equal(got->size, expected->size);
        assert_memory_equal(got->bytes, expected->bytes, expected->size);
    }
    while (at < ours->count)
        assert_int_not_equal(ours->all[at++].rcb, rcb);
}

/* I or J: as captured but for the declared length and, in the I, our feature. */
static void compare_signon(struct span heard, struct span captured, uint32_t features)
{
    assert_int_equal(heard.size, captured.size);
    uint8_t expected[64];
    memcpy(expected, captured.at, captured.size);
    expected[NJE_BUFFER_HEAD + 2] = 0x29;
    expected[NJE_BUFFER_HEAD + 37] = (uint8_t)(features >> 24);
    assert_memory_equal(heard.at, expected, captured.size);
}

static void session(bool as_opener)
{
    static struct side us, them;
    static struct records captured, ours, theirs;
    struct buf files[4] = { { 0 } };
    unsigned messages;
    struct rig rig;
    captured = ours = theirs = (struct records){ .count = 0 };
    load(&us, as_opener ? "nodea-nodeb.opener" : "nodea-nodeb.accepter");
    load(&them, as_opener ? "nodea-nodeb.accepter" : "nodea-nodeb.opener");
    note_side(&captured, as_opener ? "nodea-nodeb.opener" : "nodea-nodeb.accepter");
    note_side(&theirs, as_opener ? "nodea-nodeb.accepter" : "nodea-nodeb.opener");
    rig_open(&rig);
    become(&rig, &captured, files, &messages);
    struct nje_link_options options = rig_options();
    if (as_opener) {
        options.connect = rig.address;
    } else {
        struct name8 other = options.our_node;
        options.our_node = options.node;
        options.node = other;
        options.listen = "127.0.0.1:0";
        options.allow = "127.0.0.1";
        options.rip = options.oip = NULL; /* the OPEN's own, swapped */
    }
    rig_link(&rig, &options);
    if (as_opener)
        rig_accept(&rig);
    else
        rig_dial(&rig);
    /* the 33-byte records, then SOH ENQ, DLE ACK0, I, J: two bytes where UnixNJE has a PAD behind */
    if (as_opener) {
        rig_wait(&rig, rig.got.size == NJE_CONTROL_SIZE);
        assert_memory_equal(rig.got.at, us.bytes, NJE_CONTROL_SIZE);
        rig.taken = NJE_CONTROL_SIZE;
        rig_say(&rig, span_of(them.bytes, NJE_CONTROL_SIZE));
        rig_expect(&rig, span_slice(payload_of(next_block(&us)), 0, 2));
        rig_say(&rig, next_block(&them));
        struct span initial = rig_hear_payload(&rig);
        compare_signon(initial, payload_of(next_block(&us)), NJE_FEATURE_COMPRESSION);
        rig_say(&rig, next_block(&them));
        rig_expect(&rig, span_slice(payload_of(next_block(&us)), 0, 2));
    } else {
        rig_say(&rig, span_of(them.bytes, NJE_CONTROL_SIZE));
        rig_wait(&rig, rig.got.size == NJE_CONTROL_SIZE);
        assert_memory_equal(rig.got.at, us.bytes, NJE_CONTROL_SIZE);
        rig.taken = NJE_CONTROL_SIZE;
        rig_say(&rig, next_block(&them));
        rig_expect(&rig, span_slice(payload_of(next_block(&us)), 0, 2));
        rig_say(&rig, next_block(&them));
        struct span response = rig_hear_payload(&rig);
        compare_signon(response, payload_of(next_block(&us)), 0);
    }
    rig_wait(&rig, rig_state(&rig) == NJE_LINK_UP);
    tell(&rig, &captured);
    struct span sign_off = play(&rig, &them, &ours);
    unsigned expected_files = theirs.ends;
    rig_wait(&rig, rig.accepted == rig.out_count && rig.committed == expected_files);
    unsigned theirs_messages = 0;
    for (size_t i = 0; i < theirs.count; i++)
        theirs_messages += theirs.all[i].rcb == NJE_RCB_NMR;
    rig_wait(&rig, rig.message_count == theirs_messages);
    while (ours.completes < captured.completes || ours.permissions < captured.permissions)
        hear_one(&rig, &ours);
    /* what we said, kind by kind, is what UnixNJE said in our place */
    compare(&ours, &captured, NJE_RCB_REQUEST);
    compare(&ours, &captured, NJE_RCB_PERMISSION);
    compare(&ours, &captured, NJE_RCB_COMPLETE);
    compare(&ours, &captured, NJE_RCB_SYSOUT1);
    compare(&ours, &captured, NJE_RCB_NMR);
    /* and what we stored is what it sent */
    size_t at = 0;
    for (unsigned file = 0; file < expected_files; file++) {
        struct buf spool = { 0 };
        for (; !theirs.all[at].null || theirs.all[at].rcb != NJE_RCB_SYSOUT1; at++)
            if (theirs.all[at].rcb == NJE_RCB_SYSOUT1)
                nje_spool_put(&spool, theirs.all[at].srcb, span_of(theirs.all[at].bytes, theirs.all[at].size));
        at++;
        assert_true(span_equal(buf_span(&spool), buf_span(&rig.in[file].bytes)));
        assert_false(rig.in[file].facts.headers_bad);
        assert_int_equal(rig.in[file].facts.datasets, 1);
        assert_string_equal(rig.in[file].facts.job.origin_user.text, as_opener ? "ALICE" : "BOB");
        assert_string_equal(rig.in[file].facts.first.user.text, as_opener ? "BOB" : "ALICE");
        assert_string_equal(rig.in[file].facts.first.name, "TEST");
        buf_free(&spool);
    }
    assert_int_equal(rig_state(&rig), NJE_LINK_UP);
    if (as_opener) { /* NODEA signs off; UnixNJE puts X'FF' behind its B */
        rig_say(&rig, sign_off);
        rig_wait(&rig, rig.closed);
        assert_string_equal(rig_last_error(&rig), "");
    }
    rig_close(&rig);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        buf_free(&files[i]);
}

static void we_are_nodeb(void **state)
{
    (void)state;
    session(true);
}

static void we_are_nodea(void **state)
{
    (void)state;
    session(false);
}

int main(void)
{
    log_set_level(LOG_NJE, LOG_NOTHING);
    const struct CMUnitTest tests[] = { cmocka_unit_test(we_are_nodeb), cmocka_unit_test(we_are_nodea) };
    return cmocka_run_group_tests_name("link_session", tests, NULL, NULL);
}
