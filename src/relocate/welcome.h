/* welcome: may this bundle become a ledger here, by what its manifest says? */
#ifndef OVVM_RELOCATE_WELCOME_H
#define OVVM_RELOCATE_WELCOME_H

#include "relocate/export.h"
#include "relocate/import.h"

/* BAD_CONTENT: a fact is missing or none; REFUSED: a newer schema, a backup where none is wanted (or the other way
 * round), another node, domain, location or rule. */
int welcome_check(const json_t *manifest, const struct import_options *options, enum bundle_kind *kind_r,
                  struct err *err);

#endif
