/* What writer and reader of bundles share. Not for others. */
#ifndef OVVM_RELOCATE_BUNDLE_PRIVATE_H
#define OVVM_RELOCATE_BUNDLE_PRIVATE_H

#include "relocate/bundle.h"

struct bundle_list {
    struct bundle_entry *at;
    size_t count, room;
};

/* Adds an entry with a copy of the name; NULL: NO_MEMORY, or TOO_MANY at BUNDLE_MEMBERS_MAX. */
struct bundle_entry *bundle_list_add(struct bundle_list *list, const char *name, struct err *err);
void bundle_list_sort(struct bundle_list *list);
/* In a sorted list; NULL: none. */
struct bundle_entry *bundle_list_find(const struct bundle_list *list, const char *name);
void bundle_list_free(struct bundle_list *list);

/* sign.c: `signature_r` of the bytes with the private key in the file; whether it is that of the public one's other
 * half. REFUSED: no such key; BAD_CONTENT: another signature. */
enum { BUNDLE_SIGNATURE = 64 };
int sign_make(const char *key_file, struct span bytes, uint8_t signature_r[BUNDLE_SIGNATURE], struct err *err);
int sign_check(const char *key_file, struct span bytes, struct span signature, struct err *err);

#endif
