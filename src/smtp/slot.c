/* One connection to the relay. Commands go out as a group where the relay offers PIPELINING, else one by one; replies
 * are matched to them by order alone, so anything unexpected ends the connection rather than shifting the answers.
 *
 * What can go wrong: the relay vanishes or times out at any step (what was not answered is temporary; after the last
 * dot this may make a duplicate, never a loss); a kept connection turns out dead (the letter is begun once more on a
 * new one, for nothing was said of it); the relay answers before the content is sent (its word is taken, the connection
 * is not used again); the source's content cannot be read (the dot is not sent, so that no half letter is taken). */
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
FAILPOINT_DECLARE("smtp.out.250-received");

static void attempt(struct smtp_slot *slot);
static void send_out(struct smtp_slot *slot);

static bool is_lmtp(const struct smtp_slot *slot)
{
    return slot->client->lmtp_path != NULL;
}

static bool in_letter(const struct smtp_slot *slot)
{
    return slot->state == SLOT_COMMANDS || slot->state == SLOT_CONTENT || slot->state == SLOT_DOT;
}

static void enter(struct smtp_slot *slot, enum slot_state state, int64_t wait_us)
{
    slot->state = state;
    if (wait_us > 0)
        loop_timer_set(&slot->timer, wait_us);
    else
        loop_timer_unset(&slot->timer);
}

static void drop_connection(struct smtp_slot *slot)
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
    drop_connection(slot);
    enter(slot, SLOT_OFF, 0);
    smtp_client_idle(slot->client);
}

/* --- results --- */

static void decide(struct smtp_slot *slot, size_t index, const struct smtp_result *result)
{
    slot->results[index] = *result;
    slot->marks[index] = RECIPIENT_DECIDED;
}

static void decide_rest(struct smtp_slot *slot, const struct smtp_result *result)
{
    for (size_t i = 0; i < slot->letter.recipient_count; i++)
        if (slot->marks[i] < RECIPIENT_DECIDED)
            decide(slot, i, result);
}

static struct smtp_result own_result(const char *enhanced, const char *text)
{
    struct smtp_result result = { .outcome = SMTP_TEMPORARY };
    (void)snprintf(result.enhanced, sizeof result.enhanced, "%s", enhanced);
    (void)snprintf(result.text, sizeof result.text, "%s", text);
    return result;
}

static struct smtp_result reply_result(const struct smtp_reply *reply)
{
    int class = reply->code / 100;
    struct smtp_result result = { .code = reply->code };
    result.outcome = class == 2 ? SMTP_ACCEPTED : class == 5 ? SMTP_PERMANENT : SMTP_TEMPORARY;
    (void)snprintf(result.text, sizeof result.text, "%s", reply->text);
    if (reply->enhanced[0] != '\0')
        (void)snprintf(result.enhanced, sizeof result.enhanced, "%s", reply->enhanced);
    else
        (void)snprintf(result.enhanced, sizeof result.enhanced, "%c.0.0", class == 2 ? '2' : class == 5 ? '5' : '4');
    return result;
}

/* All recipients are decided: the letter is the source's again, as soon as it owes us no piece. */
static void finish_letter(struct smtp_slot *slot)
{
    struct smtp_client *client = slot->client;
    if (slot->reading) {
        enter(slot, SLOT_BROKEN, 0);
        return;
    }
    for (size_t i = 0; i < slot->letter.recipient_count; i++) {
        const struct smtp_result *result = &slot->results[i];
        client->figures.accepted += result->outcome == SMTP_ACCEPTED;
        client->figures.deferred += result->outcome == SMTP_TEMPORARY;
        client->figures.refused += result->outcome == SMTP_PERMANENT;
        if (result->outcome == SMTP_ACCEPTED)
            log_trace(LOG_SMTP, 0, "%s: <%s> accepted: %s", slot->letter.name, slot->letter.recipients[i],
                      result->text);
        else
            log_info(LOG_SMTP,
                     err_log_number(result->outcome == SMTP_TEMPORARY ? ERR_PEER_TEMPORARY : ERR_PEER_PERMANENT),
                     "%s: <%s> not accepted: %d %s %s", slot->letter.name, slot->letter.recipients[i], result->code,
                     result->enhanced, result->text);
    }
    slot->has_letter = false;
    slot->reused = slot->fd != -1;
    enter(slot, SLOT_SETTLING, 0);
    client->source.result(client->source.owner, client, slot->index, slot->letter.handle, slot->results);
}

