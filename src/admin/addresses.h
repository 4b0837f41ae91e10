/* addresses: the verbs about people, host addresses and tables: who, register, people, tables. */
#ifndef OVVM_ADMIN_ADDRESSES_H
#define OVVM_ADMIN_ADDRESSES_H

#include "admin/verbs.h"

/* NULL: none of these verbs. */
const struct verb *address_verb_find(const char *name);

/* register_verbs.c: those of `ovvm register`. */
const struct verb *register_verb_find(const char *name);

#endif
