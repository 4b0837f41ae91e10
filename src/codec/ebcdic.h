/* ebcdic: text between the code pages of the hosts and UTF-8.
 *
 * A page is a table of 256 bytes to Unicode and back. The pages known to the program are compiled in; a custom page
 * is made from a pair of .csm tables. Host text has no newline of its own: X'15' (NL) is our '\n' in both directions,
 * X'25' (LF) is read as '\n' too. (Tables that map X'15' to U+0085 would lose every line end.)
 * Names on the wire (nodes, users, control records) are always code page 037, whatever the text is in.
 */
#ifndef OVVM_CODEC_EBCDIC_H
#define OVVM_CODEC_EBCDIC_H

#include "base/buf.h"
#include "base/err.h"

enum { EBCDIC_BLANK = 0x40, EBCDIC_NL = 0x15, EBCDIC_LF = 0x25, EBCDIC_QUESTION_MARK = 0x6F };
enum { EBCDIC_CODES = 256, EBCDIC_NAME_SIZE = 16 };

struct ebcdic_code {
    uint16_t code; /* Unicode, basic plane */
    uint8_t byte;
};

/* Constant after it was made; needs no release, may be copied and shared between threads. */
struct ebcdic_page {
    char name[EBCDIC_NAME_SIZE];                   /* "037", "1148", or a custom page's own */
    uint16_t to_unicode[EBCDIC_CODES];             /* U+FFFD: the byte is undefined in this page */
    struct ebcdic_code from_unicode[EBCDIC_CODES]; /* sorted by code */
    size_t codes;                                  /* how many of from_unicode are used */
};

/* The invariant of the wire: names, control records. */
extern const struct ebcdic_page ebcdic_page_037;
extern const uint8_t ebcdic_037_to_latin1[EBCDIC_CODES];
extern const uint8_t latin1_to_ebcdic_037[EBCDIC_CODES];

/* The first bytes of a record as ASCII, in the set that all pages share, into `room` bytes: to recognise what it is
 * without needing memory. Controls become blanks, other characters '?'. */
struct span ebcdic_peek(struct span record, uint8_t *to_r, size_t room);

/* By number, with or without IBM, IBM-, CP or CP- before it, any case, leading zeros optional ("37", "IBM-037",
 * "cp1047"). NULL where it is not compiled in. */
const struct ebcdic_page *ebcdic_page_find(struct span name);
/* The pages compiled in, by index from 0; NULL at the end (for `ovvm check` to name them). */
const struct ebcdic_page *ebcdic_page_at(size_t index);

/* What the bytes on the other side of a .csm table are. */
enum ebcdic_pc { EBCDIC_PC_1252, EBCDIC_PC_850 };

/* A custom page from the two .csm tables of 256 bytes, each indexed by source byte (CP-01, CP-02, Q194872): `to_pc`
 * as in 256_1252, `from_pc` as in 1252_256. A `from_pc` entry of X'3F' (SUB) or X'6F' means "the page lacks it".
 * ERR_CONFIG where a table is not 256 bytes. `name` is cut at EBCDIC_NAME_SIZE - 1. */
int ebcdic_page_load(struct span name, struct span to_pc, struct span from_pc, enum ebcdic_pc pc,
                     struct ebcdic_page *page_r, struct err *err);

/* Appends `from` as UTF-8. Undefined bytes become U+FFFD; returns how many there were. */
size_t ebcdic_to_utf8(const struct ebcdic_page *page, struct span from, struct buf *to);
/* Appends `from` in the page. Never fails (CP-04): a character that the page lacks becomes its nearest letters
 * ("EUR", "...", the letter without its accent), or X'6F' '?'. A letter with a combining mark after it becomes the
 * one character they make, or loses the mark. *substituted_r (may be NULL) is how many characters were not kept. */
void utf8_to_ebcdic(const struct ebcdic_page *page, struct span from, struct buf *to, size_t *substituted_r);

/* Decodes one character and moves on; U+FFFD for one byte that begins no valid UTF-8. `from` must not be empty. */
uint32_t utf8_next(struct span *from);
/* Appends a code point; U+FFFD for what is none. */
void utf8_add(struct buf *to, uint32_t code);

#endif
