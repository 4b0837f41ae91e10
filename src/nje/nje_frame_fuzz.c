/* Everything between the socket and the records: control record, blocks, payloads, records, compression. What was
 * expanded and compressed again must expand to the same. */
#include "nje/block.h"
#include "nje/buffer.h"
#include "nje/control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

enum { LIMIT = 32768 };

static void check_compression(struct span bytes, struct buf *scratch)
{
    struct nje_record_walk walk;
    struct nje_record record;
    buf_clear(scratch);
    nje_buffer_record(scratch, NJE_RCB_NMR, 0, bytes);
    nje_buffer_end(scratch);
    nje_record_walk_init(&walk, buf_span(scratch));
    if (nje_record_next(&walk, &record, NULL) != 1 || !span_equal(record.bytes, bytes) ||
        nje_record_next(&walk, &record, NULL) != 0)
        abort();
}

static void read_payload(struct span data, struct nje_bcb_count *count, struct buf *scratch)
{
    struct nje_payload payload;
    struct nje_record_walk walk;
    struct nje_record record;
    struct err err = ERR_CLEAR;
    if (nje_payload_decode(data, &payload, &err) == -1 || payload.kind != NJE_PAYLOAD_BUFFER)
        return;
    (void)nje_bcb_arrived(count, payload.bcb);
    nje_record_walk_init(&walk, payload.records);
    while (nje_record_next(&walk, &record, &err) == 1)
        if (record.rcb != NJE_RCB_GENERAL)
            check_compression(record.bytes, scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct span rest = span_of(at, size);
    struct nje_control control;
    struct nje_bcb_count count = { .expected = 0 };
    struct buf scratch = { 0 };
    struct err err = ERR_CLEAR;
    if (nje_control_decode(span_slice(rest, 0, NJE_CONTROL_SIZE), &control, &err) == 0) {
        uint8_t again[NJE_CONTROL_SIZE];
        nje_control_encode(&control, again);
    }
    rest = span_slice(rest, NJE_CONTROL_SIZE, size);
    size_t block_size, pad;
    int found = nje_block_find_first(rest, LIMIT, &pad, &block_size, &err);
    rest = span_slice(rest, pad, size);
    while (found == 1) {
        struct nje_block_walk walk = nje_block_walk(span_slice(rest, 0, block_size));
        struct nje_ttr ttr;
        while (nje_block_next(&walk, &ttr, &err) == 1)
            read_payload(ttr.data, &count, &scratch);
        rest = span_slice(rest, block_size, size);
        found = nje_block_find(rest, LIMIT, &block_size, &err);
    }
    /* bytes without any framing reach the records as well */
    read_payload(span_of(at, size), &count, &scratch);
    check_compression(span_slice(span_of(at, size), 0, NJE_RECORD_ACCEPT_MAX), &scratch);
    buf_free(&scratch);
    return 0;
}
