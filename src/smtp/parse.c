/* The lines of SMTP, read strictly: what is taken here goes into the envelope, and the envelope decides who gets the
 * letter. A form that two programs may read differently (a bare quote, a missing bracket, a control character) is
 * refused rather than guessed at. Spans never outlive the line. */
#include "smtp/parse.h"

#include <arpa/inet.h>
#include <stdio.h>

int smtp_refuse(struct smtp_reply *reply_r, int code, const char *enhanced, const char *text)
{
    *reply_r = (struct smtp_reply){ .code = code };
    (void)snprintf(reply_r->enhanced, sizeof reply_r->enhanced, "%s", enhanced);
    (void)snprintf(reply_r->text, sizeof reply_r->text, "%s", text);
    return -1;
}

static bool is_alpha(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* RFC 5322 §3.2.3 */
static bool is_atext(uint8_t byte)
{
    return is_alpha(byte) || is_digit(byte) || (byte != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", byte) != NULL);
}

enum smtp_verb smtp_parse_verb(struct span line, struct span *argument_r)
{
    static const struct {
        const char *text;
        enum smtp_verb verb;
    } verbs[] = {
        { "MAIL", SMTP_MAIL },        { "RCPT", SMTP_RCPT },        { "DATA", SMTP_DATA },
        { "RSET", SMTP_RSET },        { "EHLO", SMTP_EHLO },        { "HELO", SMTP_HELO },
        { "LHLO", SMTP_LHLO },        { "QUIT", SMTP_QUIT },        { "NOOP", SMTP_NOOP },
        { "VRFY", SMTP_VRFY },        { "HELP", SMTP_HELP },        { "EXPN", SMTP_NOT_OFFERED },
        { "BDAT", SMTP_NOT_OFFERED }, { "AUTH", SMTP_NOT_OFFERED }, { "STARTTLS", SMTP_NOT_OFFERED },
        { "TURN", SMTP_NOT_OFFERED }, { "ETRN", SMTP_NOT_OFFERED }, { "SEND", SMTP_NOT_OFFERED },
        { "SOML", SMTP_NOT_OFFERED }, { "SAML", SMTP_NOT_OFFERED },
    };
    size_t end = span_find(line, ' ');
    struct span word = span_trim_end(span_slice(line, 0, end), '\t');
    *argument_r = span_trim(span_slice(line, end, SIZE_MAX));
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (span_equal_nocase(word, span_text(verbs[i].text)))
            return verbs[i].verb;
    return SMTP_UNKNOWN;
}

/* Takes the bytes in front that `is` says yes to. */
static struct span take_while(struct reader *in, bool (*is)(uint8_t byte))
{
    size_t size = 0;
    while (size < in->rest.size && is(in->rest.at[size]))
        size++;
    return reader_take(in, size);
}

static bool next_is(const struct reader *in, uint8_t byte)
{
    return in->rest.size > 0 && in->rest.at[0] == byte;
}

static bool take_byte(struct reader *in, uint8_t byte)
{
    bool is = next_is(in, byte);
    if (is)
        reader_skip(in, 1);
    return is;
}

/* `_` is no letter of a host name (RFC 952), but hosts and envelope senders have it. */
static bool is_label(uint8_t byte)
{
    return is_alpha(byte) || is_digit(byte) || byte == '-' || byte == '_';
}

/* Domain = sub-domain *("." sub-domain) */
static bool take_domain(struct reader *in)
{
    size_t size = 0;
    do {
        struct span label = take_while(in, is_label);
        if (label.size == 0 || label.size > SMTP_LABEL_MAX || label.at[0] == '-' || label.at[label.size - 1] == '-')
            return false;
        size += label.size + 1;
    } while (take_byte(in, '.'));
    return size - 1 <= SMTP_DOMAIN_MAX;
}

static bool is_dcontent(uint8_t byte)
{
    return (byte >= 33 && byte <= 90) || (byte >= 94 && byte <= 126);
}

/* RFC 5321 §4.1.3: [192.0.2.1], [IPv6:2001:db8::1], [tag:content] */
static bool take_literal(struct reader *in)
{
    static const struct span ipv6 = { (const uint8_t *)"IPv6:", 5 };
    if (!take_byte(in, '['))
        return false;
    struct span content = take_while(in, is_dcontent);
    if (!take_byte(in, ']') || content.size == 0 || content.size > SMTP_DOMAIN_MAX)
        return false;
    char text[SMTP_DOMAIN_MAX + 1];
    uint8_t address[16];
    if (span_equal_nocase(span_slice(content, 0, ipv6.size), ipv6)) {
        span_to_text(span_slice(content, ipv6.size, SIZE_MAX), text, sizeof text);
        return inet_pton(AF_INET6, text, address) == 1;
    }
    struct reader tagged = reader_of(content);
    struct span tag = take_while(&tagged, is_label);
    if (take_byte(&tagged, ':'))
        return tag.size > 0 && tag.at[tag.size - 1] != '-' && tagged.rest.size > 0;
    span_to_text(content, text, sizeof text);
    return inet_pton(AF_INET, text, address) == 1;
}

/* Quoted-string = DQUOTE *(qtextSMTP / "\" %d32-126) DQUOTE */
static bool take_quoted(struct reader *in)
{
    if (!take_byte(in, '"'))
        return false;
    while (!take_byte(in, '"')) {
        (void)take_byte(in, '\\');
        uint8_t byte = reader_u8(in);
        if (in->failed || byte < 32 || byte > 126)
            return false;
    }
    return true;
}

/* Local-part = Dot-string / Quoted-string */
static bool take_local(struct reader *in)
{
    if (next_is(in, '"'))
        return take_quoted(in);
    do {
        if (take_while(in, is_atext).size == 0)
            return false;
    } while (take_byte(in, '.'));
    return true;
}

static bool take_host(struct reader *in)
{
    return next_is(in, '[') ? take_literal(in) : take_domain(in);
}

/* "@" domain *("," "@" domain) ":" */
static bool take_route(struct reader *in)
{
    do {
        if (!take_byte(in, '@') || !take_domain(in))
            return false;
    } while (take_byte(in, ','));
    return take_byte(in, ':');
}

enum path_kind { REVERSE_PATH, FORWARD_PATH };

/* "<" [route] mailbox ">"; `path_r` is the mailbox. */
static bool take_path(struct reader *in, enum path_kind kind, struct span *path_r)
{
    *path_r = SPAN_EMPTY;
    size_t before = in->rest.size;
    if (!take_byte(in, '<'))
        return false;
    if (kind == REVERSE_PATH && take_byte(in, '>'))
        return true;
    if (next_is(in, '@') && !take_route(in))
        return false;
    struct span mailbox = in->rest;
    if (!take_local(in))
        return false;
    size_t local_size = mailbox.size - in->rest.size;
    struct span local = span_slice(mailbox, 0, local_size);
    bool alone = kind == FORWARD_PATH && span_equal_nocase(local, SPAN_LITERAL("postmaster")) && next_is(in, '>');
    if (!alone && (!take_byte(in, '@') || !take_host(in)))
        return false;
    *path_r = span_slice(mailbox, 0, mailbox.size - in->rest.size);
    if (!take_byte(in, '>') || before - in->rest.size > SMTP_PATH_MAX + 2)
        return false;
    return kind == REVERSE_PATH || local_size <= SMTP_LOCAL_MAX;
}

/* "FROM:" or "TO:", and blanks that do not belong there but come */
static bool take_keyword(struct reader *in, struct span keyword)
{
    if (!span_equal_nocase(span_slice(in->rest, 0, keyword.size), keyword))
        return false;
    reader_skip(in, keyword.size);
    while (take_byte(in, ' '))
        ;
    return true;
}

/* The next blank-separated parameter; empty where there is none. */
static struct span take_parameter(struct reader *in)
{
    while (take_byte(in, ' '))
        ;
    return reader_at_end(in) ? SPAN_EMPTY : reader_until(in, ' ');
}

/* RFC 1870 §3: 1 to 20 digits. What is larger than we can count is larger than any limit. */
static bool parse_size(struct span text, uint64_t *size_r)
{
    uint64_t size = 0;
    if (text.size == 0 || text.size > 20)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.at[i]))
            return false;
        unsigned digit = (unsigned)(text.at[i] - '0');
        size = size > (UINT64_MAX - digit) / 10 ? UINT64_MAX : size * 10 + digit;
    }
    *size_r = size;
    return true;
}

