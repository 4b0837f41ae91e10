/* What is lost when these fail: the link does not come up, or a file arrives with other bytes than were sent. Expected
 * bytes are those of sessions captured between two UnixNJE nodes and between NJElib and UnixNJE (tests/data/nje), and
 * of SA32-0988. */
#include "nje/block.h"
#include "nje/buffer.h"
#include "nje/control.h"
#include "nje/signon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LIMIT = 32768, STREAM_MAX = 65536 };

struct capture {
    uint8_t bytes[STREAM_MAX];
    size_t size;
};

static void load(struct capture *capture, const char *name)
{
    char path[4096];
    const char *folder = getenv("OVVM_TEST_DATA");
    assert_non_null(folder);
    (void)snprintf(path, sizeof path, "%s/nje/%s.bin", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    capture->size = fread(capture->bytes, 1, sizeof capture->bytes, file);
    (void)fclose(file);
    assert_true(capture->size > NJE_CONTROL_SIZE);
}

static void control_records_of_the_captures(void **state)
{
    (void)state;
    static struct capture opener, accepter;
    load(&opener, "nodea-nodeb.opener");
    load(&accepter, "nodea-nodeb.accepter");
    struct nje_control open, ack;
    assert_int_equal(nje_control_decode(span_of(opener.bytes, NJE_CONTROL_SIZE), &open, NULL), 0);
    assert_int_equal(open.type, NJE_OPEN);
    assert_string_equal(open.rhost.text, "NODEB");
    assert_string_equal(open.ohost.text, "NODEA");
    assert_memory_equal(open.rip, ((uint8_t[]){ 127, 0, 1, 2 }), 4);
    assert_memory_equal(open.oip, ((uint8_t[]){ 127, 0, 1, 1 }), 4);
    uint8_t again[NJE_CONTROL_SIZE];
    nje_control_encode(&open, again);
    assert_memory_equal(again, opener.bytes, NJE_CONTROL_SIZE);
    /* our answer to that OPEN is the one NODEA gave */
    ack = nje_control_answer(&open, NJE_ACK, 0);
    nje_control_encode(&ack, again);
    assert_memory_equal(again, accepter.bytes, NJE_CONTROL_SIZE);
}

static void strange_openings_are_named(void **state)
{
    (void)state;
    uint8_t record[NJE_CONTROL_SIZE] = { 0xD6, 0xD7, 0xC5, 0xD5, 0xD5, 0xD1, 0xC5, 0x40 };
    struct nje_control control;
    struct err err = ERR_CLEAR;
    assert_int_equal(nje_control_decode(span_of(record, sizeof record), &control, &err), -1);
    assert_non_null(strstr(err.text, "IPv4"));
    memcpy(record, "GET / HT", 8);
    assert_int_equal(nje_control_decode(span_of(record, sizeof record), &control, &err), -1);
    assert_non_null(strstr(err.text, "474554202F204854"));
    assert_int_equal(nje_control_decode(span_of(record, 32), &control, &err), -1);
    static const uint8_t ssl[] = { 0xD6, 0xD7, 0xC5, 0xD5, 0x40, 0xE2, 0xE2, 0xD3 };
    memcpy(record, ssl, sizeof ssl);
    assert_int_equal(nje_control_decode(span_of(record, sizeof record), &control, &err), 0);
    assert_int_equal(control.type, NJE_OPEN_SSL);
    assert_true(name8_empty(control.rhost)); /* zeros are no name of anybody */
}

struct tally {
    unsigned payloads, records, nulls, bytes, by_rcb[256];
};

/* Decodes a whole captured direction: every block, payload, BCB and record; builds every block again. */
static void replay(const char *name, bool recompress, struct tally *tally)
{
    static struct capture capture;
    load(&capture, name);
    struct span rest = span_slice(span_of(capture.bytes, capture.size), NJE_CONTROL_SIZE, STREAM_MAX);
    struct nje_bcb_count count = { .expected = 0 };
    struct buf again = { 0 };
    while (rest.size > 0) {
        size_t size;
        struct err err = ERR_CLEAR;
        assert_int_equal(nje_block_find(rest, LIMIT, &size, &err), 1);
        struct span block = span_slice(rest, 0, size);
        rest = span_slice(rest, size, STREAM_MAX);
        struct nje_block_walk walk = nje_block_walk(block);
        struct nje_ttr ttr;
        while (nje_block_next(&walk, &ttr, &err) == 1) {
            tally->payloads++;
            buf_clear(&again);
            nje_block_put(&again, ttr.data);
            assert_int_equal(again.size, block.size);
            assert_memory_equal(again.at, block.at, block.size);
            struct nje_payload payload;
            assert_int_equal(nje_payload_decode(ttr.data, &payload, &err), 0);
            if (payload.kind != NJE_PAYLOAD_BUFFER)
                continue;
            assert_int_equal(nje_bcb_arrived(&count, payload.bcb), NJE_BCB_TAKE);
            assert_int_equal(payload.fcs, NJE_FCS_NORMAL);
            struct nje_record_walk records;
            struct nje_record record;
            nje_record_walk_init(&records, payload.records);
            buf_clear(&again);
            nje_buffer_head(&again, payload.bcb);
            while (nje_record_next(&records, &record, &err) == 1) {
                tally->records++;
                tally->nulls += record.null;
                tally->bytes += (unsigned)record.bytes.size;
                tally->by_rcb[record.rcb]++;
                if (record.rcb != NJE_RCB_GENERAL)
                    nje_buffer_record(&again, record.rcb, record.srcb, record.bytes);
            }
            assert_true(walk.ended || walk.rest.rest.size > 0);
            assert_int_equal(err.id, ERR_NONE);
            if (recompress && ttr.data.at[NJE_BUFFER_HEAD] == NJE_RCB_NMR) {
                /* NJElib leaves the end RCB away */
                assert_int_equal(again.size, ttr.data.size);
                assert_memory_equal(again.at, ttr.data.at, again.size);
            }
        }
        assert_true(walk.ended);
    }
    buf_free(&again);
}

static void whole_captures_decode(void **state)
{
    (void)state;
    struct tally a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    replay("nodea-nodeb.accepter", false, &a);
    replay("nodea-nodeb.opener", false, &b);
    replay("njelib-unixnje.opener", true, &c);
    replay("njelib-unixnje.accepter", false, &d);
    /* two files of NODEA, one of NODEB: request, permission, completion of each, and their end of file */
    assert_int_equal(a.by_rcb[NJE_RCB_REQUEST], 2);
    assert_int_equal(b.by_rcb[NJE_RCB_PERMISSION], 2);
    assert_int_equal(b.by_rcb[NJE_RCB_COMPLETE], 2);
    assert_int_equal(b.by_rcb[NJE_RCB_REQUEST], 1);
    assert_int_equal(a.by_rcb[NJE_RCB_COMPLETE], 1);
    assert_int_equal(a.nulls, 2 + 2 + 1 + 1);
    assert_int_equal(a.by_rcb[NJE_RCB_GENERAL], 2); /* J and B */
    assert_int_equal(c.by_rcb[NJE_RCB_NMR], 2);
    assert_int_equal(d.by_rcb[NJE_RCB_NMR], 1);
}

static void sign_on_records_of_the_captures(void **state)
{
    (void)state;
    static struct capture capture;
    load(&capture, "nodea-nodeb.opener");
    /* OPEN, SOH ENQ block of 19, then I: TTB, TTR, head, F0 C9 */
    size_t at = NJE_CONTROL_SIZE + 19 + NJE_TTB_SIZE + NJE_TTR_SIZE + NJE_BUFFER_HEAD;
    struct span record = span_slice(span_of(capture.bytes, capture.size), at, 41);
    assert_int_equal(record.at[0], NJE_RCB_GENERAL);
    struct nje_signon initial;
    assert_int_equal(nje_signon_decode(record.at[1], span_slice(record, 2, 41), &initial, NULL), 0);
    assert_false(initial.response);
    assert_string_equal(initial.node.text, "NODEB");
    assert_int_equal(initial.qualifier, 1);
    assert_int_equal(initial.buffer, 8192);
    assert_int_equal(initial.features, 0);
    assert_true(name8_empty(initial.line_password));
    assert_false(initial.passwords_bad);
    struct buf again = { 0 };
    nje_signon_encode(&again, &initial);
    assert_int_equal(again.size, record.size);
    assert_int_equal(again.at[2], 0x29); /* UnixNJE declares 25 and sends the same 41 bytes */
    again.at[2] = 0x25;
    assert_memory_equal(again.at, record.at, record.size);
    /* the J NODEA gave */
    struct nje_signon ours = { .qualifier = 1, .buffer = 32767, .features = NJE_FEATURE_COMPRESSION };
    assert_int_equal(name8_parse(SPAN_LITERAL("NODEA"), "node", &ours.node, NULL), 0);
    struct nje_signon response = nje_signon_answer(&initial, &ours);
    buf_clear(&again);
    nje_signon_encode(&again, &response);
    again.at[2] = 0x25;
    load(&capture, "nodea-nodeb.accepter");
    assert_memory_equal(again.at, capture.bytes + at, record.size);
    /* too short, and a node that is none */
    struct err err = ERR_CLEAR;
    assert_int_equal(nje_signon_decode(NJE_INITIAL, span_slice(record, 2, 34), &initial, &err), -1);
    uint8_t bad[39];
    memcpy(bad, record.at + 2, sizeof bad);
    bad[1] = 0x07;
    assert_int_equal(nje_signon_decode(NJE_INITIAL, span_of(bad, sizeof bad), &initial, &err), -1);
    buf_free(&again);
}

static void our_i_record_byte_for_byte(void **state)
{
    (void)state;
    struct nje_signon ours = { .qualifier = 1, .buffer = 1024, .features = NJE_FEATURE_COMPRESSION };
    (void)name8_parse(SPAN_LITERAL("MAILGW"), "node", &ours.node, NULL);
    (void)name8_parse(SPAN_LITERAL("PW1"), "password", &ours.line_password, NULL);
    struct buf record = { 0 };
    nje_signon_encode(&record, &ours);
    static const uint8_t expected[] = { 0xF0, 0xC9, 0x29, 0xD4, 0xC1, 0xC9, 0xD3, 0xC7, 0xE6, 0x40, 0x40,
                                        0x01, 0,    0,    0,    0,    0,    0,    0x04, 0x00, 0xD7, 0xE6,
                                        0xF1, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40,
                                        0x40, 0x40, 0x40, 0,    0x10, 0,    0,    0 };
    assert_int_equal(record.size, sizeof expected);
    assert_memory_equal(record.at, expected, sizeof expected);
    buf_free(&record);
}

static void compression(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *scbs;
        size_t scbs_size;
    } cases[] = {
        { "", 0, "\x00", 1 },
        { "\xC1", 1, "\xC1\xC1\x00", 3 },
        { "\x40\x40", 2, "\x82\x00", 2 },
        { "\x40", 1, "\xC1\x40\x00", 3 },
        { "\xC1\xC1\xC1", 3, "\xA3\xC1\x00", 3 },
        { "\xC1\x40\x40\x40\xC2", 5, "\xC1\xC1\x83\xC1\xC2\x00", 6 },
        { "\xC1\x40\xC2", 3, "\xC3\xC1\x40\xC2\x00", 5 },
        { "\xC1\xC2\xC2\xC3", 4, "\xC4\xC1\xC2\xC2\xC3\x00", 6 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf to = { 0 };
        nje_scb_compress(&to, span_of(cases[i].bytes, cases[i].size));
        assert_true(span_equal(buf_span(&to), span_of(cases[i].scbs, cases[i].scbs_size)));
        buf_free(&to);
    }
    /* a card of 80 blanks: 31 + 31 + 18 */
    struct buf card = { 0 }, to = { 0 };
    buf_add_fill(&card, 0x40, 80);
    nje_scb_compress(&to, buf_span(&card));
    assert_true(span_equal(buf_span(&to), SPAN_LITERAL("\x9F\x9F\x92\x00")));
    buf_free(&card);
    buf_free(&to);
}

/* Every pattern of short runs comes back the same and stays within the stated size. */
static void compression_keeps_every_byte(void **state)
{
    (void)state;
    struct buf bytes = { 0 }, to = { 0 };
    uint32_t chance = 12345;
    for (unsigned round = 0; round < 4000; round++) {
        buf_clear(&bytes);
        buf_clear(&to);
        size_t size = round % (NJE_RECORD_SEND_MAX + 1);
        while (bytes.size < size) {
            chance = chance * 1664525 + 1013904223;
            size_t run = 1 + (chance >> 8) % (1 + round % 5);
            buf_add_fill(&bytes, (chance >> 20) % 3 == 0 ? 0x40 : (uint8_t)(chance >> 24), run);
        }
        bytes.size = size;
        buf_add_u8(&to, NJE_RCB_NMR);
        buf_add_u8(&to, 0x80);
        nje_scb_compress(&to, buf_span(&bytes));
        assert_true(to.size - 2 <= size + size / 63 + 2);
        struct nje_record_walk walk;
        struct nje_record record;
        nje_record_walk_init(&walk, buf_span(&to));
        assert_int_equal(nje_record_next(&walk, &record, NULL), 1);
        assert_true(span_equal(record.bytes, buf_span(&bytes)));
        assert_int_equal(nje_record_next(&walk, &record, NULL), 0);
    }
    buf_free(&bytes);
    buf_free(&to);
}

static int first_record(struct span records, struct nje_record *record_r, struct err *err)
{
    static struct nje_record_walk walk;
    nje_record_walk_init(&walk, records);
    return nje_record_next(&walk, record_r, err);
}

static void records_that_mean_something(void **state)
{
    (void)state;
    struct nje_record record;
    assert_int_equal(first_record(SPAN_LITERAL("\x99\x80\x00\x00"), &record, NULL), 1);
    assert_true(record.null); /* end of file as UnixNJE sends it */
    assert_int_equal(first_record(SPAN_LITERAL("\x99\x00\x00\x00"), &record, NULL), 1);
    assert_true(record.null); /* and as JES2 does */
    /* transmitter cancel: IBM's record, the SCB alone, and ours that is both */
    assert_int_equal(first_record(SPAN_LITERAL("\x99\x40\x00\x00"), &record, NULL), 1);
    assert_true(record.cancel);
    assert_int_equal(first_record(SPAN_LITERAL("\x99\x80\x40"), &record, NULL), 1);
    assert_true(record.cancel);
    assert_int_equal(first_record(SPAN_LITERAL("\x99\x40\x40\x00\x00"), &record, NULL), 1);
    assert_true(record.cancel);
    /* receiver cancel in both forms IBM shows */
    assert_int_equal(first_record(SPAN_LITERAL("\xB0\x99\x00\x00"), &record, NULL), 1);
    assert_int_equal(record.srcb, 0x99);
    assert_int_equal(first_record(SPAN_LITERAL("\xB0\x99\xC2\x00"), &record, NULL), 1);
    assert_int_equal(record.srcb, 0x99);
    /* counts of zero are tolerated; the null buffer has no record */
    assert_int_equal(first_record(SPAN_LITERAL("\x99\x80\xC0\xC1\x50\x80\xA0\x11\x00"), &record, NULL), 1);
    assert_false(record.null);
    assert_true(span_equal(record.bytes, SPAN_LITERAL("\x50")));
    assert_int_equal(first_record(SPAN_LITERAL("\x00\x99\x80"), &record, NULL), 0);
    assert_int_equal(first_record(SPAN_EMPTY, &record, NULL), 0);
}

static void records_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {
        { "\x99", 1, "ends after RCB" },           { "\x99\x80", 2, "is not ended" },
        { "\x99\x80\xC5\x01", 4, "is not ended" }, { "\x99\x80\xA5", 3, "is not ended" },
        { "\x99\x80\x3F\x00", 4, "SCB X'3F'" },    { "\x99\x80\xC1\x50\x7F", 5, "SCB X'7F' after 1 bytes" },
    };
    struct nje_record record;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_CLEAR;
        assert_int_equal(first_record(span_of(cases[i].bytes, cases[i].size), &record, &err), -1);
        assert_int_equal(err.id, ERR_PROTOCOL);
        assert_non_null(strstr(err.text, cases[i].says));
    }
    /* 17 repeats of 31 are 527 bytes */
    struct buf bomb = { 0 };
    buf_add_u16(&bomb, 0x9980);
    buf_add_fill(&bomb, 0x9F, 17);
    buf_add_u16(&bomb, 0);
    struct err err = ERR_CLEAR;
    assert_int_equal(first_record(buf_span(&bomb), &record, &err), -1);
    assert_non_null(strstr(err.text, "expands to more"));
    buf_free(&bomb);
}

