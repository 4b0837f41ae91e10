/* The tables of a bundle. Rows stream in both directions: memory holds one line. What comes in may come from anywhere;
 * the ledger's own constraints refuse what would contradict itself (two rows for one host address). */
#include "relocate/tables.h"

#include <stdio.h>

enum { SQL_MAX = 1024, PUT_BYTES = 64 * 1024, KEY_MAX_BITS = 52 };

const struct table tables[] = {
    { "host_address",
      "Tables/PROFSreg.csv",
      "who was given which host address",
      "node, user_id",
      { { "node", COLUMN_TEXT, false },
        { "user_id", COLUMN_TEXT, false },
        { "person", COLUMN_INT, true },
        { "kind", COLUMN_INT, false },
        { "main", COLUMN_INT, false },
        { "made_us", COLUMN_INT, false },
        { "kind_us", COLUMN_INT, false } } },
    { "person",
      "Tables/Profs.csv",
      "people and their addresses",
      "key",
      { { "key", COLUMN_KEY, false },
        { "address", COLUMN_BYTES, false },
        { "name", COLUMN_BYTES, false },
        { "source", COLUMN_INT, false },
        { "made_us", COLUMN_INT, false },
        { "used_us", COLUMN_INT, false } } },
    { "correlation",
      "Tables/Ct.csv",
      "which letter answers which",
      "key",
      { { "key", COLUMN_KEY, false },
        { "letter", COLUMN_TEXT, false },
        { "host", COLUMN_TEXT, false },
        { "proxy", COLUMN_TEXT, false },
        { "direction", COLUMN_INT, false },
        { "message_id", COLUMN_BYTES, false },
        { "refs", COLUMN_BYTES, false },
        { "reply_to", COLUMN_BYTES, false },
        { "subject", COLUMN_BYTES, false },
        { "stamp", COLUMN_BYTES, false },
        { "at_us", COLUMN_INT, false } } },
    { "directory",
      "State/directory.csv",
      "when people were read from a directory",
      "name",
      { { "name", COLUMN_TEXT, false }, { "loaded_us", COLUMN_INT, false }, { "people", COLUMN_INT, false } } },
    { "registered",
      "State/registered.csv",
      "how many senders a peer brought on a day",
      "day, peer",
      { { "day", COLUMN_INT, false }, { "peer", COLUMN_BYTES, false }, { "count", COLUMN_INT, false } } },
    { "host_use",
      "State/hostuse.csv",
      "what each host user had on a day",
      "day, host",
      { { "day", COLUMN_INT, false },
        { "host", COLUMN_TEXT, false },
        { "letters", COLUMN_INT, false },
        { "registrations", COLUMN_INT, false },
        { "answers", COLUMN_INT, false } } },
    { "introduced",
      "Tables/introduced.csv",
      "whom host users introduced",
      "host, person",
      { { "host", COLUMN_TEXT, false }, { "person", COLUMN_INT, false }, { "at_us", COLUMN_INT, false } } },
    { "sequence",
      "Tables/Lmetprox.seq",
      "numbers that only grow",
      "name",
      { { "name", COLUMN_TEXT, false }, { "next", COLUMN_INT, false } } },
    { "nje_sent",
      "State/sent.csv",
      "NJE files that were sent",
      "key",
      { { "key", COLUMN_KEY, false },
        { "node", COLUMN_TEXT, false },
        { "job_id", COLUMN_INT, false },
        { "link", COLUMN_TEXT, false },
        { "item", COLUMN_TEXT, false },
        { "letter", COLUMN_TEXT, false },
        { "origin", COLUMN_TEXT, false },
        { "destination", COLUMN_TEXT, false },
        { "sender", COLUMN_BYTES, false },
        { "at_us", COLUMN_INT, false } } },
    { "nje_seen",
      "State/seen.csv",
      "NJE files that were taken",
      "key",
      { { "key", COLUMN_KEY, false },
        { "link", COLUMN_TEXT, false },
        { "job", COLUMN_TEXT, false },
        { "sha256", COLUMN_HEX, false },
        { "item", COLUMN_TEXT, false },
        { "unsure", COLUMN_INT, false },
        { "at_us", COLUMN_INT, false } } },
    { "audit",
      "State/audit.csv",
      "what operators did",
      "key",
      { { "key", COLUMN_KEY, false },
        { "at_us", COLUMN_INT, false },
        { "who", COLUMN_BYTES, false },
        { "what", COLUMN_TEXT, false },
        { "detail", COLUMN_BYTES, false } } },
    { "track",
      "State/track.csv",
      "the history of letters",
      "key",
      { { "key", COLUMN_KEY, false },
        { "letter", COLUMN_TEXT, false },
        { "item", COLUMN_TEXT, false },
        { "at_us", COLUMN_INT, false },
        { "step", COLUMN_INT, false },
        { "address", COLUMN_BYTES, false },
        { "detail", COLUMN_BYTES, false } } },
};
const size_t table_count = sizeof tables / sizeof tables[0];

