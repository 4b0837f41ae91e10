/* What is lost when these fail: a registration, a letter or its history on the way to another computer; or one host
 * address is given to two people after the move. */
#include "base/clock.h"
#include "relocate/csv.h"
#include "relocate/itemfile.h"
#include "relocate/tables.h"
#include "relocate/transition.h"
#include "store/schema.h"
#include "store/sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static struct db *new_ledger(const char *name)
{
    char path[128];
    struct err err = ERR_CLEAR;
    struct instance instance;
    struct db *db = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    struct db_options options = { .path = path, .create = true };
    if (db_open(&options, &db, &err) == -1 || schema_migrate(db, &err) == -1 || db_begin(db, &err) == -1 ||
        instance_claim(db, folder, &instance, &err) == -1 || db_commit(db, &err) == -1)
        fail_msg("%s", err.text);
    return db;
}

static void close_ledger(struct db *db, const char *name)
{
    char path[128];
    db_close(db);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/ovvm-relocate-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

#define RUN(db, ...)                                   \
    do {                                               \
        struct err run_err = ERR_CLEAR;                \
        if (db_run((db), &run_err, __VA_ARGS__) == -1) \
            fail_msg("%s", run_err.text);              \
    } while (0)

static int64_t number(struct db *db, const char *sql)
{
    struct err err = ERR_CLEAR;
    int64_t value = 0;
    if (db_one_int(db, &value, &err, sql, "") == -1)
        fail_msg("%s", err.text);
    return value;
}

/* --- csv --- */

static void cells_are_written_as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *cell;
    } cases[] = {
        { "plain", 5, "plain" },
        { "", 0, "" },
        { "a,b", 3, "\"a,b\"" },
        { "say \"no\"", 8, "\"say \"\"no\"\"\"" },
        { "=1+1", 4, "'=1+1" }, /* a formula, to a spreadsheet */
        { "@SUM(A1)", 8, "'@SUM(A1)" },
        { "-2", 2, "'-2" },
        { "+2", 2, "'+2" },
        { "'quoted", 7, "''quoted" },
        { "\t=1", 3, "\\x09=1" },
        { "\xEF\xBC\x9D"
          "1",
          4,
          "'\xEF\xBC\x9D"
          "1" }, /* U+FF1D */
        { "line\r\nline", 10, "line\\x0D\\x0Aline" },
        { "C:\\x", 4, "C:\\\\x" },
        { "\\N", 2, "\\\\N" },
        { "Gr\xC3\xBC\xC3\x9F"
          "e",
          7,
          "Gr\xC3\xBC\xC3\x9F"
          "e" },
        { "Gr\xFC", 3, "Gr\\xFC" }, /* Latin-1 is no UTF-8 */
        { "\0x", 2, "\\x00x" },
        { " x", 2, "\" x\"" },
        { "\xC2\x85", 2, "\\xC2\\x85" }, /* NEL, a control */
    };
    struct csv_row row = { .count = 0 };
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf line = { 0 };
        struct span bytes = span_of(cases[i].bytes, cases[i].size);
        csv_add_text(&line, bytes);
        assert_true(span_equal(buf_span(&line), span_text(cases[i].cell)));
        assert_int_equal(csv_split(buf_span(&line), &row, &err), 0);
        assert_int_equal(row.count, 1);
        assert_true(span_equal(csv_cell(&row, 0), bytes));
        buf_free(&line);
    }
    csv_row_free(&row);
}

static void broken_lines_are_refused_with_their_cell(void **state)
{
    (void)state;
    static const char *const lines[] = { "a,\"b", "a,\"b\"c", "a,b\"c", "a,\\x", "a,\\x1",
                                         "a,\\q", "a,\\",     "a,\xFF", "a,\x01" };
    struct csv_row row = { .count = 0 };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct err err = ERR_CLEAR;
        assert_int_equal(csv_split(span_text(lines[i]), &row, &err), -1);
        assert_int_equal(err.id, ERR_BAD_CONTENT);
        assert_non_null(strstr(err.text, "cell 2"));
    }
    csv_row_free(&row);
}

