/* One SMTP or LMTP client: its socket, and whose turn it is. Input is looked at where recv put it; only what must wait
 * is copied. Replies collect and go out in one send when the input is used up, so that a pipelined group costs one
 * packet each way.
 *
 * What can go wrong: the client vanishes at any moment (the letter is abandoned, unless it only closed its sending side
 * after the last dot); the sink answers from inside our own call (`busy`: then only the state changes, and the caller
 * goes on); a client that does not read its replies (SMTP_REPLIES_MAX); a client that never ends anything (timer).
 * A session is freed only at the end of `settle`, never below a caller that still uses it. */
#include "smtp/session.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

FAILPOINT_DECLARE("smtp.in.after-250");

/* --- the socket --- */

static void send_replies(struct smtp_session *session)
{
    if (session->out.failed)
        session->broken = true; /* a reply is missing: nothing may follow it */
    while (session->out.size > 0 && !session->broken) {
        ssize_t sent = send(session->fd, session->out.at, session->out.size, MSG_NOSIGNAL);
        if (sent == -1 && errno == EINTR)
            continue;
        if (sent == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (event_add(session->write_event, NULL) == -1)
                session->broken = true;
            return;
        }
        if (sent == -1)
            session->broken = true;
        else
            buf_drop_front(&session->out, (size_t)sent);
    }
    if (session->said_250) {
        session->said_250 = false;
        FAILPOINT("smtp.in.after-250");
    }
}

/* Uses up `input` (the session's own `in`, or the scratch buffer) as far as it goes now, keeps the rest. */
static void advance(struct smtp_session *session, struct span input)
{
    struct reader in = reader_of(input);
    bool more = true;
    session->busy = true;
    while (more && session->state != SESSION_COMMIT && session->state != SESSION_ENDING && !session->paused) {
        if (session->out.size > SMTP_REPLIES_MAX)
            send_replies(session);
        if (session->out.size > SMTP_REPLIES_MAX || session->broken)
            break;
        more = session->state == SESSION_DATA ? smtp_take_content(session, &in) : smtp_take_command(session, &in);
    }
    session->busy = false;
    if (session->state == SESSION_ENDING) { /* nobody will look at it */
        buf_free(&session->in);
        return;
    }
    if (input.at == session->in.at) {
        buf_drop_front(&session->in, input.size - in.rest.size);
    } else {
        buf_clear(&session->in);
        buf_add_span(&session->in, in.rest);
    }
    if (session->in.failed)
        session->broken = true;
    loop_timer_set(&session->timer,
                   session->state == SESSION_COMMAND ? session->shared->command_us : session->shared->data_us);
}

static void session_free(struct smtp_session *session)
{
    struct smtp_shared *shared = session->shared;
    smtp_abandon_letter(session);
    smtp_forget_envelope(session);
    *session->at = session->next;
    if (session->next != NULL)
        session->next->at = session->at;
    loop_timer_free(&session->timer);
    if (session->read_event != NULL)
        event_free(session->read_event);
    if (session->write_event != NULL)
        event_free(session->write_event);
    (void)close(session->fd);
    buf_free(&session->in);
    buf_free(&session->out);
    mem_free(session->recipients);
    log_trace(LOG_SMTP, 22474, "%s: gone", session->client);
    mem_free(session);
    shared->figures.sessions--;
    shared->left(shared);
}

static void want_input(struct smtp_session *session)
{
    bool wanted = !session->eof && (session->state == SESSION_ENDING || session->in.size < SMTP_HELD_MAX);
    if (wanted == session->reading)
        return;
    session->reading = wanted;
    if ((wanted ? event_add(session->read_event, NULL) : event_del(session->read_event)) == -1)
        session->broken = true;
}

/* After anything happened: sends, and ends the session where it is to end. It may be gone afterwards. */
static void settle(struct smtp_session *session)
{
    if (session->shared->draining && session->state == SESSION_COMMAND && !session->has_mail) {
        smtp_say(session, 421, "4.3.2", "this host is stopping");
        smtp_end_dialogue(session);
    }
    send_replies(session);
    if (session->state == SESSION_ENDING && session->out.size == 0 && !session->broken) {
        if (session->eof || session->said_bye) {
            session_free(session);
            return;
        }
        if (!session->shut && shutdown(session->fd, SHUT_WR) == -1)
            session->broken = true;
        session->shut = true;
    }
    bool waits = session->state == SESSION_COMMIT || session->state == SESSION_ENDING || session->paused ||
                 session->out.size > 0;
    if (!session->broken)
        want_input(session);
    if (session->broken || (session->eof && !waits))
        session_free(session);
}