size_t table_columns(const struct table *table)
{
    size_t count = 0;
    while (count < TABLE_COLUMNS_MAX && table->columns[count].name != NULL)
        count++;
    return count;
}

const struct table *table_of_member(struct span member)
{
    for (size_t i = 0; i < table_count; i++)
        if (span_equal(member, span_text(tables[i].member)))
            return &tables[i];
    return NULL;
}

/* Statements are remembered by the address of their text, so each table keeps its own. */
static const char *select_of(const struct table *table)
{
    static char sql[sizeof tables / sizeof tables[0]][SQL_MAX];
    char *text = sql[table - tables];
    size_t size = (size_t)snprintf(text, SQL_MAX, "SELECT ");
    for (size_t i = 0; i < table_columns(table); i++)
        size += (size_t)snprintf(text + size, SQL_MAX - size, "%s%s", i > 0 ? ", " : "", table->columns[i].name);
    (void)snprintf(text + size, SQL_MAX - size, " FROM %s ORDER BY %s", table->name, table->order);
    return text;
}

static const char *insert_of(const struct table *table)
{
    static char sql[sizeof tables / sizeof tables[0]][SQL_MAX];
    char *text = sql[table - tables];
    size_t size = (size_t)snprintf(text, SQL_MAX, "INSERT INTO %s (", table->name);
    for (size_t i = 0; i < table_columns(table); i++)
        size += (size_t)snprintf(text + size, SQL_MAX - size, "%s%s", i > 0 ? ", " : "", table->columns[i].name);
    size += (size_t)snprintf(text + size, SQL_MAX - size, ") VALUES (");
    for (size_t i = 0; i < table_columns(table); i++)
        size += (size_t)snprintf(text + size, SQL_MAX - size, "%s?%zu", i > 0 ? ", " : "", i + 1);
    (void)snprintf(text + size, SQL_MAX - size, ")");
    return text;
}

/* --- out --- */

static void add_row(const struct table *table, const struct db_rows *rows, struct buf *to)
{
    for (size_t i = 0; i < table_columns(table); i++) {
        const struct column *column = &table->columns[i];
        if (i > 0)
            buf_add_u8(to, ',');
        if (db_is_null(rows, (int)i))
            csv_add_null(to);
        else if (column->type == COLUMN_INT || column->type == COLUMN_KEY)
            csv_add_int(to, db_int(rows, (int)i));
        else if (column->type == COLUMN_HEX)
            csv_add_hex(to, db_bytes(rows, (int)i));
        else
            csv_add_text(to, db_bytes(rows, (int)i));
    }
    buf_add_u8(to, '\n');
}

static int put_lines(struct buf *lines, const struct table *table, table_put put, void *arg, struct err *err)
{
    if (lines->failed)
        return err_set(err, ERR_NO_MEMORY, "%s: out of memory for a row", table->member);
    int result = put(arg, buf_span(lines), err);
    buf_clear(lines);
    return result;
}

int table_export(struct db *db, const struct table *table, table_put put, void *arg, int64_t *rows_r, struct err *err)
{
    struct buf lines = { 0 };
    struct db_rows rows;
    *rows_r = 0;
    for (size_t i = 0; i < table_columns(table); i++)
        buf_printf(&lines, "%s%s", i > 0 ? "," : "", table->columns[i].name);
    buf_add_u8(&lines, '\n');
    int found = db_query(db, &rows, err, select_of(table), "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        size_t before = lines.size;
        add_row(table, &rows, &lines);
        ++*rows_r;
        if (lines.size - before > CSV_LINE_MAX)
            found = err_set(err, ERR_TOO_BIG, "%s: row %lld is longer than a bundle holds", table->member,
                            (long long)*rows_r);
        else if (lines.size >= PUT_BYTES || lines.failed)
            found = put_lines(&lines, table, put, arg, err);
    }
    db_end(&rows);
    if (found == 0)
        found = put_lines(&lines, table, put, arg, err);
    buf_free(&lines);
    return found == -1 ? -1 : 0;
}

/* --- in --- */

void table_read_begin(struct table_reader *reader, struct db *db, const struct table *table)
{
    *reader = (struct table_reader){ .db = db, .table = table };
    reader->line.limit = CSV_LINE_MAX;
}

void table_read_free(struct table_reader *reader)
{
    buf_free(&reader->line);
    buf_free(&reader->hex);
    csv_row_free(&reader->row);
}

