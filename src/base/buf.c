/* Growable bytes. Memory that ends is an answer ("temporary"), never an abort: letters come in all sizes. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { BUF_FIRST_ROOM = 256 };

void buf_free(struct buf *buf)
{
    mem_free(buf->at);
    *buf = (struct buf){ .limit = buf->limit };
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}

bool buf_reserve(struct buf *buf, size_t size)
{
    if (buf->failed)
        return false;
    if (size > SIZE_MAX / 4 - buf->size || (buf->limit != 0 && buf->size + size > buf->limit)) {
        buf->failed = true;
        return false;
    }
    if (size <= buf->room - buf->size)
        return true;
    size_t room = buf->room != 0 ? buf->room : BUF_FIRST_ROOM;
    while (room < buf->size + size)
        room *= 2;
    uint8_t *at = mem_realloc(buf->at, room);
    if (at == NULL) {
        buf->failed = true;
        return false;
    }
    buf->at = at;
    buf->room = room;
    return true;
}

void buf_add(struct buf *buf, const void *bytes, size_t size)
{
    if (size == 0 || !buf_reserve(buf, size))
        return;
    memcpy(buf->at + buf->size, bytes, size);
    buf->size += size;
}

void buf_add_span(struct buf *buf, struct span bytes)
{
    buf_add(buf, bytes.at, bytes.size);
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_fill(struct buf *buf, uint8_t byte, size_t count)
{
    if (count == 0 || !buf_reserve(buf, count))
        return;
    memset(buf->at + buf->size, byte, count);
    buf->size += count;
}

static void add_number(struct buf *buf, uint64_t value, size_t size)
{
    if (!buf_reserve(buf, size))
        return;
    for (size_t i = 0; i < size; i++)
        buf->at[buf->size + i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    buf->size += size;
}

void buf_add_u16(struct buf *buf, uint16_t value)
{
    add_number(buf, value, 2);
}

void buf_add_u32(struct buf *buf, uint32_t value)
{
    add_number(buf, value, 4);
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
    add_number(buf, value, 8);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || !buf_reserve(buf, (size_t)size + 1)) {
        buf->failed = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf((char *)buf->at + buf->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buf->size += (size_t)size;
}

void buf_drop_front(struct buf *buf, size_t size)
{
    if (size >= buf->size) {
        buf->size = 0;
        return;
    }
    memmove(buf->at, buf->at + size, buf->size - size);
    buf->size -= size;
}
