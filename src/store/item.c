/* Queue items in SQL. The key is the arrival order; content lies in chunks under key * 65536 + n, so that one
 * range covers a letter and deleting it touches nothing else. */
#include "store/item.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    REMOVE_AT_ONCE_MAX = 4 * ITEM_CHUNK_SIZE, /* larger contents are deleted later, in batches */
    PURGE_CHUNKS = 16
};

static const char *const queue_names[QUEUES] = { "gone", "host_in", "mail_out", "mail_in", "host_out" };
static const char *const classic_names[QUEUES] = { "", "VM2MEX.IN", "MTS-IN", "MTS-OUT", "DIA2VM.IN" };
static const char *const state_names[ITEM_STATES] = { "ready", "held", "quarantine", "writing" };

static atomic_int_least64_t last_key;

const char *queue_name(enum queue queue)
{
    return queue_names[queue];
}

const char *queue_classic_name(enum queue queue)
{
    return classic_names[queue];
}

enum queue queue_find(const char *name)
{
    for (int i = QUEUE_HOST_IN; i < QUEUES; i++)
        if (strcasecmp(name, queue_names[i]) == 0 || strcasecmp(name, classic_names[i]) == 0)
            return (enum queue)i;
    return QUEUE_GONE;
}

const char *item_state_name(enum item_state state)
{
    return state_names[state];
}

void item_free(struct item *item)
{
    mem_free(item->recipients);
    item->recipients = NULL;
    item->recipient_count = 0;
    buf_free(&item->texts);
}

int item_key_start(struct db *db, struct err *err)
{
    int64_t item_last = 0;
    int64_t chunk_last = 0;
    if (db_one_int(db, &item_last, err, "SELECT max(key) FROM item", "") == -1 ||
        db_one_int(db, &chunk_last, err, "SELECT max(chunk) FROM content", "") == -1)
        return -1;
    atomic_store(&last_key, item_last > chunk_last / 65536 ? item_last : chunk_last / 65536);
    return 0;
}

int64_t item_key_new(void)
{
    return atomic_fetch_add(&last_key, 1) + 1;
}

static int insert_row(struct db *db, const struct item *item, struct err *err)
{
    return db_run(db, err,
                  "INSERT INTO item (key, id, letter, queue, state, door, arrived_us, due_us, attempts, size, flags, "
                  "sender, peer)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                  "ittiitiiiiibt", item->key, item->id.text, item->letter.text, (int64_t)item->queue,
                  (int64_t)item->state, item->door, item->arrived_us, item->due_us, (int64_t)item->attempts,
                  (int64_t)item->size, (int64_t)item->flags, item->sender, item->peer) == -1
               ? -1
               : 0;
}

static int insert_recipients(struct db *db, const struct item *item, struct err *err)
{
    for (size_t i = 0; i < item->recipient_count; i++)
        if (db_run(db, err, "INSERT INTO recipient (item, n, address, state) VALUES (?1, ?2, ?3, 0)", "iib", item->key,
                   (int64_t)i, item->recipients[i].address) == -1)
            return -1;
    return 0;
}

int item_insert(struct db *db, const struct item *item, struct span content, unsigned first_chunk, struct err *err)
{
    if (insert_row(db, item, err) == -1 || insert_recipients(db, item, err) == -1)
        return -1;
    for (size_t at = 0; at < content.size; at += ITEM_CHUNK_SIZE)
        if (item_chunk_write(db, item->key, first_chunk++, span_slice(content, at, ITEM_CHUNK_SIZE), err) == -1)
            return -1;
    return 0;
}

int item_write_begin(struct db *db, int64_t key, struct ulid id, struct err *err)
{
    struct item item = {
        .key = key, .id = id, .letter = id, .queue = QUEUE_GONE, .state = ITEM_WRITING, .sender = SPAN_EMPTY
    };
    return insert_row(db, &item, err);
}

