/* allow: a list of addresses and networks from which a connection is taken.
 *
 * Text: entries separated by blanks (tabs and line ends too), each an IPv4 or IPv6 address or a network with its prefix
 * length: `192.0.2.20 192.0.2.0/24 ::1 2001:db8::/32`. No names: a list that needs the DNS to answer decides too late.
 * An IPv4 peer that arrives as an IPv4-mapped IPv6 address (::ffff:192.0.2.20, RFC 4291 §2.5.5.2) is compared as IPv4.
 */
#ifndef OVVM_BASE_ALLOW_H
#define OVVM_BASE_ALLOW_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

enum { ALLOW_ENTRIES_MAX = 256 };

/* One network; bytes in network order, an IPv4 network in its mapped form (prefix counts from the mapped start). */
struct allow_network {
    uint8_t address[16];
    unsigned prefix; /* 0-128 bits */
};

/* All-zero is the empty list, which allows nobody. */
struct allow_list {
    struct allow_network *networks;
    size_t count;
};

/* Replaces *list_r (which must be empty or parsed before: it is not freed). CONFIG naming the entry and the remedy
 * where one is no address, has a prefix out of range or address bits beyond its prefix, or there are too many; *list_r
 * is then empty. An empty text gives an empty list. Owner frees with allow_free. */
int allow_parse(struct span text, struct allow_list *list_r, struct err *err);
void allow_free(struct allow_list *list);
/* Adds one address (AF_INET or AF_INET6) to the list, for lists that come from a resolved name. NO_MEMORY, or TOO_MANY
 * at ALLOW_ENTRIES_MAX. */
int allow_add(struct allow_list *list, const struct sockaddr *address, struct err *err);
/* False for every family but AF_INET and AF_INET6. */
bool allow_has(const struct allow_list *list, const struct sockaddr *address);

#endif
