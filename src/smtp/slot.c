/* One connection to the relay, from the address to QUIT. What is said of a letter is delivery.c's.
 *
 * What can go wrong: the relay vanishes or times out at any step (what was not answered is temporary; after the last
 * dot this may make a duplicate, never a loss); a kept connection turns out dead (the letter is begun once more on a
 * new one, for nothing was said of it); the relay answers before the content is sent (its word is taken, the connection
 * is not used again). */
#include "smtp/slot.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

FAILPOINT_DECLARE("smtp.out.after-dot");

static void attempt(struct smtp_slot *slot);

static bool in_letter(const struct smtp_slot *slot)
{
    return slot->state == SLOT_COMMANDS || slot->state == SLOT_CONTENT || slot->state == SLOT_DOT;
}

void smtp_slot_enter(struct smtp_slot *slot, enum slot_state state, int64_t wait_us)
{
    slot->state = state;
    if (wait_us > 0)
        loop_timer_set(&slot->timer, wait_us);
    else
        loop_timer_unset(&slot->timer);
}

void smtp_slot_drop(struct smtp_slot *slot)
{
    if (slot->resolve != NULL)
        resolve_cancel(slot->resolve);
    slot->resolve = NULL;
    if (slot->read_event != NULL)
        event_free(slot->read_event);
    if (slot->write_event != NULL)
        event_free(slot->write_event);
    slot->read_event = NULL;
    slot->write_event = NULL;
    if (slot->fd != -1) {
        (void)close(slot->fd);
        if (slot->state > SLOT_HELO)
            slot->client->figures.connected--;
    }
    slot->fd = -1;
    buf_free(&slot->in);
    buf_free(&slot->out);
    slot->reply = (struct smtp_reply){ 0 };
    slot->deaf = false;
    slot->reused = false;
    slot->needs_rset = false;
}

static void turn_off(struct smtp_slot *slot)
{
    smtp_slot_drop(slot);
    smtp_slot_enter(slot, SLOT_OFF, 0);
    smtp_client_idle(slot->client);
}

/* The connection is of no more use. What was not answered is temporary. */
static void break_off(struct smtp_slot *slot, const struct smtp_result *result)
{
    bool had_letter = slot->has_letter;
    smtp_slot_drop(slot);
    smtp_client_failed(slot->client, result->text);
    if (!had_letter) {
        turn_off(slot);
        return;
    }
    smtp_decide_rest(slot, result);
    smtp_finish_letter(slot);
}

/* The connection ended, without a word or with 421. */
static void lost(struct smtp_slot *slot, const struct smtp_result *result)
{
    bool nothing_said = slot->state == SLOT_COMMANDS && slot->reply_step <= 1 && slot->reply.lines == 0;
    switch (slot->state) {
    case SLOT_READY:
    case SLOT_QUIT:
        turn_off(slot);
        break;
    case SLOT_ASKING:
    case SLOT_SETTLING:
    case SLOT_BROKEN:
    case SLOT_OFF:
        smtp_slot_drop(slot); /* the state goes on: the source's answer is still to come */
        break;
    default:
        if (slot->has_letter && nothing_said && slot->reused && !slot->restarted && result->code == 0) {
            smtp_slot_drop(slot);
            slot->restarted = true;
            smtp_slot_connect(slot);
        } else {
            break_off(slot, result);
        }
        break;
    }
}

void smtp_slot_lost_because(struct smtp_slot *slot, const char *enhanced, const char *text)
{
    struct smtp_result result = smtp_own_result(enhanced, text);
    lost(slot, &result);
}

/* --- the greeting, and whose reply it is --- */

static void hello(struct smtp_slot *slot, enum slot_state state)
{
    const char *verb = smtp_slot_is_lmtp(slot) ? "LHLO" : state == SLOT_EHLO ? "EHLO" : "HELO";
    slot->pipelining = false;
    slot->eight_bit = false;
    slot->size = false;
    buf_printf(&slot->out, "%s %s\r\n", verb, slot->client->host_name);
    smtp_slot_enter(slot, state, slot->client->options.reply_us);
    smtp_slot_send(slot);
}

static void ready(struct smtp_slot *slot)
{
    slot->state = SLOT_READY;
    slot->client->figures.connected++;
    smtp_client_connected(slot->client);
    if (slot->has_letter)
        smtp_begin_commands(slot);
    else
        smtp_slot_ask(slot);
}

