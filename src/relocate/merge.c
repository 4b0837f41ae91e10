/* Keys of rows count up in each ledger by itself, so those that come in are moved above ours; what connects rows of
 * different tables (letters, people, contents) moves with them. Everything is one transaction: what cannot be merged
 * leaves the standing ledger as it was. */
#include "relocate/merge.h"

#include "base/fault.h"
#include "relocate/tables.h"

#include <stdio.h>
#include <string.h>

FAILPOINT_DECLARE("relocate.merged");

enum { SQL_MAX = 2048, TABLES_MAX = 64 };

/* --- what contradicts --- */

/* One line for each row: what, its owner here and there. */
static int list(struct db *db, const char *sql, const char *says, int64_t *count, json_t *conflicts, struct err *err)
{
    struct db_rows rows;
    int found = db_query(db, &rows, err, sql, "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        char what[60];
        char text[400];
        char ours[120];
        char theirs[120];
        db_text(&rows, 0, what, sizeof what);
        span_to_text(db_bytes(&rows, 1), ours, sizeof ours);
        span_to_text(db_bytes(&rows, 2), theirs, sizeof theirs);
        (void)snprintf(text, sizeof text, "%s: %s%s%s%s", what, says, ours, ours[0] != '\0' ? ", there " : "", theirs);
        if ((*count)++ < MERGE_CONFLICTS_SHOWN)
            (void)json_array_append_new(conflicts, json_string(text));
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

static int find_conflicts(struct db *db, json_t **conflicts_r, struct err *err)
{
    int64_t count = 0;
    json_t *conflicts = json_array();
    if (list(db,
             "SELECT t.node || '(' || t.user_id || ')', coalesce(p.address, 'nobody'), coalesce(q.address, 'nobody')"
             " FROM theirs.host_address t JOIN main.host_address h ON h.node = t.node AND h.user_id = t.user_id"
             " LEFT JOIN main.person p ON p.key = h.person LEFT JOIN theirs.person q ON q.key = t.person"
             " WHERE p.address IS NOT q.address ORDER BY t.node, t.user_id",
             "here it is ", &count, conflicts, err) == -1 ||
        list(db, "SELECT t.id, X'', X'' FROM theirs.item t JOIN main.item i ON i.id = t.id",
             "this letter is here already", &count, conflicts, err) == -1) {
        json_decref(conflicts);
        return -1;
    }
    if (count == 0) {
        json_decref(conflicts);
        return 0;
    }
    *conflicts_r = conflicts;
    return err_set(err, ERR_REFUSED,
                   "%lld host addresses or letters contradict what is here, the first: %.200s. Nothing is ever "
                   "renumbered, so these two can only go on as two instances under different nodes",
                   (long long)count, json_string_value(json_array_get(conflicts, 0)));
}

/* --- copying --- */

/* The highest key of ours. Statements are remembered by the address of their text, so each table keeps its own. */
static int highest(struct db *db, const struct table *table, int64_t *key_r, struct err *err)
{
    static char sql[TABLES_MAX][120];
    char *text = sql[table - tables];
    (void)snprintf(text, sizeof sql[0], "SELECT coalesce(max(%s), 0) FROM main.%s", table->columns[0].name,
                   table->name);
    return db_one_int(db, key_r, err, text, "") == -1 ? -1 : 0;
}

/* "INSERT INTO main.T (columns) SELECT columns FROM theirs.T": keys moved up, people found by their address. */
static int copy_table(struct db *db, const struct table *table, struct err *err)
{
    char sql[SQL_MAX];
    int64_t above = 0;
    size_t columns = table_columns(table);
    if (table->columns[0].type == COLUMN_KEY && highest(db, table, &above, err) == -1)
        return -1;
    size_t size = (size_t)snprintf(sql, sizeof sql, "INSERT INTO main.%s (", table->name);
    for (size_t i = 0; i < columns; i++)
        size += (size_t)snprintf(sql + size, sizeof sql - size, "%s%s", i > 0 ? ", " : "", table->columns[i].name);
    size += (size_t)snprintf(sql + size, sizeof sql - size, ") SELECT ");
    for (size_t i = 0; i < columns; i++) {
        const char *name = table->columns[i].name;
        const char *comma = i > 0 ? ", " : "";
        if (table->columns[i].type == COLUMN_KEY)
            size += (size_t)snprintf(sql + size, sizeof sql - size, "%st.%s + %lld", comma, name, (long long)above);
        else if (strcmp(name, "person") == 0)
            size += (size_t)snprintf(sql + size, sizeof sql - size,
                                     "%s(SELECT p.key FROM main.person p JOIN theirs.person q ON q.address = p.address"
                                     " WHERE q.key = t.person)",
                                     comma);
        else if (strcmp(name, "main") == 0) /* the address that is shown stays ours */
            size += (size_t)snprintf(sql + size, sizeof sql - size,
                                     "%sCASE WHEN EXISTS (SELECT 1 FROM main.person p JOIN theirs.person q ON q.address"
                                     " = p.address JOIN main.host_address h ON h.person = p.key AND h.main = 1 WHERE"
                                     " q.key = t.person) THEN 0 ELSE t.main END",
                                     comma);
        else
            size += (size_t)snprintf(sql + size, sizeof sql - size, "%st.%s", comma, name);
    }
    const char *rest = strcmp(table->name, "person") == 0
                           ? " WHERE NOT EXISTS (SELECT 1 FROM main.person p WHERE p.address = t.address)"
                       : strcmp(table->name, "sequence") == 0
                           ? " WHERE true ON CONFLICT (name) DO UPDATE SET next = max(next, excluded.next)"
                       : strcmp(table->name, "registered") == 0
                           ? " WHERE true ON CONFLICT (day, peer) DO UPDATE SET count = count + excluded.count"
                           : " WHERE true ON CONFLICT DO NOTHING";
    (void)snprintf(sql + size, sizeof sql - size, " FROM theirs.%s t%s", table->name, rest);
    return db_script(db, sql, err) == 0 ? 0 : err_context(err, "merging %s", table->member);
}

static int copy_items(struct db *db, struct err *err)
{
    char sql[SQL_MAX];
    int64_t above = 0;
    if (db_one_int(db, &above, err, "SELECT coalesce(max(key), 0) FROM main.item", "") == -1)
        return -1;
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO main.item (key, id, letter, queue, state, door, arrived_us, due_us, attempts, size, flags,"
        " sender, reason, peer) SELECT key + %lld, id, letter, queue, state, door, arrived_us, due_us, attempts,"
        " size, flags, sender, reason, peer FROM theirs.item;"
        "INSERT INTO main.recipient (item, n, address, state, reason) SELECT item + %lld, n, address, state,"
        " reason FROM theirs.recipient;"
        "INSERT INTO main.content (chunk, bytes) SELECT chunk + %lld * 65536, bytes FROM theirs.content;",
        (long long)above, (long long)above, (long long)above);
    return db_script(db, sql, err);
}

static const struct table *table_named(const char *name)
{
    for (size_t i = 0; i < table_count; i++)
        if (strcmp(tables[i].name, name) == 0)
            return &tables[i];
    return NULL;
}

static int copy_all(struct db *db, struct err *err)
{
    if (copy_table(db, table_named("person"), err) == -1) /* the others look for people */
        return -1;
    for (size_t i = 0; i < table_count; i++)
        if (strcmp(tables[i].name, "person") != 0 && copy_table(db, &tables[i], err) == -1)
            return -1;
    return copy_items(db, err);
}

int merge_begin(struct db *db, const char *path, json_t **conflicts_r, struct err *err)
{
    *conflicts_r = NULL;
    if (db_run(db, err, "ATTACH ?1 AS theirs", "t", path) == -1)
        return -1;
    if (db_begin(db, err) == -1 || find_conflicts(db, conflicts_r, err) == -1 || copy_all(db, err) == -1)
        return -1;
    FAILPOINT("relocate.merged");
    return 0;
}

void merge_end(struct db *db)
{
    struct err ignored = ERR_CLEAR;
    db_rollback(db);
    (void)db_run(db, &ignored, "DETACH theirs", "");
}
