/* Loading people. A damaged file must not unlist a site, so what is missing is counted before anything is written; and
 * all of it is one job, so that no letter sees half of it. */
#include "address/peopleload.h"

#include "address/userid.h"

#include <stdio.h>

enum { PAGE = 200 };

static void show(struct people_changes *changes, enum people_change_kind kind, const char *address, const char *what)
{
    if (changes->shown_count == PEOPLE_CHANGES_SHOWN)
        return;
    struct people_change *change = &changes->shown[changes->shown_count++];
    change->kind = kind;
    (void)snprintf(change->text, sizeof change->text, "%.127s%s%.60s", address, what[0] != '\0' ? "  " : "", what);
}

static const char *source_text(const struct peopleload *load)
{
    return load->source == PERSON_DIRECTORY ? "the directory" : "people.csv";
}

/* --- who is gone --- */

struct gone {
    const struct people *people;
    struct people_changes *changes;
    size_t listed, gone;
    int64_t last;
    size_t seen;
    /* of a page */
    int64_t keys[PAGE];
    char names[PAGE][PERSON_NAME_SIZE];
    size_t count;
};

static bool look_at(void *arg, const struct person *person)
{
    struct gone *gone = arg;
    gone->last = person->key;
    gone->seen++;
    gone->listed++;
    if (people_find(gone->people, person->address) == NULL) {
        gone->gone++;
        show(gone->changes, PEOPLE_REMOVED, person->address, person->name);
        (void)snprintf(gone->names[gone->count], sizeof gone->names[0], "%s", person->name);
        gone->keys[gone->count++] = person->key;
    }
    return true;
}

/* Goes through the source's people of the ledger; `mark` writes that the missing ones are. */
static int find_gone(struct db *db, const struct peopleload *load, bool mark, struct people_changes *changes,
                     struct err *err)
{
    struct gone gone = { .people = load->people, .changes = changes };
    do {
        gone.seen = gone.count = 0;
        if (person_list(db, load->source, gone.last, PAGE, look_at, &gone, err) == -1)
            return -1;
        for (size_t i = 0; mark && i < gone.count; i++)
            if (person_set(db, gone.keys[i], gone.names[i], PERSON_UNLISTED, err) == -1)
                return -1;
    } while (gone.seen == PAGE);
    changes->before = gone.listed;
    changes->removed = gone.gone;
    return 0;
}

/* --- by rule --- */

/* What a person has that may do instead of a new address by rule. */
struct held {
    struct name8 node;
    struct span stem;
    char prefix;
    int64_t retired_before_us;
    bool has_shown, has_fitting, has_latest, has_retired;
    struct person_host shown, fitting, latest, retired;
};

static bool look_at_host(void *arg, const struct person_host *host)
{
    struct held *held = arg;
    bool fits = userid_fits(held->stem, host->user, held->prefix);
    bool by_rule = host->kind == HOST_BY_RULE || (fits && host->kind == HOST_BY_NUMBER && held->stem.size == 0);
    if (host->main) {
        held->shown = *host;
        held->has_shown = true;
    }
    if (!name8_equal(host->node, held->node))
        return true;
    if (by_rule && fits && !held->has_fitting) {
        held->fitting = *host;
        held->has_fitting = true;
    }
    if (by_rule && (!held->has_latest || host->made_us > held->latest.made_us)) {
        held->latest = *host;
        held->has_latest = true;
    }
    if (host->kind == HOST_RETIRED && fits && held->stem.size > 0 && host->kind_us <= held->retired_before_us &&
        !held->has_retired) {
        held->retired = *host;
        held->has_retired = true;
    }
    return true;
}

enum choice { CHOICE_KEEP, CHOICE_REVIVE, CHOICE_MAKE, CHOICE_LATER };

/* What becomes of a wish for an address by the rule of `node`; `implied`: the file names no host address at all, and
 * then one that an operator gave does as well. host_r: the one to keep or revive. */
