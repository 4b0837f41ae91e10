/* The registry: who has which address, and how a new one is made. What must never happen: one host address with two
 * owners (an answer to an old letter would reach a stranger), one sender with several (threads fall apart, the table
 * grows with every letter), or a number that was shown and is not in the ledger. So every address is an insert that
 * meets the primary key, a number is taken from the ledger's sequence in the very job that gives it away, and nothing
 * here remembers what is not committed. */
#include "address/registry_private.h"

#include "address/userid.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "store/sequence.h"

#include <stdio.h>

enum { NUMBERS_TRIED = 100000 /* in a row that are somebody's already, after an import */ };

struct registry_policy registry_policy_of(const struct conf *conf)
{
    struct host_address dummy = { .node = { .text = "" } };
    if (conf->addressing.dummy_address != NULL)
        (void)host_address_parse(span_text(conf->addressing.dummy_address), &dummy, NULL); /* conf looked at it */
    if (!name8_equal(dummy.node, conf->connector.node))
        dummy.user = (struct name8){ .text = "" };
    return (struct registry_policy){
        .own = { conf->addressing.registrar_id, conf->addressing.in_body_id, dummy.user },
        .node = conf->connector.node,
        .prefix = conf->connector.registration_prefix.text[0],
        .on = conf->addressing.registration == CONF_REGISTRATION_AUTO,
        .by_name = conf->addressing.registration_style == CONF_STYLE_NAME,
        .limit = conf->addressing.registration_limit,
    };
}

static struct name8 postmaster(void)
{
    return (struct name8){ .text = USERID_POSTMASTER };
}

void registry_take_name(const char *name, char to_r[PERSON_NAME_SIZE])
{
    struct span rest = span_text(name);
    size_t size = 0;
    while (rest.size > 0) {
        uint32_t code = 0;
        size_t length = utf8_first(rest, &code);
        if (size + length >= PERSON_NAME_SIZE)
            break;
        if (length > 0 && !utf8_is_control(code)) {
            memcpy(to_r + size, rest.at, length);
            size += length;
        }
        rest = span_slice(rest, length > 0 ? length : 1, rest.size);
    }
    to_r[size] = '\0';
}

/* --- making addresses --- */

/* PX-08: each node has numbers of its own. Those of a further node begin above what a restore or a cancelled move may
 * have lost sight of (transition.c). */
static int next_number(struct db *db, const struct registry_policy *policy, struct name8 node, int64_t *number_r,
                       struct err *err)
{
    char name[sizeof REGISTRY_SEQUENCE + NAME8_MAX + 1];
    int64_t first = 0;
    if (name8_equal(node, policy->node))
        return sequence_reserve(db, REGISTRY_SEQUENCE, 1, 1, number_r, err);
    (void)snprintf(name, sizeof name, REGISTRY_SEQUENCE " %s", node.text);
    if (db_one_int(db, &first, err, "SELECT next FROM sequence WHERE name = '" REGISTRY_SEQUENCE "s from'", "") == -1)
        return -1;
    return sequence_reserve(db, name, first > 0 ? first : 1, 1, number_r, err);
}

static int make_number(struct db *db, const struct registry_policy *policy, struct name8 node, int64_t person,
                       int64_t now_us, struct name8 *user_r, struct err *err)
{
    for (int i = 0; i < NUMBERS_TRIED; i++) {
        int64_t number = 0;
        if (next_number(db, policy, node, &number, err) == -1)
            return -1;
        if (userid_of_number(policy->prefix, number, user_r) == -1)
            return err_set(err, ERR_REFUSED, "there are no more numbers with the prefix %c; choose another",
                           policy->prefix);
        int added = person_host_add(db, node, *user_r, person, HOST_BY_NUMBER, now_us, err);
        if (added != 0)
            return added == 1 ? 0 : -1;
    }
    return err_set(err, ERR_BUSY, "%d numbers in a row are in use already; it goes on from there", NUMBERS_TRIED);
}

bool registry_is_own(const struct registry_policy *policy, struct name8 user)
{
    bool own = false;
    for (size_t i = 0; i < sizeof policy->own / sizeof policy->own[0]; i++)
        own = own || (!name8_empty(user) && name8_equal(policy->own[i], user));
    return own;
}

/* 1 free, 0 not (or must not be given), -1 error. */
static int is_free(struct db *db, const struct registry_policy *policy, struct name8 node, struct name8 user,
                   struct err *err)
{
    struct person_host host;
    if (userid_is_reserved(user) || userid_is_number(user, policy->prefix) || registry_is_own(policy, user))
        return 0;
    int found = person_host_find(db, node, user, &host, err);
    return found == -1 ? -1 : !found;
}

