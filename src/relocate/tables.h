/* tables: which table of the ledger is which member of a bundle. One description serves export and import.
 *
 * Letters (item, recipient, content) are files of their own (itemfile.h); the instance is in the manifest. Every other
 * table of the schema has its row here: a test compares the two.
 */
#ifndef OVVM_RELOCATE_TABLES_H
#define OVVM_RELOCATE_TABLES_H

#include "relocate/csv.h"
#include "store/db.h"

enum column_type {
    COLUMN_INT,
    COLUMN_KEY, /* a positive number that the program counts up */
    COLUMN_TEXT,
    COLUMN_BYTES,
    COLUMN_HEX /* bytes, written in hexadecimal */
};

struct column {
    const char *name; /* in the ledger and in the first line of the member */
    enum column_type type;
    bool nullable;
};

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    const char *name;   /* in the ledger */
    const char *member; /* in the bundle */
    const char *holds;  /* for FILES.txt */
    const char *order;  /* columns that order its rows */
    struct column columns[TABLE_COLUMNS_MAX];
};

extern const struct table tables[];
extern const size_t table_count;
size_t table_columns(const struct table *table);
/* NULL: no table has that member. */
const struct table *table_of_member(struct span member);

/* Writes the member, line by line, through `put`. */
typedef int (*table_put)(void *arg, struct span bytes, struct err *err);
int table_export(struct db *db, const struct table *table, table_put put, void *arg, int64_t *rows_r, struct err *err);

/* Reading: begin, then the member's bytes in pieces as they come, then end. Errors are BAD_CONTENT naming member and
 * line, or those of the ledger. All in the caller's transaction. */
struct table_reader {
    struct db *db;
    const struct table *table;
    struct buf line;
    struct csv_row row;
    struct buf hex;
    size_t place[TABLE_COLUMNS_MAX]; /* where each column stands in the member */
    size_t cells;
    int64_t line_number, rows;
};
void table_read_begin(struct table_reader *reader, struct db *db, const struct table *table);
int table_read(struct table_reader *reader, struct span bytes, struct err *err);
int table_read_end(struct table_reader *reader, struct err *err);
void table_read_free(struct table_reader *reader);

#endif
