/* Shared listeners. Anybody can connect here, so what a stranger may cost is small and fixed: an address that no link
 * allows is closed at once, the others get one 33-byte record and a time limit, and there is a limit on how many may be
 * about it. Exactly 33 bytes are read: what follows belongs to the session. A first byte of X'16' is a TLS handshake
 * (OPEN begins with X'D6'): with the certificate of the first link that allows the address and has tls = implicit. */
#include "nje/listen.h"

#include "base/mem.h"
#include "nje/link_private.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_REST_US CLOCK_SECOND /* without descriptors or memory */

enum { TLS_HANDSHAKE = 0x16 };

struct pending {
    struct nje_listener *listener;
    struct pending *next;
    int fd;
    struct sockaddr_storage address;
    struct event *readable;   /* while it is not encrypted */
    struct bufferevent *tls;  /* owns fd */
    struct nje_link *tls_for; /* whose context it is */
    bool encrypted;           /* the handshake is through */
    struct loop_timer timer;
    uint8_t record[NJE_CONTROL_SIZE];
    size_t size;
};

struct nje_listener {
    struct nje_listener *next;
    struct loop *loop;
    char *text;
    char bound[RESOLVE_TEXT_MAX];
    struct evconnlistener *event;
    struct loop_timer rest;
    struct nje_link *links; /* by next_listening */
    struct pending *pending;
    size_t pending_count;
    struct log_once crowded, starved;
};

static struct nje_listener *listeners;

static void pending_free(struct pending *pending)
{
    struct nje_listener *listener = pending->listener;
    for (struct pending **at = &listener->pending; *at != NULL; at = &(*at)->next) {
        if (*at != pending)
            continue;
        *at = pending->next;
        listener->pending_count--;
        break;
    }
    if (log_once_clear(&listener->crowded))
        log_info(LOG_NJE, 23717, "%s takes connections again", listener->bound);
    loop_timer_free(&pending->timer);
    if (pending->readable != NULL)
        event_free(pending->readable);
    if (pending->tls != NULL)
        bufferevent_free(pending->tls);
    else if (pending->fd != -1)
        (void)close(pending->fd);
    mem_free(pending);
}

static void pending_late(void *arg)
{
    struct pending *pending = arg;
    char peer[RESOLVE_TEXT_MAX];
    resolve_text((const struct sockaddr *)&pending->address, peer);
    log_warning(LOG_NJE, err_log_number(ERR_TIMEOUT), "%s connected to %s and sent %zu of %d bytes of its OPEN record",
                peer, pending->listener->bound, pending->size, NJE_CONTROL_SIZE);
    pending_free(pending);
}

static struct nje_link *find_link(struct nje_listener *listener, const struct nje_control *open)
{
    struct nje_link *link = listener->links;
    while (link != NULL && (!name8_equal(link->node, open->rhost) || !name8_equal(link->our_node, open->ohost)))
        link = link->next_listening;
    return link;
}

/* What the neighbour should have said, for the log: the link its address belongs to, or the first of its name. */
static const struct nje_link *nearest_link(const struct nje_listener *listener, const struct pending *pending,
                                           const struct nje_control *open)
{
    for (const struct nje_link *link = listener->links; link != NULL; link = link->next_listening)
        if (name8_equal(link->node, open->rhost))
            return link;
    for (const struct nje_link *link = listener->links; link != NULL; link = link->next_listening)
        if (nje_link_allows(link, (const struct sockaddr *)&pending->address))
            return link;
    return listener->links;
}

/* nje.md §9: both sides must encrypt, and in the same way. */
static bool encryption_differs(const struct pending *pending, const struct nje_link *link,
                               const struct nje_control *open, struct err *err)
{
    static const char *const ways[] = { "off", "implicit", "starttls" }; /* enum nje_tls */
    enum nje_tls theirs = NJE_TLS_OFF;
    if (pending->tls != NULL)
        theirs = NJE_TLS_IMPLICIT;
    else if (open->type == NJE_OPEN_SSL)
        theirs = NJE_TLS_STARTTLS;
    if (theirs != link->tls) {
        (void)err_set(
            err, ERR_PROTOCOL,
            "it opens link %s %s, and ours is set up with tls = %s; both sides must say the same (tls = %s here, "
            "or SECURE=%s over there)",
            link->node.text,
            theirs == NJE_TLS_OFF        ? "in clear (OPEN)"
            : theirs == NJE_TLS_IMPLICIT ? "in TLS from the first byte"
                                         : "with TLS behind its record (OPEN SSL)",
            ways[link->tls], ways[theirs], link->tls == NJE_TLS_OFF ? "NO" : "YES");
        return true;
    }
    const struct nje_link *used = pending->tls_for;
    if (used == NULL || used == link)
        return false;
    bool same = tls_same(used->tls_context, link->tls_context) &&
                (link->tls_name == NULL || (used->tls_name != NULL && strcmp(used->tls_name, link->tls_name) == 0));
    if (!same)
        (void)err_set(err, ERR_CONFIG,
                      "links %s and %s listen on the same address with tls = implicit and different certificates or "
                      "names; give them addresses or ports of their own",
                      used->node.text, link->node.text);
    return !same;
}