static void numbers_reach_both_ends(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_int_equal(csv_int(span_text("9223372036854775807"), &value, NULL), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(csv_int(span_text("-9223372036854775808"), &value, NULL), 0);
    assert_true(value == INT64_MIN);
    static const char *const wrong[] = {
        "", "-", "9223372036854775808", "-9223372036854775809", "1x", " 1", "+1", "1e3"
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(csv_int(span_text(wrong[i]), &value, NULL), -1);
}

/* --- tables --- */

/* A table or column that a later schema adds and nobody describes would stay behind when an instance moves. */
static void every_table_of_the_ledger_moves(void **state)
{
    (void)state;
    struct db *db = new_ledger("ledger");
    struct db_rows rows;
    struct err err = ERR_CLEAR;
    int columns = 0;
    assert_int_equal(
        db_query(db, &rows, &err,
                 "SELECT m.name, c.name, c.\"notnull\" FROM sqlite_master m JOIN pragma_table_info(m.name) c"
                 " WHERE m.type = 'table' AND m.name NOT IN ('instance', 'item', 'recipient', 'content')",
                 ""),
        0);
    while (db_next(&rows, &err) == 1) {
        char table_name[64];
        char column_name[64];
        db_text(&rows, 0, table_name, sizeof table_name);
        db_text(&rows, 1, column_name, sizeof column_name);
        const struct table *table = NULL;
        for (size_t i = 0; i < table_count; i++)
            if (strcmp(tables[i].name, table_name) == 0)
                table = &tables[i];
        if (table == NULL)
            fail_msg("table %s is described nowhere in tables.c", table_name);
        bool found = false;
        for (size_t i = 0; i < table_columns(table); i++)
            found = found || strcmp(table->columns[i].name, column_name) == 0;
        if (!found)
            fail_msg("column %s of %s is described nowhere in tables.c", column_name, table_name);
        columns++;
    }
    db_end(&rows);
    int described = 0;
    for (size_t i = 0; i < table_count; i++)
        described += (int)table_columns(&tables[i]);
    assert_int_equal(columns, described);
    /* letters are files: their columns are counted here, so that a new one is thought of in itemfile.c */
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('item')"), 14);
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('recipient')"), 5);
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('instance')"), 9);
    close_ledger(db, "ledger");
}

static int collect(void *arg, struct span bytes, struct err *err)
{
    (void)err;
    buf_add_span(arg, bytes);
    return 0;
}

static struct span exported(struct db *db, const struct table *table, struct buf *to)
{
    struct err err = ERR_CLEAR;
    int64_t rows = 0;
    buf_clear(to);
    if (table_export(db, table, collect, to, &rows, &err) == -1)
        fail_msg("%s", err.text);
    return buf_span(to);
}

static int imported(struct db *db, const struct table *table, struct span text, size_t step, struct err *err)
{
    struct table_reader reader;
    table_read_begin(&reader, db, table);
    int result = 0;
    for (size_t at = 0; at < text.size && result == 0; at += step)
        result = table_read(&reader, span_slice(text, at, step), err);
    if (result == 0)
        result = table_read_end(&reader, err);
    table_read_free(&reader);
    return result;
}

static void fill(struct db *db)
{
    struct span nasty = SPAN_LITERAL("=cmd|'\r\n\"\\,\xFF\x00\xC3\xBC");
    RUN(db, "INSERT INTO person VALUES (7, ?1, ?2, 1, 10, 20)", "bb", SPAN_LITERAL("a@example.com"), nasty);
    RUN(db, "INSERT INTO host_address VALUES ('MICROSFT', 'X0000017', 7, 2, 1, 10, 10)", "");
    RUN(db, "INSERT INTO host_address VALUES ('MICROSFT', 'POSTMAST', NULL, 5, 1, 10, 10)", "");
    RUN(db, "INSERT INTO correlation VALUES (1, 'L', 'A(B)', 'C(D)', 1, ?1, ?1, ?1, ?1, ?1, -5)", "b", nasty);
    RUN(db, "INSERT INTO sequence VALUES ('registration', 18)", "");
    RUN(db, "INSERT INTO nje_sent VALUES (3, 'N', 9999, 'L', 'I', 'L', 'O', 'D', ?1, 5)", "b", nasty);
    RUN(db, "INSERT INTO nje_seen VALUES (4, 'L', ?1, ?2, 'I', 1, 5)", "tb", "a job, \"quoted\"", nasty);
    RUN(db, "INSERT INTO audit VALUES (5, 6, ?1, 'what', ?1)", "b", nasty);
    RUN(db, "INSERT INTO track VALUES (6, 'L', 'I', 7, 1, ?1, ?1)", "b", SPAN_EMPTY);
}

static void every_row_comes_back_as_it_was(void **state)
{
    (void)state;
    struct db *from = new_ledger("from");
    struct db *to = new_ledger("to");
    struct buf first = { 0 };
    struct buf second = { 0 };
    struct err err = ERR_CLEAR;
    fill(from);
    for (size_t i = 0; i < table_count; i++) {
        struct span text = exported(from, &tables[i], &first);
        if (imported(to, &tables[i], text, 1 + i, &err) == -1)
            fail_msg("%s", err.text);
        assert_true(span_equal(text, exported(to, &tables[i], &second)));
    }
    /* not only our text against our text: the bytes themselves */
    assert_int_equal(
        number(to, "SELECT count(*) FROM person WHERE key = 7 AND name = X'3D636D647C270D0A225C2CFF00C3BC'"), 1);
    assert_int_equal(number(to, "SELECT count(*) FROM host_address WHERE user_id = 'POSTMAST' AND person IS NULL"), 1);
    assert_int_equal(number(to, "SELECT count(*) FROM correlation WHERE at_us = -5 AND typeof(letter) = 'text'"), 1);
    assert_int_equal(number(to, "SELECT count(*) FROM nje_seen WHERE length(sha256) = 15 AND typeof(sha256) = 'blob'"),
                     1);
    buf_free(&first);
    buf_free(&second);
    close_ledger(from, "from");
    close_ledger(to, "to");
}

static void wrong_rows_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "empty" },
        { "name\nx\n", "\"next\" is missing" },
        { "name,next,name\n", "stands twice" },
        { "name,next,other\n", "no column \"other\"" },
        { "next,name\n5,a\nx,b\n", "line 3" },
        { "name,next\na,5\na,6\n", "line 3" }, /* two values for one name */
        { "name,next\na\n", "line 2" },
        { "name,next\na,\\N\n", "column next" },
        { "name,next\na,5,6\n", "3 cells" },
    };
    const struct table *table = table_of_member(span_text("Tables/Lmetprox.seq"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct db *db = new_ledger("ledger");
        struct err err = ERR_CLEAR;
        assert_int_equal(imported(db, table, span_text(cases[i].text), 3, &err), -1);
        if (err.id != ERR_BAD_CONTENT || strstr(err.text, cases[i].says) == NULL ||
            strstr(err.text, "Tables/Lmetprox.seq") == NULL)
            fail_msg("case %zu: %s", i, err.text);
        close_ledger(db, "ledger");
    }
}

