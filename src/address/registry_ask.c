/* The registry as the gateway asks it from the loop: with a memory of who wrote lately, and a line in the log for each
 * new address.
 *
 * Nothing is remembered, logged or answered before its commit, and an answer that was asked for before people or
 * addresses changed by another way is given but not kept.
 */
#include "address/registry_private.h"

#include "address/seen.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct registry {
    struct store *store;
    struct registry_policy policy;
    struct seen *seen;
    unsigned generation; /* of what is remembered: an answer that was asked for before is not kept */
    struct log_once over_limit;
    struct registry_figures figures;
};

struct registry *registry_new(struct store *store, struct registry_policy policy)
{
    struct registry *registry = mem_zero(sizeof *registry);
    if (registry == NULL)
        return NULL;
    registry->store = store;
    registry->policy = policy;
    registry->seen = seen_new(REGISTRY_CACHE_MAX);
    if (registry->seen == NULL) {
        mem_free(registry);
        return NULL;
    }
    return registry;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    seen_free(registry->seen);
    mem_free(registry);
}

const struct registry_policy *registry_policy(const struct registry *registry)
{
    return &registry->policy;
}

static int ask_work(struct db *db, void *arg, struct err *err)
{
    struct registry_request *request = arg;
    return registry_resolve_out(db, &request->registry->policy, &request->sender, &request->answer, err);
}

void registry_log(const struct registry_answer *answer, const struct mailkey *key, const char *source)
{
    struct buf address = { 0 };
    mailkey_write(key, &address);
    log_info(LOG_ADDRESS, 32495, "registered person=%lld host=%s kind=%s at_us=%lld source=%s address=<%.*s>",
             (long long)answer->person, host_address_text(answer->host).text, host_kind_name(answer->kind),
             (long long)answer->used_us, source[0] != '\0' ? source : "-", (int)address.size, (const char *)address.at);
    buf_free(&address);
}

static void remember(struct registry_request *request)
{
    const struct registry_answer *answer = &request->answer;
    struct registry *registry = request->registry;
    struct seen_one one = {
        .host = answer->host, .kind = answer->kind, .person = answer->person, .used_us = answer->used_us
    };
    if (request->generation == registry->generation)
        seen_keep(registry->seen, request->sender.key.text, &one);
}

static void ask_done(void *arg, const struct err *err)
{
    struct registry_request *request = arg;
    struct registry *registry = request->registry;
    if (err != NULL) {
        request->done(request->arg, err);
        return;
    }
    switch (request->answer.how) {
    case REGISTRY_NEW:
        registry->figures.registered++;
        registry_log(&request->answer, &request->sender.key, request->sender.peer);
        (void)log_once_clear(&registry->over_limit);
        remember(request);
        break;
    case REGISTRY_KNOWN:
        remember(request);
        break;
    case REGISTRY_OVER_LIMIT:
        registry->figures.over_limit++;
        if (log_once_raise(&registry->over_limit))
            log_warning(LOG_ADDRESS, 32496,
                        "%s brought more than %u new senders today (registration-limit); further ones are shown as "
                        "%s, with their address in the text",
                        request->sender.peer, registry->policy.limit, host_address_text(request->answer.host).text);
        break;
    case REGISTRY_NO_SENDER:
    case REGISTRY_OFF:
        break;
    }
    request->done(request->arg, NULL);
}

bool registry_ask(struct registry *registry, struct registry_request *request)
{
    struct seen_one one;
    registry->figures.asked++;
    if (request->sender.key.text[0] == '\0') {
        (void)registry_fall_back(&registry->policy, REGISTRY_NO_SENDER, &request->answer);
        return true;
    }
    if (seen_find(registry->seen, request->sender.key.text, &one) &&
        request->sender.now_us - one.used_us < CLOCK_DAY) { /* once a day the ledger is told that the sender is there */
        request->answer = (struct registry_answer){
            .how = REGISTRY_KNOWN, .host = one.host, .kind = one.kind, .person = one.person, .used_us = one.used_us
        };
        registry->figures.from_memory++;
        return true;
    }
    request->registry = registry;
    request->generation = registry->generation;
    request->job = (struct store_job){ .work = ask_work, .done = ask_done, .arg = request };
    store_write(registry->store, &request->job);
    return false;
}

static int look_up_work(struct db *db, void *arg, struct err *err)
{
    struct registry_lookup *lookup = arg;
    return registry_resolve_in(db, lookup->host, &lookup->owner, err);
}

static void look_up_done(void *arg, const struct err *err)
{
    struct registry_lookup *lookup = arg;
    lookup->done(lookup->arg, err);
}

void registry_look_up(struct registry *registry, struct registry_lookup *lookup)
{
    lookup->job = (struct store_job){ .work = look_up_work, .done = look_up_done, .arg = lookup };
    store_read(registry->store, &lookup->job);
}

void registry_forget(struct registry *registry)
{
    registry->generation++;
    seen_clear(registry->seen);
}

struct registry_figures registry_figures(const struct registry *registry)
{
    return registry->figures;
}
