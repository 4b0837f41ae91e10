/* selftest: what can be tried before an imported instance takes over (RL-07): its neighbours, its relay. The ledger
 * itself is tested where it becomes active (transition.h), addresses by compare.h. */
#ifndef OVVM_RELOCATE_SELFTEST_H
#define OVVM_RELOCATE_SELFTEST_H

#include "base/conf.h"

#include <jansson.h>

enum { SELFTEST_WAIT_MS = 3000 /* for each connection */ };

/* An array of {"what", "fine", "says"}. One that does not answer is no reason to refuse: over there the old address may
 * still be defined. */
json_t *selftest_peers(const struct conf *conf);

#endif
