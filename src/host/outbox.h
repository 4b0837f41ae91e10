/* outbox: what the trial node has to send, made into NJE files. */
#ifndef OVVM_HOST_OUTBOX_H
#define OVVM_HOST_OUTBOX_H

#include "base/buf.h"
#include "host/options.h"

enum outbox_state { OUTBOX_QUEUED, OUTBOX_SENDING, OUTBOX_DONE, OUTBOX_FAILED };
enum { OUTBOX_INPUT_MAX = 1 << 26 };

struct outbox_item {
    const struct host_send *send;
    struct buf file; /* spool file; empty for a message */
    struct nje_job job;
    struct nje_dataset dataset;
    enum outbox_state state;
    unsigned failures;
};

struct outbox {
    struct outbox_item *items;
    size_t count;
};

/* Makes one spool file of `send` into *item_r. `input` is the contents of its file; `job_id` and `now_us` go into its
 * headers.
 *   note    the lines of CMS NOTE: Date:, From:, To:, Subject:, a blank line, the text wrapped at words; a first line
 *           `Subject: …` of the input is the subject
 *   file    its lines; one of more than 80 columns is an error, as it is to PUNCH, unless it goes as NETDATA
 *           Both as cards of 80 columns: the lines themselves, or a NETDATA stream as CMS makes it (`send->netdata`).
 *   replay  the records as they are, but for the recipient where `send->to` names one
 * BAD_CONTENT says what is wrong with the input. */
int outbox_make(const struct host_send *send, struct span input, unsigned job_id, int64_t now_us,
                struct outbox_item *item_r, struct err *err);
/* Reads every input of `options` and makes all files. Release with outbox_free either way. */
int outbox_fill(const struct host_options *options, struct outbox *outbox_r, struct err *err);
void outbox_free(struct outbox *outbox);

/* The next item in that state, messages or files; NULL: none. */
struct outbox_item *outbox_find(const struct outbox *outbox, enum outbox_state state, bool message);
/* Nothing is queued or being sent any more. */
bool outbox_settled(const struct outbox *outbox);

#endif
