/* Files for a link that is not configured any more.
 *
 * No pump looks at them, so none of the doors can find that they are too old. A look at the start and every minute asks
 * the ledger for one that has passed its lifetime; where the tables lead to its host by now it goes that way, else it
 * becomes a report to its sender, or goes into quarantine where nobody can be told. One at a time: the ledger says
 * which is next. `ovvm status` shows how many there are.
 */
#include "gateway/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>

enum { LOOK_US = 60000000, LOOK_AGAIN_US = 2000000 };

struct stranded {
    struct gateway *gateway;
    struct loop_timer timer;
    struct store_job job;
    bool busy;
    int64_t key; /* 0: there is none */
    struct fetch fetch;
    struct host_address to;
    char recipient[ITEM_ADDRESS_MAX], reason[ERR_TEXT_SIZE];
    const struct conf_link *link; /* leads there now */
    struct output report;
    bool has_report;
};

static bool is_configured(const struct conf *conf, const char *door)
{
    for (size_t i = 0; i < conf->link_count; i++)
        if (strcmp(conf->links[i].node.text, door) == 0)
            return true;
    return false;
}

/* From door to door: each step is one look into the index of due items. 1: *door_r. */
static int next_door(struct db *db, char door_r[ITEM_DOOR_SIZE], struct err *err)
{
    struct db_rows rows;
    int found = db_query(db, &rows, err,
                         "SELECT door FROM item WHERE queue = 4 AND state = 0 AND door > ?1 ORDER BY door LIMIT 1", "t",
                         door_r);
    if (found == 0)
        found = db_next(&rows, err);
    char door[ITEM_DOOR_SIZE];
    if (found == 1)
        db_text(&rows, 0, door, sizeof door);
    db_end(&rows);
    if (found == 1)
        memcpy(door_r, door, sizeof door);
    return found;
}

static int find_work(struct db *db, void *arg, struct err *err)
{
    struct stranded *stranded = arg;
    const struct conf *conf = stranded->gateway->conf;
    char door[ITEM_DOOR_SIZE] = "";
    int found;
    stranded->key = 0;
    while (stranded->key == 0 && (found = next_door(db, door, err)) == 1)
        if (!is_configured(conf, door) &&
            db_one_int(db, &stranded->key, err,
                       "SELECT key FROM item WHERE queue = 4 AND state = 0 AND door = ?1 AND arrived_us < ?2"
                       " ORDER BY due_us, key LIMIT 1",
                       "ti", door, clock_now() - conf->limits.lifetime_us) == -1)
            return -1;
    return stranded->key == 0 && found == -1 ? -1 : 0;
}

static void look(void *arg);

/* The file is done with, or was not there any more. */
static void leave(struct stranded *stranded, int64_t again_us)
{
    output_free(&stranded->report);
    stranded->report = (struct output){ .entry_us = 0 };
    fetch_free(&stranded->fetch);
    stranded->busy = false;
    if (!stranded->gateway->draining)
        loop_timer_set(&stranded->timer, again_us);
}

static int settle_work(struct db *db, void *arg, struct err *err)
{
    struct stranded *stranded = arg;
    const struct item *item = &stranded->fetch.item;
    struct track track = { .letter = item->letter,
                           .item = item->id,
                           .at_us = clock_now(),
                           .address = span_text(stranded->recipient),
                           .detail = span_text(stranded->reason) };
    int result;
    if (stranded->link != NULL) {
        track.step = TRACK_DEFERRED;
        result = item_set_door(db, item->key, stranded->link->node.text, err);
    } else if (stranded->has_report) {
        track.step = TRACK_RETURNED;
        result = item_remove(db, item->key, err);
        if (result == 0)
            result = output_insert(db, &stranded->report, stranded->gateway->border.node.text, false, err);
    } else {
        track.step = TRACK_QUARANTINED;
        result = item_set_state(db, item->key, ITEM_QUARANTINED, stranded->reason, err);
    }
    return result == 0 ? track_add(db, &track, err) : -1;
}