static void on_offer(struct smtp_slot *slot, struct span line)
{
    struct reader in = reader_of(smtp_reply_line_text(line));
    struct span keyword = reader_until(&in, ' ');
    if (span_equal_nocase(keyword, SPAN_LITERAL("PIPELINING")))
        slot->pipelining = true;
    else if (span_equal_nocase(keyword, SPAN_LITERAL("8BITMIME")))
        slot->eight_bit = true;
    else if (span_equal_nocase(keyword, SPAN_LITERAL("SIZE")))
        slot->size = true;
}

static void on_reply(struct smtp_slot *slot, const struct smtp_reply *reply)
{
    struct smtp_result result = smtp_reply_result(reply);
    if (reply->code == 421) { /* RFC 5321 §3.8: the relay closes */
        result.outcome = SMTP_TEMPORARY;
        lost(slot, &result);
        return;
    }
    switch (slot->state) {
    case SLOT_GREETING:
        if (result.outcome == SMTP_ACCEPTED)
            hello(slot, SLOT_EHLO);
        else
            lost(slot, &(struct smtp_result){ .outcome = SMTP_TEMPORARY,
                                              .enhanced = "4.4.1",
                                              .text = "the relay takes no connections at the moment" });
        break;
    case SLOT_EHLO:
        if (result.outcome == SMTP_ACCEPTED)
            ready(slot);
        else if (result.outcome == SMTP_PERMANENT && !smtp_slot_is_lmtp(slot))
            hello(slot, SLOT_HELO);
        else
            smtp_slot_lost_because(slot, "4.4.1", "the relay does not answer our greeting");
        break;
    case SLOT_HELO:
        if (result.outcome == SMTP_ACCEPTED)
            ready(slot);
        else
            smtp_slot_lost_because(slot, "4.4.1", "the relay does not answer our greeting");
        break;
    case SLOT_COMMANDS:
        smtp_on_command_reply(slot, reply);
        break;
    case SLOT_CONTENT: /* before it had all: a refusal is its last word */
        if (result.outcome == SMTP_ACCEPTED || reply->code < 400) {
            smtp_slot_lost_because(slot, "4.5.0", "the relay answered before the letter was sent");
            break;
        }
        smtp_decide_rest(slot, &result);
        smtp_slot_drop(slot);
        smtp_finish_letter(slot);
        break;
    case SLOT_DOT:
        smtp_on_dot_reply(slot, reply);
        break;
    default: /* nobody asked: whatever it means, the next answer would be taken for another */
        smtp_slot_lost_because(slot, "4.5.0", "the relay spoke without being asked");
        break;
    }
}

/* One line. The connection may be gone afterwards. */
static void on_line(struct smtp_slot *slot, struct span line)
{
    bool first = slot->reply.lines == 0;
    enum smtp_reply_step step = smtp_reply_add(&slot->reply, line);
    if (step == SMTP_REPLY_BAD) {
        smtp_slot_lost_because(slot, "4.5.0", "the relay's answer cannot be understood");
        return;
    }
    if (slot->state == SLOT_EHLO && !first)
        on_offer(slot, line);
    if (step == SMTP_REPLY_MORE)
        return;
    struct smtp_reply reply = slot->reply;
    slot->reply = (struct smtp_reply){ 0 };
    on_reply(slot, &reply);
}

/* --- the socket --- */

void smtp_slot_send(struct smtp_slot *slot)
{
    if (slot->fd == -1 || slot->deaf)
        return;
    if (slot->out.failed) {
        smtp_slot_lost_because(slot, "4.3.1", "no memory for what is to be sent");
        return;
    }
    size_t before = slot->out.size;
    size_t at = 0;
    while (at < slot->out.size && !slot->deaf) {
        ssize_t sent =
            send(slot->fd, span_slice(buf_span(&slot->out), at, SIZE_MAX).at, slot->out.size - at, MSG_NOSIGNAL);
        if (sent != -1)
            at += (size_t)sent;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else if (errno != EINTR)
            slot->deaf = true; /* the relay may have said why before it went: that is read, and then the end is seen */
    }
    buf_drop_front(&slot->out, at);
    if (slot->out.size > 0 && !slot->deaf && event_add(slot->write_event, NULL) == -1)
        smtp_slot_lost_because(slot, "4.3.0", "the socket cannot be waited for");
    if (before == 0 || at == 0 || slot->deaf)
        return;
    if (slot->state == SLOT_CONTENT || slot->state == SLOT_DOT)
        loop_timer_set(&slot->timer, slot->client->options.data_us);
    if (slot->state == SLOT_DOT && slot->out.size == 0)
        FAILPOINT("smtp.out.after-dot");
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct smtp_slot *slot = arg;
    uint8_t bytes[SMTP_REPLY_LINE_MAX];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0) {
        smtp_slot_lost_because(slot, "4.4.2",
                               got == 0 ? "the relay closed the connection" : "the connection to the relay broke");
        return;
    }
    buf_add(&slot->in, bytes, (size_t)got);
    if (slot->in.failed) {
        smtp_slot_lost_because(slot, "4.3.1", "no memory for the relay's answer");
        return;
    }
    /* A line may end this connection and begin another: what is left then is not for it. */
    struct buf lines = slot->in;
    slot->in = (struct buf){ 0 };
    struct reader in = reader_of(buf_span(&lines));
    unsigned connection = slot->connection;
    size_t lf;
    while (slot->fd != -1 && slot->connection == connection && (lf = span_find(in.rest, '\n')) < in.rest.size) {
        struct span line = reader_take(&in, lf + 1);
        on_line(slot, span_trim_end(span_trim_end(line, '\n'), '\r'));
    }
    if (slot->fd != -1 && slot->connection == connection) {
        buf_add_span(&slot->in, in.rest);
        if (slot->in.failed || slot->in.size > SMTP_REPLY_LINE_MAX)
            smtp_slot_lost_because(slot, "4.5.0", "a line of the relay's answer is too long");
    }
    buf_free(&lines);
}

