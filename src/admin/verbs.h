/* verbs: what `ovvm` can ask. Each fills a reply. Most are one job of the ledger, reading or writing; those that take
 * several steps begin with `start` and end with verb_answer. */
#ifndef OVVM_ADMIN_VERBS_H
#define OVVM_ADMIN_VERBS_H

#include "admin/control.h"
#include "store/db.h"

#include <jansson.h>

/* One request on its way. The verb's until verb_answer. */
struct verb_call {
    const struct control_options *options;
    json_t *request;
    json_t *reply;
    char who[64]; /* the operator, for the audit: from the socket's credentials */
    /* A verb with `start` may ask for bytes behind the request (verb_want_content): each piece that comes, until all
     * did. False: wait for verb_content_room. The client went away: `gone`, and the call is no more. */
    bool (*content)(struct verb_call *call, struct span piece, bool last);
    void (*gone)(struct verb_call *call);
    uint64_t content_left;
    void *own;     /* the verb's */
    void *scratch; /* likewise, of mem.h: freed with the call */
};

struct verb {
    const char *name;
    /* In the loop's thread, before `ledger`: adds to call->request what only the daemon knows. -1: the reply is *err.
     */
    int (*before)(struct verb_call *call, struct err *err);
    bool writes; /* `ledger` changes something: it runs in the writer, and what it did is durable before the answer */
    bool active; /* only where the instance is active: `ledger` is not called elsewhere */
    /* In a ledger thread. -1 with *err: the reply is the error. */
    int (*ledger)(struct db *db, const struct verb_call *call, struct err *err);
    /* In the loop's thread, after `ledger`. */
    void (*loop)(struct verb_call *call);
    /* In the loop's thread, instead of `ledger` and `loop`: ends with verb_answer, perhaps at once. */
    void (*start)(struct verb_call *call);
};

/* The end of a call that `start` began; loop's thread. `err` NULL: reply is complete. */
void verb_answer(struct verb_call *call, const struct err *err);
/* Tells the client to send `size` bytes (at least 1), which come through call->content. */
void verb_want_content(struct verb_call *call, uint64_t size);
void verb_content_room(struct verb_call *call);

/* queue_verbs.c: what changes letters. */
void verb_queue_change(struct verb_call *call);
void verb_queue_import(struct verb_call *call);
/* relocate_verbs.c: what a move asks of the running daemon. */
void verb_relocate_begin(struct verb_call *call);
void verb_relocate_undo(struct verb_call *call);
int verb_relocate_moved(struct db *db, const struct verb_call *call, struct err *err);
void verb_relocate_moved_done(struct verb_call *call);

/* NULL: no such verb. */
const struct verb *verb_find(const char *name);

/* A time for people and programs: RFC 3339 in UTC. NULL for 0. */
json_t *verb_time(int64_t us);
/* Bytes from outside as JSON text: what is no UTF-8 becomes '?'. */
json_t *verb_text(struct span bytes);

#endif
