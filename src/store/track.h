/* track: the history of a letter, one row a step, for `ovvm trace` (LG-07). Written in the same commit as the step. */
#ifndef OVVM_STORE_TRACK_H
#define OVVM_STORE_TRACK_H

#include "base/ulid.h"
#include "store/db.h"

enum track_step {
    TRACK_RECEIVED = 1, /* at a door; address: the sender */
    TRACK_ADDRESSED,    /* one a recipient; address: the recipient */
    TRACK_TRANSLATED,   /* item: the new item in the next queue */
    TRACK_SENT,         /* the other side accepted; address: the recipient */
    TRACK_DEFERRED,
    TRACK_RETURNED, /* a report went to the sender */
    TRACK_QUARANTINED,
    TRACK_DUPLICATE, /* a file that came again was suppressed */
    TRACK_OPERATOR,  /* an operator's command */
    TRACK_STEPS
};

const char *track_step_name(enum track_step step);

struct track {
    struct ulid letter, item;
    int64_t at_us;
    enum track_step step;
    struct span address;
    struct span detail;
};

int track_add(struct db *db, const struct track *track, struct err *err);

/* Rows of a letter or item id, oldest first. `take` returns false to stop. */
int track_letter(struct db *db, const char *id, bool (*take)(void *arg, const struct track *track), void *arg,
                 struct err *err);
/* Letters in which an address occurs, newest first, each once. */
int track_address(struct db *db, struct span address, size_t limit,
                  bool (*take)(void *arg, const char *letter, int64_t at_us), void *arg, struct err *err);
/* Deletes at most `limit` rows older than `before_us`; returns how many. */
int64_t track_purge(struct db *db, int64_t before_us, size_t limit, struct err *err);

#endif