static void throw_away(struct smtp_session *session, size_t size)
{
    session->lingered += size;
    if (session->lingered > SMTP_LINGER_MAX)
        session->broken = true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct smtp_session *session = arg;
    uint8_t *scratch = session->shared->scratch;
    bool looks = session->state != SESSION_COMMIT && session->state != SESSION_ENDING && !session->paused;
    size_t held = looks ? session->in.size : 0; /* then looked at together with what comes */
    ssize_t got = recv(fd, scratch + held, SMTP_READ_MAX, 0);
    if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got == 0)
        session->eof = true;
    if (got == -1) {
        session->broken = true;
    } else if (session->state == SESSION_ENDING) {
        throw_away(session, (size_t)got);
    } else if (looks) {
        if (held > 0)
            memcpy(scratch, session->in.at, held);
        advance(session, span_of(scratch, held + (size_t)got));
    } else {
        buf_add(&session->in, scratch, (size_t)got);
    }
    settle(session);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct smtp_session *session = arg;
    send_replies(session);
    if (session->out.size == 0 && session->state != SESSION_ENDING)
        advance(session, buf_span(&session->in));
    settle(session);
}

static void on_timeout(void *arg)
{
    struct smtp_session *session = arg;
    if (session->state == SESSION_ENDING) {
        session->broken = true;
    } else {
        log_info(LOG_SMTP, err_log_number(ERR_TIMEOUT), "%s: timed out", session->client);
        bool commit = session->state == SESSION_COMMIT;
        smtp_abandon_letter(session);
        smtp_say(session, 421, commit ? "4.3.0" : "4.4.2",
                 commit ? "the letter could not be stored in time" : "timed out");
        smtp_end_dialogue(session);
    }
    settle(session);
}

/* --- from outside --- */

void smtp_session_committed(struct smtp_session *session, const char *id, const struct err *err)
{
    session->letter = NULL;
    smtp_answer_letter(session, id, err);
    if (session->busy)
        return;
    advance(session, buf_span(&session->in));
    settle(session);
}

void smtp_session_room(struct smtp_session *session)
{
    session->paused = false;
    if (session->busy)
        return;
    advance(session, buf_span(&session->in));
    settle(session);
}

void smtp_session_drain(struct smtp_session *session)
{
    settle(session);
}

void smtp_session_end(struct smtp_session *session, const char *text)
{
    if (text != NULL && session->state != SESSION_ENDING) {
        smtp_say(session, 421, "4.3.2", text);
        send_replies(session);
    }
    session_free(session);
}

struct smtp_session *smtp_session_following(const struct smtp_session *session)
{
    return session->next;
}

int smtp_session_new(struct smtp_shared *shared, int fd, const char *client, bool lmtp, struct err *err)
{
    struct smtp_session *session = mem_zero(sizeof *session);
    if (session == NULL) {
        (void)close(fd);
        return err_set(err, ERR_NO_MEMORY, "no memory for a session");
    }
    session->shared = shared;
    session->fd = fd;
    session->lmtp = lmtp;
    (void)snprintf(session->client, sizeof session->client, "%s", client);
    session->next = shared->sessions;
    session->at = &shared->sessions;
    if (session->next != NULL)
        session->next->at = &session->next;
    shared->sessions = session;
    shared->figures.sessions++;
    int one = 1; /* our replies are whole groups already; refused on Unix sockets, which do not wait */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct event_base *base = loop_base(shared->loop);
    session->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, session);
    session->write_event = event_new(base, fd, EV_WRITE, on_writable, session);
    if (evutil_make_socket_nonblocking(fd) == -1 || session->read_event == NULL || session->write_event == NULL ||
        loop_timer_init(&session->timer, shared->loop, on_timeout, session) == -1) {
        session_free(session);
        return err_set(err, ERR_NO_MEMORY, "no memory for a session");
    }
    log_trace(LOG_SMTP, 22475, "%s: connected", session->client);
    buf_printf(&session->out, "220 %s %s ready\r\n", shared->host_name, lmtp ? "LMTP" : "ESMTP");
    loop_timer_set(&session->timer, shared->command_us);
    settle(session);
    return 0;
}