static void framing_that_cannot_be(void **state)
{
    (void)state;
    size_t size;
    struct err err = ERR_CLEAR;
    assert_int_equal(nje_block_find(SPAN_LITERAL("\0\0\0\x0B\0\0\0\0"), LIMIT, &size, &err), -1);
    assert_int_equal(nje_block_find(SPAN_LITERAL("\0\0\x80\x01\0\0\0\0"), LIMIT, &size, &err), -1);
    assert_int_equal(nje_block_find(SPAN_LITERAL("\0\0\0\x0C\0\0\0"), LIMIT, &size, &err), 0);
    assert_int_equal(nje_block_find(SPAN_LITERAL("\0\0\0\x0C\0\0\0\0"), LIMIT, &size, &err), 0);
    assert_int_equal(size, 12);
    struct nje_ttr ttr;
    struct nje_block_walk empty = nje_block_walk(SPAN_LITERAL("\0\0\0\x0C\0\0\0\0\0\0\0\0"));
    assert_int_equal(nje_block_next(&empty, &ttr, &err), 0);
    struct nje_block_walk over = nje_block_walk(SPAN_LITERAL("\0\0\0\x12\0\0\0\0\0\0\0\x09\x01\x2D\0\0\0\0"));
    assert_int_equal(nje_block_next(&over, &ttr, &err), -1);
    assert_non_null(strstr(err.text, "TTR with length 9"));
    struct nje_block_walk cut = nje_block_walk(SPAN_LITERAL("\0\0\0\x0E\0\0\0\0\0\0\0\x02\x01\x2D"));
    assert_int_equal(nje_block_next(&cut, &ttr, &err), 1);
    assert_int_equal(nje_block_next(&cut, &ttr, &err), -1);
    assert_non_null(strstr(err.text, "final TTR"));
    struct nje_payload payload;
    assert_int_equal(nje_payload_decode(SPAN_LITERAL("\x10\x02\x80\x8F"), &payload, &err), -1);
    assert_int_equal(nje_payload_decode(SPAN_LITERAL("\xC1\xC2"), &payload, &err), -1);
    assert_int_equal(nje_payload_decode(SPAN_EMPTY, &payload, &err), -1);
    assert_int_equal(nje_payload_decode(SPAN_LITERAL("\x32\x32"), &payload, &err), -1);
}

