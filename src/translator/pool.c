/* The queue in front of the translators, and the daemon's ear at the zygote.
 *
 * Jobs wait in one queue; whoever is idle gets the oldest. Work is handed out from a timer that fires at once, never
 * from within a caller, so that callbacks do not come while their job is being submitted. What can go wrong: no
 * translator becomes free (the oldest job fails with BUSY at the wait limit, the letter stays where it is); the zygote
 * ends (nothing can be translated any more; said once, to everybody).
 */
#include "translator/pool.h"

#include "translator/sealed.h"
#include "translator/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

struct translator {
    struct worker_pool shared;
    struct event *zygote_readable;
    struct worker workers[TRANSLATOR_CHILDREN_MAX];
    struct translator_job *first, **last; /* that wait */
    unsigned queued;
    uint64_t done, failed;
    struct loop_timer handing_out; /* due at once */
    struct loop_timer wait_limit;  /* of the first job */
    bool draining;
    bool is_lost;
    void (*drained)(void *arg);
    void *drained_arg;
};

struct worker_pool *pool_of_workers(struct translator *pool)
{
    return &pool->shared;
}

/* --- the queue --- */

static struct translator_job *take_first(struct translator *pool)
{
    struct translator_job *job = pool->first;
    if (job == NULL)
        return NULL;
    pool->first = job->next;
    if (pool->first == NULL)
        pool->last = &pool->first;
    pool->queued--;
    return job;
}

static unsigned count_workers(const struct translator *pool, enum worker_state state)
{
    unsigned count = 0;
    for (unsigned i = 0; i < pool->shared.options.children; i++)
        count += pool->workers[i].state == state;
    return count;
}

static bool is_empty(const struct translator *pool)
{
    if (pool->first != NULL)
        return false;
    for (unsigned i = 0; i < pool->shared.options.children; i++)
        if (pool->workers[i].job != NULL)
            return false;
    return true;
}

void pool_job_done(struct translator *pool, struct translator_job *job, struct span output, const struct err *err)
{
    bool outside =
        err != NULL && (translator_blames_child(err->id) || err->id == ERR_BUSY || err->id == ERR_SHUTTING_DOWN);
    pool->done += !outside;
    pool->failed += outside;
    job->done(job->arg, output, err);
    loop_timer_set(&pool->handing_out, 0);
}

void pool_worker_changed(struct translator *pool)
{
    loop_timer_set(&pool->handing_out, 0);
}

static void set_wait_limit(struct translator *pool)
{
    if (pool->first == NULL)
        loop_timer_unset(&pool->wait_limit);
    else
        loop_timer_set(&pool->wait_limit,
                       pool->first->submitted_us + pool->shared.options.wait_limit_us - clock_steady());
}

static void wait_limit_reached(void *arg)
{
    struct translator *pool = arg;
    struct err err = ERR_CLEAR;
    (void)err_set(&err, ERR_BUSY, "no translator became free in %lld s",
                  (long long)(pool->shared.options.wait_limit_us / CLOCK_SECOND));
    while (pool->first != NULL && clock_steady() - pool->first->submitted_us >= pool->shared.options.wait_limit_us)
        pool_job_done(pool, take_first(pool), SPAN_EMPTY, &err);
    set_wait_limit(pool);
}

static void tell_drained(struct translator *pool)
{
    void (*drained)(void *) = pool->drained;
    pool->drained = NULL;
    if (drained != NULL)
        drained(pool->drained_arg);
}

static void hand_out(void *arg)
{
    struct translator *pool = arg;
    for (unsigned i = 0; i < pool->shared.options.children && !pool->is_lost; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->state == WORKER_IDLE && worker_is_stale(worker))
            worker_recycle(worker);
        else if (worker->state == WORKER_IDLE && pool->first != NULL)
            worker_begin(worker, take_first(pool));
    }
    set_wait_limit(pool);
    if (is_empty(pool))
        tell_drained(pool);
}

int translator_submit(struct translator *translator, struct translator_job *job, struct err *err)
{
    if (translator->draining || translator->is_lost)
        return err_set(err, ERR_SHUTTING_DOWN, "the connector is stopping");
    if (translator->queued >= TRANSLATOR_QUEUE_MAX)
        return err_set(err, ERR_BUSY, "%u translations are waiting already", translator->queued);
    job->next = NULL;
    job->submitted_us = clock_steady();
    *translator->last = job;
    translator->last = &job->next;
    translator->queued++;
    loop_timer_set(&translator->handing_out, 0);
    return 0;
}

/* --- the zygote --- */

static void fail_all(struct translator *pool, const struct err *err)
{
    for (unsigned i = 0; i < pool->shared.options.children; i++) {
        struct worker *worker = &pool->workers[i];
        struct translator_job *job = worker->job;
        worker->job = NULL;
        if (job != NULL)
            pool_job_done(pool, job, SPAN_EMPTY, err);
    }
    while (pool->first != NULL)
        pool_job_done(pool, take_first(pool), SPAN_EMPTY, err);
}

void pool_lost(struct translator *pool, const char *why)
{
    struct err err = ERR_CLEAR;
    if (pool->is_lost)
        return;
    pool->is_lost = true;
    (void)event_del(pool->zygote_readable);
    for (unsigned i = 0; i < pool->shared.options.children; i++)
        worker_free(&pool->workers[i]);
    (void)err_set(&err, ERR_SHUTTING_DOWN, "the process that makes the translators is lost: %s", why);
    fail_all(pool, &err);
    tell_drained(pool);
    if (pool->shared.options.lost != NULL)
        pool->shared.options.lost(pool->shared.options.arg, &err);
}