static int parse_mail_parameter(struct span parameter, struct smtp_mail *mail, struct smtp_reply *refusal_r)
{
    struct reader in = reader_of(parameter);
    struct span keyword = reader_until(&in, '=');
    if (span_equal_nocase(keyword, SPAN_LITERAL("SIZE"))) {
        if (!parse_size(in.rest, &mail->size))
            return smtp_refuse(refusal_r, 501, "5.5.4", "SIZE= wants a number of octets");
        return 0;
    }
    if (span_equal_nocase(keyword, SPAN_LITERAL("BODY"))) {
        mail->body_8bit = span_equal_nocase(in.rest, SPAN_LITERAL("8BITMIME"));
        if (!mail->body_8bit && !span_equal_nocase(in.rest, SPAN_LITERAL("7BIT")))
            return smtp_refuse(refusal_r, 501, "5.5.4", "BODY= is 7BIT or 8BITMIME");
        return 0;
    }
    return smtp_refuse(refusal_r, 555, "5.5.4", "a parameter of MAIL is not known here: SIZE and BODY are");
}

int smtp_parse_mail(struct span argument, struct smtp_mail *mail_r, struct smtp_reply *refusal_r)
{
    *mail_r = (struct smtp_mail){ .sender = SPAN_EMPTY };
    struct reader in = reader_of(argument);
    if (!take_keyword(&in, SPAN_LITERAL("FROM:")))
        return smtp_refuse(refusal_r, 501, "5.5.4", "the form is MAIL FROM:<address>");
    if (!take_path(&in, REVERSE_PATH, &mail_r->sender) || (in.rest.size > 0 && !next_is(&in, ' ')))
        return smtp_refuse(refusal_r, 501, "5.1.7", "the sender's address cannot be understood");
    for (struct span parameter = take_parameter(&in); parameter.size > 0; parameter = take_parameter(&in))
        if (parse_mail_parameter(parameter, mail_r, refusal_r) == -1)
            return -1;
    return 0;
}

