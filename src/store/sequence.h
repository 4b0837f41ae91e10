/* sequence: numbers that only grow (TP-03). They come from blocks reserved in the ledger, so gaps are normal. */
#ifndef OVVM_STORE_SEQUENCE_H
#define OVVM_STORE_SEQUENCE_H

#include "store/db.h"

/* Reserves `count` numbers; *first_r is the first of them. A sequence that is not there starts at `start`. */
int sequence_reserve(struct db *db, const char *name, int64_t start, int64_t count, int64_t *first_r, struct err *err);
/* Never hands out a number below `next` again. */
int sequence_raise(struct db *db, const char *name, int64_t next, struct err *err);

/* Numbers of senders: this one at the connector's node, "registration NODE" at each further node of ours, which begin
 * at "registrations from" where that is there. */
#define REGISTRY_SEQUENCE "registration"

#endif
