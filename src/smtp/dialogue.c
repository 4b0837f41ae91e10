/* What a client says to the server and what it hears: the commands of SMTP and LMTP, and the letter after DATA.
 *
 * What can go wrong: the sink refuses at any step (its error is the answer), or answers a commit from inside our own
 * call (then the state has changed when the call comes back); a client says what is no mail at all. */
#include "smtp/session.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <time.h>

FAILPOINT_DECLARE("smtp.in.before-250");

/* --- replies --- */

void smtp_say(struct smtp_session *session, int code, const char *enhanced, const char *text)
{
    buf_printf(&session->out, "%d %s%s%s\r\n", code, enhanced, enhanced[0] != '\0' ? " " : "", text);
}

/* What only the operator can mend has words for him: they are in the log, under the number that the client is told. */
static bool is_internal(const struct err *err)
{
    return err_family(err->id) == ERR_FAMILY_BUG || err->id == ERR_STORE_IO || err->id == ERR_DISK_FULL ||
           err->id == ERR_NO_MEMORY;
}

/* One answer for one recipient (LMTP) or for the letter. Texts of the sink may hold anything. */
static void say_err(struct smtp_session *session, const struct err *err)
{
    char text[ERR_TEXT_SIZE];
    bool ours = err->text[0] == '\0' || is_internal(err);
    span_to_text(span_text(ours ? err_host_text(err->id) : err->text), text, sizeof text);
    if (is_internal(err))
        (void)snprintf(text, sizeof text, "%s (log message %05d)", err_host_text(err->id), err_log_number(err->id));
    for (char *at = text; *at != '\0'; at++)
        if (*at < 32 || *at > 126)
            *at = '?';
    smtp_say(session, err_smtp_code(err->id), err_smtp_enhanced(err->id), text);
}

void smtp_end_dialogue(struct smtp_session *session)
{
    session->state = SESSION_ENDING;
    loop_timer_set(&session->timer, SMTP_LINGER_US);
}

/* A command that no mail client sends: some are mistakes, many are something else. Addresses that cannot be understood
 * are not counted, nor is what follows a refused MAIL in a pipelined group: a good client with one bad letter must not
 * lose its connection, and the letters behind that one with it. */
static void say_bad(struct smtp_session *session, int code, const char *enhanced, const char *text)
{
    smtp_say(session, code, enhanced, text);
    if (++session->bad_commands < SMTP_BAD_COMMANDS_MAX)
        return;
    log_warning(LOG_SMTP, err_log_number(ERR_PROTOCOL), "%s: too many bad commands", session->client);
    smtp_say(session, 421, "4.7.0", "too many bad commands");
    smtp_end_dialogue(session);
}

/* --- the letter --- */

void smtp_forget_envelope(struct smtp_session *session)
{
    for (size_t i = 0; i < session->recipient_count; i++)
        mem_free(session->recipients[i]);
    session->recipient_count = 0;
    session->has_mail = false;
}

void smtp_abandon_letter(struct smtp_session *session)
{
    struct smtp_letter *letter = session->letter;
    session->letter = NULL;
    session->paused = false;
    if (letter != NULL)
        session->shared->sink.abandon(session->shared->sink.owner, letter);
}

/* The answer to a whole letter: one, or in LMTP one for each recipient (RFC 2033 §4.2). */
void smtp_answer_letter(struct smtp_session *session, const char *id, const struct err *err)
{
    char queued[128];
    (void)snprintf(queued, sizeof queued, "queued as %s", id != NULL ? id : "-");
    size_t count = session->lmtp ? session->recipient_count : 1;
    if (err != NULL) {
        session->shared->figures.refused++;
        log_err(LOG_SMTP, err, "%s: letter from <%s> not taken", session->client, session->sender);
    } else {
        session->shared->figures.accepted++;
        session->bad_commands = 0;
        log_trace(LOG_SMTP, 22476, "%s: %s taken, from <%s>, %zu recipients", session->client, queued, session->sender,
                  session->recipient_count);
        session->said_250 = true;
        FAILPOINT("smtp.in.before-250");
    }
    for (size_t i = 0; i < count; i++) {
        if (err != NULL)
            say_err(session, err);
        else
            smtp_say(session, 250, "2.0.0", queued);
    }
    smtp_forget_envelope(session);
    session->state = SESSION_COMMAND;
}

