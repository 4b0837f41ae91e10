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

int address_describe(struct db *db, const struct person *person, json_t *reply, struct err *err)
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
    return who->owner.person.key != 0 ? address_describe(db, &who->owner.person, reply, err) : 0;
}

/* --- people --- */

/* A page of the people file's people and one of the directory's. */
struct listed {
    struct person *people;
    size_t count, room;
};

static bool keep_person(void *arg, const struct person *person)
{
    struct listed *listed = arg;
    listed->people[listed->count++] = *person;
    return listed->count < listed->room;
}

/* The number of the person to go on after. */
static int64_t after_person(const json_t *request)
{
    const char *after = json_string_value(json_object_get(request, "after"));
    return after != NULL ? (int64_t)strtoll(after, NULL, 10) : 0;
}

static int by_key(const void *a, const void *b)
{
    int64_t first = ((const struct person *)a)->key;
    int64_t second = ((const struct person *)b)->key;
    return (first > second) - (first < second);
}

static int people_list(struct db *db, const struct verb_call *call, struct err *err)
{
    static const enum person_source sources[] = { PERSON_LISTED, PERSON_DIRECTORY };
    const json_t *request = call->request;
    json_t *reply = call->reply;
    struct listed listed = { .people = mem_zero(2 * LIST_LIMIT * sizeof listed.people[0]) };
    json_t *list = json_array();
    put(reply, "people", list);
    put(reply, "limit", json_integer(LIST_LIMIT));
    int result = listed.people != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && result == 0; i++) {
        listed.room = listed.count + LIST_LIMIT;
        result = person_list(db, sources[i], after_person(request), LIST_LIMIT, keep_person, &listed, err);
    }
    if (listed.count > 0)
        qsort(listed.people, listed.count, sizeof listed.people[0], by_key);
    for (size_t i = 0; i < listed.count && i < LIST_LIMIT && result == 0; i++) {
        json_t *one = json_object();
        result = address_describe(db, &listed.people[i], one, err);
        (void)json_array_append_new(list, one);
    }
    mem_free(listed.people);
    return result;
}

static json_t *changes_json(const struct people_changes *changes)
{
    static const char *const kinds[] = { "new", "changed", "gone", "passed over" }; /* enum people_change_kind */
    json_t *list = json_array();
    for (size_t i = 0; i < changes->shown_count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:o}", "kind", kinds[changes->shown[i].kind], "text",
                                                    verb_text(span_text(changes->shown[i].text))));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "before", (json_int_t)changes->before, "added",
                     (json_int_t)changes->added, "changed", (json_int_t)changes->changed, "removed",
                     (json_int_t)changes->removed, "passed_over", (json_int_t)changes->forgiven, "list", list);
}

static void directory_loaded(void *arg, const struct people_changes *changes, const struct err *err)
{
    struct verb_call *call = arg;
    if (people_directory_status(call->options->directory).configured)
        put(call->reply, "directory", changes_json(changes));
    verb_answer(call, err);
}

static void start_people_load(struct verb_call *call)
{
    people_directory_load(call->options->directory,
                          &(struct tables_reload){ .confirmed = json_is_true(json_object_get(call->request, "confirm")),
                                                   .done = directory_loaded,
                                                   .arg = call });
}

/* The people file was looked at; now the directory. */
static void file_checked(void *arg, const struct people_changes *changes, const struct err *err)
{
    struct verb_call *call = arg;
    put(call->reply, "people", changes_json(changes));
    if (err != NULL) {
        verb_answer(call, err);
        return;
    }
    people_directory_load(call->options->directory,
                          &(struct tables_reload){ .only_look = true, .done = directory_loaded, .arg = call });
}

static void start_people_check(struct verb_call *call)
{
    tables_reload(call->options->tables,
                  &(struct tables_reload){ .only_look = true, .done = file_checked, .arg = call });
}

/* --- tables --- */

static void reloaded(void *arg, const struct people_changes *changes, const struct err *err)
{
    struct verb_call *call = arg;
    put(call->reply, "people", changes_json(changes));
    if (err == NULL)
        people_directory_load(call->options->directory, &(struct tables_reload){ .done = NULL });
    verb_answer(call, err);
}

static void start_tables_reload(struct verb_call *call)
{
    tables_reload(call->options->tables,
                  &(struct tables_reload){ .confirmed = json_is_true(json_object_get(call->request, "confirm")),
                                           .done = reloaded,
                                           .arg = call });
}

/* NULL: there is no such file. */
static json_t *filemap_json(const struct filemap *map, bool there)
{
    if (!there)
        return json_null();
    json_t *lines = json_array();
    for (size_t i = 0; i < map->count; i++)
        (void)json_array_append_new(
            lines, json_pack("{s:s, s:b}", "filetype", map->lines[i].key, "text", map->lines[i].text ? 1 : 0));
    return lines;
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
        (void)json_array_append_new(nodes, json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:i, s:b, s:i}", "node",
                                                     node->node.text, "mailman", node->mailman.text, "location",
                                                     node->location, "local", node->local ? 1 : 0, "host_kind",
                                                     node->local ? "" : host_system_name(node->system), "code_page",
                                                     node->code_page, "max_lrecl", (int)node->max_lrecl, "users_listed",
                                                     node->users_listed ? 1 : 0, "line", (int)node->line));
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
    if (set->access.listed)
        put(reply, "access", json_integer((json_int_t)set->access.count));
    put(reply, "cmsxmap", filemap_json(&set->cmsxmap, set->has_cmsxmap));
    put(reply, "dosxmap", filemap_json(&set->dosxmap, set->has_dosxmap));
    put(reply, "people", json_integer((json_int_t)set->people));
    put(reply, "host_users", json_integer((json_int_t)set->hostusers.count));
    put(reply, "problem",
        tables_problem(options->tables) != NULL ? json_string(tables_problem(options->tables)) : json_null());
}

static const struct verb verbs[] = {
    { .name = "who", .before = who_before, .ledger = who_ledger },
    { .name = "people list", .ledger = people_list },
    { .name = "people check", .start = start_people_check },
    { .name = "people load", .start = start_people_load },
    { .name = "tables show", .loop = tables_show },
    { .name = "tables reload", .start = start_tables_reload },
};

const struct verb *address_verb_find(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return register_verb_find(name);
}
