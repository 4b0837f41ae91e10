/* The running daemon's part in a move: it finishes what is in hand, closes its doors and says so in the ledger; then
 * whoever asked writes the bundle, and the daemon records that it is written. The daemon itself never touches the file.
 */
#include "admin/verbs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "relocate/transition.h"

#include <stdio.h>

enum { DRAIN_DEFAULT_S = 30, DRAIN_MAX_S = 3600 };

struct beginning {
    struct verb_call *call;
    char bundle[TRANSITION_ID_SIZE];
    bool undo;
    struct instance instance; /* after the commit */
    json_t *back;             /* letters that were let go: they are in their queues */
    struct store_job job;
};

static bool under_way; /* one at a time */

static bool take_bundle(const struct verb_call *call, char bundle_r[TRANSITION_ID_SIZE], struct err *err)
{
    const char *bundle = json_string_value(json_object_get(call->request, "bundle"));
    if (bundle == NULL || strlen(bundle) != TRANSITION_ID_SIZE - 1) {
        (void)err_set(err, ERR_BAD_CONTENT, "that is no id of a bundle");
        return false;
    }
    (void)snprintf(bundle_r, TRANSITION_ID_SIZE, "%s", bundle);
    return true;
}

static void end(struct beginning *beginning, const struct err *err)
{
    struct verb_call *call = beginning->call;
    under_way = false;
    if (err == NULL && beginning->back != NULL)
        (void)json_object_set(call->reply, "back", beginning->back);
    json_decref(beginning->back);
    mem_free(beginning);
    verb_answer(call, err);
}

/* Mail flows again. */
static void open_doors(const struct control_options *options)
{
    struct err err = ERR_CLEAR;
    store_fence(options->store, false);
    if (options->instance->state == INSTANCE_ACTIVE && gateway_reopen(options->gateway, &err) == -1)
        log_warning(LOG_RELOCATE, err_log_number(err.id), "the doors stay closed: %s", err.text);
}

/* Which of the letters that were in hand when the doors closed are where they were. */
static int list_back(struct db *db, struct beginning *beginning, struct err *err)
{
    size_t count = 0;
    const struct gateway_held *held = gateway_was_in_hand(beginning->call->options->gateway, &count);
    json_decref(beginning->back);
    beginning->back = json_array();
    for (size_t i = 0; i < count; i++) {
        struct db_rows rows;
        char id[ULID_LENGTH + 1] = "";
        int found = db_query(db, &rows, err, "SELECT id FROM item WHERE key = ?1 AND queue = ?2 AND state = 0", "ii",
                             held[i].key, (int64_t)held[i].queue);
        if (found == 0)
            found = db_next(&rows, err);
        if (found == 1)
            db_text(&rows, 0, id, sizeof id);
        db_end(&rows);
        if (found == -1)
            return -1;
        if (found == 1)
            (void)json_array_append_new(beginning->back,
                                        json_pack("{s:s, s:s}", "id", id, "queue", queue_name(held[i].queue)));
    }
    return 0;
}

static int begin_work(struct db *db, void *arg, struct err *err)
{
    struct beginning *beginning = arg;
    if (beginning->undo ? transition_undo(db, beginning->bundle, beginning->call->who, err) == -1
                        : transition_begin(db, beginning->bundle, beginning->call->who, err) == -1 ||
                              list_back(db, beginning, err) == -1)
        return -1;
    return instance_read(db, &beginning->instance, err);
}

static void begin_done(void *arg, const struct err *err)
{
    struct beginning *beginning = arg;
    if (err == NULL) {
        log_info(LOG_RELOCATE, 520, "this instance is being exported into bundle %s by %s; the doors are closed",
                 beginning->bundle, beginning->call->who);
        *beginning->call->options->instance = beginning->instance;
        gateway_deactivate(beginning->call->options->gateway);
    } else {
        open_doors(beginning->call->options);
    }
    end(beginning, err);
}

