/* schema: the ledger's tables and how an older ledger becomes a newer one. */
#ifndef OVVM_STORE_SCHEMA_H
#define OVVM_STORE_SCHEMA_H

#include "store/db.h"

enum { SCHEMA_VERSION = 1 };

/* Brings the database to SCHEMA_VERSION, each step in a transaction of its own. A newer database is refused (CONFIG).
 */
int schema_migrate(struct db *db, struct err *err);
/* The version of an open database; 0: empty. */
int schema_version(struct db *db, int64_t *version_r, struct err *err);

#endif
