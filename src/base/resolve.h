/* resolve: "host:port" to socket addresses, without making the loop wait for the DNS.
 *
 * A literal address is answered at once; a name is looked up in a thread of its own (getaddrinfo) and the answer comes
 * through the loop. Forms: name:port, 192.0.2.1:port, [2001:db8::1]:port; the port a number. */
#ifndef OVVM_BASE_RESOLVE_H
#define OVVM_BASE_RESOLVE_H

#include "base/err.h"
#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { RESOLVE_ADDRESSES_MAX = 16, RESOLVE_HOST_MAX = 255 };

struct resolve_address {
    struct sockaddr_storage address;
    socklen_t size;
};
struct resolve_answer {
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
    size_t count;
};

/* Host and port apart; CONFIG that shows the text. */
struct resolve_name {
    char host[RESOLVE_HOST_MAX + 1];
    uint16_t port;
};
int resolve_parse(const char *text, struct resolve_name *name_r, struct err *err);
/* True, with the one address, where the host is a literal address. */
bool resolve_literal(const struct resolve_name *name, struct resolve_answer *answer_r);

/* Looks up `name`, `family` AF_UNSPEC, AF_INET or AF_INET6. `done` is called once, in the loop's thread, unless
 * resolve_cancel came before; then `answer` has at least one address and `err` is NULL, or err (CONNECT) says why not.
 * NULL (err filled): no memory or no thread. */
struct resolve;
typedef void (*resolve_done)(void *arg, const struct resolve_answer *answer, const struct err *err);
struct resolve *resolve_start(struct loop *loop, const struct resolve_name *name, int family, resolve_done done,
                              void *arg, struct err *err);
/* The lookup goes on in its thread until the DNS answers, and its answer is dropped. Not after `done`. */
void resolve_cancel(struct resolve *resolve);

/* "192.0.2.1:175" or "[2001:db8::1]:175". */
enum { RESOLVE_TEXT_MAX = 64 };
void resolve_text(const struct sockaddr *address, char text_r[RESOLVE_TEXT_MAX]);

#endif
