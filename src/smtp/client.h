/* client: hands letters to one relay by SMTP (RFC 5321, PIPELINING) or LMTP, over connections that are kept and reused.
 *
 * Letters come from a smtp_source; what the relay said of each recipient goes back to it. All calls in the loop's
 * thread; the source may answer from inside the call that asks.
 *
 * A letter is asked for only where a connection is ready, so while the relay is down the letters stay in the ledger.
 * Connections are opened one after the other as long as there are letters for them. A letter with 8-bit content goes
 * also to a relay that does not offer 8BITMIME, as most MTAs do: nearly all take it, and the others say so.
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
    char enhanced[12];        /* "5.1.1" or made from the code; "4.4.2" and the like where no reply was had */
    char text[ERR_TEXT_SIZE]; /* the relay's words, or ours (connect failed …) */
};

struct smtp_outgoing { /* filled by the source, valid until its result */
    void *handle;
    char name[40];      /* for the log */
    const char *sender; /* empty: <> */
    const char *const *recipients;
    size_t recipient_count;
    uint64_t size;  /* of the content; for SIZE= */
    bool body_8bit; /* BODY=8BITMIME where the relay offers it */
};

struct smtp_source {
    void *owner;
    /* Asks for the next letter; exactly one smtp_client_next(client, slot, letter) follows; NULL: none now
     * (smtp_client_kick when there is; a kick between the two is not lost). */
    void (*next)(void *owner, struct smtp_client *client, unsigned slot);
    /* Asks for content from `offset`; exactly one smtp_client_piece follows; empty = end. CRLF lines, not dot-stuffed,
     * cut anywhere. No result comes while a piece is owed. */
    void (*read)(void *owner, struct smtp_client *client, unsigned slot, void *handle, uint64_t offset);
    /* One result per recipient, in order, valid until it is settled. After this the letter is the source's again: it
     * commits what was accepted and answers smtp_client_settled(client, slot), upon which the slot asks for the next
     * letter. */
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
/* No further letters; those under way may end, at most `wait_us`, then get temporary results. Then `closed`, once the
 * source has settled them all. */
void smtp_client_drain(struct smtp_client *client, int64_t wait_us, void (*closed)(void *arg), void *arg);
/* At once, without results: what was not settled is as it was before it was asked for. */
void smtp_client_free(struct smtp_client *client);

void smtp_client_next(struct smtp_client *client, unsigned slot, const struct smtp_outgoing *letter);
/* `piece` is copied. `err` (else NULL): the content cannot be read; the letter is broken off and gets temporary
 * results. */
void smtp_client_piece(struct smtp_client *client, unsigned slot, struct span piece, const struct err *err);
void smtp_client_settled(struct smtp_client *client, unsigned slot);
/* There is a letter. Does not shorten a back-off. */
void smtp_client_kick(struct smtp_client *client);

struct smtp_client_figures {
    unsigned connected;
    bool relay_down;                      /* the last attempt to connect failed */
    int64_t next_try_us;                  /* 0: no back-off is running */
    uint64_t accepted, deferred, refused; /* recipients */
    char last_error[ERR_TEXT_SIZE];
};
void smtp_client_figures(const struct smtp_client *client, struct smtp_client_figures *figures_r);

#endif
