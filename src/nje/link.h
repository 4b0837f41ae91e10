/* link: one NJE neighbour. Dials and listens, signs on, moves files and messages over streams, keeps the connection,
 * and comes back by itself. Conduct: doc/architecture.md "NJE conduct"; wire: nje.md.
 *
 * The link knows no ledger. Where files come from and go to is an nje_spool: the gateway's (the ledger) or the trial
 * node's (a folder). All calls are in the loop's thread and return at once; what takes time answers through a callback.
 */
#ifndef OVVM_NJE_LINK_H
#define OVVM_NJE_LINK_H

#include "base/err.h"
#include "base/loop.h"
#include "base/name8.h"
#include "base/span.h"
#include "nje/spoolfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nje_link;

/* Files of a stream that the neighbour acknowledged and the spool has not written down: what a crash sends again. */
enum { NJE_RECORDING_MAX = 16 };

enum nje_kind { NJE_RSCS, NJE_VM370, NJE_NJE38, NJE_JES2, NJE_UNIXNJE, NJE_KINDS };
/* How the connection is encrypted, nje.md §9. STARTTLS begins with the record OPEN SSL in clear. */
enum nje_tls { NJE_TLS_OFF, NJE_TLS_IMPLICIT, NJE_TLS_STARTTLS };
enum nje_dial { NJE_DIAL_BOTH, NJE_DIAL_ONLY, NJE_LISTEN_ONLY };

/* The values behind a `kind` (neighbours.md §0). */
struct nje_preset {
    const char *name;
    unsigned buffer, buffer_max; /* NCCIBFSZ we advertise by default, and the most it may be set to */
    unsigned streams_max;
    bool multi_dsh, len_counts_cc;
    int64_t ack_timeout_us;
};
extern const struct nje_preset nje_presets[NJE_KINDS];

/* Waits of a session, in microseconds; 0: the usual one. Test builds take them from OVVM_TIMES too (base/fault.h), by
 * the name behind each. */
struct nje_link_times {
    int64_t answer_us;    /* nje.answer: for A0, for a held stream to go on, for C0; the kind's, 10 min */
    int64_t pause_us;     /* nje.pause: the longest the spool may make the neighbour wait in mid-file; 30 s */
    int64_t cancel_us;    /* nje.cancel: for the end of a cancel, both ways; 30 s */
    int64_t refused_us;   /* nje.refused: before a stream that was refused asks again; 60 s */
    int64_t starved_us;   /* nje.starved: before a file that we have no memory for goes on; 1 s */
    int64_t stall_us;     /* nje.stall: for the next record of a file that comes; 30 min */
    int64_t hold_us;      /* nje.hold: wait-a-bit, while something waits for its end; 10 min */
    int64_t write_us;     /* nje.write: for the neighbour to read on; 10 min */
    int64_t probe_us;     /* nje.probe: for a sign of life of the connection that another is to replace; 5 s */
    int64_t collision_us; /* nje.collision: after NAK 3, at least; 3 s */
    int64_t stable_us;    /* nje.stable: a session of this age ends the back-off; 60 s */
    int64_t rivals_us;    /* nje.rivals: in which sign-ons from other addresses are counted; 10 min */
};

struct nje_link_options {
    struct name8 our_node; /* our name as this neighbour knows us */
    struct name8 node;     /* the neighbour */
    enum nje_kind kind;
    const char *connect; /* "host:port" to dial, or NULL */
    const char *listen;  /* "address:port" to accept on, or NULL; links may share one */
    const char *allow;   /* blank-separated addresses and networks (192.0.2.0/24, ::1); NULL: those of `connect` */
    unsigned buffer;     /* NJE buffer to advertise; 0: the preset's */
    unsigned tcp_block;  /* 0: 8192, or what the buffer needs */
    unsigned streams;    /* streams each way at once, 1 to the preset's streams_max; 0: 1. A request for a further one
                          * waits for its permission until one is free. With two or more, one of ours is kept for small
                          * files (nje_link_file_limit). */
    const char *send_line_password, *expect_line_password, *send_node_password, *expect_node_password; /* NULL: none */
    const char *rip, *oip; /* our and the neighbour's IPv4 in the control record; NULL: the socket's own */
    enum nje_tls tls;
    const char *ca, *cert, *key, *tls_name; /* as in struct tls_options; NULL: none */
    int64_t retry_us, retry_max_us;         /* back-off of dialling; 0: 2 s and 5 min */
    int64_t idle_probe_us;                  /* 0: 120 s */
    int64_t signon_us;                      /* 0: 60 s */
    int64_t record_us;                      /* wait for the 33-byte record; 0: 30 s */
    struct nje_link_times times;
};

/* --- receiving: the link pushes, the spool pushes back --- */
struct nje_incoming; /* the spool's own handle for one file being received */

struct nje_incoming_facts {
    struct name8 link;
    int stream; /* 1-7 */
    bool sysin;
    struct nje_job job;
    struct nje_dataset first; /* first data set header */
    unsigned datasets;        /* how many DSH */
    uint32_t records;         /* data records */
    uint64_t bytes;           /* of the spool file */
    uint8_t sha256[32];       /* of the spool file's bytes */
    bool headers_bad;         /* a header could not be understood: taken whole all the same */
    char why_bad[ERR_TEXT_SIZE];
};

/* --- sending: the link pulls --- */
struct nje_outgoing { /* filled by the spool */
    void *handle;     /* the spool's */
    char name[40];    /* for the log: id of the item */
    struct nje_job job;
    struct nje_dataset dataset;
    uint64_t bytes;
};

