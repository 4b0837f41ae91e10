/* The SMTP and LMTP server: listens, lets in who may come, and counts. What a client says is session.c's.
 *
 * What can go wrong: descriptors end (then the clients wait in the kernel's queue for a second and are tried again);
 * too many sessions (the same, until one is gone); another process listens on the path of the Unix socket (said at
 * start; a path left behind by a process that died is taken over). */
#include "smtp/server.h"

#include "base/allow.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/resolve.h"
#include "smtp/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LISTENERS_MAX = 16,
    BACKLOG = 511,
    ACCEPTS_AT_ONCE = 16, /* then the others in the loop have their turn */
};
#define ACCEPT_AGAIN_US    CLOCK_SECOND
#define DEFAULT_MAX_SIZE   (UINT64_C(50) * 1024 * 1024)
#define DEFAULT_RECIPIENTS 1000
#define DEFAULT_SESSIONS   200
#define DEFAULT_TIMEOUT_US (5 * CLOCK_MINUTE)
#define DEFAULT_ALLOW      "127.0.0.0/8 ::1"

struct listener {
    struct smtp_server *server;
    int fd;
    bool lmtp;
    unsigned port;
    struct event *event;
};

struct smtp_server {
    struct smtp_shared shared;
    char *host_name;
    char *lmtp_path; /* ours to remove; NULL: none */
    struct allow_list allow;
    unsigned max_sessions;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    bool accepting;
    struct log_once full, starved;
    struct loop_timer accept_timer; /* after descriptors ended */
    struct loop_timer drain_timer;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void set_accepting(struct smtp_server *server, bool accepting)
{
    if (server->accepting == accepting)
        return;
    server->accepting = accepting;
    for (size_t i = 0; i < server->listener_count; i++)
        (void)(accepting ? event_add(server->listeners[i].event, NULL) : event_del(server->listeners[i].event));
}

static void accept_again(void *arg)
{
    struct smtp_server *server = arg;
    if (server->shared.draining || server->shared.figures.sessions >= server->max_sessions)
        return;
    set_accepting(server, true);
}

static void session_left(struct smtp_shared *shared)
{
    struct smtp_server *server = (struct smtp_server *)shared; /* its first member */
    if (shared->draining) {
        if (shared->figures.sessions == 0 && server->closed != NULL)
            loop_timer_set(&server->drain_timer, 0); /* not from here: our caller still uses the server */
        return;
    }
    if (server->accepting || shared->figures.sessions >= server->max_sessions)
        return;
    if (log_once_clear(&server->full))
        log_info(LOG_SMTP, 22472, "there is room for further sessions again");
    set_accepting(server, true);
}

static void client_text(const struct sockaddr_storage *address, char *to_r, size_t room)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    struct in_addr mapped;
    (void)snprintf(to_r, room, "lmtp");
    if (address->ss_family == AF_INET)
        (void)inet_ntop(AF_INET, &v4->sin_addr, to_r, (socklen_t)room);
    if (address->ss_family != AF_INET6)
        return;
    if (!IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, to_r, (socklen_t)room);
        return;
    }
    memcpy(&mapped, &v6->sin6_addr.s6_addr[12], sizeof mapped);
    (void)inet_ntop(AF_INET, &mapped, to_r, (socklen_t)room);
}

