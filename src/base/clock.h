/* clock: time and chance behind one small interface, so that tests can drive both.
 *
 * All times in the ledger are int64_t microseconds since 1970-01-01 00:00 UTC. */
#ifndef OVVM_BASE_CLOCK_H
#define OVVM_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_MILLISECOND INT64_C(1000)
#define CLOCK_SECOND      (1000 * CLOCK_MILLISECOND)
#define CLOCK_MINUTE      (60 * CLOCK_SECOND)
#define CLOCK_HOUR        (60 * CLOCK_MINUTE)
#define CLOCK_DAY         (24 * CLOCK_HOUR)

/* Wall clock. */
int64_t clock_now(void);
/* Never goes back; for measuring and for time-outs. */
int64_t clock_steady(void);
/* Fills with unpredictable bytes (getrandom). */
void clock_random(void *to_r, size_t size);
/* A number in [0, below). */
uint32_t clock_random_below(uint32_t below);

/* Tests only: from now on clock_now() is `now_us` plus what clock_test_advance added; chance comes from `seed`. */
void clock_test_set(int64_t now_us, uint64_t seed);
void clock_test_advance(int64_t by_us);
/* From now on clock_now() is so much ahead of the system's wall clock, or behind it; from any thread. */
void clock_test_shift(int64_t by_us);

#endif
