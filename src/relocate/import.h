/* import: a bundle becomes the ledger of a state directory.
 *
 * There is none yet, or one that can be replaced: never used, a rehearsal, imported but never active, or the fenced one
 * of the same lineage that the bundle comes back to (its old ledger is kept as NAME.replaced). Or the bundle is of
 * another lineage and is merged into a standing instance (merge.h).
 *
 * All or nothing: the ledger is built beside its name and gets it last, or is merged in one transaction. A crash before
 * leaves the state directory as it was (what was begun is removed by the next attempt); after it the whole is there.
 */
#ifndef OVVM_RELOCATE_IMPORT_H
#define OVVM_RELOCATE_IMPORT_H

#include "base/conf.h"
#include "relocate/bundle.h"
#include "relocate/transition.h"

#define IMPORT_FOLDER "moved-in" /* in the state directory: the classic tables and the configuration of the bundle */

struct import_options {
    const char *path;               /* bundle or folder */
    const struct bundle_keys *keys; /* NULL: it is not encrypted, and a signature is not looked at */
    const struct conf *conf;
    bool unsealed; /* a folder that was edited: no checksums, every row is checked instead */
    bool force;    /* another node, domain, location or rule than the bundle's */
    bool merge;    /* into the standing instance of another lineage */
    bool restore;  /* a backup: a lossy restore, active at once */
    const char *who;
};

struct import_result {
    json_t *manifest;              /* the caller's */
    struct transition_lossy lossy; /* restore */
    int64_t generation;
    const char *state; /* of the instance now */
    unsigned files;    /* laid out in IMPORT_FOLDER */
    bool replaced;     /* there was a ledger, which is kept as NAME.replaced */
    bool merged;
    json_t *conflicts; /* the caller's, also after an error: why it was not merged; NULL: no such reason */
};

/* NOT_FOUND: no such file. BAD_CONTENT: damaged or not what it should be, with member and line. REFUSED: with the next
 * right command. */
int import_run(const struct import_options *options, struct import_result *result_r, struct err *err);

#endif