/* A name that is free: doubles n until one is, then halves the gap, so that the 5,000th of a name costs no more than
 * two dozen looks. 1 found, 0 none left, -1 error. */
static int find_name(struct db *db, const struct registry_policy *policy, struct name8 node, struct span stem,
                     struct name8 *user_r, struct err *err)
{
    char prefix = policy->prefix;
    int64_t taken = 0;
    int64_t n = 1;
    int free = 0;
    while ((free = is_free(db, policy, node, *user_r = userid_nth(stem, n, prefix), err)) == 0) {
        if (n == USERID_TRIES_MAX)
            return 0;
        taken = n;
        n = n * 2 < USERID_TRIES_MAX ? n * 2 : USERID_TRIES_MAX;
    }
    while (free >= 0 && n - taken > 1) {
        int64_t middle = taken + (n - taken) / 2;
        free = is_free(db, policy, node, userid_nth(stem, middle, prefix), err);
        if (free == 1)
            n = middle;
        else
            taken = middle;
    }
    *user_r = userid_nth(stem, n, prefix);
    return free == -1 ? -1 : 1;
}

int registry_make(struct db *db, const struct registry_policy *policy, struct name8 node, struct span stem,
                  int64_t person, enum host_kind kind, int64_t now_us, struct name8 *user_r, struct err *err)
{
    while (stem.size > 0 && stem.at[0] >= '0' && stem.at[0] <= '9') /* MVS takes no user id that begins with one */
        stem = span_slice(stem, 1, stem.size);
    int found = stem.size > 0 ? find_name(db, policy, node, stem, user_r, err) : 0;
    if (found == 0)
        return make_number(db, policy, node, person, now_us, user_r, err);
    if (found == -1)
        return -1;
    return person_host_add(db, node, *user_r, person, kind, now_us, err) == 1
               ? 0
               : err_set(err, ERR_STORE_IO, "the host address %s was taken meanwhile", user_r->text);
}

/* By the site's style: a number, or a name made from the local part, else from the display name. */
static int make_for_sender(struct db *db, const struct registry_policy *policy, const struct mailkey *key,
                           const char *name, int64_t person, int64_t now_us, struct name8 *user_r, struct err *err)
{
    bool paused = false;
    if (policy->by_name && registry_names_paused(db, &paused, err) == -1)
        return -1;
    if (!policy->by_name || paused)
        return make_number(db, policy, policy->node, person, now_us, user_r, err);
    struct buf stem = { .limit = 4 * MAILKEY_SIZE };
    userid_fold(mailkey_local(key), &stem);
    if (stem.size < 2) {
        buf_clear(&stem);
        userid_fold(span_text(name), &stem);
    }
    int result = stem.failed ? err_set(err, ERR_NO_MEMORY, "out of memory for an address")
                             : registry_make(db, policy, policy->node, userid_stem(buf_span(&stem)), person,
                                             HOST_BY_NAME, now_us, user_r, err);
    buf_free(&stem);
    return result;
}

/* A retired address is its owner's again; 1 there was one, 0 not. */
static int revive(struct db *db, const struct registry_policy *policy, int64_t person, int64_t now_us,
                  struct person_host *host_r, struct err *err)
{
    int found = person_has(db, person, 1U << HOST_RETIRED, host_r, err);
    if (found != 1)
        return found;
    host_r->kind = userid_is_number(host_r->user, policy->prefix) ? HOST_BY_NUMBER : HOST_BY_NAME;
    return person_host_set_kind(db, host_r->node, host_r->user, host_r->kind, now_us, err) == -1 ? -1 : 1;
}

/* An address for a person who has none to show. What was taken back from people of the people file is the rule's to
 * give again (PX-09). */
static int give(struct db *db, const struct registry_policy *policy, const struct mailkey *key, const char *name,
                const struct person *whose, int64_t now_us, struct person_host *host_r, struct err *err)
{
    int64_t person = whose->key;
    bool listed = whose->source == PERSON_LISTED || whose->source == PERSON_DIRECTORY;
    int had = listed ? 0 : revive(db, policy, person, now_us, host_r, err);
    if (had == -1)
        return -1;
    if (had == 0) {
        *host_r = (struct person_host){ .node = policy->node, .person = person, .made_us = now_us };
        if (make_for_sender(db, policy, key, name, person, now_us, &host_r->user, err) == -1)
            return -1;
        host_r->kind = userid_is_number(host_r->user, policy->prefix) ? HOST_BY_NUMBER : HOST_BY_NAME;
    }
    return person_set_main(db, person, host_r->node, host_r->user, err);
}

/* --- mail to host --- */

