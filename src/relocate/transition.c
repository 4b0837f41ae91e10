/* Who may send mail under the addresses of a lineage: one instance at a time. Two would give one host address to two
 * people, which no later repair could undo; so every way between the states is here, and each refuses where the order
 * is wrong. */
#include "relocate/transition.h"

#include "base/clock.h"
#include "base/fault.h"
#include "store/audit.h"
#include "store/sequence.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

FAILPOINT_DECLARE("relocate.before-exporting");
FAILPOINT_DECLARE("relocate.before-moved");
FAILPOINT_DECLARE("relocate.before-undo");
FAILPOINT_DECLARE("relocate.before-cancel");
FAILPOINT_DECLARE("relocate.before-active");

enum { DAILY_FACTOR = 10 };

void transition_new_id(char id_r[TRANSITION_ID_SIZE])
{
    uint8_t chance[16];
    clock_random(chance, sizeof chance);
    for (size_t i = 0; i < sizeof chance; i++)
        (void)snprintf(id_r + 2 * i, 3, "%02x", chance[i]);
}

void transition_next(const struct instance *instance, char *to_r, size_t room)
{
    const char *bundle = instance->bundle;
    to_r[0] = '\0';
    switch (instance->state) {
    case INSTANCE_EXPORTING:
        (void)snprintf(
            to_r, room,
            "the export was not finished: \"ovvm relocate export FILE\" does it again; \"ovvm relocate cancel "
            "%s\" takes it back (with ovvmd stopped)",
            bundle);
        break;
    case INSTANCE_MOVED:
        (void)snprintf(to_r, room,
                       "it moved into bundle %s: import and activate that on the other machine, then \"ovvm relocate "
                       "done RECEIPT\" here; \"ovvm relocate export --again FILE\" writes the bundle anew",
                       bundle);
        break;
    case INSTANCE_IMPORTED:
        (void)snprintf(to_r, room, "it was imported: stop ovvmd, run \"ovvm relocate activate\", start ovvmd");
        break;
    case INSTANCE_REHEARSAL:
        (void)snprintf(
            to_r, room,
            "it is a rehearsal and never becomes active: remove its state directory when you have seen enough");
        break;
    case INSTANCE_DONE:
        (void)snprintf(to_r, room, "it moved and is active elsewhere: this installation can be removed");
        break;
    case INSTANCE_ACTIVE:
    case INSTANCE_STATES:
        break;
    }
}

static int refuse(const struct instance *instance, const char *wanted, struct err *err)
{
    char next[ERR_TEXT_SIZE];
    transition_next(instance, next, sizeof next);
    if (next[0] == '\0')
        (void)snprintf(next, sizeof next, "nothing has to be done");
    return err_set(err, ERR_REFUSED, "%s; %s", wanted, next);
}

static int set(struct db *db, struct instance *instance, enum instance_state state, const char *what, const char *who,
               struct err *err)
{
    instance->state = state;
    return instance_write(db, instance, err) == 0 &&
                   audit_add(db, clock_now(), who, what, span_text(instance->bundle), err) == 0
               ? 0
               : -1;
}

/* --- the old side --- */

int transition_begin(struct db *db, const char *bundle, const char *who, struct err *err)
{
    struct instance instance;
    if (instance_read(db, &instance, err) == -1)
        return -1;
    if (instance.state != INSTANCE_ACTIVE && instance.state != INSTANCE_EXPORTING)
        return refuse(&instance, "only an active instance can be exported", err);
    (void)snprintf(instance.bundle, sizeof instance.bundle, "%s", bundle);
    FAILPOINT("relocate.before-exporting");
    return set(db, &instance, INSTANCE_EXPORTING, "relocate export", who, err);
}

int transition_moved(struct db *db, const char *bundle, const char *who, struct err *err)
{
    struct instance instance;
    if (instance_read(db, &instance, err) == -1)
        return -1;
    bool same = strcmp(instance.bundle, bundle) == 0;
    if (instance.state == INSTANCE_MOVED && same)
        return 0;
    if (instance.state != INSTANCE_EXPORTING || !same)
        return refuse(&instance, "this instance is not being exported into that bundle", err);
    FAILPOINT("relocate.before-moved");
    return set(db, &instance, INSTANCE_MOVED, "relocate moved", who, err);
}

int transition_undo(struct db *db, const char *bundle, const char *who, struct err *err)
{
    struct instance instance;
    if (instance_read(db, &instance, err) == -1)
        return -1;
    if (instance.state == INSTANCE_ACTIVE)
        return 0;
    if (instance.state != INSTANCE_EXPORTING || strcmp(instance.bundle, bundle) != 0)
        return refuse(&instance, "this instance is not being exported into that bundle", err);
    FAILPOINT("relocate.before-undo");
    if (set(db, &instance, INSTANCE_ACTIVE, "relocate undo", who, err) == -1)
        return -1;
    instance.bundle[0] = '\0';
    return instance_write(db, &instance, err);
}

