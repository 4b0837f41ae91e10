/* ulid: the name of an item, 26 characters of Crockford base 32 (time in ms, then 80 random bits).
 * Names made by one process increase strictly, also within a millisecond and when the clock goes back. */
#ifndef OVVM_BASE_ULID_H
#define OVVM_BASE_ULID_H

#include <stdbool.h>

enum { ULID_LENGTH = 26 };

struct ulid {
    char text[ULID_LENGTH + 1];
};

/* One thread at a time (the event loop's). */
struct ulid ulid_new(void);
/* Accepts lower case; false where `text` is not the form of one. */
bool ulid_parse(const char *text, struct ulid *ulid_r);

#endif
