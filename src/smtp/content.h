/* content: what follows DATA, taken apart at the lines: dots unstuffed, the end found, bad content noticed.
 *
 * Pure: no I/O, no memory of its own. Pieces are spans into the input, so that nothing is copied.
 */
#ifndef OVVM_SMTP_CONTENT_H
#define OVVM_SMTP_CONTENT_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SMTP_CONTENT_LINE_MAX = 64 * 1024, /* between two CRLFs; RFC 5321 §4.5.3.1.6 says 1000, senders say more */
    SMTP_HOPS_MAX = 50                 /* Received: fields (RFC 5321 §6.3 asks for at least 100 or a better way) */
};

/* Zero it and set max_size before the first byte of a letter. */
struct smtp_content {
    uint64_t max_size; /* octets, dots unstuffed, with line ends */
    uint64_t size;     /* so far */
    struct err
        err; /* the first thing that is wrong: the letter is to be refused with it (BAD_CONTENT, TOO_BIG, LOOP) */
    unsigned hops, max_hops; /* 0: SMTP_HOPS_MAX */
    bool mid_line;           /* what comes next does not begin a line: only CRLF ends one */
    bool past_header;        /* the empty line, or a line that is no field, was seen */
};

enum smtp_content_step {
    SMTP_CONTENT_MORE,  /* the input holds no whole line any more: what is left of it must come again, with more */
    SMTP_CONTENT_PIECE, /* *piece_r is the next part of the letter; call again */
    SMTP_CONTENT_END    /* CRLF . CRLF was consumed */
};

/* Consumes from `in`. Once `err` is set there are no more pieces, only the way to the end. What is left over at MORE
 * is never longer than SMTP_CONTENT_LINE_MAX + 1. */
enum smtp_content_step smtp_content_next(struct smtp_content *content, struct reader *in, struct span *piece_r);

#endif