static void next_address(struct smtp_slot *slot, const char *why)
{
    char text[RESOLVE_TEXT_MAX] = "";
    char whole[ERR_TEXT_SIZE];
    if (smtp_slot_is_lmtp(slot))
        (void)snprintf(whole, sizeof whole, "cannot connect to %s: %s", slot->client->lmtp_path, why);
    else {
        resolve_text((const struct sockaddr *)&slot->addresses.addresses[slot->address].address, text);
        (void)snprintf(whole, sizeof whole, "cannot connect to %s: %s", text, why);
    }
    smtp_slot_drop(slot);
    if (++slot->address < slot->addresses.count)
        attempt(slot);
    else
        smtp_slot_lost_because(slot, "4.4.1", whole);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct smtp_slot *slot = arg;
    if (slot->state != SLOT_CONNECTING) {
        smtp_pump(slot);
        return;
    }
    int failure = 0;
    socklen_t size = sizeof failure;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == -1)
        failure = errno;
    if (failure != 0) {
        next_address(slot, strerror(failure));
        return;
    }
    int one = 1; /* groups are sent whole */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    smtp_slot_enter(slot, SLOT_GREETING, slot->client->options.reply_us);
    if (event_add(slot->read_event, NULL) == -1)
        smtp_slot_lost_because(slot, "4.3.0", "the socket cannot be waited for");
}

/* Connects to the address whose turn it is. */
static void attempt(struct smtp_slot *slot)
{
    const struct resolve_address *address = &slot->addresses.addresses[slot->address];
    struct event_base *base = loop_base(slot->client->loop);
    smtp_slot_enter(slot, SLOT_CONNECTING, slot->client->options.connect_us);
    slot->connection++;
    slot->fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (slot->fd == -1) {
        next_address(slot, strerror(errno));
        return;
    }
    slot->read_event = event_new(base, slot->fd, EV_READ | EV_PERSIST, on_readable, slot);
    slot->write_event = event_new(base, slot->fd, EV_WRITE, on_writable, slot);
    int connected = connect(slot->fd, (const struct sockaddr *)&address->address, address->size);
    if (connected == -1 && errno != EINPROGRESS)
        next_address(slot, strerror(errno));
    else if (slot->read_event == NULL || slot->write_event == NULL || event_add(slot->write_event, NULL) == -1)
        next_address(slot, "no memory");
}

static void on_resolved(void *arg, const struct resolve_answer *answer, const struct err *err)
{
    struct smtp_slot *slot = arg;
    slot->resolve = NULL;
    if (err != NULL) {
        smtp_slot_lost_because(slot, "4.4.3", err->text);
        return;
    }
    slot->addresses = *answer;
    attempt(slot);
}

void smtp_slot_connect(struct smtp_slot *slot)
{
    const struct smtp_client *client = slot->client;
    struct err err = ERR_CLEAR;
    slot->address = 0;
    slot->addresses.count = 0;
    if (smtp_slot_is_lmtp(slot)) {
        struct sockaddr_un path = { .sun_family = AF_UNIX };
        (void)snprintf(path.sun_path, sizeof path.sun_path, "%s", client->lmtp_path);
        memcpy(&slot->addresses.addresses[0].address, &path, sizeof path);
        slot->addresses.addresses[0].size = sizeof path;
        slot->addresses.count = 1;
    }
    if (smtp_slot_is_lmtp(slot) || resolve_literal(&client->relay, &slot->addresses)) {
        attempt(slot);
        return;
    }
    smtp_slot_enter(slot, SLOT_RESOLVING, client->options.connect_us);
    slot->resolve = resolve_start(client->loop, &client->relay, AF_UNSPEC, on_resolved, slot, &err);
    if (slot->resolve == NULL)
        smtp_slot_lost_because(slot, "4.3.0", err.text);
}

