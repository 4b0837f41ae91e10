/* ledger: the ledger of this configuration, for programs other than the daemon. */
#ifndef OVVM_RELOCATE_LEDGER_H
#define OVVM_RELOCATE_LEDGER_H

#include "store/db.h"

#include <limits.h>

struct ledger {
    char state[PATH_MAX], path[PATH_MAX]; /* state directory, database file */
    int lock_fd;                          /* -1: not locked */
    struct db *db;                        /* NULL: not open */
};

enum ledger_mode {
    LEDGER_READ,   /* beside a running daemon: only reading */
    LEDGER_CHANGE, /* of a stopped daemon, locked; it must be this machine's and this folder's */
    LEDGER_ADOPT   /* the same, whoever's it was */
};

/* `url` and `state` as in the configuration. NOT_FOUND: there is no ledger; REFUSED: a daemon runs, or it is another
 * machine's, or a newer release used it. Close in any case. */
int ledger_open(const char *url, const char *state, enum ledger_mode mode, struct ledger *ledger_r, struct err *err);
void ledger_close(struct ledger *ledger);

/* Runs `work` in a transaction of its own that is on disk when this returns. */
int ledger_commit(struct ledger *ledger, int (*work)(struct db *db, void *arg, struct err *err), void *arg,
                  struct err *err);

#endif