/* BUNDLE-GENERATION-CHECK; the check is the start of a SHA-256, against slips of the pen. */
static void make_receipt(const struct instance *instance, char receipt_r[TRANSITION_RECEIPT_SIZE])
{
    char text[160];
    uint8_t digest[EVP_MAX_MD_SIZE] = { 0 };
    int size = snprintf(text, sizeof text, "receipt %s %lld", instance->bundle, (long long)instance->generation);
    (void)EVP_Digest(text, (size_t)size, digest, NULL, EVP_sha256(), NULL);
    (void)snprintf(receipt_r, TRANSITION_RECEIPT_SIZE, "%s-%lld-%02x%02x%02x%02x", instance->bundle,
                   (long long)instance->generation, digest[0], digest[1], digest[2], digest[3]);
}

int transition_done(struct db *db, const char *receipt, const char *who, struct err *err)
{
    struct instance instance;
    char wanted[TRANSITION_RECEIPT_SIZE];
    if (instance_read(db, &instance, err) == -1)
        return -1;
    if (instance.state == INSTANCE_DONE)
        return err_set(err, ERR_NOT_FOUND, "this move is done already");
    if (instance.state != INSTANCE_MOVED)
        return refuse(&instance, "this instance did not move", err);
    /* where it was merged into another instance, that one's generation counts */
    struct instance there = instance;
    const char *digits = strchr(receipt, '-');
    there.generation = digits != NULL ? strtoll(digits + 1, NULL, 10) : 0;
    make_receipt(&there, wanted);
    if (there.generation <= instance.generation || strcmp(receipt, wanted) != 0)
        return err_set(
            err, ERR_REFUSED,
            "this is not the receipt for bundle %s: \"ovvm relocate activate\" printed it on the other machine "
            "(it prints it again there)",
            instance.bundle);
    return set(db, &instance, INSTANCE_DONE, "relocate done", who, err);
}

/* The highest next number of any node of ours. */
static int highest_next(struct db *db, int64_t *next_r, struct err *err)
{
    return db_one_int(db, next_r, err,
                      "SELECT coalesce(max(next), 1) FROM sequence WHERE name = '" REGISTRY_SEQUENCE
                      "' OR name LIKE '" REGISTRY_SEQUENCE " %'",
                      "") == -1
               ? -1
               : 0;
}

int transition_raise_numbers(struct db *db, int64_t next, struct err *err)
{
    if (sequence_raise(db, REGISTRY_SEQUENCE, next, err) == -1 ||
        sequence_raise(db, REGISTRY_SEQUENCE "s from", next, err) == -1)
        return -1;
    return db_run(db, err, "UPDATE sequence SET next = ?1 WHERE next < ?1 AND name LIKE '" REGISTRY_SEQUENCE " %'", "i",
                  next) == -1
               ? -1
               : 0;
}

/* When the other side was active nobody knows what it did: the move's own time is the last that this ledger knows. */
static int cancel_lossy(struct db *db, const char *who, struct transition_lossy *lossy_r, struct err *err)
{
    struct instance instance;
    int64_t moved_us = 0;
    if (db_one_int(db, &moved_us, err, "SELECT coalesce(max(at_us), 0) FROM audit WHERE what = 'relocate moved'", "") ==
            -1 ||
        transition_lossy(db, moved_us, "relocate cancel, was active", who, lossy_r, err) == -1 ||
        instance_read(db, &instance, err) == -1)
        return -1;
    instance.bundle[0] = '\0';
    return instance_write(db, &instance, err);
}

int transition_cancel(struct db *db, const char *bundle, enum transition_word word, const char *who,
                      struct transition_lossy *lossy_r, struct err *err)
{
    struct instance instance;
    int64_t next = 0;
    *lossy_r = (struct transition_lossy){ .jump = TRANSITION_SKIP };
    if (instance_read(db, &instance, err) == -1)
        return -1;
    bool done = instance.state == INSTANCE_DONE && word == TRANSITION_WAS_ACTIVE;
    if (instance.state != INSTANCE_EXPORTING && instance.state != INSTANCE_MOVED && !done)
        return refuse(&instance, "there is no export to take back", err);
    if (strcmp(instance.bundle, bundle) != 0)
        return err_set(err, ERR_REFUSED, "the last export went into bundle %s", instance.bundle);
    if (instance.state == INSTANCE_MOVED && word == TRANSITION_NO_WORD)
        return err_set(
            err, ERR_REFUSED,
            "was that bundle activated anywhere? Never, and never will be: add --never-activated. It was: export there "
            "and import here; if that side is lost: add --was-active");
    FAILPOINT("relocate.before-cancel");
    if (word == TRANSITION_WAS_ACTIVE && instance.state != INSTANCE_EXPORTING)
        return cancel_lossy(db, who, lossy_r, err);
    if (highest_next(db, &next, err) == -1)
        return -1;
    lossy_r->next = next + TRANSITION_SKIP;
    if (transition_raise_numbers(db, lossy_r->next, err) == -1 ||
        set(db, &instance, INSTANCE_ACTIVE, "relocate cancel", who, err) == -1)
        return -1;
    instance.bundle[0] = '\0';
    return instance_write(db, &instance, err);
}

