/* Who is who, for operators. `who` goes the way a letter goes: the same border, the same registry; only nobody is
 * registered by being asked about. */
#include "admin/addresses.h"

#include "address/border.h"
#include "address/registry.h"
#include "address/tables.h"
#include "address/who.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIST_LIMIT = 1000 };

static struct span text_of(const json_t *request, const char *key)
{
    const json_t *text = json_object_get(request, key);
    return json_is_string(text) ? span_of(json_string_value(text), json_string_length(text)) : SPAN_EMPTY;
}

static json_t *host_text(struct host_address host)
{
    return json_string(host_address_text(host).text);
}

static void put(json_t *to, const char *key, json_t *value)
{
    (void)json_object_set_new(to, key, value);
}

/* --- who --- */

static bool add_host(void *arg, const struct person_host *host)
{
    json_t *list = arg;
    struct host_address address = { .node = host->node, .user = host->user };
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "host", host_address_text(address).text, "kind",
                                                host_kind_name(host->kind), "main", host->main ? 1 : 0, "made",
                                                verb_time(host->made_us)));
    return true;
}

static int describe_person(struct db *db, const struct person *person, json_t *reply, struct err *err)
{
    json_t *hosts = json_array();
    put(reply, "person", json_integer(person->key));
    put(reply, "mail", verb_text(span_text(person->address)));
    put(reply, "name", verb_text(span_text(person->name)));
    put(reply, "source", json_string(person_source_name(person->source)));
    put(reply, "used", verb_time(person->used_us));
    put(reply, "hosts", hosts);
    return person_hosts(db, person->key, add_host, hosts, err);
}

static int who_before(struct verb_call *call, struct err *err)
{
    const struct control_options *options = call->options;
    struct border border = border_of(options->conf, tables_current(options->tables));
    struct who *who = mem_zero(sizeof *who);
    if (who == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    if (who_begin(&border, registry_policy(options->registry), text_of(call->request, "address"), who, err) == -1) {
        mem_free(who);
        return -1;
    }
    call->scratch = who;
    return 0;
}

static int who_ledger(struct db *db, const struct verb_call *call, struct err *err)
{
    json_t *reply = call->reply;
    struct who *who = call->scratch;
    if (who_finish(db, who, err) == -1)
        return -1;
    json_t *lines = json_array();
    for (size_t i = 0; i < who->line_count; i++)
        (void)json_array_append_new(lines, verb_text(span_text(who->lines[i])));
    put(reply, "address", json_deep_copy(json_object_get(call->request, "address")));
    put(reply, "world", json_string(who->is_host ? "host" : "mail"));
    put(reply, "lines", lines);
    if (!name8_empty(who->host.user))
        put(reply, "host", host_text(who->host));
    if (who->mail[0] != '\0')
        put(reply, "mail", verb_text(span_text(who->mail)));
    return who->owner.person.key != 0 ? describe_person(db, &who->owner.person, reply, err) : 0;
}

/* --- people --- */

struct listed {
    struct person *people;
    size_t count;
};

static bool keep_person(void *arg, const struct person *person)
{
    struct listed *listed = arg;
    listed->people[listed->count++] = *person;
    return listed->count < LIST_LIMIT;
}

/* The number of the person to go on after. */
static int64_t after_person(const json_t *request)
{
    const char *after = json_string_value(json_object_get(request, "after"));
    return after != NULL ? (int64_t)strtoll(after, NULL, 10) : 0;
}

static int people_list(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    struct listed listed = { .people = mem_zero(LIST_LIMIT * sizeof listed.people[0]) };
    json_t *list = json_array();
    put(reply, "people", list);
    put(reply, "limit", json_integer(LIST_LIMIT));
    int result = listed.people != NULL
                     ? person_list(db, PERSON_LISTED, after_person(request), LIST_LIMIT, keep_person, &listed, err)
                     : err_set(err, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < listed.count && result == 0; i++) {
        json_t *one = json_object();
        result = describe_person(db, &listed.people[i], one, err);
        (void)json_array_append_new(list, one);
    }
    mem_free(listed.people);
    return result;
}

/* --- tables --- */

static void reloaded(void *arg, const struct people_changes *changes, const struct err *err)
{
    struct verb_call *call = arg;
    put(call->reply, "people",
        json_pack("{s:I, s:I, s:I, s:I}", "before", (json_int_t)changes->before, "added", (json_int_t)changes->added,
                  "changed", (json_int_t)changes->changed, "removed", (json_int_t)changes->removed));
    verb_answer(call, err);
}

static void reload(struct verb_call *call, bool only_look)
{
    struct tables_reload how = { .confirmed = json_is_true(json_object_get(call->request, "confirm")),
                                 .only_look = only_look,
                                 .done = reloaded,
                                 .arg = call };
    tables_reload(call->options->tables, &how);
}

static void start_tables_reload(struct verb_call *call)
{
    reload(call, false);
}

static void start_people_check(struct verb_call *call)
{
    reload(call, true);
}

static void tables_show(struct verb_call *call)
{
    const struct control_options *options = call->options;
    json_t *reply = call->reply;
    const struct table_set *set = *tables_current(options->tables);
    json_t *nodes = json_array();
    json_t *routes = json_array();
    for (size_t i = 0; i < set->ovdfile.count; i++) {
        const struct ovdnode *node = &set->ovdfile.nodes[i];
        (void)json_array_append_new(
            nodes, json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:i, s:i}", "node", node->node.text, "mailman",
                             node->mailman.text, "location", node->location, "local", node->local ? 1 : 0, "host_kind",
                             node->local ? "" : host_system_name(node->system), "code_page", node->code_page,
                             "max_lrecl", (int)node->max_lrecl, "line", (int)node->line));
    }
    for (size_t i = 0; i < set->routes.count; i++) {
        const struct route *route = &set->routes.at[i];
        char pattern[ROUTE_PATTERN_SIZE];
        route_pattern(route, pattern);
        (void)json_array_append_new(routes, json_pack("{s:s, s:s, s:i, s:i}", "pattern", pattern, "link",
                                                      route->link->node.text, "cost", (int)route->cost, "line",
                                                      (int)route->line));
    }
    put(reply, "read", verb_time(set->read_us));
    put(reply, "ovdfile", json_boolean(set->has_ovdfile));
    put(reply, "nodes", nodes);
    put(reply, "routes", routes);
    put(reply, "people", json_integer((json_int_t)set->people));
    put(reply, "problem",
        tables_problem(options->tables) != NULL ? json_string(tables_problem(options->tables)) : json_null());
}

static const struct verb verbs[] = {
    { .name = "who", .before = who_before, .ledger = who_ledger }, { .name = "people list", .ledger = people_list },
    { .name = "people check", .start = start_people_check },       { .name = "tables show", .loop = tables_show },
    { .name = "tables reload", .start = start_tables_reload },
};

const struct verb *address_verb_find(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return register_verb_find(name);
}
