/* Both ends of the zygote: the daemon's start and end of it, and its own loop.
 *
 * What can go wrong: the daemon ends without a word (the socket shows it, or the parent-death signal kills the zygote,
 * whose own end kills the translators the same way); signals meant for the daemon reach the whole process group or
 * control group (they are ignored here: the daemon decides what ends when); a fork fails (the daemon is told and tries
 * again later). A translator that ends is reported by the serial the daemon gave it, since process ids come again.
 */
#include "translator/zygote.h"

#include "translator/sandbox.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define ZYGOTE_ARGUMENT "--zygote"

enum {
    SOCKET_FD = 3, /* the zygote's to the daemon; a translator's to the daemon */
    START_MS = 60000,
    CHILDREN_MAX = 64,
    NICENESS = 5, /* the doors answer first; a letter that takes long costs them nothing */
    EXIT_USAGE = 2
};

/* --- the daemon's side --- */

static _Noreturn void become_zygote(int fd)
{
    char name[] = "ovvmd", argument[] = ZYGOTE_ARGUMENT;
    char *arguments[] = { name, argument, NULL };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd == SOCKET_FD ? fcntl(fd, F_SETFD, 0) == -1 : dup2(fd, SOCKET_FD) == -1)
        _exit(EX_OSERR);
    if (null == -1 || dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1)
        _exit(EX_OSERR);
#ifndef OVVM_SANITIZED /* a translator that obeys somebody else shall not write into the daemon's log */
    if (dup2(null, STDERR_FILENO) == -1)
        _exit(EX_OSERR);
#endif
    (void)close_range(SOCKET_FD + 1, ~0U, 0);
    sandbox_before_exec();
    (void)execv("/proc/self/exe", arguments);
    _exit(EX_OSERR);
}

static int wait_until_ready(int fd)
{
    struct zygote_report report;
    int fds[MESSAGE_FDS_MAX];
    size_t count;
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    int64_t until = clock_steady() + START_MS * INT64_C(1000);
    int ready;
    do
        ready = poll(&wait, 1, START_MS);
    while (ready == -1 && errno == EINTR && clock_steady() < until);
    if (ready != 1)
        return -1;
    ssize_t size = message_receive(fd, &report, sizeof report, fds, &count);
    message_close(fds, count);
    return size == (ssize_t)sizeof report && report.kind == ZYGOTE_READY ? 0 : -1;
}

int zygote_start(struct zygote *zygote_r, struct err *err)
{
    int ends[2];
    *zygote_r = (struct zygote){ .pid = 0 };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
        return err_set(err, ERR_NO_MEMORY, "no socket for the translators: %m");
    pid_t pid = fork();
    if (pid == 0)
        become_zygote(ends[1]);
    (void)close(ends[1]);
    if (pid == -1) {
        (void)close(ends[0]);
        return err_set(err, ERR_NO_MEMORY, "no process for the translators: %m");
    }
    *zygote_r = (struct zygote){ .pid = pid, .fd = ends[0] };
    if (wait_until_ready(ends[0]) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    (void)kill(pid, SIGKILL);
    zygote_end(zygote_r);
    return err_set(err, ERR_BUG, "the translators' first process does not start (/proc/self/exe %s)", ZYGOTE_ARGUMENT);
}

void zygote_end(struct zygote *zygote)
{
    if (zygote->pid == 0)
        return;
    (void)close(zygote->fd);
    while (waitpid(zygote->pid, NULL, 0) == -1 && errno == EINTR)
        ;
    *zygote = (struct zygote){ .pid = 0 };
}

/* --- the zygote --- */

struct born {
    pid_t pid; /* 0: a free place */
    uint64_t serial;
};

struct nursery {
    const struct translator_child *child;
    pid_t pid;
    int signal_fd;
    sigset_t signals;
    struct born born[CHILDREN_MAX];
};

static void report(enum zygote_report_kind kind, uint64_t serial, int value, const int *fds, size_t count)
{
    struct zygote_report packet = { .kind = kind, .value = value, .serial = serial };
    if (message_send(SOCKET_FD, &packet, sizeof packet, fds, count) == -1)
        _exit(EX_OSERR); /* the daemon is gone */
}

static _Noreturn void become_translator(const struct nursery *nursery, const struct zygote_request *request, int fd)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != nursery->pid || dup2(fd, SOCKET_FD) == -1)
        _exit(EX_OSERR);
    (void)close_range(SOCKET_FD + 1, ~0U, 0);
    (void)sigprocmask(SIG_UNBLOCK, &nursery->signals, NULL);
    child_main(nursery->child, SOCKET_FD, &request->limits);
}

