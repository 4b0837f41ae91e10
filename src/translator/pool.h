/* pool: translators at work, as the daemon sees them.
 *
 * A job is bytes in and bytes out, done in a sandboxed process (sandbox.h) that may crash, hang, eat memory or lie
 * without harm to anything but that job. Jobs are started in the order they came, one for each translator at a time; a
 * sick one keeps its own translator busy until the time limit and no other. All calls and callbacks are in the loop's
 * thread; a callback never comes from within translator_submit.
 *
 * Errors of a job:
 *   ERR_TRANSLATOR_DIED     the translator crashed, was ended by its sandbox or the kernel, or gave an answer that
 *                           cannot be trusted; the text says which
 *   ERR_TRANSLATOR_TIMEOUT  it was ended at the time limit
 *   ERR_TRANSLATOR_MEMORY   it needs more memory than a translator may have
 *   ERR_BUSY                no translator became free in time
 *   ERR_SHUTTING_DOWN       translator_free, or the zygote is gone
 *   ERR_NO_MEMORY           the daemon has none for the job
 *   any other               what the translation itself reports about the letter (TOO_BIG: its output is too large)
 * After the first three the caller tries the same job once more, since the fault may have been another's (memory, an
 * operator's kill); when that ends in one of them again, the letter goes into quarantine with the text.
 * translator_blames_child tells them from the rest.
 */
#ifndef OVVM_TRANSLATOR_POOL_H
#define OVVM_TRANSLATOR_POOL_H

#include "translator/zygote.h"

#include "base/loop.h"
#include "base/span.h"

#include <stdbool.h>

enum { TRANSLATOR_CHILDREN_MAX = 16, TRANSLATOR_QUEUE_MAX = 4096 /* jobs that wait */ };

/* 0: the default, in brackets. */
struct translator_options {
    unsigned children;     /* [2] at once, at most TRANSLATOR_CHILDREN_MAX */
    int64_t time_limit_us; /* [60 s] of one job, by the clock */
    int64_t wait_limit_us; /* [5 min] until a job is begun */
    uint64_t memory_limit; /* [1 GiB] address space of one translator, beyond what it starts with */
    uint64_t output_limit; /* [256 MiB] bytes */
    unsigned jobs_max;     /* [1000] of one translator, which is then made anew */
    /* The zygote is gone: no job will be done any more, those that were there have failed. Called once. */
    void (*lost)(void *arg, const struct err *err);
    void *arg;
};

struct translator;

/* One job. The caller's memory, unchanged from translator_submit until `done`, and so are the bytes it names. */
struct translator_job {
    int op; /* ops.h */
    struct span input;
    struct span options;
    /* Once. err NULL: `output`, for the time of the call. May free or submit the job again. */
    void (*done)(void *arg, struct span output, const struct err *err);
    void *arg;
    /* the pool's */
    struct translator_job *next;
    int64_t submitted_us;
};

struct translator_figures {
    unsigned queued, busy, ready; /* jobs that wait, translators at work, translators without work */
    uint64_t done, failed;        /* jobs that ended with a translation's answer, good or bad; with anything else */
    uint64_t started, died;       /* translators; those that ended by themselves or for a fault */
};

/* Begins to make translators at once. The zygote must outlive it; translator_free does not end it. NO_MEMORY. */
int translator_new(struct loop *loop, struct zygote *zygote, const struct translator_options *options,
                   struct translator **translator_r, struct err *err);
/* Jobs that are there fail with SHUTTING_DOWN, from within. NULL is allowed. Not from a callback. */
void translator_free(struct translator *translator);
/* Takes no more jobs; `drained` is called once, from the loop, when none is left. */
void translator_drain(struct translator *translator, void (*drained)(void *arg), void *arg);
/* -1: BUSY (TRANSLATOR_QUEUE_MAX), SHUTTING_DOWN; `done` is then not called. */
int translator_submit(struct translator *translator, struct translator_job *job, struct err *err);
/* New tables for translator_child.tables; the bytes are copied. Jobs that are begun from now on use them: a translator
 * that has older ones is made anew, after its job. -1: NO_MEMORY, and the old ones stay. */
int translator_set_tables(struct translator *translator, struct span tables, struct err *err);
struct translator_figures translator_figures(const struct translator *translator);

static inline bool translator_blames_child(enum err_id id)
{
    return id == ERR_TRANSLATOR_DIED || id == ERR_TRANSLATOR_TIMEOUT || id == ERR_TRANSLATOR_MEMORY;
}

#endif
