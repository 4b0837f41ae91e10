/* Time and chance; the test hooks replace both at once. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static bool driven;
static int64_t driven_now;
static uint64_t driven_state;
static atomic_int_least64_t shift_us;

static int64_t read_clock(clockid_t id)
{
    struct timespec time;
    (void)clock_gettime(id, &time);
    return (int64_t)time.tv_sec * CLOCK_SECOND + time.tv_nsec / 1000;
}

int64_t clock_now(void)
{
    return driven ? driven_now : read_clock(CLOCK_REALTIME) + atomic_load_explicit(&shift_us, memory_order_relaxed);
}

int64_t clock_steady(void)
{
    return driven ? driven_now : read_clock(CLOCK_MONOTONIC);
}

/* splitmix64: small, and the same on every machine for one seed. */
static uint64_t driven_next(void)
{
    driven_state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = driven_state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

void clock_random(void *to_r, size_t size)
{
    uint8_t *to = to_r;
    while (size > 0) {
        if (driven) {
            *to++ = (uint8_t)driven_next();
            size--;
            continue;
        }
        ssize_t got = getrandom(to, size, 0);
        if (got <= 0)
            continue; /* interrupted */
        to += got;
        size -= (size_t)got;
    }
}

uint32_t clock_random_below(uint32_t below)
{
    uint32_t value = 0;
    clock_random(&value, sizeof value);
    return below == 0 ? 0 : (uint32_t)(((uint64_t)value * below) >> 32);
}

void clock_test_set(int64_t now_us, uint64_t seed)
{
    driven = true;
    driven_now = now_us;
    driven_state = seed;
}

void clock_test_advance(int64_t by_us)
{
    driven_now += by_us;
}

void clock_test_shift(int64_t by_us)
{
    atomic_store(&shift_us, by_us);
}
