/* The client's end of the control socket: blocking, with a time limit. */
#include "admin/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_S = 60, STATUS_REFUSED = 3 };

static int connect_to(const char *path, unsigned wait_s)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval wait = { .tv_sec = wait_s > 0 ? wait_s : WAIT_S };
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == -1) {
        int reason = errno;
        (void)close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* The next line of the answer; NULL: there is none. */
static json_t *next_line(FILE *stream)
{
    json_error_t error;
    return json_loadf(stream, JSON_DISABLE_EOF_CHECK, &error);
}

/* The daemon said how many bytes it takes. False: they are not there, or it went away. */
static bool send_content(FILE *from, FILE *stream, json_int_t size)
{
    char piece[16 * 1024];
    while (size > 0) {
        size_t wanted = size < (json_int_t)sizeof piece ? (size_t)size : sizeof piece;
        size_t got = fread(piece, 1, wanted, from);
        if (got == 0 || fwrite(piece, 1, got, stream) != got)
            break;
        size -= (json_int_t)got;
    }
    return fflush(stream) == 0 && size == 0;
}

/* Both directions of a conversation over two streams: one stream cannot change its direction on a socket. */
static json_t *converse(const struct ask *question, FILE *out, FILE *in)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a daemon that goes away is told in words */
    if (json_dumpf(question->request, out, JSON_COMPACT) != 0 || fputc('\n', out) == EOF || fflush(out) != 0)
        return NULL;
    json_t *reply = next_line(in);
    const json_t *size = json_object_get(reply, "send");
    if (size == NULL || question->content == NULL)
        return reply;
    (void)send_content(question->content, out, json_integer_value(size)); /* where it fails, the answer says why */
    json_decref(reply);
    return next_line(in);
}

int ask(const struct ask *question, json_t **reply_r)
{
    *reply_r = NULL;
    int fd = connect_to(question->path, question->wait_s);
    int copy = fd != -1 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    FILE *in = fd != -1 ? fdopen(fd, "r") : NULL;
    FILE *out = copy != -1 ? fdopen(copy, "w") : NULL;
    if (in == NULL || out == NULL) {
        (void)fprintf(stderr, "ovvm: the daemon cannot be reached at %s: %s\n", question->path, strerror(errno));
        if (errno == ENOENT || errno == ECONNREFUSED)
            (void)fputs("ovvm: is ovvmd running, and with this configuration?\n", stderr);
        return ASK_UNREACHABLE; /* the process ends: descriptors go with it */
    }
    *reply_r = converse(question, out, in);
    (void)fclose(out);
    (void)fclose(in);
    if (*reply_r == NULL) {
        (void)fputs("ovvm: the daemon did not answer\n", stderr);
        return ASK_UNREACHABLE;
    }
    if (json_is_true(json_object_get(*reply_r, "ok")))
        return 0;
    const json_t *status = json_object_get(*reply_r, "status");
    return json_is_integer(status) ? (int)json_integer_value(status) : STATUS_REFUSED;
}