static void padded_control_records(void **state)
{
    (void)state;
    size_t pad, size;
    struct span plain = SPAN_LITERAL("\0\0\0\x12\0\0\0\0\0\0\0\x02\x01\x2D\0\0\0\0");
    struct span zeros = SPAN_LITERAL("\0\0\0\0\0\0\x12\0\0\0\0\0\0\0\x02\x01\x2D\0\0\0\0");
    struct span blanks = SPAN_LITERAL("\x40\x40\x40\0\0\0\x12\0\0\0\0\0\0\0\x02\x01\x2D\0\0\0\0");
    assert_int_equal(nje_block_find_first(plain, LIMIT, &pad, &size, NULL), 1);
    assert_int_equal(pad, 0);
    assert_int_equal(nje_block_find_first(zeros, LIMIT, &pad, &size, NULL), 1);
    assert_int_equal(pad, 3);
    assert_int_equal(size, 18);
    assert_int_equal(nje_block_find_first(blanks, LIMIT, &pad, &size, NULL), 1);
    assert_int_equal(pad, 3);
    assert_int_equal(nje_block_find_first(span_slice(blanks, 0, 10), LIMIT, &pad, &size, NULL), 0);
    assert_int_equal(nje_block_find_first(span_slice(blanks, 0, 20), LIMIT, &pad, &size, NULL), 0);
}

