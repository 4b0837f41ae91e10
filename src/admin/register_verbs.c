/* `ovvm register`: giving host addresses, taking them out of use, lists. Each change is in the audit, with the
 * operator's name, in the commit that makes it, and has its line in the log, from which it can be made again. */
#include "admin/addresses.h"

#include "address/border.h"
#include "address/registry.h"
#include "base/clock.h"
#include "base/log.h"
#include "relocate/transition.h"
#include "store/audit.h"

#include <stdio.h>

enum { LIST_LIMIT = 1000, LOOKED_AT_MAX = 200000 /* rows for one page of a filtered list */ };

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

/* --- list --- */

struct listing {
    json_t *list;
    struct span match;
    enum host_kind kind; /* 0: all */
    struct host_address last;
    bool more;
};

static bool contains(struct span whole, struct span part)
{
    for (size_t at = 0; at + part.size <= whole.size; at++)
        if (span_equal_nocase(span_slice(whole, at, part.size), part))
            return true;
    return part.size == 0;
}

static bool add_row(void *arg, const struct person_host *host, const char *address, const char *name)
{
    struct listing *listing = arg;
    struct host_address pair = { .node = host->node, .user = host->user };
    struct host_address_text text = host_address_text(pair);
    listing->more = json_array_size(listing->list) == LIST_LIMIT;
    if (listing->more)
        return false;
    listing->last = pair;
    if ((listing->kind != 0 && host->kind != listing->kind) ||
        (!contains(span_text(text.text), listing->match) && !contains(span_text(address), listing->match) &&
         !contains(span_text(name), listing->match)))
        return true;
    (void)json_array_append_new(listing->list,
                                json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:I}", "host", text.text, "kind",
                                          host_kind_name(host->kind), "main", host->main ? 1 : 0, "mail",
                                          verb_text(span_text(address)), "name", verb_text(span_text(name)), "made",
                                          verb_time(host->made_us), "made_us", (json_int_t)host->made_us));
    return true;
}

static int register_list(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    struct listing listing = { .list = json_array(), .match = text_of(request, "match") };
    struct host_address after = { .node = { .text = "" } };
    struct span text = text_of(request, "after");
    struct span kind = text_of(request, "kind");
    put(reply, "registrations", listing.list);
    put(reply, "limit", json_integer(LIST_LIMIT));
    if (text.size > 0 && host_address_parse(text, &after, err) == -1)
        return -1;
    if (kind.size > 0 && (listing.kind = host_kind_find(kind)) == 0)
        return err_set(err, ERR_BAD_CONTENT,
                       "there is no such kind; the kinds are rule, number, name, operator, reserved and retired");
    if (person_host_list(db, after.node, after.user, LOOKED_AT_MAX, add_row, &listing, err) == -1)
        return -1;
    put(reply, "more", json_boolean(listing.more));
    if (listing.more)
        put(reply, "next", host_text(listing.last));
    return 0;
}

/* --- changes --- */

/* What the ledger's thread needs of the configuration. */
static int register_before(struct verb_call *call, struct err *err)
{
    json_t *request = call->request;
    const struct registry_policy *policy = registry_policy(call->options->registry);
    struct border border = border_of(call->options->conf, tables_current(call->options->tables));
    struct host_address host;
    bool wants = host_address_parse_any(text_of(request, "host"), &host, NULL) == 0;
    if (wants && !border_is_ours(&border, host.node))
        return err_set(err, ERR_REFUSED, "%s is not at a node of this connector; write %s(%s)",
                       host_address_text(host).text, policy->node.text, host.user.text);
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(request, "rows"), index, row)
    {
        bool foreign =
            host_address_parse_any(text_of(row, "host"), &host, NULL) == 0 && !border_is_ours(&border, host.node);
        if (foreign)
            put(row, "foreign", json_true());
    }
    char prefix[2] = { policy->prefix, '\0' };
    put(request, "node", json_string(policy->node.text));
    put(request, "prefix", json_string(prefix));
    put(request, "by_name", json_boolean(policy->by_name));
    put(request, "own", json_pack("[s, s, s]", policy->own[0].text, policy->own[1].text, policy->own[2].text));
    return 0;
}

