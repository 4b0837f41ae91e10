/* Whose ledger. A cloned virtual machine or a copied folder would give one host address to two people: so a ledger that
 * wakes up elsewhere does not start mail until the operator has said what happened. */
#include "store/instance.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const state_names[INSTANCE_STATES] = {
    [INSTANCE_ACTIVE] = "active",     [INSTANCE_EXPORTING] = "exporting", [INSTANCE_MOVED] = "moved",
    [INSTANCE_IMPORTED] = "imported", [INSTANCE_REHEARSAL] = "rehearsal", [INSTANCE_DONE] = "done",
};

const char *instance_state_name(enum instance_state state)
{
    return state_names[state];
}

static void read_machine(char *to_r, size_t room)
{
    to_r[0] = '\0';
    FILE *file = fopen("/etc/machine-id", "re");
    char line[80] = "";
    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL)
            line[strcspn(line, "\r\n")] = '\0';
        (void)fclose(file);
    }
    if (line[0] == '\0' && gethostname(line, sizeof line - 1) == -1)
        line[0] = '\0';
    (void)snprintf(to_r, room, "%s", line);
}

static int read_path(const char *state_path, char *to_r, size_t room, struct err *err)
{
    char *real = realpath(state_path, NULL);
    if (real == NULL)
        return err_set(err, ERR_CONFIG, "the state directory %.150s cannot be found: %m", state_path);
    int size = snprintf(to_r, room, "%s", real);
    free(real);
    if (size < 0 || (size_t)size >= room)
        return err_set(err, ERR_CONFIG, "the path of the state directory is longer than %zu bytes", room - 1);
    return 0;
}

int instance_read(struct db *db, struct instance *instance_r, struct err *err)
{
    *instance_r = (struct instance){ .state = INSTANCE_STATES };
    struct db_rows rows;
    int found = db_query(db, &rows, err, "SELECT lineage, generation, state, bundle, machine, path FROM instance", "");
    if (found == 0)
        found = db_next(&rows, err);
    if (found == 1) {
        char state[16];
        db_text(&rows, 0, instance_r->lineage, sizeof instance_r->lineage);
        instance_r->generation = db_int(&rows, 1);
        db_text(&rows, 2, state, sizeof state);
        db_text(&rows, 3, instance_r->bundle, sizeof instance_r->bundle);
        db_text(&rows, 4, instance_r->machine, sizeof instance_r->machine);
        db_text(&rows, 5, instance_r->path, sizeof instance_r->path);
        for (int i = 0; i < INSTANCE_STATES; i++)
            if (strcmp(state, state_names[i]) == 0)
                instance_r->state = (enum instance_state)i;
    }
    db_end(&rows);
    if (found == -1)
        return -1;
    return found == 1 ? 0 : err_set(err, ERR_STORE_IO, "ledger: the instance row is missing");
}

static int fill_new(struct db *db, const char *machine, const char *path, struct err *err)
{
    uint8_t chance[16];
    char lineage[33];
    clock_random(chance, sizeof chance);
    for (size_t i = 0; i < sizeof chance; i++)
        (void)snprintf(lineage + 2 * i, 3, "%02x", chance[i]);
    int64_t changed = db_run(db, err,
                             "UPDATE instance SET lineage = ?1, state = 'active', machine = ?2, path = ?3, made_us = ?4"
                             " WHERE state = 'new'",
                             "ttti", lineage, machine, path, clock_now());
    return changed == -1 ? -1 : 0;
}

int instance_write(struct db *db, const struct instance *instance, struct err *err)
{
    return db_run(db, err, "UPDATE instance SET state = ?1, lineage = ?2, generation = ?3, bundle = ?4", "ttit",
                  state_names[instance->state], instance->lineage, instance->generation, instance->bundle) == -1
               ? -1
               : 0;
}

int instance_adopt(struct db *db, const char *state_path, struct err *err)
{
    char machine[sizeof((struct instance *)0)->machine];
    char path[sizeof((struct instance *)0)->path];
    read_machine(machine, sizeof machine);
    if (read_path(state_path, path, sizeof path, err) == -1)
        return -1;
    return db_run(db, err, "UPDATE instance SET machine = ?1, path = ?2", "tt", machine, path) == -1 ? -1 : 0;
}

int instance_claim(struct db *db, const char *state_path, struct instance *instance_r, struct err *err)
{
    char machine[sizeof instance_r->machine];
    char path[sizeof instance_r->path];
    read_machine(machine, sizeof machine);
    if (read_path(state_path, path, sizeof path, err) == -1 || fill_new(db, machine, path, err) == -1 ||
        instance_read(db, instance_r, err) == -1)
        return -1;
    if (instance_r->state == INSTANCE_STATES)
        return err_set(err, ERR_CONFIG, "the ledger is in a state that this release does not know");
    if (strcmp(machine, instance_r->machine) != 0)
        return err_set(err, ERR_REFUSED,
                       "this ledger was used on another machine (%.40s; this is %.40s). If it was moved or cloned, run "
                       "\"ovvm relocate adopt\"",
                       instance_r->machine, machine);
    if (strcmp(path, instance_r->path) != 0)
        return err_set(err, ERR_REFUSED,
                       "this ledger was used at %.80s and is now at %.80s. If the folder was moved or copied, run "
                       "\"ovvm relocate adopt\"",
                       instance_r->path, path);
    return 0;
}

int instance_check_active(struct db *db, struct err *err)
{
    struct instance instance;
    if (instance_read(db, &instance, err) == -1)
        return -1;
    return instance.state == INSTANCE_ACTIVE
               ? 0
               : err_set(err, ERR_NOT_ACTIVE, "this instance is %s; nothing is changed in it",
                         instance_state_name(instance.state));
}