/* --- letters --- */

static void a_letter_comes_back_whole(void **state)
{
    (void)state;
    struct db *from = new_ledger("from");
    struct db *to = new_ledger("to");
    struct err err = ERR_CLEAR;
    struct buf content = { .limit = 0 };
    struct buf file = { 0 };
    for (size_t size = 0; size <= 700000; size += 350000) {
        struct item_recipient recipients[2] = { { .address = SPAN_LITERAL("MAPLEC1(GEORGEB)") },
                                                { .address = SPAN_LITERAL("\xFF@\"x") } };
        struct item item = { .key = (int64_t)size + 1, .id = ulid_new(), .queue = QUEUE_MAIL_OUT, .flags = ITEM_8BIT };
        item.letter = ulid_new();
        item.sender = SPAN_LITERAL("a\\b@example.com");
        item.arrived_us = 123;
        item.due_us = 456;
        item.size = size;
        item.recipients = recipients;
        item.recipient_count = 2;
        buf_clear(&content);
        for (size_t i = 0; i < size; i++)
            buf_add_u8(&content, (uint8_t)(i * 31 >> 3));
        assert_int_equal(item_insert(from, &item, buf_span(&content), 0, &err), 0);
        assert_int_equal(item_recipient_set(from, item.key, 1, RECIPIENT_DONE, "250 fine", &err), 0);
        assert_int_equal(item_defer(from, item.key, 789, "not now", &err), 0);
        buf_clear(&file);
        assert_int_equal(itemfile_export(from, item.key, collect, &file, &err), 1);
        struct itemfile_reader reader;
        itemfile_read_begin(&reader, to, item.key, false);
        for (size_t at = 0; at < file.size; at += 1000)
            if (itemfile_read(&reader, span_slice(buf_span(&file), at, 1000), &err) == -1)
                fail_msg("%s", err.text);
        if (itemfile_read_end(&reader, &err) == -1)
            fail_msg("%s", err.text);
        itemfile_read_free(&reader);
        struct item got;
        struct buf back = { 0 };
        assert_int_equal(item_load(to, item.key, &got, &err), 1);
        assert_string_equal(got.id.text, item.id.text);
        assert_string_equal(got.letter.text, item.letter.text);
        assert_true(span_equal(got.sender, item.sender));
        assert_int_equal(got.attempts, 1);
        assert_int_equal(got.due_us, 789);
        assert_int_equal(got.arrived_us, 123);
        assert_string_equal(got.reason, "not now");
        assert_true(span_equal(got.recipients[1].address, recipients[1].address));
        assert_int_equal(got.recipients[1].state, RECIPIENT_DONE);
        assert_int_equal(got.recipients[0].state, RECIPIENT_PENDING);
        assert_int_equal(item_content_read(to, item.key, 0, size + 1, &back, &err), 0);
        assert_true(span_equal(buf_span(&back), buf_span(&content)));
        buf_free(&back);
        item_free(&got);
        /* one byte less, one byte other */
        for (int change = 0; change < 2 && size > 0; change++) {
            file.at[file.size - 1] ^= (uint8_t)change;
            itemfile_read_begin(&reader, to, 99, false);
            int result = itemfile_read(&reader, span_slice(buf_span(&file), 0, file.size - 1 + (size_t)change), &err);
            assert_true(result == -1 || itemfile_read_end(&reader, &err) == -1);
            itemfile_read_free(&reader);
            RUN(to, "DELETE FROM item WHERE key = 99", "");
            RUN(to, "DELETE FROM content WHERE chunk / 65536 = 99", "");
        }
    }
    buf_free(&content);
    buf_free(&file);
    close_ledger(from, "from");
    close_ledger(to, "to");
}

