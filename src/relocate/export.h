/* export: everything of an instance, as one bundle.
 *
 * One read transaction: the bundle shows one moment, whatever the daemon does meanwhile. A move also fences the
 * instance it leaves; backups and rehearsals change nothing.
 */
#ifndef OVVM_RELOCATE_EXPORT_H
#define OVVM_RELOCATE_EXPORT_H

#include "base/conf.h"
#include "relocate/bundle.h"
#include "store/db.h"

enum bundle_kind { BUNDLE_MOVE, BUNDLE_REHEARSAL, BUNDLE_BACKUP, BUNDLE_KINDS };
const char *bundle_kind_name(enum bundle_kind kind);

/* How the instance is fenced: in a ledger of our own, or by asking its daemon. Each is durable when it returns 0. */
struct export_fence {
    int (*begin)(void *arg, const char *bundle, struct err *err); /* active -> exporting, nothing in hand any more */
    int (*moved)(void *arg, const char *bundle, struct err *err); /* exporting -> moved */
    /* exporting -> active: nothing got its name. Where it cannot be done *err says how to go on. */
    int (*undo)(void *arg, const char *bundle, struct err *err);
    void *arg;
};

struct export_options {
    const char *file;
    enum bundle_kind kind;
    const struct conf *conf;
    const char *conf_path; /* copied without its secrets */
    const char *tables;    /* folder with the classic tables; files that are not there are no error (RL-06) */
    const struct export_fence *fence; /* BUNDLE_MOVE */
    const struct bundle_keys *keys;   /* NULL: neither encrypted nor signed */
    bool again; /* BUNDLE_MOVE: the instance moved already; the same bundle anew, over an older file of that name */
};

struct export_result {
    char bundle[33];
    char digest[2 * BUNDLE_SHA256 + 1]; /* of SHA256SUMS */
    json_t *manifest;                   /* the caller's */
};

/* `db` is only read. An error before the second step of the fence leaves the instance as it was (mail flows again where
 * it did); after that step it is moved, whether or not the file has its name yet. NOT_FOUND, REFUSED, DISK_FULL,
 * STORE_IO. */
int export_run(struct db *db, const struct export_options *options, struct export_result *result_r, struct err *err);

#endif
