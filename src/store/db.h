/* db: one connection to the ledger's database, inside a job.
 *
 * SQL is portable between SQLite and PostgreSQL: parameters are ?1, ?2 …; ON CONFLICT and RETURNING are used; bytes
 * from outside are BLOB; the only collation is binary. Statements are prepared once per connection and found again by
 * the address of their text, so `sql` must be a string literal (or otherwise live as long as the connection).
 */
#ifndef OVVM_STORE_DB_H
#define OVVM_STORE_DB_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct db;

struct db_options {
    const char *path;
    const char *vfs; /* NULL: the default one */
    bool create;
    bool read_only;
};

int db_open(const struct db_options *options, struct db **db_r, struct err *err);
void db_close(struct db *db);

/* Parameters follow `types`, one letter each: i int64_t, t const char * (NULL: SQL NULL), b struct span (a BLOB),
 * n nothing (SQL NULL). */

/* Runs a statement to its end, rows ignored. Number of rows changed, or -1. */
int64_t db_run(struct db *db, struct err *err, const char *sql, const char *types, ...);

/* The same where the number of parameters is known only when it runs. `type` as above. */
struct db_value {
    char type;
    int64_t number;
    struct span bytes; /* t: UTF-8; b */
};
int64_t db_run_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t count);

struct db_rows {
    struct db *db;
    void *statement;
};
/* Begins a query. Always end it, also after an error. */
int db_query(struct db *db, struct db_rows *rows, struct err *err, const char *sql, const char *types, ...);
/* 1: a row; 0: no more; -1: error. */
int db_next(struct db_rows *rows, struct err *err);
void db_end(struct db_rows *rows);
/* Columns from 0. Spans and texts are valid until the next db_next or db_end. SQL NULL reads as 0 or empty. */
int64_t db_int(const struct db_rows *rows, int column);
struct span db_bytes(const struct db_rows *rows, int column);
/* Copies as a C string, cut to `room`. */
void db_text(const struct db_rows *rows, int column, char *to_r, size_t room);
bool db_is_null(const struct db_rows *rows, int column);

/* One row of integers or nothing: 1 found, 0 not, -1 error. */
int db_one_int(struct db *db, int64_t *value_r, struct err *err, const char *sql, const char *types, ...);

/* A script of several statements without parameters (migrations, pragmas). */
int db_script(struct db *db, const char *sql, struct err *err);

/* SAVEPOINT handling of the writer. */
int db_begin(struct db *db, struct err *err);
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);

/* Moves what was committed from the write-ahead log into the database file. */
enum db_checkpoint {
    DB_CHECKPOINT_MOVE,    /* as much as readers let go, in whichever thread */
    DB_CHECKPOINT_RESTART, /* and starts the log anew, where no reader is in the way at this moment */
    DB_CHECKPOINT_WAIT     /* the same, waiting for readers */
};
int db_checkpoint(struct db *db, enum db_checkpoint how, struct err *err);
/* Bytes in the write-ahead log after the last commit of this connection. */
uint64_t db_wal_bytes(const struct db *db);

#endif
