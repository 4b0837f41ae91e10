/* The verbs of the control socket. */
#include "admin/verbs.h"

#include "address/registry.h"
#include "admin/addresses.h"
#include "admin/proxies.h"
#include "base/clock.h"
#include "relocate/transition.h"
#include "store/item.h"
#include "store/track.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LIST_PAGE = 100, LIST_RECIPIENTS = 20, CONTENT_SHOWN = 16 * 1024, TRACE_LETTERS = 20 };

json_t *verb_time(int64_t us)
{
    if (us == 0)
        return json_null();
    time_t seconds = (time_t)(us / CLOCK_SECOND);
    struct tm tm;
    char text[40];
    (void)gmtime_r(&seconds, &tm);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + size, sizeof text - size, ".%03dZ", (int)(us % CLOCK_SECOND / 1000));
    return json_string(text);
}

json_t *verb_text(struct span bytes)
{
    json_t *text = json_stringn((const char *)bytes.at, bytes.size);
    if (text != NULL)
        return text;
    char plain[1024];
    size_t size = bytes.size < sizeof plain ? bytes.size : sizeof plain;
    for (size_t i = 0; i < size; i++)
        plain[i] = bytes.at[i] >= 0x20 && bytes.at[i] < 0x7F ? (char)bytes.at[i] : '?';
    return json_stringn(plain, size);
}

/* --- status --- */

/* Files that wait for links, by link. */
static int status_doors(struct db *db, json_t *reply, struct err *err)
{
    struct db_rows rows;
    json_t *doors = json_array();
    int found =
        db_query(db, &rows, err,
                 "SELECT door, count(*) FROM item WHERE queue = 4 AND state <> 2 GROUP BY door ORDER BY door", "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1)
        (void)json_array_append_new(doors, json_pack("{s:o, s:I}", "link", verb_text(db_bytes(&rows, 0)), "files",
                                                     (json_int_t)db_int(&rows, 1)));
    db_end(&rows);
    (void)json_object_set_new(reply, "waiting_for_links", doors);
    return found == -1 ? -1 : 0;
}

static int status_ledger(struct db *db, const struct verb_call *call, struct err *err)
{
    json_t *reply = call->reply;
    struct queue_depth depths[QUEUES];
    if (queue_depths(db, depths, err) == -1 || status_doors(db, reply, err) == -1)
        return -1;
    json_t *queues = json_array();
    for (int i = QUEUE_HOST_IN; i < QUEUES; i++) {
        json_t *queue =
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "name", queue_name((enum queue)i), "classic",
                      queue_classic_name((enum queue)i), "ready", (json_int_t)depths[i].count[ITEM_READY], "held",
                      (json_int_t)depths[i].count[ITEM_HELD], "quarantine",
                      (json_int_t)depths[i].count[ITEM_QUARANTINED], "oldest", verb_time(depths[i].oldest_us));
        (void)json_array_append_new(queues, queue);
    }
    int64_t number = 0;
    if (db_one_int(db, &number, err, "SELECT next FROM sequence WHERE name = 'registration'", "") == -1) {
        json_decref(queues);
        return -1;
    }
    bool paused = false;
    if (registry_names_paused(db, &paused, err) == -1) {
        json_decref(queues);
        return -1;
    }
    (void)json_object_set_new(reply, "queues", queues);
    (void)json_object_set_new(reply, "names_paused", json_boolean(paused));
    (void)json_object_set_new(reply, "next_number", json_integer(number > 0 ? number : 1));
    return 0;
}

static void warn(json_t *reply, const char *text, const char *remedy)
{
    json_t *warnings = json_object_get(reply, "warnings");
    (void)json_array_append_new(warnings, json_pack("{s:s, s:s}", "text", text, "remedy", remedy));
}

