/* border: which address on one side stands for which on the other, and by which link a node is reached. */
#ifndef OVVM_ADDRESS_BORDER_H
#define OVVM_ADDRESS_BORDER_H

#include "address/hostaddress.h"
#include "base/conf.h"

struct border {
    struct name8 node;         /* ours */
    struct name8 default_node; /* of user@domain */
    const char *domain;
    const struct conf_link *links;
    size_t link_count;
};

/* Keeps pointers into `conf`. */
struct border border_of(const struct conf *conf);

/* The link that leads to a node: the one that names it, else the one for all others (`*`). NULL: none, or our own node.
 */
const struct conf_link *border_link(const struct border *border, struct name8 node);

/* A recipient from the Internet (an address without < >). RELAY_DENIED: its domain is not ours, or the address is one
 * of our own node's (those stand for people on the Internet side, and we are no relay); UNKNOWN_NODE; BAD_ADDRESS. */
int border_from_mail(const struct border *border, struct span address, struct host_address *host_r, struct err *err);
/* How a host address is written on the Internet side. */
void border_to_mail(const struct border *border, struct host_address host, struct buf *to);

#endif
