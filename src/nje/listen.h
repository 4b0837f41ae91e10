/* listen: the addresses we accept NJE connections on. Several links may share one; the OPEN record (nje.md §1.3) tells
 * which link a connection is for. Links join and leave; the socket lives as long as one link uses it. Loop thread only.
 */
#ifndef OVVM_NJE_LISTEN_H
#define OVVM_NJE_LISTEN_H

#include "base/err.h"
#include "base/loop.h"

struct nje_link;
struct nje_listener;

enum {
    NJE_LISTEN_PENDING_MAX = 32, /* connections a listener keeps before their OPEN; further ones are closed */
    NJE_LISTEN_BACKLOG = 64
};

/* `text` as in the configuration, "address:port" (a literal address). A listener on the same text is shared. NULL:
 * CONFIG or CONNECT, naming the address. Connections are offered to the links by nje_link_allows and nje_link_opened.
 */
struct nje_listener *nje_listen_join(struct loop *loop, struct nje_link *link, const char *text, struct err *err);
void nje_listen_leave(struct nje_listener *listener, struct nje_link *link);
/* The address it is bound to, port included. */
const char *nje_listen_text(const struct nje_listener *listener);

#endif