int item_chunk_write(struct db *db, int64_t key, unsigned chunk, struct span bytes, struct err *err)
{
    if (chunk > ITEM_CHUNKS_MAX)
        return err_set(err, ERR_TOO_BIG, "a letter has more than %d chunks", ITEM_CHUNKS_MAX);
    return db_run(db, err, "INSERT INTO content (chunk, bytes) VALUES (?1, ?2)", "ib", key * 65536 + chunk, bytes) == -1
               ? -1
               : 0;
}

int item_write_end(struct db *db, const struct item *item, struct err *err)
{
    int64_t changed =
        db_run(db, err,
               "UPDATE item SET letter = ?2, queue = ?3, state = ?4, door = ?5, arrived_us = ?6, due_us = ?7,"
               " size = ?8, flags = ?9, sender = ?10, peer = ?11 WHERE key = ?1 AND state = 3",
               "itiitiiiibt", item->key, item->letter.text, (int64_t)item->queue, (int64_t)item->state, item->door,
               item->arrived_us, item->due_us, (int64_t)item->size, (int64_t)item->flags, item->sender, item->peer);
    if (changed == -1)
        return -1;
    if (changed != 1)
        return err_set(err, ERR_BUG, "item %s was not being written", item->id.text);
    return insert_recipients(db, item, err);
}

static int load_row(struct db *db, int64_t key, struct item *item, size_t *sender_size_r, struct err *err)
{
    struct db_rows rows;
    int found = db_query(
        db, &rows, err,
        "SELECT id, letter, queue, state, door, arrived_us, due_us, attempts, size, flags, sender, reason, peer"
        " FROM item WHERE key = ?1 AND queue <> 0",
        "i", key);
    if (found == 0)
        found = db_next(&rows, err);
    if (found == 1) {
        item->key = key;
        db_text(&rows, 0, item->id.text, sizeof item->id.text);
        db_text(&rows, 1, item->letter.text, sizeof item->letter.text);
        item->queue = (enum queue)db_int(&rows, 2);
        item->state = (enum item_state)db_int(&rows, 3);
        db_text(&rows, 4, item->door, sizeof item->door);
        item->arrived_us = db_int(&rows, 5);
        item->due_us = db_int(&rows, 6);
        item->attempts = (int)db_int(&rows, 7);
        item->size = (uint64_t)db_int(&rows, 8);
        item->flags = (unsigned)db_int(&rows, 9);
        buf_add_span(&item->texts, db_bytes(&rows, 10));
        *sender_size_r = db_bytes(&rows, 10).size;
        db_text(&rows, 11, item->reason, sizeof item->reason);
        db_text(&rows, 12, item->peer, sizeof item->peer);
    }
    db_end(&rows);
    return found;
}

