/* hostuse: how much each host user had of the connector on a day, for the limits of Access.tbl and registrar-limit; and
 * whom he introduced. Inside a ledger job. */
#ifndef OVVM_STORE_HOSTUSE_H
#define OVVM_STORE_HOSTUSE_H

#include "store/db.h"

struct hostuse {
    int64_t letters;       /* to the Internet, each recipient one */
    int64_t registrations; /* that he asked for */
    int64_t answers;       /* of the registrar */
};

/* `day` since 1970, UTC; `host` is NODE(USER). All zero where there is no row. */
int hostuse_load(struct db *db, int64_t day, const char *host, struct hostuse *use_r, struct err *err);
/* Adds to that day's row. Days before the last are forgotten. */
int hostuse_add(struct db *db, int64_t day, const char *host, const struct hostuse *more, struct err *err);

/* `host` asked for an address for `person`: once, however often. */
int hostuse_introduce(struct db *db, const char *host, int64_t person, int64_t now_us, struct err *err);
/* Host addresses shown for the people that `host` introduced or who wrote to him, the newest first, at most `limit`. A
 * callback that returns false ends it; it must not use the database. */
int hostuse_known(struct db *db, const char *host, size_t limit,
                  bool (*each)(void *arg, const char *node, const char *user, const char *address), void *arg,
                  struct err *err);

#endif
