/* fetch: a letter on its way out of the ledger, for a door: its facts, then its content piece by piece. */
#ifndef OVVM_GATEWAY_FETCH_H
#define OVVM_GATEWAY_FETCH_H

#include "store/item.h"
#include "store/store.h"

/* Letters that were committed a moment ago and whose next step is near: kept in memory so that they need not be read
 * again. Only a copy of what the ledger holds; forgotten at will. */
enum { HOT_MAX = 256, HOT_CONTENT_MAX = 64 * 1024 };

struct hot_letter {
    struct item item; /* with recipients and texts of its own */
    struct buf content;
};

struct hot {
    struct hot_letter letters[HOT_MAX];
    size_t at; /* the next place to use */
};

/* Takes over `content` where it keeps it. `item` is copied. */
void hot_add(struct hot *hot, const struct item *item, struct buf *content);
void hot_forget(struct hot *hot, int64_t key);
void hot_free(struct hot *hot);

struct fetch {
    struct store *store;
    struct hot *hot;
    int64_t key;
    struct item item; /* after fetch_load */
    struct buf piece;
    uint64_t piece_offset; /* of piece in the content */
    struct store_job job;
    uint64_t wanted;
    bool found;
    /* Called once for each load or read. BUG: the letter is damaged in the ledger; with `found` its facts are good. */
    void (*loaded)(void *arg, const struct err *err);                  /* found false: it is gone */
    void (*read)(void *arg, struct span piece, const struct err *err); /* empty: the end */
    void *arg;
};

void fetch_init(struct fetch *fetch, struct store *store, struct hot *hot, int64_t key, void *arg);
/* The item and the first piece of its content. May answer from inside the call. */
void fetch_load(struct fetch *fetch, void (*loaded)(void *arg, const struct err *err));
/* Content from `offset` on, up to a chunk. May answer from inside the call. */
void fetch_read(struct fetch *fetch, uint64_t offset,
                void (*read)(void *arg, struct span piece, const struct err *err));
/* Not while a load or read is under way. */
void fetch_free(struct fetch *fetch);

#endif
