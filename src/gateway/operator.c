/* What an operator may do to one letter: requeue, return, delete, hold, release (QU-07).
 *
 * The letter may be on its way at that very moment: its pump is asked first, and an item that is being worked on is
 * left alone (BUSY). While the change is under way nobody else takes it. What was read before the claim is compared
 * again inside the job that writes, so that a letter that moved on meanwhile is never changed by mistake.
 */
#include "gateway/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/audit.h"

#include <stdio.h>

enum { ORIGINAL_MAX = 32 * 1024 /* of a returned letter: its header is in there */ };

static const char *const order_names[ORDERS] = {
    [ORDER_REQUEUE] = "queue requeue", [ORDER_RETURN] = "queue return",   [ORDER_DELETE] = "queue delete",
    [ORDER_HOLD] = "queue hold",       [ORDER_RELEASE] = "queue release",
};

struct operation {
    struct gateway *gateway;
    const struct gateway_change *change;
    struct pump *pump; /* the item is claimed there; NULL: nobody would take it */
    int64_t key, now_us;
    bool found;
    struct item item;
    struct buf original;
    struct output report;
    bool has_report;
    char why[ERR_TEXT_SIZE], who[64], reason[ERR_TEXT_SIZE], said[ERR_TEXT_SIZE];
    struct store_job job;
};

static void finish(struct operation *operation, const struct err *err)
{
    const struct gateway_change *change = operation->change;
    if (operation->pump != NULL)
        pump_release(operation->pump, operation->key);
    if (operation->pump != NULL && err != NULL)
        pump_wake(operation->pump);
    change->done(change->arg, err == NULL ? operation->said : "", err);
    item_free(&operation->item);
    buf_free(&operation->original);
    output_free(&operation->report);
    mem_free(operation);
}

/* --- what is allowed --- */

static int already(struct err *err, const struct item *item, const char *what)
{
    return err_set(err, ERR_NOT_FOUND, "letter %s is %s already", item->id.text, what);
}

static int check_order(enum gateway_order order, const struct item *item, struct err *err)
{
    const char *id = item->id.text;
    switch (order) {
    case ORDER_REQUEUE:
        if (item->state == ITEM_HELD)
            return err_set(err, ERR_REFUSED, "letter %s is held: \"ovvm queue release %s\" lets it go on", id, id);
        return 0;
    case ORDER_HOLD:
        if (item->state == ITEM_HELD)
            return already(err, item, "held");
        if (item->state == ITEM_QUARANTINED)
            return err_set(
                err, ERR_REFUSED,
                "letter %s is in quarantine and goes nowhere by itself: \"ovvm queue requeue %s\", return or "
                "delete",
                id, id);
        return 0;
    case ORDER_RELEASE:
        if (item->state == ITEM_QUARANTINED)
            return err_set(err, ERR_REFUSED, "letter %s is in quarantine: \"ovvm queue requeue %s\" tries it again", id,
                           id);
        return item->state == ITEM_READY ? already(err, item, "on its way") : 0;
    case ORDER_RETURN:
    case ORDER_DELETE:
    case ORDERS:
        break;
    }
    return 0;
}

/* The report names each recipient that has not been served. */
static int make_report(struct operation *operation, struct err *err)
{
    const struct item *item = &operation->item;
    size_t count = 0;
    struct report_failure *failures = mem_zero((item->recipient_count + 1) * sizeof failures[0]);
    char(*addresses)[ITEM_ADDRESS_MAX] = mem_zero((item->recipient_count + 1) * sizeof addresses[0]);
    int made = -1;
    if (failures == NULL || addresses == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "out of memory for a report");
        goto out;
    }
    (void)snprintf(operation->why, sizeof operation->why, "returned by the operator%s%.200s",
                   item->reason[0] != '\0' ? ": " : "", item->reason);
    for (size_t i = 0; i < item->recipient_count; i++) {
        if (item->recipients[i].state != RECIPIENT_PENDING)
            continue;
        span_to_text(item->recipients[i].address, addresses[count], ITEM_ADDRESS_MAX);
        failures[count] = (struct report_failure){ .recipient = addresses[count],
                                                   .status = "5.3.0", /* RFC 3463 §3.4: mail system status */
                                                   .diagnostic = operation->why };
        count++;
    }
    struct span original =
        item->queue == QUEUE_MAIL_IN || item->queue == QUEUE_MAIL_OUT ? buf_span(&operation->original) : SPAN_EMPTY;
    made = count > 0 ? report_make(operation->gateway, item, failures, count, original, &operation->report, err) : 1;
    operation->has_report = made == 0;
    if (made == 1)
        made = err_set(err, ERR_REFUSED,
                       "nobody can be told about letter %s (%s): \"ovvm queue export %s FILE\" keeps a copy, \"ovvm "
                       "queue delete %s --yes\" deletes it",
                       item->id.text,
                       count == 0                         ? "it has no recipient left"
                       : (item->flags & ITEM_REPORT) != 0 ? "it is a report itself"
                       : item->sender.size == 0           ? "it has no sender"
                                                          : "its sender cannot be reached from here",
                       item->id.text, item->id.text);
