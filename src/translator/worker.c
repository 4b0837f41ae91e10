/* The life of one translator process.
 *
 * What can go wrong, and what is done: it dies (the socket ends; the zygote tells how, and the job fails with that);
 * it hangs (the timer; SIGKILL through the pidfd, which cannot hit a stranger); it answers what cannot be true
 * (answer.c; the same SIGKILL); it cannot start (back-off, so that a broken system is not worn out by forks). A process
 * that is to go is always killed: there is nothing in it worth a goodbye. Only the zygote's silence is beyond repair
 * here (pool_lost).
 */
#include "translator/worker.h"

#include "translator/answer.h"
#include "translator/sealed.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FORK_US = 60000000,  /* the zygote may take for an answer */
    START_US = 60000000, /* until READY: opening what it needs */
    END_US = 60000000,   /* a killed process may take to go; a large one that swaps takes long */
    BACKOFF_US = 50000,
    BACKOFF_WORK_US = 1000000,   /* at most, after deaths at work: other letters wait for this worker */
    BACKOFF_START_US = 30000000, /* at most, after deaths before READY */
};

static struct worker_pool *shared(const struct worker *worker)
{
    return pool_of_workers(worker->pool);
}

static void close_process(struct worker *worker)
{
    if (worker->readable != NULL)
        event_free(worker->readable);
    if (worker->fd != -1)
        (void)close(worker->fd);
    if (worker->pidfd != -1)
        (void)close(worker->pidfd);
    worker->readable = NULL;
    worker->fd = worker->pidfd = -1;
}

static void kill_process(const struct worker *worker)
{
    if (worker->pidfd != -1)
        (void)syscall(SYS_pidfd_send_signal, worker->pidfd, SIGKILL, NULL, 0);
}

static void end(struct worker *worker, bool expected)
{
    kill_process(worker);
    if (worker->readable != NULL)
        (void)event_del(worker->readable);
    worker->state = WORKER_ENDING;
    worker->expected = expected;
    loop_timer_set(&worker->timer, END_US);
}

static void finish_job(struct worker *worker, struct span output, const struct err *err)
{
    struct translator_job *job = worker->job;
    worker->job = NULL;
    pool_job_done(worker->pool, job, output, err);
}

/* The process did what it may not: its job, if it has one, fails with `id`, and it goes. */
static void condemn(struct worker *worker, enum err_id id, const char *why)
{
    struct err err = ERR_CLEAR;
    (void)err_set(&err, id, "%s", why);
    log_warning(LOG_GATEWAY, err_log_number(id), "translator %d is ended: %s", worker->pid, why);
    worker->deaths++;
    shared(worker)->died++;
    end(worker, true);
    if (worker->job != NULL)
        finish_job(worker, SPAN_EMPTY, &err);
}

/* --- answers --- */

static void take_output(struct worker *worker, const struct answer *answer, int fd)
{
    struct err err = ERR_CLEAR;
    struct span output = answer->output;
    bool in_file = answer->output_size > output.size;
    int mapped = in_file ? sealed_map(fd, answer->output_size, &output, &err) : 0;
    if (mapped == -1 && err.id != ERR_NO_MEMORY) {
        condemn(worker, ERR_TRANSLATOR_DIED, err.text);
        return;
    }
    worker->state = WORKER_IDLE;
    worker->deaths = 0;
    finish_job(worker, output, mapped == -1 ? &err : NULL);
    if (in_file)
        sealed_unmap(output);
}

/* What the translation says of the letter. Its own want of memory must not be taken for the daemon's, which passes. */
static void take_failure(struct worker *worker, const struct err *said)
{
    struct err err = *said;
    if (said->id == ERR_NO_MEMORY)
        (void)err_set(&err, ERR_TRANSLATOR_MEMORY, "it needs more memory than a translator may have: %s", said->text);
    worker->state = WORKER_IDLE;
    worker->deaths = 0;
    finish_job(worker, SPAN_EMPTY, &err);
}

