/* access: which host users may write to the Internet, register correspondents and put addresses into their text
 * (Access.tbl, IB-08), in the manner of RESTRICT and SECURE of the hosts' own SMTP programs.
 *
 * A line is PATTERN allow|deny [letters=N] [register=N] [in-body=yes|no]: a pattern as in Route.tbl, how many letters
 * to the Internet and how many registrations a user may have on a day (UTC), and whether his text may begin with
 * addresses. Of the patterns that fit a user the most specific holds, then the first. Without the file everybody may
 * write; with it, only those whom a line allows.
 */
#ifndef OVVM_ADDRESS_ACCESS_H
#define OVVM_ADDRESS_ACCESS_H

#include "address/route.h"

enum {
    ACCESS_LINES_MAX = 20000,
    ACCESS_NUMBER_MAX = 1000000,
    ACCESS_REGISTRATIONS = 20 /* a day, where the table does not say */
};

struct access_right {
    struct route pattern; /* its node, user and specific */
    bool allow;
    bool in_body;
    unsigned letters;       /* a day; 0: no limit */
    unsigned registrations; /* a day; 0: none */
    unsigned line;          /* of Access.tbl; 0: there is none that fits, or no file */
};

struct access {
    bool listed;             /* there is a file */
    struct access_right *at; /* the most specific first, then in the order of the file */
    size_t count;
};

/* -1 CONFIG naming the line, or NO_MEMORY; *access_r is empty then. */
int access_parse(struct span text, struct access *access_r, struct err *err);
void access_free(struct access *access);
/* What this user may do. */
struct access_right access_of(const struct access *access, struct host_address user);

#endif