static void control_sequences(void **state)
{
    (void)state;
    struct nje_payload payload;
    static const struct {
        const char *bytes;
        size_t size;
        enum nje_payload_kind kind;
    } cases[] = {
        { "\x01\x2D", 2, NJE_PAYLOAD_SOH_ENQ },
        { "\x01\x2D\xFF", 3, NJE_PAYLOAD_SOH_ENQ },
        { "\x10\x70", 2, NJE_PAYLOAD_ACK0 },
        { "\x10\x70\xFF", 3, NJE_PAYLOAD_ACK0 },
        { "\x3D", 1, NJE_PAYLOAD_NAK },
        { "\x32\x3D", 2, NJE_PAYLOAD_SYN_NAK },
        { "\x32\x32\x32\x01\x2D", 5, NJE_PAYLOAD_SOH_ENQ },
        { "\x10\x02\x80\x8F\xCF", 5, NJE_PAYLOAD_BUFFER },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(nje_payload_decode(span_of(cases[i].bytes, cases[i].size), &payload, NULL), 0);
        assert_int_equal(payload.kind, cases[i].kind);
    }
}

static void counts_of_buffers(void **state)
{
    (void)state;
    struct nje_bcb_count count = { .expected = 0 };
    assert_int_equal(nje_bcb_arrived(&count, 0xA0), NJE_BCB_TAKE); /* after A0 the next is 80 */
    assert_int_equal(nje_bcb_arrived(&count, 0x80), NJE_BCB_TAKE);
    assert_int_equal(nje_bcb_arrived(&count, 0x80), NJE_BCB_DUPLICATE);
    assert_int_equal(nje_bcb_arrived(&count, 0x97), NJE_BCB_TAKE); /* bypass: not counted */
    assert_int_equal(nje_bcb_arrived(&count, 0x81), NJE_BCB_TAKE);
    assert_int_equal(nje_bcb_arrived(&count, 0x8F), NJE_BCB_DUPLICATE); /* three behind */
    assert_int_equal(nje_bcb_arrived(&count, 0x8E), NJE_BCB_WRONG);
    assert_int_equal(nje_bcb_arrived(&count, 0x83), NJE_BCB_WRONG);
    assert_int_equal(nje_bcb_arrived(&count, 0x02), NJE_BCB_WRONG);
    assert_int_equal(nje_bcb_arrived(&count, 0xAF), NJE_BCB_TAKE);
    assert_int_equal(nje_bcb_arrived(&count, 0x8F), NJE_BCB_TAKE);
    assert_int_equal(count.expected, 0);
    for (int i = 0; i < NJE_BCB_DUPLICATES_MAX; i++)
        assert_int_equal(nje_bcb_arrived(&count, 0x8F), NJE_BCB_DUPLICATE);
    assert_int_equal(nje_bcb_arrived(&count, 0x8F), NJE_BCB_WRONG);
}