static int make_translator(struct nursery *nursery, const struct zygote_request *request)
{
    struct born *place = nursery->born;
    int ends[2];
    while (place < nursery->born + CHILDREN_MAX && place->pid != 0)
        place++;
    if (place == nursery->born + CHILDREN_MAX)
        return EAGAIN;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
        return errno;
    pid_t pid = fork();
    if (pid == 0)
        become_translator(nursery, request, ends[1]);
    int error = pid == -1 ? errno : 0;
    int passed[2] = { ends[0], pid == -1 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0) };
    if (pid != -1 && passed[1] == -1) { /* what cannot be stopped must not begin */
        error = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    if (error == 0) {
        *place = (struct born){ .pid = pid, .serial = request->serial };
        report(ZYGOTE_FORKED, request->serial, pid, passed, 2);
        (void)close(passed[1]);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    return error;
}

static void serve_daemon(struct nursery *nursery)
{
    struct zygote_request request;
    int fds[MESSAGE_FDS_MAX];
    size_t count;
    ssize_t size = message_receive(SOCKET_FD, &request, sizeof request, fds, &count);
    if (size == 0)
        _exit(EX_OK);
    if (size != (ssize_t)sizeof request || count != 0)
        _exit(EX_PROTOCOL);
    int error = make_translator(nursery, &request);
    if (error != 0)
        report(ZYGOTE_NOT_FORKED, request.serial, error, NULL, 0);
}

static void bury(struct nursery *nursery)
{
    struct signalfd_siginfo signal;
    int status;
    ssize_t got = read(nursery->signal_fd, &signal, sizeof signal);
    (void)got; /* it only woke us; wait(2) knows who ended */
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (struct born *born = nursery->born; born < nursery->born + CHILDREN_MAX; born++)
            if (born->pid == pid) {
                born->pid = 0;
                report(ZYGOTE_EXITED, born->serial, status, NULL, 0);
            }
}

bool zygote_is_meant(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], ZYGOTE_ARGUMENT) == 0;
}

/* Signals for the daemon often reach everything that it started. */
static void ignore_signals(void)
{
    static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGTSTP };
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        (void)signal(ignored[i], SIG_IGN);
}

int zygote_main(const struct translator_child *child)
{
    static struct nursery nursery;
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &size) == -1 || type != SOCK_SEQPACKET) {
        (void)fputs("ovvmd: " ZYGOTE_ARGUMENT " is for ovvmd's own use\n", stderr);
        return EXIT_USAGE;
    }
    nursery.child = child;
    nursery.pid = getpid();
    ignore_signals();
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
    sandbox_leave_network();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the above, which clears it */
    (void)prctl(PR_SET_NAME, "ovvm-zygote");
    (void)sigemptyset(&nursery.signals);
    (void)sigaddset(&nursery.signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &nursery.signals, NULL) == -1)
        return EX_OSERR;
    nursery.signal_fd = signalfd(-1, &nursery.signals, SFD_CLOEXEC);
    if (nursery.signal_fd == -1)
        return EX_OSERR;
    report(ZYGOTE_READY, 0, 0, NULL, 0);
    for (;;) {
        struct pollfd waits[] = { { .fd = SOCKET_FD, .events = POLLIN },
                                  { .fd = nursery.signal_fd, .events = POLLIN } };
        if (poll(waits, 2, -1) == -1)
            continue;
        if (waits[1].revents != 0)
            bury(&nursery);
        if (waits[0].revents != 0)
            serve_daemon(&nursery);
    }
}
