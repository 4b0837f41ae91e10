/* One TCP connection with a neighbour: the 33-byte records, blocks in both directions, and the end. What can go wrong
 * is everything a network does; each failure is one line that says where and what, the connection is dropped, the
 * neighbour still has every file we did not acknowledge and we still have every file it did not. Callbacks may end the
 * session they run for, so it is held while one runs and freed with the last hold. */
#include "base/fault.h"
#include "base/mem.h"
#include "nje/link_private.h"
#include "nje/nmr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

FAILPOINT_DECLARE("nje.in.after-c0");
FAILPOINT_DECLARE("nje.out.after-data");

enum { KEEPALIVE_IDLE_S = 60, KEEPALIVE_INTERVAL_S = 20, KEEPALIVE_PROBES = 6, BCB_NUMBERS = 16 };
/* The neighbour may stop reading while it has no room; longer than this it is taken for dead. */
#define WRITE_STALL_US (10 * CLOCK_MINUTE)

const char *nje_step_name(enum nje_step step)
{
    static const char *const names[] = {
        [NJE_STEP_CONNECTING] = "connecting",
        [NJE_STEP_AWAIT_ACK] = "waiting for the ACK to our OPEN",
        [NJE_STEP_AWAIT_ENQ] = "waiting for SOH ENQ",
        [NJE_STEP_AWAIT_I] = "waiting for the sign-on record I",
        [NJE_STEP_AWAIT_ACK0] = "waiting for DLE ACK0",
        [NJE_STEP_AWAIT_J] = "waiting for the sign-on response J",
        [NJE_STEP_UP] = "signed on",
        [NJE_STEP_DEAD] = "ended",
    };
    return names[step];
}

void nje_session_hold(struct nje_session *session)
{
    session->holds++;
}

void nje_session_release(struct nje_session *session)
{
    if (--session->holds > 0 || session->step != NJE_STEP_DEAD)
        return;
    if (session->event != NULL)
        bufferevent_free(session->event);
    loop_timer_free(&session->timer);
    buf_free(&session->payload);
    buf_free(&session->block);
    mem_free(session);
}

/* --- the end --- */

static void log_end(struct nje_session *session, const struct err *why)
{
    struct nje_link *link = session->link;
    bool same = session->step != NJE_STEP_UP && strcmp(link->last_error, why->text) == 0;
    (void)snprintf(link->last_error, sizeof link->last_error, "%s", why->text);
    if (same)
        return; /* a neighbour that is away is said to be so once */
    log_warning(LOG_NJE, err_log_number(why->id), "link %s (%s, %s): %s", link->node.text,
                session->peer[0] != '\0' ? session->peer : link->connect, nje_step_name(session->step), why->text);
}

void nje_session_end(struct nje_session *session, const struct err *why)
{
    static const struct err orderly = { .id = ERR_LINK_DOWN, .text = "the connection ended" };
    if (session->step == NJE_STEP_DEAD)
        return;
    struct nje_link *link = session->link;
    nje_session_hold(session);
    if (why != NULL)
        log_end(session, why);
    bool was_up = link->up == session;
    session->step = NJE_STEP_DEAD;
    loop_timer_unset(&session->timer);
    (void)bufferevent_disable(session->event, EV_READ | EV_WRITE);
    bufferevent_setcb(session->event, NULL, NULL, NULL, NULL);
    if (link->up == session)
        link->up = NULL;
    if (link->trial == session)
        link->trial = NULL;
    if (link->candidate == session)
        link->candidate = NULL;
    if (was_up) {
        loop_timer_unset(&link->pause_timer);
        link->message_count = 0; /* NMRs are lost with the link, nje.md §8 */
        if (clock_steady() - session->up_us >= NJE_STABLE_US)
            link->failures = 0;
        nje_in_down(link);
        nje_out_down(link, why != NULL ? why : &orderly);
    } else if (!link->draining && !link->freeing && why != NULL) {
        link->failures++;
    }
    nje_link_schedule_dial(link, 0);
    nje_link_note_state(link);
    nje_session_release(session);
}

static void fail(struct nje_session *session, enum err_id id, const char *text)
{
    struct err err = ERR_CLEAR;
    (void)err_set(&err, id, "%s", text);
    nje_session_end(session, &err);
}