/* The first line names the columns, in any order; each of ours must be there once, and no other. */
static int take_names(struct table_reader *reader, struct err *err)
{
    const struct table *table = reader->table;
    size_t columns = table_columns(table);
    reader->cells = reader->row.count;
    for (size_t i = 0; i < columns; i++)
        reader->place[i] = SIZE_MAX;
    for (size_t cell = 0; cell < reader->row.count; cell++) {
        struct span name = csv_cell(&reader->row, cell);
        size_t i = 0;
        while (i < columns && !span_equal(name, span_text(table->columns[i].name)))
            i++;
        char text[40];
        span_to_text(name, text, sizeof text);
        if (i == columns)
            return err_set(err, ERR_BAD_CONTENT, "there is no column \"%s\"", text);
        if (reader->place[i] != SIZE_MAX)
            return err_set(err, ERR_BAD_CONTENT, "column \"%s\" stands twice", text);
        reader->place[i] = cell;
    }
    for (size_t i = 0; i < columns; i++)
        if (reader->place[i] == SIZE_MAX)
            return err_set(err, ERR_BAD_CONTENT, "column \"%s\" is missing", table->columns[i].name);
    return 0;
}

static int take_cell(struct table_reader *reader, const struct column *column, size_t cell, struct db_value *value_r,
                     struct err *err)
{
    struct span text = csv_cell(&reader->row, cell);
    *value_r = (struct db_value){ .type = 'n', .bytes = text };
    if (reader->row.cells[cell].null)
        return column->nullable ? 0 : err_set(err, ERR_BAD_CONTENT, "a value is wanted");
    switch (column->type) {
    case COLUMN_INT:
    case COLUMN_KEY:
        value_r->type = 'i';
        if (csv_int(text, &value_r->number, err) == -1)
            return -1;
        if (column->type == COLUMN_KEY && (value_r->number < 1 || value_r->number >> KEY_MAX_BITS != 0))
            return err_set(err, ERR_BAD_CONTENT, "a number from 1 to 2^%d-1 is wanted", KEY_MAX_BITS);
        return 0;
    case COLUMN_TEXT:
        value_r->type = 't';
        return span_find(text, 0) == text.size ? 0 : err_set(err, ERR_BAD_CONTENT, "a text has no byte X'00'");
    case COLUMN_BYTES:
        value_r->type = 'b';
        return 0;
    case COLUMN_HEX:
        value_r->type = 'b';
        buf_clear(&reader->hex); /* one such column a table */
        if (csv_hex(text, &reader->hex, err) == -1)
            return -1;
        value_r->bytes = buf_span(&reader->hex);
        return 0;
    }
    return err_set(err, ERR_BUG, "a column type that does not exist");
}

static int take_row(struct table_reader *reader, struct err *err)
{
    const struct table *table = reader->table;
    struct db_value values[TABLE_COLUMNS_MAX];
    size_t columns = table_columns(table);
    if (reader->row.count != reader->cells)
        return err_set(err, ERR_BAD_CONTENT, "%zu cells, and the first line names %zu", reader->row.count,
                       reader->cells);
    for (size_t i = 0; i < columns; i++)
        if (take_cell(reader, &table->columns[i], reader->place[i], &values[i], err) == -1)
            return err_context(err, "column %s", table->columns[i].name);
    if (db_run_values(reader->db, err, insert_of(table), values, columns) == -1) {
        if (err->id == ERR_BUG) /* a constraint: two rows that cannot both be true */
            (void)err_set(err, ERR_BAD_CONTENT, "this row contradicts an earlier one of the same key");
        return -1;
    }
    reader->rows++;
    return 0;
}

static int take_line(struct table_reader *reader, struct err *err)
{
    struct span line = span_trim_end(buf_span(&reader->line), '\r');
    reader->line_number++;
    if (reader->line_number == 1 && span_starts_with(line, SPAN_LITERAL("\xEF\xBB\xBF")))
        line = span_slice(line, 3, line.size);
    int result = csv_split(line, &reader->row, err);
    if (result == 0)
        result = reader->line_number == 1 ? take_names(reader, err) : take_row(reader, err);
    buf_clear(&reader->line);
    return result == 0 ? 0 : err_context(err, "%s: line %lld", reader->table->member, (long long)reader->line_number);
}

int table_read(struct table_reader *reader, struct span bytes, struct err *err)
{
    while (bytes.size > 0) {
        size_t size = span_find(bytes, '\n');
        buf_add_span(&reader->line, span_slice(bytes, 0, size));
        if (reader->line.failed)
            return err_set(err, ERR_BAD_CONTENT, "%s: line %lld is longer than %d bytes", reader->table->member,
                           (long long)reader->line_number + 1, CSV_LINE_MAX);
        if (size == bytes.size)
            return 0;
        if (take_line(reader, err) == -1)
            return -1;
        bytes = span_slice(bytes, size + 1, bytes.size);
    }
    return 0;
}

int table_read_end(struct table_reader *reader, struct err *err)
{
    if (reader->line.size > 0 && take_line(reader, err) == -1)
        return -1;
    return reader->line_number > 0
               ? 0
               : err_set(err, ERR_BAD_CONTENT, "%s: it is empty; its first line must name the columns",
                         reader->table->member);
}
