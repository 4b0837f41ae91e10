/* njefiles: which NJE files we took and which we sent (doc/architecture.md "NJE conduct").
 *
 * Taken: a file is a copy of an earlier one only if link, origin, job id, entry time, destination, data set number,
 * names, record count and the SHA-256 of its records agree (all but the digest are in `job`, as text) and our
 * acknowledgement of the earlier one may have been lost (`unsure`). Sent: so that a message that names a file of ours
 * finds its sender.
 */
#ifndef OVVM_STORE_NJEFILES_H
#define OVVM_STORE_NJEFILES_H

#include "base/ulid.h"
#include "store/db.h"

struct njefile_seen {
    const char *link;
    const char *job; /* every fact that identifies the file but its contents */
    struct span sha256;
    bool can_repeat; /* false: its entry time is zero, so it is never taken for a copy */
};

/* In the commit that takes the file: 1 and the item's id when it is a copy (take nothing), else 0, and the file is
 * remembered as unsure under `item`. njefile_confirm settles it. */
int njefile_take(struct db *db, const struct njefile_seen *seen, struct ulid item, int64_t now_us,
                 struct ulid *copy_of_r, struct err *err);
/* Our acknowledgement of this file certainly arrived: in the same session the neighbour went on to its next one. */
int njefile_confirm(struct db *db, struct ulid item, struct err *err);

struct njefile_sent {
    const char *node; /* ours, as origin */
    int job_id;
    const char *link, *origin, *destination; /* NODE(USER) */
    struct ulid item;                        /* in host_out */
    struct ulid letter;
    struct span sender; /* who gets a report */
};
int njefile_sent(struct db *db, const struct njefile_sent *sent, int64_t now_us, struct err *err);
/* The next job ids (1-9999) of this node, skipping those in use by files still queued: `count` of them, fewer where
 * there are no more. BUSY: none. */
int njefile_job_ids(struct db *db, const char *node, size_t count, unsigned *job_ids_r, size_t *count_r,
                    struct err *err);

/* Deletes at most `limit` rows of each table older than `before_us` (unsure ones too: a neighbour that has been away
 * that long starts anew); returns how many. */
int64_t njefile_purge(struct db *db, int64_t before_us, size_t limit, struct err *err);

#endif
