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
    struct instance instance; /* after the commit */
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
    mem_free(beginning);
    verb_answer(call, err);
}

static int begin_work(struct db *db, void *arg, struct err *err)
{
    struct beginning *beginning = arg;
    return transition_begin(db, beginning->bundle, beginning->call->who, err) == 0
               ? instance_read(db, &beginning->instance, err)
               : -1;
}

static void begin_done(void *arg, const struct err *err)
{
    struct beginning *beginning = arg;
    if (err == NULL) {
        log_info(LOG_RELOCATE, 520, "this instance is being exported into bundle %s by %s; the doors are closed",
                 beginning->bundle, beginning->call->who);
        *beginning->call->options->instance = beginning->instance;
        gateway_deactivate(beginning->call->options->gateway);
    }
    end(beginning, err);
}

static void drained(void *arg)
{
    struct beginning *beginning = arg;
    const struct control_options *options = beginning->call->options;
    struct err err = ERR_CLEAR;
    if (!gateway_at_rest(options->gateway)) {
        (void)err_set(&err, ERR_BUSY,
                      "letters are still in hand and the doors are closed now: stop ovvmd, then export again");
        end(beginning, &err);
        return;
    }
    beginning->job = (struct store_job){ .work = begin_work, .done = begin_done, .arg = beginning };
    store_write(options->store, &beginning->job);
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
