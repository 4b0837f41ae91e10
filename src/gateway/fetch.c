/* Reading a letter out of the ledger: the first piece comes with the facts, so that an ordinary letter takes one job.
 */
#include "gateway/fetch.h"

void fetch_init(struct fetch *fetch, struct store *store, int64_t key, void *arg)
{
    *fetch = (struct fetch){ .store = store, .key = key, .arg = arg };
}

static int read_piece(struct db *db, struct fetch *fetch, struct err *err)
{
    buf_clear(&fetch->piece);
    fetch->piece_offset = fetch->wanted;
    /* up to the next chunk's border: one row */
    size_t size = ITEM_CHUNK_SIZE - (size_t)(fetch->wanted % ITEM_CHUNK_SIZE);
    return item_content_read(db, fetch->key, fetch->wanted, size, &fetch->piece, err);
}

static int load_work(struct db *db, void *arg, struct err *err)
{
    struct fetch *fetch = arg;
    int found = item_load(db, fetch->key, &fetch->item, err);
    fetch->found = found == 1;
    fetch->wanted = 0;
    return found == 1 ? read_piece(db, fetch, err) : found;
}

static void load_done(void *arg, const struct err *err)
{
    struct fetch *fetch = arg;
    fetch->loaded(fetch->arg, err);
}

void fetch_load(struct fetch *fetch, void (*loaded)(void *arg, const struct err *err))
{
    fetch->loaded = loaded;
    fetch->job = (struct store_job){ .work = load_work, .done = load_done, .arg = fetch };
    store_read(fetch->store, &fetch->job);
}

static int read_work(struct db *db, void *arg, struct err *err)
{
    return read_piece(db, arg, err);
}

static struct span piece_from(const struct fetch *fetch, uint64_t offset)
{
    if (offset < fetch->piece_offset || offset >= fetch->piece_offset + fetch->piece.size)
        return SPAN_EMPTY;
    return span_slice(buf_span(&fetch->piece), (size_t)(offset - fetch->piece_offset), fetch->piece.size);
}

static void read_done(void *arg, const struct err *err)
{
    struct fetch *fetch = arg;
    fetch->read(fetch->arg, err == NULL ? piece_from(fetch, fetch->wanted) : SPAN_EMPTY, err);
}

void fetch_read(struct fetch *fetch, uint64_t offset, void (*read)(void *arg, struct span piece, const struct err *err))
{
    struct span piece = piece_from(fetch, offset);
    fetch->read = read;
    if (piece.size > 0 || offset >= fetch->item.size) {
        read(fetch->arg, piece, NULL);
        return;
    }
    fetch->wanted = offset;
    fetch->job = (struct store_job){ .work = read_work, .done = read_done, .arg = fetch };
    store_read(fetch->store, &fetch->job);
}

void fetch_free(struct fetch *fetch)
{
    item_free(&fetch->item);
    buf_free(&fetch->piece);
}