static void take_client(struct listener *listener, int fd, const struct sockaddr_storage *address)
{
    static const char refusal[] = "554 5.7.1 this host takes no mail from yours\r\n";
    struct smtp_server *server = listener->server;
    char client[SMTP_CLIENT_SIZE];
    struct err err = ERR_CLEAR;
    client_text(address, client, sizeof client);
    if (address->ss_family != AF_UNIX && !allow_has(&server->allow, (const struct sockaddr *)address)) {
        log_warning(LOG_SMTP, err_log_number(ERR_NOT_ALLOWED), "%s is not in the allow list of smtp-in", client);
        (void)send(fd, refusal, sizeof refusal - 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* as a courtesy */
        (void)close(fd);
        return;
    }
    if (smtp_session_new(&server->shared, fd, client, listener->lmtp, &err) == -1)
        log_err(LOG_SMTP, &err, "%s", client);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct listener *listener = arg;
    struct smtp_server *server = listener->server;
    for (int i = 0; i < ACCEPTS_AT_ONCE && server->accepting; i++) {
        struct sockaddr_storage address = { 0 };
        socklen_t size = sizeof address;
        int client = accept4(fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client != -1) {
            if (log_once_clear(&server->starved))
                log_info(LOG_SMTP, 22473, "clients are let in again");
            take_client(listener, client, &address);
            if (server->shared.figures.sessions >= server->max_sessions) {
                set_accepting(server, false);
                if (log_once_raise(&server->full))
                    log_warning(LOG_SMTP, err_log_number(ERR_BUSY), "%u sessions: further clients wait",
                                server->shared.figures.sessions);
            }
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (log_once_raise(&server->starved))
                log_error(LOG_SMTP, err_log_number(ERR_NO_MEMORY), "clients must wait: %s", strerror(errno));
            set_accepting(server, false);
            loop_timer_set(&server->accept_timer, ACCEPT_AGAIN_US);
        }
        /* else the client is gone already, or the network has a passing fault: the next one */
    }
}

/* --- listening --- */

static int add_listener(struct smtp_server *server, int fd, bool lmtp, unsigned port, struct err *err)
{
    struct listener *listener = &server->listeners[server->listener_count];
    listener->event = event_new(loop_base(server->shared.loop), fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    if (listener->event == NULL) {
        (void)close(fd);
        return err_set(err, ERR_NO_MEMORY, "no memory for a listening socket");
    }
    listener->server = server;
    listener->fd = fd;
    listener->lmtp = lmtp;
    listener->port = port;
    server->listener_count++;
    return 0;
}

static unsigned bound_port(int fd)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) == -1)
        return 0;
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

static int listen_at(struct smtp_server *server, const struct resolve_address *at, const char *what, struct err *err)
{
    int one = 1;
    int fd = socket(at->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return err_set(err, ERR_CONFIG, "cannot listen on %s: %s", what, strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at->address.ss_family == AF_INET6) /* so that 0.0.0.0 and [::] may both be given */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&at->address, at->size) == -1 || listen(fd, BACKLOG) == -1) {
        (void)err_set(err, ERR_CONFIG, "cannot listen on %s: %s", what, strerror(errno));
        (void)close(fd);
        return -1;
    }
    return add_listener(server, fd, false, bound_port(fd), err);
}

/* "192.0.2.1:25" or "[::1]:25" */
static int listen_on(struct smtp_server *server, struct span text, struct err *err)
{
    char what[RESOLVE_HOST_MAX + 16];
    struct resolve_name name;
    struct resolve_answer answer;
    span_to_text(text, what, sizeof what);
    if (server->listener_count == LISTENERS_MAX)
        return err_set(err, ERR_CONFIG, "more than %d addresses to listen on: leave some out", LISTENERS_MAX);
    if (resolve_parse(what, &name, err) == -1)
        return -1;
    if (!resolve_literal(&name, &answer))
        return err_set(err, ERR_CONFIG, "\"%s\": listening wants an address, as 127.0.0.1:2525 or [::1]:2525", what);
    return listen_at(server, &answer.addresses[0], what, err);
}

