/* tls: certificates and authorities in a context, and connections made with it as libevent bufferevents.
 *
 * TLS 1.2 or later, no renegotiation, no resumption. Loop thread only. Who verifies whom: where we connect, the peer's
 * certificate must come from `ca` (the system's authorities where there is none) and bear the name given; where we
 * accept, a certificate is asked for, and required, only with `ca`.
 */
#ifndef OVVM_BASE_TLS_H
#define OVVM_BASE_TLS_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>

struct bufferevent;
struct event_base;
struct tls;

struct tls_options { /* paths of PEM files; NULL: none */
    const char *ca;
    const char *cert; /* ours, the intermediate ones behind it */
    const char *key;  /* not encrypted, not readable by all users */
};

/* Reads the files. NULL: CONFIG that names the file and what is wrong with it, or NO_MEMORY. */
struct tls *tls_new(const struct tls_options *options, struct err *err);
void tls_free(struct tls *tls);
/* Made of the same files? A connection made with one is then as good as one made with the other. */
bool tls_same(const struct tls *a, const struct tls *b);

enum tls_side { TLS_CONNECT, TLS_ACCEPT };
/* Starts the handshake on a connected socket, which belongs to the bufferevent from then on (closed when freed). The
 * owner sets callbacks and enables it; BEV_EVENT_CONNECTED comes when the peer is verified, any other event means that
 * the handshake failed (tls_failure). `name`: host name or literal address that the peer's certificate must bear; NULL:
 * any. NULL (err filled): NO_MEMORY, and the socket is still the caller's. */
struct bufferevent *tls_start(struct tls *tls, enum tls_side side, struct event_base *base, int fd, const char *name,
                              struct err *err);
/* What went wrong, from an event callback: PROTOCOL, or NOT_ALLOWED where a certificate was not good enough. */
void tls_failure(struct bufferevent *event, struct err *err_r);
/* Protocol, cipher and, where it gave one, the subject of the peer's certificate, for the log. */
enum { TLS_TEXT_MAX = 256 };
void tls_text(struct bufferevent *event, char text_r[TLS_TEXT_MAX]);
/* The last bytes before a close, past the queue; best effort. Then the TLS close. */
void tls_last_words(struct bufferevent *event, struct span bytes);

#endif
