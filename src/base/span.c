/* Cursors over bytes from outside. Nothing here allocates or fails loudly: a step that does not fit latches
 * `failed` and yields zero or an empty span, so that a parser cannot read past its input whatever it does. */
#include "base/span.h"

struct span span_slice(struct span whole, size_t from, size_t size)
{
    if (from >= whole.size)
        return SPAN_EMPTY;
    size_t rest = whole.size - from;
    return span_of(whole.at + from, size < rest ? size : rest);
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

bool span_starts_with(struct span whole, struct span start)
{
    return whole.size >= start.size && span_equal(span_slice(whole, 0, start.size), start);
}

size_t span_find(struct span whole, uint8_t byte)
{
    const uint8_t *found = whole.size > 0 ? memchr(whole.at, byte, whole.size) : NULL;
    return found != NULL ? (size_t)(found - whole.at) : whole.size;
}

struct span span_trim_end(struct span whole, uint8_t byte)
{
    while (whole.size > 0 && whole.at[whole.size - 1] == byte)
        whole.size--;
    return whole;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

struct span span_trim(struct span whole)
{
    while (whole.size > 0 && is_blank(whole.at[whole.size - 1]))
        whole.size--;
    while (whole.size > 0 && is_blank(whole.at[0])) {
        whole.at++;
        whole.size--;
    }
    return whole;
}

void span_to_text(struct span from, char *to_r, size_t room)
{
    if (room == 0)
        return;
    size_t size = from.size < room - 1 ? from.size : room - 1;
    for (size_t i = 0; i < size; i++)
        to_r[i] = from.at[i] < 0x20 || from.at[i] == 0x7F ? '?' : (char)from.at[i];
    to_r[size] = '\0';
}

struct span reader_take(struct reader *reader, size_t size)
{
    if (reader->failed || size > reader->rest.size) {
        reader->failed = true;
        return SPAN_EMPTY;
    }
    struct span taken = span_of(reader->rest.at, size);
    reader->rest.at += size;
    reader->rest.size -= size;
    return taken;
}

void reader_skip(struct reader *reader, size_t size)
{
    (void)reader_take(reader, size);
}

static uint64_t reader_number(struct reader *reader, size_t size)
{
    struct span bytes = reader_take(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size; i++)
        value = value << 8 | bytes.at[i];
    return value;
}

uint8_t reader_u8(struct reader *reader)
{
    return (uint8_t)reader_number(reader, 1);
}

uint16_t reader_u16(struct reader *reader)
{
    return (uint16_t)reader_number(reader, 2);
}

uint32_t reader_u32(struct reader *reader)
{
    return (uint32_t)reader_number(reader, 4);
}

uint64_t reader_u64(struct reader *reader)
{
    return reader_number(reader, 8);
}

struct span reader_until(struct reader *reader, uint8_t byte)
{
    if (reader->failed)
        return SPAN_EMPTY;
    size_t size = span_find(reader->rest, byte);
    struct span taken = reader_take(reader, size);
    if (reader->rest.size > 0)
        reader_skip(reader, 1);
    return taken;
}
