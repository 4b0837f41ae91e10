/* The ledger's database connection on SQLite.
 *
 * What can go wrong: the disk is full (DISK_FULL: the doors say 452 and wait), the disk is broken (STORE_IO), memory
 * ends (NO_MEMORY), the file is no database or damaged (STORE_IO with SQLite's words). SQLite may roll a whole
 * transaction back by itself after the first three: the writer looks at db_in_transaction before it goes on.
 */
#include "store/db.h"

#include "base/mem.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    STATEMENTS_MAX = 256, /* power of two; more than there are SQL texts in the program */
    PAGE_SIZE = 4096,
    CACHE_KIB = 16384,
    BUSY_WAIT_MS = 10000 /* for another process, or what only one may do at a time */
};

struct cached {
    const char *sql;
    sqlite3_stmt *statement;
};

struct db {
    sqlite3 *sqlite;
    struct cached cache[STATEMENTS_MAX];
    uint64_t wal_bytes;
};

static int failed(struct db *db, struct err *err, const char *what)
{
    int code = sqlite3_extended_errcode(db->sqlite);
    const char *words = sqlite3_errmsg(db->sqlite);
    enum err_id id = ERR_STORE_IO;
    switch (code & 0xFF) {
    case SQLITE_FULL:
        id = ERR_DISK_FULL;
        break;
    case SQLITE_NOMEM:
        id = ERR_NO_MEMORY;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        id = ERR_BUSY;
        break;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_ERROR:
        id = ERR_BUG;
        break;
    default:
        if (code == SQLITE_IOERR_NOMEM)
            id = ERR_NO_MEMORY;
        break;
    }
    return err_set(err, id, "ledger: %s: %s (%d)", what, words, code);
}

static int wal_hook(void *arg, sqlite3 *sqlite, const char *name, int pages)
{
    (void)sqlite;
    (void)name;
    struct db *db = arg;
    db->wal_bytes = (uint64_t)pages * PAGE_SIZE;
    return SQLITE_OK;
}

int db_open(const struct db_options *options, struct db **db_r, struct err *err)
{
    *db_r = NULL;
    struct db *db = mem_zero(sizeof *db);
    if (db == NULL)
        return err_set(err, ERR_NO_MEMORY, "ledger: out of memory");
    int flags = options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (options->create)
        flags |= SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(options->path, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX, options->vfs) != SQLITE_OK) {
        if (db->sqlite == NULL)
            (void)err_set(err, ERR_NO_MEMORY, "ledger: out of memory");
        else
            (void)failed(db, err, options->path);
        db_close(db);
        return -1;
    }
    (void)sqlite3_extended_result_codes(db->sqlite, 1);
    (void)sqlite3_busy_timeout(db->sqlite, BUSY_WAIT_MS);
    char pragmas[512];
    /* page_size only acts on a new database. The checkpoint has a thread of its own; see store.c. */
    (void)snprintf(
        pragmas, sizeof pragmas,
        "PRAGMA page_size=%d;%sPRAGMA synchronous=FULL;PRAGMA secure_delete=OFF;PRAGMA foreign_keys=OFF;"
        "PRAGMA wal_autocheckpoint=0;PRAGMA cache_size=-%d;PRAGMA temp_store=MEMORY;PRAGMA trusted_schema=OFF;"
        "PRAGMA cell_size_check=ON;",
        PAGE_SIZE, options->read_only ? "" : "PRAGMA journal_mode=WAL;", CACHE_KIB);
    if (db_script(db, pragmas, err) == -1) {
        db_close(db);
        return -1;
    }
    (void)sqlite3_wal_hook(db->sqlite, wal_hook, db);
    *db_r = db;
    return 0;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    for (int i = 0; i < STATEMENTS_MAX; i++)
        (void)sqlite3_finalize(db->cache[i].statement);
    (void)sqlite3_close(db->sqlite);
    mem_free(db);
}

static sqlite3_stmt *prepare(struct db *db, const char *sql, struct err *err)
{
    size_t slot = (size_t)((uintptr_t)sql >> 3) % STATEMENTS_MAX;
    for (int tries = 0; tries < STATEMENTS_MAX; tries++, slot = (slot + 1) % STATEMENTS_MAX) {
        struct cached *cached = &db->cache[slot];
        if (cached->sql == sql)
            return cached->statement;
        if (cached->sql != NULL)
            continue;
        if (sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &cached->statement, NULL) != SQLITE_OK) {
            (void)failed(db, err, sql);
            return NULL;
        }
        cached->sql = sql;
        return cached->statement;
    }
    (void)err_set(err, ERR_BUG, "ledger: more than %d statements", STATEMENTS_MAX);
    return NULL;
}

static int bind_all(struct db *db, sqlite3_stmt *statement, const char *types, va_list arguments, struct err *err)
{
    int code = SQLITE_OK;
    for (int i = 0; types[i] != '\0' && code == SQLITE_OK; i++) {
        switch (types[i]) {
        case 'i':
            code = sqlite3_bind_int64(statement, i + 1, va_arg(arguments, int64_t));
            break;
        case 't': {
            const char *text = va_arg(arguments, const char *);
            code = sqlite3_bind_text(statement, i + 1, text, -1, SQLITE_STATIC);
            break;
        }
        case 'b': {
            struct span bytes = va_arg(arguments, struct span);
            code = sqlite3_bind_blob64(statement, i + 1, bytes.at, bytes.size, SQLITE_STATIC);
            break;
        }
        default:
            code = sqlite3_bind_null(statement, i + 1);
            break;
        }
    }
    return code == SQLITE_OK ? 0 : failed(db, err, sqlite3_sql(statement));
}

