/* client: hands letters to one relay by SMTP (RFC 5321, PIPELINING) or LMTP, over connections that are kept and reused.
 *
 * Letters come from a smtp_source; what the relay said of each recipient goes back to it. All calls in the loop's
 * thread.
 */
#ifndef OVVM_SMTP_CLIENT_H
#define OVVM_SMTP_CLIENT_H

#include "base/err.h"
#include "base/loop.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smtp_client;

enum smtp_outcome { SMTP_ACCEPTED, SMTP_TEMPORARY, SMTP_PERMANENT };

struct smtp_result {
    enum smtp_outcome outcome;
    int code;                 /* 0 where no reply was had */
    char enhanced[12];        /* "5.1.1" or made from the code */
    char text[ERR_TEXT_SIZE]; /* the relay's words, or ours (connect failed …) */
};

struct smtp_outgoing { /* filled by the source, valid until its result */
    void *handle;
    char name[40];      /* for the log */
    const char *sender; /* empty: <> */
    const char *const *recipients;
    size_t recipient_count;
    uint64_t size; /* of the content; for SIZE= */
    bool body_8bit;
};

struct smtp_source {
    void *owner;
    /* Asks for the next letter; exactly one smtp_client_next(client, slot, letter) follows; NULL: none now
     * (smtp_client_kick when there is). */
    void (*next)(void *owner, struct smtp_client *client, unsigned slot);
    /* Asks for content from `offset`; exactly one smtp_client_piece follows; empty = end. CRLF lines, not dot-stuffed.
     */
    void (*read)(void *owner, struct smtp_client *client, unsigned slot, void *handle, uint64_t offset);
    /* One result per recipient, in order. After this the letter is the source's again: it commits what was accepted and
     * answers smtp_client_settled(client, slot), upon which the slot asks for the next letter. */
    void (*result)(void *owner, struct smtp_client *client, unsigned slot, void *handle,
                   const struct smtp_result *results);
};

struct smtp_client_options {
    const char *relay;                     /* "host:port", "[::1]:25" or "lmtp:/path" */
    const char *host_name;                 /* EHLO */
    unsigned connections;                  /* slots; 0: 4 */
    int64_t connect_us, reply_us, data_us; /* 0: 30 s, 5 min, 10 min */
    int64_t keep_us;                       /* keep an idle connection; 0: 30 s */
    int64_t retry_us, retry_max_us;        /* of connecting; 0: 1 s, 5 min */
};

int smtp_client_new(struct loop *loop, const struct smtp_client_options *options, const struct smtp_source *source,
                    struct smtp_client **client_r, struct err *err);
void smtp_client_drain(struct smtp_client *client, int64_t wait_us, void (*closed)(void *arg), void *arg);
void smtp_client_free(struct smtp_client *client);

void smtp_client_next(struct smtp_client *client, unsigned slot, const struct smtp_outgoing *letter);
void smtp_client_piece(struct smtp_client *client, unsigned slot, struct span piece, const struct err *err);
void smtp_client_settled(struct smtp_client *client, unsigned slot);
void smtp_client_kick(struct smtp_client *client);

struct smtp_client_figures {
    unsigned connected;
    bool relay_down; /* the last attempt to connect failed */
    int64_t next_try_us;
    uint64_t accepted, deferred, refused;
    char last_error[ERR_TEXT_SIZE];
};
void smtp_client_figures(const struct smtp_client *client, struct smtp_client_figures *figures_r);

#endif
