/* answer: is what a translator says to be believed?
 *
 * A translator has read hostile bytes and may obey them: its answer is hostile too. These look at everything (size,
 * kind, serial, generation, error, sizes, descriptors) before the daemon uses any of it.
 */
#ifndef OVVM_TRANSLATOR_ANSWER_H
#define OVVM_TRANSLATOR_ANSWER_H

#include "translator/message.h"

#include "base/span.h"

#include <stdbool.h>

/* What the daemon waits for. */
struct answer_wanted {
    bool ready; /* READY or UNFIT; else DONE or FAILED, with what follows */
    uint64_t serial;
    uint64_t generation;
    uint64_t output_limit;
};

struct answer {
    enum child_answer_kind kind;
    uint64_t output_size; /* DONE */
    struct span output;   /* DONE: the output where it came in the packet; else `fd_count` is right for it */
    struct err err;       /* UNFIT, FAILED: never one that blames a translator; its text is printable */
};

/* Reads a packet that came with `fd_count` descriptors. -1: BUG that says what is wrong with it. */
int answer_read(struct span packet, size_t fd_count, const struct answer_wanted *wanted, struct answer *answer_r,
                struct err *err);

#endif
