/* Opening the ledger from a command. The daemon's lock says whether one runs; a change without that lock is never made.
 */
#include "relocate/ledger.h"

#include "store/instance.h"
#include "store/schema.h"
#include "store/store.h"

#include <stdio.h>
#include <unistd.h>

static int check_schema(struct db *db, struct err *err)
{
    int64_t version = 0;
    if (schema_version(db, &version, err) == -1)
        return -1;
    return version == SCHEMA_VERSION
               ? 0
               : err_set(err, ERR_REFUSED,
                         "the ledger has schema %d and this program has %d: ovvm and ovvmd must be of the same release",
                         (int)version, SCHEMA_VERSION);
}

/* Brings it to this release's schema and says whose it is. */
static int take_over(struct ledger *ledger, enum ledger_mode mode, struct err *err)
{
    struct instance instance;
    if (schema_migrate(ledger->db, err) == -1 || db_begin(ledger->db, err) == -1)
        return -1;
    if ((mode == LEDGER_CHANGE && instance_claim(ledger->db, ledger->state, &instance, err) == -1) ||
        db_commit(ledger->db, err) == -1) {
        db_rollback(ledger->db);
        return -1;
    }
    return 0;
}

int ledger_open(const char *url, const char *state, enum ledger_mode mode, struct ledger *ledger_r, struct err *err)
{
    *ledger_r = (struct ledger){ .lock_fd = -1 };
    (void)snprintf(ledger_r->state, sizeof ledger_r->state, "%s", state);
    if (store_path(url, ledger_r->path, sizeof ledger_r->path, err) == -1)
        return -1;
    ledger_r->path[strcspn(ledger_r->path, "?")] = '\0';
    if (access(ledger_r->path, F_OK) == -1)
        return err_set(err, ERR_NOT_FOUND, "there is no ledger at %.180s", ledger_r->path);
    if (mode != LEDGER_READ && store_lock(state, &ledger_r->lock_fd, err) == -1)
        return -1;
    struct db_options options = { .path = ledger_r->path, .read_only = mode == LEDGER_READ };
    if (db_open(&options, &ledger_r->db, err) == -1)
        return -1;
    return mode == LEDGER_READ ? check_schema(ledger_r->db, err) : take_over(ledger_r, mode, err);
}

void ledger_close(struct ledger *ledger)
{
    db_close(ledger->db);
    ledger->db = NULL;
    if (ledger->lock_fd != -1)
        (void)close(ledger->lock_fd);
    ledger->lock_fd = -1;
}

int ledger_commit(struct ledger *ledger, int (*work)(struct db *db, void *arg, struct err *err), void *arg,
                  struct err *err)
{
    if (db_begin(ledger->db, err) == -1)
        return -1;
    if (work(ledger->db, arg, err) == 0 && db_commit(ledger->db, err) == 0)
        return 0;
    db_rollback(ledger->db);
    return -1;
}
