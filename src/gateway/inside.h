/* inside: what the gateway's own files share. Not for others. */
#ifndef OVVM_GATEWAY_INSIDE_H
#define OVVM_GATEWAY_INSIDE_H

#include "base/log.h"
#include "gateway/fetch.h"
#include "gateway/gateway.h"
#include "gateway/pump.h"
#include "gateway/report.h"
#include "store/track.h"

enum {
    JOB_IDS_AHEAD = 1024, /* NJE job ids reserved at a time */
    BACKLOG_MAX = 4096    /* ledger jobs under way at which the doors slow down */
};

/* One neighbour: its link and the queue of files for it. */
struct neighbour {
    struct gateway *gateway;
    const struct conf_link *conf;
    struct nje_link *link;
    struct pump pump;
    struct ulid last_taken[8]; /* by stream: the file whose acknowledgement may be lost; empty: none */
    bool wanted[8];            /* by stream: the link waits for a file */
    unsigned recording;        /* files it acknowledged whose commit is under way */
};

enum { CLOSERS_MAX = 2 /* who may wait for the end of a drain */ };

struct gateway {
    struct loop *loop;
    struct store *store;
    const struct conf *conf;
    const struct people_directory *directory;
    struct border border;
    bool active, draining, drained, failed;
    struct store_listener listener;
    uint64_t depth[QUEUES]; /* letters that are not in quarantine */
    bool full[QUEUES];      /* its producer was told to wait */
    bool backlog_full;      /* all producers were */
    struct loop_timer backlog_timer;
    int64_t clock_offset_us; /* wall clock less the steady one: falls when the wall clock is set back */
    struct store_job clock_job;
    int64_t clock_back_us; /* by how much the job corrects due times; 0: no job is under way */
    /* doors */
    struct neighbour *neighbours;
    size_t neighbour_count;
    struct smtp_server *server;
    struct smtp_client *client;
    struct pump mail_out;
    uint64_t slots_waiting; /* bit n: slot n of the client waits for a letter */
    struct hot hot;
    struct translator *translator;
    struct registry *registry;
    /* translations */
    struct pump host_in, mail_in;
    unsigned translating;            /* letters in hand, without those that wait for their turn */
    unsigned committing;             /* of these, those whose commit is under way */
    uint64_t large_bytes;            /* of large letters in hand and what becomes of them, estimated */
    struct translation *large_first; /* large letters that wait for their turn */
    unsigned answering;              /* messages to the registrar that are not answered yet */
    struct log_once too_many_questions;
    /* what NJE files need */
    unsigned job_ids[2 * JOB_IDS_AHEAD];
    size_t job_id_count;
    unsigned reserved[JOB_IDS_AHEAD];
    size_t reserved_count;
    struct store_job reserve_job;
    bool reserving;
    int64_t last_entry_us; /* entry times of our files increase strictly */
    /* jobs that failed for want of the disk and must not be given up */
    struct store_job *again;
    struct loop_timer again_timer;
    struct stranded *stranded;
    /* purges */
    struct loop_timer purge_timer;
    struct store_job purge_job;
    bool purging, purge_more;
    int64_t aged_to, aged_next; /* the person up to whom registration-age was looked at */
    size_t aged;
    /* draining */
    unsigned doors_open;
    bool reopening;
    struct gateway_held *held; /* in hand when it began */
    size_t held_count;
    int64_t drain_until;
    struct loop_timer drain_timer;
    struct {
        void (*closed)(void *arg);
        void *arg;
    } closers[CLOSERS_MAX];
    unsigned closer_count;
};

/* gateway.c */
/* A letter entered or left a queue (after its commit). */
void gateway_count(struct gateway *gateway, enum queue queue, int change);
/* May a door take another letter into `queue`? ERR_BUSY, DISK_FULL, NOT_ACTIVE … */
int gateway_accepts(struct gateway *gateway, enum queue queue, struct err *err);
/* Runs the job again in a second; its facts are already true on the other side, so it must be written. */
void gateway_again(struct gateway *gateway, struct store_job *job);
/* A letter was committed: counts it, keeps it at hand (takes over `content`) and offers it to whoever consumes its
 * queue. */