/* " at 14:03:11 UTC", or " by itself" where no time is set. */
static void when_text(int64_t us, char *text_r, size_t size)
{
    time_t seconds = (time_t)(us / CLOCK_SECOND);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    if (us == 0 || strftime(text_r, size, " at %H:%M:%S UTC", &tm) == 0)
        (void)snprintf(text_r, size, " by itself");
}

static void warn_link(const char *node, const struct nje_link_figures *figures, json_t *reply)
{
    char text[64 + ERR_TEXT_SIZE], remedy[192], when[32];
    when_text(figures->next_dial_us, when, sizeof when);
    (void)snprintf(text, sizeof text, "link %s is %s%s%s", node, nje_link_state_name(figures->state),
                   figures->last_error[0] != '\0' ? ": " : "", figures->last_error);
    if (figures->listening[0] != '\0' && figures->next_dial_us == 0)
        (void)snprintf(
            remedy, sizeof remedy,
            "start the link on the neighbour's side, which is awaited on %s, or look at both sides' definitions",
            figures->listening);
    else
        (void)snprintf(remedy, sizeof remedy, "look at both sides' definitions; it is tried again%s", when);
    warn(reply, text, remedy);
}

static json_t *link_status(const struct gateway *gateway, size_t index, json_t *reply)
{
    struct nje_link_figures figures;
    struct name8 node = gateway_link(gateway, index, &figures);
    if (figures.state != NJE_LINK_UP)
        warn_link(node.text, &figures, reply);
    return json_pack("{s:s, s:s, s:s, s:i, s:b, s:o, s:I, s:I, s:I, s:I, s:s}", "node", node.text, "state",
                     nje_link_state_name(figures.state), "peer", figures.peer, "buffer", (int)figures.buffer, "tls",
                     (int)figures.tls, "since", verb_time(figures.since_us), "files_in", (json_int_t)figures.files_in,
                     "files_out", (json_int_t)figures.files_out, "messages_in", (json_int_t)figures.messages_in,
                     "messages_out", (json_int_t)figures.messages_out, "last_error", figures.last_error);
}

static void status_smtp(const struct gateway *gateway, json_t *reply)
{
    struct smtp_server_figures server;
    struct smtp_client_figures client;
    if (!gateway_smtp(gateway, &server, &client))
        return;
    (void)json_object_set_new(reply, "smtp_in",
                              json_pack("{s:i, s:I, s:I, s:I}", "sessions", (int)server.sessions, "accepted",
                                        (json_int_t)server.accepted, "refused", (json_int_t)server.refused, "bytes",
                                        (json_int_t)server.bytes));
    (void)json_object_set_new(reply, "smtp_out",
                              json_pack("{s:i, s:b, s:I, s:I, s:I, s:s}", "connected", (int)client.connected, "down",
                                        client.relay_down ? 1 : 0, "accepted", (json_int_t)client.accepted, "deferred",
                                        (json_int_t)client.deferred, "refused", (json_int_t)client.refused,
                                        "last_error", client.last_error));
    if (client.relay_down) {
        char text[64 + ERR_TEXT_SIZE], remedy[128], when[32];
        when_text(client.next_try_us, when, sizeof when);
        (void)snprintf(text, sizeof text, "the relay cannot be reached: %s", client.last_error);
        (void)snprintf(remedy, sizeof remedy,
                       "start it, or correct [smtp-out] relay; mail waits in mail_out, and it is tried again%s", when);
        warn(reply, text, remedy);
    }
}

/* "3 hours", of a time that is gone. */
static void age_text(int64_t since_us, char *text_r, size_t size)
{
    static const struct {
        int64_t worth;
        const char *name;
    } units[] = {
        { CLOCK_DAY, "day" }, { CLOCK_HOUR, "hour" }, { CLOCK_MINUTE, "minute" }, { CLOCK_SECOND, "second" }
    };
    int64_t age = clock_now() - since_us;
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof units[0] && age < units[i].worth)
        i++;
    long long number = age > 0 ? (long long)(age / units[i].worth) : 0;
    (void)snprintf(text_r, size, "%lld %s%s", number, units[i].name, number == 1 ? "" : "s");
}

