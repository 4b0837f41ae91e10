/* utf8: one character of UTF-8 at a time (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
#ifndef OVVM_BASE_UTF8_H
#define OVVM_BASE_UTF8_H

#include "base/span.h"

/* The character `text` begins with: how many bytes it takes (1 to 4), or 0 where the bytes are none or are no UTF-8. */
size_t utf8_first(struct span text, uint32_t *code_r);
/* How many bytes at the start of `text` are ASCII: most text is, and runs of it need no look at each character. */
size_t utf8_ascii(struct span text);
/* The same for ASCII that is shown as itself: X'20' to X'7E'. */
size_t utf8_printable(struct span text);
/* A character that steers a terminal instead of being shown: U+0000 to U+001F, U+007F to U+009F. */
bool utf8_is_control(uint32_t code);

#endif