int smtp_parse_rcpt(struct span argument, struct span *recipient_r, struct smtp_reply *refusal_r)
{
    struct reader in = reader_of(argument);
    if (!take_keyword(&in, SPAN_LITERAL("TO:")))
        return smtp_refuse(refusal_r, 501, "5.5.4", "the form is RCPT TO:<address>");
    if (!take_path(&in, FORWARD_PATH, recipient_r) || (in.rest.size > 0 && !next_is(&in, ' ')))
        return smtp_refuse(refusal_r, 501, "5.1.3", "the recipient's address cannot be understood");
    if (take_parameter(&in).size > 0)
        return smtp_refuse(refusal_r, 555, "5.5.4", "no parameter of RCPT is known here");
    return 0;
}

int smtp_parse_helo(struct span argument, struct smtp_reply *refusal_r)
{
    struct reader in = reader_of(argument);
    if (!take_host(&in) || in.rest.size > 0)
        return smtp_refuse(refusal_r, 501, "5.5.4", "say the name of your host");
    return 0;
}

struct span smtp_reply_line_text(struct span line)
{
    return span_slice(line, 4, SIZE_MAX);
}

/* RFC 3463 §2: class "." 1*3DIGIT "." 1*3DIGIT, and a blank or the end. */
static bool take_enhanced(struct reader *in, uint8_t class, char *to_r, size_t room)
{
    struct reader ahead = *in;
    bool is = take_byte(&ahead, class) && take_byte(&ahead, '.');
    for (int i = 0; is && i < 2; i++) {
        size_t digits = take_while(&ahead, is_digit).size;
        is = digits >= 1 && digits <= 3 && (i == 1 || take_byte(&ahead, '.'));
    }
    if (!is || (ahead.rest.size > 0 && !next_is(&ahead, ' ')))
        return false;
    span_to_text(span_slice(in->rest, 0, in->rest.size - ahead.rest.size), to_r, room);
    (void)take_byte(&ahead, ' ');
    *in = ahead;
    return true;
}

static void add_text(struct smtp_reply *reply, struct span text)
{
    size_t size = strlen(reply->text);
    if (text.size == 0 || size + sizeof " / " >= sizeof reply->text)
        return;
    int put = snprintf(reply->text + size, sizeof reply->text - size, "%s", size > 0 ? " / " : "");
    size += put > 0 ? (size_t)put : 0;
    span_to_text(text, reply->text + size, sizeof reply->text - size);
}

enum smtp_reply_step smtp_reply_add(struct smtp_reply *reply, struct span line)
{
    if (line.size < 3 || !is_digit(line.at[0]) || !is_digit(line.at[1]) || !is_digit(line.at[2]))
        return SMTP_REPLY_BAD;
    int code = (line.at[0] - '0') * 100 + (line.at[1] - '0') * 10 + (line.at[2] - '0');
    bool last = line.size == 3 || line.at[3] == ' ';
    if (code < 200 || code > 599 || (!last && line.at[3] != '-'))
        return SMTP_REPLY_BAD;
    if ((reply->lines > 0 && reply->code != code) || reply->lines == SMTP_REPLY_LINES_MAX)
        return SMTP_REPLY_BAD;
    reply->code = code;
    reply->lines++;
    struct reader in = reader_of(smtp_reply_line_text(line));
    char enhanced[sizeof reply->enhanced];
    if (take_enhanced(&in, line.at[0], enhanced, sizeof enhanced) && reply->enhanced[0] == '\0')
        (void)snprintf(reply->enhanced, sizeof reply->enhanced, "%s", enhanced);
    add_text(reply, in.rest);
    return last ? SMTP_REPLY_COMPLETE : SMTP_REPLY_MORE;
}
