/* Reading a letter out of the ledger: the first piece comes with the facts, so that an ordinary letter takes one job.
 */
#include "gateway/fetch.h"

#include "base/mem.h"

/* --- hot letters --- */

static void hot_letter_free(struct hot_letter *letter)
{
    item_free(&letter->item);
    buf_free(&letter->content);
    *letter = (struct hot_letter){ .item = { .key = 0 } };
}

static bool copy_item(const struct item *from, struct item *to)
{
    *to = *from;
    to->texts = (struct buf){ .at = NULL };
    to->recipients = mem_zero((from->recipient_count + 1) * sizeof to->recipients[0]);
    buf_add_span(&to->texts, from->sender);
    for (size_t i = 0; i < from->recipient_count; i++)
        buf_add_span(&to->texts, from->recipients[i].address);
    if (to->recipients == NULL || to->texts.failed)
        return false;
    struct reader texts = reader_of(buf_span(&to->texts));
    to->sender = reader_take(&texts, from->sender.size);
    for (size_t i = 0; i < from->recipient_count; i++) {
        to->recipients[i] = from->recipients[i];
        to->recipients[i].address = reader_take(&texts, from->recipients[i].address.size);
    }
    return true;
}

void hot_add(struct hot *hot, const struct item *item, struct buf *content)
{
    if (content->size != item->size || content->size > HOT_CONTENT_MAX)
        return;
    struct hot_letter *letter = &hot->letters[hot->at++ % HOT_MAX];
    hot_letter_free(letter);
    if (!copy_item(item, &letter->item)) {
        hot_letter_free(letter);
        return;
    }
    letter->content = *content;
    *content = (struct buf){ .at = NULL };
}

static struct hot_letter *hot_find(struct hot *hot, int64_t key)
{
    for (size_t i = 0; i < HOT_MAX; i++)
        if (hot->letters[i].item.key == key)
            return &hot->letters[i];
    return NULL;
}

void hot_forget(struct hot *hot, int64_t key)
{
    struct hot_letter *letter = hot_find(hot, key);
    if (letter != NULL)
        hot_letter_free(letter);
}

void hot_free(struct hot *hot)
{
    for (size_t i = 0; i < HOT_MAX; i++)
        hot_letter_free(&hot->letters[i]);
}

/* --- fetching --- */

void fetch_init(struct fetch *fetch, struct store *store, struct hot *hot, int64_t key, void *arg)
{
    *fetch = (struct fetch){ .store = store, .hot = hot, .key = key, .arg = arg };
}

/* Nothing where the facts promise something is damage, and never the end of the letter: half a letter would go out as a
 * whole one. */
static int read_piece(struct db *db, struct fetch *fetch, struct err *err)
{
    uint64_t whole = fetch->item.size;
    buf_clear(&fetch->piece);
    fetch->piece_offset = fetch->wanted;
    if (fetch->wanted >= whole)
        return 0;
    /* up to the next chunk's border: one row */
    size_t size = ITEM_CHUNK_SIZE - (size_t)(fetch->wanted % ITEM_CHUNK_SIZE);
    if (size > whole - fetch->wanted)
        size = (size_t)(whole - fetch->wanted);
    if (item_content_read(db, fetch->key, fetch->wanted, size, &fetch->piece, err) == -1)
        return -1;
    return fetch->piece.size > 0
               ? 0
               : err_set(err, ERR_BUG, "the ledger holds no content of letter %s from byte %llu of %llu on",
                         fetch->item.id.text, (unsigned long long)fetch->wanted, (unsigned long long)whole);
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
    struct hot_letter *letter = hot_find(fetch->hot, fetch->key);
    fetch->loaded = loaded;
    if (letter != NULL) {
        fetch->item = letter->item;
        fetch->piece = letter->content;
        fetch->found = true;
        *letter = (struct hot_letter){ .item = { .key = 0 } };
        loaded(fetch->arg, NULL);
        return;
    }
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
