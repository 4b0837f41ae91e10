/* tabletext: what the tables of the `tables` folder have in common: lines of words.
 *
 * Words stand between blanks and tabs. A line that begins with `*` or `;` is a comment (with `*`, in a table of
 * patterns, where a blank or another `*` follows or nothing), and so is the rest of a line after a blank and a `;`.
 * Lines end in LF or CRLF. Text is ASCII; any other byte and control characters are errors.
 */
#ifndef OVVM_ADDRESS_TABLETEXT_H
#define OVVM_ADDRESS_TABLETEXT_H

#include "base/buf.h"
#include "base/err.h"

enum { TABLETEXT_FILE_MAX = 16 << 20, TABLETEXT_LINE_MAX = 1024, TABLETEXT_WORDS_MAX = 32 };

struct tabletext {
    const char *name; /* of the file, for errors */
    struct span rest;
    bool patterns; /* words may begin with `*` */
    bool stars;    /* `*` is a word like any other */
    unsigned line;
    struct span words[TABLETEXT_WORDS_MAX];
    size_t count;
};

struct tabletext tabletext_of(const char *name, struct span text);
/* The next line that has words: 1; the end: 0; -1 with *err naming file and line. */
int tabletext_next(struct tabletext *table, struct err *err);
/* CONFIG: "NAME line N: …"; returns -1. */
int tabletext_wrong(const struct tabletext *table, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "NAME line N: " before an error that is there and makes it CONFIG; returns -1. */
int tabletext_context(const struct tabletext *table, struct err *err);

/* Reads a file of at most `most` octets. 0; 1 where there is none; -1 CONFIG. Not for the loop's thread of a busy
 * daemon but at start and reload. */
int tabletext_read(const char *path, size_t most, struct buf *to, struct err *err);

#endif
