/* hostaddress: NODE(USER), the address of the host world, and how it is written in Internet mail.
 *
 * In a local part A-Z 0-9 # $ _ - stand for themselves (case folds) and every other character of a user id is =XX, the
 * hexadecimal of its ASCII code; "NODE(USER)" in quotes is the one-off form, the only one for a node that is no DNS
 * label.
 */
#ifndef OVVM_ADDRESS_HOSTADDRESS_H
#define OVVM_ADDRESS_HOSTADDRESS_H

#include "base/buf.h"
#include "base/name8.h"

enum { HOST_ADDRESS_SIZE = 20 }; /* "NODE1234(USER1234)" and its NUL */

struct host_address {
    struct name8 node, user;
};

struct host_address_text {
    char text[HOST_ADDRESS_SIZE];
};
/* "NODE(USER)"; the user may be empty. */
struct host_address_text host_address_text(struct host_address address);
/* Accepts blanks around the parts; case folds. BAD_ADDRESS. */
int host_address_parse(struct span text, struct host_address *address_r, struct err *err);

/* The same and the forms of address books: [PROFS:NODE(USER)] (AD-02) and the older [PROFS:gateway/node/user], with or
 * without a gateway and the brackets (AD-03). BAD_ADDRESS. */
int host_address_parse_any(struct span text, struct host_address *address_r, struct err *err);

/* The local part for a user id, and back. BAD_ADDRESS where it is no user id. */
void host_local_encode(struct name8 user, struct buf *to);
int host_local_decode(struct span local, struct name8 *user_r, struct err *err);
/* May this node stand as a label of a domain name? */
bool host_node_is_label(struct name8 node);

#endif
