/* The ledger's threads: one writer with group commit, a few readers, one that moves the write-ahead log into the
 * database.
 *
 * What can go wrong. A job fails by itself: its SAVEPOINT is rolled back and the others of the batch are committed. The
 * whole commit fails (disk full, I/O error, memory): every job of the batch fails with that error, nothing of it is on
 * disk, and the doors answer "temporary". While that lasts, store_writable is false and the writer tries an empty
 * commit every second. A crash at any moment leaves the last commit that returned.
 */
#include "store/store.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/item.h"
#include "store/schema.h"
#include "store/sequence.h"
#include "store/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    READERS_DEFAULT = 2,
    READERS_MAX = 8,
    BATCH_MAX = 1024,                  /* jobs in one commit */
    PATIENT_MAX = 64,                  /* patient jobs that make a batch by themselves */
    COMPANY_WAIT_US = 3000,            /* the longest a job waits for as many others as came last time */
    CHECKPOINT_BYTES = 8 * 1024 * 1024 /* of write-ahead log before it is moved */
};

FAILPOINT_DECLARE("store.before-commit");
FAILPOINT_DECLARE("store.after-commit");

struct job_list {
    struct store_job *first;
    struct store_job **last;
    unsigned count;
};

struct store {
    struct loop *loop;
    struct instance instance;
    int folder_fd; /* locked: one daemon a ledger */
    struct db *writer, *checkpointer;
    struct db *readers[READERS_MAX];
    int reader_count;
    pthread_t writer_thread, checkpoint_thread, reader_threads[READERS_MAX];
    int writer_started, checkpoint_started, readers_started;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t write_wanted, read_wanted, checkpoint_wanted;
    struct job_list writes, reads;
    unsigned urgent;       /* of writes, those without patience */
    int64_t patience_ends; /* steady clock: of the others the earliest, while there are any */
    bool stopping, checkpoint_due;
    atomic_bool restart_due; /* the bulk of the log was moved: the writer moves the rest and starts it anew */
    /* finished jobs on their way to the loop */
    pthread_mutex_t done_lock;
    struct job_list finished;
    bool post_pending;
    struct loop_post post;
    /* loop's thread */
    unsigned backlog;
    struct store_listener *listeners;
    bool writable_told, fenced;
    /* any thread */
    atomic_bool writable;
    atomic_uint_least64_t jobs, commits, failed_jobs, failed_commits, checkpoints, wal_bytes;
};

static void list_init(struct job_list *list)
{
    *list = (struct job_list){ .first = NULL };
    list->last = &list->first;
}

static void list_add(struct job_list *list, struct store_job *job)
{
    job->next = NULL;
    *list->last = job;
    list->last = &job->next;
    list->count++;
}

/* Moves up to `limit` jobs of `from` to the end of `to`. */
static void list_take(struct job_list *from, struct job_list *to, unsigned limit)
{
    while (from->first != NULL && limit-- > 0) {
        struct store_job *job = from->first;
        from->first = job->next;
        from->count--;
        list_add(to, job);
    }
    if (from->first == NULL)
        from->last = &from->first;
}

/* --- back to the loop --- */

static void tell_listeners(struct store *store)
{
    bool writable = atomic_load(&store->writable);
    if (writable == store->writable_told)
        return;
    store->writable_told = writable;
    for (struct store_listener *listener = store->listeners; listener != NULL; listener = listener->next)
        listener->changed(listener->arg, writable);
}

static void run_finished(void *arg)
{
    struct store *store = arg;
    struct job_list finished;
    (void)pthread_mutex_lock(&store->done_lock);
    finished = store->finished;
    list_init(&store->finished);
    store->post_pending = false;
    (void)pthread_mutex_unlock(&store->done_lock);
    tell_listeners(store);
    for (struct store_job *job = finished.first, *next; job != NULL; job = next) {
        next = job->next; /* done may hand the job over again or free it */
        store->backlog--;
        job->done(job->arg, job->err.id == ERR_NONE ? NULL : &job->err);
    }
}