void nje_session_last_words(struct nje_session *session)
{
    int fd = bufferevent_getfd(session->event);
    if (fd == -1 || nje_session_output(session) > 0)
        return; /* it is not reading anyway */
    ssize_t sent = send(fd, session->block.at, session->block.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
    (void)shutdown(fd, SHUT_WR);
}

/* --- sending --- */

size_t nje_session_output(const struct nje_session *session)
{
    return evbuffer_get_length(bufferevent_get_output(session->event));
}

static void write_block(struct nje_session *session)
{
    session->sent = true;
    if (session->block.failed || bufferevent_write(session->event, session->block.at, session->block.size) == -1)
        fail(session, ERR_NO_MEMORY, "no memory to send");
}

void nje_session_send(struct nje_session *session, struct span payload)
{
    buf_clear(&session->block);
    nje_block_put(&session->block, payload);
    write_block(session);
}

void nje_session_buffer_begin(struct nje_session *session, uint8_t kind)
{
    if (kind == NJE_BCB_RESET)
        session->bcb_out = 0;
    buf_clear(&session->payload);
    nje_buffer_head(&session->payload, (uint8_t)(kind | session->bcb_out));
    if (kind == NJE_BCB_NORMAL)
        session->bcb_out = (uint8_t)((session->bcb_out + 1) % BCB_NUMBERS);
}

void nje_session_buffer_send(struct nje_session *session)
{
    if (session->payload.failed) {
        fail(session, ERR_NO_MEMORY, "no memory to send");
        return;
    }
    nje_session_send(session, buf_span(&session->payload));
}

void nje_session_reply(struct nje_session *session, uint8_t rcb, uint8_t srcb)
{
    if (session->control_count == NJE_CONTROLS_MAX) {
        fail(session, ERR_PROTOCOL, "the neighbour asks on and on and lets us answer nothing (wait-a-bit)");
        return;
    }
    session->controls[session->control_count++] = (struct nje_control_reply){ .rcb = rcb, .srcb = srcb };
}

/* Each alone in its buffer, as all implementations seen do. A cancel and the EOF that confirms one are records of the
 * stream: RCB and SRCB say it all. */
void nje_session_send_replies(struct nje_session *session)
{
    size_t sent = 0;
    while (sent < session->control_count && !nje_fcs_wait(session->fcs) && session->step == NJE_STEP_UP) {
        struct nje_control_reply reply = session->controls[sent++];
        nje_session_buffer_begin(session, NJE_BCB_NORMAL);
        if (reply.srcb == NJE_SRCB_CANCEL) {
            /* SRCB 40 for IBM, SCB 40 for UnixNJE and VM/370, then the end of the record: nje.md §6 */
            static const uint8_t abort_scb[] = { NJE_SRCB_CANCEL, 0 };
            buf_add_u8(&session->payload, reply.rcb);
            buf_add_u8(&session->payload, reply.srcb);
            buf_add(&session->payload, abort_scb, sizeof abort_scb);
        } else {
            nje_buffer_record(&session->payload, reply.rcb, reply.srcb, SPAN_EMPTY);
        }
        nje_buffer_end(&session->payload);
        if (reply.rcb == NJE_RCB_COMPLETE)
            session->c0_on_its_way = true;
        nje_session_buffer_send(session);
    }
    if (session->step != NJE_STEP_UP)
        return;
    session->control_count -= sent;
    memmove(session->controls, session->controls + sent, session->control_count * sizeof session->controls[0]);
}

void nje_session_send_messages(struct nje_session *session)
{
    struct nje_link *link = session->link;
    struct buf record = { 0 };
    while (link->message_count > 0 && nje_fcs_console(session->fcs) && session->step == NJE_STEP_UP &&
           nje_session_output(session) < NJE_OUTPUT_HIGH) {
        buf_clear(&record);
        nje_message_encode(&record, &link->messages[link->message_first]);
        link->message_first = (link->message_first + 1) % NJE_MESSAGES_MAX;
        link->message_count--;
        if (record.failed)
            continue; /* no memory: a message is lost sooner than a file */
        link->messages_out++;
        nje_session_buffer_begin(session, NJE_BCB_NORMAL);
        nje_buffer_record(&session->payload, NJE_RCB_NMR, NJE_SRCB_DATA, buf_span(&record));
        nje_buffer_end(&session->payload);
        nje_session_buffer_send(session);
    }
    buf_free(&record);
}

/* --- receiving --- */

static void read_ack(struct nje_session *session, struct evbuffer *input)
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
            nje_link_schedule_dial(link, NJE_COLLISION_US);
        return;
    }
    if (answer.type != NJE_ACK) {
        fail(session, ERR_PROTOCOL, "the neighbour answers our OPEN with an OPEN");
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
    session->step = NJE_STEP_AWAIT_ACK0;
    session->first_block = true;
    loop_timer_set(&session->timer, link->signon_us);
    nje_link_note_state(link);
    nje_session_send(session, nje_soh_enq);
}

