/* The gateway: puts the doors, the queues and the translations together, and keeps what they share. */
#include "gateway/inside.h"

#include "address/registry.h"
#include "letter/options.h"
#include "store/correlation.h"
#include "translator/pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/njefiles.h"
#include "store/sequence.h"

#include <stdio.h>

enum {
    AGAIN_US = 1000000,
    BACKLOG_LOOK_US = 50000,
    PURGE_PAUSE_US = 50000, /* between batches, so that mail goes first */
    PURGE_IDLE_US = 30000000,
    PURGE_ROWS = 500,
    CORRELATION_DAYS = 730, /* how long an answer is threaded; the address itself is for ever */
    NJE_MEMORY_DAYS = 30    /* how long sent and seen files are remembered */
};

/* --- what the parts share --- */

static void reserve(struct gateway *gateway);

/* Whoever was told to wait looks again. */
static void wake_producers(struct gateway *gateway)
{
    host_door_room(gateway);
    gateway_wake(gateway, QUEUE_HOST_IN, NULL);
    gateway_wake(gateway, QUEUE_MAIL_IN, NULL);
}

void gateway_count(struct gateway *gateway, enum queue queue, int change)
{
    gateway->depth[queue] += (uint64_t)(int64_t)change;
    if (change < 0 && queue == QUEUE_HOST_OUT && gateway->job_id_count == 0)
        reserve(gateway);
    if (change < 0 && gateway->full[queue] && gateway->depth[queue] < gateway->conf->limits.queue_depth) {
        gateway->full[queue] = false;
        log_info(LOG_GATEWAY, 4104, "queue %s has room again", queue_name(queue));
        wake_producers(gateway);
    }
}

/* No event says that jobs of the ledger became fewer: it is looked at until they are. */
static void backlog_look(void *arg)
{
    struct gateway *gateway = arg;
    if (store_backlog(gateway->store) > BACKLOG_MAX / 2) {
        loop_timer_set(&gateway->backlog_timer, BACKLOG_LOOK_US);
        return;
    }
    gateway->backlog_full = false;
    log_info(LOG_GATEWAY, 4106, "the ledger has caught up");
    wake_producers(gateway);
}

static void note_backlog(struct gateway *gateway)
{
    if (gateway->backlog_full)
        return;
    log_warning(LOG_GATEWAY, 4105, "%u jobs wait for the ledger, the limit is %u; all doors wait",
                store_backlog(gateway->store), BACKLOG_MAX);
    gateway->backlog_full = true;
    loop_timer_set(&gateway->backlog_timer, BACKLOG_LOOK_US);
}

int gateway_accepts(struct gateway *gateway, enum queue queue, struct err *err)
{
    if (!gateway->active)
        return err_set(err, ERR_NOT_ACTIVE, "this connector is not active");
    if (gateway->draining)
        return err_set(err, ERR_SHUTTING_DOWN, "the connector is stopping");
    if (!store_writable(gateway->store))
        return err_set(err, ERR_DISK_FULL, "insufficient system storage");
    if (gateway->depth[queue] >= gateway->conf->limits.queue_depth) {
        if (!gateway->full[queue])
            log_warning(LOG_GATEWAY, 4103, "queue %s is at its limit: current %llu, maximum %u; its producer waits",
                        queue_name(queue), (unsigned long long)gateway->depth[queue],
                        gateway->conf->limits.queue_depth);
        gateway->full[queue] = true;
        return err_set(err, ERR_BUSY, "the queue is full");
    }
    if (store_backlog(gateway->store) >= BACKLOG_MAX) {
        note_backlog(gateway);
        return err_set(err, ERR_BUSY, "the ledger is busy");
    }
    return 0;
}

static void run_again(void *arg)
{
    struct gateway *gateway = arg;
    struct store_job *job = gateway->again;
    gateway->again = NULL;
    while (job != NULL) {
        struct store_job *next = job->next;
        store_write(gateway->store, job);
        job = next;
    }
}

void gateway_again(struct gateway *gateway, struct store_job *job)
{
    job->next = gateway->again;
    gateway->again = job;
    loop_timer_set(&gateway->again_timer, AGAIN_US);
}