static void drained(void *arg)
{
    struct beginning *beginning = arg;
    const struct control_options *options = beginning->call->options;
    struct err err = ERR_CLEAR;
    if (!gateway_at_rest(options->gateway) && !gateway_may_let_go(options->gateway)) {
        (void)err_set(&err, ERR_BUSY,
                      "what was delivered cannot be written down yet, and without that it would be sent twice; the "
                      "doors open again: look at \"ovvm status\", then export again");
        open_doors(options);
        end(beginning, &err);
        return;
    }
    /* what is in hand still is let go: the ledger takes nothing of it behind the job that closes this instance */
    beginning->job =
        (struct store_job){ .work = begin_work, .done = begin_done, .arg = beginning, .beyond_fence = true };
    store_fence(options->store, true);
    store_write(options->store, &beginning->job);
}

static void undo_done(void *arg, const struct err *err)
{
    struct beginning *beginning = arg;
    if (err == NULL) {
        *beginning->call->options->instance = beginning->instance;
        log_info(LOG_RELOCATE, 522, "the export into bundle %s failed; this instance goes on", beginning->bundle);
        open_doors(beginning->call->options);
    }
    end(beginning, err);
}

/* The export failed before the bundle had its name. */
void verb_relocate_undo(struct verb_call *call)
{
    struct err err = ERR_CLEAR;
    struct beginning *beginning = mem_zero(sizeof *beginning);
    if (beginning == NULL) {
        (void)err_set(&err, ERR_NO_MEMORY, "out of memory");
    } else if (!take_bundle(call, beginning->bundle, &err)) {
        mem_free(beginning);
        beginning = NULL;
    } else if (under_way) {
        (void)err_set(&err, ERR_BUSY, "another export is under way");
    } else if (!gateway_can_reopen(call->options->gateway)) {
        (void)err_set(&err, ERR_REFUSED,
                      "the doors were closed already when ovvmd started: stop it, then \"ovvm relocate "
                      "cancel %s\", or export again",
                      beginning->bundle);
    }
    if (err.id != ERR_NONE) {
        mem_free(beginning);
        verb_answer(call, &err);
        return;
    }
    under_way = true;
    beginning->call = call;
    beginning->undo = true;
    beginning->job =
        (struct store_job){ .work = begin_work, .done = undo_done, .arg = beginning, .beyond_fence = true };
    store_write(call->options->store, &beginning->job);
}

void verb_relocate_begin(struct verb_call *call)
{
    const json_t *drain = json_object_get(call->request, "drain");
    json_int_t drain_s = json_is_integer(drain) ? json_integer_value(drain) : DRAIN_DEFAULT_S;
    enum instance_state state = call->options->instance->state;
    struct err err = ERR_CLEAR;
    char bundle[TRANSITION_ID_SIZE];
    struct beginning *beginning = NULL;
    if (!take_bundle(call, bundle, &err)) {
        verb_answer(call, &err);
        return;
    }
    if (drain_s < 0 || drain_s > DRAIN_MAX_S)
        (void)err_set(&err, ERR_BAD_CONTENT, "--drain is a number of seconds up to %d", DRAIN_MAX_S);
    else if (under_way)
        (void)err_set(&err, ERR_BUSY, "another export is waiting for the doors to close");
    else if (state != INSTANCE_ACTIVE && state != INSTANCE_EXPORTING)
        (void)err_set(&err, ERR_REFUSED, "this instance is %s: only an active one can be moved",
                      instance_state_name(state));
    else if ((beginning = mem_zero(sizeof *beginning)) == NULL)
        (void)err_set(&err, ERR_NO_MEMORY, "out of memory");
    if (err.id != ERR_NONE) {
        verb_answer(call, &err);
        return;
    }
    beginning->call = call;
    memcpy(beginning->bundle, bundle, sizeof bundle);
    under_way = true;
    gateway_drain(call->options->gateway, drain_s * CLOCK_SECOND, drained, beginning);
}

int verb_relocate_moved(struct db *db, const struct verb_call *call, struct err *err)
{
    char bundle[TRANSITION_ID_SIZE];
    return take_bundle(call, bundle, err) ? transition_moved(db, bundle, call->who, err) : -1;
}

void verb_relocate_moved_done(struct verb_call *call)
{
    call->options->instance->state = INSTANCE_MOVED;
    log_info(LOG_RELOCATE, 521, "this instance moved into bundle %s; it takes and sends no mail any more",
             call->options->instance->bundle);
}
