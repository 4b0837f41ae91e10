/* What becomes of a host address after it was given: it is used, ages, is retired, and comes back after a loss.
 *
 * What must not happen is that an address which somebody may still answer stops working, or that one whose owner is
 * not known here any more is given anew: so the ages of addresses look at the letters that could be answered, no row is
 * ever deleted, and after a restore no names are made until an operator says that none are missing.
 */
#include "address/registry_private.h"

#include "address/userid.h"
#include "base/clock.h"
#include "store/sequence.h"

int registry_names_paused(struct db *db, bool *paused_r, struct err *err)
{
    int64_t paused = 0;
    int found = db_one_int(db, &paused, err,
                           "SELECT coalesce((SELECT next FROM sequence WHERE name = 'names-lost'), 0) >"
                           " coalesce((SELECT next FROM sequence WHERE name = 'names-confirmed'), 0)",
                           "");
    *paused_r = paused != 0;
    return found == 1 ? 0 : -1;
}

int registry_confirm_names(struct db *db, struct err *err)
{
    bool paused = false;
    int64_t lost = 0;
    if (registry_names_paused(db, &paused, err) == -1)
        return -1;
    if (!paused)
        return err_set(err, ERR_NOT_FOUND, "names are not paused; there is nothing to confirm");
    if (db_one_int(db, &lost, err, "SELECT next FROM sequence WHERE name = 'names-lost'", "") == -1)
        return -1;
    return sequence_raise(db, "names-confirmed", lost, err);
}

int registry_restore(struct db *db, const struct registry_policy *policy, const struct mailkey *key, const char *name,
                     struct host_address host, enum host_kind kind, int64_t at_us, struct err *err)
{
    struct person person;
    struct person_host held;
    struct person_host shown;
    char taken[PERSON_NAME_SIZE];
    struct host_address_text text = host_address_text(host);
    registry_take_name(name, taken);
    if (userid_is_reserved(host.user) || registry_is_own(policy, host.user))
        return err_set(err, ERR_REFUSED, "%s is a reserved name", text.text);
    int found = person_find(db, key->text, &person, err);
    int taken_by = found == -1 ? -1 : person_host_find(db, host.node, host.user, &held, err);
    if (taken_by == -1)
        return -1;
    if (taken_by == 1 && (found == 0 || held.person != person.key))
        return err_set(err, ERR_REFUSED, "%s is somebody else's already; no host address ever changes hands",
                       text.text);
    enum person_source source = kind == HOST_BY_OPERATOR ? PERSON_ENTERED
                                : kind == HOST_BY_RULE   ? PERSON_UNLISTED
                                                         : PERSON_SENDER;
    if (found == 0 && person_add(db, key->text, taken, source, at_us, &person.key, err) == -1)
        return -1;
    if (taken_by == 0 && person_host_add(db, host.node, host.user, person.key, kind, at_us, err) == -1)
        return -1;
    int shows = person_main(db, person.key, &shown, err);
    if (shows == 0 && kind != HOST_RETIRED && (taken_by == 0 || held.kind != HOST_RETIRED) &&
        person_set_main(db, person.key, host.node, host.user, err) == -1)
        shows = -1;
    return shows == -1 ? -1 : taken_by == 0;
}

int registry_touch(struct db *db, int64_t person, int64_t now_us, struct err *err)
{
    return db_run(db, err, "UPDATE person SET used_us = ?2 WHERE key = ?1 AND used_us < ?3", "iii", person, now_us,
                  now_us - CLOCK_DAY) == -1
               ? -1
               : 0;
}

/* The addresses of one person that are in use and were made for a sender; those that a correlation row names stay. */
static int64_t retire_unused(struct db *db, int64_t person, struct err *err)
{
    return db_run(db, err,
                  "UPDATE host_address SET kind = ?2, main = 0, kind_us = ?5 WHERE person = ?1 AND kind IN (?3, ?4)"
                  " AND NOT EXISTS (SELECT 1 FROM correlation c JOIN host_address h ON h.person = ?1"
                  " AND c.proxy = h.node || '(' || h.user_id || ')')",
                  "iiiii", person, (int64_t)HOST_RETIRED, (int64_t)HOST_BY_NUMBER, (int64_t)HOST_BY_NAME, clock_now());
}

int registry_age(struct db *db, int64_t before_us, size_t limit, int64_t *after, size_t *aged_r, struct err *err)
{
    struct db_rows rows;
    int64_t old[REGISTRY_AGE_MAX];
    size_t count = 0;
    size_t looked = 0;
    int64_t last = 0;
    int found =
        db_query(db, &rows, err, "SELECT key, used_us FROM person WHERE source = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
                 "iii", (int64_t)PERSON_SENDER, *after, (int64_t)(limit < REGISTRY_AGE_MAX ? limit : REGISTRY_AGE_MAX));
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        looked++;
        last = db_int(&rows, 0);
        if (db_int(&rows, 1) < before_us)
            old[count++] = last;
    }
    db_end(&rows);
    *aged_r = 0;
    for (size_t i = 0; i < count && found >= 0; i++) {
        int64_t retired = retire_unused(db, old[i], err);
        found = retired == -1 ? -1 : found;
        *aged_r += retired > 0 ? (size_t)retired : 0;
    }
    if (found == -1)
        return -1;
    *after = looked > 0 ? last : 0;
    return 0;
}

int registry_retire(struct db *db, struct host_address host, int64_t now_us, struct err *err)
{
    struct person_host held;
    struct person_host other;
    int found = person_host_find(db, host.node, host.user, &held, err);
    if (found == -1)
        return -1;
    if (found == 0 || held.person == 0)
        return err_set(err, ERR_NOT_FOUND, "%s is nobody's address", host_address_text(host).text);
    if (person_host_set_kind(db, host.node, host.user, HOST_RETIRED, now_us, err) == -1)
        return -1;
    if (!held.main)
        return 0;
    unsigned in_use = 1U << HOST_BY_RULE | 1U << HOST_BY_NUMBER | 1U << HOST_BY_NAME | 1U << HOST_BY_OPERATOR;
    return person_has(db, held.person, in_use, &other, err) == -1
               ? -1
               : person_set_main(db, held.person, other.node, other.user, err);
}