/* RFC 5321 §4.4, RFC 5322 §3.3. Own tables: the names are English whatever the locale is. */
static void add_received(struct smtp_session *session, const char *id, struct buf *to)
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t now = (time_t)(clock_now() / CLOCK_SECOND);
    struct tm utc = { 0 };
    (void)gmtime_r(&now, &utc);
    buf_printf(to, "Received: from %s", session->helo);
    if (strchr(session->client, ':') != NULL)
        buf_printf(to, " ([IPv6:%s])", session->client);
    else if (strchr(session->client, '.') != NULL)
        buf_printf(to, " ([%s])", session->client);
    buf_printf(to, "\r\n\tby %s with %s", session->shared->host_name, session->protocol);
    if (id[0] != '\0')
        buf_printf(to, " id %s", id);
    buf_printf(to, ";\r\n\t%s, %d %s %d %02d:%02d:%02d +0000\r\n", days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon],
               utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static void put(struct smtp_session *session, struct span piece)
{
    session->paused = true; /* put may answer with room from inside */
    if (session->shared->sink.put(session->shared->sink.owner, session->letter, piece))
        session->paused = false;
}

static int begin_letter(struct smtp_session *session, struct err *err)
{
    const struct smtp_shared *shared = session->shared;
    struct smtp_envelope envelope = {
        .client = session->client,
        .helo = session->helo,
        .protocol = session->protocol,
        .sender = session->sender,
        .recipients = (const char *const *)session->recipients,
        .recipient_count = session->recipient_count,
        .body_8bit = session->body_8bit,
        .size = session->size,
    };
    char id[SMTP_ID_SIZE] = "";
    struct buf received = { 0 };
    session->letter = shared->sink.begin(shared->sink.owner, session, &envelope, id, err);
    if (session->letter == NULL)
        return -1;
    add_received(session, id, &received);
    if (received.failed)
        (void)err_set(err, ERR_NO_MEMORY, "no memory for a letter");
    else
        put(session, buf_span(&received));
    int result = received.failed ? -1 : 0;
    buf_free(&received);
    if (result == -1)
        smtp_abandon_letter(session);
    return result;
}

/* Content up to its end or to the end of the input. False: wait. */
bool smtp_take_content(struct smtp_session *session, struct reader *in)
{
    struct span piece;
    enum smtp_content_step step = smtp_content_next(&session->content, in, &piece);
    if (session->content.err.id != ERR_NONE)
        smtp_abandon_letter(session); /* now, so that nothing more of it is stored */
    if (step == SMTP_CONTENT_PIECE) {
        session->shared->figures.bytes += piece.size;
        put(session, piece);
        return !session->paused;
    }
    if (step == SMTP_CONTENT_MORE)
        return false;
    if (session->content.err.id != ERR_NONE) {
        smtp_answer_letter(session, NULL, &session->content.err);
        return true;
    }
    session->state = SESSION_COMMIT;
    session->shared->sink.commit(session->shared->sink.owner, session->letter);
    return session->state != SESSION_COMMIT;
}

/* --- commands --- */

static void greet(struct smtp_session *session, enum smtp_verb verb, struct span argument)
{
    struct smtp_reply refusal;
    if (session->lmtp != (verb == SMTP_LHLO)) { /* RFC 2033 §4.1 */
        say_bad(session, 500, "5.5.1", session->lmtp ? "this is LMTP: say LHLO" : "this is SMTP: say EHLO");
        return;
    }
    if (smtp_parse_helo(argument, &refusal) == -1) {
        say_bad(session, refusal.code, refusal.enhanced, refusal.text);
        return;
    }
    smtp_forget_envelope(session);
    span_to_text(argument, session->helo, sizeof session->helo);
    session->protocol = verb == SMTP_LHLO ? "LMTP" : verb == SMTP_EHLO ? "ESMTP" : "SMTP";
    if (verb == SMTP_HELO)
        buf_printf(&session->out, "250 %s\r\n", session->shared->host_name);
    else
        buf_printf(&session->out,
                   "250-%s\r\n250-SIZE %llu\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
                   session->shared->host_name, (unsigned long long)session->shared->max_size);
}