static int load_recipients(struct db *db, struct item *item, struct err *err)
{
    int64_t count = 0;
    if (db_one_int(db, &count, err, "SELECT count(*) FROM recipient WHERE item = ?1", "i", item->key) == -1)
        return -1;
    if (count == 0)
        return 0;
    item->recipients = mem_zero((size_t)count * sizeof item->recipients[0]);
    if (item->recipients == NULL)
        return err_set(err, ERR_NO_MEMORY, "item %s: out of memory", item->id.text);
    struct db_rows rows;
    int found = db_query(db, &rows, err, "SELECT address, state, reason FROM recipient WHERE item = ?1 ORDER BY n", "i",
                         item->key);
    while (found >= 0 && item->recipient_count < (size_t)count && (found = db_next(&rows, err)) == 1) {
        struct item_recipient *recipient = &item->recipients[item->recipient_count++];
        struct span address = db_bytes(&rows, 0);
        recipient->address = span_of(NULL, 0);
        recipient->address.size = address.size; /* its place is set when texts has stopped moving */
        recipient->state = (enum recipient_state)db_int(&rows, 1);
        db_text(&rows, 2, recipient->reason, sizeof recipient->reason);
        buf_add_span(&item->texts, address);
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

int item_load(struct db *db, int64_t key, struct item *item_r, struct err *err)
{
    *item_r = (struct item){ .sender = SPAN_EMPTY };
    size_t sender_size = 0;
    int found = load_row(db, key, item_r, &sender_size, err);
    if (found == 1 && load_recipients(db, item_r, err) == -1)
        found = -1;
    if (found == 1 && item_r->texts.failed)
        found = err_set(err, ERR_NO_MEMORY, "item %s: out of memory", item_r->id.text);
    if (found != 1) {
        item_free(item_r);
        return found;
    }
    struct reader texts = reader_of(buf_span(&item_r->texts));
    item_r->sender = reader_take(&texts, sender_size);
    for (size_t i = 0; i < item_r->recipient_count; i++)
        item_r->recipients[i].address = reader_take(&texts, item_r->recipients[i].address.size);
    return 1;
}

int item_find(struct db *db, const char *id, int64_t *key_r, struct err *err)
{
    return db_one_int(db, key_r, err, "SELECT key FROM item WHERE id = ?1 AND queue <> 0", "t", id);
}

int item_content_read(struct db *db, int64_t key, uint64_t offset, size_t size, struct buf *to, struct err *err)
{
    while (size > 0) {
        int64_t chunk = key * 65536 + (int64_t)(offset / ITEM_CHUNK_SIZE);
        size_t from = (size_t)(offset % ITEM_CHUNK_SIZE);
        struct db_rows rows;
        int found = db_query(db, &rows, err, "SELECT bytes FROM content WHERE chunk = ?1", "i", chunk);
        if (found == 0)
            found = db_next(&rows, err);
        struct span piece = found == 1 ? span_slice(db_bytes(&rows, 0), from, size) : SPAN_EMPTY;
        buf_add_span(to, piece);
        size_t got = piece.size;
        db_end(&rows);
        if (found == -1)
            return -1;
        if (to->failed)
            return err_set(err, ERR_NO_MEMORY, "out of memory for the content of a letter");
        if (got == 0)
            return 0;
        offset += got;
        size -= got;
    }
    return 0;
}

static int due_query(struct db *db, struct db_rows *rows, enum queue queue, const char *door, int64_t after_due_us,
                     int64_t after_key, size_t limit, struct err *err)
{
    return db_query(
        db, rows, err,
        "SELECT key, due_us, size FROM item WHERE queue = ?1 AND state = 0 AND door = ?2 AND (due_us, key) > (?3, ?4)"
        " ORDER BY due_us, key LIMIT ?5",
        "itiii", (int64_t)queue, door != NULL ? door : "", after_due_us, after_key, (int64_t)limit);
}

int item_due_list(struct db *db, enum queue queue, const char *door, int64_t now_us, int64_t after_due_us,
                  int64_t after_key, struct item_due *due_r, size_t limit, size_t *count_r, int64_t *next_us_r,
                  struct err *err)
{
    struct db_rows rows;
    *count_r = 0;
    *next_us_r = 0;
    int found = due_query(db, &rows, queue, door, after_due_us, after_key, limit, err);
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        struct item_due due = { .key = db_int(&rows, 0),
                                .due_us = db_int(&rows, 1),
                                .size = (uint64_t)db_int(&rows, 2) };
        if (due.due_us > now_us) {
            *next_us_r = due.due_us;
            break;
        }
        due_r[(*count_r)++] = due;
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

static int change_one(int64_t changed, struct err *err)
{
    if (changed == -1)
        return -1;
    return changed == 1 ? 0 : err_set(err, ERR_NOT_FOUND, "there is no such item in the queues");
}

int item_defer(struct db *db, int64_t key, int64_t due_us, const char *reason, struct err *err)
{
    return change_one(db_run(db, err,
                             "UPDATE item SET due_us = ?2, attempts = attempts + 1, reason = coalesce(?3, reason)"
                             " WHERE key = ?1 AND queue <> 0",
                             "iit", key, due_us, reason),
                      err);
}

int item_set_state(struct db *db, int64_t key, enum item_state state, const char *reason, struct err *err)
{
    return change_one(db_run(db, err,
                             "UPDATE item SET state = ?2, reason = coalesce(?3, reason) WHERE key = ?1 AND queue <> 0",
                             "iit", key, (int64_t)state, reason),
                      err);
}

int item_set_door(struct db *db, int64_t key, const char *door, struct err *err)
{
    return change_one(db_run(db, err, "UPDATE item SET door = ?2 WHERE key = ?1 AND queue <> 0", "it", key, door), err);
}

int item_recipient_set(struct db *db, int64_t key, size_t n, enum recipient_state state, const char *reason,
                       struct err *err)
{
    return change_one(db_run(db, err, "UPDATE recipient SET state = ?3, reason = ?4 WHERE item = ?1 AND n = ?2", "iiit",
                             key, (int64_t)n, (int64_t)state, reason),
                      err);
}

int item_remove(struct db *db, int64_t key, struct err *err)
{
    int64_t size = 0;
    int found = db_one_int(db, &size, err, "SELECT size FROM item WHERE key = ?1 AND queue <> 0", "i", key);
    if (found != 1)
        return found == -1 ? -1 : err_set(err, ERR_NOT_FOUND, "there is no such item in the queues");
    if (db_run(db, err, "DELETE FROM recipient WHERE item = ?1", "i", key) == -1)
        return -1;
    if (size > REMOVE_AT_ONCE_MAX) /* its id is free at once: the letter may come back from a file */
        return db_run(db, err, "UPDATE item SET queue = 0, state = 0, door = '', id = 'gone-' || key WHERE key = ?1",
                      "i", key) == -1
                   ? -1
                   : 0;
    if (db_run(db, err, "DELETE FROM content WHERE chunk BETWEEN ?1 AND ?2", "ii", key * 65536, key * 65536 + 65535) ==
            -1 ||
        db_run(db, err, "DELETE FROM item WHERE key = ?1", "i", key) == -1)
        return -1;
    return 0;
}

int item_purge(struct db *db, struct err *err)
{
    int64_t key = 0;
    int found = db_one_int(db, &key, err, "SELECT key FROM item WHERE queue = 0 AND state = 0 LIMIT 1", "");
    if (found != 1)
        return found;
    int64_t deleted = db_run(db, err,
                             "DELETE FROM content WHERE chunk IN"
                             " (SELECT chunk FROM content WHERE chunk BETWEEN ?1 AND ?2 ORDER BY chunk LIMIT ?3)",
                             "iii", key * 65536, key * 65536 + 65535, (int64_t)PURGE_CHUNKS);
    if (deleted == -1)
        return -1;
    if (deleted < PURGE_CHUNKS && db_run(db, err, "DELETE FROM item WHERE key = ?1", "i", key) == -1)
        return -1;
    return 1;
}

int item_forget_unfinished(struct db *db, struct err *err)
{
    return db_run(db, err, "UPDATE item SET state = 0, id = 'gone-' || key WHERE queue = 0 AND state = 3", "") == -1
               ? -1
               : 0;
}

int queue_depths(struct db *db, struct queue_depth depths_r[QUEUES], struct err *err)
{
    memset(depths_r, 0, sizeof(struct queue_depth) * QUEUES);
    struct db_rows rows;
    int found =
        db_query(db, &rows, err,
                 "SELECT queue, state, count(*), min(arrived_us) FROM item WHERE queue <> 0 GROUP BY queue, state", "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        int64_t queue = db_int(&rows, 0);
        int64_t state = db_int(&rows, 1);
        if (queue <= 0 || queue >= QUEUES || state < 0 || state >= ITEM_STATES)
            continue;
        struct queue_depth *depth = &depths_r[queue];
        depth->count[state] = (uint64_t)db_int(&rows, 2);
        int64_t oldest_us = db_int(&rows, 3);
        if (state != ITEM_QUARANTINED && (depth->oldest_us == 0 || oldest_us < depth->oldest_us))
            depth->oldest_us = oldest_us;
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}