/* A socket file that nobody answers at is what a process that died left behind. */
static int clear_path(const struct sockaddr_un *address, struct err *err)
{
    struct stat status;
    if (lstat(address->sun_path, &status) == -1)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return err_set(err, ERR_CONFIG, "cannot listen on %s: there is a file that is no socket", address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool answers = fd != -1 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
    if (fd != -1)
        (void)close(fd);
    if (answers)
        return err_set(err, ERR_CONFIG, "cannot listen on %s: another process does", address->sun_path);
    (void)unlink(address->sun_path); /* where it fails, bind says why */
    return 0;
}

static int listen_lmtp(struct smtp_server *server, const char *path, struct err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (server->listener_count == LISTENERS_MAX || strlen(path) >= sizeof address.sun_path)
        return err_set(err, ERR_CONFIG, "cannot listen on %s: the path is longer than %zu", path,
                       sizeof address.sun_path - 1);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (clear_path(&address, err) == -1)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode is on the socket before it has a name, so that it is never open to more; then the umask is undone. */
    if (fd == -1 || fchmod(fd, 0660) == -1 || bind(fd, (struct sockaddr *)&address, sizeof address) == -1 ||
        chmod(path, 0660) == -1 || listen(fd, BACKLOG) == -1) {
        (void)err_set(err, ERR_CONFIG, "cannot listen on %s: %s", path, strerror(errno));
        if (fd != -1)
            (void)close(fd);
        return -1;
    }
    server->lmtp_path = mem_strdup(path);
    return add_listener(server, fd, true, 0, err);
}

static int start(struct smtp_server *server, const struct smtp_server_options *options, struct err *err)
{
    const char *allow = options->allow != NULL ? options->allow : DEFAULT_ALLOW;
    if (allow_parse(span_text(allow), &server->allow, err) == -1)
        return -1;
    struct reader in = reader_of(span_text(options->listen));
    while (!reader_at_end(&in)) {
        struct span word = span_trim(reader_until(&in, ' '));
        if (word.size > 0 && listen_on(server, word, err) == -1)
            return -1;
    }
    if (options->lmtp != NULL && listen_lmtp(server, options->lmtp, err) == -1)
        return -1;
    set_accepting(server, true);
    return 0;
}

static void drained(void *arg)
{
    struct smtp_server *server = arg;
    while (server->shared.sessions != NULL)
        smtp_session_end(server->shared.sessions, "this host is stopping");
    loop_timer_unset(&server->drain_timer);
    void (*closed)(void *) = server->closed;
    server->closed = NULL;
    if (closed != NULL)
        closed(server->closed_arg); /* may free the server */
}

int smtp_server_new(struct loop *loop, const struct smtp_server_options *options, const struct smtp_sink *sink,
                    struct smtp_server **server_r, struct err *err)
{
    *server_r = NULL;
    struct smtp_server *server = mem_zero(sizeof *server);
    if (server == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for the SMTP server");
    server->host_name = mem_strdup(options->host_name);
    server->max_sessions = options->max_sessions != 0 ? options->max_sessions : DEFAULT_SESSIONS;
    server->shared = (struct smtp_shared){
        .loop = loop,
        .sink = *sink,
        .host_name = server->host_name,
        .max_size = options->max_size != 0 ? options->max_size : DEFAULT_MAX_SIZE,
        .max_hops = options->max_hops,
        .max_recipients = options->max_recipients != 0 ? options->max_recipients : DEFAULT_RECIPIENTS,
        .command_us = options->command_us != 0 ? options->command_us : DEFAULT_TIMEOUT_US,
        .data_us = options->data_us != 0 ? options->data_us : DEFAULT_TIMEOUT_US,
        .scratch = mem_zero(SMTP_HELD_MAX + SMTP_READ_MAX),
        .left = session_left,
    };
    int result = 0;
    if (server->host_name == NULL || server->shared.scratch == NULL ||
        loop_timer_init(&server->accept_timer, loop, accept_again, server) == -1 ||
        loop_timer_init(&server->drain_timer, loop, drained, server) == -1)
        result = err_set(err, ERR_NO_MEMORY, "no memory for the SMTP server");
    if (result == 0)
        result = start(server, options, err);
    if (result == -1)
        smtp_server_free(server);
    else
        *server_r = server;
    return result;
}

unsigned smtp_server_port(const struct smtp_server *server, size_t index)
{
    return index < server->listener_count ? server->listeners[index].port : 0;
}

int smtp_server_adopt(struct smtp_server *server, int fd, const char *client, bool lmtp, struct err *err)
{
    return smtp_session_new(&server->shared, fd, client, lmtp, err);
}

static void stop_listening(struct smtp_server *server)
{
    server->accepting = false;
    loop_timer_unset(&server->accept_timer);
    for (size_t i = 0; i < server->listener_count; i++) {
        event_free(server->listeners[i].event);
        (void)close(server->listeners[i].fd);
    }
    server->listener_count = 0;
    if (server->lmtp_path != NULL)
        (void)unlink(server->lmtp_path);
    mem_free(server->lmtp_path);
    server->lmtp_path = NULL;
}

void smtp_server_drain(struct smtp_server *server, int64_t wait_us, void (*closed)(void *arg), void *arg)
{
    server->shared.draining = true;
    server->closed = closed;
    server->closed_arg = arg;
    stop_listening(server);
    struct smtp_session *next;
    for (struct smtp_session *session = server->shared.sessions; session != NULL; session = next) {
        next = smtp_session_following(session);
        smtp_session_drain(session);
    }
    loop_timer_set(&server->drain_timer, server->shared.sessions == NULL ? 0 : wait_us);
}

void smtp_server_free(struct smtp_server *server)
{
    if (server == NULL)
        return;
    server->shared.draining = true;
    server->closed = NULL;
    while (server->shared.sessions != NULL)
        smtp_session_end(server->shared.sessions, NULL);
    stop_listening(server);
    loop_timer_free(&server->accept_timer);
    loop_timer_free(&server->drain_timer);
    allow_free(&server->allow);
    mem_free(server->shared.scratch);
    mem_free(server->host_name);
    mem_free(server);
}

void smtp_server_figures(const struct smtp_server *server, struct smtp_server_figures *figures_r)
{
    *figures_r = server->shared.figures;
}
