/* mailkey: how a person of the Internet side is known: one key for every way to write the same address.
 *
 * The key is the local part as given, without quotes, in Unicode's form NFC, then `@`, then the domain in lower case,
 * as A-labels (RFC 5891), without a trailing dot. Local parts differ by case (RFC 5321 §2.4), domains do not. The last
 * `@` of a key is the one before the domain.
 */
#ifndef OVVM_ADDRESS_MAILKEY_H
#define OVVM_ADDRESS_MAILKEY_H

#include "base/buf.h"
#include "base/err.h"

enum {
    MAILKEY_LOCAL_MAX = 254,  /* octets of UTF-8; RFC 5321 §4.5.3.1.1 says 64, list software sends more */
    MAILKEY_DOMAIN_MAX = 253, /* RFC 1035 §2.3.4, in text */
    MAILKEY_SIZE = 512        /* of struct mailkey, with its NUL */
};

struct mailkey {
    char text[MAILKEY_SIZE];
};

/* The key of an address without < > and comments (an addr-spec or a Mailbox). BAD_ADDRESS says what is wrong: no @,
 * an empty or too long part, a control character, no UTF-8, a domain that is none; NO_MEMORY. */
int mailkey_of(struct span address, struct mailkey *key_r, struct err *err);

/* The parts of a key; spans into it. */
struct span mailkey_local(const struct mailkey *key);
struct span mailkey_domain(const struct mailkey *key);

/* Writes the key as an address again: the local part in quotes where it is no dot-atom. mailkey_of gives the same key
 * for what this wrote. */
void mailkey_write(const struct mailkey *key, struct buf *to);

#endif
