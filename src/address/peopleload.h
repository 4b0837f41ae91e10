/* peopleload: brings the ledger's people in line with people.csv or with a directory, inside one ledger job.
 *
 * Whoever is new in the file gets a host address: the first one given there, else one by rule. Whoever is in it already
 * keeps what they have; host addresses that are no longer given there stay accepted. Who is no longer in the file keeps
 * all addresses too, and mail to them goes on to the person's mail system. The two sources are loaded apart and do not
 * unlist each other's people; who stands in both is the file's. Another rule makes new addresses for those who have one
 * only where that is asked for, and then the old ones stay accepted (PX-07).
 */
#ifndef OVVM_ADDRESS_PEOPLELOAD_H
#define OVVM_ADDRESS_PEOPLELOAD_H

#include "address/people.h"
#include "address/registry.h"
#include "address/rule.h"

enum {
    PEOPLE_REMOVAL_ALWAYS = 10, /* so many may go whatever the percentage */
    PEOPLE_CHANGES_SHOWN = 200  /* one by one */
};

/* PX-06: who gets an address by rule now. */
enum generation {
    GENERATE_NONE,    /* nobody; who needs one gets it later */
    GENERATE_MISSING, /* who has none */
    GENERATE_RENEW    /* also who has one that the present rule would not make */
};

struct peopleload {
    const struct people *people;
    enum person_source source; /* PERSON_LISTED: a file, PERSON_DIRECTORY: a directory, which is forgiven */
    const struct rules *rules;
    enum generation generation;
    int64_t reuse_after_us; /* PX-09: so long a retired address stays out of use */
    struct registry_policy policy;
    unsigned removal_percent; /* more of the listed people than this going is refused … */
    bool confirmed;           /* … unless an operator said so */
    int64_t now_us;
};

enum people_change_kind { PEOPLE_ADDED, PEOPLE_CHANGED, PEOPLE_REMOVED, PEOPLE_FORGIVEN };
struct people_change {
    enum people_change_kind kind;
    char text[192]; /* the address and what is to be said of it */
};

struct people_changes {
    size_t before, added, changed, removed; /* people */
    size_t forgiven;                        /* things that are wrong and were passed over */
    size_t shown_count;
    struct people_change shown[PEOPLE_CHANGES_SHOWN];
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

/* Counts what would change, and looks for what would be refused. Nothing is written. *changes_r also has what was
 * forgiven when the people were read. */
int peopleload_compare(struct db *db, const struct peopleload *load, struct people_changes *changes_r, struct err *err);
/* The same, and does it. REFUSED: too many people are gone; or, of a file, a host address is another person's or has
 * the form of a number (names the line), which of a directory is passed over. */
int peopleload_apply(struct db *db, const struct peopleload *load, struct people_changes *changes_r,
                     struct peopleload_gifts *gifts_r, struct err *err);

#endif
