/* plain: the translation between a note on cards and a text letter.
 *
 * Pure functions on bytes. A spool file of cards (or print lines) becomes a text/plain letter, and the text of a letter
 * becomes a note on 80-column cards.
 */
#ifndef OVVM_GATEWAY_PLAIN_H
#define OVVM_GATEWAY_PLAIN_H

#include "address/hostaddress.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ulid.h"
#include "nje/header.h"

/* The first job and data set header of a spool file. BAD_CONTENT. */
int plain_headers(struct span spool, bool len_counts_cc, struct nje_job *job_r, struct nje_dataset *dataset_r,
                  struct err *err);

/* A file may be for several users: a group of data set headers stands before the records that all of them get. Each
 * destination once, in the order of the file. BAD_CONTENT: one names no user, or there are more than
 * PLAIN_DESTINATIONS_MAX. */
enum { PLAIN_DESTINATIONS_MAX = 256 };
int plain_destinations(struct span spool, bool len_counts_cc, struct host_address *to_r, size_t *count_r,
                       struct err *err);

struct plain_mail {
    struct ulid letter;
    const char *message_domain; /* right side of Message-ID */
    const char *from, *to;      /* mail addresses */
    struct host_address destination;
    int64_t date_us;
};
/* The records that a spool file has for `destination` as a letter (CRLF lines of at most 998 octets). */
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
