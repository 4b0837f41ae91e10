/* buf: bytes we own and grow.
 *
 * Appending latches `failed` when memory ends (or when `limit`, if set, would be passed) and then keeps what
 * it had: the writer looks once, at the end, and answers "temporary". All-zero is a valid empty buf.
 */
#ifndef OVVM_BASE_BUF_H
#define OVVM_BASE_BUF_H

#include "base/span.h"

struct buf {
    uint8_t *at;
    size_t size;
    size_t room;
    size_t limit; /* 0: none */
    bool failed;
};

void buf_free(struct buf *buf);
/* Forgets the contents and a latched failure, keeps the memory. */
void buf_clear(struct buf *buf);
/* Makes room for `size` more bytes; false latches failed. */
bool buf_reserve(struct buf *buf, size_t size);
void buf_add(struct buf *buf, const void *bytes, size_t size);
void buf_add_span(struct buf *buf, struct span bytes);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_fill(struct buf *buf, uint8_t byte, size_t count);
void buf_add_u16(struct buf *buf, uint16_t value); /* big-endian, as the two below */
void buf_add_u32(struct buf *buf, uint32_t value);
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first `size` bytes (all of them where there are fewer). */
void buf_drop_front(struct buf *buf, size_t size);

static inline void buf_add_u8(struct buf *buf, uint8_t value)
{
    if ((!buf->failed && buf->limit == 0 && buf->size < buf->room) || buf_reserve(buf, 1))
        buf->at[buf->size++] = value;
}

static inline struct span buf_span(const struct buf *buf)
{
    return span_of(buf->at, buf->size);
}

#endif
