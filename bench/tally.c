/* Counting for the benchmarks' programs. Memory grows with the letters of a round; where it ends, so does the program.
 */
#include "tally.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORD_SIZE = 5, DIGITS = TALLY_STAMP_SIZE - WORD_SIZE, EBCDIC_0 = 0xF0, FIRST_ROOM = 1024 };

static const uint8_t ascii_word[WORD_SIZE] = { 'S', 'T', 'A', 'M', 'P' };
static const uint8_t ebcdic_word[WORD_SIZE] = { 0xE2, 0xE3, 0xC1, 0xD4, 0xD7 };

void tally_stamp(int64_t us, bool ebcdic, uint8_t to_r[TALLY_STAMP_SIZE])
{
    memcpy(to_r, ebcdic ? ebcdic_word : ascii_word, WORD_SIZE);
    for (int i = TALLY_STAMP_SIZE - 1; i >= WORD_SIZE; i--, us /= 10)
        to_r[i] = (uint8_t)((ebcdic ? EBCDIC_0 : '0') + us % 10);
}

bool tally_find(struct span text, bool ebcdic, int64_t *us_r, size_t *at_r)
{
    const uint8_t *found = memmem(text.at, text.size, ebcdic ? ebcdic_word : ascii_word, WORD_SIZE);
    if (found == NULL)
        return false;
    size_t at = (size_t)(found - text.at);
    struct reader reader = reader_of(span_slice(text, at + WORD_SIZE, text.size));
    int64_t us = 0;
    for (int i = 0; i < DIGITS; i++) {
        int digit = reader_u8(&reader) - (ebcdic ? EBCDIC_0 : '0');
        if (reader.failed || digit < 0 || digit > 9)
            return false;
        us = us * 10 + digit;
    }
    *us_r = us;
    if (at_r != NULL)
        *at_r = at;
    return true;
}

void tally_add(struct tally *tally, int64_t offered_us, int64_t now_us)
{
    if (tally->count == tally->room) {
        tally->room = tally->room * 2 + FIRST_ROOM;
        tally->took_us = mem_need(mem_realloc(tally->took_us, tally->room * sizeof tally->took_us[0]), "latencies");
    }
    if (tally->count == 0 || offered_us < tally->first_us)
        tally->first_us = offered_us;
    tally->last_us = now_us;
    tally->took_us[tally->count++] = now_us - offered_us;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile_ms(const struct tally *tally, size_t percent)
{
    return tally->count == 0 ? 0 : (double)tally->took_us[(tally->count - 1) * percent / 100] / 1000;
}

void tally_print(struct tally *tally)
{
    double seconds = (double)(tally->last_us - tally->first_us) / 1e6;
    if (tally->count > 0)
        qsort(tally->took_us, tally->count, sizeof tally->took_us[0], by_size);
    printf("{\"letters\": %zu, \"seconds\": %.3f, \"rate\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f",
           tally->count, seconds, seconds > 0 ? (double)tally->count / seconds : 0, percentile_ms(tally, 50),
           percentile_ms(tally, 99), percentile_ms(tally, 100));
}

void tally_clear(struct tally *tally)
{
    tally->count = 0;
    tally->first_us = tally->last_us = 0;
}

void tally_free(struct tally *tally)
{
    mem_free(tally->took_us);
}
