/* audit: what operators did, one row an order, in the commit of what it changed. */
#ifndef OVVM_STORE_AUDIT_H
#define OVVM_STORE_AUDIT_H

#include "store/db.h"

/* `who`: the operator's name; `what`: the order, e.g. "queue delete"; `detail`: its object. */
int audit_add(struct db *db, int64_t at_us, const char *who, const char *what, struct span detail, struct err *err);

#endif
