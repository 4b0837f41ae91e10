/* Who is who, for operators. `who` goes the way a letter goes: the same border, the same registry; only nobody is
 * registered by being asked about. */
#include "admin/addresses.h"

#include "address/border.h"
#include "address/registry.h"
#include "address/tables.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdarg.h>
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

static void say(json_t *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line for people. */
static void say(json_t *to, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_t *lines = json_object_get(to, "lines");
    if (lines == NULL)
        put(to, "lines", lines = json_array());
    (void)json_array_append_new(lines, verb_text(span_text(text)));
}

/* --- who: what the border says --- */

/* [PROFS:NODE(USER)], the older [PROFS:gateway/node/user] (AD-02, AD-03), or NODE(USER). 1: a host address; 0: none. */
static int parse_host(struct span text, struct host_address *host_r)
{
    static const char profs[] = "[PROFS:";
    text = span_trim(text);
    if (text.size > sizeof profs && text.at[text.size - 1] == ']' &&
        span_equal_nocase(span_slice(text, 0, sizeof profs - 1), SPAN_LITERAL(profs)))
        text = span_slice(text, sizeof profs - 1, text.size - sizeof profs);
    struct reader reader = reader_of(text);
    (void)reader_until(&reader, '/'); /* the gateway */
    struct span node = reader_until(&reader, '/');
    if (node.size > 0 && reader.rest.size > 0)
        return name8_parse(span_trim(node), "node", &host_r->node, NULL) == 0 &&
               name8_parse(span_trim(reader.rest), "user", &host_r->user, NULL) == 0;
    return host_address_parse(text, host_r, NULL) == 0;
}

static void describe_route(const struct border *border, struct host_address host, json_t *request)
{
    struct buf mail = { 0 };
    struct err why = ERR_CLEAR;
    const struct route *route = routes_find(&(*border->tables)->routes, host);
    const struct ovdnode *node = border_node(border, host.node);
    border_to_mail(border, host, &mail);
    put(request, "host", host_text(host));
    put(request, "mail", verb_text(buf_span(&mail)));
    say(request, "%s is a host user, on the Internet side %.*s", host_address_text(host).text, (int)mail.size,
        (const char *)mail.at);
    if (route == NULL)
        say(request, "no link leads to the node %s", host.node.text);
    else if (route->line == 0)
        say(request, "reached through link %s ([link %s] nodes)", route->link->node.text, route->link->node.text);
    else
        say(request, "reached through link %s (Route.tbl line %u)", route->link->node.text, route->line);
    if (node != NULL)
        say(request, "Ovdfile.dat line %u: host-kind %s%s%s%s", node->line, host_system_name(node->system),
            name8_empty(node->mailman) ? "" : ", mailman ", node->mailman.text,
            node->users_listed ? ", users=listed" : "");
    else if ((*border->tables)->has_ovdfile)
        say(request, "not in Ovdfile.dat (unlisted-nodes = %s)", border->unlisted_are_cms ? "cms" : "refuse");
    const char *name = hostusers_find(&(*border->tables)->hostusers, host);
    if (name != NULL)
        say(request, "in Hostusers.csv%s%s", name[0] != '\0' ? " as " : "", name);
    if (route != NULL && border_may_send(border, host, route->link->node, &why) == -1)
        say(request, "may not send: %s", why.text);
    buf_free(&mail);
}

static int who_before(struct verb_call *call, struct err *err)
{
    const struct control_options *options = call->options;
    json_t *request = call->request;
    struct border border = border_of(options->conf, tables_current(options->tables));
    struct span address = text_of(request, "address");
    struct host_address host = { .node = { .text = "" } };
    struct mailkey key;
    struct err why = ERR_CLEAR;
    bool is_host = parse_host(address, &host) == 1;
    if (!is_host && mailkey_of(address, &key, err) == -1)
        return -1;
    if (!is_host && border_from_mail(&border, address, &host, &why) == 0) {
        put(request, "world", json_string("mail"));
        describe_route(&border, host, request);
        return 0;
    }
    put(request, "world", json_string(is_host ? "host" : "mail"));
    if (is_host && !border_is_ours(&border, host.node)) {
        describe_route(&border, host, request);
    } else if (is_host || (!name8_empty(host.node) && border_is_ours(&border, host.node))) {
        put(request, "ask_host", host_text(host));
        if (!is_host)
            say(request, "mail to it is refused here: %s", why.text);
    } else if (why.id == ERR_RELAY_DENIED) {
        put(request, "ask_key", json_string(key.text));
        put(request, "registers", json_boolean(registry_policy(options->registry)->on));
    } else {
        say(request, "mail to it is refused here: %s", why.text);
    }
    return 0;
}

/* --- who: what the registry says --- */

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

static int who_ledger(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    static const char *const copied[] = { "address", "world", "host", "mail", "lines" };
    struct host_address host;
    struct registry_owner owner = { .postmaster = false };
    struct person person;
    struct err why = ERR_CLEAR;
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        if (json_object_get(request, copied[i]) != NULL)
            put(reply, copied[i], json_deep_copy(json_object_get(request, copied[i])));
    const char *key = json_string_value(json_object_get(request, "ask_key"));
    if (host_address_parse(text_of(request, "ask_host"), &host, NULL) == 0) {
        put(reply, "host", host_text(host));
        if (registry_resolve_in(db, host, &owner, &why) == -1 && err_family(why.id) != ERR_FAMILY_PERMANENT) {
            *err = why;
            return -1;
        }
        if (why.id != ERR_NONE)
            say(reply, "mail to it is refused: %s", why.text);
        if (owner.postmaster)
            say(reply, "the postmaster of this connector, who also sends its reports");
        return owner.person.key != 0 ? address_describe(db, &owner.person, reply, err) : 0;
    }
    if (key == NULL)
        return 0;
    int found = person_find(db, key, &person, err);
    if (found == 1)
        return address_describe(db, &person, reply, err);
    if (found == 0)
        say(reply, "%s has no host address; %s", key,
            json_is_true(json_object_get(request, "registers")) ? "the first letter to a host user makes one"
                                                                : "registration is off");
    return found;
}

/* --- register --- */

static bool add_row(void *arg, const struct person_host *host, const char *address, const char *name)
{
    json_t *list = arg;
    struct host_address pair = { .node = host->node, .user = host->user };
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "host", host_address_text(pair).text,
                                                "kind", host_kind_name(host->kind), "main", host->main ? 1 : 0, "mail",
                                                verb_text(span_text(address)), "name", verb_text(span_text(name)),
                                                "made", verb_time(host->made_us)));
    return true;
}

