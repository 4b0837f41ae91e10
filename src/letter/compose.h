/* compose: a letter as an RFC 5322 message.
 *
 * 7-bit, lines ended by CRLF, so that every relay and every deck of cards takes it: text is 7bit where it fits, else
 * quoted-printable; other bytes are base64. What was lost in translation stands below the text.
 */
#ifndef OVVM_LETTER_COMPOSE_H
#define OVVM_LETTER_COMPOSE_H

#include "letter/letter.h"

enum {
    COMPOSE_COLUMNS = 78,  /* header lines are folded here (RFC 5322 §2.1.1) */
    COMPOSE_LINE_MAX = 998 /* of text that goes 7bit */
};

struct compose_address {
    struct span name; /* may be empty */
    struct span address;
};

struct compose {
    const struct compose_address *from, *to, *cc; /* lists; cc and reply_to may be empty */
    size_t from_count, to_count, cc_count;
    struct span reply_to, receipt_to; /* bare addresses, may be empty */
    int64_t date_us;
    int zone_minutes;
    struct span message_id, in_reply_to; /* with < > */
    const struct span *references;
    size_t reference_count;
    struct span above; /* text before the body: what the header of the host's note said and the mail's cannot */
    size_t line_max;   /* 0: COMPOSE_LINE_MAX; lines of 7bit text, and ids in the header, are no longer */
};

/* Look at to->failed. */
void compose_mail(const struct letter *letter, const struct compose *compose, struct buf *to);

#endif