out:
    mem_free(failures);
    mem_free(addresses);
    return made == 0 ? 0 : -1;
}

/* --- the change --- */

/* Still as it was read? 0, or BUSY. */
static int check_unchanged(struct db *db, const struct item *item, struct err *err)
{
    struct item now;
    int found = item_load(db, item->key, &now, err);
    if (found == -1)
        return -1;
    bool same = found == 1 && now.queue == item->queue && now.state == item->state && now.attempts == item->attempts;
    if (found == 1)
        item_free(&now);
    return same ? 0 : err_set(err, ERR_BUSY, "letter %s moved on meanwhile; look at it again", item->id.text);
}

static int make_ready(struct db *db, const struct operation *operation, bool forget_tries, struct err *err)
{
    return db_run(db, err,
                  "UPDATE item SET state = 0, due_us = ?2, attempts = CASE WHEN ?3 = 1 THEN 0 ELSE attempts END,"
                  " reason = '' WHERE key = ?1 AND queue <> 0",
                  "iii", operation->key, operation->now_us, (int64_t)forget_tries) == -1
               ? -1
               : 0;
}

static int apply(struct db *db, const struct operation *operation, struct err *err)
{
    switch (operation->change->order) {
    case ORDER_REQUEUE:
        return make_ready(db, operation, true, err);
    case ORDER_RELEASE:
        return make_ready(db, operation, false, err);
    case ORDER_HOLD:
        return item_set_state(db, operation->key, ITEM_HELD, operation->reason, err);
    case ORDER_RETURN:
        if (output_insert(db, &operation->report, operation->gateway->border.node.text, false, err) == -1)
            return -1;
        return item_remove(db, operation->key, err);
    case ORDER_DELETE:
        return item_remove(db, operation->key, err);
    case ORDERS:
        break;
    }
    return err_set(err, ERR_BUG, "an order that does not exist");
}

static int change_work(struct db *db, void *arg, struct err *err)
{
    const struct operation *operation = arg;
    const struct item *item = &operation->item;
    const char *what = order_names[operation->change->order];
    struct track track = { .letter = item->letter,
                           .item = item->id,
                           .at_us = operation->now_us,
                           .step = operation->has_report ? TRACK_RETURNED : TRACK_OPERATOR,
                           .address = item->sender,
                           .detail = span_text(operation->reason) };
    if (check_unchanged(db, item, err) == -1 || apply(db, operation, err) == -1 || track_add(db, &track, err) == -1)
        return -1;
    return audit_add(db, operation->now_us, operation->who, what, span_text(item->id.text), err);
}

static void change_done(void *arg, const struct err *err)
{
    struct operation *operation = arg;
    struct gateway *gateway = operation->gateway;
    const struct item *item = &operation->item;
    enum gateway_order order = operation->change->order;
    if (err != NULL) {
        finish(operation, err);
        return;
    }
    log_info(LOG_GATEWAY, 4120, "letter %s in %s: %s", item->id.text, queue_name(item->queue), operation->reason);
    bool quarantined = item->state == ITEM_QUARANTINED;
    if (order == ORDER_REQUEUE && quarantined)
        gateway_count(gateway, item->queue, 1);
    if ((order == ORDER_RETURN || order == ORDER_DELETE) && !quarantined)
        gateway_count(gateway, item->queue, -1);
    hot_forget(&gateway->hot, operation->key); /* its arrival may have been told since it was claimed */
    if (operation->has_report)
        output_arrived(gateway, &operation->report);
    static const char *const said[ORDERS] = {
        [ORDER_REQUEUE] = "is ready again and due now",
        [ORDER_RETURN] = "was returned to its sender",
        [ORDER_DELETE] = "was deleted",
        [ORDER_HOLD] = "is held until it is released",
        [ORDER_RELEASE] = "goes on and is due now",
    };
    (void)snprintf(operation->said, sizeof operation->said, "letter %s %s", item->id.text, said[order]);
    if (operation->pump != NULL)
        pump_release(operation->pump, operation->key);
    operation->pump = NULL;
    if (order == ORDER_REQUEUE || order == ORDER_RELEASE)
        gateway_wake(gateway, item->queue, item->door);
    finish(operation, NULL);
}

