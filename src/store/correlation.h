/* correlation: which letter answers which (CT-01). One row for each letter that reached a host user, so that his answer
 * can be threaded and goes where the sender wanted answers. */
#ifndef OVVM_STORE_CORRELATION_H
#define OVVM_STORE_CORRELATION_H

#include "base/buf.h"
#include "base/ulid.h"
#include "store/db.h"

struct correlation {
    struct ulid letter;
    const char *host;       /* NODE(USER) of the host user */
    const char *proxy;      /* NODE(USER) that stands for the other side */
    struct span message_id; /* with < > */
    struct span references; /* blank-separated, with < > */
    struct span reply_to;   /* address; empty: none */
    struct span subject;    /* without Re: and the like, folded: correlation_subject */
    struct span stamp;      /* minutes of the date that the host user saw, decimal: correlation_stamp */
    int64_t at_us;
};

int correlation_add(struct db *db, const struct correlation *correlation, struct err *err);

/* The letter that an answer of `host` to `proxy` answers: of those with this stamp (where not empty), else with this
 * subject (where not empty), the newest. 1: found; the spans lie in `texts`. 0: none. */
int correlation_find(struct db *db, const char *host, const char *proxy, struct span stamp, struct span subject,
                     struct correlation *correlation_r, struct buf *texts, struct err *err);

/* Keys of comparison, appended. */
void correlation_subject(struct span subject, struct buf *to);
void correlation_stamp(int64_t us, struct buf *to);

/* Deletes at most `limit` rows older than `before_us`; returns how many. */
int64_t correlation_purge(struct db *db, int64_t before_us, size_t limit, struct err *err);

#endif
