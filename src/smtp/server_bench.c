/* How many small letters the server takes for one second of its own processor time: a server in a child process, one
 * client that keeps several pipelined sessions busy. The sink keeps nothing and commits at once, so that what is
 * measured is the protocol alone. */
#include "smtp/memory_sink.h"
#include "smtp/server.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSIONS = 16, ROUNDS = 10000 };

static const char envelope[] = "MAIL FROM:<a@b.example> SIZE=600\r\nRCPT TO:<u@vm.example.org>\r\nDATA\r\n";

static void serve(int ends[SESSIONS][2])
{
    static struct memory_sink sink;
    struct smtp_server_options options = { .host_name = "gw.example.org", .max_sessions = SESSIONS };
    struct smtp_server *server;
    struct err err;
    struct loop *loop = loop_new();
    memory_sink_init(&sink);
    sink.keeps_nothing = true;
    if (loop == NULL || smtp_server_new(loop, &options, &sink.calls, &server, &err) == -1)
        _exit(1);
    for (int i = 0; i < SESSIONS; i++) {
        (void)close(ends[i][1]);
        (void)smtp_server_adopt(server, ends[i][0], "192.0.2.1", false, &err);
    }
    struct smtp_server_figures figures;
    do {
        (void)event_base_loop(loop_base(loop), EVLOOP_ONCE);
        smtp_server_figures(server, &figures);
    } while (figures.sessions > 0);
    _exit(figures.accepted == SESSIONS * ROUNDS ? 0 : 1);
}

/* Waits for `lines` reply lines. */
static void hear(int fd, int lines)
{
    char bytes[1024];
    while (lines > 0) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            exit(1);
        for (ssize_t i = 0; i < got; i++)
            lines -= bytes[i] == '\n';
    }
}

static void tell(int fd, const char *bytes, size_t size)
{
    if (send(fd, bytes, size, 0) != (ssize_t)size)
        exit(1);
}

int main(void)
{
    int ends[SESSIONS][2];
    char content[700];
    size_t size =
        (size_t)snprintf(content, sizeof content, "From: a@b.example\r\nTo: u@vm.example.org\r\nSubject: x\r\n\r\n");
    for (int line = 0; line < 7; line++)
        size += (size_t)snprintf(content + size, sizeof content - size, "%072d\r\n", line);
    size += (size_t)snprintf(content + size, sizeof content - size, ".\r\n");
    for (int i = 0; i < SESSIONS; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == -1)
            return 1;
    pid_t child = fork();
    if (child == 0)
        serve(ends);
    int64_t start = clock_steady();
    for (int i = 0; i < SESSIONS; i++) {
        (void)close(ends[i][0]);
        hear(ends[i][1], 1);
        tell(ends[i][1], "EHLO x\r\n", 8);
        hear(ends[i][1], 5);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SESSIONS; i++)
            tell(ends[i][1], envelope, sizeof envelope - 1);
        for (int i = 0; i < SESSIONS; i++) {
            hear(ends[i][1], 3);
            tell(ends[i][1], content, size);
        }
        for (int i = 0; i < SESSIONS; i++)
            hear(ends[i][1], 1);
    }
    double wall = (double)(clock_steady() - start) / 1e6;
    for (int i = 0; i < SESSIONS; i++)
        (void)close(ends[i][1]);
    int status;
    struct rusage used;
    (void)waitpid(child, &status, 0);
    (void)getrusage(RUSAGE_CHILDREN, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    (void)printf("%d letters of %zu octets: %.0f a second, %.0f a second of the server's processor time\n",
                 SESSIONS * ROUNDS, size, SESSIONS * ROUNDS / wall, SESSIONS * ROUNDS / cpu);
    return status == 0 ? 0 : 1;
}