/* --- what the source says --- */

void smtp_slot_ask(struct smtp_slot *slot)
{
    slot->ask_again = false;
    slot->client->wanted = false;
    smtp_slot_enter(slot, SLOT_ASKING, 0);
    slot->client->source.next(slot->client->source.owner, slot->client, slot->index);
}

static bool make_room(struct smtp_slot *slot, size_t count)
{
    if (count <= slot->room)
        return true;
    mem_free(slot->results);
    mem_free(slot->marks);
    slot->results = mem_zero(count * sizeof *slot->results);
    slot->marks = mem_zero(count);
    slot->room = slot->results != NULL && slot->marks != NULL ? count : 0;
    return slot->room == count;
}

static void start_letter(struct smtp_slot *slot)
{
    if (!make_room(slot, slot->letter.recipient_count)) {
        smtp_slot_enter(slot, SLOT_ASKING, SMTP_AGAIN_US); /* no results can be given: wait for memory */
        return;
    }
    bool left = smtp_mark_recipients(slot);
    if (!left) {
        smtp_finish_letter(slot);
    } else if (slot->client->draining) {
        struct smtp_result result = smtp_own_result("4.3.2", "this connector is stopping");
        smtp_decide_rest(slot, &result);
        smtp_finish_letter(slot);
    } else if (slot->fd == -1) {
        smtp_slot_connect(slot);
    } else {
        smtp_begin_commands(slot);
    }
}

void smtp_slot_letter(struct smtp_slot *slot, const struct smtp_outgoing *letter)
{
    if (letter == NULL) {
        smtp_client_works(slot->client);
        if (slot->fd == -1)
            turn_off(slot);
        else if (slot->ask_again && !slot->client->draining)
            smtp_slot_ask(slot);
        else {
            slot->reused = true;
            smtp_slot_enter(slot, SLOT_READY, slot->client->options.keep_us);
            if (slot->client->draining)
                smtp_slot_quit(slot);
        }
        return;
    }
    slot->letter = *letter;
    slot->has_letter = true;
    slot->restarted = false;
    start_letter(slot);
}

void smtp_slot_settled(struct smtp_slot *slot)
{
    if (slot->fd == -1) {
        turn_off(slot);
    } else if (slot->client->draining) {
        smtp_slot_enter(slot, SLOT_READY, 0);
        smtp_slot_quit(slot);
    } else {
        smtp_slot_ask(slot);
    }
}

void smtp_slot_quit(struct smtp_slot *slot)
{
    if (slot->state == SLOT_READY) {
        buf_add_text(&slot->out, "QUIT\r\n");
        smtp_slot_enter(slot, SLOT_QUIT, SMTP_QUIT_US);
        smtp_slot_send(slot);
    } else if (slot->state < SLOT_READY && slot->state != SLOT_OFF && !slot->has_letter) {
        turn_off(slot);
    }
}

void smtp_slot_stop(struct smtp_slot *slot, const char *why)
{
    struct smtp_result result = smtp_own_result("4.3.2", why);
    if (slot->state == SLOT_READY || slot->state == SLOT_QUIT || (slot->state < SLOT_READY && !slot->has_letter)) {
        turn_off(slot);
    } else if (in_letter(slot) || slot->state < SLOT_READY) {
        smtp_slot_drop(slot);
        smtp_decide_rest(slot, &result);
        smtp_finish_letter(slot);
    }
}

static void on_timeout(void *arg)
{
    struct smtp_slot *slot = arg;
    if (slot->state == SLOT_READY)
        smtp_slot_quit(slot);
    else if (slot->state == SLOT_CONNECTING)
        next_address(slot, "no answer in time");
    else if (slot->state == SLOT_ASKING)
        start_letter(slot);
    else {
        slot->restarted = true; /* a relay that hangs is not a connection that was dead: do not wait twice */
        smtp_slot_lost_because(slot, "4.4.2", "the relay did not answer in time");
    }
}

int smtp_slot_init(struct smtp_slot *slot, struct smtp_client *client, unsigned index)
{
    slot->client = client;
    slot->index = index;
    slot->fd = -1;
    return loop_timer_init(&slot->timer, client->loop, on_timeout, slot);
}

void smtp_slot_free(struct smtp_slot *slot)
{
    smtp_slot_drop(slot);
    loop_timer_free(&slot->timer);
    mem_free(slot->results);
    mem_free(slot->marks);
}
