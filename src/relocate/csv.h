/* csv: one row of a table as one line of text, reversibly, whatever the bytes are.
 *
 * RFC 4180 quoting, with three additions that a reader without this program can undo by hand:
 * - a line never contains a control character: these, backslash and bytes that are not UTF-8 are written \xHH, a
 *   backslash as \\ ; so one row is one line, and a line number in an error means something;
 * - \N alone is "no value" (SQL NULL), which is not the empty text;
 * - a cell that a spreadsheet would run as a formula (it begins with = + - @ or their full-width forms) gets an
 *   apostrophe before it, and so does one that begins with an apostrophe.
 */
#ifndef OVVM_RELOCATE_CSV_H
#define OVVM_RELOCATE_CSV_H

#include "base/buf.h"
#include "base/err.h"

enum {
    CSV_COLUMNS_MAX = 32,
    CSV_LINE_MAX = 16 * 1024 * 1024 /* bytes; longer rows are refused on both sides */
};

/* The escape alone (\xHH, \\), for texts in other formats. Undone by csv_unescape, which refuses what csv_escape never
 * writes (BAD_CONTENT). */
void csv_escape(struct span bytes, struct buf *to);
int csv_unescape(struct span text, struct buf *to, struct err *err);

/* One cell each; the caller puts the commas and the line end. */
void csv_add_text(struct buf *to, struct span bytes);
void csv_add_int(struct buf *to, int64_t number);
void csv_add_hex(struct buf *to, struct span bytes);
void csv_add_null(struct buf *to);

/* A line taken apart. Cells are offsets into `bytes`. All-zero is valid; reused for the next line. */
struct csv_row {
    struct buf bytes, raw;
    struct {
        size_t at, size;
        bool null;
    } cells[CSV_COLUMNS_MAX];
    size_t count;
};
void csv_row_free(struct csv_row *row);
/* `line` without its line end. BAD_CONTENT says which cell is wrong and why; NO_MEMORY. */
int csv_split(struct span line, struct csv_row *row_r, struct err *err);
struct span csv_cell(const struct csv_row *row, size_t column);
/* BAD_CONTENT where the text is no such number, or no hexadecimal. */
int csv_int(struct span cell, int64_t *number_r, struct err *err);
int csv_hex(struct span cell, struct buf *to, struct err *err);

#endif
