/* peopleload: brings the ledger's people in line with people.csv, inside one ledger job.
 *
 * Whoever is new in the file gets a host address: the first one given there, else one by rule. Whoever is in it already
 * keeps what they have; host addresses that are no longer given there stay accepted. Who is no longer in the file keeps
 * all addresses too, and mail to them goes on to the person's mail system.
 */
#ifndef OVVM_ADDRESS_PEOPLELOAD_H
#define OVVM_ADDRESS_PEOPLELOAD_H

#include "address/people.h"
#include "address/registry.h"
#include "address/rule.h"

enum { PEOPLE_REMOVAL_ALWAYS = 10 /* so many may go whatever the percentage */ };

struct peopleload {
    const struct people *people;
    const struct rule *rule;
    struct registry_policy policy;
    unsigned removal_percent; /* more of the listed people than this going is refused … */
    bool confirmed;           /* … unless an operator said so */
    int64_t now_us;
};

struct people_changes {
    size_t before, added, changed, removed; /* people */
};

/* The host addresses that were made or given to people, for the log after the commit. */
struct peopleload_gift {
    const struct people_row *row;
    struct registry_answer answer;
};
struct peopleload_gifts {
    struct peopleload_gift *at; /* the caller's, with room for as many as there are rows and host addresses together */
    size_t count;
};

/* Counts what would change, and looks for what would be refused. Nothing is written. */
int peopleload_compare(struct db *db, const struct peopleload *load, struct people_changes *changes_r, struct err *err);
/* The same, and does it. REFUSED: a host address is another person's or has the form of a number (names the line), or
 * too many people are gone. */
int peopleload_apply(struct db *db, const struct peopleload *load, struct people_changes *changes_r,
                     struct peopleload_gifts *gifts_r, struct err *err);

#endif