static void warn_of_directory(const struct people_directory *directory, json_t *reply)
{
    struct people_directory_status status = people_directory_status(directory);
    char text[80 + ERR_TEXT_SIZE], remedy[256], age[40], when[32];
    if (!status.configured)
        return;
    (void)json_object_set_new(reply, "directory",
                              json_pack("{s:o, s:o, s:o, s:b, s:I, s:I, s:s}", "loaded", verb_time(status.loaded_us),
                                        "tried", verb_time(status.tried_us), "next", verb_time(status.next_us),
                                        "loading", status.loading ? 1 : 0, "people", (json_int_t)status.people,
                                        "passed_over", (json_int_t)status.forgiven, "problem",
                                        status.problem != NULL ? status.problem : ""));
    age_text(status.loaded_us, age, sizeof age);
    when_text(status.next_us, when, sizeof when);
    if (status.problem != NULL && status.loaded_us != 0)
        (void)snprintf(text, sizeof text, "the directory was not loaded: %s", status.problem);
    else if (status.problem != NULL)
        (void)snprintf(text, sizeof text, "the directory was never loaded: %s", status.problem);
    if (status.problem != NULL && status.loaded_us != 0)
        (void)snprintf(remedy, sizeof remedy,
                       "mail flows with the people as they were %s ago; see to the server, or to [directory]; it is "
                       "asked again%s",
                       age, when);
    else if (status.problem != NULL)
        (void)snprintf(remedy, sizeof remedy,
                       "mail of host users to people who are not known waits; see to the server, or to [directory]; it "
                       "is asked again%s",
                       when);
    if (status.problem != NULL)
        warn(reply, text, remedy);
    else if (status.forgiven > 0) {
        (void)snprintf(text, sizeof text, "%zu things in the directory are wrong and were passed over",
                       status.forgiven);
        warn(reply, text, "ovvm people check shows them");
    }
}

/* What concerns the whole instance; where no mail flows comes first. */
static void warn_of_state(const struct control_options *options, json_t *reply)
{
    char next[ERR_TEXT_SIZE];
    transition_next(options->instance, next, sizeof next);
    if (next[0] != '\0') {
        char text[80];
        (void)snprintf(text, sizeof text, "this instance is %s, no mail flows",
                       instance_state_name(options->instance->state));
        warn(reply, text, next);
        (void)json_object_set_new(reply, "bundle", json_string(options->instance->bundle));
    }
    if (tables_problem(options->tables) != NULL)
        warn(reply, tables_problem(options->tables),
             "correct the file, then ovvm tables reload; until then the former tables are in use");
    else if (!(*tables_current(options->tables))->has_ovdfile)
        warn(reply, "there is no Ovdfile.dat: every node that a link leads to may send mail to the Internet",
             "list the nodes in Ovdfile.dat in the tables folder, see ovvm-tables(5)");
    warn_of_directory(options->directory, reply);
    if (json_is_true(json_object_get(reply, "names_paused")))
        warn(
            reply, "after a restore no names are made for correspondents; new ones get numbers",
            "bring back what was given since (ovvm register import FILE --format journal), then ovvm register confirm");
    if (!store_writable(options->store))
        warn(reply, "the ledger cannot be written",
             "make room on the disk of the state directory; mail resumes by itself");
}