/* The connection is of no more use. What was not answered is temporary. */
static void break_off(struct smtp_slot *slot, const struct smtp_result *result)
{
    bool had_letter = slot->has_letter;
    drop_connection(slot);
    smtp_client_failed(slot->client, result->text);
    if (!had_letter) {
        turn_off(slot);
        return;
    }
    decide_rest(slot, result);
    finish_letter(slot);
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
        drop_connection(slot); /* the state goes on: the source's answer is still to come */
        break;
    default:
        if (slot->has_letter && nothing_said && slot->reused && !slot->restarted && result->code == 0) {
            drop_connection(slot);
            slot->restarted = true;
            smtp_slot_connect(slot);
        } else {
            break_off(slot, result);
        }
        break;
    }
}

static void lost_because(struct smtp_slot *slot, const char *enhanced, const char *text)
{
    struct smtp_result result = own_result(enhanced, text);
    lost(slot, &result);
}

/* --- commands --- */

static size_t data_step(const struct smtp_slot *slot)
{
    return slot->letter.recipient_count + 2; /* after RSET, MAIL and each RCPT */
}

static size_t count_taken(const struct smtp_slot *slot)
{
    size_t count = 0;
    for (size_t i = 0; i < slot->letter.recipient_count; i++)
        count += slot->marks[i] == RECIPIENT_TAKEN;
    return count;
}

static void add_command(struct smtp_slot *slot, size_t step)
{
    if (step == 0) {
        buf_add_text(&slot->out, "RSET\r\n");
    } else if (step == 1) {
        buf_printf(&slot->out, "MAIL FROM:<%s>", slot->letter.sender);
        if (slot->size)
            buf_printf(&slot->out, " SIZE=%llu", (unsigned long long)slot->letter.size);
        if (slot->eight_bit && slot->letter.body_8bit)
            buf_add_text(&slot->out, " BODY=8BITMIME");
        buf_add_text(&slot->out, "\r\n");
    } else if (step < data_step(slot)) {
        buf_printf(&slot->out, "RCPT TO:<%s>\r\n", slot->letter.recipients[step - 2]);
    } else {
        buf_add_text(&slot->out, "DATA\r\n");
    }
}

/* The step after `step` that has a command. */
static size_t step_after(const struct smtp_slot *slot, size_t step)
{
    do
        step++;
    while (step > 1 && step < data_step(slot) && slot->marks[step - 2] == RECIPIENT_UNSENDABLE);
    return step;
}

static void send_commands(struct smtp_slot *slot)
{
    while (slot->sent_step <= data_step(slot) && (slot->pipelining || slot->sent_step == slot->reply_step)) {
        add_command(slot, slot->sent_step);
        slot->sent_step = step_after(slot, slot->sent_step);
    }
    enter(slot, SLOT_COMMANDS, slot->client->options.reply_us);
    send_out(slot);
}

/* A control character would end the command and begin another; without SMTPUTF8 there is nothing beyond ASCII. */
static bool is_sendable(const char *address)
{
    for (; *address != '\0'; address++)
        if (*address < 32 || *address > 126)
            return false;
    return true;
}

/* Decides those recipients whose address cannot be said; true where others are left. */
static bool mark_recipients(struct smtp_slot *slot)
{
    struct smtp_result result = { .outcome = SMTP_PERMANENT, .code = 553, .enhanced = "5.1.3" };
    const struct smtp_outgoing *letter = &slot->letter;
    bool sender = is_sendable(letter->sender);
    bool left = false;
    (void)snprintf(result.text, sizeof result.text, "the %s's address holds a character that mail does not allow",
                   sender ? "recipient" : "sender");
    for (size_t i = 0; i < letter->recipient_count; i++) {
        bool sendable = sender && is_sendable(letter->recipients[i]);
        slot->marks[i] = sendable ? RECIPIENT_OPEN : RECIPIENT_UNSENDABLE;
        if (!sendable)
            slot->results[i] = result;
        left = left || sendable;
    }
    return left;
}

static void begin_commands(struct smtp_slot *slot)
{
    size_t first = slot->needs_rset ? 0 : 1;
    slot->needs_rset = false;
    slot->mail_taken = false;
    slot->sent_step = first;
    slot->reply_step = first;
    slot->offset = 0;
    slot->line_start = true;
    slot->after_cr = false;
    slot->ended = false;
    send_commands(slot);
}

/* --- content --- */

/* A dot at the beginning of a line is doubled; a line begins after any LF, so that no relay, however it reads line
 * ends, sees a lone dot before the end. */
