/* Writing a letter in pieces. At most CHUNKS_WAITING chunks of a letter wait for the disk; then its producer is slowed
 * down. A chunk that fails (disk full) fails the letter at its commit: nothing of it becomes visible, and what was
 * written is forgotten. */
#include "store/itemwriter.h"

#include "base/fault.h"
#include "base/mem.h"

enum { CHUNKS_WAITING = 4 };

FAILPOINT_DECLARE("item.chunk-written");

struct chunk_job {
    struct store_job job;
    struct itemwriter *writer;
    unsigned number;
    struct buf bytes;
};

struct itemwriter {
    struct store *store;
    struct ulid id;
    int64_t key;
    void (*room)(void *arg);
    void *room_arg;
    struct buf bytes; /* not yet handed to the ledger */
    uint64_t size;
    unsigned chunks;  /* handed to the ledger */
    unsigned waiting; /* of these, not yet on disk */
    bool wants_room;
    struct err failure; /* the first thing that went wrong */
    bool abandoned;
    struct itemwriter_commit commit;
    bool dropped;
    struct store_job job; /* the commit, or the forgetting */
    struct itemwriter *next_unforgotten;
};

struct itemwriter *itemwriter_new(struct store *store, struct ulid id, void (*room)(void *arg), void *arg)
{
    struct itemwriter *writer = mem_zero(sizeof *writer);
    if (writer == NULL)
        return NULL;
    writer->store = store;
    writer->id = id;
    writer->key = item_key_new();
    writer->room = room;
    writer->room_arg = arg;
    writer->failure = ERR_CLEAR;
    return writer;
}

static void writer_free(struct itemwriter *writer)
{
    buf_free(&writer->bytes);
    mem_free(writer);
}

static void fail(struct itemwriter *writer, const struct err *err)
{
    if (writer->failure.id == ERR_NONE)
        writer->failure = *err;
}

uint64_t itemwriter_size(const struct itemwriter *writer)
{
    return writer->size;
}

/* --- forgetting what became of an abandoned letter --- */

/* Where the disk has no room for the mark either. Tried again after the next write that succeeds: else what was written
 * of a letter that is sent again and again would fill the disk for good. At the latest the next start marks it. */
static struct itemwriter *unforgotten;

static int forget_work(struct db *db, void *arg, struct err *err)
{
    struct itemwriter *writer = arg;
    int64_t marked = db_run(db, err, "UPDATE item SET state = 0, id = 'gone-' || key WHERE key = ?1 AND queue = 0", "i",
                            writer->key);
    if (marked != 0)
        return marked == -1 ? -1 : 0;
    /* the first chunk failed, and with it the row; those that were under way behind it may be there */
    return db_run(
               db, err,
               "DELETE FROM content WHERE chunk BETWEEN ?1 AND ?2 AND NOT EXISTS (SELECT 1 FROM item WHERE key = ?3)",
               "iii", writer->key * 65536, writer->key * 65536 + ITEM_CHUNKS_MAX, writer->key) == -1
               ? -1
               : 0;
}

static void forget_done(void *arg, const struct err *err)
{
    struct itemwriter *writer = arg;
    if (err == NULL) {
        writer_free(writer);
        return;
    }
    writer->next_unforgotten = unforgotten;
    unforgotten = writer;
}

static void forget(struct itemwriter *writer)
{
    writer->job = (struct store_job){ .work = forget_work, .done = forget_done, .arg = writer };
    store_write(writer->store, &writer->job);
}

static void forget_again(void)
{
    while (unforgotten != NULL) {
        struct itemwriter *writer = unforgotten;
        unforgotten = writer->next_unforgotten;
        forget(writer);
    }
}

static void settle_abandoned(struct itemwriter *writer)
{
    if (writer->waiting > 0)
        return;
    if (writer->chunks == 0) {
        writer_free(writer);
        return;
    }
    forget(writer);
}

void itemwriter_abandon(struct itemwriter *writer)
{
    writer->abandoned = true;
    settle_abandoned(writer);
}

/* --- chunks --- */

static int chunk_work(struct db *db, void *arg, struct err *err)
{
    struct chunk_job *chunk = arg;
    if (chunk->number == 0 && item_write_begin(db, chunk->writer->key, chunk->writer->id, err) == -1)
        return -1;
    return item_chunk_write(db, chunk->writer->key, chunk->number, buf_span(&chunk->bytes), err);
}

