/* compare: does every address still mean what it meant? Each address that a ledger knows is resolved under the
 * configuration and tables of the old side and under those of the new one (RL-03, RL-07).
 */
#ifndef OVVM_RELOCATE_COMPARE_H
#define OVVM_RELOCATE_COMPARE_H

#include "base/conf.h"
#include "store/db.h"

#include <jansson.h>

enum { COMPARE_SHOWN_MAX = 50 };

struct compare_result {
    int64_t addresses;   /* that were resolved */
    int64_t differences; /* of them */
    bool known_before;   /* false: what they resolved to before is not known; those that resolve to nothing count */
    json_t *shown;       /* the first COMPARE_SHOWN_MAX differences, as sentences; the caller's */
};

/* `folder`: where an import laid out the old side's tables and configuration. `conf`: the new side's, whose tables are
 * read too. CONFIG: those are wrong. */
int compare_addresses(struct db *db, const char *folder, const struct conf *conf, struct compare_result *result_r,
                      struct err *err);

#endif
