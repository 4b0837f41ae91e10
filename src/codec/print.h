/* print: spool print files as lines of text.
 *
 * A print record is a carriage control byte and the line (records_add_controlled). ASA control moves the paper before
 * the line is printed, machine control after it, or without a line (netdata.md §6, Q254916). Out come lines in EBCDIC
 * without control bytes; the first line of each page but the first begins with a form feed X'0C' (U+000C in mail), the
 * form that text tools know. Lines printed over each other become one where no character is lost by it (bold,
 * underscores, filled blanks); else each stays a line of its own.
 */
#ifndef OVVM_CODEC_PRINT_H
#define OVVM_CODEC_PRINT_H

#include "codec/records.h"

enum print_control {
    PRINT_ASA,    /* SRCB A0, INMRECFM 0400 */
    PRINT_MACHINE /* SRCB 90, INMRECFM 0200 */
};

enum { PRINT_FORM_FEED = 0x0C, PRINT_SPACE_MAX = 3 };

struct print_facts {
    size_t pages;
    size_t merged;  /* lines that were printed over another and joined with it */
    size_t kept;    /* lines that were printed over another and could not be joined */
    size_t unknown; /* control bytes that are none: taken as one line */
};

/* Appends to `to` (look at to->bytes.failed). Blank lines at the end of a page are dropped. An empty record is a blank
 * line. */
void print_to_lines(const struct records *from, enum print_control control, struct records *to,
                    struct print_facts *facts_r);

#endif
