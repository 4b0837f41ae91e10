/* letter: one letter, whichever world it came from.
 *
 * Host files and Internet mail are decoded to this and encoded from it, so that there are four translations and not
 * one for each pair of formats. All text is UTF-8 with lines ended by LF and no NUL. The letter owns everything it
 * points to. The envelope comes from the protocol (design rule 2): what is here is what the letter says, except the
 * two LETTER_ENVELOPE roles, which BSMTP carries.
 */
#ifndef OVVM_LETTER_LETTER_H
#define OVVM_LETTER_LETTER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/name8.h"

enum {
    LETTER_ADDRESSES_MAX = 2000, /* of one letter; more are left out, and said so */
    LETTER_REFERENCES_MAX = 100, /* the first and the newest are kept */
    LETTER_PARTS_MAX = 500,      /* attachments; more are left out, and said so */
    LETTER_LOSSES_MAX = 4000     /* bytes of text about what was lost */
};

enum letter_source {
    LETTER_MAIL = 1,   /* RFC 5322 from the Internet side */
    LETTER_NOTE,       /* CMS NOTE, or a TSO message: NETDATA with INMTERM; with or without data sets behind it */
    LETTER_FILE,       /* NETDATA without a message */
    LETTER_ACK,        /* NETDATA INMR07 */
    LETTER_PROFS,      /* X'FE' note */
    LETTER_PROFS_ACK,  /* its acknowledgement: somebody opened the note */
    LETTER_BSMTP,      /* one of the messages in an envelope on cards */
    LETTER_RFC822,     /* a mail header on cards or print lines, no envelope */
    LETTER_DECK,       /* :READ punch files */
    LETTER_PLAIN_NOTE, /* CMS NOTE text on plain cards */
    LETTER_TEXT,       /* cards or print lines of text */
    LETTER_EMPTY,      /* no records */
    LETTER_RAW         /* what could not be understood: the records as they came are attached */
};

enum letter_role {
    LETTER_FROM = 1,
    LETTER_SENDER,
    LETTER_REPLY_TO,
    LETTER_TO,
    LETTER_CC,
    LETTER_ENVELOPE_FROM, /* BSMTP MAIL FROM */
    LETTER_ENVELOPE_TO,   /* BSMTP RCPT TO */
    LETTER_RECEIPT_TO     /* Disposition-Notification-To */
};

struct letter_address {
    enum letter_role role;
    struct span name;        /* fit to be shown (mime_name_fit), or empty: show the address (AD-12) */
    struct span address;     /* local@domain; empty where the letter has a host pair */
    struct name8 node, user; /* empty where it is an Internet address. FRED@CMSNODE in a host's mail is both */
};

/* What the daemon needs to know of a letter. */
struct letter_head {
    enum letter_source source;
    size_t address_count;
    struct letter_address *addresses;
    struct span subject;
    bool has_date; /* `Date:` with a zone, or a zone that the format implies */
    int64_t date_us;
    int zone_minutes;
    struct span sent;                    /* NETDATA INMFTIME as it came: what an acknowledgement gives back */
    int64_t sent_us;                     /* the same, GMT; 0 where absent */
    struct span message_id, in_reply_to; /* with < >; may be empty */
    size_t reference_count;
    struct span *references; /* with < > */
    bool is_reply;           /* `*** Reply to note of ...` is among the first lines */
    int64_t stamp_us;        /* its date, local time of that host; 0 where unreadable */
    bool ack_wanted;         /* INMFACK, PROFS X'01', Disposition-Notification-To */
    bool auto_submitted;     /* Auto-Submitted: other than no */
    bool bulk;               /* List-Id, Precedence: bulk, list or junk */
    bool has_envelope;
    bool html_left_out;        /* beside the plain text that is the body */
    struct span report_type;   /* multipart/report: "delivery-status", "disposition-notification" ...; else empty */
    struct span report_about;  /* Message-ID of what a report speaks of */
    struct span report_action; /* "failed", "delivered", "displayed" ...: of the first recipient it names */
    struct span ack_sent;      /* LETTER_ACK: INMFTIME of the original, as it came back */
    int64_t ack_sent_us;
    struct span ack_name; /* LETTER_ACK: data set acknowledged, qualifiers with dots; empty: a note */
    struct span ack_text; /* LETTER_ACK: INMERRCD, empty for stored; LETTER_PROFS_ACK: its line of text */
    size_t part_count;    /* attachments */
    struct span opening;  /* of a host's letter, where options.opening asks for it: the beginning of its text */
    struct span losses;   /* what was lost on the way, sentences for people, lines ended by LF; may be empty */
};

enum letter_form { LETTER_FORM_NONE, LETTER_FORM_F, LETTER_FORM_V, LETTER_FORM_U };

struct letter_part {
    struct span name;      /* as its sender called it; may be empty */
    struct span type;      /* media type, lower case, without parameters */
    bool text;             /* for people: lines in `charset` */
    struct span charset;   /* of text, as mail names it; empty: not said */
    struct span bytes;     /* as they came; of a host's text: UTF-8 with LF */
    int64_t changed_us;    /* 0: not known */
    enum letter_form form; /* of the host records it came from */
    size_t lrecl;
};

struct letter {
    struct letter_head head;
    struct span body;
    struct letter_part *parts; /* head.part_count of them */
    struct buf losses;         /* head.losses lies here */
    size_t substituted;        /* characters that became another */
    size_t address_room, reference_room, part_room;
    struct letter_block *blocks;
    bool failed; /* memory ended: look once, at the end */
};

/* All-zero is an empty letter. */
void letter_release(struct letter *letter);
/* Copies; the copy lives as long as the letter. */
struct span letter_keep(struct letter *letter, struct span bytes);
/* Takes the buffer's bytes over instead of copying them; `from` is empty afterwards. */
struct span letter_take(struct letter *letter, struct buf *from);
/* Add to the lists; texts are copied, bytes of a part are not (letter_keep or letter_take them before). */
void letter_add_address(struct letter *letter, const struct letter_address *address);
void letter_add_reference(struct letter *letter, struct span id);
void letter_add_part(struct letter *letter, const struct letter_part *part);
/* A sentence about what was lost, once each. */
void letter_lost(struct letter *letter, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first address of this role, or NULL. */
const struct letter_address *letter_first(const struct letter_head *head, enum letter_role role);
/* ERR_NO_MEMORY where something above failed. */
int letter_check(const struct letter *letter, struct err *err);

#endif