static void mail(struct smtp_session *session, struct span argument)
{
    const struct smtp_shared *shared = session->shared;
    struct smtp_mail mail;
    struct smtp_reply refusal;
    struct err err = ERR_CLEAR;
    if (session->helo[0] == '\0') {
        say_bad(session, 503, "5.5.1", session->lmtp ? "say LHLO first" : "say EHLO first");
        return;
    }
    if (session->has_mail) {
        say_bad(session, 503, "5.5.1", "a letter has begun already: RSET forgets it");
        return;
    }
    if (smtp_parse_mail(argument, &mail, &refusal) == -1) {
        smtp_say(session, refusal.code, refusal.enhanced, refusal.text);
        return;
    }
    span_to_text(mail.sender, session->sender, sizeof session->sender);
    if (mail.size > shared->max_size)
        (void)err_set(&err, ERR_TOO_BIG, "the letter is larger than the %llu octets this host takes",
                      (unsigned long long)shared->max_size);
    else
        (void)shared->sink.mail(shared->sink.owner, session->sender, &err);
    if (err.id != ERR_NONE) {
        if (err_family(err.id) == ERR_FAMILY_BUG)
            log_err(LOG_SMTP, &err, "%s: sender <%s> not taken", session->client, session->sender);
        say_err(session, &err);
        return;
    }
    session->has_mail = true;
    session->body_8bit = mail.body_8bit;
    session->size = mail.size;
    smtp_say(session, 250, "2.1.0", "sender ok");
}

static bool keep_recipient(struct smtp_session *session, struct span recipient)
{
    if (session->recipient_count == session->recipient_room) {
        size_t room = session->recipient_room == 0 ? 8 : session->recipient_room * 2;
        char **grown = mem_realloc(session->recipients, room * sizeof *grown);
        if (grown == NULL)
            return false;
        session->recipients = grown;
        session->recipient_room = room;
    }
    char text[SMTP_PATH_MAX + 1];
    span_to_text(recipient, text, sizeof text);
    char *copy = mem_strdup(text);
    if (copy != NULL)
        session->recipients[session->recipient_count++] = copy;
    return copy != NULL;
}

static void rcpt(struct smtp_session *session, struct span argument)
{
    const struct smtp_shared *shared = session->shared;
    struct span recipient;
    struct smtp_reply refusal;
    struct err err = ERR_CLEAR;
    if (!session->has_mail) {
        smtp_say(session, 503, "5.5.1", "say MAIL first");
        return;
    }
    if (smtp_parse_rcpt(argument, &recipient, &refusal) == -1) {
        smtp_say(session, refusal.code, refusal.enhanced, refusal.text);
        return;
    }
    if (session->recipient_count >= shared->max_recipients) {
        smtp_say(session, 452, "4.5.3", "too many recipients: send the rest in another letter");
        return;
    }
    if (!keep_recipient(session, recipient)) {
        (void)err_set(&err, ERR_NO_MEMORY, "no memory for a recipient");
        say_err(session, &err);
        return;
    }
    char *kept = session->recipients[session->recipient_count - 1];
    if (shared->sink.recipient(shared->sink.owner, session->sender, kept, &err) == -1) {
        session->recipient_count--;
        say_err(session, &err);
        log_err(LOG_SMTP, &err, "%s: recipient <%s> of <%s> refused", session->client, kept, session->sender);
        mem_free(kept);
        return;
    }
    smtp_say(session, 250, "2.1.5", "recipient ok");
}

/* `more`: the client did not wait for our answer. That is against RFC 2920 §3.1, and harmless where the answer is 354;
 * where it is not, what comes is content that must not be read as commands. */
