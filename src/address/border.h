/* border: which address on one side stands for which on the other, who may send, and by which link a node is reached.
 */
#ifndef OVVM_ADDRESS_BORDER_H
#define OVVM_ADDRESS_BORDER_H

#include "address/hostaddress.h"
#include "address/tables.h"
#include "base/conf.h"

struct border {
    struct name8 node;                   /* ours */
    const struct conf_nodes *also_nodes; /* ours too; NULL: none */
    struct name8 default_node;           /* of user@domain */
    const char *domain;
    bool unlisted_are_cms; /* nodes that Ovdfile.dat does not list */
    bool users_listed;     /* of all nodes (allow-unresolved = no) */
    const struct table_set *const *tables;
};

/* Keeps pointers into `conf`, and `tables` (see tables_current), which always shows the current set. */
struct border border_of(const struct conf *conf, const struct table_set *const *tables);

/* Is this a node of ours: the connector's own, one of also-nodes, or LOCAL in Ovdfile.dat? Its users are people on the
 * Internet side. */
bool border_is_ours(const struct border *border, struct name8 node);
/* The link by which a host address is reached. NULL: none, or a node of ours. */
const struct conf_link *border_route(const struct border *border, struct host_address host);
/* The same for whichever user of the node. */
const struct conf_link *border_link(const struct border *border, struct name8 node);
/* What Ovdfile.dat says of a node; NULL where it does not list it or is not there: the link's defaults hold. */
const struct ovdnode *border_node(const struct border *border, struct name8 node);

/* A recipient from the Internet (an address without < >) who is a host user. RELAY_DENIED: its domain is not ours, or
 * the address is at a node of ours (those stand for people on the Internet side, and we are no relay); UNKNOWN_NODE: no
 * link leads there, or Ovdfile.dat does not list it; UNKNOWN_USER, also where the users of the node are those of
 * Hostusers.csv; BAD_ADDRESS. */
int border_from_mail(const struct border *border, struct span address, struct host_address *host_r, struct err *err);
/* The full name of a host user in UTF-8; empty: not known. */
struct span border_name(const struct border *border, struct host_address host);
/* How a host address is written on the Internet side. */
void border_to_mail(const struct border *border, struct host_address host, struct buf *to);

/* May a file from this host address, that came over `link` (the neighbour's node), go on to the Internet? NOT_ALLOWED
 * says why not: the node is not listed, is ours, or is reached through another link. */
int border_may_send(const struct border *border, struct host_address from, struct name8 link, struct err *err);

#endif
