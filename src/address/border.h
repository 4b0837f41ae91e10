/* border: which address on one side stands for which on the other, who may send, and by which link a node is reached.
 */
#ifndef OVVM_ADDRESS_BORDER_H
#define OVVM_ADDRESS_BORDER_H

#include "address/hostaddress.h"
#include "address/tables.h"
#include "base/conf.h"

/* User ids of the connector itself, at which nobody's mail arrives. */
enum border_service {
    SERVICE_NONE,
    SERVICE_REGISTRAR, /* registrar-id: commands */
    SERVICE_IN_BODY,   /* in-body-id: the recipients are in the text */
    SERVICE_DUMMY      /* dummy-address: refused (DA-03) */
};

struct border {
    struct name8 node;                   /* ours */
    const struct conf_nodes *also_nodes; /* ours too; NULL: none */
    struct name8 default_node;           /* of user@domain */
    const char *domain;
    bool unlisted_are_cms;                         /* nodes that Ovdfile.dat does not list */
    bool allow_unresolved;                         /* else only listed users get mail, and no file is handed on */
    struct host_address registrar, in_body, dummy; /* empty users: there is none */
    const struct table_set *const *tables;
};

/* Keeps pointers into `conf`, and `tables` (see tables_current), which always shows the current set. */
struct border border_of(const struct conf *conf, const struct table_set *const *tables);

/* Is this a node of ours: the connector's own, one of also-nodes, or LOCAL in Ovdfile.dat? Its users are people on the
 * Internet side. */
bool border_is_ours(const struct border *border, struct name8 node);
enum border_service border_service(const struct border *border, struct host_address host);
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
/* Is this the postmaster's address, which RFC 5321 §4.5.1 wants accepted: `postmaster` alone, at our domain, or at a
 * node under it, ours or one that a link leads to? No host user has that name, it is too long. */
bool border_is_postmaster(const struct border *border, struct span address);
/* How a host address is written on the Internet side. */
void border_to_mail(const struct border *border, struct host_address host, struct buf *to);

/* A file that came over `link` for a host address that is not ours: may it be handed to the mail system, from where it
 * comes back for the link that leads there (AD-06)? UNKNOWN_NODE where none does, or it leads back where it came from,
 * or allow-unresolved = no. */
int border_hand_on(const struct border *border, struct host_address host, struct name8 link, struct err *err);
/* May a file from this host address, that came over `link` (the neighbour's node), go on to the Internet? NOT_ALLOWED
 * says why not: the node is not listed, is ours, is reached through no link, or, unless the link is `trusted` to bring
 * files of any node (trust-origin), through another one. */
int border_may_send(const struct border *border, struct host_address from, struct name8 link, bool trusted,
                    struct err *err);

#endif