/* Hands the jobs of `list` to the loop and empties it. */
static void finish(struct store *store, struct job_list *list)
{
    (void)pthread_mutex_lock(&store->done_lock);
    list_take(list, &store->finished, list->count);
    bool post = !store->post_pending;
    store->post_pending = true;
    (void)pthread_mutex_unlock(&store->done_lock);
    if (post)
        loop_post(store->loop, &store->post);
}

/* --- the writer --- */

static int begin_job(struct db *db, struct err *err)
{
    return db_run(db, err, "SAVEPOINT job", "") == -1 ? -1 : 0;
}

static void run_job(struct store *store, struct store_job *job)
{
    struct db *db = store->writer;
    job->err = ERR_CLEAR;
    struct err ignored;
    if (begin_job(db, &job->err) == 0 && job->work(db, job->arg, &job->err) == 0) {
        if (db_run(db, &job->err, "RELEASE job", "") != -1)
            return;
    }
    if (job->err.id == ERR_NONE)
        (void)err_set(&job->err, ERR_BUG, "a ledger job failed without saying why");
    atomic_fetch_add(&store->failed_jobs, 1);
    if (db_in_transaction(db)) {
        (void)db_run(db, &ignored, "ROLLBACK TO job", "");
        (void)db_run(db, &ignored, "RELEASE job", "");
    }
}

static void fail_batch(struct job_list *batch, const struct err *err)
{
    for (struct store_job *job = batch->first; job != NULL; job = job->next)
        job->err = *err;
}

/* Commits the batch. On failure nothing of it is on disk and every job has an error. */
static int commit_batch(struct store *store, struct job_list *batch, struct err *err)
{
    struct db *db = store->writer;
    if (batch->count == 0)
        return 0;
    int result = db_begin(db, err);
    for (struct store_job *job = batch->first; job != NULL && result == 0; job = job->next) {
        run_job(store, job);
        if (!db_in_transaction(db)) { /* SQLite took everything back, the earlier jobs too */
            *err = job->err;
            result = -1;
        }
    }
    if (result == 0) {
        FAILPOINT("store.before-commit");
        result = db_commit(db, err);
        if (result == 0)
            FAILPOINT("store.after-commit");
    }
    if (result == 0)
        return 0;
    db_rollback(db);
    fail_batch(batch, err);
    return -1;
}

static void note_outcome(struct store *store, int result, const struct err *err)
{
    if (result == 0) {
        atomic_fetch_add(&store->commits, 1);
        uint64_t wal_bytes = db_wal_bytes(store->writer);
        atomic_store(&store->wal_bytes, wal_bytes);
        if (!atomic_exchange(&store->writable, true))
            log_info(LOG_STORE, 56120, "the ledger can be written again");
        if (atomic_exchange(&store->restart_due, false)) {
            struct err ignored;
            (void)db_checkpoint(store->writer, DB_CHECKPOINT_RESTART, &ignored); /* else with a later commit */
        } else if (wal_bytes > CHECKPOINT_BYTES) {
            (void)pthread_mutex_lock(&store->lock);
            store->checkpoint_due = true;
            (void)pthread_cond_signal(&store->checkpoint_wanted);
            (void)pthread_mutex_unlock(&store->lock);
        }
        return;
    }
    atomic_fetch_add(&store->failed_commits, 1);
    if (err->id != ERR_BUSY && atomic_exchange(&store->writable, false))
        log_err(LOG_STORE, err, "the ledger cannot be written; mail waits and nothing is accepted until it can");
}

static struct timespec timespec_of(int64_t steady_us)
{
    return (struct timespec){ .tv_sec = steady_us / CLOCK_SECOND, .tv_nsec = steady_us % CLOCK_SECOND * 1000 };
}

/* Waits, under the lock, for work that somebody waits for; for patient work until there is much of it or the first has
 * lost its patience; for a second where the ledger is not writable. */