static void take_policy(const json_t *request, struct registry_policy *policy_r)
{
    const char *prefix = json_string_value(json_object_get(request, "prefix"));
    *policy_r = (struct registry_policy){ .on = true, .by_name = json_is_true(json_object_get(request, "by_name")) };
    policy_r->prefix = prefix != NULL ? prefix[0] : 'X';
    span_to_text(text_of(request, "node"), policy_r->node.text, sizeof policy_r->node.text);
    for (size_t i = 0; i < sizeof policy_r->own / sizeof policy_r->own[0]; i++) {
        const char *own = json_string_value(json_array_get(json_object_get(request, "own"), i));
        (void)snprintf(policy_r->own[i].text, sizeof policy_r->own[i].text, "%s", own != NULL ? own : "");
    }
}

static int add_audit(struct db *db, const struct verb_call *call, const char *what, struct host_address host,
                     const char *address, struct err *err)
{
    struct buf detail = { 0 };
    buf_printf(&detail, "%s %s", host_address_text(host).text, address);
    int result = detail.failed ? err_set(err, ERR_NO_MEMORY, "out of memory")
                               : audit_add(db, clock_now(), call->who, what, buf_span(&detail), err);
    buf_free(&detail);
    return result;
}

static int register_add(struct db *db, const struct verb_call *call, struct err *err)
{
    const json_t *request = call->request;
    json_t *reply = call->reply;
    struct mailkey key;
    struct registry_answer answer;
    struct registry_policy policy;
    struct host_address host = { .node = { .text = "" } };
    struct span wanted = text_of(request, "host");
    const char *name = json_string_value(json_object_get(request, "name"));
    take_policy(request, &policy);
    if (mailkey_of(text_of(request, "address"), &key, err) == -1)
        return -1;
    if (wanted.size > 0 && host_address_parse_any(wanted, &host, err) == -1)
        return -1;
    if (registry_enter(db, &policy, &key, name != NULL ? name : "", host, clock_now(), &answer, err) == -1 ||
        add_audit(db, call, "register add", answer.host, key.text, err) == -1)
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
    if (host_address_parse_any(text_of(request, "host"), &host, err) == -1 ||
        registry_retire(db, host, clock_now(), err) == -1 ||
        add_audit(db, call, "register remove", host, "", err) == -1)
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

/* --- import --- */

struct importing {
    struct registry_policy policy;
    int64_t now_us;
    int64_t added, same, retired, skipped;
    int64_t highest; /* number among them */
    json_t *changes;
};

enum { CHANGES_SHOWN = 100 };

static void note_change(struct importing *importing, const char *what, struct host_address host, const char *address)
{
    if (json_array_size(importing->changes) < CHANGES_SHOWN)
        (void)json_array_append_new(importing->changes,
                                    json_pack("{s:s, s:s, s:o}", "change", what, "host", host_address_text(host).text,
                                              "mail", verb_text(span_text(address))));
}

static int import_retired(struct db *db, struct importing *importing, struct host_address host, struct err *err)
{
    struct err why = ERR_CLEAR;
    if (registry_retire(db, host, clock_now(), &why) == 0) {
        importing->retired++;
        note_change(importing, "retired", host, "");
        return 0;
    }
    if (why.id == ERR_NOT_FOUND) {
        importing->skipped++;
        return 0;
    }
    *err = why;
    return -1;
}

/* Somebody without a host address in the list gets one as a sender would. */
static int import_new(struct db *db, struct importing *importing, const struct mailkey *key, const char *name,
                      struct err *err)
{
    struct host_address none = { .node = { .text = "" } };
    struct registry_answer answer;
    if (registry_enter(db, &importing->policy, key, name, none, importing->now_us, &answer, err) == -1)
        return -1;
    importing->added += answer.how == REGISTRY_NEW;
    importing->same += answer.how != REGISTRY_NEW;
    if (answer.how == REGISTRY_NEW)
        note_change(importing, "added", answer.host, key->text);
    return 0;
}

static int import_row(struct db *db, struct importing *importing, const json_t *row, struct err *err)
{
    struct span written = text_of(row, "host");
    struct host_address host;
    struct mailkey key;
    const char *name = json_string_value(json_object_get(row, "name"));
    int64_t at_us = json_integer_value(json_object_get(row, "at_us"));
    int64_t number = 0;
    if (written.size > 0 && host_address_parse_any(written, &host, err) == -1)
        return -1;
    if (json_is_true(json_object_get(row, "foreign"))) {
        importing->skipped++; /* a host user in an address book, or another gateway's */
        return 0;
    }
    bool retired = json_is_true(json_object_get(row, "retired"));
    if (retired && text_of(row, "address").size == 0)
        return import_retired(db, importing, host, err);
    if (mailkey_of(text_of(row, "address"), &key, err) == -1)
        return -1;
    if (written.size == 0)
        return import_new(db, importing, &key, name != NULL ? name : "", err);
    bool is_number = host.user.text[0] == importing->policy.prefix && transition_number(host.user.text, &number);
    enum host_kind kind = host_kind_find(text_of(row, "kind"));
    if (kind == 0 || kind == HOST_RESERVED)
        kind = is_number ? HOST_BY_NUMBER : HOST_BY_OPERATOR;
    int added = registry_restore(db, &importing->policy, &key, name != NULL ? name : "", host,
                                 retired ? HOST_RETIRED : kind, at_us > 0 ? at_us : importing->now_us, err);
    if (added == -1)
        return -1;
    if (is_number && number > importing->highest)
        importing->highest = number;
    importing->added += added;
    importing->same += !added;
    if (added == 1)
        note_change(importing, "added", host, key.text);
    return 0;
}

static int import_rows(struct db *db, const struct verb_call *call, struct importing *importing, struct err *err)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(call->request, "rows"), index, row)
    {
        if (import_row(db, importing, row, err) == -1)
            return err_context(err, "line %lld", (long long)json_integer_value(json_object_get(row, "line")));
    }
    char detail[120];
    (void)snprintf(detail, sizeof detail, "%lld added, %lld retired, %lld were there, %lld skipped",
                   (long long)importing->added, (long long)importing->retired, (long long)importing->same,
                   (long long)importing->skipped);
    if (importing->highest > 0 && transition_raise_numbers(db, importing->highest + 1, err) == -1)
        return -1;
    return audit_add(db, importing->now_us, call->who, "register import", span_text(detail), err);
}

