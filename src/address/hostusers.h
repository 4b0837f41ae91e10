/* hostusers: Hostusers.csv, who has a user id at which node of the host network, and what they are called.
 *
 * CSV as in RFC 4180, UTF-8: NODE(USER), full name. A first line whose first column is `host address` is passed over.
 * Where Ovdfile.dat says users=listed for a node, or allow-unresolved is no, mail to others is refused at once (AD-08).
 */
#ifndef OVVM_ADDRESS_HOSTUSERS_H
#define OVVM_ADDRESS_HOSTUSERS_H

#include "address/hostaddress.h"
#include "base/buf.h"

enum { HOSTUSERS_FILE_MAX = 64 << 20, HOSTUSERS_MAX = 500000, HOSTUSERS_NAME_MAX = 255 /* octets */ };

struct hostuser {
    struct host_address host;
    size_t name; /* where it begins in `texts`, with its NUL */
    unsigned line;
};

struct hostusers {
    struct hostuser *at; /* sorted by host address */
    size_t count;
    struct buf texts;
};

/* -1 CONFIG naming the line, or NO_MEMORY; *users_r is empty then. */
int hostusers_parse(struct span text, struct hostusers *users_r, struct err *err);
void hostusers_free(struct hostusers *users);
/* The full name, perhaps empty; NULL: there is no such user in the list. */
const char *hostusers_find(const struct hostusers *users, struct host_address host);

#endif
