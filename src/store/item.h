/* item: letters in the four queues, inside a ledger job.
 *
 * A letter is in exactly one queue, or gone, or in quarantine. The moves between states are those of store/README.md;
 * each call here is part of the caller's job and becomes true with its commit.
 */
#ifndef OVVM_STORE_ITEM_H
#define OVVM_STORE_ITEM_H

#include "base/buf.h"
#include "base/ulid.h"
#include "store/db.h"

enum queue { QUEUE_GONE, QUEUE_HOST_IN, QUEUE_MAIL_OUT, QUEUE_MAIL_IN, QUEUE_HOST_OUT, QUEUES };
enum item_state { ITEM_READY, ITEM_HELD, ITEM_QUARANTINED, ITEM_WRITING, ITEM_STATES };
enum recipient_state { RECIPIENT_PENDING, RECIPIENT_DONE, RECIPIENT_FAILED };
enum item_flags {
    ITEM_8BIT = 1,      /* BODY=8BITMIME */
    ITEM_REPORT = 2,    /* a report of ours: never causes another */
    ITEM_REGISTRAR = 4, /* and it is an answer of the registrar's, from whom it comes */
    ITEM_JOB = 8        /* host_in: a SYSIN job, which runs nowhere here */
};

enum {
    ITEM_CHUNK_SIZE = 256 * 1024,
    ITEM_CHUNKS_MAX = 65535,
    ITEM_DOOR_SIZE = 16,
    ITEM_PEER_SIZE = 64,
    ITEM_ADDRESS_MAX = 512,
    ITEM_RECIPIENTS_MAX = 10000
};

/* Shown by operators' commands, with the classic names beside (doc/architecture.md). */
const char *queue_name(enum queue queue);
const char *queue_classic_name(enum queue queue);
enum queue queue_find(const char *name); /* QUEUE_GONE: no such name */
const char *item_state_name(enum item_state state);

struct item_recipient {
    struct span address;
    enum recipient_state state;
    char reason[ERR_TEXT_SIZE];
};

struct item {
    int64_t key; /* rises with arrival; a key of this database, not a name: that is the id */
    struct ulid id;
    struct ulid letter; /* id of the item that came in at a door */
    enum queue queue;
    enum item_state state;
    char door[ITEM_DOOR_SIZE]; /* host_out: the link it leaves by; else empty */
    int64_t arrived_us, due_us;
    int attempts;
    uint64_t size; /* of the content */
    unsigned flags;
    char peer[ITEM_PEER_SIZE];  /* who brought it: the client's address, or the link; empty: made here */
    struct span sender;         /* mail: envelope sender, empty for <>; host: NODE(USER) */
    char reason[ERR_TEXT_SIZE]; /* why it waits, is held or in quarantine */
    struct item_recipient *recipients;
    size_t recipient_count;
    struct buf texts; /* backs sender and addresses of a loaded item */
};

/* Frees what item_load allocated. */
void item_free(struct item *item);

/* Keys are handed out by the process: item_key_start once at open, then item_key_new from the loop's thread. */
int item_key_start(struct db *db, struct err *err);
int64_t item_key_new(void);

/* Adds an item with its recipients. `content`: all of it (up to ITEM_CHUNK_SIZE), or what has not been written yet as
 * the chunk `first_chunk` where earlier ones were written with item_chunk_write. `item->size` is the whole. */
int item_insert(struct db *db, const struct item *item, struct span content, unsigned first_chunk, struct err *err);

/* For contents larger than a chunk: item_write_begin makes an invisible row first (so that a crash leaves something to
 * clean up), item_chunk_write adds chunks, item_write_end gives it its facts and makes it visible. */
int item_write_begin(struct db *db, int64_t key, struct ulid id, struct err *err);
int item_chunk_write(struct db *db, int64_t key, unsigned chunk, struct span bytes, struct err *err);
int item_write_end(struct db *db, const struct item *item, struct err *err);

/* 1 found, 0 not (or gone). */
int item_load(struct db *db, int64_t key, struct item *item_r, struct err *err);
int item_find(struct db *db, const char *id, int64_t *key_r, struct err *err);
/* Appends content from `offset`, at most `size` bytes; nothing appended at the end. Reads across chunks. */
int item_content_read(struct db *db, int64_t key, uint64_t offset, size_t size, struct buf *to, struct err *err);

/* Keys of ready items of a queue (and door, where not NULL) that are due, oldest due first, at most `limit`.
 * `after_due_us` and `after_key` continue behind an earlier answer (0, 0: from the start). Also tells the next due time
 * where none is due (0: none at all). */
struct item_due {
    int64_t key, due_us;
    uint64_t size; /* octets of its content */
};
int item_due_list(struct db *db, enum queue queue, const char *door, int64_t now_us, int64_t after_due_us,
                  int64_t after_key, struct item_due *due_r, size_t limit, size_t *count_r, int64_t *next_us_r,
                  struct err *err);

/* Each of these sets the reason where `reason` is not NULL. */
int item_defer(struct db *db, int64_t key, int64_t due_us, const char *reason, struct err *err);
int item_set_state(struct db *db, int64_t key, enum item_state state, const char *reason, struct err *err);
int item_set_door(struct db *db, int64_t key, const char *door, struct err *err);
int item_recipient_set(struct db *db, int64_t key, size_t n, enum recipient_state state, const char *reason,
                       struct err *err);
/* Out of its queue. A large content is deleted later, in batches, by item_purge. */
int item_remove(struct db *db, int64_t key, struct err *err);
/* Deletes some content of gone items. 1: more is left; 0: none. */
int item_purge(struct db *db, struct err *err);
/* Items that were being written when the process ended: gone. Only at open. */
int item_forget_unfinished(struct db *db, struct err *err);

struct queue_depth {
    uint64_t count[ITEM_STATES];
    int64_t oldest_us; /* arrival of the oldest one that is not in quarantine; 0: none */
};
int queue_depths(struct db *db, struct queue_depth depths_r[QUEUES], struct err *err);

#endif