static void release(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement); /* they pointed into the caller's memory */
}

int64_t db_run(struct db *db, struct err *err, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = prepare(db, sql, err);
    if (statement == NULL)
        return -1;
    va_list arguments;
    va_start(arguments, types);
    int bound = bind_all(db, statement, types, arguments, err);
    va_end(arguments);
    int64_t changed = -1;
    if (bound == 0) {
        int code = SQLITE_ROW;
        while (code == SQLITE_ROW)
            code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            changed = sqlite3_changes64(db->sqlite);
        else
            (void)failed(db, err, sql);
    }
    release(statement);
    return changed;
}

int64_t db_run_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t count)
{
    sqlite3_stmt *statement = prepare(db, sql, err);
    if (statement == NULL)
        return -1;
    int code = SQLITE_OK;
    for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
        struct span bytes = values[i].bytes;
        int at = (int)i + 1;
        if (values[i].type == 'i')
            code = sqlite3_bind_int64(statement, at, values[i].number);
        else if (values[i].type == 't')
            code = sqlite3_bind_text64(statement, at, (const char *)bytes.at, bytes.size, SQLITE_STATIC, SQLITE_UTF8);
        else if (values[i].type == 'b')
            code = sqlite3_bind_blob64(statement, at, bytes.at, bytes.size, SQLITE_STATIC);
        else
            code = sqlite3_bind_null(statement, at);
    }
    int64_t changed = -1;
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_DONE)
        changed = sqlite3_changes64(db->sqlite);
    else
        (void)failed(db, err, sql);
    release(statement);
    return changed;
}

static int query(struct db *db, struct db_rows *rows, struct err *err, const char *sql, const char *types,
                 va_list arguments)
{
    *rows = (struct db_rows){ .db = db, .statement = NULL };
    sqlite3_stmt *statement = prepare(db, sql, err);
    if (statement == NULL)
        return -1;
    if (sqlite3_stmt_busy(statement))
        return err_set(err, ERR_BUG, "ledger: query within itself: %s", sql);
    rows->statement = statement;
    return bind_all(db, statement, types, arguments, err);
}

int db_query(struct db *db, struct db_rows *rows, struct err *err, const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    int begun = query(db, rows, err, sql, types, arguments);
    va_end(arguments);
    return begun;
}

int db_next(struct db_rows *rows, struct err *err)
{
    if (rows->statement == NULL)
        return err_set(err, ERR_BUG, "ledger: no query");
    int code = sqlite3_step(rows->statement);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : failed(rows->db, err, sqlite3_sql(rows->statement));
}

void db_end(struct db_rows *rows)
{
    if (rows->statement != NULL)
        release(rows->statement);
    rows->statement = NULL;
}

int64_t db_int(const struct db_rows *rows, int column)
{
    return sqlite3_column_int64(rows->statement, column);
}

struct span db_bytes(const struct db_rows *rows, int column)
{
    const void *at = sqlite3_column_blob(rows->statement, column);
    return span_of(at, at != NULL ? (size_t)sqlite3_column_bytes(rows->statement, column) : 0);
}

void db_text(const struct db_rows *rows, int column, char *to_r, size_t room)
{
    (void)snprintf(to_r, room, "%.*s", (int)db_bytes(rows, column).size, (const char *)db_bytes(rows, column).at);
}

bool db_is_null(const struct db_rows *rows, int column)
{
    return sqlite3_column_type(rows->statement, column) == SQLITE_NULL;
}

int db_one_int(struct db *db, int64_t *value_r, struct err *err, const char *sql, const char *types, ...)
{
    struct db_rows rows;
    va_list arguments;
    va_start(arguments, types);
    int found = query(db, &rows, err, sql, types, arguments);
    va_end(arguments);
    if (found == 0)
        found = db_next(&rows, err);
    *value_r = found == 1 ? db_int(&rows, 0) : 0;
    db_end(&rows);
    return found;
}

int db_script(struct db *db, const char *sql, struct err *err)
{
    return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(db, err, "script");
}

int db_begin(struct db *db, struct err *err)
{
    return db_run(db, err, "BEGIN IMMEDIATE", "") == -1 ? -1 : 0;
}

int db_commit(struct db *db, struct err *err)
{
    return db_run(db, err, "COMMIT", "") == -1 ? -1 : 0;
}

void db_rollback(struct db *db)
{
    if (db_in_transaction(db))
        (void)db_run(db, NULL, "ROLLBACK", "");
}

bool db_in_transaction(const struct db *db)
{
    return sqlite3_get_autocommit(db->sqlite) == 0;
}

int db_checkpoint(struct db *db, enum db_checkpoint how, struct err *err)
{
    int mode = how == DB_CHECKPOINT_MOVE ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
    if (how == DB_CHECKPOINT_RESTART)
        (void)sqlite3_busy_timeout(db->sqlite, 0);
    int code = sqlite3_wal_checkpoint_v2(db->sqlite, NULL, mode, NULL, NULL);
    if (how == DB_CHECKPOINT_RESTART)
        (void)sqlite3_busy_timeout(db->sqlite, BUSY_WAIT_MS);
    if (code == SQLITE_OK || (code & 0xFF) == SQLITE_BUSY)
        return 0;
    return failed(db, err, "checkpoint");
}

uint64_t db_wal_bytes(const struct db *db)
{
    return db->wal_bytes;
}
