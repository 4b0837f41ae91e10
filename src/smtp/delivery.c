/* One letter on a connection to the relay: its commands, its content, and what was said of each recipient.
 *
 * Commands go out as a group where the relay offers PIPELINING, else one by one; replies are matched to them by order
 * alone, so anything unexpected ends the connection rather than shifting the answers. What can go wrong: the source's
 * content cannot be read (the dot is not sent, so that no half letter is taken); the relay accepts before it has seen
 * the end (that is no acceptance); an address holds a line end (it is not sent). */
#include "smtp/slot.h"

#include "base/fault.h"
#include "base/log.h"

#include <stdio.h>

FAILPOINT_DECLARE("smtp.out.250-received");

/* --- results --- */

static void decide(struct smtp_slot *slot, size_t index, const struct smtp_result *result)
{
    slot->results[index] = *result;
    slot->marks[index] = RECIPIENT_DECIDED;
}

void smtp_decide_rest(struct smtp_slot *slot, const struct smtp_result *result)
{
    for (size_t i = 0; i < slot->letter.recipient_count; i++)
        if (slot->marks[i] < RECIPIENT_DECIDED)
            decide(slot, i, result);
}

struct smtp_result smtp_own_result(const char *enhanced, const char *text)
{
    struct smtp_result result = { .outcome = SMTP_TEMPORARY };
    (void)snprintf(result.enhanced, sizeof result.enhanced, "%s", enhanced);
    (void)snprintf(result.text, sizeof result.text, "%s", text);
    return result;
}

struct smtp_result smtp_reply_result(const struct smtp_reply *reply)
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
void smtp_finish_letter(struct smtp_slot *slot)
{
    struct smtp_client *client = slot->client;
    if (slot->reading) {
        smtp_slot_enter(slot, SLOT_BROKEN, 0);
        return;
    }
    for (size_t i = 0; i < slot->letter.recipient_count; i++) {
        const struct smtp_result *result = &slot->results[i];
        client->figures.accepted += result->outcome == SMTP_ACCEPTED;
        client->figures.deferred += result->outcome == SMTP_TEMPORARY;
        client->figures.refused += result->outcome == SMTP_PERMANENT;
        if (result->outcome == SMTP_ACCEPTED)
            log_trace(LOG_SMTP, 22466, "%s: <%s> accepted: %s", slot->letter.name, slot->letter.recipients[i],
                      result->text);
        else
            log_info(LOG_SMTP,
                     err_log_number(result->outcome == SMTP_TEMPORARY ? ERR_PEER_TEMPORARY : ERR_PEER_PERMANENT),
                     "%s: <%s> not accepted: %d %s %s", slot->letter.name, slot->letter.recipients[i], result->code,
                     result->enhanced, result->text);
    }
    slot->has_letter = false;
    slot->reused = slot->fd != -1;
    smtp_slot_enter(slot, SLOT_SETTLING, 0);
    client->source.result(client->source.owner, client, slot->index, slot->letter.handle, slot->results);
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
    smtp_slot_enter(slot, SLOT_COMMANDS, slot->client->options.reply_us);
    smtp_slot_send(slot);
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
bool smtp_mark_recipients(struct smtp_slot *slot)
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

void smtp_begin_commands(struct smtp_slot *slot)
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
    smtp_slot_enter(slot, SLOT_DOT, slot->client->options.data_us);
}

/* Sends, and asks for content as long as it goes out. The source may answer from inside. */
void smtp_pump(struct smtp_slot *slot)
{
    if (slot->pumping)
        return;
    slot->pumping = true;
    do {
        smtp_slot_send(slot);
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
        smtp_finish_letter(slot);
        return;
    }
    if (slot->state != SLOT_CONTENT)
        return;
    if (err != NULL) {
        struct smtp_result result = smtp_own_result("4.3.0", err->text);
        log_err(LOG_SMTP, err, "%s: content cannot be read", slot->letter.name);
        smtp_slot_drop(slot); /* without the dot: the relay takes no half letter. Not the relay's failure */
        smtp_decide_rest(slot, &result);
        smtp_finish_letter(slot);
        return;
    }
    slot->offset += piece.size;
    if (piece.size == 0)
        add_end(slot);
    else
        add_content(slot, piece);
    smtp_pump(slot);
}