static void settled(void *arg, const struct err *err)
{
    struct stranded *stranded = arg;
    struct gateway *gateway = stranded->gateway;
    const struct item *item = &stranded->fetch.item;
    if (err != NULL) { /* NOT_FOUND: an operator was quicker */
        if (err->id != ERR_NOT_FOUND)
            log_err(LOG_GATEWAY, err, "file %s", item->id.text);
        leave(stranded, err->id == ERR_NOT_FOUND ? 0 : LOOK_AGAIN_US);
        return;
    }
    log_warning(LOG_GATEWAY, 23835, "file %s to %s: %s", item->id.text, stranded->recipient, stranded->reason);
    if (stranded->link != NULL) {
        gateway_wake(gateway, QUEUE_HOST_OUT, stranded->link->node.text);
    } else {
        gateway_count(gateway, QUEUE_HOST_OUT, -1);
        if (stranded->has_report)
            output_arrived(gateway, &stranded->report);
    }
    leave(stranded, 0);
}

static int decide(struct stranded *stranded, struct err *err)
{
    struct gateway *gateway = stranded->gateway;
    const struct item *item = &stranded->fetch.item;
    struct span recipient = item->recipient_count > 0 ? item->recipients[0].address : SPAN_EMPTY;
    span_to_text(recipient, stranded->recipient, sizeof stranded->recipient);
    stranded->link =
        host_address_parse(recipient, &stranded->to, NULL) == 0 ? border_route(&gateway->border, stranded->to) : NULL;
    stranded->has_report = false;
    if (stranded->link != NULL) {
        (void)snprintf(stranded->reason, sizeof stranded->reason, "goes by link %s from now on",
                       stranded->link->node.text);
        return 0;
    }
    (void)snprintf(stranded->reason, sizeof stranded->reason,
                   "no link leads to %s any more, and its lifetime is over ([link %s] is gone)", stranded->to.node.text,
                   item->door);
    struct report_failure failure = { .recipient = stranded->recipient,
                                      .id = ERR_EXPIRED,
                                      .status = err_smtp_enhanced(ERR_EXPIRED),
                                      .diagnostic = stranded->reason };
    int made = report_make(gateway, item, &failure, 1, SPAN_EMPTY, &stranded->report, err);
    stranded->has_report = made == 0;
    return made == -1 ? -1 : 0;
}

static void loaded(void *arg, const struct err *err)
{
    struct stranded *stranded = arg;
    struct gateway *gateway = stranded->gateway;
    const struct item *item = &stranded->fetch.item;
    struct err failure = err != NULL ? *err : ERR_CLEAR;
    bool facts = stranded->fetch.found; /* a content that is damaged is not needed */
    if (!facts || item->state != ITEM_READY || gateway->draining || decide(stranded, &failure) == -1) {
        if (failure.id != ERR_NONE)
            log_err(LOG_GATEWAY, &failure, "a file for a link that is gone");
        leave(stranded, failure.id != ERR_NONE ? LOOK_AGAIN_US : LOOK_US);
        return;
    }
    stranded->job = (struct store_job){ .work = settle_work, .done = settled, .arg = stranded };
    store_write(gateway->store, &stranded->job);
}

static void found(void *arg, const struct err *err)
{
    struct stranded *stranded = arg;
    struct gateway *gateway = stranded->gateway;
    fetch_init(&stranded->fetch, gateway->store, &gateway->hot, stranded->key, stranded);
    if (err != NULL)
        log_err(LOG_GATEWAY, err, "files for links that are gone cannot be looked for");
    if (err != NULL || stranded->key == 0 || gateway->draining)
        leave(stranded, LOOK_US);
    else
        fetch_load(&stranded->fetch, loaded);
}

static void look(void *arg)
{
    struct stranded *stranded = arg;
    if (stranded->busy || stranded->gateway->draining)
        return;
    stranded->busy = true;
    stranded->job = (struct store_job){ .work = find_work, .done = found, .arg = stranded };
    store_read(stranded->gateway->store, &stranded->job);
}

int stranded_open(struct gateway *gateway, struct err *err)
{
    struct stranded *stranded = mem_zero(sizeof *stranded);
    if (stranded == NULL || loop_timer_init(&stranded->timer, gateway->loop, look, stranded) == -1) {
        mem_free(stranded);
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    stranded->gateway = gateway;
    gateway->stranded = stranded;
    loop_timer_set(&stranded->timer, 0);
    return 0;
}

void stranded_close(struct gateway *gateway)
{
    if (gateway->stranded == NULL)
        return;
    loop_timer_free(&gateway->stranded->timer);
    mem_free(gateway->stranded);
}
