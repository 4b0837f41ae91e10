/* ULIDs. Within one millisecond (or a clock that went back) the random part counts up by one. */
#include "base/ulid.h"

#include "base/clock.h"

#include <string.h>

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum { TIME_DIGITS = 10, CHANCE_BYTES = 10 };

static uint64_t last_ms;
static uint8_t last_chance[CHANCE_BYTES];

static void count_up(uint8_t *bytes)
{
    for (int i = CHANCE_BYTES - 1; i >= 0; i--)
        if (++bytes[i] != 0)
            return;
}

struct ulid ulid_new(void)
{
    uint64_t ms = (uint64_t)clock_now() / 1000;
    if (ms > last_ms) {
        last_ms = ms;
        clock_random(last_chance, sizeof last_chance);
        last_chance[0] &= 0x7F; /* room to count up */
    } else {
        count_up(last_chance);
    }
    struct ulid ulid;
    uint64_t time = last_ms;
    for (int i = TIME_DIGITS - 1; i >= 0; i--, time >>= 5)
        ulid.text[i] = digits[time & 31];
    uint32_t bits = 0;
    int held = 0;
    char *to = ulid.text + TIME_DIGITS;
    for (int i = 0; i < CHANCE_BYTES; i++) {
        bits = bits << 8 | last_chance[i];
        for (held += 8; held >= 5; held -= 5)
            *to++ = digits[bits >> (held - 5) & 31];
    }
    *to = '\0';
    return ulid;
}

bool ulid_parse(const char *text, struct ulid *ulid_r)
{
    if (strlen(text) != ULID_LENGTH)
        return false;
    for (int i = 0; i < ULID_LENGTH; i++) {
        char letter = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 'a' + 'A') : text[i];
        if (strchr(digits, letter) == NULL)
            return false;
        ulid_r->text[i] = letter;
    }
    ulid_r->text[ULID_LENGTH] = '\0';
    return true;
}