/* --- states --- */

static enum instance_state state_of(struct db *db)
{
    struct instance instance;
    assert_int_equal(instance_read(db, &instance, NULL), 0);
    return instance.state;
}

static int64_t next_number(struct db *db)
{
    return number(db, "SELECT next FROM sequence WHERE name = 'registration'");
}

static void set_state(struct db *db, enum instance_state state, const char *bundle)
{
    struct instance instance;
    assert_int_equal(instance_read(db, &instance, NULL), 0);
    instance.state = state;
    (void)snprintf(instance.bundle, sizeof instance.bundle, "%s", bundle);
    assert_int_equal(instance_write(db, &instance, NULL), 0);
}

#define BUNDLE "0123456789abcdef0123456789abcdef"

static void only_the_right_order_moves_an_instance(void **state)
{
    (void)state;
    struct db *old = new_ledger("old");
    struct db *new = new_ledger("new");
    struct err err = ERR_CLEAR;
    struct transition_lossy lossy;
    struct instance there;
    char receipt[TRANSITION_RECEIPT_SIZE];
    assert_int_equal(transition_moved(old, BUNDLE, "op", &err), -1);
    assert_int_equal(transition_activate(old, "op", receipt, &err), -1);
    assert_int_equal(transition_done(old, "x", "op", &err), -1);
    assert_int_equal(transition_cancel(old, BUNDLE, TRANSITION_NEVER_ACTIVATED, "op", &lossy, &err), -1);
    assert_int_equal(state_of(old), INSTANCE_ACTIVE);
    assert_int_equal(transition_begin(old, BUNDLE, "op", &err), 0);
    assert_int_equal(state_of(old), INSTANCE_EXPORTING);
    assert_int_equal(transition_moved(old, "f123456789abcdef0123456789abcdef", "op", &err), -1);
    assert_int_equal(transition_moved(old, BUNDLE, "op", &err), 0);
    assert_int_equal(transition_moved(old, BUNDLE, "op", &err), 0); /* asked twice: the answer was lost */
    assert_int_equal(transition_begin(old, BUNDLE, "op", &err), -1);
    assert_non_null(strstr(err.text, "relocate done RECEIPT"));
    /* over there */
    assert_int_equal(instance_read(old, &there, &err), 0);
    there.state = INSTANCE_IMPORTED;
    assert_int_equal(instance_write(new, &there, &err), 0);
    assert_int_equal(transition_begin(new, BUNDLE, "op", &err), -1);
    assert_int_equal(transition_activate(new, "op", receipt, &err), 0);
    assert_int_equal(state_of(new), INSTANCE_ACTIVE);
    assert_int_equal(number(new, "SELECT generation FROM instance"), 2);
    char again[TRANSITION_RECEIPT_SIZE];
    assert_int_equal(transition_activate(new, "op", again, &err), 0);
    assert_string_equal(again, receipt);
    assert_int_equal(number(new, "SELECT generation FROM instance"), 2);
    /* and back here */
    receipt[3] ^= 1;
    assert_int_equal(transition_done(old, receipt, "op", &err), -1);
    receipt[3] ^= 1;
    assert_int_equal(transition_done(old, receipt, "op", &err), 0);
    assert_int_equal(state_of(old), INSTANCE_DONE);
    assert_int_equal(transition_cancel(old, BUNDLE, TRANSITION_NEVER_ACTIVATED, "op", &lossy, &err), -1);
    assert_int_equal(number(old, "SELECT count(*) FROM audit"), 3);
    close_ledger(old, "old");
    close_ledger(new, "new");
}