/* --- finding it --- */

static int load_work(struct db *db, void *arg, struct err *err)
{
    struct operation *operation = arg;
    item_free(&operation->item);
    buf_clear(&operation->original);
    int found = item_find(db, operation->change->id.text, &operation->key, err);
    if (found == 1)
        found = item_load(db, operation->key, &operation->item, err);
    operation->found = found == 1;
    if (found != 1)
        return found;
    return item_content_read(db, operation->key, 0, ORIGINAL_MAX, &operation->original, err);
}

static void load_done(void *arg, const struct err *failed)
{
    struct operation *operation = arg;
    struct gateway *gateway = operation->gateway;
    const struct gateway_change *change = operation->change;
    struct err err = failed != NULL ? *failed : ERR_CLEAR;
    int result = failed != NULL ? -1 : 0;
    if (result == 0 && !operation->found)
        result = err_set(&err, ERR_NOT_FOUND,
                         "there is no such letter in the queues; \"ovvm trace %s\" shows what became of it",
                         change->id.text);
    if (result == 0)
        result = check_order(change->order, &operation->item, &err);
    if (result == 0) {
        struct pump *pump = gateway_pump(gateway, operation->item.queue, operation->item.door);
        if (pump != NULL && !pump_claim(pump, operation->key))
            result = err_set(&err, ERR_BUSY, "letter %s is being worked on at this moment; try again", change->id.text);
        else
            operation->pump = pump;
    }
    operation->now_us = clock_now();
    (void)snprintf(operation->reason, sizeof operation->reason, "%s by %s", order_names[change->order] + 6,
                   operation->who);
    if (result == 0 && change->order == ORDER_RETURN)
        result = make_report(operation, &err);
    if (result == -1) {
        finish(operation, &err);
        return;
    }
    hot_forget(&gateway->hot, operation->key); /* whoever takes it next reads what the change made of it */
    operation->job = (struct store_job){ .work = change_work, .done = change_done, .arg = operation };
    store_write(gateway->store, &operation->job);
}

bool gateway_change(struct gateway *gateway, const struct gateway_change *change)
{
    struct operation *operation = mem_zero(sizeof *operation);
    if (operation == NULL)
        return false;
    operation->gateway = gateway;
    operation->change = change;
    (void)snprintf(operation->who, sizeof operation->who, "%s", change->who);
    struct err err = ERR_CLEAR;
    if (!gateway->active || gateway->draining) {
        (void)err_set(&err, ERR_REFUSED, "%s; \"ovvm status\" says what to do next",
                      gateway->active ? "the connector is stopping"
                                      : "this connector is not active, so that its letters must stay as they are");
        finish(operation, &err);
        return true;
    }
    operation->job = (struct store_job){ .work = load_work, .done = load_done, .arg = operation };
    store_read(gateway->store, &operation->job);
    return true;
}

int gateway_import_allowed(const struct gateway *gateway, enum queue queue, const char *door, struct err *err)
{
    if (!gateway->active || gateway->draining)
        return err_set(err, ERR_REFUSED, "this connector is not active; \"ovvm status\" says what to do next");
    if (queue != QUEUE_HOST_OUT)
        return 0;
    for (size_t i = 0; i < gateway->neighbour_count; i++)
        if (strcmp(gateway->neighbours[i].pump.door, door) == 0)
            return 0;
    return err_set(err, ERR_REFUSED, "the file goes out over link %.8s, and there is no [link %.8s]", door, door);
}

void gateway_imported(struct gateway *gateway, enum queue queue)
{
    gateway_count(gateway, queue, 1);
}