/* --- replies --- */

static void on_data_reply(struct smtp_slot *slot, const struct smtp_reply *reply)
{
    struct smtp_result result = smtp_reply_result(reply);
    if (reply->code == 354) {
        if (count_taken(slot) == 0) { /* RFC 2920 §3.1: an empty letter for nobody ends it */
            add_end(slot);
            smtp_slot_send(slot);
            return;
        }
        smtp_slot_enter(slot, SLOT_CONTENT, slot->client->options.data_us);
        smtp_pump(slot);
        return;
    }
    if (result.outcome == SMTP_ACCEPTED || reply->code < 400) {
        smtp_slot_lost_because(slot, "4.5.0", "the relay's answer to DATA is against the protocol");
        return;
    }
    slot->needs_rset = slot->mail_taken;
    smtp_decide_rest(slot, &result);
    smtp_client_works(slot->client);
    smtp_finish_letter(slot);
}

static void on_rcpt_reply(struct smtp_slot *slot, size_t index, const struct smtp_reply *reply)
{
    struct smtp_result result = smtp_reply_result(reply);
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

void smtp_on_command_reply(struct smtp_slot *slot, const struct smtp_reply *reply)
{
    size_t step = slot->reply_step;
    slot->reply_step = step_after(slot, step);
    struct smtp_result result = smtp_reply_result(reply);
    if (step == data_step(slot)) {
        on_data_reply(slot, reply);
        return;
    }
    if (reply->code < 400 && result.outcome != SMTP_ACCEPTED) {
        smtp_slot_lost_because(slot, "4.5.0", "the relay's answer is against the protocol");
        return;
    }
    if (step == 0 && result.outcome != SMTP_ACCEPTED) {
        smtp_slot_lost_because(slot, "4.5.0", "the relay refuses RSET");
        return;
    }
    if (step == 1) {
        slot->mail_taken = result.outcome == SMTP_ACCEPTED;
        if (!slot->mail_taken)
            smtp_decide_rest(slot, &result);
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
        smtp_finish_letter(slot);
        return;
    }
    send_commands(slot);
}

/* SMTP: one reply for all that were taken; LMTP: one for each of them, in order (RFC 2033 §4.2). */
void smtp_on_dot_reply(struct smtp_slot *slot, const struct smtp_reply *reply)
{
    struct smtp_result result = smtp_reply_result(reply);
    if (slot->out.size > 0 && result.outcome == SMTP_ACCEPTED) {
        smtp_slot_lost_because(slot, "4.5.0", "the relay accepted what it had not seen the end of");
        return;
    }
    if (reply->code < 400 && result.outcome != SMTP_ACCEPTED) {
        smtp_slot_lost_because(slot, "4.5.0", "the relay's answer to the letter is against the protocol");
        return;
    }
    if (result.outcome == SMTP_ACCEPTED)
        FAILPOINT("smtp.out.250-received");
    for (size_t i = 0; i < slot->letter.recipient_count; i++) {
        if (slot->marks[i] != RECIPIENT_TAKEN)
            continue;
        decide(slot, i, &result);
        if (smtp_slot_is_lmtp(slot))
            break;
    }
    loop_timer_set(&slot->timer, slot->client->options.data_us);
    if (count_taken(slot) > 0)
        return;
    smtp_client_works(slot->client);
    bool in_step = slot->out.size == 0; /* else it refused before it had all: what is still to be sent is no command */
    if (!in_step)
        smtp_slot_drop(slot);
    smtp_finish_letter(slot);
}
