/* parse: the lines of SMTP and LMTP, both ways.
 *
 * Commands are parsed without copying: spans point into the line given, which ends before its CRLF. What an SMTP
 * client is told about a bad command is a struct smtp_reply, because RFC 5321 and RFC 3463 have more answers for a
 * command line than the error table has rows.
 */
#ifndef OVVM_SMTP_PARSE_H
#define OVVM_SMTP_PARSE_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SMTP_COMMAND_MAX = 2048, /* of a command line with its CRLF; RFC 5321 §4.5.3.1.4 asks for 512 and room to grow */
    SMTP_PATH_MAX = 254,     /* RFC 5321 §4.5.3.1.3: 256 with the < > */
    SMTP_LOCAL_MAX = 64,     /* RFC 5321 §4.5.3.1.1 */
    SMTP_DOMAIN_MAX = 255,   /* RFC 5321 §4.5.3.1.2 */
    SMTP_LABEL_MAX = 63,     /* RFC 1035 §2.3.4 */
    SMTP_REPLY_LINE_MAX = 4096, /* of a reply line; RFC 5321 §4.5.3.1.5 asks for 512 */
    SMTP_REPLY_LINES_MAX = 1000
};

enum smtp_verb {
    SMTP_UNKNOWN,
    SMTP_EHLO,
    SMTP_HELO,
    SMTP_LHLO,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_RSET,
    SMTP_NOOP,
    SMTP_VRFY,
    SMTP_HELP,
    SMTP_QUIT,
    SMTP_NOT_OFFERED /* known to RFC 5321 and its extensions, not offered here: EXPN, BDAT, STARTTLS, AUTH, TURN … */
};

/* One reply, as it is sent or as it was received. */
struct smtp_reply {
    int code;
    char enhanced[12];        /* RFC 3463 "5.1.1"; empty where there is none */
    char text[ERR_TEXT_SIZE]; /* without codes; several lines joined by " / " */
    unsigned lines;           /* received so far */
};

/* Fills *reply_r and returns -1, so that `return smtp_refuse(…)` reads well. */
int smtp_refuse(struct smtp_reply *reply_r, int code, const char *enhanced, const char *text);

/* The verb, in any case, and what follows it without blanks at both ends (RFC 5321 §4.1.1 lets white space follow a
 * command). */
enum smtp_verb smtp_parse_verb(struct span line, struct span *argument_r);

/* The argument of EHLO, HELO and LHLO: a domain or an address literal; `_` is let through, as hosts use it. 501. */
int smtp_parse_helo(struct span argument, struct smtp_reply *refusal_r);

struct smtp_mail {
    struct span sender; /* without < >; empty: the null reverse-path */
    uint64_t size;      /* SIZE= (RFC 1870), 0 unknown */
    bool body_8bit;     /* BODY=8BITMIME (RFC 6152) */
};

/* "FROM:<path> parameters" and "TO:<path>" (RFC 5321 §4.1.2): dot-strings, quoted strings, domains, address literals;
 * a source route is read and dropped (§4.1.1.3, appendix C). <Postmaster> alone is a recipient (§4.5.1). Addresses are
 * ASCII here (no SMTPUTF8). A sender's local part may be longer than 64 octets, for VERP and SRS make such and the
 * letter would be lost; a recipient's may not. Blanks after the colon are let through, for senders who put them there.
 * Refusals: 501 5.5.4 form, 501 5.1.7 sender, 501 5.1.3 recipient, 555 5.5.4 parameter. */
int smtp_parse_mail(struct span argument, struct smtp_mail *mail_r, struct smtp_reply *refusal_r);
int smtp_parse_rcpt(struct span argument, struct span *recipient_r, struct smtp_reply *refusal_r);

enum smtp_reply_step { SMTP_REPLY_MORE, SMTP_REPLY_COMPLETE, SMTP_REPLY_BAD };
/* One line of a reply, without its line end (RFC 5321 §4.2): add the lines of one reply to the same *reply, zero at
 * first. BAD: no reply at all, codes that differ between lines, or too many lines. A missing text and an enhanced code
 * (RFC 2034 §4) whose class is not the reply's are taken for what they are: none, and text. */
enum smtp_reply_step smtp_reply_add(struct smtp_reply *reply, struct span line);
/* The text of one reply line, after the code: for the keywords of EHLO. */
struct span smtp_reply_line_text(struct span line);

#endif