static void add_content(struct smtp_slot *slot, struct span piece)
{
    struct reader in = reader_of(piece);
    while (!reader_at_end(&in)) {
        if (slot->line_start && in.rest.at[0] == '.')
            buf_add_u8(&slot->out, '.');
        size_t lf = span_find(in.rest, '\n');
        slot->line_start = lf < in.rest.size;
        buf_add_span(&slot->out, reader_take(&in, slot->line_start ? lf + 1 : lf));
    }
    slot->after_cr = piece.at[piece.size - 1] == '\r';
}

static void add_end(struct smtp_slot *slot)
{
    if (!slot->line_start)
        buf_add_text(&slot->out, slot->after_cr ? "\n" : "\r\n");
    buf_add_text(&slot->out, ".\r\n");
    slot->ended = true;
    enter(slot, SLOT_DOT, slot->client->options.data_us);
}

/* Sends, and asks for content as long as it goes out. The source may answer from inside. */
static void pump(struct smtp_slot *slot)
{
    if (slot->pumping)
        return;
    slot->pumping = true;
    do {
        send_out(slot);
        if (slot->state != SLOT_CONTENT || slot->reading || slot->deaf || slot->out.size >= SMTP_SEND_MAX)
            break;
        slot->reading = true;
        slot->client->source.read(slot->client->source.owner, slot->client, slot->index, slot->letter.handle,
                                  slot->offset);
    } while (!slot->reading);
    slot->pumping = false;
}

void smtp_slot_piece(struct smtp_slot *slot, struct span piece, const struct err *err)
{
    slot->reading = false;
    if (slot->state == SLOT_BROKEN) {
        finish_letter(slot);
        return;
    }
    if (slot->state != SLOT_CONTENT)
        return;
    if (err != NULL) {
        struct smtp_result result = own_result("4.3.0", err->text);
        log_err(LOG_SMTP, err, "%s: content cannot be read", slot->letter.name);
        drop_connection(slot); /* without the dot: the relay takes no half letter. Not the relay's failure */
        decide_rest(slot, &result);
        finish_letter(slot);
        return;
    }
    slot->offset += piece.size;
    if (piece.size == 0)
        add_end(slot);
    else
        add_content(slot, piece);
    pump(slot);
}

/* --- replies --- */

static void on_data_reply(struct smtp_slot *slot, const struct smtp_reply *reply)
{
    struct smtp_result result = reply_result(reply);
    if (reply->code == 354) {
        if (count_taken(slot) == 0) { /* RFC 2920 §3.1: an empty letter for nobody ends it */
            add_end(slot);
            send_out(slot);
            return;
        }
        enter(slot, SLOT_CONTENT, slot->client->options.data_us);
        pump(slot);
        return;
    }
    if (result.outcome == SMTP_ACCEPTED || reply->code < 400) {
        lost_because(slot, "4.5.0", "the relay's answer to DATA is against the protocol");
        return;
    }
    slot->needs_rset = slot->mail_taken;
    decide_rest(slot, &result);
    smtp_client_works(slot->client);
    finish_letter(slot);
}

static void on_rcpt_reply(struct smtp_slot *slot, size_t index, const struct smtp_reply *reply)
{
    struct smtp_result result = reply_result(reply);
    if (slot->marks[index] == RECIPIENT_DECIDED) /* by MAIL */
        return;
    if (result.outcome == SMTP_ACCEPTED) {
        slot->marks[index] = RECIPIENT_TAKEN;
        return;
    }
    /* RFC 5321 §4.5.3.1.10: 552 here was "too many recipients" once, and means: the others in another letter */
    bool too_many = strcmp(reply->enhanced, "5.5.3") == 0 || reply->enhanced[0] == '\0';
    if (reply->code == 552 && too_many && count_taken(slot) > 0)
        result.outcome = SMTP_TEMPORARY;
    decide(slot, index, &result);
}

static void on_command_reply(struct smtp_slot *slot, const struct smtp_reply *reply)
{
    size_t step = slot->reply_step;
    slot->reply_step = step_after(slot, step);
    struct smtp_result result = reply_result(reply);
    if (step == data_step(slot)) {
        on_data_reply(slot, reply);
        return;
    }
    if (reply->code < 400 && result.outcome != SMTP_ACCEPTED) {
        lost_because(slot, "4.5.0", "the relay's answer is against the protocol");
        return;
    }
    if (step == 0 && result.outcome != SMTP_ACCEPTED) {
        lost_because(slot, "4.5.0", "the relay refuses RSET");
        return;
    }
    if (step == 1) {
        slot->mail_taken = result.outcome == SMTP_ACCEPTED;
        if (!slot->mail_taken)
            decide_rest(slot, &result);
    }
    if (step > 1)
        on_rcpt_reply(slot, step - 2, reply);
    if (slot->pipelining) {
        loop_timer_set(&slot->timer, slot->client->options.reply_us);
        return;
    }
    bool refused = step == 1 && !slot->mail_taken;
    if (refused || (slot->reply_step == data_step(slot) && count_taken(slot) == 0)) {
        slot->needs_rset = slot->mail_taken;
        smtp_client_works(slot->client);
        finish_letter(slot);
        return;
    }
    send_commands(slot);
}

