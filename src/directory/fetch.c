/* The daemon's side of asking a directory.
 *
 * What can go wrong: the process ends in mid-answer, which its last line shows; it goes on for ever, or answers without
 * end: it is killed; it stays when the daemon ends: the parent-death signal takes it away. It is always killed before
 * it is waited for, so the wait is short, and even that is the loop's (a pidfd), since a process in a hung system call
 * ends when that does. */
#include "directory/fetch.h"

#include "directory/answer.h"
#include "directory/request.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, EXTRA_US = 5000000 /* the process has the limit itself and can say what took so long */ };

struct directory_fetch {
    struct directory_fetch_options options;
    pid_t pid;
    int pidfd, in, out; /* in: the request goes there */
    struct event *writes, *reads, *exits;
    struct loop_timer limit;
    struct buf request, answer;
    struct err err;
};

static void end_event(struct event **event, int *fd)
{
    if (*event != NULL)
        event_free(*event);
    *event = NULL;
    if (*fd != -1)
        (void)close(*fd);
    *fd = -1;
}

static void fetch_free(struct directory_fetch *fetch)
{
    loop_timer_free(&fetch->limit);
    end_event(&fetch->writes, &fetch->in);
    end_event(&fetch->reads, &fetch->out);
    end_event(&fetch->exits, &fetch->pidfd);
    if (fetch->request.at != NULL)
        explicit_bzero(fetch->request.at, fetch->request.room); /* the password was in it */
    buf_free(&fetch->request);
    buf_free(&fetch->answer);
    mem_free(fetch);
}

static void reap(const struct directory_fetch *fetch, int *status_r)
{
    *status_r = 0;
    while (waitpid(fetch->pid, status_r, 0) == -1 && errno == EINTR)
        ;
}

