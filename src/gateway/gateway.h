/* gateway: the four steps a letter takes, between the two doors and through the ledger.
 *
 *     host -> host_in -> (translate) -> mail_out -> relay          relay -> mail_in -> (translate) -> host_out -> host
 *
 * All in the loop's thread. What is durable at each step, and what a crash leaves: store/README.md.
 */
#ifndef OVVM_GATEWAY_GATEWAY_H
#define OVVM_GATEWAY_GATEWAY_H

#include "address/border.h"
#include "address/peopledirectory.h"
#include "base/conf.h"
#include "base/loop.h"
#include "nje/link.h"
#include "smtp/client.h"
#include "smtp/server.h"
#include "store/instance.h"
#include "store/item.h"
#include "store/store.h"
#include "translator/zygote.h"

struct gateway;

/* Opens the doors (not where the instance is not active: then only the ledger can be looked at). Keeps pointers to all.
 */
struct gateway_options {
    struct loop *loop;
    struct store *store;
    const struct conf *conf;
    const struct tables *tables;
    const struct people_directory *directory;
    struct registry *registry;
    struct zygote *zygote;
    const struct instance *instance;
};
int gateway_new(const struct gateway_options *options, struct gateway **gateway_r, struct err *err);
/* Takes no more letters, finishes what is in hand within `wait_us`, then calls `closed`. At once where that was done
 * before; at most two may wait for the end of one drain. */
void gateway_drain(struct gateway *gateway, int64_t wait_us, void (*closed)(void *arg), void *arg);
/* After a drain: is nothing on its way any more, so that the ledger stays as it is? */
bool gateway_at_rest(const struct gateway *gateway);
/* After a drain that ended with letters in hand: may they be let go? They are in their queues still, and with the
 * ledger fenced (store_fence) nothing of what was begun with them is written. False: a door is not closed yet, or
 * something that is true on the other side waits to be written. */
bool gateway_may_let_go(const struct gateway *gateway);
/* The letters that were in hand when the drain began; some of them were finished since. */
struct gateway_held {
    enum queue queue;
    int64_t key;
};
const struct gateway_held *gateway_was_in_hand(const struct gateway *gateway, size_t *count_r);
/* After a drain: the instance moved away, the doors stay closed until gateway_reopen or a new start. */
void gateway_deactivate(struct gateway *gateway);
/* After a drain: the doors open again, as soon as nothing is in hand any more. REFUSED where they never were open. */
int gateway_reopen(struct gateway *gateway, struct err *err);
bool gateway_can_reopen(const struct gateway *gateway);
/* Gives up what was not finished in time; before the ledger is closed. */
void gateway_halt(struct gateway *gateway);
/* After `closed` and gateway_halt. */
void gateway_free(struct gateway *gateway);

/* It stopped the loop because it cannot go on; to be started anew. */
bool gateway_failed(const struct gateway *gateway);

/* An operator's change to one letter (QU-07). One ledger job holds the change, a row of the audit and one of the
 * letter's history. */
enum gateway_order {
    ORDER_REQUEUE, /* quarantined or deferred: ready, due now, as if never tried */
    ORDER_RETURN,  /* a report to its sender, then gone */
    ORDER_DELETE,
    ORDER_HOLD,
    ORDER_RELEASE,
    ORDERS
};
struct gateway_change {
    enum gateway_order order;
    struct ulid id;
    const char *who; /* the operator, for the audit */
    /* Once. `said` is one sentence about what was done. NOT_FOUND: no such letter, or nothing to do; REFUSED and BUSY
     * with what to do instead. */
    void (*done)(void *arg, const char *said, const struct err *err);
    void *arg;
};
/* `change` must live until `done`. False: out of memory, `done` is not called. */
bool gateway_change(struct gateway *gateway, const struct gateway_change *change);
/* A letter that came with `ovvm queue import` is in the ledger, held. */
void gateway_imported(struct gateway *gateway, enum queue queue);
/* May a letter be imported: is the instance active, and the door (host_out) a link of ours? REFUSED. */
int gateway_import_allowed(const struct gateway *gateway, enum queue queue, const char *door, struct err *err);

/* For status. */
size_t gateway_link_count(const struct gateway *gateway);
struct name8 gateway_link(const struct gateway *gateway, size_t index, struct nje_link_figures *figures_r);
bool gateway_smtp(const struct gateway *gateway, struct smtp_server_figures *server_r,
                  struct smtp_client_figures *client_r);

#endif