/* All rows or none. Looking at what would change does it and takes it back. */
static int register_import(struct db *db, const struct verb_call *call, struct err *err)
{
    json_t *reply = call->reply;
    bool dry = json_is_true(json_object_get(call->request, "dry_run"));
    struct importing importing = { .now_us = clock_now(), .changes = json_array() };
    take_policy(call->request, &importing.policy);
    put(reply, "changes", importing.changes);
    if (dry && db_run(db, err, "SAVEPOINT dry", "") == -1)
        return -1;
    int result = import_rows(db, call, &importing, err);
    struct err ignored;
    if (dry && (db_run(db, &ignored, "ROLLBACK TO dry", "") == -1 || db_run(db, &ignored, "RELEASE dry", "") == -1)) {
        *err = ignored;
        result = -1;
    }
    put(reply, "added", json_integer(importing.added));
    put(reply, "retired", json_integer(importing.retired));
    put(reply, "same", json_integer(importing.same));
    put(reply, "skipped", json_integer(importing.skipped));
    put(reply, "dry_run", json_boolean(dry));
    return result;
}

static void register_imported(struct verb_call *call)
{
    if (json_is_true(json_object_get(call->reply, "dry_run")))
        return;
    log_info(LOG_ADDRESS, 32492, "%s imported registrations: %lld added, %lld retired", call->who,
             (long long)json_integer_value(json_object_get(call->reply, "added")),
             (long long)json_integer_value(json_object_get(call->reply, "retired")));
    registry_forget(call->options->registry);
}

/* --- confirm --- */

static int register_confirm(struct db *db, const struct verb_call *call, struct err *err)
{
    if (registry_confirm_names(db, err) == -1)
        return -1;
    put(call->reply, "said", json_string("names are made from the senders' and chosen by host users again"));
    return audit_add(db, clock_now(), call->who, "register confirm", SPAN_EMPTY, err);
}

static const struct verb verbs[] = {
    { .name = "register list", .ledger = register_list },
    { .name = "register add",
      .before = register_before,
      .ledger = register_add,
      .loop = register_added,
      .writes = true,
      .active = true },
    { .name = "register remove", .ledger = register_remove, .loop = register_removed, .writes = true, .active = true },
    { .name = "register import",
      .before = register_before,
      .ledger = register_import,
      .loop = register_imported,
      .writes = true,
      .active = true },
    { .name = "register confirm", .ledger = register_confirm, .writes = true, .active = true },
};

const struct verb *register_verb_find(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}
