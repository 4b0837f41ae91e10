/* plain: the translation between a note on cards and a text letter.
 *
 * Pure functions on bytes. A spool file of cards (or print lines) becomes a text/plain letter, and the text of a letter
 * becomes a note on 80-column cards.
 */
#ifndef OVVM_GATEWAY_PLAIN_H
#define OVVM_GATEWAY_PLAIN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/ulid.h"
#include "nje/header.h"

/* The first job and data set header of a spool file. BAD_CONTENT. */
int plain_headers(struct span spool, bool len_counts_cc, struct nje_job *job_r, struct nje_dataset *dataset_r,
                  struct err *err);

struct plain_mail {
    struct ulid letter;
    const char *message_domain; /* right side of Message-ID */
    const char *from, *to;      /* mail addresses */
    int64_t date_us;
};
/* A spool file as a letter (CRLF lines). */
int plain_to_mail(struct span spool, bool len_counts_cc, const struct plain_mail *mail, struct buf *to,
                  struct err *err);

struct plain_note {
    struct nje_job job;      /* origin, id and entry time are the caller's; the rest is filled here */
    struct name8 node, user; /* destination */
    const char *sender;      /* shown: the envelope sender */
    int64_t date_us;
    bool len_counts_cc;
};
/* A letter as a note on cards: a whole spool file. */
int plain_to_note(struct span mail, const struct plain_note *note, struct buf *to, struct err *err);
/* The same from lines of our own (a report); `subject` and `text` are UTF-8, lines end in \n. */
int plain_text_note(const char *subject, struct span text, const struct plain_note *note, struct buf *to,
                    struct err *err);

#endif
