/* span: bytes that somebody else owns, and cursors that cannot leave them.
 *
 * A span never owns its bytes and never ends in a NUL. A reader consumes a span from the front and latches
 * the first step that did not fit (`failed`): a parser may take several fields and look at `failed` once.
 * All integers on the wires this program knows (NJE, NETDATA) are big-endian, so the readers are too.
 */
#ifndef OVVM_BASE_SPAN_H
#define OVVM_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *at;
    size_t size;
};

#define SPAN_EMPTY ((struct span){ .at = (const uint8_t *)"", .size = 0 })
/* A string literal as a span, without its NUL. */
#define SPAN_LITERAL(text) ((struct span){ .at = (const uint8_t *)(text), .size = sizeof(text) - 1 })

static inline struct span span_of(const void *at, size_t size)
{
    return (struct span){ .at = at != NULL ? at : (const void *)"", .size = at != NULL ? size : 0 };
}

static inline struct span span_text(const char *text)
{
    return span_of(text, text != NULL ? strlen(text) : 0);
}

/* The part of `whole` from `from` on, at most `size` bytes; empty where `from` lies beyond the end. */
struct span span_slice(struct span whole, size_t from, size_t size);
bool span_equal(struct span a, struct span b);
/* ASCII letters compare without case. */
bool span_equal_nocase(struct span a, struct span b);
bool span_starts_with(struct span whole, struct span start);
/* Offset of the first `byte`, or whole.size. */
size_t span_find(struct span whole, uint8_t byte);
/* Without trailing bytes equal to `byte`. */
struct span span_trim_end(struct span whole, uint8_t byte);
/* Without ASCII blanks and tabs at both ends. */
struct span span_trim(struct span whole);
/* Copies as a C string; bytes that do not fit are cut, NULs and control characters become '?'. */
void span_to_text(struct span from, char *to_r, size_t room);

struct reader {
    struct span rest;
    bool failed; /* a step did not fit; every later step yields zero or empty */
};

static inline struct reader reader_of(struct span whole)
{
    return (struct reader){ .rest = whole, .failed = false };
}

static inline bool reader_at_end(const struct reader *reader)
{
    return reader->failed || reader->rest.size == 0;
}

uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
struct span reader_take(struct reader *reader, size_t size);
void reader_skip(struct reader *reader, size_t size);
/* Up to and without the next `byte`, which is consumed; to the end where there is none. */
struct span reader_until(struct reader *reader, uint8_t byte);

#endif
