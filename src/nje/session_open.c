/* How a session comes to be: connecting, TLS, the 33-byte records both ways (nje.md §1, §9), and whether it still lives
 * when another one wants its place. What can go wrong is that the two definitions disagree: then our operator is told
 * what each side said and what the other must say, because JES2 and RSCS say little or nothing.
 */
#include "nje/link_private.h"

#include <errno.h>
#include <event2/buffer.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { KEEPALIVE_IDLE_S = 60, KEEPALIVE_INTERVAL_S = 20, KEEPALIVE_PROBES = 6 };
/* TCP_INFO counts in the kernel's ticks: what came later than this after a moment certainly came after it. */
#define TICKS_US (20 * INT64_C(1000))

/* The connection goes on in TLS; nothing may wait in either direction. */
static int start_tls(struct nje_session *session, enum tls_side side, struct err *err)
{
    struct nje_link *link = session->link;
    const char *name = link->tls_name;
    if (name == NULL && side == TLS_CONNECT)
        name = link->connect_name.host;
    struct bufferevent *tls =
        tls_start(link->tls_context, side, loop_base(link->loop), bufferevent_getfd(session->event), name, err);
    if (tls == NULL)
        return -1;
    nje_session_let_go(session->event);
    session->tls = true;
    nje_session_attach(session, tls);
    return 0;
}

void nje_session_read_ack(struct nje_session *session, struct evbuffer *input)
{
    struct nje_link *link = session->link;
    uint8_t record[NJE_CONTROL_SIZE];
    struct nje_control answer;
    struct err err = ERR_CLEAR;
    (void)evbuffer_remove(input, record, sizeof record);
    if (nje_control_decode(span_of(record, sizeof record), &answer, &err) == -1) {
        nje_session_end(session, &err);
        return;
    }
    if (answer.type == NJE_NAK) {
        (void)err_set(
            &err, answer.reason == NJE_NAK_NO_LINK ? ERR_PROTOCOL : ERR_PEER_TEMPORARY,
            "the neighbour answers NAK %u: %s. We said we are %s and it is %s: it must have a link %s, and %s as "
            "its own node name",
            answer.reason, nje_nak_text(answer.reason), link->our_node.text, link->node.text, link->our_node.text,
            link->node.text);
        nje_session_end(session, &err);
        if (answer.reason == NJE_NAK_COLLISION)
            nje_link_schedule_dial(link, link->times.collision_us);
        return;
    }
    if (answer.type != NJE_ACK) {
        nje_session_fail(session, ERR_PROTOCOL, "the neighbour answers our OPEN with an OPEN");
        return;
    }
    if (!name8_equal(answer.rhost, link->node) || !name8_equal(answer.ohost, link->our_node)) {
        (void)err_set(
            &err, ERR_PROTOCOL,
            "its ACK says it is \"%s\" and we are \"%s\"; we expect %s and %s. Its definition must name us %s, "
            "and its own node %s",
            answer.rhost.text, answer.ohost.text, link->node.text, link->our_node.text, link->our_node.text,
            link->node.text);
        nje_session_end(session, &err);
        return;
    }
    session->first_block = true;
    loop_timer_set(&session->timer, link->signon_us);
    nje_link_note_state(link);
    if (link->tls != NJE_TLS_STARTTLS) {
        session->step = NJE_STEP_AWAIT_ACK0;
        nje_session_send(session, nje_soh_enq);
    } else if (evbuffer_get_length(input) > 0) {
        /* it would be taken for something that TLS protected */
        nje_session_fail(session, ERR_PROTOCOL, "it sends in clear behind its ACK where the TLS handshake is due");
    } else {
        session->step = NJE_STEP_STARTTLS;
        if (start_tls(session, TLS_CONNECT, &err) == -1)
            nje_session_end(session, &err);
    }
}

