/* A message record from anywhere: what was read is read again after it was written anew. */
#include "nje/nmr.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct nje_message message, back;
    struct err err = ERR_CLEAR;
    if (nje_message_decode(span_of(at, size), &message, &err) == -1) {
        if (err.id == ERR_NONE)
            abort();
        return 0;
    }
    struct buf again = { 0 };
    nje_message_encode(&again, &message);
    if (nje_message_decode(buf_span(&again), &back, NULL) == -1)
        abort();
    if (!name8_equal(message.to_node, back.to_node) || !name8_equal(message.from_user, back.from_user) ||
        message.command != back.command || message.from_system != back.from_system ||
        (!message.command && !name8_equal(message.to_user, back.to_user)))
        abort();
    buf_free(&again);
    return 0;
}