/* Nothing more is expected of the process; what it said so far is looked at when it is gone. */
static void end_process(struct directory_fetch *fetch)
{
    loop_timer_unset(&fetch->limit);
    end_event(&fetch->writes, &fetch->in);
    end_event(&fetch->reads, &fetch->out);
    (void)kill(fetch->pid, SIGKILL);
    if (event_add(fetch->exits, NULL) == -1) /* no memory for that: then here */
        event_active(fetch->exits, EV_READ, 1);
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct directory_fetch *fetch = arg;
    struct span rows = SPAN_EMPTY;
    size_t count = 0;
    int status;
    reap(fetch, &status);
    if (fetch->err.id == ERR_NONE)
        (void)directory_answer_parse(buf_span(&fetch->answer), &rows, &count, &fetch->err);
    if (fetch->err.id == ERR_PROTOCOL && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        (void)err_set(&fetch->err, ERR_PROTOCOL, "the process that asks the directory was ended by signal %d",
                      WTERMSIG(status));
    fetch->options.done(fetch->options.arg, rows, count, fetch->err.id != ERR_NONE ? &fetch->err : NULL);
    fetch_free(fetch);
}

static void on_limit(void *arg)
{
    struct directory_fetch *fetch = arg;
    (void)err_set(&fetch->err, ERR_TIMEOUT, "the directory did not answer within [directory] timeout = %lld seconds",
                  (long long)(fetch->options.directory->timeout_us / 1000000));
    end_process(fetch);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct directory_fetch *fetch = arg;
    ssize_t put = write(fd, fetch->request.at, fetch->request.size);
    if (put > 0)
        buf_drop_front(&fetch->request, (size_t)put);
    if (fetch->request.size == 0 || (put == -1 && errno != EAGAIN && errno != EINTR))
        end_event(&fetch->writes, &fetch->in);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct directory_fetch *fetch = arg;
    ssize_t got = -1;
    if (buf_reserve(&fetch->answer, PIECE))
        got = read(fd, fetch->answer.at + fetch->answer.size, PIECE);
    if (got > 0)
        fetch->answer.size += (size_t)got;
    if (fetch->answer.failed)
        (void)err_set(&fetch->err, ERR_NO_MEMORY, "the directory's answer is larger than %d octets, or memory ended",
                      DIRECTORY_ANSWER_MAX);
    if (fetch->answer.failed || got == 0 || (got == -1 && errno != EAGAIN && errno != EINTR))
        end_process(fetch);
}

static int spawn(struct directory_fetch *fetch, int in, int out)
{
    char name[] = "ovvmd", argument[] = DIRECTORY_ARGUMENT, no_init[] = "LDAPNOINIT=1", path[] = "PATH=/usr/bin:/bin";
    char *arguments[] = { name, argument, NULL };
    char *environment[] = { no_init, path, NULL }; /* no files of a user's may tell libldap what to do */
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return -1;
    }
    int failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    failed |= posix_spawnattr_setsigdefault(&attributes, &all);
    failed |= posix_spawnattr_setsigmask(&attributes, &none);
    failed |= posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    failed |= posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
#ifndef OVVM_SANITIZED /* what talks to strangers shall not write into the daemon's log */
    failed |= posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
#endif
    failed |= posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    const char *program = fetch->options.program != NULL ? fetch->options.program : "/proc/self/exe";
    if (failed == 0)
        failed = posix_spawn(&fetch->pid, program, &actions, &attributes, arguments, environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed == 0 ? 0 : -1;
}

/* Both pipes and the process. -1: neither is left. */
static int make_process(struct directory_fetch *fetch)
{
    int request[2];
    int answer[2];
    if (pipe2(request, O_CLOEXEC) == -1)
        return -1;
    if (pipe2(answer, O_CLOEXEC) == -1) {
        (void)close(request[0]);
        (void)close(request[1]);
        return -1;
    }
    fetch->in = request[1];
    fetch->out = answer[0];
    int result = spawn(fetch, request[0], answer[1]);
    (void)close(request[0]);
    (void)close(answer[1]);
    if (result == -1)
        return -1;
    fetch->pidfd = (int)syscall(SYS_pidfd_open, fetch->pid, 0);
    if (fetch->pidfd != -1 && fcntl(fetch->in, F_SETFL, O_NONBLOCK) == 0 && fcntl(fetch->out, F_SETFL, O_NONBLOCK) == 0)
        return 0;
    int status;
    (void)kill(fetch->pid, SIGKILL);
    reap(fetch, &status);
    return -1;
}

int directory_fetch_start(const struct directory_fetch_options *options, struct directory_fetch **fetch_r,
                          struct err *err)
{
    struct directory_fetch *fetch = mem_zero(sizeof *fetch);
    *fetch_r = NULL;
    if (fetch == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for the directory");
    fetch->options = *options;
    fetch->in = fetch->out = fetch->pidfd = -1;
    fetch->answer.limit = DIRECTORY_ANSWER_MAX;
    directory_request_write(options->directory, getpid(), &fetch->request);
    if (fetch->request.failed || loop_timer_init(&fetch->limit, options->loop, on_limit, fetch) == -1 ||
        make_process(fetch) == -1) {
        fetch_free(fetch);
        return err_set(err, ERR_NO_MEMORY, "no process for the directory: %m");
    }
    struct event_base *base = loop_base(options->loop);
    fetch->writes = event_new(base, fetch->in, EV_WRITE | EV_PERSIST, on_write, fetch);
    fetch->reads = event_new(base, fetch->out, EV_READ | EV_PERSIST, on_read, fetch);
    fetch->exits = event_new(base, fetch->pidfd, EV_READ, on_ended, fetch);
    if (fetch->writes == NULL || fetch->reads == NULL || fetch->exits == NULL || event_add(fetch->writes, NULL) == -1 ||
        event_add(fetch->reads, NULL) == -1) {
        directory_fetch_stop(fetch);
        return err_set(err, ERR_NO_MEMORY, "out of memory for the directory");
    }
    loop_timer_set(&fetch->limit, options->directory->timeout_us + EXTRA_US);
    *fetch_r = fetch;
    return 0;
}

void directory_fetch_stop(struct directory_fetch *fetch)
{
    int status;
    if (fetch == NULL)
        return;
    (void)kill(fetch->pid, SIGKILL);
    reap(fetch, &status);
    fetch_free(fetch);
}
