/* One TCP connection with a neighbour: blocks in both directions, and the end (how it is opened: session_open.c). What
 * can go wrong is everything a network does; each failure is one line that says where and what, the connection is
 * dropped, the neighbour still has every file we did not acknowledge and we still have every file it did not. Callbacks
 * may end the session they run for, so it is held while one runs and freed with the last hold. */
#include "base/fault.h"
#include "base/mem.h"
#include "nje/link_private.h"
#include "nje/nmr.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <sys/socket.h>

FAILPOINT_DECLARE("nje.in.after-c0");
FAILPOINT_DECLARE("nje.out.after-data");

enum { BCB_NUMBERS = 16 };

const char *nje_step_name(enum nje_step step)
{
    static const char *const names[] = {
        [NJE_STEP_CONNECTING] = "connecting",
        [NJE_STEP_TLS] = "in the TLS handshake",
        [NJE_STEP_STARTTLS] = "in the TLS handshake behind OPEN SSL",
        [NJE_STEP_PROBING] = "waiting for a sign of life of the connection it would replace",
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
    loop_timer_free(&session->hold_timer);
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
    loop_timer_unset(&session->hold_timer);
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
        if (clock_steady() - session->up_us >= link->times.stable_us)
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

void nje_session_fail(struct nje_session *session, enum err_id id, const char *text)
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
    if (session->tls) {
        tls_last_words(session->event, buf_span(&session->block));
        return;
    }
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
        nje_session_fail(session, ERR_NO_MEMORY, "no memory to send");
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
        nje_session_fail(session, ERR_NO_MEMORY, "no memory to send");
        return;
    }
    nje_session_send(session, buf_span(&session->payload));
}

void nje_session_reply(struct nje_session *session, uint8_t rcb, uint8_t srcb)
{
    if (session->control_count == NJE_CONTROLS_MAX) {
        nje_session_fail(session, ERR_PROTOCOL, "the neighbour asks on and on and lets us answer nothing (wait-a-bit)");
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
        nje_session_read_ack(session, input);
    if (session->step > NJE_STEP_STARTTLS)
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
    if (session->link->up == session)
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

static void timed_out(void *arg)
{
    struct nje_session *session = arg;
    nje_session_hold(session);
    if (session->step != NJE_STEP_UP) {
        nje_session_fail(session, ERR_TIMEOUT, "no answer in time");
    } else if (nje_in_stalled(session->link)) {
        nje_session_fail(session, ERR_TIMEOUT, "the neighbour sends nothing more of the file it began");
    } else {
        if (!session->sent)
            nje_session_send(session, SPAN_EMPTY);
        session->sent = false;
        loop_timer_set(&session->timer, nje_link_look_us(session->link));
    }
    nje_session_release(session);
}

/* Wait-a-bit has lasted too long for what waits. */
static void held_too_long(void *arg)
{
    struct nje_session *session = arg;
    struct nje_link *link = session->link;
    if (session->step != NJE_STEP_UP)
        return;
    if (session->control_count > 0 || link->message_count > 0 || nje_out_busy(link))
        nje_session_fail(session, ERR_TIMEOUT, "the neighbour lets us send nothing (wait-a-bit), without end");
    else
        loop_timer_set(&session->hold_timer, link->times.hold_us);
}

void nje_session_fcs(struct nje_session *session, uint16_t fcs)
{
    bool held = nje_fcs_wait(session->fcs), holds = nje_fcs_wait(fcs);
    session->fcs = fcs;
    if (holds && !held)
        loop_timer_set(&session->hold_timer, session->link->times.hold_us);
    else if (!holds && held)
        loop_timer_unset(&session->hold_timer);
}

void nje_session_attach(struct nje_session *session, struct bufferevent *event)
{
    int64_t limit = session->link->times.write_us;
    const struct timeval stall = { .tv_sec = limit / CLOCK_SECOND, .tv_usec = limit % CLOCK_SECOND };
    session->event = event;
    bufferevent_setcb(event, readable, written, nje_session_happened, session);
    (void)bufferevent_set_timeouts(event, NULL, &stall);
    bufferevent_setwatermark(event, EV_WRITE, NJE_OUTPUT_LOW, 0);
    (void)bufferevent_enable(event, EV_READ | EV_WRITE);
}

void nje_session_let_go(struct bufferevent *event)
{
    bufferevent_setcb(event, NULL, NULL, NULL, NULL);
    (void)bufferevent_setfd(event, -1); /* the socket lives on */
    bufferevent_free(event);
}

struct nje_session *nje_session_new(struct nje_link *link, int fd, struct bufferevent *tls,
                                    const struct sockaddr *address, size_t size, struct err *err)
{
    struct nje_session *session = mem_zero(sizeof *session);
    struct bufferevent *event = tls;
    if (session != NULL && tls == NULL)
        event = bufferevent_socket_new(loop_base(link->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (session == NULL || event == NULL || loop_timer_init(&session->timer, link->loop, timed_out, session) == -1 ||
        loop_timer_init(&session->hold_timer, link->loop, held_too_long, session) == -1) {
        if (event != NULL && tls == NULL)
            nje_session_let_go(event); /* the caller still owns the socket */
        if (session != NULL) {
            loop_timer_free(&session->timer);
            loop_timer_free(&session->hold_timer);
        }
        mem_free(session);
        (void)err_set(err, ERR_NO_MEMORY, "no memory for a connection");
        return NULL;
    }
    session->link = link;
    session->fcs = NJE_FCS_NORMAL;
    session->tls = tls != NULL;
    memcpy(&session->address, address, size);
    resolve_text(address, session->peer);
    nje_session_attach(session, event);
    return session;
}
