/* pump: which letter of a queue is next. One pump for each consumer of a queue (a translator, the SMTP client, a link).
 *
 * It keeps nothing that the ledger does not: a look-ahead of due items and the keys that are being worked on. Loop's
 * thread.
 */
#ifndef OVVM_GATEWAY_PUMP_H
#define OVVM_GATEWAY_PUMP_H

#include "base/loop.h"
#include "store/item.h"
#include "store/store.h"

enum { PUMP_FLIGHT_MAX = 64, PUMP_CLAIMS_MAX = 16 /* beside those in flight */, PUMP_AHEAD = 2 * PUMP_FLIGHT_MAX };

struct pump {
    struct store *store;
    enum queue queue;
    char door[ITEM_DOOR_SIZE];
    void (*ready)(void *arg); /* there may be something to take */
    void *arg;
    /* the pump's own */
    struct item_due ahead[PUMP_AHEAD];
    size_t ahead_count, ahead_next;
    int64_t flight[PUMP_FLIGHT_MAX + PUMP_CLAIMS_MAX];
    size_t flight_count;
    struct store_job job;
    bool scanning, scan_again, more;
    int64_t next_us;
    struct item_due found[PUMP_AHEAD];
    size_t found_count;
    struct loop_timer timer;
};

int pump_init(struct pump *pump, struct loop *loop, struct store *store, enum queue queue, const char *door,
              void (*ready)(void *arg), void *arg);
/* Not while a scan is under way: drain the ledger first. */
void pump_close(struct pump *pump);
/* The key of the next due item of at most `size_max` octets, now in flight; 0: none at the moment, `ready` will be
 * called. Larger ones keep their place. */
int64_t pump_take(struct pump *pump, uint64_t size_max);
/* Keeps an item from being taken while somebody else changes it; pump_release gives it back. False: it is being worked
 * on just now, or too many are claimed. */
bool pump_claim(struct pump *pump, int64_t key);
/* The item is no longer worked on: it left, or waits with a new due time. */
void pump_release(struct pump *pump, int64_t key);
/* The item could not be worked on for want of memory or of the ledger: released, and found again by a scan in a second.
 */
void pump_postpone(struct pump *pump, int64_t key);
/* A new item of this queue and door, due now, was committed: the ordinary case needs no look into the ledger. */
void pump_offer(struct pump *pump, int64_t key, uint64_t size);
/* Something may have become due: an item arrived, was released or given another due time. */
void pump_wake(struct pump *pump);
/* What was released cannot be worked on just now for a fault of ours: looks again in a moment, not at once. */
void pump_retry(struct pump *pump);

#endif