struct pump *gateway_pump(struct gateway *gateway, enum queue queue, const char *door)
{
    switch (queue) {
    case QUEUE_HOST_IN:
        return &gateway->host_in;
    case QUEUE_MAIL_IN:
        return &gateway->mail_in;
    case QUEUE_MAIL_OUT:
        return &gateway->mail_out;
    case QUEUE_HOST_OUT:
        for (size_t i = 0; i < gateway->neighbour_count; i++)
            if (strcmp(gateway->neighbours[i].pump.door, door) == 0)
                return &gateway->neighbours[i].pump;
        break;
    case QUEUE_GONE:
    case QUEUES:
        break;
    }
    return NULL;
}

void gateway_wake(struct gateway *gateway, enum queue queue, const char *door)
{
    if (queue == QUEUE_HOST_OUT && door == NULL) {
        for (size_t i = 0; i < gateway->neighbour_count; i++)
            pump_wake(&gateway->neighbours[i].pump);
        return;
    }
    struct pump *pump = gateway_pump(gateway, queue, door);
    if (pump != NULL)
        pump_wake(pump);
}

void gateway_arrived(struct gateway *gateway, const struct item *item, struct buf *content)
{
    struct pump *pump = gateway_pump(gateway, item->queue, item->door);
    gateway_count(gateway, item->queue, 1);
    hot_add(&gateway->hot, item, content);
    if (pump != NULL)
        pump_offer(pump, item->key, item->size);
}

/* --- NJE job ids and entry times --- */

static int reserve_work(struct db *db, void *arg, struct err *err)
{
    struct gateway *gateway = arg;
    return njefile_job_ids(db, gateway->border.node.text, JOB_IDS_AHEAD, gateway->reserved, &gateway->reserved_count,
                           err);
}

/* Where few are free the ledger gives the same ones again before they are used. */
static bool is_at_hand(const struct gateway *gateway, size_t count, unsigned job_id)
{
    for (size_t i = 0; i < count; i++)
        if (gateway->job_ids[i] == job_id)
            return true;
    return false;
}

static void reserve_done(void *arg, const struct err *err)
{
    struct gateway *gateway = arg;
    if (err != NULL && err->id != ERR_BUSY) {
        gateway_again(gateway, &gateway->reserve_job);
        return;
    }
    gateway->reserving = false;
    if (err != NULL) { /* files that wait have them all: again when one of those is gone */
        log_err(LOG_GATEWAY, err, "letters for hosts wait");
        return;
    }
    size_t before = gateway->job_id_count;
    for (size_t i = gateway->reserved_count; i > 0; i--)
        if (!is_at_hand(gateway, before, gateway->reserved[i - 1]))
            gateway->job_ids[gateway->job_id_count++] = gateway->reserved[i - 1];
    gateway_wake(gateway, QUEUE_MAIL_IN, NULL);
}

static void reserve(struct gateway *gateway)
{
    if (gateway->reserving || gateway->job_id_count > JOB_IDS_AHEAD)
        return;
    gateway->reserving = true;
    store_write(gateway->store, &gateway->reserve_job);
}

unsigned gateway_job_id(struct gateway *gateway)
{
    unsigned job_id = gateway->job_id_count > 0 ? gateway->job_ids[--gateway->job_id_count] : 0;
    reserve(gateway);
    return job_id;
}

int64_t gateway_entry_time(struct gateway *gateway)
{
    int64_t now_us = clock_now();
    gateway->last_entry_us = now_us > gateway->last_entry_us ? now_us : gateway->last_entry_us + 1;
    return gateway->last_entry_us;
}

/* --- nodes --- */

