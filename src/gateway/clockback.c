/* A clock that is set back.
 *
 * Letters have the times at which they are due from the wall clock. When it was wrong and is put right, they would wait
 * for as long as it was wrong: those that came in meanwhile, and those that were put off. The steady clock beside it
 * shows how far it went back, and the times in the ledger follow; at the start, where nothing shows it, a letter that
 * was never tried is due now, and one that was tried at the latest after the longest wait.
 */
#include "gateway/inside.h"

#include "base/clock.h"
#include "base/log.h"

enum { SLACK_US = 2000000 }; /* two clocks read one after the other, and slewing, differ by less */

/* Letters that are due later than now only because the clock said so when they came or were put off. */
static int clock_work(struct db *db, void *arg, struct err *err)
{
    const struct gateway *gateway = arg;
    int64_t now_us = clock_now();
    return db_run(db, err,
                  "UPDATE item SET due_us = CASE WHEN due_us - ?2 < ?1 THEN ?1 ELSE due_us - ?2 END"
                  " WHERE queue <> 0 AND state = 0 AND due_us > ?1",
                  "ii", now_us, gateway->clock_back_us) == -1
               ? -1
               : 0;
}

static void clock_done(void *arg, const struct err *err)
{
    struct gateway *gateway = arg;
    if (err != NULL) {
        gateway_again(gateway, &gateway->clock_job);
        return;
    }
    gateway->clock_back_us = 0;
    for (int queue = QUEUE_HOST_IN; queue < QUEUES; queue++)
        gateway_wake(gateway, (enum queue)queue, NULL);
}

void clockback_look(struct gateway *gateway)
{
    int64_t offset_us = clock_now() - clock_steady();
    int64_t back_us = gateway->clock_offset_us - offset_us;
    if (gateway->clock_back_us != 0 || gateway->draining) /* seen again afterwards */
        return;
    gateway->clock_offset_us = offset_us;
    if (back_us < SLACK_US)
        return;
    log_warning(LOG_GATEWAY, 513, "the clock was set back by %lld s; the times at which letters are due follow it",
                (long long)(back_us / CLOCK_SECOND));
    gateway->clock_back_us = back_us;
    store_write(gateway->store, &gateway->clock_job);
}

void clockback_open(struct gateway *gateway)
{
    gateway->clock_job = (struct store_job){ .work = clock_work, .done = clock_done, .arg = gateway };
    gateway->clock_offset_us = clock_now() - clock_steady();
}

int clockback_correct(struct db *db, const struct gateway *gateway, struct err *err)
{
    int64_t now_us = clock_now();
    return db_run(db, err,
                  "UPDATE item SET due_us = ?1 WHERE queue <> 0 AND state = 0 AND"
                  " (due_us > ?2 OR (due_us > ?1 AND attempts = 0))",
                  "ii", now_us, now_us + gateway->conf->limits.retry_max_us) == -1
               ? -1
               : 0;
}