static void a_rehearsal_never_becomes_active(void **state)
{
    (void)state;
    struct transition_lossy lossy;
    struct db *db = new_ledger("ledger");
    struct err err = ERR_CLEAR;
    char receipt[TRANSITION_RECEIPT_SIZE];
    set_state(db, INSTANCE_REHEARSAL, BUNDLE);
    assert_int_equal(transition_activate(db, "op", receipt, &err), -1);
    assert_int_equal(transition_begin(db, BUNDLE, "op", &err), -1);
    assert_int_equal(transition_cancel(db, BUNDLE, TRANSITION_NEVER_ACTIVATED, "op", &lossy, &err), -1);
    assert_int_equal(state_of(db), INSTANCE_REHEARSAL);
    close_ledger(db, "ledger");
}

/* The export failed: nobody has the bundle, so nothing is lost by going on as before. */
static void an_export_that_failed_leaves_no_trace(void **state)
{
    (void)state;
    struct db *db = new_ledger("ledger");
    struct err err = ERR_CLEAR;
    RUN(db, "INSERT INTO sequence VALUES ('registration', 18)", "");
    assert_int_equal(transition_undo(db, BUNDLE, "op", &err), 0); /* asked twice */
    assert_int_equal(transition_begin(db, BUNDLE, "op", &err), 0);
    assert_int_equal(transition_undo(db, "f123456789abcdef0123456789abcdef", "op", &err), -1);
    assert_int_equal(transition_undo(db, BUNDLE, "op", &err), 0);
    assert_int_equal(state_of(db), INSTANCE_ACTIVE);
    assert_int_equal(next_number(db), 18);
    assert_int_equal(transition_begin(db, BUNDLE, "op", &err), 0);
    assert_int_equal(transition_moved(db, BUNDLE, "op", &err), 0);
    assert_int_equal(transition_undo(db, BUNDLE, "op", &err), -1); /* the bundle may have its name */
    assert_int_equal(state_of(db), INSTANCE_MOVED);
    close_ledger(db, "ledger");
}