/* Nobody sends what waits for a link that is not there: for a typing mistake, or after a node went away. */
static void warn_of_stranded(const struct control_options *options, json_t *reply)
{
    size_t index;
    json_t *door;
    json_array_foreach(json_object_get(reply, "waiting_for_links"), index, door)
    {
        const char *link = json_string_value(json_object_get(door, "link"));
        char text[160];
        bool there = false;
        for (size_t i = 0; i < options->conf->link_count; i++)
            there = there || strcmp(options->conf->links[i].node.text, link) == 0;
        if (there)
            continue;
        (void)snprintf(text, sizeof text, "%lld files wait for link %.15s, and there is no [link %.15s]",
                       (long long)json_integer_value(json_object_get(door, "files")), link, link);
        warn(
            reply, text,
            "give the link back, or name their node in nodes of another and start ovvmd again; after [limits] lifetime "
            "they are returned to their senders");
    }
}

static void status_loop(struct verb_call *call)
{
    const struct control_options *options = call->options;
    json_t *reply = call->reply;
    struct store_figures figures = store_figures(options->store);
    (void)json_object_set_new(reply, "version", json_string(OVVM_VERSION));
    (void)json_object_set_new(reply, "node", json_string(options->conf->connector.node.text));
    (void)json_object_set_new(reply, "domain", json_string(options->conf->connector.domain));
    (void)json_object_set_new(reply, "state", json_string(instance_state_name(options->instance->state)));
    (void)json_object_set_new(reply, "generation", json_integer(options->instance->generation));
    (void)json_object_set_new(reply, "lineage", json_string(options->instance->lineage));
    (void)json_object_set_new(reply, "ledger",
                              json_pack("{s:b, s:I, s:I, s:I}", "writable", store_writable(options->store) ? 1 : 0,
                                        "jobs", (json_int_t)figures.jobs, "commits", (json_int_t)figures.commits,
                                        "log_bytes", (json_int_t)figures.wal_bytes));
    (void)json_object_set_new(reply, "warnings", json_array());
    warn_of_state(options, reply);
    warn_of_stranded(options, reply);
    json_t *links = json_array();
    for (size_t i = 0; options->instance->state == INSTANCE_ACTIVE && i < gateway_link_count(options->gateway); i++)
        (void)json_array_append_new(links, link_status(options->gateway, i, reply));
    (void)json_object_set_new(reply, "links", links);
    if (options->instance->state == INSTANCE_ACTIVE)
        status_smtp(options->gateway, reply);
    json_t *queues = json_object_get(reply, "queues");
    size_t index;
    json_t *queue;
    json_int_t quarantined = 0;
    json_array_foreach(queues, index, queue) quarantined += json_integer_value(json_object_get(queue, "quarantine"));
    if (quarantined > 0) {
        char text[80];
        (void)snprintf(text, sizeof text, "%lld letters are in quarantine", (long long)quarantined);
        warn(reply, text, "ovvm queue list --state quarantine shows them and why");
    }
}

/* --- queue list, queue show --- */

/* At most `recipients_shown` of its recipients; their number is told beside. */
static json_t *item_json(const struct item *item, size_t recipients_shown)
{
    json_t *recipients = json_array();
    static const char *const states[] = { "pending", "done", "failed" };
    for (size_t i = 0; i < item->recipient_count && i < recipients_shown; i++) {
        const struct item_recipient *recipient = &item->recipients[i];
        (void)json_array_append_new(recipients,
                                    json_pack("{s:o, s:s, s:s}", "address", verb_text(recipient->address), "state",
                                              states[recipient->state], "reason", recipient->reason));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:i, s:o, s:o, s:o}", "id", item->id.text, "letter",
                     item->letter.text, "queue", queue_name(item->queue), "state", item_state_name(item->state), "link",
                     item->door, "sender", verb_text(item->sender), "recipients", recipients, "recipient_count",
                     (json_int_t)item->recipient_count, "size", (json_int_t)item->size, "attempts", item->attempts,
                     "arrived", verb_time(item->arrived_us), "due", verb_time(item->due_us), "reason",
                     verb_text(span_text(item->reason)));
}