static void data(struct smtp_session *session, struct span argument, bool more)
{
    struct err err = ERR_CLEAR;
    bool begun = false;
    if (argument.size > 0)
        say_bad(session, 501, "5.5.4", "DATA has no argument");
    else if (!session->has_mail || session->recipient_count == 0)
        smtp_say(session, 503, "5.5.1", session->has_mail ? "no recipient was accepted" : "say MAIL first");
    else if (begin_letter(session, &err) == -1) {
        session->shared->figures.refused++;
        if (err_family(err.id) == ERR_FAMILY_BUG)
            log_err(LOG_SMTP, &err, "%s: letter from <%s> not begun", session->client, session->sender);
        say_err(session, &err);
        smtp_forget_envelope(session);
    } else
        begun = true;
    if (begun) {
        smtp_say(session, 354, "", "end with CRLF . CRLF");
        session->content =
            (struct smtp_content){ .max_size = session->shared->max_size, .max_hops = session->shared->max_hops };
        session->state = SESSION_DATA;
    } else if (more && session->state != SESSION_ENDING) {
        smtp_say(session, 421, "4.5.0", "content was sent without waiting for 354");
        smtp_end_dialogue(session);
    }
}

/* A web page can make a browser post here; what it posts must not be read as mail. */
static bool is_http(struct span line)
{
    static const struct span version = { (const uint8_t *)"HTTP/1.", 7 };
    return line.size > 8 && span_equal(span_slice(line, line.size - 8, version.size), version);
}

static void command(struct smtp_session *session, struct span line, bool more)
{
    struct span argument;
    enum smtp_verb verb = smtp_parse_verb(line, &argument);
    switch (verb) {
    case SMTP_EHLO:
    case SMTP_HELO:
    case SMTP_LHLO:
        greet(session, verb, argument);
        break;
    case SMTP_MAIL:
        mail(session, argument);
        break;
    case SMTP_RCPT:
        rcpt(session, argument);
        break;
    case SMTP_DATA:
        data(session, argument, more);
        break;
    case SMTP_RSET:
        smtp_forget_envelope(session);
        smtp_say(session, 250, "2.0.0", "forgotten");
        break;
    case SMTP_NOOP:
        smtp_say(session, 250, "2.0.0", "ok");
        break;
    case SMTP_VRFY: /* RFC 5321 §3.5.3: addresses are not given away */
        smtp_say(session, 252, "2.5.2", "send a letter to find out");
        break;
    case SMTP_HELP:
        smtp_say(session, 214, "2.0.0",
                 session->lmtp ? "LHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT"
                               : "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT");
        break;
    case SMTP_QUIT:
        smtp_say(session, 221, "2.0.0", "goodbye");
        session->said_bye = !more;
        smtp_end_dialogue(session);
        break;
    case SMTP_NOT_OFFERED:
        say_bad(session, 502, "5.5.1", "this command is not offered here");
        break;
    case SMTP_UNKNOWN:
        if (is_http(line)) {
            log_warning(LOG_SMTP, err_log_number(ERR_PROTOCOL), "%s: speaks HTTP", session->client);
            smtp_say(session, 421, "4.7.0", "this is not a web server");
            smtp_end_dialogue(session);
        } else {
            say_bad(session, 500, "5.5.1", "this command is not known here");
        }
        break;
    }
}

/* One command line. False: it is not all there. Where the two sides may not agree on where a line ends, they stop
 * talking: all that follows could be read in two ways. */
bool smtp_take_command(struct smtp_session *session, struct reader *in)
{
    size_t lf = span_find(span_slice(in->rest, 0, SMTP_COMMAND_MAX), '\n');
    if (lf == in->rest.size && lf < SMTP_COMMAND_MAX)
        return false;
    struct span line = span_slice(in->rest, 0, lf);
    const char *wrong = NULL;
    if (lf == SMTP_COMMAND_MAX)
        wrong = "the line is too long";
    else if (lf == 0 || line.at[lf - 1] != '\r')
        wrong = "a line ends with CRLF";
    line = span_slice(line, 0, lf > 0 ? lf - 1 : 0);
    if (wrong == NULL && (span_find(line, '\r') != line.size || span_find(line, '\0') != line.size))
        wrong = "a command holds no CR and no NUL";
    if (wrong != NULL) {
        log_warning(LOG_SMTP, err_log_number(ERR_PROTOCOL), "%s: bad line: %s", session->client, wrong);
        smtp_say(session, 500, "5.5.2", wrong);
        smtp_end_dialogue(session);
        return false;
    }
    reader_skip(in, lf + 1);
    command(session, line, in->rest.size > 0);
    return true;
}