/* The other side is lost after it was active: what it gave out must not be given out again. */
static void back_from_a_side_that_was_active_it_is_a_lossy_restore(void **state)
{
    (void)state;
    struct db *db = new_ledger("ledger");
    struct err err = ERR_CLEAR;
    struct transition_lossy lossy;
    RUN(db, "INSERT INTO sequence VALUES ('registration', 18)", "");
    set_state(db, INSTANCE_DONE, BUNDLE);
    assert_int_equal(transition_cancel(db, BUNDLE, TRANSITION_NEVER_ACTIVATED, "op", &lossy, &err), -1);
    assert_int_equal(transition_cancel(db, BUNDLE, TRANSITION_WAS_ACTIVE, "op", &lossy, &err), 0);
    assert_int_equal(state_of(db), INSTANCE_ACTIVE);
    assert_int_equal(number(db, "SELECT generation FROM instance"), 2);
    assert_true(next_number(db) >= 100018);
    close_ledger(db, "ledger");
}

static void taken_back_it_skips_numbers(void **state)
{
    (void)state;
    struct transition_lossy lossy;
    struct db *db = new_ledger("ledger");
    struct err err = ERR_CLEAR;
    RUN(db, "INSERT INTO sequence VALUES ('registration', 18)", "");
    set_state(db, INSTANCE_MOVED, BUNDLE);
    assert_int_equal(transition_cancel(db, BUNDLE, TRANSITION_NO_WORD, "op", &lossy, &err), -1);
    assert_non_null(strstr(err.text, "--never-activated"));
    assert_int_equal(
        transition_cancel(db, "f123456789abcdef0123456789abcdef", TRANSITION_NEVER_ACTIVATED, "op", &lossy, &err), -1);
    assert_int_equal(transition_cancel(db, BUNDLE, TRANSITION_NEVER_ACTIVATED, "op", &lossy, &err), 0);
    assert_int_equal(next_number(db), 100018);
    assert_int_equal(state_of(db), INSTANCE_ACTIVE);
    close_ledger(db, "ledger");
}

static void numbers_are_read_from_user_ids(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_true(transition_number("X0000017", &value) && value == 17);
    assert_true(transition_number("X9999999", &value) && value == 9999999);
    assert_true(transition_number("XA000000", &value) && value == 10000000);
    assert_true(transition_number("XA00000Z", &value) && value == 10000035);
    assert_true(transition_number("XB000000", &value) && value == 10000000 + INT64_C(2176782336));
    static const char *const none[] = { "X000001", "X00000017", "X00000A7", "00000017", "" };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(transition_number(none[i], &value));
}

/* RL-01: both an old sequence with new registrations and the other way round. */
static void no_registered_number_is_given_again(void **state)
{
    (void)state;
    struct db *db = new_ledger("ledger");
    struct err err = ERR_CLEAR;
    char receipt[TRANSITION_RECEIPT_SIZE];
    RUN(db, "INSERT INTO sequence VALUES ('registration', 18)", "");
    RUN(db, "INSERT INTO host_address VALUES ('MICROSFT', 'X0000500', 1, 2, 1, 10, 10)", "");
    RUN(db, "INSERT INTO host_address VALUES ('MICROSFT', 'X0000700', 1, 6, 0, 10, 10)", "");
    RUN(db, "INSERT INTO host_address VALUES ('MICROSFT', 'JOHNSMIT', 1, 6, 0, 10, 10)", "");
    set_state(db, INSTANCE_IMPORTED, BUNDLE);
    assert_int_equal(transition_activate(db, "op", receipt, &err), 0);
    assert_int_equal(next_number(db), 701);
    RUN(db, "UPDATE sequence SET next = 9000", "");
    set_state(db, INSTANCE_IMPORTED, BUNDLE);
    assert_int_equal(transition_activate(db, "op", receipt, &err), 0);
    assert_int_equal(next_number(db), 9000);
    close_ledger(db, "ledger");
}

