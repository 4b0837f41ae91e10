/* link_private: what the files of the link share. A link is the neighbour; a session is one TCP connection with it.
 *
 *   link.c          the public calls, the state, draining
 *   link_connect.c  dialling, accepting, takeover, back-off
 *   session.c       one connection: blocks, what goes out, the end
 *   session_open.c  how it is opened: connecting, TLS, the 33-byte records; is it alive?
 *   session_in.c    what a session's buffers say: sign-on, dispatch of records
 *   link_in.c       streams to us        link_out.c  streams from us
 *   listen.c        shared listeners
 */
#ifndef OVVM_NJE_LINK_PRIVATE_H
#define OVVM_NJE_LINK_PRIVATE_H

#include "base/allow.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/resolve.h"
#include "base/tls.h"
#include "nje/block.h"
#include "nje/buffer.h"
#include "nje/control.h"
#include "nje/link.h"
#include "nje/listen.h"
#include "nje/signon.h"

#include <event2/bufferevent.h>
#include <openssl/evp.h>

enum {
    NJE_BLOCK_ACCEPT_MAX = 40960, /* a neighbour's block: a buffer of 32 KB and room for several TTRs */
    NJE_BLOCK_DEFAULT = 8192,
    NJE_CONTROLS_MAX = 64,   /* 90, A0, B0, C0 that wait for the neighbour's wait-a-bit to end */
    NJE_MESSAGES_MAX = 64,   /* NMRs that wait */
    NJE_OUTPUT_HIGH = 65536, /* bytes in the socket's buffer at which we stop adding data */
    NJE_OUTPUT_LOW = 16384,  /* and go on */
    NJE_PIECE_FLUSH = 65536, /* received bytes given to the spool in one piece, about */
    NJE_HEADER_MAX = 32768,  /* a joined header; 128 segments of 256 */
    NJE_NAKS_MAX = 3,        /* NAKs in the hand-shake */
    NJE_HEX_MAX = 32,        /* bytes shown of what broke a connection */
    NJE_RIVALS_MAX = 3       /* sign-ons from another address than the live session's, within rivals_us */
};
enum nje_step {
    NJE_STEP_CONNECTING,
    NJE_STEP_TLS,        /* implicit: the handshake before the OPEN */
    NJE_STEP_AWAIT_ACK,  /* OPEN sent */
    NJE_STEP_STARTTLS,   /* the handshake behind the ACK */
    NJE_STEP_AWAIT_ENQ,  /* secondary: ACK sent */
    NJE_STEP_AWAIT_I,    /* secondary: DLE ACK0 sent */
    NJE_STEP_AWAIT_ACK0, /* primary: SOH ENQ sent */
    NJE_STEP_AWAIT_J,    /* primary: I sent */
    NJE_STEP_PROBING,    /* signed on in full; the session it would replace is probed */
    NJE_STEP_UP,
    NJE_STEP_DEAD
};

struct nje_session {
    struct nje_link *link;
    struct bufferevent *event;
    unsigned holds; /* callbacks that still use it; freed with the last */
    enum nje_step step;
    bool dialled, first_block, tls;
    struct sockaddr_storage address;
    char peer[RESOLVE_TEXT_MAX];
    struct loop_timer timer; /* of the step; when up, of the idle probe */
    struct nje_bcb_count bcb_in;
    uint8_t bcb_out;
    uint16_t fcs;
    unsigned buffer; /* negotiated */
    unsigned naks;
    struct nje_signon signon; /* the neighbour's, while PROBING */
    struct nje_control open;  /* as we sent it */
    struct loop_timer hold_timer;
    bool paused;  /* not reading: the spool wants a pause, or PROBING */
    bool reading; /* blocks are being taken at this moment */
    bool sent;    /* something since the last probe */
    bool c0_on_its_way, eof_on_its_way;
    int64_t up_us; /* steady clock */
    struct nje_control_reply {
        uint8_t rcb, srcb;
    } controls[NJE_CONTROLS_MAX];
    size_t control_count;
    struct buf payload, block; /* scratch of the senders */
};

enum { NJE_IN_STREAMS = 2 * NJE_STREAMS };
enum nje_in_state { NJE_IN_IDLE, NJE_IN_WITHHELD, NJE_IN_PERMITTED, NJE_IN_RECEIVING, NJE_IN_COMMITTING };
struct nje_in {
    struct nje_link *link;
    enum nje_in_state state;
    int stream;
    bool sysin;
    uint8_t rcb;
    struct nje_incoming *file;
    struct nje_incoming_facts facts;
    EVP_MD_CTX *sha;
    struct buf piece;  /* records not yet given to the spool */
    struct buf header; /* segments of the header that is being joined */
    uint8_t header_srcb;
    bool job_seen, trailer_seen;
    bool unconfirmed;         /* C0 sent; the neighbour has not gone on yet */
    bool confirm_cancel;      /* an EOF is owed for its transmitter cancel */
    int64_t confirm_until_us; /* steady clock */
    int64_t progress_us;      /* steady clock */
};