void gateway_arrived(struct gateway *gateway, const struct item *item, struct buf *content);
/* Whoever consumes the queue looks into it. `door` is the link for host_out; NULL: all. */
void gateway_wake(struct gateway *gateway, enum queue queue, const char *door);
/* The pump that feeds the consumer of this queue; NULL: there is none (no such link). */
struct pump *gateway_pump(struct gateway *gateway, enum queue queue, const char *door);
/* An NJE job id, 0 where none is at hand just now (translations wait); entry time of the next file. */
unsigned gateway_job_id(struct gateway *gateway);
int64_t gateway_entry_time(struct gateway *gateway);

/* host_door.c */
int host_door_open(struct gateway *gateway, struct err *err);
void host_door_close(struct gateway *gateway);
/* There is room again at the doors. */
void host_door_room(struct gateway *gateway);

/* registrar_door.c: commands of host users (address/registrar.h). */
struct registrar;
struct output;
struct registrar *registrar_ask(struct gateway *gateway, struct host_address user, struct span text);
/* A message that came over `link` of the neighbour `node`: answered by messages where it is for the registrar. */
void registrar_message(struct gateway *gateway, struct name8 node, struct nje_link *link,
                       const struct nje_message *message);
/* Is this somebody who may be answered, or a system that would answer in turn? */
bool registrar_answers(struct host_address user);
/* The answer as a letter in mail_in to this user. */
int registrar_letter(struct gateway *gateway, struct host_address user, struct ulid letter, struct span answer,
                     struct output *output_r, struct err *err);

/* mail_door.c */
int mail_door_open(struct gateway *gateway, struct err *err);
void mail_door_close(struct gateway *gateway);

/* How letters of this node are translated; `link` leads to it, `to_host` is the direction. Keeps pointers into the
 * tables: for this call of the loop only. */
struct options;
void gateway_node_options(const struct gateway *gateway, struct name8 node, const struct conf_link *link, bool to_host,
                          struct options *options_r);

/* translation.c */
void translate_host_in(void *gateway);
void translate_mail_in(void *gateway);

/* clockback.c */
void clockback_open(struct gateway *gateway);
/* A letter turned out not to be due, or time has passed: where the clock was set back, due times follow. */
void clockback_look(struct gateway *gateway);
/* In the job at the start: no due time lies further ahead than it can. */
int clockback_correct(struct db *db, const struct gateway *gateway, struct err *err);

/* stranded.c: files for links that are not configured any more. */
int stranded_open(struct gateway *gateway, struct err *err);
void stranded_close(struct gateway *gateway);

/* A letter made here, with its content, on its way into the ledger in the job of its maker. */
struct output {
    struct item item;
    struct item_recipient recipient; /* most have one */
    struct buf content;
    char sender[ITEM_ADDRESS_MAX], address[ITEM_ADDRESS_MAX]; /* back item.sender and recipient.address */
    /* host_out: its NJE job */
    struct host_address origin;
    size_t served;  /* the number of its recipient in the letter */
    bool correlate; /* a note that may be answered: gets a correlation row */
    unsigned job_id;
    int64_t entry_us;
};
/* Prepares an item of `queue` for one recipient: id, times, texts. The content is the caller's to fill. */
void output_init(struct output *output, enum queue queue, struct ulid letter, const char *sender, const char *address);
/* After that job: the item is in its queue. */
void output_arrived(struct gateway *gateway, struct output *output);
/* In a job: the item, with its content unless that was written before as chunks, and its tracks. */
int output_insert(struct db *db, const struct output *output, const char *node, bool content_written, struct err *err);
void output_free(struct output *output);

/* A report to the sender of a failed letter: to a host user where the sender is one, else to the Internet. 0 made; 1
 * there must be none (null sender, a report, our own address); -1 temporary. */
int report_make(struct gateway *gateway, const struct item *item, const struct report_failure *failures, size_t count,
                struct span original, struct output *output_r, struct err *err);

#endif
