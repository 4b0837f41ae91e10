/* capture: for tests only. The NJE records of a session that two other systems held, from its annotated listing in
 * tests/data/nje (made from the .pcap beside it), so that expectations are theirs and not our own encoder's. */
#ifndef OVVM_NJE_CAPTURE_H
#define OVVM_NJE_CAPTURE_H

#include "base/span.h"

enum { CAPTURE_RECORDS_MAX = 128, CAPTURE_RECORD_SIZE = 512 };

struct capture_record {
    uint8_t rcb, srcb;
    size_t size;
    uint8_t bytes[CAPTURE_RECORD_SIZE];
};

struct capture {
    size_t count;
    struct capture_record records[CAPTURE_RECORDS_MAX];
};

/* All records that have an RCB, in the order of the listing, those without bytes (EOF, requests) as size 0.
 * `listing` is a file name in tests/data/nje. Fails the test where it cannot be read. */
void capture_read(const char *listing, struct capture *capture_r);
/* The n-th record (from 0) with this RCB and SRCB and at least one byte. Fails the test where there is none. */
const struct capture_record *capture_find(const struct capture *capture, uint8_t rcb, uint8_t srcb, size_t n);
/* Walks the spool file `file`, which must be sound, cut at each of its bytes: an error, or a clean end between logical
 * records, never a step beyond. */
void capture_cut_everywhere(struct span file);
static inline struct span capture_span(const struct capture_record *record)
{
    return span_of(record->bytes, record->size);
}

#endif
