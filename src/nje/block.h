/* block: the framing of everything after the ACK. Source: nje.md §2.
 *
 *   TTB (8): flags, unused, LN(2), reserved(4) = 0      LN counts the whole block
 *   TTR (4): flags, unused, LN(2)                       LN counts the data that follow; repeated
 *   TTR with LN = 0                                     end of block
 */
#ifndef OVVM_NJE_BLOCK_H
#define OVVM_NJE_BLOCK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    NJE_TTB_SIZE = 8,
    NJE_TTR_SIZE = 4,
    NJE_BLOCK_MIN = NJE_TTB_SIZE + NJE_TTR_SIZE,       /* the empty block, a keep-alive */
    NJE_BLOCK_OVERHEAD = NJE_BLOCK_MIN + NJE_TTR_SIZE, /* around one payload */
    NJE_TTR_FAST_OPEN = 0x80, /* flag: data follow a request without waiting for the permission */
    NJE_PAD_AFTER_CONTROL = 3 /* some senders pad the 33-byte record to 36 */
};

/* Looks at what has arrived. 1: a block of *size_r bytes lies at the front; 0: not all of it is here (*size_r is how
 * many bytes it will have, 0 while unknown); -1 PROTOCOL: LN below NJE_BLOCK_MIN or above `limit`. */
int nje_block_find(struct span input, size_t limit, size_t *size_r, struct err *err);
/* The same for the first block after a control record: leaves in *pad_r how many pad bytes to drop before it (0 or
 * NJE_PAD_AFTER_CONTROL); 0 while that cannot be told. */
int nje_block_find_first(struct span input, size_t limit, size_t *pad_r, size_t *size_r, struct err *err);

struct nje_ttr {
    uint8_t flags;
    struct span data; /* of the block */
};
struct nje_block_walk {
    struct reader rest;
    bool ended;
};
/* `block` is one whole block as found above. */
struct nje_block_walk nje_block_walk(struct span block);
/* 1: the next payload; 0: the end; -1 PROTOCOL: a TTR runs over the end, or the final TTR is missing. */
int nje_block_next(struct nje_block_walk *walk, struct nje_ttr *ttr_r, struct err *err);

/* Appends a block with this one payload; with an empty payload, the empty block. Payload at most
 * 65535 - NJE_BLOCK_OVERHEAD bytes. */
void nje_block_put(struct buf *to, struct span payload);

#endif
