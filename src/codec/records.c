/* One flat buffer with lengths, so that a file of a million cards is one allocation that grows, and a list that was
 * written by hand (a fuzz input) cannot lead outside. */
#include "codec/records.h"

void records_free(struct records *records)
{
    buf_free(&records->bytes);
    records->count = 0;
}

void records_clear(struct records *records)
{
    buf_clear(&records->bytes);
    records->count = 0;
}

/* Room first, so that memory that ends leaves no half record behind. */
static bool begin(struct records *records, size_t size)
{
    if (size > UINT32_MAX) {
        records->bytes.failed = true;
        return false;
    }
    if (!buf_reserve(&records->bytes, sizeof(uint32_t) + size))
        return false;
    buf_add_u32(&records->bytes, (uint32_t)size);
    records->count++;
    return true;
}

void records_add(struct records *records, struct span record)
{
    if (begin(records, record.size))
        buf_add_span(&records->bytes, record);
}

void records_add_padded(struct records *records, struct span record, size_t width, uint8_t pad)
{
    size_t fill = width > record.size ? width - record.size : 0;
    if (!begin(records, record.size + fill))
        return;
    buf_add_span(&records->bytes, record);
    buf_add_fill(&records->bytes, pad, fill);
}

void records_add_controlled(struct records *records, uint8_t control, struct span record)
{
    if (record.size == SIZE_MAX || !begin(records, record.size + 1))
        return;
    buf_add_u8(&records->bytes, control);
    buf_add_span(&records->bytes, record);
}

bool records_next(struct reader *walk, struct span *record_r)
{
    *record_r = SPAN_EMPTY;
    if (reader_at_end(walk))
        return false;
    uint32_t size = reader_u32(walk);
    *record_r = reader_take(walk, size);
    return !walk->failed;
}

void records_join(const struct records *records, struct buf *to)
{
    struct reader walk = records_walk(records);
    struct span record;
    while (records_next(&walk, &record))
        buf_add_span(to, record);
    to->failed |= records->bytes.failed;
}

void records_cut(struct records *records, struct span stream, size_t width, uint8_t pad)
{
    for (size_t at = 0; at < stream.size; at += width)
        records_add_padded(records, span_slice(stream, at, width), width, pad);
}