enum nje_out_state {
    NJE_OUT_IDLE,
    NJE_OUT_ASKING,    /* the spool, for a file */
    NJE_OUT_READY,     /* a file in hand */
    NJE_OUT_REQUESTED, /* 90 sent */
    NJE_OUT_SENDING,
    NJE_OUT_AWAITING_ACK, /* EOF sent */
    NJE_OUT_CANCELLING    /* transmitter cancel sent; the file has gone back */
};
struct nje_out {
    struct nje_link *link;
    int stream;
    enum nje_out_state state;
    struct nje_outgoing file;
    bool reading;  /* a piece is asked for */
    bool ended;    /* the last piece came */
    bool dry;      /* the spool had none; until a kick */
    bool kicked;   /* while asking */
    bool resting;  /* refused; until the timer */
    bool starving; /* a fault of ours that may pass; until the timer */
    int starved;   /* times in turn */
    bool owed;     /* `returned` waits for the outstanding piece */
    bool owed_counts;
    struct err owed_why;
    unsigned recording; /* acknowledged files that the spool has not written down yet */
    uint64_t offset;    /* bytes had from the spool */
    struct buf pending;
    size_t pending_at;
    struct loop_timer timer;
};

struct nje_link {
    struct loop *loop;
    struct nje_spool spool;
    const struct nje_preset *preset;
    enum nje_kind kind;
    struct name8 our_node, node;
    struct name8 send_line_password, expect_line_password, send_node_password, expect_node_password;
    char *connect, *listen;
    struct resolve_name connect_name;
    struct allow_list allow;    /* configured */
    struct allow_list resolved; /* of `connect`, where none is configured */
    bool allow_configured;
    bool rip_set, oip_set;
    uint8_t rip[4], oip[4];
    unsigned buffer, tcp_block, streams;
    enum nje_tls tls;
    struct tls *tls_context; /* NULL: off */
    char *tls_name;
    struct nje_link_times times;
    int64_t retry_us, retry_max_us, idle_probe_us, signon_us, record_us;

    struct nje_session *up;        /* signed on */
    struct nje_session *trial;     /* dialled, not signed on */
    struct nje_session *candidate; /* accepted, not signed on */
    struct nje_listener *listener;
    struct nje_link *next_listening; /* on the same listener */
    struct resolve *resolving;
    struct loop_timer dial_timer;
    int64_t next_dial_us;  /* wall clock, 0: none */
    unsigned failures;     /* in a row */
    size_t next_address;   /* of those resolved */
    struct log_once quiet; /* the same failure again and again is logged once */
    struct loop_timer probe_timer;
    int64_t probe_began_us; /* steady clock */
    unsigned rivals;        /* sign-ons that met a live session from another address */
    int64_t rivals_us;      /* steady clock, the first counted */

    bool stopped, draining, freeing, was_up;
    struct loop_timer drain_timer;
    int64_t drain_wait_us;
    enum nje_drain { NJE_DRAIN_FILES, NJE_DRAIN_ANSWERS, NJE_DRAIN_DONE } drain_phase;
    void (*drained)(void *arg);
    void *drained_arg;

    struct nje_in in[NJE_IN_STREAMS]; /* SYSOUT 1 to 7, then SYSIN 1 to 7 */
    int last_permitted;               /* so that waiting streams take turns */
    struct nje_out out[NJE_STREAMS];
    int next_out; /* whose turn it is to send a buffer */
    struct loop_timer pause_timer;
    struct nje_message messages[NJE_MESSAGES_MAX];
    size_t message_first, message_count;
    bool pumping, pump_again;

    enum nje_link_state state;
    int64_t since_us;
    uint64_t files_in, files_out, bytes_in, bytes_out, messages_in, messages_out;
    char last_error[ERR_TEXT_SIZE];
};

/* --- link.c --- */
/* Sends whatever may go: replies, messages, files; permits waiting streams; asks the spool. Safe to call anywhere. */
void nje_link_pump(struct nje_link *link);
/* Works out the state again and tells the spool when the link came up or went down. */
void nje_link_note_state(struct nje_link *link);
/* How often a session looks whether it must probe, or ends over a file that stopped. */
int64_t nje_link_look_us(const struct nje_link *link);

/* --- link_connect.c --- */
void nje_link_dial(void *link); /* the dial timer */
void nje_link_schedule_dial(struct nje_link *link, int64_t at_least_us);
bool nje_link_allows(const struct nje_link *link, const struct sockaddr *address);
/* An OPEN for this link came on `fd`, which the link now owns, with `tls` where the connection is encrypted already
 * (what it has read beyond the OPEN is taken too). Returns the reason of a NAK to send instead (the caller keeps both),
 * 0 when taken. */
uint8_t nje_link_opened(struct nje_link *link, int fd, struct bufferevent *tls, const struct sockaddr_storage *address,
                        const struct nje_control *open, struct err *err);
/* A session's sign-on is in order. May it have the link? NJE_ADMIT_LATER: nje_session_admit or nje_session_refuse is
 * called when the session that has the link showed a sign of life, or did not. */
