/* settle: the operator's tables that an import laid out, put in place where this computer has none (IN-06, RL-09). */
#ifndef OVVM_RELOCATE_SETTLE_H
#define OVVM_RELOCATE_SETTLE_H

#include <jansson.h>
#include <stddef.h>

/* Copies each of `names` from the folder `from` to the folder `to` where `to` has none; what is there is never changed.
 * `list` (an object) gets a sentence for each that is in `from`: put there, the same, or differs. */
void settle_files(const char *from, const char *to, const char *const *names, size_t count, json_t *list);

#endif
