/* The client's end of the control socket: blocking, with a time limit. */
#include "admin/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_S = 60, STATUS_REFUSED = 3 };

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval wait = { .tv_sec = WAIT_S };
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

int ask(const char *path, const json_t *request, json_t **reply_r)
{
    *reply_r = NULL;
    int fd = connect_to(path);
    FILE *stream = fd != -1 ? fdopen(fd, "r+") : NULL;
    if (stream == NULL) {
        (void)fprintf(stderr, "ovvm: the daemon cannot be reached at %s: %s\n", path, strerror(errno));
        if (errno == ENOENT || errno == ECONNREFUSED)
            (void)fputs("ovvm: is ovvmd running, and with this configuration?\n", stderr);
        if (fd != -1)
            (void)close(fd);
        return ASK_UNREACHABLE;
    }
    json_error_t error;
    if (json_dumpf(request, stream, JSON_COMPACT) == 0 && fputc('\n', stream) != EOF && fflush(stream) == 0)
        *reply_r = json_loadf(stream, JSON_DISABLE_EOF_CHECK, &error);
    (void)fclose(stream);
    if (*reply_r == NULL) {
        (void)fputs("ovvm: the daemon did not answer\n", stderr);
        return ASK_UNREACHABLE;
    }
    if (json_is_true(json_object_get(*reply_r, "ok")))
        return 0;
    const json_t *status = json_object_get(*reply_r, "status");
    return json_is_integer(status) ? (int)json_integer_value(status) : STATUS_REFUSED;
}