void gateway_node_options(const struct gateway *gateway, struct name8 node, const struct conf_link *link, bool to_host,
                          struct options *options_r)
{
    static const enum letter_host_kind kinds[] = { [CONF_RSCS] = HOST_CMS,
                                                   [CONF_VM370] = HOST_CMS370,
                                                   [CONF_NJE38] = HOST_NJE38,
                                                   [CONF_JES2] = HOST_TSO,
                                                   [CONF_UNIXNJE] = HOST_CMS };
    /* Mail managers of OfficeVision have no public packet form: their users get PROFS notes. */
    static const enum letter_host_kind systems[SYSTEMS] = {
        [SYSTEM_CMS] = HOST_CMS,      [SYSTEM_PROFS] = HOST_PROFS, [SYSTEM_OVVM] = HOST_PROFS,
        [SYSTEM_TSO] = HOST_TSO,      [SYSTEM_NJE38] = HOST_NJE38, [SYSTEM_CMS370] = HOST_CMS370,
        [SYSTEM_MAILER] = HOST_MAILER
    };
    const struct ovdnode *listed = border_node(&gateway->border, node);
    const struct table_set *tables = *gateway->border.tables;
    const struct filemap *map = to_host ? &tables->dosxmap : &tables->cmsxmap;
    bool has_map = to_host ? tables->has_dosxmap : tables->has_cmsxmap;
    *options_r = (struct options){ .kind = link != NULL ? kinds[link->kind] : HOST_CMS,
                                   .page = "037",
                                   .attachments = true,
                                   .map = has_map ? map->lines : options_cms_map,
                                   .map_count = has_map ? map->count : options_cms_map_count };
    if (listed == NULL)
        return;
    options_r->kind = systems[listed->system];
    options_r->max_lrecl = listed->max_lrecl;
    if (listed->code_page[0] != '\0')
        (void)snprintf(options_r->page, sizeof options_r->page, "%s", listed->code_page);
}

/* --- purges --- */

static int purge_work(struct db *db, void *arg, struct err *err)
{
    struct gateway *gateway = arg;
    int64_t now_us = clock_now();
    int more = item_purge(db, err);
    if (more == -1)
        return -1;
    int64_t tracks = track_purge(db, now_us - gateway->conf->limits.track_days * CLOCK_DAY, PURGE_ROWS, err);
    int64_t files = tracks == -1 ? -1 : njefile_purge(db, now_us - NJE_MEMORY_DAYS * CLOCK_DAY, PURGE_ROWS, err);
    if (files == -1)
        return -1;
    int64_t answers = correlation_purge(db, now_us - CORRELATION_DAYS * CLOCK_DAY, PURGE_ROWS, err);
    if (answers == -1)
        return -1;
    int64_t aged_to = gateway->aged_to;
    size_t aged = 0;
    int64_t age_us = gateway->conf->addressing.registration_age * CLOCK_DAY;
    if (age_us > 0 && registry_age(db, now_us - age_us, REGISTRY_AGE_MAX, &aged_to, &aged, err) == -1)
        return -1;
    gateway->aged_next = aged_to;
    gateway->aged = aged;
    gateway->purge_more = more == 1 || tracks == PURGE_ROWS || files >= PURGE_ROWS || answers == PURGE_ROWS;
    return 0;
}

static void purge_done(void *arg, const struct err *err)
{
    struct gateway *gateway = arg;
    gateway->purging = false;
    if (err == NULL) {
        gateway->aged_to = gateway->aged_next;
        if (gateway->aged > 0) {
            registry_forget(gateway->registry);
            log_info(LOG_ADDRESS, 32493,
                     "%zu host addresses were unused for %u days and are retired (registration-age)", gateway->aged,
                     gateway->conf->addressing.registration_age);
        }
    }
    if (gateway->draining) /* an instance that moves stays as its bundle shows it */
        return;
    loop_timer_set(&gateway->purge_timer, err == NULL && gateway->purge_more ? PURGE_PAUSE_US : PURGE_IDLE_US);
}

static void purge(void *arg)
{
    struct gateway *gateway = arg;
    gateway->purging = true;
    clockback_look(gateway);
    store_write(gateway->store, &gateway->purge_job);
}

/* --- opening --- */

static void writable_changed(void *arg, bool writable)
{
    struct gateway *gateway = arg;
    if (!writable)
        return;
    wake_producers(gateway);
    gateway_wake(gateway, QUEUE_MAIL_OUT, NULL); /* the client was told that there was nothing */
}

struct opening {
    struct gateway *gateway;
    struct queue_depth depths[QUEUES];
    int64_t entry_us;
    bool done;
    struct err err;
};