static int register_list(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    struct host_address after = { .node = { .text = "" } };
    struct span text = text_of(request, "after");
    json_t *list = json_array();
    put(reply, "registrations", list);
    put(reply, "limit", json_integer(LIST_LIMIT));
    if (text.size > 0 && host_address_parse(text, &after, err) == -1)
        return -1;
    return person_host_list(db, after.node, after.user, LIST_LIMIT, add_row, list, err);
}

/* What the ledger's thread needs of the configuration. */
static int register_before(struct verb_call *call, struct err *err)
{
    json_t *request = call->request;
    const struct control_options *options = call->options;
    const struct registry_policy *policy = registry_policy(options->registry);
    struct border border = border_of(options->conf, tables_current(options->tables));
    struct host_address host;
    struct span wanted = text_of(request, "host");
    if (wanted.size > 0 && host_address_parse(wanted, &host, err) == -1)
        return -1;
    if (wanted.size > 0 && !border_is_ours(&border, host.node))
        return err_set(err, ERR_REFUSED, "%s is not at a node of this connector; write %s(%s)",
                       host_address_text(host).text, policy->node.text, host.user.text);
    char prefix[2] = { policy->prefix, '\0' };
    put(request, "node", json_string(policy->node.text));
    put(request, "prefix", json_string(prefix));
    put(request, "by_name", json_boolean(policy->by_name));
    return 0;
}

static int register_add(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    struct mailkey key;
    struct registry_answer answer;
    struct registry_policy policy = { .on = true, .by_name = json_is_true(json_object_get(request, "by_name")) };
    struct host_address host = { .node = { .text = "" } };
    struct span wanted = text_of(request, "host");
    const char *name = json_string_value(json_object_get(request, "name"));
    span_to_text(text_of(request, "node"), policy.node.text, sizeof policy.node.text);
    const char *prefix = json_string_value(json_object_get(request, "prefix"));
    policy.prefix = prefix != NULL ? prefix[0] : 'X';
    if (mailkey_of(text_of(request, "address"), &key, err) == -1)
        return -1;
    if (wanted.size > 0 && host_address_parse(wanted, &host, err) == -1)
        return -1;
    if (registry_enter(db, &policy, &key, name != NULL ? name : "", host, clock_now(), &answer, err) == -1)
        return -1;
    put(reply, "mail", json_string(key.text));
    put(reply, "host", host_text(answer.host));
    put(reply, "kind", json_string(host_kind_name(answer.kind)));
    put(reply, "kind_number", json_integer(answer.kind));
    put(reply, "person", json_integer(answer.person));
    put(reply, "at_us", json_integer(answer.used_us));
    return 0;
}

static void register_added(struct verb_call *call)
{
    const struct control_options *options = call->options;
    json_t *reply = call->reply;
    struct mailkey key;
    struct registry_answer answer = {
        .kind = (enum host_kind)json_integer_value(json_object_get(reply, "kind_number")),
        .person = json_integer_value(json_object_get(reply, "person")),
        .used_us = json_integer_value(json_object_get(reply, "at_us")),
    };
    struct span mail = text_of(reply, "mail");
    if (mail.size < sizeof key.text && host_address_parse(text_of(reply, "host"), &answer.host, NULL) == 0) {
        memset(&key, 0, sizeof key);
        memcpy(key.text, mail.at, mail.size);
        registry_log(&answer, &key, "operator");
    }
    (void)json_object_del(reply, "kind_number");
    (void)json_object_del(reply, "at_us");
    registry_forget(options->registry);
}

static int register_remove(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    struct host_address host;
    if (host_address_parse(text_of(request, "host"), &host, err) == -1 ||
        registry_retire(db, host, clock_now(), err) == -1)
        return -1;
    put(reply, "host", host_text(host));
    return 0;
}

static void register_removed(struct verb_call *call)
{
    const struct control_options *options = call->options;
    json_t *reply = call->reply;
    log_info(LOG_ADDRESS, 32494, "retired host=%s source=operator", json_string_value(json_object_get(reply, "host")));
    registry_forget(options->registry);
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
    put(reply, "people", json_integer((json_int_t)set->people));
    put(reply, "host_users", json_integer((json_int_t)set->hostusers.count));
    put(reply, "problem",
        tables_problem(options->tables) != NULL ? json_string(tables_problem(options->tables)) : json_null());
}

static const struct verb verbs[] = {
    { .name = "who", .before = who_before, .ledger = who_ledger },
    { .name = "register list", .ledger = register_list },
    { .name = "register add",
      .before = register_before,
      .ledger = register_add,
      .loop = register_added,
      .writes = true,
      .active = true },
    { .name = "register remove", .ledger = register_remove, .loop = register_removed, .writes = true, .active = true },
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
    return NULL;
}
