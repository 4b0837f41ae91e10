/* csvrows: a text of comma-separated values (RFC 4180), row by row.
 *
 * A column may stand in quotes, a quote in it is doubled; what stands in quotes may go over several lines. Empty lines
 * and lines that begin with `#` or `;` are passed over, and a byte order mark at the start. Lines end in LF or CRLF.
 */
#ifndef OVVM_ADDRESS_CSVROWS_H
#define OVVM_ADDRESS_CSVROWS_H

#include "base/buf.h"
#include "base/err.h"

enum { CSVROWS_COLUMNS_MAX = 16, CSVROWS_FIELD_MAX = 1024 /* octets */ };

/* All private but `row_line`, where the row began, and `count`, its columns. */
struct csvrows {
    const char *name; /* of the file, for errors */
    struct reader reader;
    unsigned line, row_line;
    struct buf fields[CSVROWS_COLUMNS_MAX];
    size_t count;
};

/* Keeps both pointers. Release in every case. */
struct csvrows csvrows_of(const char *name, struct span text);
void csvrows_free(struct csvrows *csv);
/* The next row that holds something: 1; the end: 0; -1 CONFIG naming file and line, or NO_MEMORY. */
int csvrows_next(struct csvrows *csv, struct err *err);
/* A column of the row, from 0, without blanks around it; empty where there is none. Valid until the next row. */
struct span csvrows_field(const struct csvrows *csv, size_t column);
/* CONFIG: "NAME line N: …"; returns -1. */
int csvrows_wrong(const struct csvrows *csv, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