static void take_report(struct translator *pool, const struct zygote_report *report, const int *fds, size_t count)
{
    for (unsigned i = 0; i < pool->shared.options.children; i++)
        if (pool->workers[i].serial == report->serial) {
            worker_report(&pool->workers[i], report, fds, count);
            return;
        }
    message_close(fds, count);
}

/* How the zygote ended, for people. A socket is closed a moment before a process has ended; the signal makes the wait
 * short also where it only closed its socket, and does not change how one ends that is ending already. */
static void describe_zygote(const struct zygote *zygote, char *to_r, size_t room)
{
    siginfo_t end = { .si_pid = 0 };
    (void)kill(zygote->pid, SIGKILL);
    if (waitid(P_PID, (id_t)zygote->pid, &end, WEXITED | WNOWAIT) == 0)
        (void)snprintf(to_r, room, "it %s %d", end.si_code == CLD_EXITED ? "ended with status" : "was killed by signal",
                       end.si_status);
}

static void zygote_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct translator *pool = arg;
    struct zygote_report report;
    int fds[MESSAGE_FDS_MAX];
    size_t count;
    ssize_t size = message_receive(fd, &report, sizeof report, fds, &count);
    if (size == -1 && errno == EAGAIN)
        return;
    if (size == (ssize_t)sizeof report) {
        take_report(pool, &report, fds, count);
        pool_worker_changed(pool);
        return;
    }
    message_close(fds, count);
    char why[64] = "it does not make sense";
    if (size == 0 || (size == -1 && errno == ECONNRESET))
        describe_zygote(pool->shared.zygote, why, sizeof why);
    pool_lost(pool, why);
}

/* --- beginning and end --- */

static struct translator_options complete(const struct translator_options *given)
{
    struct translator_options options = *given;
    if (options.children == 0)
        options.children = 2;
    if (options.children > TRANSLATOR_CHILDREN_MAX)
        options.children = TRANSLATOR_CHILDREN_MAX;
    if (options.time_limit_us == 0)
        options.time_limit_us = CLOCK_MINUTE;
    if (options.wait_limit_us == 0)
        options.wait_limit_us = 5 * CLOCK_MINUTE;
    if (options.memory_limit == 0)
        options.memory_limit = UINT64_C(1) << 30;
    if (options.output_limit == 0)
        options.output_limit = UINT64_C(256) << 20;
    if (options.jobs_max == 0)
        options.jobs_max = 1000;
    return options;
}

static int init(struct translator *pool)
{
    struct loop *loop = pool->shared.loop;
    if (loop_timer_init(&pool->handing_out, loop, hand_out, pool) == -1 ||
        loop_timer_init(&pool->wait_limit, loop, wait_limit_reached, pool) == -1)
        return -1;
    for (unsigned i = 0; i < pool->shared.options.children; i++)
        if (worker_init(&pool->workers[i], pool) == -1)
            return -1;
    pool->zygote_readable =
        event_new(loop_base(loop), pool->shared.zygote->fd, EV_READ | EV_PERSIST, zygote_readable, pool);
    return pool->zygote_readable != NULL ? event_add(pool->zygote_readable, NULL) : -1;
}

int translator_new(struct loop *loop, struct zygote *zygote, const struct translator_options *options,
                   struct translator **translator_r, struct err *err)
{
    struct translator *pool = mem_zero(sizeof *pool);
    if (pool != NULL) {
        pool->last = &pool->first;
        pool->shared = (struct worker_pool){
            .loop = loop, .zygote = zygote, .options = complete(options), .tables = { .fd = -1 }
        };
    }
    if (pool == NULL || init(pool) == -1) {
        translator_free(pool);
        return err_set(err, ERR_NO_MEMORY, "out of memory for the translators");
    }
    for (unsigned i = 0; i < pool->shared.options.children; i++)
        worker_start(&pool->workers[i]);
    *translator_r = pool;
    return 0;
}

void translator_free(struct translator *translator)
{
    struct err err = ERR_CLEAR;
    if (translator == NULL)
        return;
    translator->draining = true;
    for (unsigned i = 0; i < translator->shared.options.children; i++)
        if (translator->workers[i].pool != NULL)
            worker_free(&translator->workers[i]);
    (void)err_set(&err, ERR_SHUTTING_DOWN, "the connector is stopping");
    fail_all(translator, &err);
    if (translator->zygote_readable != NULL)
        event_free(translator->zygote_readable);
    loop_timer_free(&translator->wait_limit);
    loop_timer_free(&translator->handing_out);
    if (translator->shared.tables.fd != -1)
        (void)close(translator->shared.tables.fd);
    mem_free(translator);
}

void translator_drain(struct translator *translator, void (*drained)(void *arg), void *arg)
{
    translator->draining = true;
    translator->drained = drained;
    translator->drained_arg = arg;
    loop_timer_set(&translator->handing_out, 0);
}

int translator_set_tables(struct translator *translator, struct span tables, struct err *err)
{
    struct worker_tables *now = &translator->shared.tables;
    int fd = sealed_make(tables, err);
    if (fd == -1)
        return -1;
    if (now->fd != -1)
        (void)close(now->fd);
    *now = (struct worker_tables){ .fd = fd, .size = tables.size, .generation = now->generation + 1 };
    pool_worker_changed(translator);
    return 0;
}

struct translator_figures translator_figures(const struct translator *translator)
{
    return (struct translator_figures){ .queued = translator->queued,
                                        .busy = count_workers(translator, WORKER_BUSY),
                                        .ready = count_workers(translator, WORKER_IDLE),
                                        .done = translator->done,
                                        .failed = translator->failed,
                                        .started = translator->shared.started,
                                        .died = translator->shared.died };
}
