/* name8: a node or user id of the host world, 1 to 8 characters, upper case, blank-padded on the wire.
 * Held as a C string of ASCII. Characters: A-Z 0-9 and @ # $ _ - (AD-14); anything else is refused here, and the
 * reader of a wire field keeps what it got in its own words. */
#ifndef OVVM_BASE_NAME8_H
#define OVVM_BASE_NAME8_H

#include "base/err.h"
#include "base/span.h"

enum { NAME8_MAX = 8 };

struct name8 {
    char text[NAME8_MAX + 1];
};

/* Folds to upper case. `what` names the field in the error ("node", "user id"). */
int name8_parse(struct span text, const char *what, struct name8 *name_r, struct err *err);
bool name8_equal(struct name8 a, struct name8 b);
static inline bool name8_empty(struct name8 name)
{
    return name.text[0] == '\0';
}
/* From an EBCDIC field (code page 037) of up to 8 bytes, padded with blanks or X'00'. False (name_r empty) where
 * a byte is no character of a name; true with an empty name where the field is all padding. */
bool name8_from_ebcdic(struct span field, struct name8 *name_r);
/* Into 8 bytes of EBCDIC, blank padded. */
void name8_to_ebcdic(struct name8 name, uint8_t to_r[NAME8_MAX]);

#endif
