/* Loading people. A damaged file must not unlist a site, so what is missing is counted before anything is written; and
 * all of it is one job, so that no letter sees half of it. */
#include "address/peopleload.h"

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

/* 1: the row changes something for a person who is listed already, 0: not. */
static int differs(struct db *db, const struct peopleload *load, const struct people_row *row,
                   const struct person *person, struct err *err)
{
    struct person_host shown;
    if (person->source != load->source ||
        strncmp(people_name(load->people, row), person->name, PERSON_NAME_SIZE - 1) != 0)
        return 1;
    if (person_main(db, person->key, &shown, err) == -1)
        return -1;
    for (unsigned i = 0; i < row->host_count; i++) {
        struct host_address host = load->people->hosts[row->hosts + i];
        struct person_host held;
        int mine = may_have(db, load, host, person->key, err);
        int found = mine == 1 ? person_host_find(db, host.node, host.user, &held, err) : mine;
        if (found == -1)
            return -1;
        if (mine == 1 && (found == 0 || held.kind == HOST_RETIRED || (i == 0 && row->first_is_shown && !held.main)))
            return 1;
    }
    return shown.person == 0;
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
        int mine = may_have(db, load, host, person.key, err);
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

static int give_hosts(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                      struct peopleload_gifts *gifts, struct err *err)
{
    for (unsigned i = 0; i < row->host_count; i++) {
        struct host_address host = load->people->hosts[row->hosts + i];
        struct person_host held;
        int mine = may_have(db, load, host, person, err);
        if (mine == -1)
            return -1;
        if (mine == 0)
            continue;
        int added = person_host_add(db, host.node, host.user, person, HOST_BY_OPERATOR, load->now_us, err);
        if (added == 0) {
            added = person_host_find(db, host.node, host.user, &held, err);
            if (added == 1 && held.person != person)
                return err_set(err, ERR_REFUSED, "%s is another's", host_address_text(host).text);
            if (added == 1 && held.kind == HOST_RETIRED &&
                person_host_set_kind(db, host.node, host.user, HOST_BY_OPERATOR, err) == -1)
                return -1;
        } else if (added == 1)
            note(gifts, load, row, person, host, HOST_BY_OPERATOR);
        if (added == -1)
            return -1;
    }
    return 0;
}

/* The one that is shown: the first, if that is said; else whichever of them is shown already, or else the first that is
 * theirs. 1: there is one; 0: none of the row's is theirs. */
static int choose_shown(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                        struct err *err)
{
    struct person_host held;
    const struct host_address *chosen = NULL;
    for (unsigned i = 0; i < row->host_count; i++) {
        const struct host_address *host = &load->people->hosts[row->hosts + i];
        int found = person_host_find(db, host->node, host->user, &held, err);
        if (found == -1)
            return -1;
        if (found == 1 && held.person == person && (chosen == NULL || (held.main && !row->first_is_shown)))
            chosen = host;
    }
    if (chosen == NULL)
        return 0;
    return person_set_main(db, person, chosen->node, chosen->user, err) == -1 ? -1 : 1;
}

/* By rule, once: for a person who has no address but those that any sender gets. */
static int give_by_rule(struct db *db, const struct peopleload *load, const struct people_row *row, int64_t person,
                        struct peopleload_gifts *gifts, struct err *err)
{
    struct person_host host;
    struct mailkey key;
    struct buf stem = { 0 };
    int found = person_main(db, person, &host, err);
    if (found == -1 || (found == 1 && (host.kind == HOST_BY_RULE || host.kind == HOST_BY_OPERATOR)))
        return found == -1 ? -1 : 0;
    found = person_has(db, person, 1U << HOST_BY_RULE, &host, err);
    if (found == -1)
        return -1;
    if (found == 1)
        return person_set_main(db, person, host.node, host.user, err);
    (void)snprintf(key.text, sizeof key.text, "%s", people_address(load->people, row));
    rule_apply(load->rule, mailkey_local(&key), span_text(people_name(load->people, row)), &stem);
    struct name8 user;
    int result = stem.failed ? err_set(err, ERR_NO_MEMORY, "out of memory for an address")
                             : registry_make(db, &load->policy, load->rule->node, buf_span(&stem), person, HOST_BY_RULE,
                                             load->now_us, &user, err);
    buf_free(&stem);
    if (result == -1)
        return -1;
    note(gifts, load, row, person, (struct host_address){ .node = load->rule->node, .user = user }, HOST_BY_RULE);
    return person_set_main(db, person, load->rule->node, user, err);
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
    if (give_hosts(db, load, row, person.key, gifts, err) == -1)
        return -1;
    int shown = choose_shown(db, load, row, person.key, err);
    return shown != 0 ? (shown == -1 ? -1 : 0) : give_by_rule(db, load, row, person.key, gifts, err);
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