/* SMTP: one reply for all that were taken; LMTP: one for each of them, in order (RFC 2033 §4.2). */
static void on_dot_reply(struct smtp_slot *slot, const struct smtp_reply *reply)
{
    struct smtp_result result = reply_result(reply);
    if (slot->out.size > 0 && result.outcome == SMTP_ACCEPTED) {
        lost_because(slot, "4.5.0", "the relay accepted what it had not seen the end of");
        return;
    }
    if (reply->code < 400 && result.outcome != SMTP_ACCEPTED) {
        lost_because(slot, "4.5.0", "the relay's answer to the letter is against the protocol");
        return;
    }
    if (result.outcome == SMTP_ACCEPTED)
        FAILPOINT("smtp.out.250-received");
    for (size_t i = 0; i < slot->letter.recipient_count; i++) {
        if (slot->marks[i] != RECIPIENT_TAKEN)
            continue;
        decide(slot, i, &result);
        if (is_lmtp(slot))
            break;
    }
    loop_timer_set(&slot->timer, slot->client->options.data_us);
    if (count_taken(slot) > 0)
        return;
    smtp_client_works(slot->client);
    bool in_step = slot->out.size == 0; /* else it refused before it had all: what is still to be sent is no command */
    if (!in_step)
        drop_connection(slot);
    finish_letter(slot);
}

static void hello(struct smtp_slot *slot, enum slot_state state)
{
    const char *verb = is_lmtp(slot) ? "LHLO" : state == SLOT_EHLO ? "EHLO" : "HELO";
    slot->pipelining = false;
    slot->eight_bit = false;
    slot->size = false;
    buf_printf(&slot->out, "%s %s\r\n", verb, slot->client->host_name);
    enter(slot, state, slot->client->options.reply_us);
    send_out(slot);
}

static void ready(struct smtp_slot *slot)
{
    slot->state = SLOT_READY;
    slot->client->figures.connected++;
    smtp_client_connected(slot->client);
    if (slot->has_letter)
        begin_commands(slot);
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
    struct smtp_result result = reply_result(reply);
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
        else if (result.outcome == SMTP_PERMANENT && !is_lmtp(slot))
            hello(slot, SLOT_HELO);
        else
            lost_because(slot, "4.4.1", "the relay does not answer our greeting");
        break;
    case SLOT_HELO:
        if (result.outcome == SMTP_ACCEPTED)
            ready(slot);
        else
            lost_because(slot, "4.4.1", "the relay does not answer our greeting");
        break;
    case SLOT_COMMANDS:
        on_command_reply(slot, reply);
        break;
    case SLOT_CONTENT: /* before it had all: a refusal is its last word */
        if (result.outcome == SMTP_ACCEPTED || reply->code < 400) {
            lost_because(slot, "4.5.0", "the relay answered before the letter was sent");
            break;
        }
        decide_rest(slot, &result);
        drop_connection(slot);
        finish_letter(slot);
        break;
    case SLOT_DOT:
        on_dot_reply(slot, reply);
        break;
    default: /* nobody asked: whatever it means, the next answer would be taken for another */
        lost_because(slot, "4.5.0", "the relay spoke without being asked");
        break;
    }
}