/* A message or command (NMR), nje.md §8, decoded. */
struct nje_message {
    bool command;
    bool from_system; /* no user on the other side: never answer */
    struct name8 to_node, to_user, from_node, from_user;
    char text[149]; /* ASCII, as code page 037 gives it */
};

struct nje_spool {
    void *owner;
    /* -- receiving -- */
    /* May a file be accepted on this link now? False withholds the permission (A0) until nje_link_room. */
    bool (*has_room)(void *owner, struct nje_link *link);
    /* A new file; NULL: no memory (the link drops the connection, the neighbour keeps the file). */
    struct nje_incoming *(*begin)(void *owner, struct nje_link *link, int stream);
    /* Next piece of the spool file. Returns false when the spool wants a pause: the link stops reading from the socket
     * until nje_link_room. Bytes are copied. */
    bool (*put)(void *owner, struct nje_incoming *file, struct span piece);
    /* The file is complete. Exactly one answer follows through nje_link_committed(link, stream, err): NULL = on disk
     * (the link sends C0), else the link drops the connection without C0 so that the neighbour keeps its file. */
    void (*commit)(void *owner, struct nje_incoming *file, const struct nje_incoming_facts *facts);
    /* The file will not be completed (cancelled, connection lost, protocol error). Also called when commit failed or
     * the link is closed while a commit is under way: then only the handle is given up, and nje_link_committed must not
     * be called. */
    void (*abandon)(void *owner, struct nje_incoming *file);
    /* The acknowledgement of this stream's last file certainly arrived (the neighbour went on). */
    void (*confirmed)(void *owner, struct nje_link *link, int stream);
    /* -- sending -- */
    /* Asks for the next file for this link, of at most nje_link_file_limit bytes; exactly one answer through
     * nje_link_next(link, stream, file): file NULL = none now (nje_link_kick when there is). */
    void (*next)(void *owner, struct nje_link *link, int stream);
    /* Asks for the spool file's bytes from `offset`; exactly one answer through nje_link_piece(link, stream, piece,
     * err): empty piece = end. Pieces may cut records anywhere. */
    void (*read)(void *owner, struct nje_link *link, int stream, void *handle, uint64_t offset);
    /* The neighbour acknowledged. The spool records it and answers nje_link_removed(link, stream). The next files of
     * the stream are asked for meanwhile; at NJE_RECORDING_MAX unanswered ones the stream waits. */
    void (*accepted)(void *owner, struct nje_link *link, int stream, void *handle);
    /* The file was not acknowledged. `counts`: it counts as a failure of this file (refused, no answer), with the
     * reason; otherwise the link went down under it and it simply goes back. Never while a read is outstanding. No
     * answer. */
    void (*returned)(void *owner, struct nje_link *link, int stream, void *handle, bool counts, const struct err *why);
    /* -- messages and state -- */
    void (*message)(void *owner, struct nje_link *link, const struct nje_message *message);
    void (*state)(void *owner, struct nje_link *link); /* link came up or went down */
};

/* Starts dialling and listening. NULL (err filled): CONFIG or CONNECT for names, passwords, addresses that cannot be
 * used. Strings are copied. None of the calls below may be made from within an nje_spool call but the answers and
 * hints, which may. */
struct nje_link *nje_link_new(struct loop *loop, const struct nje_link_options *options, const struct nje_spool *spool,
                              struct err *err);
/* Signs off where signed on: stops new streams, waits at most `wait_us` for active ones, sends B, closes, calls
 * `closed` from the loop, when no answer of the spool is outstanding any more (or after `wait_us` again). */
void nje_link_drain(struct nje_link *link, int64_t wait_us, void (*closed)(void *arg), void *arg);
/* Closes at once; files in hand are abandoned or returned. No answer of the spool may come afterwards. */
void nje_link_free(struct nje_link *link);
/* After a drain: dial and listen again. */
void nje_link_start(struct nje_link *link);

/* Answers and hints of the spool. */
void nje_link_room(struct nje_link *link);
void nje_link_committed(struct nje_link *link, int stream, const struct err *err);
void nje_link_next(struct nje_link *link, int stream, const struct nje_outgoing *file);
/* While it is asked for the next file of this stream: the largest one (bytes of the spool file) that may go there now.
 * NJE_SMALL_FILE where every other stream has a larger one, so that a small file never waits for a large one. */
enum { NJE_SMALL_FILE = 65536 };
uint64_t nje_link_file_limit(const struct nje_link *link, int stream);
void nje_link_piece(struct nje_link *link, int stream, struct span piece, const struct err *err);
void nje_link_removed(struct nje_link *link, int stream);
void nje_link_kick(struct nje_link *link);

/* Queues a message for the neighbour; false where the link is down or its queue (64) is full. */
bool nje_link_send_message(struct nje_link *link, const struct nje_message *message);

enum nje_link_state {
    NJE_LINK_STOPPED,
    NJE_LINK_WAITING,
    NJE_LINK_CONNECTING,
    NJE_LINK_SIGNING_ON,
    NJE_LINK_UP,
    NJE_LINK_DRAINING
};
struct nje_link_figures {
    enum nje_link_state state;
    char peer[64];        /* address:port of the neighbour, while there is a connection */
    char listening[64];   /* address:port we accept on, as bound; empty: none */
    unsigned buffer;      /* negotiated */
    bool tls;             /* the connection is encrypted */
    int64_t since_us;     /* in this state */
    int64_t next_dial_us; /* 0: not waiting to dial */
    uint64_t files_in, files_out, bytes_in, bytes_out, messages_in, messages_out;
    char last_error[ERR_TEXT_SIZE];
};
void nje_link_figures(const struct nje_link *link, struct nje_link_figures *figures_r);
struct name8 nje_link_node(const struct nje_link *link);
const char *nje_link_state_name(enum nje_link_state state);

#endif
