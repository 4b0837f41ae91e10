/* fetch: a letter on its way out of the ledger, for a door: its facts, then its content piece by piece. */
#ifndef OVVM_GATEWAY_FETCH_H
#define OVVM_GATEWAY_FETCH_H

#include "store/item.h"
#include "store/store.h"

struct fetch {
    struct store *store;
    int64_t key;
    struct item item; /* after fetch_load */
    struct buf piece;
    uint64_t piece_offset; /* of piece in the content */
    struct store_job job;
    uint64_t wanted;
    bool found;
    /* called once for each load or read */
    void (*loaded)(void *arg, const struct err *err);                  /* found false: it is gone */
    void (*read)(void *arg, struct span piece, const struct err *err); /* empty: the end */
    void *arg;
};

void fetch_init(struct fetch *fetch, struct store *store, int64_t key, void *arg);
/* The item and the first piece of its content. */
void fetch_load(struct fetch *fetch, void (*loaded)(void *arg, const struct err *err));
/* Content from `offset` on, up to a chunk. May answer from inside the call. */
void fetch_read(struct fetch *fetch, uint64_t offset,
                void (*read)(void *arg, struct span piece, const struct err *err));
/* Not while a load or read is under way. */
void fetch_free(struct fetch *fetch);

#endif