static void take_answer(struct worker *worker, const struct answer *answer, int fd)
{
    loop_timer_unset(&worker->timer);
    switch (answer->kind) {
    case CHILD_READY:
        worker->was_ready = true;
        worker->state = WORKER_IDLE;
        break;
    case CHILD_UNFIT:
        log_error(LOG_GATEWAY, err_log_number(answer->err.id), "a translator cannot start: %s", answer->err.text);
        worker->deaths++;
        shared(worker)->died++;
        end(worker, true);
        break;
    case CHILD_DONE:
        take_output(worker, answer, fd);
        break;
    case CHILD_FAILED:
        take_failure(worker, &answer->err);
        break;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct worker *worker = arg;
    uint8_t packet[sizeof(struct child_answer) + MESSAGE_INLINE_MAX];
    struct answer answer;
    struct err err = ERR_CLEAR;
    int fds[MESSAGE_FDS_MAX];
    size_t count;
    ssize_t size = message_receive(fd, packet, sizeof packet, fds, &count);
    if (size == -1 && errno == EAGAIN)
        return;
    struct answer_wanted wanted = { .ready = worker->state == WORKER_STARTING,
                                    .serial = worker->job_serial,
                                    .generation = worker->generation,
                                    .output_limit = shared(worker)->options.output_limit };
    if (size == 0 || (size == -1 && errno == ECONNRESET)) { /* reset: it died before it read its job */
        end(worker, false);                                 /* how it died comes from the zygote */
    } else if (size == -1 || worker->state == WORKER_IDLE) {
        condemn(worker, ERR_TRANSLATOR_DIED, "it speaks when it is not asked, or too much");
    } else if (answer_read(span_of(packet, (size_t)size), count, &wanted, &answer, &err) == -1) {
        condemn(worker, ERR_TRANSLATOR_DIED, err.text);
    } else {
        take_answer(worker, &answer, count > 0 ? fds[0] : -1);
    }
    message_close(fds, count);
    pool_worker_changed(worker->pool);
}

/* --- beginning and end --- */

static void on_timer(void *arg)
{
    struct worker *worker = arg;
    switch (worker->state) {
    case WORKER_ABSENT:
        worker_start(worker);
        return;
    case WORKER_FORKING:
        pool_lost(worker->pool, "it makes no translator");
        return;
    case WORKER_STARTING:
        condemn(worker, ERR_TRANSLATOR_TIMEOUT, "it is not ready in time");
        return;
    case WORKER_BUSY: {
        char why[ERR_TEXT_SIZE];
        (void)snprintf(why, sizeof why, "the translation (operation %d) takes longer than %.3g s", worker->job->op,
                       (double)shared(worker)->options.time_limit_us / (double)CLOCK_SECOND);
        condemn(worker, ERR_TRANSLATOR_TIMEOUT, why);
        return;
    }
    case WORKER_ENDING:
        pool_lost(worker->pool, "it does not say that a translator has ended");
        return;
    case WORKER_IDLE:
        return;
    }
}

int worker_init(struct worker *worker, struct translator *pool)
{
    *worker = (struct worker){ .pool = pool, .fd = -1, .pidfd = -1 };
    return loop_timer_init(&worker->timer, shared(worker)->loop, on_timer, worker);
}

void worker_free(struct worker *worker)
{
    kill_process(worker);
    close_process(worker);
    loop_timer_free(&worker->timer);
    worker->state = WORKER_ABSENT;
}

static void start_later(struct worker *worker)
{
    worker->state = WORKER_ABSENT;
    int64_t wait = 0;
    if (worker->deaths > 1 || (worker->deaths == 1 && !worker->was_ready))
        wait = loop_backoff(BACKOFF_US, worker->deaths, worker->was_ready ? BACKOFF_WORK_US : BACKOFF_START_US);
    loop_timer_set(&worker->timer, wait);
}

void worker_start(struct worker *worker)
{
    struct worker_pool *pool = shared(worker);
    uint64_t jobs_s = (uint64_t)(pool->options.time_limit_us / CLOCK_SECOND + 1) * pool->options.jobs_max;
    struct zygote_request request = { .serial = ++pool->serials,
                                      .limits = { .memory = pool->options.memory_limit,
                                                  .file_size = pool->options.output_limit,
                                                  .cpu_seconds = jobs_s } };
    worker->serial = request.serial;
    worker->generation = 0;
    worker->jobs = 0;
    worker->pid = 0;
    worker->was_ready = false;
    if (message_send(pool->zygote->fd, &request, sizeof request, NULL, 0) == -1) {
        /* a zygote that is gone shows itself on its socket; one that does not read, here */
        start_later(worker);
        loop_timer_set(&worker->timer, BACKOFF_WORK_US);
        return;
    }
    worker->state = WORKER_FORKING;
    loop_timer_set(&worker->timer, FORK_US);
}

static void forked(struct worker *worker, int pid, const int *fds)
{
    struct worker_pool *pool = shared(worker);
    worker->pid = pid;
    worker->fd = fds[0];
    worker->pidfd = fds[1];
    worker->state = WORKER_STARTING;
    pool->started++;
    worker->readable = evutil_make_socket_nonblocking(worker->fd) == 0
                           ? event_new(loop_base(pool->loop), worker->fd, EV_READ | EV_PERSIST, on_readable, worker)
                           : NULL;
    if (worker->readable == NULL || event_add(worker->readable, NULL) == -1)
        condemn(worker, ERR_TRANSLATOR_DIED, "the daemon has no memory to listen to it");
    else
        loop_timer_set(&worker->timer, START_US);
}

static void describe_end(int status, char *to_r, size_t room)
{
    if (!WIFSIGNALED(status)) {
        (void)snprintf(to_r, room, "translator ended with status %d", WEXITSTATUS(status));
        return;
    }
    int number = WTERMSIG(status);
    const char *what = number == SIGSYS    ? ": it tried what the sandbox forbids"
                       : number == SIGXFSZ ? ": its output is too large"
                       : number == SIGXCPU ? ": it used up its processor time"
                                           : "";
    (void)snprintf(to_r, room, "translator killed by signal %d (%s)%s", number, strsignal(number), what);
}

static void exited(struct worker *worker, int status)
{
    struct err err = { .id = ERR_TRANSLATOR_DIED };
    close_process(worker);
    if (worker->state != WORKER_ENDING || !worker->expected) {
        describe_end(status, err.text, sizeof err.text);
        if (worker->job != NULL)
            (void)snprintf(err.text + strlen(err.text), sizeof err.text - strlen(err.text), " (operation %d)",
                           worker->job->op);
        log_warning(LOG_GATEWAY, err_log_number(err.id), "%d: %s", worker->pid, err.text);
        worker->deaths++;
        shared(worker)->died++;
    }
    start_later(worker);
    if (worker->job != NULL)
        finish_job(worker, SPAN_EMPTY, &err);
}

void worker_report(struct worker *worker, const struct zygote_report *report, const int *fds, size_t count)
{
    bool forking = worker->state == WORKER_FORKING;
    if (forking && report->kind == ZYGOTE_FORKED && count == 2) {
        forked(worker, report->value, fds);
        return;
    }
    message_close(fds, count);
    if (forking && report->kind == ZYGOTE_NOT_FORKED) {
        log_error(LOG_GATEWAY, err_log_number(ERR_NO_MEMORY), "no translator can be made: %s", strerror(report->value));
        worker->deaths++;
        start_later(worker);
    } else if (!forking && worker->state != WORKER_ABSENT && report->kind == ZYGOTE_EXITED) {
        exited(worker, report->value);
    }
}

/* --- jobs --- */

bool worker_is_stale(const struct worker *worker)
{
    const struct worker_pool *pool = shared(worker);
    return worker->jobs >= pool->options.jobs_max ||
           (worker->jobs > 0 && worker->generation != pool->tables.generation);
}

void worker_recycle(struct worker *worker)
{
    end(worker, true);
}

/* A job on its way: in the packet what is small, in sealed memory files what is not, which are ours to close. */
struct shipment {
    struct child_request request;
    struct span parts[MESSAGE_PARTS_MAX];
    size_t part_count;
    int fds[MESSAGE_FDS_MAX];
    size_t fd_count, ours;
};

static int load_file(struct shipment *shipment, struct span bytes, struct err *err)
{
    if (bytes.size == 0)
        return 0;
    int fd = sealed_make(bytes, err);
    if (fd == -1)
        return -1;
    shipment->fds[shipment->fd_count++] = fd;
    shipment->ours++;
    return 0;
}

static int load_job(struct shipment *shipment, const struct translator_job *job, struct err *err)
{
    shipment->request.input_size = job->input.size;
    shipment->request.options_size = job->options.size;
    shipment->parts[shipment->part_count++] = span_of(&shipment->request, sizeof shipment->request);
    if (job->input.size > MESSAGE_INLINE_MAX || job->options.size > MESSAGE_INLINE_MAX - job->input.size)
        return load_file(shipment, job->input, err) == -1 ? -1 : load_file(shipment, job->options, err);
    shipment->parts[shipment->part_count++] = job->input;
    shipment->parts[shipment->part_count++] = job->options;
    return 0;
}

void worker_begin(struct worker *worker, struct translator_job *job)
{
    struct worker_pool *pool = shared(worker);
    struct err err = ERR_CLEAR;
    struct shipment shipment = { .request = { .serial = ++pool->serials,
                                              .generation = pool->tables.generation,
                                              .output_limit = pool->options.output_limit,
                                              .op = job->op } };
    int loaded = load_job(&shipment, job, &err);
    if (loaded == 0 && worker->jobs == 0 && pool->tables.size > 0) {
        shipment.request.tables_size = pool->tables.size;
        shipment.fds[shipment.fd_count++] = pool->tables.fd;
    }
    worker->job = job;
    if (loaded == -1) {
        message_close(shipment.fds, shipment.ours);
        finish_job(worker, SPAN_EMPTY, &err);
        return;
    }
    worker->job_serial = shipment.request.serial;
    worker->generation = shipment.request.generation;
    worker->jobs++;
    worker->state = WORKER_BUSY;
    loop_timer_set(&worker->timer, pool->options.time_limit_us);
    if (message_send_parts(worker->fd, shipment.parts, shipment.part_count, shipment.fds, shipment.fd_count) == -1)
        end(worker, false); /* it is dead, or has stopped reading; the job fails with its end */
    message_close(shipment.fds, shipment.ours);
}