static uint8_t offer(struct pending *pending, const struct nje_control *open, struct err *err)
{
    struct nje_link *link = find_link(pending->listener, open);
    if (link == NULL) {
        const struct nje_link *nearest = nearest_link(pending->listener, pending, open);
        (void)err_set(
            err, ERR_PROTOCOL,
            "it says it is \"%s\" and that we are \"%s\"; no link has these names. Expected for link %s: it %s, "
            "we %s. Its definition must name us %s, and its own node %s",
            open->rhost.text, open->ohost.text, nearest->node.text, nearest->node.text, nearest->our_node.text,
            nearest->our_node.text, nearest->node.text);
        return NJE_NAK_NO_LINK;
    }
    if (!nje_link_allows(link, (const struct sockaddr *)&pending->address)) {
        (void)err_set(err, ERR_NOT_ALLOWED, "it opens link %s, whose neighbour may not come from there (allow)",
                      link->node.text);
        return NJE_NAK_NO_LINK;
    }
    if (encryption_differs(pending, link, open, err))
        return NJE_NAK_TEMPORARY;
    return nje_link_opened(link, pending->fd, pending->tls, &pending->address, open, err);
}

static void pending_opened(struct pending *pending)
{
    char peer[RESOLVE_TEXT_MAX];
    struct nje_control open;
    struct err err = ERR_CLEAR;
    uint8_t reason = 0;
    resolve_text((const struct sockaddr *)&pending->address, peer);
    bool sound = nje_control_decode(span_of(pending->record, pending->size), &open, &err) == 0;
    if (sound && open.type != NJE_OPEN && open.type != NJE_OPEN_SSL) {
        (void)err_set(&err, ERR_PROTOCOL, "it starts with an ACK or NAK where an OPEN is due");
        sound = false;
    }
    if (sound)
        reason = offer(pending, &open, &err);
    if (sound && reason == 0) {
        pending->fd = -1; /* the link's now, both */
        pending->tls = NULL;
    } else {
        log_warning(LOG_NJE, err_log_number(err.id), "connection from %s to %s refused: %s", peer,
                    pending->listener->bound, err.text);
    }
    if (sound && reason != 0) {
        struct nje_control nak = nje_control_answer(&open, NJE_NAK, reason);
        uint8_t record[NJE_CONTROL_SIZE];
        nje_control_encode(&nak, record);
        /* else the close says the same */
        if (pending->tls != NULL)
            tls_last_words(pending->tls, span_of(record, sizeof record));
        else if (send(pending->fd, record, sizeof record, MSG_NOSIGNAL) == -1)
            log_trace(LOG_NJE, 0, "%s is gone before our NAK", peer);
    }
    pending_free(pending);
}

/* --- in TLS from the first byte --- */

static void tls_readable(struct bufferevent *event, void *arg)
{
    struct pending *pending = arg;
    struct evbuffer *input = bufferevent_get_input(event);
    if (evbuffer_get_length(input) < sizeof pending->record)
        return;
    (void)evbuffer_remove(input, pending->record, sizeof pending->record);
    pending->size = sizeof pending->record;
    pending_opened(pending);
}

static void tls_happened(struct bufferevent *event, short what, void *arg)
{
    struct pending *pending = arg;
    char peer[RESOLVE_TEXT_MAX];
    struct err err = ERR_CLEAR;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        pending->encrypted = true;
        return;
    }
    resolve_text((const struct sockaddr *)&pending->address, peer);
    tls_failure(event, &err);
    if (pending->encrypted)
        log_trace(LOG_NJE, 0, "%s closed its connection to %s before its OPEN", peer, pending->listener->bound);
    else
        log_warning(LOG_NJE, err_log_number(err.id), "connection from %s to %s refused: %s", peer,
                    pending->listener->bound, err.text);
    pending_free(pending);
}