int registry_fall_back(const struct registry_policy *policy, enum registry_how how, struct registry_answer *answer_r)
{
    *answer_r = (struct registry_answer){ .how = how,
                                          .host = { .node = policy->node, .user = postmaster() },
                                          .kind = HOST_RESERVED };
    return 0;
}

static void answer_with(struct registry_answer *answer_r, enum registry_how how, const struct person_host *host,
                        int64_t person, int64_t used_us)
{
    *answer_r = (struct registry_answer){ .how = how,
                                          .host = { .node = host->node, .user = host->user },
                                          .kind = host->kind,
                                          .person = person,
                                          .used_us = used_us };
}

static int known(struct db *db, const struct registry_policy *policy, const struct registry_sender *sender,
                 struct person *person, struct registry_answer *answer_r, struct err *err)
{
    struct person_host host;
    int found = person_main(db, person->key, &host, err);
    if (found == 0 && !policy->on)
        return registry_fall_back(policy, REGISTRY_OFF, answer_r);
    if (found == 0 && give(db, policy, &sender->key, sender->name, person, sender->now_us, &host, err) == 0)
        found = 1;
    if (found == 1 && sender->now_us - person->used_us >= CLOCK_DAY) {
        person->used_us = sender->now_us;
        if (person_touch(db, person->key, sender->now_us, err) == -1)
            return -1;
    }
    if (found == 1)
        answer_with(answer_r, REGISTRY_KNOWN, &host, person->key, person->used_us);
    return found == 1 ? 0 : -1;
}

int registry_resolve_out(struct db *db, const struct registry_policy *policy, const struct registry_sender *sender,
                         struct registry_answer *answer_r, struct err *err)
{
    struct person person;
    struct person_host host;
    char name[PERSON_NAME_SIZE];
    int64_t today = sender->now_us / CLOCK_DAY;
    int64_t count = 0;
    if (sender->key.text[0] == '\0')
        return registry_fall_back(policy, REGISTRY_NO_SENDER, answer_r);
    int found = person_find(db, sender->key.text, &person, err);
    if (found != 0)
        return found == 1 ? known(db, policy, sender, &person, answer_r, err) : -1;
    if (!policy->on)
        return registry_fall_back(policy, REGISTRY_OFF, answer_r);
    if (policy->limit > 0 && person_registrations(db, today, sender->peer, &count, err) == -1)
        return -1;
    if (policy->limit > 0 && count >= policy->limit)
        return registry_fall_back(policy, REGISTRY_OVER_LIMIT, answer_r);
    registry_take_name(sender->name, name);
    person.source = PERSON_SENDER;
    if (person_count_registration(db, today, sender->peer, &count, err) == -1 ||
        person_add(db, sender->key.text, name, PERSON_SENDER, sender->now_us, &person.key, err) == -1 ||
        give(db, policy, &sender->key, name, &person, sender->now_us, &host, err) == -1)
        return -1;
    answer_with(answer_r, REGISTRY_NEW, &host, person.key, sender->now_us);
    return 0;
}

/* --- host to mail --- */

int registry_resolve_in(struct db *db, struct host_address host, struct registry_owner *owner_r, struct err *err)
{
    *owner_r = (struct registry_owner){ .postmaster = name8_equal(host.user, postmaster()) };
    struct host_address_text shown = host_address_text(host);
    const char *text = shown.text;
    if (owner_r->postmaster)
        return 0;
    int found = person_host_find(db, host.node, host.user, &owner_r->host, err);
    if (found == -1)
        return -1;
    if (found == 0)
        return err_set(err, ERR_UNKNOWN_USER, "there is no user %s", text);
    if (owner_r->host.person == 0)
        return err_set(err, ERR_UNKNOWN_USER, "%s is a reserved name; nobody gets mail there", text);
    found = person_load(db, owner_r->host.person, &owner_r->person, err);
    if (found != 1)
        return found == -1 ? -1 : err_set(err, ERR_BUG, "%s has an owner who is not in the ledger", text);
    if (owner_r->host.kind == HOST_RETIRED)
        return err_set(err, ERR_UNKNOWN_USER, "%s is no longer in use", text);
    return 0;
}

/* --- operators --- */

int registry_may_have(struct db *db, const struct registry_policy *policy, struct host_address host, int64_t person,
                      struct err *err)
{
    struct person_host held;
    struct person owner;
    struct host_address_text shown = host_address_text(host);
    const char *text = shown.text;
    if (userid_is_reserved(host.user) || registry_is_own(policy, host.user))
        return err_set(err, ERR_REFUSED, "%s is a reserved name; choose another", text);
    int found = person_host_find(db, host.node, host.user, &held, err);
    if (found == -1)
        return -1;
    if (found == 1 && held.person != 0 && held.person == person)
        return 0;
    if (found == 1) {
        if (held.person == 0 || person_load(db, held.person, &owner, err) != 1)
            return err_set(err, ERR_REFUSED, "%s is reserved; choose another", text);
        return err_set(err, ERR_REFUSED, "%s is the address of %.120s; no host address ever changes hands", text,
                       owner.address);
    }
    if (userid_is_number(host.user, policy->prefix))
        return err_set(err, ERR_REFUSED,
                       "%s has the form of the numbers that senders get (%c and seven digits, or %c, a letter and six "
                       "more); choose another",
                       text, policy->prefix, policy->prefix);
    return 0;
}

