/* who: what an address of either world stands for, and by which rule or line of a table, in words. It goes the way a
 * letter goes, the same border and the same registry; only nobody is registered by being asked about.
 *
 * Two steps, since tables are the loop's and people the ledger's: who_begin in the loop's thread, who_finish in a job.
 */
#ifndef OVVM_ADDRESS_WHO_H
#define OVVM_ADDRESS_WHO_H

#include "address/border.h"
#include "address/registry.h"

enum { WHO_LINES_MAX = 12, WHO_LINE_SIZE = 400 };

struct who {
    bool is_host;                             /* the question was a host address */
    struct host_address host;                 /* empty user: none */
    char mail[MAILKEY_SIZE];                  /* how `host`, a host user, is written on the Internet side; else empty */
    struct registry_owner owner;              /* owner.person.key 0: nobody */
    char lines[WHO_LINES_MAX][WHO_LINE_SIZE]; /* for people; what outsiders wrote in them is not yet made safe */
    size_t line_count;
    /* between the steps */
    bool ask_host, registers;
    struct mailkey key; /* empty: nothing is asked of the people */
};

/* `text`: NODE(USER) in any of its written forms, or an Internet address. BAD_ADDRESS. */
int who_begin(const struct border *border, const struct registry_policy *policy, struct span text, struct who *who_r,
              struct err *err);
int who_finish(struct db *db, struct who *who, struct err *err);

#endif
