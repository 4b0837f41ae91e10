/* server: SMTP and LMTP as a receiver (RFC 5321, 2033, 1870, 1854, 6152, 2034).
 *
 * The server knows no ledger: letters go to a smtp_sink. Only CRLF ends a line; 250 after DATA is sent only when the
 * sink said that the letter is on disk. All calls are in the loop's thread.
 */
#ifndef OVVM_SMTP_SERVER_H
#define OVVM_SMTP_SERVER_H

#include "base/err.h"
#include "base/loop.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smtp_server;
struct smtp_session; /* one connection */
struct smtp_letter;  /* the sink's handle for one letter being received */

/* An envelope address: the path without < >, as given. Empty sender: null reverse-path. */
struct smtp_envelope {
    const char *client; /* "192.0.2.1" or "lmtp" */
    const char *helo;
    const char *protocol; /* "ESMTP", "SMTP", "LMTP" */
    const char *sender;
    const char *const *recipients;
    size_t recipient_count;
    bool body_8bit; /* BODY=8BITMIME */
    uint64_t size;  /* SIZE= of the client, 0 unknown */
};

enum { SMTP_ID_SIZE = 27 }; /* a ULID and its NUL */

struct smtp_sink {
    void *owner;
    /* At MAIL: may a letter begin now? 0, or the error to answer (452 4.3.1 while the disk is full …). */
    int (*mail)(void *owner, const char *sender, struct err *err);
    /* At RCPT: 0, or the error to answer (550 5.7.1 for a domain that is not ours, 550 5.1.1 …). */
    int (*recipient)(void *owner, const char *sender, const char *recipient, struct err *err);
    /* At DATA, before 354. NULL with *err: answered instead of 354. The envelope is valid during the call. `id_r` is
     * the name the letter will have, for `id` in Received:; left empty, that has none. */
    struct smtp_letter *(*begin)(void *owner, struct smtp_session *session, const struct smtp_envelope *envelope,
                                 char id_r[SMTP_ID_SIZE], struct err *err);
    /* Next piece of the content, dots unstuffed, CRLF line ends; the first is our Received: field (RFC 5321 §4.4), the
     * only thing the server adds. Always taken, and copied. False: no more pieces until smtp_session_room (which may
     * be called at once, from inside put). */
    bool (*put)(void *owner, struct smtp_letter *letter, struct span piece);
    /* The content is complete: exactly one smtp_session_committed follows, also from inside commit. */
    void (*commit)(void *owner, struct smtp_letter *letter);
    /* Connection lost, too big, bad content: the letter will not be completed. Also while a commit is under way (the
     * connection broke, or the commit took longer than data_us), and then smtp_session_committed must not be called any
     * more. A client that only closed its sending side after the last dot still gets its answer. */
    void (*abandon)(void *owner, struct smtp_letter *letter);
};

struct smtp_server_options {
    const char *listen;          /* blank-separated "address:port", or NULL */
    const char *lmtp;            /* path of a Unix socket (mode 0660), or NULL */
    const char *allow;           /* base/allow.h; others get 554 and are closed. NULL: loopback only. Not for `lmtp` */
    const char *host_name;       /* in the greeting and in Received: */
    uint64_t max_size;           /* octets of one letter; 0: 50 MiB */
    unsigned max_recipients;     /* 0: 1000 */
    unsigned max_hops;           /* Received: fields of a letter; 0: SMTP_HOPS_MAX */
    unsigned max_sessions;       /* further ones wait in the kernel's queue; 0: 200 */
    int64_t command_us, data_us; /* time-outs between commands; between pieces of DATA, and of the commit. 0: 5 min */
};

int smtp_server_new(struct loop *loop, const struct smtp_server_options *options, const struct smtp_sink *sink,
                    struct smtp_server **server_r, struct err *err);
/* The port the nth address of `listen` got, for those who asked for port 0; 0 where there is no such address. */
unsigned smtp_server_port(const struct smtp_server *server, size_t index);
/* Takes over a connected socket as a session from `client`, as if it had been accepted and allowed; `lmtp` says which
 * protocol. The socket is closed also where this fails. */
int smtp_server_adopt(struct smtp_server *server, int fd, const char *client, bool lmtp, struct err *err);
/* Stops accepting; sessions between letters get 421; sessions in a letter may finish it, at most `wait_us`. Then
 * `closed`. */
void smtp_server_drain(struct smtp_server *server, int64_t wait_us, void (*closed)(void *arg), void *arg);
/* Ends all sessions at once and abandons their letters. Not from inside a call of the sink. */
void smtp_server_free(struct smtp_server *server);

/* Answers of the sink. `id` names the letter in "250 2.0.0 queued as ID". LMTP answers it once per recipient. */
void smtp_session_committed(struct smtp_session *session, const char *id, const struct err *err);
void smtp_session_room(struct smtp_session *session);

struct smtp_server_figures {
    unsigned sessions;
    uint64_t accepted, refused, bytes;
};
void smtp_server_figures(const struct smtp_server *server, struct smtp_server_figures *figures_r);

#endif
