/* The look-ahead over a queue. A scan may be older than what happened since: a key it yields may be in flight (skipped
 * here), gone (its consumer finds nothing when it loads it) or deferred (its consumer sees the due time). */
#include "gateway/pump.h"

#include "base/clock.h"
#include "base/log.h"

enum { RETRY_US = 1000000 };

static bool in_flight(const struct pump *pump, int64_t key)
{
    for (size_t i = 0; i < pump->flight_count; i++)
        if (pump->flight[i] == key)
            return true;
    return false;
}

static int scan_work(struct db *db, void *arg, struct err *err)
{
    struct pump *pump = arg;
    return item_due_list(db, pump->queue, pump->door, clock_now(), 0, 0, pump->found, PUMP_AHEAD, &pump->found_count,
                         &pump->next_us, err);
}

static void scan(struct pump *pump)
{
    if (pump->scanning) {
        pump->scan_again = true;
        return;
    }
    pump->scanning = true;
    pump->scan_again = false;
    store_read(pump->store, &pump->job);
}

static void scan_done(void *arg, const struct err *err)
{
    struct pump *pump = arg;
    pump->scanning = false;
    if (err != NULL) {
        log_err(LOG_GATEWAY, err, "queue %s cannot be read", queue_name(pump->queue));
        pump_retry(pump);
        return;
    }
    pump->ahead_count = 0;
    pump->ahead_next = 0;
    for (size_t i = 0; i < pump->found_count; i++)
        if (!in_flight(pump, pump->found[i].key))
            pump->ahead[pump->ahead_count++] = pump->found[i];
    pump->more = pump->found_count == PUMP_AHEAD;
    if (pump->next_us != 0)
        loop_timer_set(&pump->timer, pump->next_us - clock_now());
    if (pump->scan_again)
        scan(pump);
    if (pump->ahead_count > 0)
        pump->ready(pump->arg);
}

static void timer_run(void *arg)
{
    scan(arg);
}

int pump_init(struct pump *pump, struct loop *loop, struct store *store, enum queue queue, const char *door,
              void (*ready)(void *arg), void *arg)
{
    *pump = (struct pump){ .store = store, .queue = queue, .ready = ready, .arg = arg };
    (void)snprintf(pump->door, sizeof pump->door, "%s", door);
    pump->job = (struct store_job){ .work = scan_work, .done = scan_done, .arg = pump };
    return loop_timer_init(&pump->timer, loop, timer_run, pump);
}

void pump_close(struct pump *pump)
{
    loop_timer_free(&pump->timer);
}

int64_t pump_take(struct pump *pump, uint64_t size_max)
{
    size_t at = pump->ahead_next;
    if (pump->flight_count >= PUMP_FLIGHT_MAX)
        return 0;
    while (at < pump->ahead_count) {
        struct item_due due = pump->ahead[at];
        bool takes = !in_flight(pump, due.key);
        if (takes && due.size > size_max) {
            at++;
            continue;
        }
        for (size_t larger = at; larger > pump->ahead_next; larger--)
            pump->ahead[larger] = pump->ahead[larger - 1];
        pump->ahead_next++;
        at++;
        if (!takes)
            continue;
        pump->flight[pump->flight_count++] = due.key;
        return due.key;
    }
    if (pump->ahead_next < pump->ahead_count)
        return 0; /* what is left is larger, and older than what the ledger has behind it */
    if (pump->more) {
        pump->more = false;
        scan(pump);
    }
    return 0;
}

bool pump_claim(struct pump *pump, int64_t key)
{
    if (in_flight(pump, key) || pump->flight_count == PUMP_FLIGHT_MAX + PUMP_CLAIMS_MAX)
        return false;
    pump->flight[pump->flight_count++] = key;
    return true;
}

void pump_release(struct pump *pump, int64_t key)
{
    for (size_t i = 0; i < pump->flight_count; i++) {
        if (pump->flight[i] != key)
            continue;
        pump->flight[i] = pump->flight[--pump->flight_count];
        return;
    }
}

void pump_offer(struct pump *pump, int64_t key, uint64_t size)
{
    if (pump->ahead_next == pump->ahead_count)
        pump->ahead_next = pump->ahead_count = 0;
    if (pump->scanning) {
        pump->scan_again = true; /* the scan under way may have missed it, and what it finds replaces the look-ahead */
    } else if (pump->more || pump->ahead_count == PUMP_AHEAD) {
        pump->more = true; /* older ones are before it: a scan finds them in order */
    } else {
        pump->ahead[pump->ahead_count++] = (struct item_due){ .key = key, .size = size };
        pump->ready(pump->arg);
    }
}

void pump_postpone(struct pump *pump, int64_t key)
{
    pump_release(pump, key);
    pump_retry(pump);
}

void pump_wake(struct pump *pump)
{
    scan(pump);
}

void pump_retry(struct pump *pump)
{
    loop_timer_set(&pump->timer, RETRY_US);
}