enum nje_admission { NJE_ADMIT_NOW, NJE_ADMIT_LATER, NJE_ADMIT_NEVER };
enum nje_admission nje_link_admission(struct nje_link *link, struct nje_session *session, struct err *why_r);
void nje_link_probe_look(void *link); /* the probe timer */
/* A session completed its sign-on. False: it was turned away and is dead. */
bool nje_link_signed_on(struct nje_link *link, struct nje_session *session);

/* --- session_open.c --- */
struct nje_session *nje_session_dial(struct nje_link *link, const struct resolve_address *address, struct err *err);
struct nje_session *nje_session_accept(struct nje_link *link, int fd, struct bufferevent *tls,
                                       const struct sockaddr_storage *address, const struct nje_control *open,
                                       struct err *err);
/* Sends something that TCP must acknowledge; nje_session_lives tells whether anything came back since `since_us`
 * (steady clock). */
void nje_session_probe(struct nje_session *session);
bool nje_session_lives(const struct nje_session *session, int64_t since_us);
void nje_session_read_ack(struct nje_session *session, struct evbuffer *input);  /* 33 bytes at least */
void nje_session_happened(struct bufferevent *event, short what, void *session); /* its event callback */

/* --- session.c --- */
/* On a socket, or on a TLS connection that owns its socket. NULL: NO_MEMORY, and both are still the caller's. */
struct nje_session *nje_session_new(struct nje_link *link, int fd, struct bufferevent *tls,
                                    const struct sockaddr *address, size_t size, struct err *err);
void nje_session_attach(struct nje_session *session, struct bufferevent *event);
void nje_session_let_go(struct bufferevent *event); /* frees it, but not its socket */
void nje_session_fail(struct nje_session *session, enum err_id id, const char *text);
/* Ends it and takes it from its link: files go back, the next dial is scheduled. `why` NULL: nothing to log. */
void nje_session_end(struct nje_session *session, const struct err *why);
void nje_session_hold(struct nje_session *session);
void nje_session_release(struct nje_session *session);
/* Goes on reading where a pause ended. */
void nje_session_resume(struct nje_session *session);
/* Sends a control sequence, or a buffer whose records (after the head) `fill` appended to session->payload since
 * nje_session_buffer_begin. `reset` counts from 0 again (I and J). */
void nje_session_send(struct nje_session *session, struct span payload);
void nje_session_buffer_begin(struct nje_session *session, uint8_t kind);
void nje_session_buffer_send(struct nje_session *session);
/* Queues one of 90, A0, B0, C0 for the next pump. */
void nje_session_reply(struct nje_session *session, uint8_t rcb, uint8_t srcb);
void nje_session_send_replies(struct nje_session *session);
void nje_session_send_messages(struct nje_session *session);
/* The neighbour's FCS: what we may send from now on. Wait-a-bit has a limit. */
void nje_session_fcs(struct nje_session *session, uint16_t fcs);
size_t nje_session_output(const struct nje_session *session); /* bytes not yet taken by the socket */
/* The last words before the end: past the queue, straight into the socket, as far as it takes them. */
void nje_session_last_words(struct nje_session *session);
const char *nje_step_name(enum nje_step step);

/* --- session_in.c --- */
/* One payload of a block, from sign-on on. May end the session. */
void nje_session_payload(struct nje_session *session, const struct nje_ttr *ttr);
void nje_session_send_initial(struct nje_session *session);
/* The end of PROBING. */
void nje_session_admit(struct nje_session *session);
void nje_session_refuse(struct nje_session *session, const struct err *why);

/* --- link_in.c --- */
void nje_in_init(struct nje_link *link);
void nje_in_free(struct nje_link *link);
void nje_in_request(struct nje_session *session, uint8_t rcb, bool fast_open);
int nje_in_record(struct nje_session *session, const struct nje_record *record, struct err *err);
/* End of a buffer: what came goes to the spool. */
int nje_in_flush(struct nje_session *session, struct err *err);
void nje_in_permit(struct nje_session *session);
void nje_in_confirm_cancels(struct nje_session *session);
void nje_in_down(struct nje_link *link);
bool nje_in_busy(const struct nje_link *link);    /* a file is coming or being committed */
bool nje_in_stalled(const struct nje_link *link); /* for longer than NJE_IN_STALL_US */

/* --- link_out.c --- */
int nje_out_init(struct nje_link *link);
void nje_out_free(struct nje_link *link);
void nje_out_up(struct nje_link *link);
void nje_out_permitted(struct nje_session *session, uint8_t rcb);
void nje_out_refused(struct nje_session *session, uint8_t rcb);
int nje_out_acknowledged(struct nje_session *session, uint8_t rcb, struct err *err);
/* An EOF-shaped record that may be the neighbour's confirmation of our cancel. */
bool nje_out_cancel_confirmed(struct nje_link *link, int stream);
bool nje_out_idle(const struct nje_link *link, int stream); /* nothing of ours is under way on this stream */
void nje_out_pump(struct nje_link *link);
void nje_out_down(struct nje_link *link, const struct err *why);
bool nje_out_busy(const struct nje_link *link);        /* a file is requested, going or not acknowledged */
bool nje_out_outstanding(const struct nje_link *link); /* an answer of the spool is */

#endif
