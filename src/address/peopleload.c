/* Loading people. A damaged file must not unlist a site, so what is missing is counted before anything is written; and
 * all of it is one job, so that no letter sees half of it. */
#include "address/peopleload.h"

#include <stdio.h>

enum { PAGE = 200 };

/* --- who is gone --- */

struct gone {
    const struct people *people;
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
        (void)snprintf(gone->names[gone->count], sizeof gone->names[0], "%s", person->name);
        gone->keys[gone->count++] = person->key;
    }
    return true;
}

/* Goes through the listed people of the ledger; `mark` writes that the missing ones are. */
static int find_gone(struct db *db, const struct people *people, bool mark, struct people_changes *changes,
                     struct err *err)
{
    struct gone gone = { .people = people };
    do {
        gone.seen = gone.count = 0;
        if (person_list(db, PERSON_LISTED, gone.last, PAGE, look_at, &gone, err) == -1)
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

static int at_line(const struct people_row *row, struct err *err)
{
    return err_context(err, "people.csv line %u", row->line);
}

/* 1: the row changes something for a person who is listed already, 0: not. */
static int differs(struct db *db, const struct peopleload *load, const struct people_row *row,
                   const struct person *person, struct err *err)
{
    struct person_host shown;
    if (strncmp(people_name(load->people, row), person->name, PERSON_NAME_SIZE - 1) != 0)
        return 1;
    if (person_main(db, person->key, &shown, err) == -1)
        return -1;
    for (unsigned i = 0; i < row->host_count; i++) {
        struct host_address host = load->people->hosts[row->hosts + i];
        struct person_host held;
        int found = person_host_find(db, host.node, host.user, &held, err);
        if (found == -1)
            return -1;
        if (found == 0 || held.kind == HOST_RETIRED || (i == 0 && !held.main))
            return 1;
    }
    return shown.person == 0;
}

static int compare_row(struct db *db, const struct peopleload *load, const struct people_row *row,
                       struct people_changes *changes, struct err *err)
{
    struct person person;
    int found = person_find(db, people_address(load->people, row), &person, err);
    if (found == -1)
        return -1;
    for (unsigned i = 0; i < row->host_count; i++)
        if (registry_may_have(db, &load->policy, load->people->hosts[row->hosts + i], person.key, err) == -1)
            return at_line(row, err);
    if (found == 0 || person.source != PERSON_LISTED) {
        changes->added++;
        return 0;
    }
    int changed = differs(db, load, row, &person, err);
    changes->changed += changed == 1;
    return changed == -1 ? -1 : 0;
}

int peopleload_compare(struct db *db, const struct peopleload *load, struct people_changes *changes_r, struct err *err)
{
    *changes_r = (struct people_changes){ .added = 0 };
    for (size_t i = 0; i < load->people->count; i++)
        if (compare_row(db, load, &load->people->rows[i], changes_r, err) == -1)
            return -1;
    if (find_gone(db, load->people, false, changes_r, err) == -1)
        return -1;
    if (!load->confirmed && changes_r->removed > PEOPLE_REMOVAL_ALWAYS &&
        changes_r->removed * 100 > changes_r->before * (size_t)load->removal_percent)
        return err_set(
            err, ERR_REFUSED,
            "people.csv lacks %zu of the %zu people who were in it before, more than people-removal-limit = %u "
            "percent; if that is meant: ovvm tables reload --confirm",
            changes_r->removed, changes_r->before, load->removal_percent);
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
    return row->host_count == 0 ? 0
                                : person_set_main(db, person, load->people->hosts[row->hosts].node,
                                                  load->people->hosts[row->hosts].user, err);
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
    int changed = found != 1 || person.source != PERSON_LISTED ? 1 : differs(db, load, row, &person, err);
    if (found == -1 || changed == -1)
        return -1;
    if (changed == 0)
        return 0;
    if (found == 0 && person_add(db, address, name, PERSON_LISTED, load->now_us, &person.key, err) == -1)
        return -1;
    if (found == 1 && person_set(db, person.key, name, PERSON_LISTED, err) == -1)
        return -1;
    if (give_hosts(db, load, row, person.key, gifts, err) == -1)
        return -1;
    return row->host_count == 0 ? give_by_rule(db, load, row, person.key, gifts, err) : 0;
}

int peopleload_apply(struct db *db, const struct peopleload *load, struct people_changes *changes_r,
                     struct peopleload_gifts *gifts_r, struct err *err)
{
    gifts_r->count = 0;
    if (peopleload_compare(db, load, changes_r, err) == -1)
        return -1;
    for (size_t i = 0; i < load->people->count; i++)
        if (apply_row(db, load, &load->people->rows[i], gifts_r, err) == -1)
            return at_line(&load->people->rows[i], err);
    struct people_changes after;
    return find_gone(db, load->people, true, &after, err);
}
