/* slot: one connection to the relay and the letter on it. Private to the client (client.h is the contract). */
#ifndef OVVM_SMTP_SLOT_H
#define OVVM_SMTP_SLOT_H

#include "base/buf.h"
#include "base/log.h"
#include "base/resolve.h"
#include "smtp/client.h"
#include "smtp/parse.h"

enum {
    SMTP_SEND_MAX = 64 * 1024, /* content not yet sent; then the source is not asked for more */
};
#define SMTP_QUIT_US  (10 * INT64_C(1000000)) /* wait for the answer to QUIT */
#define SMTP_AGAIN_US (1 * INT64_C(1000000))  /* memory ended: try again */

enum slot_state {
    SLOT_OFF, /* no connection, nothing under way */
    SLOT_RESOLVING,
    SLOT_CONNECTING,
    SLOT_GREETING,
    SLOT_EHLO,
    SLOT_HELO,
    SLOT_READY,    /* idle, for keep_us */
    SLOT_ASKING,   /* the source owes us smtp_client_next; the connection may be lost meanwhile */
    SLOT_COMMANDS, /* RSET MAIL RCPT … DATA */
    SLOT_CONTENT,
    SLOT_DOT,      /* the end is said, the answer is waited for */
    SLOT_BROKEN,   /* the letter is over, but the source still owes us a piece */
    SLOT_SETTLING, /* the source owes us smtp_client_settled; the connection may be lost meanwhile */
    SLOT_QUIT
};

enum recipient_mark {
    RECIPIENT_OPEN,
    RECIPIENT_TAKEN, /* its RCPT was */
    RECIPIENT_DECIDED,
    RECIPIENT_UNSENDABLE /* decided by us: no RCPT is sent */
};

struct smtp_slot {
    struct smtp_client *client;
    unsigned index;
    enum slot_state state;
    int fd;              /* -1: none */
    unsigned connection; /* counts them: a line may end one and begin the next */
    struct event *read_event, *write_event;
    struct loop_timer timer;
    struct resolve *resolve;
    struct resolve_answer addresses;
    size_t address; /* the one being tried */
    struct buf in, out;
    struct smtp_reply reply; /* being received */

    bool pipelining, eight_bit, size; /* what the relay offers */
    bool deaf;                        /* nothing can be sent any more; what the relay said last may still be read */
    bool reused;                      /* this connection was idle or had a letter: it may be dead without our knowing */
    bool mail_taken;                  /* MAIL was */
    bool needs_rset;                  /* the letter before left a transaction open */

    bool ask_again; /* kicked while the source was looking */
    bool has_letter;
    bool restarted; /* the letter was begun anew on a new connection */
    bool reading;   /* the source owes a piece */
    bool pumping;   /* inside pump */
    bool line_start, after_cr, ended;
    struct smtp_outgoing letter;
    struct smtp_result *results;
    uint8_t *marks;               /* enum recipient_mark */
    size_t room;                  /* of results and marks */
    size_t sent_step, reply_step; /* of the commands */
    uint64_t offset;
};

struct smtp_client {
    struct loop *loop;
    struct smtp_source source;
    struct smtp_client_options options;
    char *host_name;
    char *lmtp_path; /* NULL: SMTP */
    struct resolve_name relay;
    struct smtp_slot *slots;
    unsigned failures; /* in a row */
    bool backing_off;
    bool wanted; /* a kick found no slot free: the next one that is looks for letters */
    bool draining;
    struct loop_timer retry_timer, drain_timer;
    struct log_once down;
    struct smtp_client_figures figures;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* client.c's, called by the slots */
void smtp_client_connected(struct smtp_client *client);
/* A connection could not be had, or broke in the middle of a letter. */
void smtp_client_failed(struct smtp_client *client, const char *why);
/* A letter went all its way, whatever was said of it: the relay works. */
void smtp_client_works(struct smtp_client *client);
/* The slot has nothing to do any more. */
void smtp_client_idle(struct smtp_client *client);

int smtp_slot_init(struct smtp_slot *slot, struct smtp_client *client, unsigned index);
void smtp_slot_free(struct smtp_slot *slot);
/* OFF: connects, then asks. */
void smtp_slot_connect(struct smtp_slot *slot);
/* READY or after settling: asks the source. */
void smtp_slot_ask(struct smtp_slot *slot);
void smtp_slot_letter(struct smtp_slot *slot, const struct smtp_outgoing *letter);
void smtp_slot_piece(struct smtp_slot *slot, struct span piece, const struct err *err);
void smtp_slot_settled(struct smtp_slot *slot);
/* Ends an idle connection with QUIT; a connection without a letter that is not yet ready at once. */
void smtp_slot_quit(struct smtp_slot *slot);
/* Breaks off whatever is under way; a letter gets temporary results. */
void smtp_slot_stop(struct smtp_slot *slot, const char *why);

/* --- between slot.c and delivery.c --- */

static inline bool smtp_slot_is_lmtp(const struct smtp_slot *slot)
{
    return slot->client->lmtp_path != NULL;
}

/* slot.c: the next state, and how long it may last (0: as long as the source takes). */
void smtp_slot_enter(struct smtp_slot *slot, enum slot_state state, int64_t wait_us);
/* Closes without a word; the state stays. */
void smtp_slot_drop(struct smtp_slot *slot);
/* Closes, and makes of it what the state says: the letter, if there is one, gets temporary results. */
void smtp_slot_lost_because(struct smtp_slot *slot, const char *enhanced, const char *text);
/* Sends what the socket takes. The connection may be lost afterwards. */
void smtp_slot_send(struct smtp_slot *slot);

/* delivery.c: decides those recipients whose address cannot be said; true where others are left. */
bool smtp_mark_recipients(struct smtp_slot *slot);
/* Sends the first commands of the slot's letter. */
void smtp_begin_commands(struct smtp_slot *slot);
/* Sends, and asks for content as long as it goes out. */
void smtp_pump(struct smtp_slot *slot);
void smtp_on_command_reply(struct smtp_slot *slot, const struct smtp_reply *reply);
void smtp_on_dot_reply(struct smtp_slot *slot, const struct smtp_reply *reply);
struct smtp_result smtp_own_result(const char *enhanced, const char *text);
struct smtp_result smtp_reply_result(const struct smtp_reply *reply);
/* For all recipients that are not decided yet. */
void smtp_decide_rest(struct smtp_slot *slot, const struct smtp_result *result);
/* All recipients are decided: the letter is the source's again, as soon as it owes us no piece. */
void smtp_finish_letter(struct smtp_slot *slot);

#endif