/* One line. The connection may be gone afterwards. */
static void on_line(struct smtp_slot *slot, struct span line)
{
    bool first = slot->reply.lines == 0;
    enum smtp_reply_step step = smtp_reply_add(&slot->reply, line);
    if (step == SMTP_REPLY_BAD) {
        lost_because(slot, "4.5.0", "the relay's answer cannot be understood");
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

static void send_out(struct smtp_slot *slot)
{
    if (slot->fd == -1 || slot->deaf)
        return;
    if (slot->out.failed) {
        lost_because(slot, "4.3.1", "no memory for what is to be sent");
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
        lost_because(slot, "4.3.0", "the socket cannot be waited for");
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
        lost_because(slot, "4.4.2", got == 0 ? "the relay closed the connection" : "the connection to the relay broke");
        return;
    }
    buf_add(&slot->in, bytes, (size_t)got);
    if (slot->in.failed) {
        lost_because(slot, "4.3.1", "no memory for the relay's answer");
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
            lost_because(slot, "4.5.0", "a line of the relay's answer is too long");
    }
    buf_free(&lines);
}

static void next_address(struct smtp_slot *slot, const char *why)
{
    char text[RESOLVE_TEXT_MAX] = "";
    char whole[ERR_TEXT_SIZE];
    if (is_lmtp(slot))
        (void)snprintf(whole, sizeof whole, "cannot connect to %s: %s", slot->client->lmtp_path, why);
    else {
        resolve_text((const struct sockaddr *)&slot->addresses.addresses[slot->address].address, text);
        (void)snprintf(whole, sizeof whole, "cannot connect to %s: %s", text, why);
    }
    drop_connection(slot);
    if (++slot->address < slot->addresses.count)
        attempt(slot);
    else
        lost_because(slot, "4.4.1", whole);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct smtp_slot *slot = arg;
    if (slot->state != SLOT_CONNECTING) {
        pump(slot);
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
    enter(slot, SLOT_GREETING, slot->client->options.reply_us);
    if (event_add(slot->read_event, NULL) == -1)
        lost_because(slot, "4.3.0", "the socket cannot be waited for");
}

/* Connects to the address whose turn it is. */
static void attempt(struct smtp_slot *slot)
{
    const struct resolve_address *address = &slot->addresses.addresses[slot->address];
    struct event_base *base = loop_base(slot->client->loop);
    enter(slot, SLOT_CONNECTING, slot->client->options.connect_us);
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
        lost_because(slot, "4.4.3", err->text);
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
    if (is_lmtp(slot)) {
        struct sockaddr_un path = { .sun_family = AF_UNIX };
        (void)snprintf(path.sun_path, sizeof path.sun_path, "%s", client->lmtp_path);
        memcpy(&slot->addresses.addresses[0].address, &path, sizeof path);
        slot->addresses.addresses[0].size = sizeof path;
        slot->addresses.count = 1;
    }
    if (is_lmtp(slot) || resolve_literal(&client->relay, &slot->addresses)) {
        attempt(slot);
        return;
    }
    enter(slot, SLOT_RESOLVING, client->options.connect_us);
    slot->resolve = resolve_start(client->loop, &client->relay, AF_UNSPEC, on_resolved, slot, &err);
    if (slot->resolve == NULL)
        lost_because(slot, "4.3.0", err.text);
}

/* --- what the source says --- */

void smtp_slot_ask(struct smtp_slot *slot)
{
    slot->ask_again = false;
    enter(slot, SLOT_ASKING, 0);
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
        enter(slot, SLOT_ASKING, SMTP_AGAIN_US); /* no results can be given: wait for memory */
        return;
    }
    bool left = mark_recipients(slot);
    if (!left) {
        finish_letter(slot);
    } else if (slot->client->draining) {
        struct smtp_result result = own_result("4.3.2", "this connector is stopping");
        decide_rest(slot, &result);
        finish_letter(slot);
    } else if (slot->fd == -1) {
        smtp_slot_connect(slot);
    } else {
        begin_commands(slot);
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
            enter(slot, SLOT_READY, slot->client->options.keep_us);
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
        enter(slot, SLOT_READY, 0);
        smtp_slot_quit(slot);
    } else {
        smtp_slot_ask(slot);
    }
}

void smtp_slot_quit(struct smtp_slot *slot)
{
    if (slot->state == SLOT_READY) {
        buf_add_text(&slot->out, "QUIT\r\n");
        enter(slot, SLOT_QUIT, SMTP_QUIT_US);
        send_out(slot);
    } else if (slot->state < SLOT_READY && slot->state != SLOT_OFF && !slot->has_letter) {
        turn_off(slot);
    }
}

void smtp_slot_stop(struct smtp_slot *slot, const char *why)
{
    struct smtp_result result = own_result("4.3.2", why);
    if (slot->state == SLOT_READY || slot->state == SLOT_QUIT || (slot->state < SLOT_READY && !slot->has_letter)) {
        turn_off(slot);
    } else if (in_letter(slot) || slot->state < SLOT_READY) {
        drop_connection(slot);
        decide_rest(slot, &result);
        finish_letter(slot);
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
        lost_because(slot, "4.4.2", "the relay did not answer in time");
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
    drop_connection(slot);
    loop_timer_free(&slot->timer);
    mem_free(slot->results);
    mem_free(slot->marks);
}