static int show_this(struct db *db, int64_t person, struct host_address host, int64_t now_us, struct err *err)
{
    int added = person_host_add(db, host.node, host.user, person, HOST_BY_OPERATOR, now_us, err);
    if (added == 0) /* it is this person's: in use again, whatever it was */
        added = person_host_set_kind(db, host.node, host.user, HOST_BY_OPERATOR, now_us, err) == 0 ? 1 : -1;
    return added == -1 ? -1 : person_set_main(db, person, host.node, host.user, err);
}

int registry_enter(struct db *db, const struct registry_policy *policy, const struct mailkey *key, const char *name,
                   struct host_address host, int64_t now_us, struct registry_answer *answer_r, struct err *err)
{
    struct person person;
    struct person_host shown;
    char taken[PERSON_NAME_SIZE];
    registry_take_name(name, taken);
    int found = person_find(db, key->text, &person, err);
    if (found == -1 || (!name8_empty(host.user) && registry_may_have(db, policy, host, person.key, err) == -1))
        return -1;
    if (found == 0 && person_add(db, key->text, taken, PERSON_ENTERED, now_us, &person.key, err) == -1)
        return -1;
    if (found == 1 && taken[0] != '\0' && person_set(db, person.key, taken, person.source, err) == -1)
        return -1;
    if (!name8_empty(host.user) && show_this(db, person.key, host, now_us, err) == -1)
        return -1;
    int shows = person_main(db, person.key, &shown, err);
    if (shows == 0 && give(db, policy, key, taken, &person, now_us, &shown, err) == 0)
        shows = 1;
    if (shows == 1)
        answer_with(answer_r, found == 0 ? REGISTRY_NEW : REGISTRY_KNOWN, &shown, person.key, now_us);
    return shows == 1 ? 0 : -1;
}

/* Adds `host` for a person who may be shown with another one already. */
static int add_wanted(struct db *db, const struct registry_policy *policy, struct host_address host, int64_t person,
                      int64_t now_us, struct err *err)
{
    bool paused = false;
    if (registry_may_have(db, policy, host, person, err) == -1 || registry_names_paused(db, &paused, err) == -1)
        return -1;
    if (paused)
        return err_set(err, ERR_BUSY,
                       "names cannot be chosen at the moment: the operator has to confirm them after a restore");
    if (person == 0)
        return 0;
    int added = person_host_add(db, host.node, host.user, person, HOST_BY_NAME, now_us, err);
    if (added == 0) /* it is this person's: in use again, whatever it was */
        added = person_host_set_kind(db, host.node, host.user, HOST_BY_NAME, now_us, err) == 0 ? 1 : -1;
    return added == -1 ? -1 : 0;
}

int registry_introduce(struct db *db, const struct registry_policy *policy, const struct mailkey *key,
                       struct name8 wanted, int64_t now_us, struct registry_answer *answer_r, struct err *err)
{
    struct person person;
    struct person_host shown;
    struct host_address host = { .node = policy->node, .user = wanted };
    int found = person_find(db, key->text, &person, err);
    if (found == -1 || (!name8_empty(wanted) && add_wanted(db, policy, host, person.key, now_us, err) == -1))
        return -1;
    if (found == 0 && person_add(db, key->text, "", PERSON_INTRODUCED, now_us, &person.key, err) == -1)
        return -1;
    int shows = person_main(db, person.key, &shown, err);
    if (found == 0 && !name8_empty(wanted) && add_wanted(db, policy, host, person.key, now_us, err) == -1)
        return -1;
    if (shows == 0 && !name8_empty(wanted))
        shows = person_set_main(db, person.key, host.node, host.user, err) == -1
                    ? -1
                    : person_main(db, person.key, &shown, err);
    else if (shows == 0 && give(db, policy, key, "", &person, now_us, &shown, err) == 0)
        shows = 1;
    if (shows != 1)
        return -1;
    answer_with(answer_r, found == 0 ? REGISTRY_NEW : REGISTRY_KNOWN, &shown, person.key, now_us);
    if (!name8_empty(wanted)) {
        answer_r->host = host;
        answer_r->kind = HOST_BY_NAME;
    }
    return 0;
}
