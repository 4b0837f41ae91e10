/* person: people and their host addresses in the ledger, inside a job.
 *
 * A host address belongs to one person for ever: rows are added and their kind changes, they are never deleted and
 * never change hands. A person has any number of them, at most one of which is shown (`main`).
 */
#ifndef OVVM_STORE_PERSON_H
#define OVVM_STORE_PERSON_H

#include "base/name8.h"
#include "store/db.h"

/* The numbers are in the ledger. */
enum person_source {
    PERSON_SENDER = 1,    /* wrote to a host user */
    PERSON_LISTED = 2,    /* stands in the people file */
    PERSON_ENTERED = 3,   /* an operator's */
    PERSON_UNLISTED = 4,  /* stood in the people file or the directory once; the addresses are kept */
    PERSON_DIRECTORY = 5, /* stands in the directory, and not in the people file */
    PERSON_INTRODUCED = 6 /* a host user asked for the address */
};
enum host_kind {
    HOST_BY_RULE = 1,
    HOST_BY_NUMBER = 2,
    HOST_BY_NAME = 3,
    HOST_BY_OPERATOR = 4,
    HOST_RESERVED = 5, /* nobody's, and never anybody's */
    HOST_RETIRED = 6   /* the person's, but mail to it is refused until the person writes again */
};
/* "sender", "people file", …; "rule", "number", … */
const char *person_source_name(enum person_source source);
const char *host_kind_name(enum host_kind kind);
enum host_kind host_kind_find(struct span name); /* 0: there is none of this name */

enum { PERSON_ADDRESS_SIZE = 512, PERSON_NAME_SIZE = 256 };

struct person {
    int64_t key;
    char address[PERSON_ADDRESS_SIZE]; /* the mail key */
    char name[PERSON_NAME_SIZE];       /* UTF-8; empty: not known */
    enum person_source source;
    int64_t made_us, used_us;
};

struct person_host {
    struct name8 node, user;
    int64_t person; /* 0: nobody's */
    enum host_kind kind;
    bool main;
    int64_t made_us, kind_us; /* since when it is given, and of this kind */
};

/* Each: 1 found, 0 not, -1 error. */
int person_find(struct db *db, const char *address, struct person *person_r, struct err *err);
int person_load(struct db *db, int64_t key, struct person *person_r, struct err *err);
/* The host address that is shown for the person. */
int person_main(struct db *db, int64_t person, struct person_host *host_r, struct err *err);
/* A host address of this person of one of the kinds in `kinds` (bit n: kind n), the oldest one. */
int person_has(struct db *db, int64_t person, unsigned kinds, struct person_host *host_r, struct err *err);
int person_host_find(struct db *db, struct name8 node, struct name8 user, struct person_host *host_r, struct err *err);

/* A new person; `key_r` is theirs. The address must not be there. */
int person_add(struct db *db, const char *address, const char *name, enum person_source source, int64_t now_us,
               int64_t *key_r, struct err *err);
int person_set(struct db *db, int64_t key, const char *name, enum person_source source, struct err *err);
int person_touch(struct db *db, int64_t key, int64_t now_us, struct err *err);

/* Adds a host address that is not shown. 1 added, 0 it is taken (by whomever), -1 error. `person` 0: reserved. */
int person_host_add(struct db *db, struct name8 node, struct name8 user, int64_t person, enum host_kind kind,
                    int64_t now_us, struct err *err);
int person_host_set_kind(struct db *db, struct name8 node, struct name8 user, enum host_kind kind, int64_t now_us,
                         struct err *err);
/* The one of the person's that is shown from now on. An empty node: none of them is. */
int person_set_main(struct db *db, int64_t person, struct name8 node, struct name8 user, struct err *err);

/* Tells each: the people of a source in the order of their keys, from above `after`, at most `limit`; a person's host
 * addresses, the shown one first. A callback that returns false ends it. Callbacks must not use the database. */
int person_list(struct db *db, enum person_source source, int64_t after, size_t limit,
                bool (*each)(void *arg, const struct person *person), void *arg, struct err *err);
int person_hosts(struct db *db, int64_t person, bool (*each)(void *arg, const struct person_host *host), void *arg,
                 struct err *err);
/* Host addresses in the order of their names, from above (node, user), at most `limit`. */
int person_host_list(struct db *db, struct name8 node, struct name8 user, size_t limit,
                     bool (*each)(void *arg, const struct person_host *host, const char *address, const char *name),
                     void *arg, struct err *err);

/* When the people of the directory were last brought in line with it, and their number then: 1; never: 0; -1 error. */
int person_directory_loaded(struct db *db, int64_t *loaded_us_r, int64_t *people_r, struct err *err);
int person_directory_set_loaded(struct db *db, int64_t loaded_us, int64_t people, struct err *err);

/* Counts one registration for `peer` on `day`; *count_r is the sum of that day. Days before the last are forgotten. */
int person_count_registration(struct db *db, int64_t day, const char *peer, int64_t *count_r, struct err *err);
int person_registrations(struct db *db, int64_t day, const char *peer, int64_t *count_r, struct err *err);

#endif
