/* TTB and TTR. A length that is wrong here shifts everything after it, so the only answer to one is to give up the
 * connection; the neighbour sends its file again. We send one payload a block, as every implementation seen accepts. */
#include "nje/block.h"

int nje_block_find(struct span input, size_t limit, size_t *size_r, struct err *err)
{
    *size_r = 0;
    if (input.size < NJE_TTB_SIZE)
        return 0;
    struct reader reader = reader_of(input);
    reader_skip(&reader, 2);
    size_t size = reader_u16(&reader);
    if (size < NJE_BLOCK_MIN || size > limit)
        return err_set(err, ERR_PROTOCOL, "TTB with length %zu (%d to %zu are possible)", size, NJE_BLOCK_MIN, limit);
    *size_r = size;
    return input.size >= size ? 1 : 0;
}

static bool starts_block(struct span input, size_t limit)
{
    struct reader reader = reader_of(input);
    reader_skip(&reader, 2);
    size_t size = reader_u16(&reader);
    return reader_u32(&reader) == 0 && !reader.failed && size >= NJE_BLOCK_MIN && size <= limit;
}

int nje_block_find_first(struct span input, size_t limit, size_t *pad_r, size_t *size_r, struct err *err)
{
    *pad_r = 0;
    *size_r = 0;
    /* with or without padding at least this much comes */
    if (input.size < NJE_TTB_SIZE + NJE_PAD_AFTER_CONTROL)
        return 0;
    struct span after = span_slice(input, NJE_PAD_AFTER_CONTROL, input.size);
    if (!starts_block(input, limit) && starts_block(after, limit)) {
        *pad_r = NJE_PAD_AFTER_CONTROL;
        return nje_block_find(after, limit, size_r, err);
    }
    return nje_block_find(input, limit, size_r, err);
}

struct nje_block_walk nje_block_walk(struct span block)
{
    return (struct nje_block_walk){ .rest = reader_of(span_slice(block, NJE_TTB_SIZE, block.size)) };
}

int nje_block_next(struct nje_block_walk *walk, struct nje_ttr *ttr_r, struct err *err)
{
    *ttr_r = (struct nje_ttr){ .data = SPAN_EMPTY };
    if (walk->ended)
        return 0;
    ttr_r->flags = reader_u8(&walk->rest);
    reader_skip(&walk->rest, 1);
    size_t size = reader_u16(&walk->rest);
    size_t left = walk->rest.rest.size;
    if (walk->rest.failed)
        return err_set(err, ERR_PROTOCOL, "the block ends without its final TTR");
    if (size == 0) {
        walk->ended = true;
        return 0;
    }
    ttr_r->data = reader_take(&walk->rest, size);
    if (walk->rest.failed)
        return err_set(err, ERR_PROTOCOL, "TTR with length %zu where the block has %zu bytes left", size, left);
    return 1;
}

void nje_block_put(struct buf *to, struct span payload)
{
    size_t ttr = payload.size > 0 ? NJE_TTR_SIZE : 0;
    buf_add_u16(to, 0);
    buf_add_u16(to, (uint16_t)(NJE_BLOCK_MIN + ttr + payload.size));
    buf_add_u32(to, 0);
    if (payload.size > 0) {
        buf_add_u16(to, 0);
        buf_add_u16(to, (uint16_t)payload.size);
        buf_add_span(to, payload);
    }
    buf_add_u32(to, 0);
}