/* --- the new side --- */

static int base36(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'A' && digit <= 'Z' ? digit - 'A' + 10 : -1;
}

bool transition_number(const char *user_id, int64_t *number_r)
{
    if (strlen(user_id) != 8 || user_id[0] < 'A' || user_id[0] > 'Z')
        return false;
    bool letter = user_id[1] >= 'A' && user_id[1] <= 'Z';
    int64_t number = letter ? user_id[1] - 'A' : 0;
    for (int i = letter ? 2 : 1; i < 8; i++) {
        int digit = base36(user_id[i]);
        if (digit == -1 || (!letter && digit > 9))
            return false;
        number = number * (letter ? 36 : 10) + digit;
    }
    *number_r = number + (letter ? 10000000 : 0);
    return true;
}

/* The first number that was never registered, by the rows themselves. kind 2: numbers; 6: retired, of any kind. */
static int first_free(struct db *db, int64_t *next_r, struct err *err)
{
    struct db_rows rows;
    *next_r = 1;
    int found = db_query(db, &rows, err, "SELECT user_id, kind FROM host_address WHERE kind IN (2, 6)", "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        char user_id[16];
        int64_t number = 0;
        db_text(&rows, 0, user_id, sizeof user_id);
        bool counts = transition_number(user_id, &number) && (db_int(&rows, 1) == 2 || number < 10000000);
        if (counts && number >= *next_r)
            *next_r = number + 1;
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

/* Pages and indexes of the database fit together. */
static int self_test(struct db *db, struct err *err)
{
    struct db_rows rows;
    char answer[160] = "";
    int found = db_query(db, &rows, err, "PRAGMA quick_check(1)", "");
    if (found == 0)
        found = db_next(&rows, err);
    if (found == 1)
        db_text(&rows, 0, answer, sizeof answer);
    db_end(&rows);
    if (found == -1)
        return -1;
    return strcmp(answer, "ok") == 0
               ? 0
               : err_set(err, ERR_REFUSED, "the ledger is damaged (%.100s): import it again", answer);
}

int transition_activate(struct db *db, const char *who, char receipt_r[TRANSITION_RECEIPT_SIZE], struct err *err)
{
    struct instance instance;
    int64_t next = 0;
    if (instance_read(db, &instance, err) == -1)
        return -1;
    if (instance.state == INSTANCE_ACTIVE && instance.bundle[0] != '\0') {
        make_receipt(&instance, receipt_r);
        return 0;
    }
    if (instance.state != INSTANCE_IMPORTED)
        return refuse(&instance, "only an imported instance can be activated", err);
    if (self_test(db, err) == -1 || first_free(db, &next, err) == -1 ||
        sequence_raise(db, REGISTRY_SEQUENCE, next, err) == -1)
        return -1;
    instance.generation++;
    make_receipt(&instance, receipt_r);
    FAILPOINT("relocate.before-active");
    return set(db, &instance, INSTANCE_ACTIVE, "relocate activate", who, err);
}

/* --- when something is lost --- */

/* The last term is for a backup that is restored a second time: the numbers given between the two restores are in
 * neither, so the second must begin above them, and only the clock tells the two apart. */
static int64_t jump_of(int64_t daily, int64_t since_us)
{
    int64_t passed_us = clock_now() - since_us;
    int64_t days = passed_us > 0 ? passed_us / CLOCK_DAY + 1 : 1;
    int64_t jump = 0;
    if (__builtin_mul_overflow(daily * DAILY_FACTOR, days, &jump))
        jump = INT64_MAX / 4;
    jump = jump > TRANSITION_SKIP ? jump : TRANSITION_SKIP;
    return jump + (passed_us > 0 ? passed_us / CLOCK_SECOND * TRANSITION_RATE : 0);
}

int transition_lossy(struct db *db, int64_t since_us, const char *what, const char *who,
                     struct transition_lossy *lossy_r, struct err *err)
{
    struct instance instance;
    int64_t daily = 0;
    int64_t stored = 0;
    int64_t next = 0;
    if (instance_read(db, &instance, err) == -1 ||
        db_one_int(db, &daily, err,
                   "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM host_address WHERE kind = 2"
                   " GROUP BY made_us / 86400000000) AS days",
                   "") == -1 ||
        highest_next(db, &stored, err) == -1 || first_free(db, &next, err) == -1)
        return -1;
    lossy_r->jump = jump_of(daily, since_us);
    lossy_r->next = (stored > next ? stored : next) + lossy_r->jump;
    lossy_r->held = db_run(db, err,
                           "UPDATE item SET state = 1, reason = 'held by a restore: it may have been delivered since'"
                           " WHERE queue <> 0 AND state = 0",
                           "");
    if (lossy_r->held == -1 || transition_raise_numbers(db, lossy_r->next, err) == -1 ||
        sequence_reserve(db, "names-lost", 1, 1, &stored, err) == -1) /* registry.h: no new names until confirmed */
        return -1;
    instance.generation++;
    return set(db, &instance, INSTANCE_ACTIVE, what, who, err);
}