static void wait_for_work(struct store *store)
{
    int64_t second_us = clock_steady() + CLOCK_SECOND;
    while (store->urgent == 0 && store->writes.count < PATIENT_MAX && !store->stopping) {
        if (store->writes.count == 0 && atomic_load(&store->writable)) {
            (void)pthread_cond_wait(&store->write_wanted, &store->lock);
            continue;
        }
        struct timespec deadline = timespec_of(store->writes.count > 0 ? store->patience_ends : second_us);
        if (pthread_cond_timedwait(&store->write_wanted, &store->lock, &deadline) == ETIMEDOUT)
            return;
    }
}

/* `company` is how many urgent jobs came together lately: under load it pays to wait a moment for as many. One that
 * comes alone, and did so before, does not wait. */
static void wait_for_company(struct store *store, unsigned company)
{
    struct timespec deadline = timespec_of(clock_steady() + COMPANY_WAIT_US);
    while (store->urgent > 0 && store->urgent < company && !store->stopping)
        if (pthread_cond_timedwait(&store->write_wanted, &store->lock, &deadline) == ETIMEDOUT)
            return;
}

/* Is there room again? A commit of one small write: one that changed nothing would succeed on a full disk. */
static int probe(struct db *db, struct err *err)
{
    int64_t number;
    if (db_begin(db, err) == 0 && sequence_reserve(db, "probe", 0, 1, &number, err) == 0 && db_commit(db, err) == 0)
        return 0;
    db_rollback(db);
    return -1;
}

static void *write_loop(void *arg)
{
    struct store *store = arg;
    unsigned company = 0;
    for (;;) {
        struct job_list batch;
        list_init(&batch);
        (void)pthread_mutex_lock(&store->lock);
        wait_for_work(store);
        wait_for_company(store, company);
        company = store->urgent > company / 2 ? store->urgent : company / 2;
        list_take(&store->writes, &batch, BATCH_MAX);
        for (const struct store_job *job = batch.first; job != NULL; job = job->next)
            store->urgent -= job->patience_us > 0 ? 0 : 1;
        bool stop = store->stopping && batch.count == 0;
        (void)pthread_mutex_unlock(&store->lock);
        if (stop)
            return NULL;
        bool was_writable = atomic_load(&store->writable);
        atomic_fetch_add(&store->jobs, batch.count);
        struct err err = ERR_CLEAR;
        int result = was_writable ? 0 : probe(store->writer, &err);
        if (result == 0)
            result = commit_batch(store, &batch, &err);
        else
            fail_batch(&batch, &err);
        note_outcome(store, result, &err);
        if (batch.count > 0 || was_writable != atomic_load(&store->writable))
            finish(store, &batch);
    }
}

/* --- readers and checkpoints --- */