static int choose(struct db *db, const struct peopleload *load, int64_t person, struct held *held, bool implied,
                  enum choice *choice_r, struct person_host *host_r, struct err *err)
{
    if (person != 0 && person_hosts(db, person, look_at_host, held, err) == -1)
        return -1;
    bool shown_here = held->has_shown && name8_equal(held->shown.node, held->node);
    *choice_r = CHOICE_KEEP;
    if (implied && held->has_shown && held->shown.kind == HOST_BY_OPERATOR)
        *host_r = held->shown;
    else if (load->generation != GENERATE_RENEW && shown_here && held->shown.kind == HOST_BY_RULE)
        *host_r = held->shown;
    else if (held->has_fitting)
        *host_r = held->fitting;
    else if (load->generation != GENERATE_RENEW && held->has_latest)
        *host_r = held->latest;
    else if (load->generation == GENERATE_NONE)
        *choice_r = CHOICE_LATER;
    else if (held->has_retired)
        *choice_r = CHOICE_REVIVE;
    else
        *choice_r = CHOICE_MAKE;
    if (*choice_r == CHOICE_REVIVE)
        *host_r = held->retired;
    return 0;
}

static int begin_held(const struct peopleload *load, const struct people_row *row, struct name8 node, struct buf *stem,
                      struct held *held_r, struct err *err)
{
    struct mailkey key;
    struct rule rule = rules_of(load->rules, node);
    (void)snprintf(key.text, sizeof key.text, "%s", people_address(load->people, row));
    rule_apply(&rule, mailkey_local(&key), span_text(people_name(load->people, row)), stem);
    *held_r = (struct held){ .node = node,
                             .stem = userid_stem(buf_span(stem)),
                             .prefix = load->policy.prefix,
                             .retired_before_us = load->now_us - load->reuse_after_us };
    return stem->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for an address") : 0;
}

/* --- comparing --- */

static int at_row(const struct peopleload *load, const struct people_row *row, struct err *err)
{
    if (load->source == PERSON_DIRECTORY)
        return err_context(err, "%.100s of the directory", people_address(load->people, row));
    return err_context(err, "people.csv line %u", row->line);
}

static bool is_listed(const struct person *person)
{
    return person->source == PERSON_LISTED || person->source == PERSON_DIRECTORY;
}

/* The host address of the row that the person may have; 1, 0: another's, which a directory is forgiven. */
static int may_have(struct db *db, const struct peopleload *load, struct host_address host, int64_t person,
                    struct err *err)
{
    struct err why = ERR_CLEAR;
    if (registry_may_have(db, &load->policy, host, person, &why) == 0)
        return 1;
    if (load->source == PERSON_DIRECTORY && why.id == ERR_REFUSED)
        return 0;
    *err = why;
    return -1;
}

/* The host addresses of the row that the person may have, an empty user for one by rule. A row that has none stands for
 * one by the rule of the connector's node. */
struct wishes {
    struct host_address at[PEOPLE_HOSTS_MAX];
    unsigned count;
    bool implied;     /* that one */
    bool first_shown; /* the first must be the one that is shown */
};

static int find_wishes(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                       struct wishes *wishes_r, struct err *err)
{
    *wishes_r = (struct wishes){ .count = 0 };
    for (unsigned i = 0; i < row->host_count; i++) {
        struct host_address host = load->people->hosts[row->hosts + i];
        int mine = name8_empty(host.user) ? 1 : may_have(db, load, host, person, err);
        if (mine == -1)
            return -1;
        if (mine == 1)
            wishes_r->at[wishes_r->count++] = host;
    }
    wishes_r->implied = wishes_r->count == 0;
    if (wishes_r->implied)
        wishes_r->at[wishes_r->count++] = (struct host_address){ .node = load->policy.node };
    wishes_r->first_shown = wishes_r->implied || row->first_is_shown;
    return 0;
}

/* 1: the i-th of the wishes is not as it should be. */
static int wish_differs(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                        const struct wishes *wishes, unsigned i, struct err *err)
{
    struct host_address host = wishes->at[i];
    bool shown = i == 0 && wishes->first_shown;
    struct person_host found;
    if (!name8_empty(host.user)) {
        int is_there = person_host_find(db, host.node, host.user, &found, err);
        return is_there == -1 ? -1 : is_there == 0 || found.kind == HOST_RETIRED || (shown && !found.main);
    }
    struct buf stem = { 0 };
    struct held held;
    enum choice choice = CHOICE_KEEP;
    int result = begin_held(load, row, host.node, &stem, &held, err);
    if (result == 0)
        result = choose(db, load, person, &held, wishes->implied, &choice, &found, err);
    buf_free(&stem);
    if (result == -1)
        return -1;
    return choice == CHOICE_MAKE || choice == CHOICE_REVIVE || (choice == CHOICE_KEEP && shown && !found.main);
}

