/* resolution: what the daemon found out about a letter's addresses, for its encoding.
 *
 * Host to mail: the Internet addresses of the host pairs in it, and the ids. Mail to host: the pairs. Packed (pack.h)
 * to cross to the translator.
 */
#ifndef OVVM_LETTER_RESOLUTION_H
#define OVVM_LETTER_RESOLUTION_H

#include "base/err.h"
#include "base/name8.h"
#include "letter/letter.h"

struct resolved {
    struct name8 node, user; /* the pair as it stands in the letter */
    struct span address;     /* on the Internet side */
    struct span name;        /* may be empty */
};

/* One mail to one recipient. */
struct mail_resolution {
    size_t letter;               /* which of the facts, from 0 */
    struct span from, from_name; /* From: (empty name: the letter's own, else none) */
    struct span to, to_name;     /* the recipient */
    struct span reply_to;        /* empty: none */
    size_t pair_count;           /* To and cc that the text names; what is not here stays text */
    const struct resolved *pairs;
    struct span message_id;  /* with < >; ours */
    struct span in_reply_to; /* with < >, from correlation; empty: the letter's own, if any */
    size_t reference_count;
    const struct span *references;
    bool receipt;                 /* ask for a disposition notification, to From */
    struct span also_to, also_cc; /* further addresses of To and Cc, each ended by LF: where the text named them */
    struct span subject;          /* where the letter has none; may be empty */
    size_t body_from;             /* so much of the body is left out: the addresses at its beginning */
    struct span dummy; /* shown beside names without an address (DA-01); empty: such names stay in the text */
    int64_t now_us;    /* for Date where the host gave no time at all */
};

/* One note to one host user. */
struct host_resolution {
    struct name8 from_node, from_user; /* ours: what the sender is registered as */
    struct name8 to_node, to_user;
    struct span to_name;         /* of the recipient; from the list of host users or the letter, may be empty (AD-15) */
    struct span from, from_name; /* shown; empty: those of the letter's From, else Sender */
    int64_t entry_us;            /* NJHGETS and INMFTIME; strictly increasing */
    bool receipt;                /* ask for an acknowledgement */
};

/* The acknowledgement of a host file, `from` having received or opened it. */
struct ack_resolution {
    size_t letter;
    int64_t entry_us;
    struct span text; /* NETDATA: INMERRCD, empty: stored; PROFS: the line people see */
};

void mail_resolution_pack(struct buf *to, const struct mail_resolution *resolution);
void host_resolution_pack(struct buf *to, const struct host_resolution *resolution);
void ack_resolution_pack(struct buf *to, const struct ack_resolution *resolution);

/* ERR_BAD_CONTENT, ERR_NO_MEMORY, ERR_TOO_MANY. Spans lie in `packed`. Release in every case. */
int mail_resolution_parse(struct span packed, struct mail_resolution *resolution_r, struct err *err);
void mail_resolution_release(struct mail_resolution *resolution);
int host_resolution_parse(struct span packed, struct host_resolution *resolution_r, struct err *err);
int ack_resolution_parse(struct span packed, struct ack_resolution *resolution_r, struct err *err);

#endif
