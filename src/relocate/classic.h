/* classic: the files of the original product, made into a folder that `ovvm relocate import --unsealed` takes (RL-10).
 *
 * From the product's folder and its Tables folder: the text tables as they are; Exchconn.ini as a proposal;
 * registrations from PROFSreg.csv or Profs.csv, columns address, name (or full name) and host (or host address:
 * NODE(USER)). What has no public layout (c-tree files, Profs.pab) is carried unopened, and that is said.
 */
#ifndef OVVM_RELOCATE_CLASSIC_H
#define OVVM_RELOCATE_CLASSIC_H

#include "base/buf.h"
#include "base/err.h"

struct classic_result {
    int64_t registrations;
    struct buf says; /* a line for each file and each key of the ini; the caller's */
};

/* `to` must not exist. NOT_FOUND: nothing of the product is in `from`. BAD_CONTENT: a table is wrong, with its line. */
int classic_convert(const char *from, const char *to, struct classic_result *result_r, struct err *err);

#endif