static void a_lossy_restore_jumps_and_holds(void **state)
{
    (void)state;
    struct db *db = new_ledger("ledger");
    struct err err = ERR_CLEAR;
    struct transition_lossy lossy;
    struct item item = { .key = 1, .id = ulid_new(), .queue = QUEUE_MAIL_OUT, .sender = SPAN_LITERAL("a@b") };
    assert_int_equal(item_insert(db, &item, SPAN_LITERAL("x"), 0, &err), 0);
    RUN(db, "INSERT INTO sequence VALUES ('registration', 18)", "");
    assert_int_equal(transition_lossy(db, clock_now() - CLOCK_DAY / 2, "restore", "op", &lossy, &err), 0);
    assert_int_equal(next_number(db), 18 + 100000 + 12 * 3600 * TRANSITION_RATE);
    assert_int_equal(lossy.held, 1);
    assert_int_equal(number(db, "SELECT count(*) FROM item WHERE state = 1"), 1);
    assert_int_equal(number(db, "SELECT generation FROM instance"), 2);
    RUN(db, "UPDATE sequence SET next = 18", "");
    /* 3000 a day for ten days and a bit: 10 x 3000 x 11 */
    RUN(db,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO host_address SELECT 'MICROSFT', printf('X%07d', i), 1, 2, 0, 5, 5 FROM n",
        "");
    assert_int_equal(transition_lossy(db, clock_now() - 10 * CLOCK_DAY - 1000, "restore", "op", &lossy, &err), 0);
    assert_int_equal(lossy.jump, 330000 + 10 * 24 * 3600 * TRANSITION_RATE);
    assert_int_equal(next_number(db), 3001 + lossy.jump);
    /* the same backup once more, an hour later: above all that can have been given in that hour */
    int64_t first = lossy.next;
    RUN(db, "UPDATE sequence SET next = 18", "");
    assert_int_equal(transition_lossy(db, clock_now() - 10 * CLOCK_DAY - CLOCK_HOUR, "restore", "op", &lossy, &err), 0);
    assert_int_equal(lossy.next, first + 3600 * TRANSITION_RATE);
    close_ledger(db, "ledger");
}

/* PX-08: whoever got a number at a further node after the backup keeps it, also where that node had none before. */
static void numbers_of_further_nodes_jump_too(void **state)
{
    (void)state;
    struct db *db = new_ledger("ledger");
    struct err err = ERR_CLEAR;
    struct transition_lossy lossy;
    RUN(db, "INSERT INTO sequence VALUES ('registration', 18), ('registration BRANCH', 40), ('nje job', 7)", "");
    assert_int_equal(transition_lossy(db, clock_now(), "restore", "op", &lossy, &err), 0);
    assert_int_equal(next_number(db), 100040);
    assert_int_equal(number(db, "SELECT next FROM sequence WHERE name = 'registration BRANCH'"), 100040);
    assert_int_equal(number(db, "SELECT next FROM sequence WHERE name = 'registrations from'"), 100040);
    assert_int_equal(number(db, "SELECT next FROM sequence WHERE name = 'nje job'"), 7);
    close_ledger(db, "ledger");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_written_as_documented),
        cmocka_unit_test(broken_lines_are_refused_with_their_cell),
        cmocka_unit_test(numbers_reach_both_ends),
        cmocka_unit_test(every_table_of_the_ledger_moves),
        cmocka_unit_test(every_row_comes_back_as_it_was),
        cmocka_unit_test(wrong_rows_are_refused_with_their_line),
        cmocka_unit_test(a_letter_comes_back_whole),
        cmocka_unit_test(only_the_right_order_moves_an_instance),
        cmocka_unit_test(a_rehearsal_never_becomes_active),
        cmocka_unit_test(taken_back_it_skips_numbers),
        cmocka_unit_test(an_export_that_failed_leaves_no_trace),
        cmocka_unit_test(back_from_a_side_that_was_active_it_is_a_lossy_restore),
        cmocka_unit_test(numbers_are_read_from_user_ids),
        cmocka_unit_test(no_registered_number_is_given_again),
        cmocka_unit_test(a_lossy_restore_jumps_and_holds),
        cmocka_unit_test(numbers_of_further_nodes_jump_too),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