/* 1: a block was taken; 0: more must come, or the session ended. */
static int read_block(struct nje_session *session, struct evbuffer *input)
{
    size_t there = evbuffer_get_length(input);
    size_t look = there < NJE_TTB_SIZE + NJE_PAD_AFTER_CONTROL ? there : NJE_TTB_SIZE + NJE_PAD_AFTER_CONTROL;
    struct err err = ERR_CLEAR;
    struct span head = span_of(evbuffer_pullup(input, (ev_ssize_t)look), look);
    size_t pad = 0, size = 0;
    int found = session->first_block ? nje_block_find_first(head, NJE_BLOCK_ACCEPT_MAX, &pad, &size, &err)
                                     : nje_block_find(head, NJE_BLOCK_ACCEPT_MAX, &size, &err);
    if (found == -1) {
        char text[ERR_TEXT_SIZE];
        (void)snprintf(text, sizeof text, "%s", err.text);
        struct buf hex = { 0 };
        for (size_t i = 0; i < head.size; i++)
            buf_printf(&hex, "%02X", head.at[i]);
        (void)err_set(&err, ERR_PROTOCOL, "%s: X'%.*s'", text, (int)hex.size, (const char *)hex.at);
        buf_free(&hex);
        nje_session_end(session, &err);
        return 0;
    }
    if (size == 0 || there - pad < size)
        return 0;
    session->first_block = false;
    (void)evbuffer_drain(input, pad);
    struct span block = span_of(evbuffer_pullup(input, (ev_ssize_t)size), size);
    struct nje_block_walk walk = nje_block_walk(block);
    struct nje_ttr ttr;
    int next = 0;
    while (session->step != NJE_STEP_DEAD && (next = nje_block_next(&walk, &ttr, &err)) == 1)
        nje_session_payload(session, &ttr);
    if (session->step == NJE_STEP_DEAD)
        return 0;
    if (next == -1) {
        nje_session_end(session, &err);
        return 0;
    }
    (void)evbuffer_drain(input, size);
    return 1;
}

static void read_all(struct nje_session *session)
{
    struct evbuffer *input = bufferevent_get_input(session->event);
    nje_session_hold(session);
    session->reading = true;
    if (session->step == NJE_STEP_AWAIT_ACK && evbuffer_get_length(input) >= NJE_CONTROL_SIZE)
        read_ack(session, input);
    if (session->step > NJE_STEP_AWAIT_ACK)
        while (session->step != NJE_STEP_DEAD && !session->paused && read_block(session, input) == 1)
            continue;
    session->reading = false;
    if (session->step == NJE_STEP_UP)
        nje_link_pump(session->link);
    nje_session_release(session);
}

static void readable(struct bufferevent *event, void *arg)
{
    (void)event;
    read_all(arg);
}

void nje_session_resume(struct nje_session *session)
{
    session->paused = false;
    loop_timer_unset(&session->link->pause_timer);
    if (session->step == NJE_STEP_DEAD)
        return;
    (void)bufferevent_enable(session->event, EV_READ);
    if (!session->reading) /* else whoever takes the blocks goes on */
        read_all(session);
}

static void written(struct bufferevent *event, void *arg)
{
    (void)event;
    struct nje_session *session = arg;
    nje_session_hold(session);
    if (nje_session_output(session) == 0) {
        if (session->c0_on_its_way)
            FAILPOINT("nje.in.after-c0");
        if (session->eof_on_its_way)
            FAILPOINT("nje.out.after-data");
        session->c0_on_its_way = false;
        session->eof_on_its_way = false;
    }
    if (session->step == NJE_STEP_UP)
        nje_link_pump(session->link);
    nje_session_release(session);
}