static void *read_loop(void *arg)
{
    struct store *store = arg;
    (void)pthread_mutex_lock(&store->lock);
    struct db *db = store->readers[store->readers_started++];
    for (;;) {
        while (store->reads.count == 0 && !store->stopping)
            (void)pthread_cond_wait(&store->read_wanted, &store->lock);
        if (store->reads.count == 0)
            break;
        struct job_list one;
        list_init(&one);
        list_take(&store->reads, &one, 1);
        (void)pthread_mutex_unlock(&store->lock);
        struct store_job *job = one.first;
        job->err = ERR_CLEAR;
        if (job->work(db, job->arg, &job->err) == -1 && job->err.id == ERR_NONE)
            (void)err_set(&job->err, ERR_BUG, "a ledger read failed without saying why");
        finish(store, &one);
        (void)pthread_mutex_lock(&store->lock);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

static void *checkpoint_loop(void *arg)
{
    struct store *store = arg;
    (void)pthread_mutex_lock(&store->lock);
    while (!store->stopping) {
        if (!store->checkpoint_due) {
            (void)pthread_cond_wait(&store->checkpoint_wanted, &store->lock);
            continue;
        }
        store->checkpoint_due = false;
        (void)pthread_mutex_unlock(&store->lock);
        struct err err = ERR_CLEAR;
        if (db_checkpoint(store->checkpointer, DB_CHECKPOINT_MOVE, &err) == -1)
            log_trace(LOG_STORE, err_log_number(err.id), "checkpoint: %s", err.text); /* the log keeps everything */
        else
            atomic_store(&store->restart_due, true);
        atomic_fetch_add(&store->checkpoints, 1);
        (void)pthread_mutex_lock(&store->lock);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* --- opening and closing --- */

int store_lock(const char *state, int *fd_r, struct err *err)
{
    *fd_r = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd_r == -1)
        return err_set(err, ERR_CONFIG, "the state directory %.180s cannot be opened: %m", state);
    if (flock(*fd_r, LOCK_EX | LOCK_NB) == 0)
        return 0;
    (void)close(*fd_r);
    *fd_r = -1;
    return err_set(err, ERR_REFUSED, "another ovvmd already uses the state directory %.150s; stop it first", state);
}

int store_path(const char *url, char *path_r, size_t room, struct err *err)
{
    static const char scheme[] = "sqlite:";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0 || url[sizeof scheme - 1] != '/')
        return err_set(err, ERR_CONFIG, "the ledger's url \"%.150s\" is not of the form sqlite:/path", url);
    (void)snprintf(path_r, room, "%s", url + sizeof scheme - 1);
    if (strlen(url + sizeof scheme - 1) >= room)
        return err_set(err, ERR_CONFIG, "the ledger's path is longer than %zu bytes", room - 1);
    return 0;
}

static int open_databases(struct store *store, const struct store_options *options, struct err *err)
{
    char path[512];
    const char *vfs = NULL;
    if (store_path(options->url, path, sizeof path, err) == -1 || vfs_choose(path, &vfs, err) == -1)
        return -1;
    struct db_options first = { .path = path, .vfs = vfs, .create = options->create };
    struct db_options further = { .path = path, .vfs = vfs };
    if (db_open(&first, &store->writer, err) == -1 || schema_migrate(store->writer, err) == -1 ||
        db_begin(store->writer, err) == -1)
        return -1;
    if (instance_claim(store->writer, options->state, &store->instance, err) == -1 ||
        item_key_start(store->writer, err) == -1 ||
        (options->loop != NULL && item_forget_unfinished(store->writer, err) == -1) ||
        db_commit(store->writer, err) == -1) {
        db_rollback(store->writer);
        return -1;
    }
    if (options->loop == NULL)
        return 0;
    store->reader_count = options->readers > 0 && options->readers <= READERS_MAX ? options->readers : READERS_DEFAULT;
    if (db_open(&further, &store->checkpointer, err) == -1)
        return -1;
    for (int i = 0; i < store->reader_count; i++)
        if (db_open(&further, &store->readers[i], err) == -1)
            return -1;
    return 0;
}

static int start_threads(struct store *store, struct err *err)
{
    bool started = pthread_create(&store->writer_thread, NULL, write_loop, store) == 0;
    store->writer_started = started;
    if (started)
        store->checkpoint_started = started =
            pthread_create(&store->checkpoint_thread, NULL, checkpoint_loop, store) == 0;
    int readers = 0;
    while (started && readers < store->reader_count) {
        started = pthread_create(&store->reader_threads[readers], NULL, read_loop, store) == 0;
        readers += started ? 1 : 0;
    }
    store->reader_count = readers;
    return started ? 0 : err_set(err, ERR_NO_MEMORY, "the ledger's threads cannot be started: %m");
}

int store_open(const struct store_options *options, struct store **store_r, struct err *err)
{
    *store_r = NULL;
    struct store *store = mem_zero(sizeof *store);
    if (store == NULL)
        return err_set(err, ERR_NO_MEMORY, "ledger: out of memory");
    store->loop = options->loop;
    store->folder_fd = -1;
    store->writable_told = true;
    atomic_store(&store->writable, true);
    store->post = (struct loop_post){ .run = run_finished, .arg = store };
    list_init(&store->writes);
    list_init(&store->reads);
    list_init(&store->finished);
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_mutex_init(&store->done_lock, NULL);
    pthread_condattr_t steady;
    (void)pthread_condattr_init(&steady);
    (void)pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->write_wanted, &steady);
    (void)pthread_cond_init(&store->read_wanted, &steady);
    (void)pthread_cond_init(&store->checkpoint_wanted, &steady);
    (void)pthread_condattr_destroy(&steady);
    if ((options->loop != NULL && store_lock(options->state, &store->folder_fd, err) == -1) ||
        open_databases(store, options, err) == -1 || (options->loop != NULL && start_threads(store, err) == -1)) {
        store_close(store);
        return -1;
    }
    *store_r = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    (void)pthread_mutex_lock(&store->lock);
    store->stopping = true;
    (void)pthread_cond_broadcast(&store->write_wanted);
    (void)pthread_cond_broadcast(&store->read_wanted);
    (void)pthread_cond_broadcast(&store->checkpoint_wanted);
    (void)pthread_mutex_unlock(&store->lock);
    if (store->writer_started)
        (void)pthread_join(store->writer_thread, NULL);
    if (store->checkpoint_started)
        (void)pthread_join(store->checkpoint_thread, NULL);
    for (int i = 0; store->writer_started && i < store->reader_count; i++)
        (void)pthread_join(store->reader_threads[i], NULL);
    run_finished(store);
    for (int i = 0; i < READERS_MAX; i++)
        db_close(store->readers[i]);
    db_close(store->checkpointer);
    db_close(store->writer); /* the last one: SQLite moves the rest of the log and removes it */
    if (store->folder_fd != -1)
        (void)close(store->folder_fd);
    (void)pthread_cond_destroy(&store->write_wanted);
    (void)pthread_cond_destroy(&store->read_wanted);
    (void)pthread_cond_destroy(&store->checkpoint_wanted);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_mutex_destroy(&store->done_lock);
    mem_free(store);
}

/* --- handing over --- */

void store_fence(struct store *store, bool fenced)
{
    store->fenced = fenced;
}

/* Its `done` comes from the loop, as if the ledger had refused it. */
static void turn_away(struct store *store, struct store_job *job)
{
    struct job_list refused;
    list_init(&refused);
    list_add(&refused, job);
    job->err = ERR_CLEAR;
    (void)err_set(&job->err, ERR_NOT_ACTIVE, "this instance is being moved; nothing is changed in it");
    finish(store, &refused);
}

void store_write(struct store *store, struct store_job *job)
{
    store->backlog++;
    if (store->fenced && !job->beyond_fence) {
        turn_away(store, job);
        return;
    }
    (void)pthread_mutex_lock(&store->lock);
    int64_t ends_us = clock_steady() + job->patience_us;
    bool first = store->writes.count == store->urgent; /* of the patient ones */
    bool wake = job->patience_us == 0 || first || ends_us < store->patience_ends;
    if (job->patience_us == 0)
        store->urgent++;
    else if (wake)
        store->patience_ends = ends_us;
    list_add(&store->writes, job);
    if (wake || store->writes.count >= PATIENT_MAX)
        (void)pthread_cond_signal(&store->write_wanted);
    (void)pthread_mutex_unlock(&store->lock);
}

void store_read(struct store *store, struct store_job *job)
{
    store->backlog++;
    (void)pthread_mutex_lock(&store->lock);
    list_add(&store->reads, job);
    (void)pthread_cond_signal(&store->read_wanted);
    (void)pthread_mutex_unlock(&store->lock);
}

unsigned store_backlog(const struct store *store)
{
    return store->backlog;
}

bool store_writable(const struct store *store)
{
    return store->writable_told;
}

void store_listen(struct store *store, struct store_listener *listener)
{
    listener->next = store->listeners;
    store->listeners = listener;
}

struct instance store_instance(const struct store *store)
{
    return store->instance;
}

struct db *store_db(struct store *store)
{
    return store->writer;
}

struct store_figures store_figures(const struct store *store)
{
    return (struct store_figures){
        .jobs = atomic_load(&store->jobs),
        .commits = atomic_load(&store->commits),
        .failed_jobs = atomic_load(&store->failed_jobs),
        .failed_commits = atomic_load(&store->failed_commits),
        .checkpoints = atomic_load(&store->checkpoints),
        .wal_bytes = atomic_load(&store->wal_bytes),
    };
}
