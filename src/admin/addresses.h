/* addresses: the verbs about people, host addresses and tables: who, register, people, tables. */
#ifndef OVVM_ADMIN_ADDRESSES_H
#define OVVM_ADMIN_ADDRESSES_H

#include "admin/verbs.h"
#include "store/person.h"

/* NULL: none of these verbs. */
const struct verb *address_verb_find(const char *name);

/* register_verbs.c: those of `ovvm register`. */
const struct verb *register_verb_find(const char *name);
/* Puts a person with all host addresses into `reply`; in a ledger thread. */
int address_describe(struct db *db, const struct person *person, json_t *reply, struct err *err);

#endif