/* 1: the row changes something for a person who is listed already, 0: not. */
static int differs(struct db *db, const struct peopleload *load, const struct people_row *row,
                   const struct person *person, struct err *err)
{
    struct wishes wishes;
    struct person_host shown;
    if (person->source != load->source ||
        strncmp(people_name(load->people, row), person->name, PERSON_NAME_SIZE - 1) != 0)
        return 1;
    int result = find_wishes(db, load, row, person->key, &wishes, err);
    for (unsigned i = 0; i < wishes.count && result == 0; i++)
        result = wish_differs(db, load, row, person->key, &wishes, i, err);
    if (result != 0 || wishes.first_shown)
        return result;
    int found = person_main(db, person->key, &shown, err);
    return found == -1 ? -1 : found == 0;
}

/* Whether the file says already who this is: then the directory says nothing. */
static bool is_the_files(const struct peopleload *load, int found, const struct person *person)
{
    return load->source == PERSON_DIRECTORY && found == 1 && person->source == PERSON_LISTED;
}

static int compare_row(struct db *db, const struct peopleload *load, const struct people_row *row,
                       struct people_changes *changes, struct err *err)
{
    struct person person = { .key = 0 };
    const char *address = people_address(load->people, row);
    int found = person_find(db, address, &person, err);
    if (found == -1)
        return -1;
    if (is_the_files(load, found, &person))
        return 0;
    for (unsigned i = 0; i < row->host_count; i++) {
        struct host_address host = load->people->hosts[row->hosts + i];
        int mine = name8_empty(host.user) ? 1 : may_have(db, load, host, person.key, err);
        if (mine == -1)
            return at_row(load, row, err);
        if (mine == 0) {
            changes->forgiven++;
            char what[64];
            (void)snprintf(what, sizeof what, "may not have %s", host_address_text(host).text);
            show(changes, PEOPLE_FORGIVEN, address, what);
        }
    }
    if (found == 0 || !is_listed(&person)) {
        changes->added++;
        show(changes, PEOPLE_ADDED, address, people_name(load->people, row));
        return 0;
    }
    int changed = differs(db, load, row, &person, err);
    changes->changed += changed == 1;
    if (changed == 1)
        show(changes, PEOPLE_CHANGED, address, people_name(load->people, row));
    return changed == -1 ? -1 : 0;
}

static void show_problems(const struct people *people, struct people_changes *changes)
{
    struct reader lines = reader_of(buf_span(&people->problems));
    changes->forgiven = people->problem_count;
    while (!reader_at_end(&lines)) {
        char line[192];
        span_to_text(reader_until(&lines, '\n'), line, sizeof line);
        show(changes, PEOPLE_FORGIVEN, line, "");
    }
}

int peopleload_compare(struct db *db, const struct peopleload *load, struct people_changes *changes_r, struct err *err)
{
    *changes_r = (struct people_changes){ .added = 0 };
    show_problems(load->people, changes_r);
    for (size_t i = 0; i < load->people->count; i++)
        if (compare_row(db, load, &load->people->rows[i], changes_r, err) == -1)
            return -1;
    if (find_gone(db, load, false, changes_r, err) == -1)
        return -1;
    if (!load->confirmed && changes_r->removed > PEOPLE_REMOVAL_ALWAYS &&
        changes_r->removed * 100 > changes_r->before * (size_t)load->removal_percent)
        return err_set(
            err, ERR_REFUSED,
            "%s lacks %zu of the %zu people who were in it before, more than people-removal-limit = %u percent; "
            "if that is meant: ovvm %s --confirm",
            source_text(load), changes_r->removed, changes_r->before, load->removal_percent,
            load->source == PERSON_DIRECTORY ? "people load" : "tables reload");
    return 0;
}

/* --- applying --- */

static void note(struct peopleload_gifts *gifts, const struct peopleload *load, const struct people_row *row,
                 int64_t person, struct host_address host, enum host_kind kind)
{
    gifts->at[gifts->count++] = (struct peopleload_gift){
        .row = row,
        .answer = { .how = REGISTRY_NEW, .host = host, .kind = kind, .person = person, .used_us = load->now_us }
    };
}