/* True when it was one, and `pending` is dealt with. */
static bool tls_begins(struct pending *pending)
{
    uint8_t first;
    struct err err = ERR_CLEAR;
    struct nje_link *link = pending->listener->links;
    if (pending->size > 0 || recv(pending->fd, &first, 1, MSG_PEEK) != 1 || first != TLS_HANDSHAKE)
        return false;
    while (link != NULL &&
           (link->tls != NJE_TLS_IMPLICIT || !nje_link_allows(link, (const struct sockaddr *)&pending->address)))
        link = link->next_listening;
    if (link == NULL) {
        char peer[RESOLVE_TEXT_MAX];
        resolve_text((const struct sockaddr *)&pending->address, peer);
        log_warning(
            LOG_NJE, err_log_number(ERR_PROTOCOL),
            "connection from %s to %s refused: it begins with a TLS handshake, and no link it may open has tls = "
            "implicit",
            peer, pending->listener->bound);
        pending_free(pending);
        return true;
    }
    pending->tls = tls_start(link->tls_context, TLS_ACCEPT, loop_base(link->loop), pending->fd, link->tls_name, &err);
    if (pending->tls == NULL) {
        log_err(LOG_NJE, &err, "link %s", link->node.text);
        pending_free(pending);
        return true;
    }
    pending->tls_for = link;
    event_free(pending->readable);
    pending->readable = NULL;
    bufferevent_setcb(pending->tls, tls_readable, NULL, tls_happened, pending);
    (void)bufferevent_enable(pending->tls, EV_READ | EV_WRITE);
    return true;
}

static void pending_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct pending *pending = arg;
    if (tls_begins(pending))
        return;
    ssize_t got = recv(fd, pending->record + pending->size, sizeof pending->record - pending->size, 0);
    if (got == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) { /* port scanners and health checks come and go */
        char peer[RESOLVE_TEXT_MAX];
        resolve_text((const struct sockaddr *)&pending->address, peer);
        log_trace(LOG_NJE, 23718, "%s closed its connection to %s before its OPEN", peer, pending->listener->bound);
        pending_free(pending);
        return;
    }
    pending->size += (size_t)got;
    if (pending->size == sizeof pending->record)
        pending_opened(pending);
}

static bool anybody_allows(const struct nje_listener *listener, const struct sockaddr *address)
{
    for (const struct nje_link *link = listener->links; link != NULL; link = link->next_listening)
        if (nje_link_allows(link, address))
            return true;
    return false;
}

static int64_t record_time(const struct nje_listener *listener)
{
    int64_t longest = 0;
    for (const struct nje_link *link = listener->links; link != NULL; link = link->next_listening)
        longest = link->record_us > longest ? link->record_us : longest;
    return longest;
}

static void accepted(struct evconnlistener *event, evutil_socket_t fd, struct sockaddr *address, int size, void *arg)
{
    (void)event;
    struct nje_listener *listener = arg;
    char peer[RESOLVE_TEXT_MAX];
    resolve_text(address, peer);
    if (!anybody_allows(listener, address)) {
        log_warning(LOG_NJE, err_log_number(ERR_NOT_ALLOWED), "connection from %s to %s refused: no link allows it",
                    peer, listener->bound);
        (void)close(fd);
        return;
    }
    if (listener->pending_count == NJE_LISTEN_PENDING_MAX) {
        if (log_once_raise(&listener->crowded))
            log_warning(LOG_NJE, err_log_number(ERR_BUSY),
                        "%d connections to %s have not sent their OPEN; more are closed", NJE_LISTEN_PENDING_MAX,
                        listener->bound);
        (void)close(fd);
        return;
    }
    struct pending *pending = mem_zero(sizeof *pending);
    if (pending == NULL) {
        (void)close(fd);
        return;
    }
    pending->listener = listener;
    pending->fd = fd;
    memcpy(&pending->address, address, (size_t)size);
    pending->next = listener->pending;
    listener->pending = pending;
    listener->pending_count++;
    pending->readable = event_new(loop_base(listener->loop), fd, EV_READ | EV_PERSIST, pending_readable, pending);
    if (pending->readable == NULL || event_add(pending->readable, NULL) == -1 ||
        loop_timer_init(&pending->timer, listener->loop, pending_late, pending) == -1) {
        pending_free(pending);
        return;
    }
    loop_timer_set(&pending->timer, record_time(listener));
}

