/* itemwriter: a letter on its way into the ledger, of any size.
 *
 * Up to one chunk stays in memory and is written with the item in one commit. More goes out chunk by chunk under an
 * invisible row and becomes visible with the last commit; a crash before that leaves content that the next start
 * forgets. Loop's thread.
 */
#ifndef OVVM_STORE_ITEMWRITER_H
#define OVVM_STORE_ITEMWRITER_H

#include "store/item.h"
#include "store/store.h"

struct itemwriter;

/* `room(arg)` is called when itemwriter_put had answered false and may be called again. NULL: out of memory. */
struct itemwriter *itemwriter_new(struct store *store, struct ulid id, void (*room)(void *arg), void *arg);
/* The bytes are taken in any case; false: wait for `room` before the next. */
bool itemwriter_put(struct itemwriter *writer, struct span bytes);
uint64_t itemwriter_size(const struct itemwriter *writer);

/* `item` (whose id, key and size the writer sets) with its sender and recipients must live until `done`. `also(db, arg,
 * err)`, where not NULL, runs in the same job behind it: more facts of the same commit. A positive result of `also`
 * means: do not keep the item (the commit then holds only what `also` did), told to `done` as `dropped`. The writer is
 * gone when `done` is called. */
struct itemwriter_commit {
    struct item *item;
    int (*also)(struct db *db, void *arg, struct err *err);
    void (*done)(void *arg, bool dropped, struct buf *content, const struct err *err);
    void *arg;
};
void itemwriter_commit(struct itemwriter *writer, const struct itemwriter_commit *commit);
/* Forgets the letter. After itemwriter_commit: `done` will not be called; whether the letter is kept is then as the
 * commit has it. */
void itemwriter_abandon(struct itemwriter *writer);

#endif
