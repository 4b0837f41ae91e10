/* bsmtp: mail as hosts' mailers put it on cards.
 *
 * BSMTP is an SMTP dialogue written down (netdata.md §5): HELO, then groups of MAIL, RCPT, DATA. Also taken: an RFC 822
 * message without envelope, as RiceMAIL prints it (host-users.md example 10). Input are host records (cards, print
 * lines without their control, NETDATA records); what is given out is UTF-8, message lines ended by LF. Here the
 * envelope is the protocol's own, and may be used as such.
 */
#ifndef OVVM_CODEC_BSMTP_H
#define OVVM_CODEC_BSMTP_H

#include "base/name8.h"
#include "codec/ebcdic.h"
#include "codec/records.h"

enum { BSMTP_RECIPIENTS_MAX = 1000, BSMTP_COLUMNS = 80 };

enum bsmtp_kind {
    BSMTP_NONE,
    BSMTP_ENVELOPE, /* it begins with HELO */
    BSMTP_HEADERS   /* it begins with a header line of RFC 5322: recipients are in the header or the tag */
};
enum bsmtp_kind bsmtp_detect(const struct records *records);

struct bsmtp {
    enum bsmtp_kind kind;
    bool dot_stuffed; /* as SMTP; VM/370 CE neither doubles nor removes dots: a line `.` ends, no more */
    struct buf text;  /* owns what the spans point into */
    struct reader lines;
    size_t line_number;
    size_t undefined;   /* bytes the code page does not define */
    struct span helo;   /* the node that says it sends */
    bool verbose;       /* VERB ON: a reply file is asked for */
    struct span ticket; /* TICK, to be repeated in it */
    struct buf data;    /* the message, dots removed */
    struct span *recipients;
};

struct bsmtp_message {
    bool has_envelope;
    struct span from; /* without < >; empty: the null sender */
    size_t recipient_count;
    const struct span *recipients;
    struct span data; /* RFC 5322 */
};

/* ERR_BAD_CONTENT where bsmtp_detect says NONE. bsmtp_close in every case. */
int bsmtp_open(struct bsmtp *bsmtp, const struct records *records, const struct ebcdic_page *page, bool dot_stuffed,
               struct err *err);
void bsmtp_close(struct bsmtp *bsmtp);
/* 1: a message, valid until the next call; 0: no more; -1: ERR_BAD_CONTENT naming the line (an unknown command, DATA
 * that does not end, no recipient), ERR_TOO_MANY, ERR_NO_MEMORY. */
int bsmtp_next(struct bsmtp *bsmtp, struct bsmtp_message *message_r, struct err *err);

/* A mail to a user of VM/370 CE MAIL (host-users.md example 8): one recipient, header lines never folded, 80 columns,
 * a text line `.` becomes ` .`, other dots are left alone, no QUIT. A subject that is too long is cut and repeated
 * before the text; a Message-Id that is too long is left out. */
struct bsmtp_letter {
    struct name8 node;      /* HELO: ours */
    struct span sender;     /* MAIL FROM, may be empty */
    struct span recipient;  /* RCPT TO and To: */
    struct span message_id; /* with < >; empty: no such line */
    int64_t date_us;
    struct span from;    /* one bare address */
    struct span subject; /* UTF-8, as text and subject below */
    struct span text;
    size_t margin; /* wrap_margin */
};
/* ERR_BAD_ADDRESS where an address does not fit in its line or has a control character: give the proxy's instead. */
int bsmtp_build_ce(const struct bsmtp_letter *letter, const struct ebcdic_page *page, struct records *cards,
                   size_t *substituted_r, struct err *err);

/* A whole RFC 5322 message (UTF-8, lines ended by LF or CRLF) in an envelope for a mailer: dots doubled, QUIT at the
 * end. Lines longer than 80 become longer records, which plain cards cannot hold: encode the message so, or send it as
 * NETDATA. ERR_BAD_ADDRESS as above. */
int bsmtp_build(struct name8 node, struct span sender, const struct span *recipients, size_t recipient_count,
                struct span message, const struct ebcdic_page *page, struct records *cards, size_t *substituted_r,
                struct err *err);

#endif