/* Keys of the page behind the key `after`, and of one more where there are more. */
static int list_keys(struct db *db, const json_t *request, int64_t keys_r[LIST_PAGE + 1], size_t *count_r,
                     struct err *err)
{
    const char *queue = json_string_value(json_object_get(request, "queue"));
    const char *state = json_string_value(json_object_get(request, "state"));
    int64_t after = (int64_t)json_integer_value(json_object_get(request, "after"));
    int64_t queue_number = queue != NULL ? (int64_t)queue_find(queue) : -1;
    int64_t state_number = -1;
    if (queue_number == QUEUE_GONE)
        return err_set(err, ERR_BAD_CONTENT,
                       "there is no such queue; the queues are host_in, mail_out, mail_in and host_out");
    for (int i = 0; state != NULL && i < ITEM_WRITING; i++)
        if (strcmp(state, item_state_name((enum item_state)i)) == 0)
            state_number = i;
    if (state != NULL && state_number == -1)
        return err_set(err, ERR_BAD_CONTENT, "there is no such state; the states are ready, held and quarantine");
    struct db_rows rows;
    int found = db_query(db, &rows, err,
                         "SELECT key FROM item WHERE key > ?1 AND queue <> 0 AND (?2 = -1 OR queue = ?2)"
                         " AND (?3 = -1 OR state = ?3) ORDER BY key LIMIT ?4",
                         "iiii", after, queue_number, state_number, (int64_t)LIST_PAGE + 1);
    *count_r = 0;
    while (found >= 0 && *count_r <= LIST_PAGE && (found = db_next(&rows, err)) == 1)
        keys_r[(*count_r)++] = db_int(&rows, 0);
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

/* A page at a time, so that neither a reader of the ledger nor the loop is long at it. */
static int list_ledger(struct db *db, const struct verb_call *call, struct err *err)
{
    json_t *reply = call->reply;
    int64_t keys[LIST_PAGE + 1];
    size_t count = 0;
    if (list_keys(db, call->request, keys, &count, err) == -1)
        return -1;
    json_t *items = json_array();
    (void)json_object_set_new(reply, "items", items);
    if (count > LIST_PAGE)
        (void)json_object_set_new(reply, "next", json_integer(keys[LIST_PAGE - 1]));
    for (size_t i = 0; i < count && i < LIST_PAGE; i++) {
        struct item item;
        int found = item_load(db, keys[i], &item, err);
        if (found == -1)
            return -1;
        if (found == 1)
            (void)json_array_append_new(items, item_json(&item, LIST_RECIPIENTS));
        item_free(&item);
    }
    return 0;
}

static int show_ledger(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    const char *id = json_string_value(json_object_get(request, "id"));
    struct ulid ulid;
    int64_t key = 0;
    struct item item;
    if (id == NULL || !ulid_parse(id, &ulid))
        return err_set(err, ERR_BAD_CONTENT, "that is no id; an id has 26 letters and digits");
    int found = item_find(db, ulid.text, &key, err);
    if (found == 1)
        found = item_load(db, key, &item, err);
    if (found != 1)
        return found == -1 ? -1
                           : err_set(err, ERR_NOT_FOUND,
                                     "there is no such letter in the queues; \"ovvm trace %s\" shows what became of it",
                                     ulid.text);
    struct buf content = { 0 };
    int result = item_content_read(db, key, 0, CONTENT_SHOWN, &content, err);
    if (result == 0) {
        (void)json_object_set_new(reply, "item", item_json(&item, SIZE_MAX));
        bool text = item.queue == QUEUE_MAIL_IN || item.queue == QUEUE_MAIL_OUT;
        if (text)
            (void)json_object_set_new(reply, "content", verb_text(buf_span(&content)));
    }
    item_free(&item);
    buf_free(&content);
    return result;
}

/* --- trace --- */

static bool add_step(void *arg, const struct track *track)
{
    json_t *steps = arg;
    (void)json_array_append_new(steps, json_pack("{s:s, s:s, s:o, s:s, s:o, s:o}", "letter", track->letter.text, "item",
                                                 track->item.text, "at", verb_time(track->at_us), "step",
                                                 track_step_name(track->step), "address", verb_text(track->address),
                                                 "detail", verb_text(track->detail)));
    return true;
}

struct letters {
    char ids[TRACE_LETTERS][ULID_LENGTH + 1];
    size_t count;
};

static bool add_letter(void *arg, const char *letter, int64_t at_us)
{
    (void)at_us;
    struct letters *letters = arg;
    (void)snprintf(letters->ids[letters->count++], sizeof letters->ids[0], "%s", letter);
    return letters->count < TRACE_LETTERS;
}

/* What is still to come for a letter: the items of it that are in the queues. */
static int add_waiting(struct db *db, const char *letter, json_t *waiting, struct err *err)
{
    struct db_rows rows;
    int64_t keys[TRACE_LETTERS];
    size_t count = 0;
    int found = db_query(db, &rows, err,
                         "SELECT i.key FROM item i WHERE i.queue <> 0 AND i.id IN (SELECT item FROM track WHERE letter "
                         "= ?1) ORDER BY i.key LIMIT ?2",
                         "ti", letter, (int64_t)TRACE_LETTERS);
    while (found >= 0 && count < TRACE_LETTERS && (found = db_next(&rows, err)) == 1)
        keys[count++] = db_int(&rows, 0);
    db_end(&rows);
    for (size_t i = 0; i < count && found >= 0; i++) {
        struct item item;
        found = item_load(db, keys[i], &item, err);
        if (found == 1)
            (void)json_array_append_new(waiting, item_json(&item, LIST_RECIPIENTS));
        item_free(&item);
    }
    return found == -1 ? -1 : 0;
}

static int trace_ledger(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    const char *what = json_string_value(json_object_get(request, "what"));
    struct letters letters = { .count = 0 };
    struct ulid ulid;
    if (what == NULL)
        return err_set(err, ERR_BAD_CONTENT, "give an id or an address");
    if (ulid_parse(what, &ulid))
        (void)add_letter(&letters, ulid.text, 0);
    else if (track_address(db, span_text(what), TRACE_LETTERS, add_letter, &letters, err) == -1)
        return -1;
    json_t *steps = json_array();
    json_t *waiting = json_array();
    (void)json_object_set_new(reply, "steps", steps);
    (void)json_object_set_new(reply, "waiting", waiting);
    for (size_t i = letters.count; i-- > 0;)
        if (track_letter(db, letters.ids[i], add_step, steps, err) == -1 ||
            add_waiting(db, letters.ids[i], waiting, err) == -1)
            return -1;
    if (json_array_size(steps) == 0)
        return err_set(err, ERR_NOT_FOUND, "nothing is known of \"%.100s\"", what);
    return 0;
}

/* --- the table --- */

static const struct verb verbs[] = {
    { .name = "status", .ledger = status_ledger, .loop = status_loop },
    { .name = "queue list", .ledger = list_ledger },
    { .name = "queue show", .ledger = show_ledger },
    { .name = "trace", .ledger = trace_ledger },
    { .name = "queue requeue", .start = verb_queue_change },
    { .name = "queue return", .start = verb_queue_change },
    { .name = "queue delete", .start = verb_queue_change },
    { .name = "queue hold", .start = verb_queue_change },
    { .name = "queue release", .start = verb_queue_change },
    { .name = "queue import", .start = verb_queue_import },
    { .name = "relocate begin", .start = verb_relocate_begin },
    { .name = "relocate undo", .start = verb_relocate_undo },
    { .name = "relocate moved", .writes = true, .ledger = verb_relocate_moved, .loop = verb_relocate_moved_done },
};

const struct verb *verb_find(const char *name)
{
    const struct verb *found = address_verb_find(name);
    if (found == NULL)
        found = proxy_verb_find(name);
    if (found != NULL)
        return found;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}