/* --- connecting --- */

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
    struct nje_control open = { .type = NJE_OPEN, .rhost = link->our_node, .ohost = link->node };
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
    session->step = NJE_STEP_AWAIT_ACK;
    loop_timer_set(&session->timer, link->record_us);
    if (bufferevent_write(session->event, record, sizeof record) == -1)
        fail(session, ERR_NO_MEMORY, "no memory to send");
}

static void happened(struct bufferevent *event, short what, void *arg)
{
    (void)event;
    struct nje_session *session = arg;
    nje_session_hold(session);
    int error = EVUTIL_SOCKET_ERROR();
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        set_options(bufferevent_getfd(session->event));
        send_open(session);
    } else if ((what & BEV_EVENT_TIMEOUT) != 0) {
        fail(session, ERR_TIMEOUT, "the neighbour has not read for ten minutes what we sent");
    } else if ((what & BEV_EVENT_EOF) != 0) {
        fail(session, session->step == NJE_STEP_UP ? ERR_LINK_DOWN : ERR_CONNECT,
             session->step == NJE_STEP_UP ? "the neighbour closed the connection without signing off"
                                          : "the neighbour closed the connection");
    } else {
        struct err err = ERR_CLEAR;
        (void)err_set(&err, session->step == NJE_STEP_CONNECTING ? ERR_CONNECT : ERR_LINK_DOWN, "%s",
                      evutil_socket_error_to_string(error));
        nje_session_end(session, &err);
    }
    nje_session_release(session);
}

static void timed_out(void *arg)
{
    struct nje_session *session = arg;
    nje_session_hold(session);
    if (session->step != NJE_STEP_UP) {
        fail(session, ERR_TIMEOUT, "no answer in time");
    } else if (nje_in_stalled(session->link)) {
        fail(session, ERR_TIMEOUT, "half an hour without a record of the file the neighbour is sending");
    } else {
        if (!session->sent)
            nje_session_send(session, SPAN_EMPTY);
        session->sent = false;
        loop_timer_set(&session->timer, session->link->idle_probe_us);
    }
    nje_session_release(session);
}

static struct nje_session *session_new(struct nje_link *link, int fd, const struct sockaddr *address, size_t size,
                                       struct err *err)
{
    struct nje_session *session = mem_zero(sizeof *session);
    if (session != NULL)
        session->event = bufferevent_socket_new(loop_base(link->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (session == NULL || session->event == NULL ||
        loop_timer_init(&session->timer, link->loop, timed_out, session) == -1) {
        if (session != NULL && session->event != NULL) {
            (void)bufferevent_setfd(session->event, -1); /* the caller still owns it */
            bufferevent_free(session->event);
        }
        mem_free(session);
        (void)err_set(err, ERR_NO_MEMORY, "no memory for a connection");
        return NULL;
    }
    session->link = link;
    session->fcs = NJE_FCS_NORMAL;
    memcpy(&session->address, address, size);
    resolve_text(address, session->peer);
    const struct timeval stall = { .tv_sec = WRITE_STALL_US / CLOCK_SECOND };
    bufferevent_setcb(session->event, readable, written, happened, session);
    (void)bufferevent_set_timeouts(session->event, NULL, &stall);
    bufferevent_setwatermark(session->event, EV_WRITE, NJE_OUTPUT_LOW, 0);
    (void)bufferevent_enable(session->event, EV_READ | EV_WRITE);
    return session;
}

struct nje_session *nje_session_dial(struct nje_link *link, const struct resolve_address *address, struct err *err)
{
    struct nje_session *session = session_new(link, -1, (const struct sockaddr *)&address->address, address->size, err);
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

struct nje_session *nje_session_accept(struct nje_link *link, int fd, const struct sockaddr_storage *address,
                                       const struct nje_control *open, struct err *err)
{
    struct nje_session *session = session_new(link, fd, (const struct sockaddr *)address, sizeof *address, err);
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
    (void)bufferevent_write(session->event, record, sizeof record);
    return session;
}
