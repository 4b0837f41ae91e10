/* seen: the senders seen lately and their host addresses, in memory, at most so many; the one unused longest goes
 * first. Holds only what was committed. Loop's thread. */
#ifndef OVVM_ADDRESS_SEEN_H
#define OVVM_ADDRESS_SEEN_H

#include "address/hostaddress.h"
#include "store/person.h"

struct seen;

struct seen_one {
    struct host_address host;
    enum host_kind kind;
    int64_t person;
    int64_t used_us; /* as in the ledger */
};

struct seen *seen_new(size_t most); /* NULL: out of memory; most is 1 to 65535 */
void seen_free(struct seen *seen);
/* True: known, and now the one used last. */
bool seen_find(struct seen *seen, const char *key, struct seen_one *one_r);
/* Replaces what is there. Without memory it is simply not kept. */
void seen_keep(struct seen *seen, const char *key, const struct seen_one *one);
void seen_clear(struct seen *seen);
size_t seen_count(const struct seen *seen);

#endif
