/* note: the text that CMS NOTE writes, read and written.
 *
 * Source: a real note (host-users.md §1, netdata.md §4). Lines are host records; what is given out is UTF-8. A header
 * that is not fully understood (LONG forms, other labels, Internet addresses) stays at the top of the body, so that
 * nothing the user wrote is lost. Envelope never comes from here (design rule 2): `from` and `to` are what the text
 * says.
 */
#ifndef OVVM_CODEC_NOTE_H
#define OVVM_CODEC_NOTE_H

#include "base/name8.h"
#include "codec/date.h"
#include "codec/ebcdic.h"
#include "codec/records.h"

enum { NOTE_RECIPIENTS_MAX = 256, NOTE_REPLY_LINES = 10, NOTE_LINE_MAX = 132 };

struct note_address {
    struct name8 user, node;
};

struct note {
    struct buf text;    /* owns what the spans below point into */
    size_t undefined;   /* bytes that the code page does not define */
    bool understood;    /* every header line was: the body begins after the header */
    struct span header; /* the header block as it came, may be empty */
    struct span body;   /* lines ended by LF; no blank lines at its end */
    bool has_date;
    struct date date;
    bool has_from;
    struct note_address from;
    size_t to_count;
    struct note_address to[NOTE_RECIPIENTS_MAX];
    size_t cc_count;
    struct note_address cc[NOTE_RECIPIENTS_MAX];
    struct span subject;    /* from the header, or typed as the first line of the text; may be empty */
    bool is_reply;          /* a line `*** Reply to note of 11/13/93 22:52` is among the first lines */
    struct date reply_date; /* of that line: local time of a host we do not know; us 0 where unreadable */
};

/* ERR_NO_MEMORY only: any records are a note. An empty one is valid (NT-10). */
int note_parse(const struct records *lines, const struct ebcdic_page *page, struct note *note_r, struct err *err);
void note_release(struct note *note);

/* `USER at NODE`, `USER@NODE`, `NODE(USER)` or `USER --NODE` at the front of *text, which then begins after it. False
 * where there is none: *text stays. */
bool note_address_parse(struct span *text, struct note_address *address_r);

/* What a note to a CMS user says (host-users.md example 2). All texts are UTF-8. */
struct note_letter {
    int64_t time_us;
    struct note_address from, to;
    struct span subject; /* empty: no such line */
    struct span name;    /* of the sender, may be empty */
    struct span address; /* Internet address of the sender; empty: no line in parentheses */
    struct span text;
    size_t margin; /* wrap_margin */
};

/* Appends the lines: Date, From (user id padded to 8, nothing after the node), To, Subject, blank, (Name <address>),
 * text at most 78 columns. A subject too long for one line is cut there and repeated in full before the text.
 * *substituted_r is the count of characters the page lacks. */
void note_build(const struct note_letter *letter, const struct ebcdic_page *page, struct records *lines,
                size_t *substituted_r);

#endif
