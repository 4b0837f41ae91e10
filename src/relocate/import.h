/* import: a bundle becomes the ledger of a state directory that has none.
 *
 * All or nothing: the ledger is built beside its name and gets it last. A crash before leaves the state directory as
 * empty as it was (what was begun is removed by the next attempt); after it the whole is there.
 */
#ifndef OVVM_RELOCATE_IMPORT_H
#define OVVM_RELOCATE_IMPORT_H

#include "base/conf.h"
#include "relocate/bundle.h"
#include "relocate/transition.h"

#define IMPORT_FOLDER "moved-in" /* in the state directory: the classic tables and the configuration of the bundle */

struct import_options {
    const char *path; /* bundle or folder */
    const struct conf *conf;
    bool unsealed; /* a folder that was edited: no checksums, every row is checked instead */
    bool force;    /* another node or domain than the bundle's */
    bool restore;  /* a backup: a lossy restore, active at once */
    const char *who;
};

struct import_result {
    json_t *manifest;              /* the caller's */
    struct transition_lossy lossy; /* restore */
    int64_t generation;
    const char *state; /* of the instance now */
    unsigned files;    /* laid out in IMPORT_FOLDER */
};

/* NOT_FOUND: no such file. BAD_CONTENT: damaged or not what it should be, with member and line. REFUSED: with the next
 * right command. */
int import_run(const struct import_options *options, struct import_result *result_r, struct err *err);

#endif
