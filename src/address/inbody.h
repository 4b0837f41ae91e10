/* inbody: Internet addresses at the beginning of a host note's text (IB-01..06), for hosts whose mail programs know
 * only NODE(USER).
 *
 * Understood are, in any mixture before the text: lines To:, Cc: and Bcc: with addresses, Subject:, lines that begin
 * with an address, and after the keyword (in-body-keyword, Q166643) every word up to an empty line. Empty lines between
 * lines with a label are the host's doing and end nothing. Addresses are parted by blanks, commas or semicolons, and
 * may stand in < > behind a name.
 */
#ifndef OVVM_ADDRESS_INBODY_H
#define OVVM_ADDRESS_INBODY_H

#include "base/err.h"
#include "base/span.h"

enum { INBODY_ADDRESSES_MAX = 1000, INBODY_OPENING = 64 * 1024 /* of the text is looked at */ };

enum inbody_role { INBODY_TO, INBODY_CC, INBODY_BCC };

struct inbody_address {
    enum inbody_role role;
    struct span text; /* as it stands there, without < > */
    bool good;        /* of the form of an address (RFC 5321 §4.1.2) */
};

struct inbody {
    size_t count;
    struct inbody_address at[INBODY_ADDRESSES_MAX];
    bool too_many;       /* there were more */
    struct span subject; /* empty: none */
    size_t body_at;      /* where the text behind the list begins */
};

/* `text`: UTF-8, lines ended by LF. All spans lie in it. */
void inbody_parse(struct span text, const char *keyword, struct inbody *inbody_r);

#endif
