/* store: the ledger. Every durable fact of the connector lives here, and nothing outside it is truth.
 *
 * Asynchronous, reads too: a job is handed over with store_write or store_read, its `work` runs in a ledger thread
 * on a database connection, and its `done` runs in the loop's thread: for a write only after the commit that holds
 * it has reached the disk. The writer commits whatever is waiting with one fsync; each job has a SAVEPOINT of its
 * own, so that one bad letter fails alone. Jobs are embedded in their owner's structure: handing one over cannot
 * fail and allocates nothing. The owner leaves job and arg alone until `done`.
 *
 * The promise and what a crash between any two steps leaves: store/README.md.
 */
#ifndef OVVM_STORE_STORE_H
#define OVVM_STORE_STORE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "store/instance.h"

#include <stdbool.h>
#include <stdint.h>

/* What a job whose result only this process waits for may wait for others. */
#define STORE_PATIENCE_US (3 * CLOCK_MILLISECOND)

struct store;
struct db; /* one connection, inside a job: store/db.h */

struct store_job {
    /* In a ledger thread. -1 with *err rolls back this job alone. Must not keep pointers into the database. May run
     * twice (a commit that failed for another job's sake is tried again), so it sets its results rather than adding to
     * them. */
    int (*work)(struct db *db, void *arg, struct err *err);
    /* In the loop's thread. `err` is NULL after success. */
    void (*done)(void *arg, const struct err *err);
    void *arg;
    /* Writes: nobody waits for it, so it goes along with the next one that somebody waits for, but not later than this
     * (0: at once). Nothing is lost by a crash before it that a crash before store_write would not lose. */
    int64_t patience_us;
    bool beyond_fence; /* store_fence does not hold it up */
    /* the rest is the ledger's */
    struct err err;
    struct loop_post post;
    struct store_job *next;
};

struct store_options {
    const char *url;   /* "sqlite:/path/of/ovvm.db" */
    const char *state; /* state directory: must be the one the ledger was made in (whose-ledger check) */
    struct loop *loop; /* NULL: no threads and no jobs, only store_db (command-line tools) */
    int readers;       /* reader threads; 0: 2 */
    bool create;       /* make the ledger where there is none */
};

/* Opens, migrates, checks whose ledger it is. Errors: CONFIG (url, newer schema), REFUSED (another machine or state
 * path: says `ovvm relocate adopt`), STORE_IO, DISK_FULL. */
int store_open(const struct store_options *options, struct store **store_r, struct err *err);
/* Finishes the jobs that were handed over, runs their `done` and closes. Loop's thread. */
void store_close(struct store *store);

/* The lock that a running daemon holds on its state directory, for programs that change a stopped daemon's ledger.
 * Released with close(). REFUSED where a daemon (or another such program) runs, CONFIG. */
int store_lock(const char *state, int *fd_r, struct err *err);
/* The file in a url "sqlite:/path". CONFIG. */
int store_path(const char *url, char *path_r, size_t room, struct err *err);

void store_write(struct store *store, struct store_job *job);
void store_read(struct store *store, struct store_job *job);

/* From now on (until fenced is false again) writes fail with NOT_ACTIVE, but those that are `beyond_fence`; what was
 * handed over before is written first. So what an export shows is what was, however late an answer comes. Loop's
 * thread.
 */
void store_fence(struct store *store, bool fenced);

/* Jobs handed over and not yet done: the doors slow down at a limit of theirs. Loop's thread. */
unsigned store_backlog(const struct store *store);
/* False while the last commit failed for want of room or I/O; the ledger tries by itself every second and tells
 * `changed` (one listener each; more may be added). Loop's thread. */
bool store_writable(const struct store *store);
struct store_listener {
    void (*changed)(void *arg, bool writable);
    void *arg;
    struct store_listener *next;
};
void store_listen(struct store *store, struct store_listener *listener);

/* Whose ledger it is and in which state, as read at open. */
struct instance store_instance(const struct store *store);

/* The connection of a store opened without a loop. */
struct db *store_db(struct store *store);

/* Group commit in numbers, since the start. */
struct store_figures {
    uint64_t jobs, commits, failed_jobs, failed_commits, checkpoints;
    uint64_t wal_bytes;
};
struct store_figures store_figures(const struct store *store);

#endif