static void accept_failed(struct evconnlistener *event, void *arg)
{
    struct nje_listener *listener = arg;
    if (log_once_raise(&listener->starved))
        log_error(LOG_NJE, err_log_number(ERR_NO_MEMORY), "%s cannot take connections: %s", listener->bound,
                  evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
    (void)evconnlistener_disable(event);
    loop_timer_set(&listener->rest, LISTEN_REST_US);
}

static void accept_again(void *arg)
{
    struct nje_listener *listener = arg;
    (void)evconnlistener_enable(listener->event);
    if (log_once_clear(&listener->starved))
        log_info(LOG_NJE, 23719, "%s tries to take connections again", listener->bound);
}

static void listener_free(struct nje_listener *listener)
{
    for (struct nje_listener **at = &listeners; *at != NULL; at = &(*at)->next) {
        if (*at != listener)
            continue;
        *at = listener->next;
        break;
    }
    while (listener->pending != NULL)
        pending_free(listener->pending);
    if (listener->event != NULL)
        evconnlistener_free(listener->event);
    loop_timer_free(&listener->rest);
    mem_free(listener->text);
    mem_free(listener);
}

static int listener_open(struct nje_listener *listener, const char *text, struct err *err)
{
    struct resolve_name name;
    struct resolve_answer answer;
    if (resolve_parse(text, &name, err) == -1)
        return -1;
    if (!resolve_literal(&name, &answer))
        return err_set(err, ERR_CONFIG, "\"%s\": give the address to listen on as a number, such as 0.0.0.0:175", text);
    if (loop_timer_init(&listener->rest, listener->loop, accept_again, listener) == -1)
        return err_set(err, ERR_NO_MEMORY, "no memory to listen on %s", text);
    const struct sockaddr *address = (const struct sockaddr *)&answer.addresses[0].address;
    unsigned options = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    if (address->sa_family == AF_INET6)
        options |= LEV_OPT_BIND_IPV6ONLY; /* so that [::]:175 and 0.0.0.0:175 can both be had */
    listener->event = evconnlistener_new_bind(loop_base(listener->loop), accepted, listener, options,
                                              NJE_LISTEN_BACKLOG, address, (int)answer.addresses[0].size);
    if (listener->event == NULL)
        return err_set(err, ERR_CONNECT, "cannot listen on %s: %s", text, strerror(errno));
    evconnlistener_set_error_cb(listener->event, accept_failed);
    struct sockaddr_storage bound = { .ss_family = AF_UNSPEC };
    socklen_t size = sizeof bound;
    if (getsockname(evconnlistener_get_fd(listener->event), (struct sockaddr *)&bound, &size) == 0)
        resolve_text((const struct sockaddr *)&bound, listener->bound);
    return 0;
}

struct nje_listener *nje_listen_join(struct loop *loop, struct nje_link *link, const char *text, struct err *err)
{
    struct nje_listener *listener = listeners;
    while (listener != NULL && (listener->loop != loop || strcmp(listener->text, text) != 0))
        listener = listener->next;
    if (listener == NULL) {
        listener = mem_zero(sizeof *listener);
        if (listener == NULL || (listener->text = mem_strdup(text)) == NULL) {
            mem_free(listener);
            (void)err_set(err, ERR_NO_MEMORY, "no memory to listen on %s", text);
            return NULL;
        }
        listener->loop = loop;
        listener->next = listeners;
        listeners = listener;
        if (listener_open(listener, text, err) == -1) {
            listener_free(listener);
            return NULL;
        }
    }
    link->next_listening = listener->links;
    listener->links = link;
    return listener;
}

void nje_listen_leave(struct nje_listener *listener, struct nje_link *link)
{
    for (struct nje_link **at = &listener->links; *at != NULL; at = &(*at)->next_listening) {
        if (*at != link)
            continue;
        *at = link->next_listening;
        break;
    }
    for (struct pending *pending = listener->pending, *next; pending != NULL; pending = next) {
        next = pending->next;
        if (pending->tls_for == link)
            pending_free(pending);
    }
    if (listener->links == NULL)
        listener_free(listener);
}

const char *nje_listen_text(const struct nje_listener *listener)
{
    return listener->bound;
}
