/* session: one client of the server, from the greeting to QUIT. Private to the server (server.h is the contract). */
#ifndef OVVM_SMTP_SESSION_H
#define OVVM_SMTP_SESSION_H

#include "smtp/content.h"
#include "smtp/parse.h"
#include "smtp/server.h"

enum {
    SMTP_CLIENT_SIZE = 64,         /* an address as text */
    SMTP_READ_MAX = 64 * 1024,     /* octets in one recv */
    SMTP_HELD_MAX = 128 * 1024,    /* received and not yet looked at, while something else must happen first */
    SMTP_REPLIES_MAX = 64 * 1024,  /* not yet sent: then the client must read before it may go on */
    SMTP_BAD_COMMANDS_MAX = 20,    /* then 421 */
    SMTP_LINGER_MAX = 1024 * 1024, /* octets thrown away while the client reads our last words */
};
#define SMTP_LINGER_US (5 * INT64_C(1000000))

/* What a session needs of its server. */
struct smtp_shared {
    struct loop *loop;
    struct smtp_sink sink;
    const char *host_name;
    uint64_t max_size;
    unsigned max_recipients;
    int64_t command_us, data_us;
    bool draining;
    uint8_t *scratch; /* SMTP_HELD_MAX + SMTP_READ_MAX octets: what was held and what comes, side by side */
    struct smtp_server_figures figures;
    struct smtp_session *sessions;
    void (*left)(struct smtp_shared *shared); /* a session is gone; it may free nothing */
};

/* Owns `fd` from now on, also where it fails (NO_MEMORY); sends the greeting. */
int smtp_session_new(struct smtp_shared *shared, int fd, const char *client, bool lmtp, struct err *err);
/* The server drains: ends it with 421 where no letter is being received. The session may be gone afterwards. */
void smtp_session_drain(struct smtp_session *session);
/* Ends it now, with `421` where `say` (NULL: without a word) can be sent at once. */
void smtp_session_end(struct smtp_session *session, const char *say);
struct smtp_session *smtp_session_following(const struct smtp_session *session);

#endif
