/* answer: what the process that asks the directory says, through its standard output.
 *
 * One line of CSV for each person (address, full name, the host address that is to be shown, others with blanks
 * between), each column in quotes and without control characters; and then one line more: `#end COUNT`, or `#failed`
 * and the reason. An answer without that line, or with another count, is not whole.
 */
#ifndef OVVM_DIRECTORY_ANSWER_H
#define OVVM_DIRECTORY_ANSWER_H

#include "base/buf.h"
#include "base/err.h"

enum {
    DIRECTORY_ANSWER_MAX = 128 << 20, /* octets */
    DIRECTORY_VALUE_MAX = 1000        /* octets of one column */
};

/* One entry, as the directory has it: any octets. */
struct directory_entry {
    struct span mail, name;
    const struct span *hosts; /* the values of all host attributes */
    size_t host_count;
};

/* Adds the line of an entry: true; false where it has no usable address. Of host values in the form type:address only
 * those of the type PROFS are taken, without it; with the type in capitals it is the one to be shown. */
bool directory_entry_write(const struct directory_entry *entry, struct buf *to);
/* Values of one attribute come in any order: this is the one they are taken in. */
void directory_values_sort(struct span *values, size_t count);

void directory_end_write(size_t count, struct buf *to);
void directory_failure_write(const char *reason, struct buf *to);

/* The lines before the last: 0 and their count. CONNECT with the reason it gives; PROTOCOL: it is not whole. */
int directory_answer_parse(struct span answer, struct span *rows_r, size_t *count_r, struct err *err);

#endif
