/* Connections are made and closed, nothing is said on them: a neighbour sees a call that ended before its sign-on, as
 * after any network failure. */
#include "relocate/selftest.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* 0, or the errno of what failed. */
static int try_address(const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return errno;
    int problem = connect(fd, address, size) == -1 ? errno : 0;
    if (problem == EINPROGRESS) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
        socklen_t length = sizeof problem;
        if (poll(&poll_fd, 1, SELFTEST_WAIT_MS) != 1)
            problem = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &length) == -1)
            problem = errno;
    }
    (void)close(fd);
    return problem;
}

static void try_peer(const char *where, char *says_r, size_t room, bool *fine_r)
{
    char host[256];
    const char *colon = strrchr(where, ':');
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *list = NULL;
    size_t skip = where[0] == '[' ? 1 : 0;
    (void)snprintf(host, sizeof host, "%.*s", colon != NULL ? (int)(colon - where - 2 * (int)skip) : 0, where + skip);
    int code = colon != NULL ? getaddrinfo(host, colon + 1, &hints, &list) : EAI_NONAME;
    int problem = 0;
    for (const struct addrinfo *one = list; code == 0 && one != NULL; one = one->ai_next) {
        problem = try_address(one->ai_addr, one->ai_addrlen);
        if (problem == 0)
            break;
    }
    *fine_r = code == 0 && problem == 0;
    (void)snprintf(says_r, room, "%s", code != 0 ? gai_strerror(code) : problem != 0 ? strerror(problem) : "answers");
    if (list != NULL)
        freeaddrinfo(list);
}

static void add(json_t *list, const char *what, const char *where)
{
    char text[400];
    char says[200];
    bool fine = false;
    if (strncmp(where, "lmtp:", 5) == 0) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", where + 5);
        int problem = try_address((const struct sockaddr *)&address, sizeof address);
        fine = problem == 0;
        (void)snprintf(says, sizeof says, "%s", fine ? "answers" : strerror(problem));
    } else {
        try_peer(where, says, sizeof says, &fine);
    }
    (void)snprintf(text, sizeof text, "%s at %.200s", what, where);
    (void)json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "what", text, "fine", fine, "says", says));
}

json_t *selftest_peers(const struct conf *conf)
{
    json_t *list = json_array();
    for (size_t i = 0; i < conf->link_count; i++) {
        char what[40];
        const struct conf_link *link = &conf->links[i];
        (void)snprintf(what, sizeof what, "link %s", link->node.text);
        if (link->connect != NULL)
            add(list, what, link->connect);
        else
            (void)json_array_append_new(
                list, json_pack("{s:s, s:b, s:s}", "what", what, "fine", 1, "says", "waits for the neighbour's call"));
    }
    add(list, "relay", conf->smtp_out.relay);
    return list;
}