static void what_the_neighbour_lets_us_send(void **state)
{
    (void)state;
    for (int stream = 1; stream <= NJE_STREAMS; stream++) {
        assert_true(nje_fcs_sysout(NJE_FCS_NORMAL, stream));
        assert_false(nje_fcs_sysout(0xC080, stream)); /* hold all, as seen from the Hercules driver */
        assert_false(nje_fcs_sysout(0xCFCF, stream));
    }
    assert_false(nje_fcs_sysout(0x8FCE, 1)); /* VM/370 RSCS: its buffers are full */
    assert_true(nje_fcs_sysout(0x8FCE, 2));
    assert_false(nje_fcs_sysout(0x8ECF, 5));
    assert_false(nje_fcs_sysout(0x8BCF, 7));
    assert_true(nje_fcs_console(NJE_FCS_NORMAL));
    assert_false(nje_fcs_console(0x8F8F));
    assert_false(nje_fcs_console(0xCFCF));
    bool sysin;
    assert_int_equal(nje_stream_of(0x99, &sysin), 1);
    assert_false(sysin);
    assert_int_equal(nje_stream_of(0xF8, &sysin), 7);
    assert_true(sysin);
    assert_int_equal(nje_stream_of(0x89, &sysin), 0);
    assert_int_equal(nje_stream_of(0x9A, &sysin), 0);
    assert_int_equal(nje_sysout_rcb(7), 0xF9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_records_of_the_captures),
        cmocka_unit_test(strange_openings_are_named),
        cmocka_unit_test(whole_captures_decode),
        cmocka_unit_test(sign_on_records_of_the_captures),
        cmocka_unit_test(our_i_record_byte_for_byte),
        cmocka_unit_test(compression),
        cmocka_unit_test(compression_keeps_every_byte),
        cmocka_unit_test(records_that_mean_something),
        cmocka_unit_test(records_that_cannot_be),
        cmocka_unit_test(framing_that_cannot_be),
        cmocka_unit_test(padded_control_records),
        cmocka_unit_test(control_sequences),
        cmocka_unit_test(counts_of_buffers),
        cmocka_unit_test(what_the_neighbour_lets_us_send),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
