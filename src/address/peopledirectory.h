/* peopledirectory: keeps the ledger's people in line with the LDAP directory of [directory].
 *
 * It is asked at the start, every interval and on demand, by a process of its own (directory/fetch.h). The people of
 * the last good answer are in the ledger, so nothing waits for the directory; whatever is wrong with it is a problem to
 * be shown, and what is in the ledger stays as it was. All in the loop's thread.
 */
#ifndef OVVM_ADDRESS_PEOPLEDIRECTORY_H
#define OVVM_ADDRESS_PEOPLEDIRECTORY_H

#include "address/tables.h"

struct people_directory;

struct people_directory_options {
    struct loop *loop;
    struct store *store;
    struct registry *registry;
    const struct conf *conf;
    const struct table_set *const *tables; /* tables_current */
    bool active;                           /* else the ledger is not written, and the directory not asked by itself */
};

/* Runs the loop until the ledger has said what it knows, then asks the directory for the first time (that goes on
 * behind). Without [directory] url everything here does nothing. -1: the ledger cannot be read, or no memory. */
int people_directory_new(const struct people_directory_options *options, struct people_directory **directory_r,
                         struct err *err);
void people_directory_free(struct people_directory *directory); /* after store_close */

/* Asks now. `done` is called once, perhaps at once; without a directory with no changes. A load under way that is still
 * waiting for the directory is given up for this one, and its `done` told BUSY; one that is at the ledger already makes
 * this one BUSY. */
void people_directory_load(struct people_directory *directory, const struct tables_reload *how);

struct people_directory_status {
    bool configured, loading;
    int64_t loaded_us;                    /* the last good answer; 0: there was none */
    int64_t tried_us;                     /* the last time it was asked; 0: not yet */
    int64_t next_us;                      /* the next one; 0: none */
    size_t people;                        /* of the last good answer */
    const char *problem;                  /* of the last time; NULL: none */
    size_t forgiven;                      /* entries, or parts of them, that were passed over */
    const struct people_changes *changes; /* what the last good load of this process changed */
};
struct people_directory_status people_directory_status(const struct people_directory *directory);

#endif
