/* profs: the plain notes of PROFS and OfficeVision/VM.
 *
 * Eighty-column cards: a header record X'FE' with both pairs and the time, text in columns 2-79, a trailer X'FFFF' with
 * the subject. Three writers agree on the columns (host-users.md §2, profs.md §4). A file of exactly three records
 * whose text does not begin with `To:` is an acknowledgement (profs.md §5). Addresses inside the text are for eyes
 * only.
 */
#ifndef OVVM_CODEC_PROFS_H
#define OVVM_CODEC_PROFS_H

#include "base/name8.h"
#include "codec/date.h"
#include "codec/ebcdic.h"
#include "codec/note.h"
#include "codec/records.h"

enum {
    PROFS_TEXT_COLUMNS = 78,
    PROFS_SUBJECT_COLUMNS = 65,
    PROFS_SUBJECT_READ = 70,
    PROFS_REPLY_LINES = 20,
    PROFS_NAMES_MAX = 64
};

struct profs_note {
    struct note_address from, to;
    bool has_date;
    struct date date; /* as the header says it; without a zone, so the host's local time */
    bool ack_wanted;  /* X'01' in column 80 */
    bool is_ack;
    bool has_trailer;
    struct buf text; /* owns what the spans point into: UTF-8, lines ended by LF */
    size_t undefined;
    struct span subject;   /* the trailer's, else the first `Subject:` at the top of the text */
    struct span from_text; /* what follows `From:` at the top of the text: a person's name; may be empty */
    struct span body;      /* without the lines at the top (To: From: Subject: cc:) where all were understood */
    bool understood;       /* they were */
    size_t to_count;       /* To: and cc: at the top of the text, display only */
    struct note_address text_to[NOTE_RECIPIENTS_MAX];
    size_t cc_count;
    struct note_address text_cc[NOTE_RECIPIENTS_MAX];
    /* Names without an address (.AT and .CT, Q236335); the lines they stand in are in the body as well. */
    size_t name_count;
    struct profs_name {
        struct span name;
        bool cc;
    } names[PROFS_NAMES_MAX];
    bool is_reply; /* `*** Reply to note of 02/27/86 19:08` is among the first lines */
    struct date reply_date;
};

/* Is this record the header of a PROFS note? `MSG:FROM: ` or `MSG FROM: ` after one byte of any kind (X'FE'; a table
 * may have made it a blank), or `From: USER --NODE` with `Date and Time` (the gateway of 1993, Q115457). */
bool profs_detect(struct span record);

/* Takes the next note off `walk` (records_walk): to its trailer, the next header, or the end. 1: a note, to be
 * released; 0: no more records; -1: ERR_BAD_CONTENT where the first record is no header, ERR_NO_MEMORY. */
int profs_next(struct reader *walk, const struct ebcdic_page *page, struct profs_note *note_r, struct err *err);
void profs_release(struct profs_note *note);

/* What a note to a PROFS user says (host-users.md example 6). Texts are UTF-8. */
struct profs_letter {
    int64_t time_us; /* written as GMT: the header has no zone */
    struct note_address from, to;
    bool ack_wanted;
    struct span subject;
    struct span name;    /* of the sender, may be empty */
    struct span to_name; /* of the recipient, may be empty (Q97084: some systems go by it) */
    struct span address; /* Internet address of the sender; empty: no `From:` line */
    struct span text;
    size_t margin; /* wrap_margin */
};
/* Appends cards of 80 columns. The trailer holds the first 65 columns of the subject; the text has it whole. */
void profs_build(const struct profs_letter *letter, const struct ebcdic_page *page, struct records *cards,
                 size_t *substituted_r);
/* The acknowledgement of a note: three records, `from` having opened it; `text` is one line for people. */
void profs_build_ack(const struct profs_letter *letter, const struct ebcdic_page *page, struct records *cards);

#endif