static void start_commit(struct itemwriter *writer);

static void chunk_done(void *arg, const struct err *err)
{
    struct chunk_job *chunk = arg;
    struct itemwriter *writer = chunk->writer;
    writer->waiting--;
    if (err != NULL)
        fail(writer, err); /* before the chunk is freed: the error lies in its job */
    buf_free(&chunk->bytes);
    mem_free(chunk);
    FAILPOINT("item.chunk-written");
    if (writer->abandoned) {
        settle_abandoned(writer);
        return;
    }
    if (writer->commit.done != NULL) {
        if (writer->waiting == 0)
            start_commit(writer);
        return;
    }
    if (writer->wants_room && writer->waiting < CHUNKS_WAITING) {
        writer->wants_room = false;
        writer->room(writer->room_arg);
    }
}

static void send_chunk(struct itemwriter *writer)
{
    struct chunk_job *chunk = mem_zero(sizeof *chunk);
    if (chunk == NULL) {
        fail(writer, &(struct err){ .id = ERR_NO_MEMORY, .text = "out of memory for the content of a letter" });
        buf_clear(&writer->bytes);
        return;
    }
    *chunk = (struct chunk_job){ .writer = writer, .number = writer->chunks++, .bytes = writer->bytes };
    chunk->job = (struct store_job){ .work = chunk_work, .done = chunk_done, .arg = chunk };
    writer->bytes = (struct buf){ 0 };
    writer->waiting++;
    store_write(writer->store, &chunk->job);
}

bool itemwriter_put(struct itemwriter *writer, struct span bytes)
{
    writer->size += bytes.size;
    while (bytes.size > 0 && writer->failure.id == ERR_NONE) {
        size_t step = ITEM_CHUNK_SIZE - writer->bytes.size;
        struct span part = span_slice(bytes, 0, step);
        buf_add_span(&writer->bytes, part);
        bytes = span_slice(bytes, part.size, bytes.size);
        if (writer->bytes.failed)
            fail(writer, &(struct err){ .id = ERR_NO_MEMORY, .text = "out of memory for the content of a letter" });
        else if (writer->bytes.size == ITEM_CHUNK_SIZE && bytes.size > 0)
            send_chunk(writer);
    }
    writer->wants_room = writer->waiting >= CHUNKS_WAITING;
    return !writer->wants_room;
}

/* --- the commit --- */

static int commit_work(struct db *db, void *arg, struct err *err)
{
    struct itemwriter *writer = arg;
    struct item *item = writer->commit.item;
    int also = writer->commit.also != NULL ? writer->commit.also(db, writer->commit.arg, err) : 0;
    writer->dropped = also > 0;
    if (also == -1)
        return -1;
    if (writer->dropped)
        return forget_work(db, writer, err);
    if (writer->chunks == 0)
        return item_insert(db, item, buf_span(&writer->bytes), 0, err);
    if (writer->bytes.size > 0 &&
        item_chunk_write(db, writer->key, writer->chunks, buf_span(&writer->bytes), err) == -1)
        return -1;
    return item_write_end(db, item, err);
}

static void commit_done(void *arg, const struct err *err)
{
    struct itemwriter *writer = arg;
    struct itemwriter_commit commit = writer->commit;
    bool dropped = writer->dropped && err == NULL;
    struct err failure = err != NULL ? *err : ERR_CLEAR;
    struct buf content = { .at = NULL };
    if (err != NULL) {
        itemwriter_abandon(writer);
    } else {
        forget_again();
        if (writer->chunks == 0) {
            content = writer->bytes;
            writer->bytes = (struct buf){ .at = NULL };
        }
        writer_free(writer);
    }
    commit.done(commit.arg, dropped, &content, err != NULL ? &failure : NULL);
    buf_free(&content);
}

static void start_commit(struct itemwriter *writer)
{
    if (writer->failure.id != ERR_NONE) {
        commit_done(writer, &writer->failure);
        return;
    }
    writer->commit.item->key = writer->key;
    writer->commit.item->id = writer->id;
    writer->commit.item->size = writer->size;
    writer->job = (struct store_job){ .work = commit_work, .done = commit_done, .arg = writer };
    store_write(writer->store, &writer->job);
}

void itemwriter_commit(struct itemwriter *writer, const struct itemwriter_commit *commit)
{
    writer->commit = *commit;
    if (writer->waiting == 0)
        start_commit(writer);
}