/* As the file gives it: for good. */
static int give_this(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                     struct host_address host, struct peopleload_gifts *gifts, struct err *err)
{
    struct person_host held;
    int added = person_host_add(db, host.node, host.user, person, HOST_BY_OPERATOR, load->now_us, err);
    if (added == 1)
        note(gifts, load, row, person, host, HOST_BY_OPERATOR);
    if (added != 0)
        return added == 1 ? 0 : -1;
    added = person_host_find(db, host.node, host.user, &held, err);
    if (added == 1 && held.person != person)
        return err_set(err, ERR_REFUSED, "%s is another's", host_address_text(host).text);
    if (added == 1 && held.kind == HOST_RETIRED)
        return person_host_set_kind(db, host.node, host.user, HOST_BY_OPERATOR, load->now_us, err);
    return added == -1 ? -1 : 0;
}

/* By the rule of the node. host_r->user stays empty where that is for later. */
static int give_by_rule(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                        bool implied, struct host_address *host_r, struct peopleload_gifts *gifts, struct err *err)
{
    struct buf stem = { 0 };
    struct held held;
    struct person_host found = { .person = 0 };
    enum choice choice = CHOICE_LATER;
    struct name8 node = host_r->node;
    int result = begin_held(load, row, node, &stem, &held, err);
    if (result == 0)
        result = choose(db, load, person, &held, implied, &choice, &found, err);
    if (result == 0 && choice == CHOICE_REVIVE)
        result = person_host_set_kind(db, found.node, found.user, HOST_BY_RULE, load->now_us, err);
    if (result == 0 && choice == CHOICE_MAKE)
        result =
            registry_make(db, &load->policy, node, held.stem, person, HOST_BY_RULE, load->now_us, &found.user, err);
    buf_free(&stem);
    if (result == -1 || choice == CHOICE_LATER)
        return result;
    *host_r = (struct host_address){ .node = choice == CHOICE_MAKE ? node : found.node, .user = found.user };
    if (choice == CHOICE_MAKE || choice == CHOICE_REVIVE)
        note(gifts, load, row, person, *host_r,
             userid_is_number(found.user, load->policy.prefix) ? HOST_BY_NUMBER : HOST_BY_RULE);
    return 0;
}

/* Gives what is wished and shows the first; where it need not be that one, whichever of them is shown already stays. */
static int give_hosts(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                      struct peopleload_gifts *gifts, struct err *err)
{
    struct wishes wishes;
    struct person_host shown;
    struct host_address chosen = { .node = { .text = "" } };
    int found = person_main(db, person, &shown, err);
    if (found == -1 || find_wishes(db, load, row, person, &wishes, err) == -1)
        return -1;
    for (unsigned i = 0; i < wishes.count; i++) {
        struct host_address host = wishes.at[i];
        int result = name8_empty(host.user) ? give_by_rule(db, load, row, person, wishes.implied, &host, gifts, err)
                                            : give_this(db, load, row, person, host, gifts, err);
        if (result == -1)
            return -1;
        bool is_shown = found == 1 && name8_equal(shown.node, host.node) && name8_equal(shown.user, host.user);
        if (!name8_empty(host.user) && (name8_empty(chosen.user) || (is_shown && !wishes.first_shown)))
            chosen = host;
    }
    return name8_empty(chosen.user) ? 0 : person_set_main(db, person, chosen.node, chosen.user, err);
}

static int apply_row(struct db *db, const struct peopleload *load, const struct people_row *row,
                     struct peopleload_gifts *gifts, struct err *err)
{
    struct person person;
    const char *address = people_address(load->people, row);
    char name[PERSON_NAME_SIZE];
    (void)snprintf(name, sizeof name, "%s", people_name(load->people, row));
    int found = person_find(db, address, &person, err);
    if (found == -1)
        return -1;
    if (is_the_files(load, found, &person))
        return 0;
    int changed = found == 0 || !is_listed(&person) ? 1 : differs(db, load, row, &person, err);
    if (changed != 1)
        return changed;
    if (found == 0 && person_add(db, address, name, load->source, load->now_us, &person.key, err) == -1)
        return -1;
    if (found == 1 && person_set(db, person.key, name, load->source, err) == -1)
        return -1;
    return give_hosts(db, load, row, person.key, gifts, err);
}

int peopleload_apply(struct db *db, const struct peopleload *load, struct people_changes *changes_r,
                     struct peopleload_gifts *gifts_r, struct err *err)
{
    gifts_r->count = 0;
    if (peopleload_compare(db, load, changes_r, err) == -1)
        return -1;
    for (size_t i = 0; i < load->people->count; i++)
        if (apply_row(db, load, &load->people->rows[i], gifts_r, err) == -1)
            return at_row(load, &load->people->rows[i], err);
    struct people_changes after = { .added = 0 };
    return find_gone(db, load, true, &after, err);
}
