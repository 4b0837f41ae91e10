/* tally: what a benchmark's receiver counts, and the stamp by which it knows when a letter was sent.
 *
 * A stamp is "STAMP" and 16 digits: clock_steady() of the moment at which the letter was offered. That clock is the
 * same in every process of a machine, so whoever gets the letter knows how long it took. Letters and digits survive
 * every translation and have the same codes in every EBCDIC page.
 */
#ifndef OVVM_BENCH_TALLY_H
#define OVVM_BENCH_TALLY_H

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { TALLY_STAMP_SIZE = 21 };

struct tally {
    size_t count, room;
    int64_t *took_us;
    int64_t first_us, last_us; /* steady clock: the first offered, the last received */
};

/* TALLY_STAMP_SIZE bytes, in ASCII or in EBCDIC. */
void tally_stamp(int64_t us, bool ebcdic, uint8_t to_r[TALLY_STAMP_SIZE]);
/* The first stamp in `text`; where it lies is *at_r (may be NULL). False: there is none. */
bool tally_find(struct span text, bool ebcdic, int64_t *us_r, size_t *at_r);

/* One letter offered at `offered_us` and received at `now_us`. */
void tally_add(struct tally *tally, int64_t offered_us, int64_t now_us);
/* One line of JSON without its closing brace: letters, seconds, rate, p50_ms, p99_ms, max_ms. Orders the latencies. */
void tally_print(struct tally *tally);
/* Begins anew, keeping the memory. */
void tally_clear(struct tally *tally);
void tally_free(struct tally *tally);

#endif
