/* instance: whose ledger this is, and whether mail may flow from it (doc/architecture.md "Moving house"). */
#ifndef OVVM_STORE_INSTANCE_H
#define OVVM_STORE_INSTANCE_H

#include "store/db.h"

enum instance_state {
    INSTANCE_ACTIVE,
    INSTANCE_EXPORTING,
    INSTANCE_MOVED,
    INSTANCE_IMPORTED,
    INSTANCE_REHEARSAL, /* a copy for trying a move out: never active */
    INSTANCE_DONE,      /* moved, and the other side said that it is active */
    INSTANCE_STATES
};

struct instance {
    enum instance_state state;
    int64_t generation;
    char lineage[33]; /* 32 hexadecimal digits, the same on every machine the ledger moves to */
    char bundle[33];  /* the bundle it moved into or came from; empty: none */
    char machine[65]; /* /etc/machine-id */
    char path[512];   /* real path of the state directory */
};

const char *instance_state_name(enum instance_state state);

/* Fills a new ledger's row (inside a transaction), then reads it. Where the ledger belongs to another machine or
 * another state directory: REFUSED, saying how to go on. `state_path` as given in the configuration. */
int instance_claim(struct db *db, const char *state_path, struct instance *instance_r, struct err *err);
/* Writes state, lineage, generation and bundle. */
int instance_write(struct db *db, const struct instance *instance, struct err *err);
/* This machine and state directory become the ledger's. */
int instance_adopt(struct db *db, const char *state_path, struct err *err);
/* In the job that changes what an instance that moved must leave alone. NOT_ACTIVE. */
int instance_check_active(struct db *db, struct err *err);
/* Reads without checking. */
int instance_read(struct db *db, struct instance *instance_r, struct err *err);

#endif
