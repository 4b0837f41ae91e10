/* Addresses by rule, for operators: what the rules make of whom, and the run that catches up on those who have none
 * (PX-06, PX-07, PX-10). Generating is a reload of the tables, so that it and the daemon never work from two people
 * files. */
#include "admin/proxies.h"

#include "address/registry.h"
#include "address/tables.h"
#include "address/userid.h"
#include "admin/addresses.h"
#include "base/mem.h"

#include <stdlib.h>

enum { LIST_LIMIT = 1000 };

static void put(json_t *to, const char *key, json_t *value)
{
    (void)json_object_set_new(to, key, value);
}

/* --- list --- */

struct listed {
    struct person people[LIST_LIMIT];
    size_t count;
};

static bool keep_person(void *arg, const struct person *person)
{
    struct listed *listed = arg;
    listed->people[listed->count++] = *person;
    return listed->count < LIST_LIMIT;
}

/* "given", "rule", "former rule", "number", "none": where the shown address comes from. */
static const char *origin_of(const struct person_host *shown, struct span stem, char prefix)
{
    if (shown->person == 0)
        return "none";
    if (shown->kind == HOST_BY_OPERATOR)
        return "given";
    if (shown->kind == HOST_BY_RULE)
        return userid_fits(stem, shown->user, prefix) ? "rule" : "former rule";
    return "number";
}

static int list_one(struct db *db, const struct verb_call *call, const struct person *person, json_t *list,
                    struct err *err)
{
    const struct registry_policy *policy = registry_policy(call->options->registry);
    struct person_host shown;
    struct mailkey key;
    struct buf made = { 0 };
    int found = person_main(db, person->key, &shown, err);
    if (found == -1)
        return -1;
    struct rule rule = rules_of(tables_rules(call->options->tables), found == 1 ? shown.node : policy->node);
    (void)snprintf(key.text, sizeof key.text, "%s", person->address);
    rule_apply(&rule, mailkey_local(&key), span_text(person->name), &made);
    struct span stem = userid_stem(buf_span(&made));
    struct host_address would = { .node = rule.node };
    if (stem.size > 0)
        would.user = userid_nth(stem, 1, policy->prefix);
    json_t *one = json_object();
    int result = made.failed ? err_set(err, ERR_NO_MEMORY, "out of memory") : address_describe(db, person, one, err);
    put(one, "origin", json_string(origin_of(&shown, stem, policy->prefix)));
    put(one, "rule_makes", json_string(stem.size > 0 ? host_address_text(would).text : ""));
    (void)json_array_append_new(list, one);
    buf_free(&made);
    return result;
}

static int list_ledger(struct db *db, const struct verb_call *call, struct err *err)
{
    const char *after = json_string_value(json_object_get(call->request, "after"));
    struct listed *listed = mem_zero(sizeof *listed);
    json_t *list = json_array();
    put(call->reply, "people", list);
    put(call->reply, "limit", json_integer(LIST_LIMIT));
    if (listed == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    int result = person_list(db, PERSON_LISTED, after != NULL ? (int64_t)strtoll(after, NULL, 10) : 0, LIST_LIMIT,
                             keep_person, listed, err);
    for (size_t i = 0; i < listed->count && result == 0; i++)
        result = list_one(db, call, &listed->people[i], list, err);
    mem_free(listed);
    return result;
}

/* --- generate --- */

static void generated_one(void *arg, const char *address, const struct registry_answer *answer)
{
    struct verb_call *call = arg;
    json_t *list = json_object_get(call->reply, "generated");
    json_int_t count = json_integer_value(json_object_get(call->reply, "count"));
    put(call->reply, "count", json_integer(count + 1));
    if (count < LIST_LIMIT)
        (void)json_array_append_new(list, json_pack("{s:o, s:s, s:s}", "mail", verb_text(span_text(address)), "host",
                                                    host_address_text(answer->host).text, "kind",
                                                    host_kind_name(answer->kind)));
}

static void generated(void *arg, const struct people_changes *changes, const struct err *err)
{
    struct verb_call *call = arg;
    (void)changes; /* the addresses say it */
    verb_answer(call, err);
}

static void start_generate(struct verb_call *call)
{
    struct tables_reload how = { .only_look = json_is_true(json_object_get(call->request, "dry_run")),
                                 .generate = true,
                                 .renew = json_is_true(json_object_get(call->request, "renew")),
                                 .each = generated_one,
                                 .done = generated,
                                 .arg = call };
    put(call->reply, "generated", json_array());
    put(call->reply, "count", json_integer(0));
    put(call->reply, "dry_run", json_boolean(how.only_look));
    put(call->reply, "limit", json_integer(LIST_LIMIT));
    tables_reload(call->options->tables, &how);
}

static const struct verb verbs[] = {
    { .name = "proxy list", .ledger = list_ledger },
    { .name = "proxy generate", .start = start_generate },
};

const struct verb *proxy_verb_find(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}
