/* verbs: what `ovvm` can ask. Each fills a reply; those that need the ledger do so in a reader's thread. */
#ifndef OVVM_ADMIN_VERBS_H
#define OVVM_ADMIN_VERBS_H

#include "admin/control.h"
#include "store/db.h"

#include <jansson.h>

struct verb {
    const char *name;
    /* In a ledger thread. -1 with *err: the reply is the error. NULL: nothing is asked of the ledger. */
    int (*ledger)(struct db *db, const json_t *request, json_t *reply, struct err *err);
    /* In the loop's thread, after `ledger`. May be NULL. */
    void (*loop)(const struct control_options *options, json_t *reply);
    /* The rest may be left out. In the loop's thread, before `ledger`: adds to the request what only the daemon knows.
     */
    int (*before)(const struct control_options *options, json_t *request, struct err *err);
    bool writes; /* `ledger` changes the ledger: only where the instance is active */
    /* Last, in the loop's thread, where the answer takes its time: calls `done` once, perhaps at once. */
    void (*wait)(const struct control_options *options, const json_t *request, json_t *reply,
                 void (*done)(void *arg, const struct err *err), void *arg);
};

/* NULL: no such verb. */
const struct verb *verb_find(const char *name);

/* A time for people and programs: RFC 3339 in UTC. NULL for 0. */
json_t *verb_time(int64_t us);
/* Bytes from outside as JSON text: what is no UTF-8 becomes '?'. */
json_t *verb_text(struct span bytes);

#endif
