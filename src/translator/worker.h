/* worker: one place for a translator, and the process that holds it at the moment. Between pool.c and worker.c only.
 *
 *   ABSENT   --start--> FORKING --zygote's report--> STARTING --READY--> IDLE --job--> BUSY --answer--> IDLE
 *   any of them --fault, time limit, recycling--> ENDING --zygote's report of the end--> ABSENT
 * The timer is that of the state: until the next start, until the zygote has answered, until READY, the job's time
 * limit, until the report of the end. IDLE waits for nothing.
 */
#ifndef OVVM_TRANSLATOR_WORKER_H
#define OVVM_TRANSLATOR_WORKER_H

#include "translator/pool.h"

enum worker_state { WORKER_ABSENT, WORKER_FORKING, WORKER_STARTING, WORKER_IDLE, WORKER_BUSY, WORKER_ENDING };

/* The sealed tables that new jobs are done with. */
struct worker_tables {
    int fd; /* -1: none */
    uint64_t size;
    uint64_t generation; /* 0: none */
};

struct worker {
    struct translator *pool;
    enum worker_state state;
    struct loop_timer timer;
    uint64_t serial;    /* of the process, in the zygote's reports */
    int pid, fd, pidfd; /* fd, pidfd: -1 where there is none */
    struct event *readable;
    uint64_t generation; /* of the tables it has */
    unsigned jobs;       /* begun by this process */
    unsigned deaths;     /* in a row; a job that is answered ends the row */
    bool was_ready;      /* this process got as far as READY */
    bool expected;       /* ENDING: no fault of the process, or one that is already told */
    struct translator_job *job;
    uint64_t job_serial;
};

/* What the workers use of the pool. */
struct worker_pool {
    struct loop *loop;
    struct zygote *zygote;
    struct translator_options options; /* complete */
    struct worker_tables tables;
    uint64_t serials; /* given so far, of processes and of jobs */
    uint64_t started, died;
};
struct worker_pool *pool_of_workers(struct translator *pool);
/* The worker has become idle or absent. */
void pool_worker_changed(struct translator *pool);
void pool_job_done(struct translator *pool, struct translator_job *job, struct span output, const struct err *err);
/* The zygote does not do its work. */
void pool_lost(struct translator *pool, const char *why);

/* -1: out of memory. */
int worker_init(struct worker *worker, struct translator *pool);
/* Ends the process without waiting for its report; its job is no longer the worker's. */
void worker_free(struct worker *worker);
/* ABSENT: asks the zygote for a process. */
void worker_start(struct worker *worker);
/* IDLE: begins the job, which is the worker's until pool_job_done. */
void worker_begin(struct worker *worker, struct translator_job *job);
/* IDLE: ends the process without reproach, for its age or its tables. */
void worker_recycle(struct worker *worker);
bool worker_is_stale(const struct worker *worker);
/* The zygote's report about this worker's process; `fds` (count of them) become the worker's or are closed. */
void worker_report(struct worker *worker, const struct zygote_report *report, const int *fds, size_t count);

#endif