/* Letters for a link that is no longer configured go to the link that now leads to their node. */
static int reroute(struct db *db, struct gateway *gateway, struct err *err)
{
    struct db_rows rows;
    int found = db_query(db, &rows, err,
                         "SELECT i.key, i.door, r.address FROM item i JOIN recipient r ON r.item = i.key AND r.n = 0"
                         " WHERE i.queue = 4",
                         "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        char door[ITEM_DOOR_SIZE];
        struct host_address to;
        db_text(&rows, 1, door, sizeof door);
        if (host_address_parse(db_bytes(&rows, 2), &to, NULL) == -1)
            continue;
        const struct conf_link *link = border_route(&gateway->border, to);
        if (link == NULL || strcmp(link->node.text, door) == 0)
            continue;
        if (item_set_door(db, db_int(&rows, 0), link->node.text, err) == -1) {
            found = -1;
            break;
        }
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

static int opening_work(struct db *db, void *arg, struct err *err)
{
    struct opening *opening = arg;
    if (queue_depths(db, opening->depths, err) == -1 || clockback_correct(db, opening->gateway, err) == -1 ||
        reroute(db, opening->gateway, err) == -1)
        return -1;
    return db_one_int(db, &opening->entry_us, err, "SELECT next FROM sequence WHERE name = 'entry'", "") == -1 ? -1 : 0;
}

static void opening_done(void *arg, const struct err *err)
{
    struct opening *opening = arg;
    opening->err = err != NULL ? *err : ERR_CLEAR;
    opening->done = true;
    loop_stop(opening->gateway->loop);
}

/* Reads what has to be known before the doors open; runs the loop for that moment. */
static int look_around(struct gateway *gateway, struct err *err)
{
    struct opening opening = { .gateway = gateway };
    struct store_job job = { .work = opening_work, .done = opening_done, .arg = &opening };
    store_write(gateway->store, &job);
    while (!opening.done)
        loop_run(gateway->loop);
    if (opening.err.id != ERR_NONE) {
        *err = opening.err;
        return -1;
    }
    for (int i = 0; i < QUEUES; i++)
        gateway->depth[i] = opening.depths[i].count[ITEM_READY] + opening.depths[i].count[ITEM_HELD];
    gateway->last_entry_us = opening.entry_us;
    return 0;
}

/* Without the zygote no letter can be translated: the supervisor starts the daemon anew. */
static void translators_lost(void *arg, const struct err *err)
{
    struct gateway *gateway = arg;
    log_error(LOG_GATEWAY, err_log_number(err->id),
              "nothing can be translated any more (%s); stopping, to be started anew", err->text);
    gateway->failed = true;
    loop_stop(gateway->loop);
}

static void check_drained(void *arg);

static int init_parts(struct gateway *gateway, struct err *err)
{
    bool made =
        pump_init(&gateway->host_in, gateway->loop, gateway->store, QUEUE_HOST_IN, "", translate_host_in, gateway) == 0;
    made = pump_init(&gateway->mail_in, gateway->loop, gateway->store, QUEUE_MAIL_IN, "", translate_mail_in, gateway) ==
               0 &&
           made;
    made = loop_timer_init(&gateway->backlog_timer, gateway->loop, backlog_look, gateway) == 0 && made;
    made = loop_timer_init(&gateway->again_timer, gateway->loop, run_again, gateway) == 0 && made;
    made = loop_timer_init(&gateway->purge_timer, gateway->loop, purge, gateway) == 0 && made;
    made = loop_timer_init(&gateway->drain_timer, gateway->loop, check_drained, gateway) == 0 && made;
    return made ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* The doors are open. */
static void begin_work(struct gateway *gateway)
{
    reserve(gateway);
    loop_timer_set(&gateway->purge_timer, PURGE_PAUSE_US);
    gateway_wake(gateway, QUEUE_HOST_IN, NULL);
    gateway_wake(gateway, QUEUE_MAIL_IN, NULL);
    gateway_wake(gateway, QUEUE_MAIL_OUT, NULL);
    gateway_wake(gateway, QUEUE_HOST_OUT, NULL);
}

int gateway_new(const struct gateway_options *options, struct gateway **gateway_r, struct err *err)
{
    *gateway_r = NULL;
    struct gateway *gateway = mem_zero(sizeof *gateway);
    if (gateway == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    gateway->loop = options->loop;
    gateway->store = options->store;
    gateway->conf = options->conf;
    gateway->directory = options->directory;
    gateway->border = border_of(options->conf, tables_current(options->tables));
    gateway->active = options->instance->state == INSTANCE_ACTIVE;
    gateway->listener = (struct store_listener){ .changed = writable_changed, .arg = gateway };
    gateway->reserve_job = (struct store_job){ .work = reserve_work, .done = reserve_done, .arg = gateway };
    clockback_open(gateway);
    gateway->purge_job = (struct store_job){ .work = purge_work, .done = purge_done, .arg = gateway };
    store_listen(options->store, &gateway->listener);
    *gateway_r = gateway;
    if (!gateway->active) {
        log_warning(LOG_CORE, 512, "this instance is %s; the doors stay closed",
                    instance_state_name(options->instance->state));
        return 0;
    }
    struct translator_options translators = { .lost = translators_lost, .arg = gateway };
    gateway->registry = options->registry;
    if (translator_new(options->loop, options->zygote, &translators, &gateway->translator, err) == -1)
        return -1;
    if (init_parts(gateway, err) == -1 || look_around(gateway, err) == -1 || mail_door_open(gateway, err) == -1 ||
        host_door_open(gateway, err) == -1 || stranded_open(gateway, err) == -1)
        return -1;
    begin_work(gateway);
    return 0;
}

/* --- closing --- */

static void door_closed(void *arg)
{
    struct gateway *gateway = arg;
    gateway->doors_open--;
    check_drained(gateway);
}

static void tell_closers(struct gateway *gateway)
{
    while (gateway->closer_count > 0) {
        gateway->closer_count--;
        gateway->closers[gateway->closer_count].closed(gateway->closers[gateway->closer_count].arg);
    }
}

static bool in_hand(const struct gateway *gateway)
{
    return gateway->doors_open > 0 || gateway->translating > 0 || store_backlog(gateway->store) > 0 ||
           gateway->again != NULL;
}

/* The doors are closed; what is still on its way into the ledger may arrive. */
static void open_again(struct gateway *gateway);

static void check_drained(void *arg)
{
    struct gateway *gateway = arg;
    if (gateway->reopening) {
        open_again(gateway);
        return;
    }
    if (in_hand(gateway) && clock_steady() < gateway->drain_until) {
        loop_timer_set(&gateway->drain_timer, 10000);
        return;
    }
    gateway->drained = true;
    tell_closers(gateway);
}

static void note_pump(struct gateway *gateway, const struct pump *pump)
{
    for (size_t i = 0; i < pump->flight_count; i++)
        gateway->held[gateway->held_count++] = (struct gateway_held){ .queue = pump->queue, .key = pump->flight[i] };
}

/* For the list of what an export puts back; without memory the list is empty. */
static void note_in_hand(struct gateway *gateway)
{
    size_t count = gateway->host_in.flight_count + gateway->mail_in.flight_count + gateway->mail_out.flight_count;
    for (size_t i = 0; i < gateway->neighbour_count; i++)
        count += gateway->neighbours[i].pump.flight_count;
    mem_free(gateway->held);
    gateway->held_count = 0;
    gateway->held = mem_zero((count + 1) * sizeof gateway->held[0]);
    if (gateway->held == NULL)
        return;
    note_pump(gateway, &gateway->host_in);
    note_pump(gateway, &gateway->mail_in);
    note_pump(gateway, &gateway->mail_out);
    for (size_t i = 0; i < gateway->neighbour_count; i++)
        note_pump(gateway, &gateway->neighbours[i].pump);
}

const struct gateway_held *gateway_was_in_hand(const struct gateway *gateway, size_t *count_r)
{
    *count_r = gateway->held_count;
    return gateway->held;
}

bool gateway_may_let_go(const struct gateway *gateway)
{
    return gateway->drained && gateway->doors_open == 0 && gateway->again == NULL;
}

void gateway_drain(struct gateway *gateway, int64_t wait_us, void (*closed)(void *arg), void *arg)
{
    if (gateway->closer_count < CLOSERS_MAX) {
        gateway->closers[gateway->closer_count].closed = closed;
        gateway->closers[gateway->closer_count++].arg = arg;
    }
    if (!gateway->active || gateway->drained) {
        tell_closers(gateway);
        return;
    }
    if (gateway->draining)
        return;
    gateway->draining = true;
    gateway->drain_until = clock_steady() + 2 * wait_us + CLOCK_SECOND;
    loop_timer_unset(&gateway->purge_timer);
    note_in_hand(gateway);
    gateway->doors_open = (unsigned)gateway->neighbour_count + 2;
    smtp_server_drain(gateway->server, wait_us, door_closed, gateway);
    smtp_client_drain(gateway->client, wait_us, door_closed, gateway);
    for (size_t i = 0; i < gateway->neighbour_count; i++)
        nje_link_drain(gateway->neighbours[i].link, wait_us, door_closed, gateway);
}

void gateway_halt(struct gateway *gateway)
{
    if (gateway == NULL)
        return;
    gateway->draining = true;
    translator_free(gateway->translator); /* jobs that are there fail, and their letters stay in the ledger */
    gateway->translator = NULL;
}

bool gateway_at_rest(const struct gateway *gateway)
{
    return !gateway->active || (gateway->drained && !in_hand(gateway));
}

void gateway_deactivate(struct gateway *gateway)
{
    gateway->active = false;
}

/* What waits in the queues did not change meanwhile, and it is looked at from its beginning. */
static void open_again(struct gateway *gateway)
{
    struct err err = ERR_CLEAR;
    if (in_hand(gateway)) {
        loop_timer_set(&gateway->drain_timer, 10000);
        return;
    }
    gateway->reopening = gateway->draining = gateway->drained = false;
    gateway->active = true;
    mail_door_close(gateway);
    host_door_close(gateway);
    if (mail_door_open(gateway, &err) == -1 || host_door_open(gateway, &err) == -1) {
        log_error(LOG_GATEWAY, err_log_number(err.id),
                  "the doors cannot be opened again (%s); stopping, to be started anew", err.text);
        gateway->failed = true;
        loop_stop(gateway->loop);
        return;
    }
    log_info(LOG_GATEWAY, 513, "the doors are open again");
    begin_work(gateway);
}

bool gateway_can_reopen(const struct gateway *gateway)
{
    return gateway->translator != NULL;
}

int gateway_reopen(struct gateway *gateway, struct err *err)
{
    if (!gateway_can_reopen(gateway))
        return err_set(err, ERR_REFUSED, "the doors were closed when ovvmd started; start it anew");
    gateway->reopening = true;
    loop_timer_set(&gateway->drain_timer, 0);
    return 0;
}

void gateway_free(struct gateway *gateway)
{
    if (gateway == NULL)
        return;
    host_door_close(gateway);
    mail_door_close(gateway);
    stranded_close(gateway);
    hot_free(&gateway->hot);
    mem_free(gateway->held);
    pump_close(&gateway->host_in);
    pump_close(&gateway->mail_in);
    loop_timer_free(&gateway->backlog_timer);
    loop_timer_free(&gateway->again_timer);
    loop_timer_free(&gateway->purge_timer);
    loop_timer_free(&gateway->drain_timer);
    mem_free(gateway);
}

/* --- status --- */

size_t gateway_link_count(const struct gateway *gateway)
{
    return gateway->neighbour_count;
}

struct name8 gateway_link(const struct gateway *gateway, size_t index, struct nje_link_figures *figures_r)
{
    nje_link_figures(gateway->neighbours[index].link, figures_r);
    return gateway->neighbours[index].conf->node;
}

bool gateway_failed(const struct gateway *gateway)
{
    return gateway->failed;
}

bool gateway_smtp(const struct gateway *gateway, struct smtp_server_figures *server_r,
                  struct smtp_client_figures *client_r)
{
    if (gateway->server == NULL || gateway->client == NULL)
        return false;
    smtp_server_figures(gateway->server, server_r);
    smtp_client_figures(gateway->client, client_r);
    return true;
}
