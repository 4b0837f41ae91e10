/* The first records of a connection: what decodes must encode to a record that says the same. */
#include "nje/signon.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct reader reader = reader_of(span_of(at, size));
    uint8_t srcb = (reader_u8(&reader) & 1) != 0 ? NJE_RESPONSE : NJE_INITIAL;
    struct nje_signon signon, again;
    struct err err = ERR_CLEAR;
    if (nje_signon_decode(srcb, reader.rest, &signon, &err) == -1)
        return 0;
    struct buf record = { 0 };
    nje_signon_encode(&record, &signon);
    if (nje_signon_decode(srcb, span_slice(buf_span(&record), 2, record.size), &again, &err) == -1 ||
        !name8_equal(signon.node, again.node) || signon.buffer != again.buffer || signon.features != again.features ||
        !name8_equal(signon.node_password, again.node_password))
        abort();
    struct nje_signon answer = nje_signon_answer(&signon, &again);
    if (answer.buffer > signon.buffer)
        abort();
    buf_free(&record);
    return 0;
}
