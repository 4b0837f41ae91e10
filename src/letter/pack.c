/* The daemon reads this from a process that hostile bytes may have taken over: a length that does not fit ends the
 * reading, and no count is believed. */
#include "letter/pack.h"

enum { PREFIX = 5 };

void pack_span(struct buf *to, unsigned tag, struct span value)
{
    if (value.size > UINT32_MAX || value.size > SIZE_MAX - PREFIX) {
        to->failed = true;
        return;
    }
    if (!buf_reserve(to, PREFIX + value.size))
        return;
    buf_add_u8(to, (uint8_t)tag);
    buf_add_u32(to, (uint32_t)value.size);
    buf_add_span(to, value);
}

void pack_span_if(struct buf *to, unsigned tag, struct span value)
{
    if (value.size > 0)
        pack_span(to, tag, value);
}

void pack_text_if(struct buf *to, unsigned tag, const char *value)
{
    pack_span_if(to, tag, span_text(value));
}

void pack_number(struct buf *to, unsigned tag, int64_t value)
{
    buf_add_u8(to, (uint8_t)tag);
    buf_add_u32(to, sizeof(uint64_t));
    buf_add_u64(to, (uint64_t)value);
}

void pack_flag(struct buf *to, unsigned tag, bool value)
{
    if (value)
        pack_span(to, tag, SPAN_EMPTY);
}

size_t pack_begin(struct buf *to, unsigned tag)
{
    buf_add_u8(to, (uint8_t)tag);
    buf_add_u32(to, 0);
    return to->size;
}

void pack_end(struct buf *to, size_t begun)
{
    if (to->failed)
        return; /* the place may not be there */
    size_t size = to->size - begun;
    if (size > UINT32_MAX) {
        to->failed = true;
        return;
    }
    for (size_t i = 0; i < sizeof(uint32_t); i++)
        to->at[begun - sizeof(uint32_t) + i] = (uint8_t)(size >> (8 * (sizeof(uint32_t) - 1 - i)));
}

int pack_next(struct reader *from, struct pack_field *field_r, struct err *err)
{
    *field_r = (struct pack_field){ .value = SPAN_EMPTY };
    if (!from->failed && from->rest.size == 0)
        return 0;
    field_r->tag = reader_u8(from);
    field_r->value = reader_take(from, reader_u32(from));
    return from->failed ? err_set(err, ERR_BAD_CONTENT, "a field of a translator's letter does not fit") : 1;
}

size_t pack_count(struct span fields, unsigned tag)
{
    struct reader from = reader_of(fields);
    struct pack_field field;
    size_t count = 0;
    while (pack_next(&from, &field, NULL) == 1)
        count += field.tag == tag;
    return count;
}

int64_t pack_number_of(struct span value)
{
    struct reader from = reader_of(value);
    int64_t number = (int64_t)reader_u64(&from);
    return from.failed || from.rest.size > 0 ? 0 : number;
}

struct name8 pack_name_of(struct span value)
{
    struct name8 name = { .text = "" };
    if (value.size > 0 && name8_parse(value, "name", &name, NULL) != 0)
        name = (struct name8){ .text = "" };
    return name;
}
