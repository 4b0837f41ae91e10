/* merge: the ledger of another lineage into a standing one, as when two sites become one.
 *
 * Every host address stays as it is, under its node (which must be one of ours: also-nodes); nothing is ever
 * renumbered. A person known on both sides keeps all addresses, and the one that is shown stays the standing ledger's.
 */
#ifndef OVVM_RELOCATE_MERGE_H
#define OVVM_RELOCATE_MERGE_H

#include "store/db.h"

#include <jansson.h>

enum { MERGE_CONFLICTS_SHOWN = 50 };

/* Adds the ledger in the file `path` (same schema, closed) to `db`, in one transaction that is left open for the caller
 * to add to and to commit. REFUSED: the same host address has two owners, or a letter is in both; *conflicts_r
 * lists them (the caller's; NULL: there are none) and nothing was changed. merge_end in any case. */
int merge_begin(struct db *db, const char *path, json_t **conflicts_r, struct err *err);
/* After the commit or rollback. */
void merge_end(struct db *db);

#endif
