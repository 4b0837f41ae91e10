/* tables: Ovdfile.dat, Hostusers.csv, Route.tbl, Access.tbl, Cmsxmap.tbl, Dosxmap.tbl and people.csv as one generation
 * that is taken over whole or not at all.
 *
 * The files are read at the start and on reload. A set never changes; a reload that succeeds puts another in its place.
 * All in the loop's thread; whoever uses a set gets it anew from tables_current in each call of the loop and keeps no
 * pointer into it.
 */
#ifndef OVVM_ADDRESS_TABLES_H
#define OVVM_ADDRESS_TABLES_H

#include "address/access.h"
#include "address/filemap.h"
#include "address/hostusers.h"
#include "address/ovdfile.h"
#include "address/peopleload.h"
#include "address/registry.h"
#include "address/route.h"
#include "base/conf.h"
#include "store/store.h"

/* What addresses are looked up in. */
struct table_set {
    bool has_ovdfile;
    struct ovdfile ovdfile;
    struct hostusers hostusers; /* empty where there is no Hostusers.csv */
    struct routes routes;
    bool has_cmsxmap, has_dosxmap;
    struct filemap cmsxmap, dosxmap;
    size_t route_lines; /* of Route.tbl; 0: none, or there is no such file */
    struct access access;
    struct rules rules; /* how people get their addresses */
    size_t people;      /* rows of people.csv */
    int64_t read_us;
};

struct tables;

struct tables_options {
    struct loop *loop;
    struct store *store;
    struct registry *registry;
    const struct conf *conf;
    bool active; /* else the ledger is not written: people.csv is only read */
};

/* Reads all, runs the loop until the people are in the ledger. -1 CONFIG for a wrong table: nothing starts with
 * one. A people.csv that is wrong leaves the ledger's people as they are, and tables_problem says so;
 * where the ledger cannot be written now the answer is -1 with that error. */
int tables_new(const struct tables_options *options, struct tables **tables_r, struct err *err);
void tables_free(struct tables *tables); /* after store_close */

/* Where the current set's pointer lies; valid as long as `tables`. */
const struct table_set *const *tables_current(const struct tables *tables);
/* Why the newest files are not in use; NULL: they are. */
const char *tables_problem(const struct tables *tables);
/* What the last load of people changed. */
struct people_changes tables_changes(const struct tables *tables);

/* Reads all files anew and takes them over, or keeps the old ones with the reason. `done` is called once, perhaps at
 * once. BUSY: a reload is under way. `confirmed`: however many people are gone. `only_look`: nothing is taken over, but
 * everything is checked and the changes of people are counted. `generate`: people get addresses by rule, whatever
 * proxy-generation says; `renew`: also in the place of those that the present rule would not make. With only_look such
 * addresses are made and the ledger takes them back, so that `each` names those that it would have been. */
struct tables_reload {
    bool confirmed, only_look, generate, renew;
    /* Before `done`: each address that was given to somebody. NULL: nobody asks. */
    void (*each)(void *arg, const char *address, const struct registry_answer *answer);
    /* NULL: the log is enough. */
    void (*done)(void *arg, const struct people_changes *changes, const struct err *err);
    void *arg;
};
void tables_reload(struct tables *tables, const struct tables_reload *reload);

/* The rules of proxy-rule; a node without one has its own, see rules_of. */
const struct rules *tables_rules(const struct tables *tables);

/* Reads and checks the files that `conf` names, without a ledger. CONFIG names file and line. */
int tables_check(const struct conf *conf, struct err *err);

#endif
