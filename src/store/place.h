/* place: a ledger in a temporary folder of its own, for tests.
 *
 * Whatever goes wrong here fails the test that asks (cmocka).
 */
#ifndef OVVM_STORE_PLACE_H
#define OVVM_STORE_PLACE_H

#include "store/store.h"

struct place {
    char state[64], url[128];
    struct store *store; /* as a tool opens it, without threads; NULL: closed */
    struct db *db;
};

/* A folder without a ledger. */
struct place place_empty(void);
/* The same with an open ledger. */
struct place place_new(void);
void place_open(struct place *place);
void place_close(struct place *place);
/* Closes it where it is open, and removes folder and ledger. Nothing else may lie there. */
void place_remove(struct place *place);

#endif