static void set_options(int fd)
{
    /* The TCP layer finds out about a dead neighbour; our probes give it something to find it with. */
    const struct {
        int level, name, value;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
        { IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
        { IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
        { IPPROTO_TCP, TCP_NODELAY, 1 },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* The IPv4 address in `address`, mapped ones too; zeros where it is none. */
static void ipv4_of(const struct sockaddr_storage *address, uint8_t four_r[4])
{
    memset(four_r, 0, 4);
    if (address->ss_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        memcpy(four_r, &four.sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
            memcpy(four_r, &six.sin6_addr.s6_addr[12], 4);
    }
}

static void send_open(struct nje_session *session)
{
    struct nje_link *link = session->link;
    struct nje_control open = { .type = link->tls == NJE_TLS_STARTTLS ? NJE_OPEN_SSL : NJE_OPEN,
                                .rhost = link->our_node,
                                .ohost = link->node };
    struct sockaddr_storage local = { .ss_family = AF_UNSPEC };
    socklen_t size = sizeof local;
    /* JES2 compares both addresses with its own definitions (IAZ0520I, IAZ0521I) */
    (void)getsockname(bufferevent_getfd(session->event), (struct sockaddr *)&local, &size);
    ipv4_of(&local, open.rip);
    ipv4_of(&session->address, open.oip);
    if (link->rip_set)
        memcpy(open.rip, link->rip, sizeof open.rip);
    if (link->oip_set)
        memcpy(open.oip, link->oip, sizeof open.oip);
    uint8_t record[NJE_CONTROL_SIZE];
    nje_control_encode(&open, record);
    session->open = open;
    session->step = NJE_STEP_AWAIT_ACK;
    loop_timer_set(&session->timer, link->record_us);
    if (bufferevent_write(session->event, record, sizeof record) == -1)
        nje_session_fail(session, ERR_NO_MEMORY, "no memory to send");
}

/* Nothing but a close in answer to our OPEN: what JES2 and JES3 do with names and addresses they do not expect. */
static void closed_on_open(struct nje_session *session)
{
    const struct nje_control *open = &session->open;
    struct err err = ERR_CLEAR;
    (void)err_set(
        &err, ERR_CONNECT,
        "the neighbour closed the connection without an answer to our OPEN%s: we are %s at %u.%u.%u.%u (RIP), "
        "it is %s at %u.%u.%u.%u (OIP). Its definition must say the same; rip and oip change the addresses",
        open->type == NJE_OPEN_SSL ? " SSL" : "", open->rhost.text, open->rip[0], open->rip[1], open->rip[2],
        open->rip[3], open->ohost.text, open->oip[0], open->oip[1], open->oip[2], open->oip[3]);
    nje_session_end(session, &err);
}

static void tls_done(struct nje_session *session)
{
    char text[TLS_TEXT_MAX];
    tls_text(session->event, text);
    log_info(LOG_NJE, 0, "link %s (%s): encrypted: %s", session->link->node.text, session->peer, text);
    if (session->step == NJE_STEP_TLS) {
        send_open(session);
    } else if (session->dialled) {
        session->step = NJE_STEP_AWAIT_ACK0;
        nje_session_send(session, nje_soh_enq);
    } else {
        session->step = NJE_STEP_AWAIT_ENQ;
    }
}

static void connected(struct nje_session *session)
{
    struct err err = ERR_CLEAR;
    if (session->step != NJE_STEP_CONNECTING) {
        tls_done(session);
        return;
    }
    set_options(bufferevent_getfd(session->event));
    if (session->link->tls != NJE_TLS_IMPLICIT) {
        send_open(session);
        return;
    }
    session->step = NJE_STEP_TLS;
    loop_timer_set(&session->timer, session->link->signon_us);
    if (start_tls(session, TLS_CONNECT, &err) == -1)
        nje_session_end(session, &err);
}

void nje_session_happened(struct bufferevent *event, short what, void *arg)
{
    struct nje_session *session = arg;
    struct err err = ERR_CLEAR;
    nje_session_hold(session);
    int error = EVUTIL_SOCKET_ERROR();
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        connected(session);
    } else if ((what & BEV_EVENT_TIMEOUT) != 0) {
        nje_session_fail(session, ERR_TIMEOUT, "the neighbour does not read what we send");
    } else if (session->step == NJE_STEP_TLS || session->step == NJE_STEP_STARTTLS) {
        tls_failure(event, &err);
        nje_session_end(session, &err);
    } else if ((what & BEV_EVENT_EOF) != 0 && session->step == NJE_STEP_AWAIT_ACK) {
        closed_on_open(session);
    } else if ((what & BEV_EVENT_EOF) != 0) {
        nje_session_fail(session, session->step == NJE_STEP_UP ? ERR_LINK_DOWN : ERR_CONNECT,
                         session->step == NJE_STEP_UP ? "the neighbour closed the connection without signing off"
                                                      : "the neighbour closed the connection");
    } else {
        (void)err_set(&err, session->step == NJE_STEP_CONNECTING ? ERR_CONNECT : ERR_LINK_DOWN, "%s",
                      evutil_socket_error_to_string(error));
        nje_session_end(session, &err);
    }
    nje_session_release(session);
}

struct nje_session *nje_session_dial(struct nje_link *link, const struct resolve_address *address, struct err *err)
{
    struct nje_session *session =
        nje_session_new(link, -1, NULL, (const struct sockaddr *)&address->address, address->size, err);
    if (session == NULL)
        return NULL;
    session->dialled = true;
    session->step = NJE_STEP_CONNECTING;
    loop_timer_set(&session->timer, link->record_us);
    nje_session_hold(session);
    if (bufferevent_socket_connect(session->event, (const struct sockaddr *)&address->address, (int)address->size) ==
        -1) {
        (void)err_set(err, ERR_CONNECT, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
        session->step = NJE_STEP_DEAD;
    }
    bool alive = session->step != NJE_STEP_DEAD;
    nje_session_release(session);
    return alive ? session : NULL;
}

static int begin_starttls(struct nje_session *session, int fd, struct span ack, struct err *err)
{
    /* 33 bytes fit into an empty socket, and nothing of theirs may be behind the OPEN: it would be in clear */
    if (send(fd, ack.at, ack.size, MSG_NOSIGNAL) != (ssize_t)ack.size)
        return err_set(err, ERR_CONNECT, "the ACK cannot be sent: %s", strerror(errno));
    session->step = NJE_STEP_STARTTLS;
    return start_tls(session, TLS_ACCEPT, err);
}

struct nje_session *nje_session_accept(struct nje_link *link, int fd, struct bufferevent *tls,
                                       const struct sockaddr_storage *address, const struct nje_control *open,
                                       struct err *err)
{
    struct nje_session *session =
        nje_session_new(link, fd, tls, (const struct sockaddr *)address, sizeof *address, err);
    if (session == NULL)
        return NULL;
    set_options(fd);
    struct nje_control ack = nje_control_answer(open, NJE_ACK, 0);
    if (link->rip_set)
        memcpy(ack.rip, link->rip, sizeof ack.rip);
    if (link->oip_set)
        memcpy(ack.oip, link->oip, sizeof ack.oip);
    uint8_t record[NJE_CONTROL_SIZE];
    nje_control_encode(&ack, record);
    session->step = NJE_STEP_AWAIT_ENQ;
    session->first_block = true;
    loop_timer_set(&session->timer, link->signon_us);
    if (link->tls != NJE_TLS_STARTTLS) {
        (void)bufferevent_write(session->event, record, sizeof record);
        if (tls != NULL && evbuffer_get_length(bufferevent_get_input(tls)) > 0)
            bufferevent_trigger(tls, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
    } else if (begin_starttls(session, fd, span_of(record, sizeof record), err) == -1) {
        nje_session_hold(session);
        nje_session_let_go(session->event);
        session->event = NULL;
        session->step = NJE_STEP_DEAD;
        nje_session_release(session);
        return NULL;
    }
    return session;
}

/* --- is it alive? --- */

void nje_session_probe(struct nje_session *session)
{
    nje_session_send(session, SPAN_EMPTY);
}

bool nje_session_lives(const struct nje_session *session, int64_t since_us)
{
    int fd = bufferevent_getfd(session->event);
    struct tcp_info info = { .tcpi_state = 0 };
    socklen_t size = sizeof info;
    int unsent = 0;
    /* acknowledged to the last byte: the probe, which went last, too */
    if (nje_session_output(session) == 0 && ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent == 0)
        return true;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1)
        return false;
    uint32_t age_ms =
        info.tcpi_last_ack_recv < info.tcpi_last_data_recv ? info.tcpi_last_ack_recv : info.tcpi_last_data_recv;
    return clock_steady() - age_ms * INT64_C(1000) > since_us + TICKS_US;
}
