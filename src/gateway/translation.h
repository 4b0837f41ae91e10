/* translation: one letter between two queues. Loaded and committed by translation.c; what becomes of it is made by
 * to_mail.c (host_in to mail_out) or to_host.c (mail_in to host_out). */
#ifndef OVVM_GATEWAY_TRANSLATION_H
#define OVVM_GATEWAY_TRANSLATION_H

#include "gateway/inside.h"
#include "translator/pool.h"

struct translation {
    struct gateway *gateway;
    struct pump *pump;
    struct fetch fetch;
    struct buf content;
    uint64_t large;                 /* what it counts for among the large letters; 0: it is small */
    struct translation *next_large; /* behind it, waiting for its turn */
    /* Makes the outputs and failures, then calls translation_finish. Called again after a translator died. */
    void (*begin)(struct translation *translation);
    /* More facts of the commit; NULL: none. In the ledger's thread. */
    int (*also)(struct db *db, struct translation *translation, struct err *err);
    /* Frees `state`; NULL: nothing to do. */
    void (*release)(struct translation *translation);
    void *state; /* of to_mail.c or to_host.c */
    struct translator_job translator_job;
    bool tried_again;
    struct output *outputs;
    size_t output_count, output_room;
    /* mail_in, a letter for many: each commit holds the files of some recipients and marks them as served. */
    bool partial;                                    /* this commit is not the last one */
    bool delivered;                                  /* some were served in an earlier one */
    void (*resume)(struct translation *translation); /* goes on after a partial commit */
    struct report_failure *failures;
    char (*failure_texts)[ERR_TEXT_SIZE], (*failure_addresses)[ITEM_ADDRESS_MAX];
    size_t failure_count, failure_room;
    bool quarantine;
    char reason[ERR_TEXT_SIZE];
    /* writing large outputs */
    size_t output_at;
    unsigned chunk_at;
    struct store_job job;
};

/* Drops outputs from the `count`th on. */
void translation_drop(struct translation *translation, size_t count);
/* A new output, zeroed; NULL: *err is NO_MEMORY. Earlier ones may move. */
struct output *translation_output(struct translation *translation, struct err *err);
/* This recipient does not get the letter. */
int translation_failure(struct translation *translation, struct span recipient, const struct err *why, struct err *err);
/* The outputs and failures are complete (0), or *err says what went wrong (-1): reports, retries, quarantines, commits.
 * The translation may be gone afterwards. */
void translation_finish(struct translation *translation, int result, struct err *err);

/* translation_finish with -1 and a copy of *err, for whoever may not change it. */
void translation_fail(struct translation *translation, const struct err *err);

/* What a translator found in a letter: keeps `output` in *bytes, on which *facts_r lies. */
struct facts;
int translation_facts(struct span output, struct buf *bytes, struct facts *facts_r, struct err *err);

/* Options and a packed resolution (NULL: none) as a translator takes them, appended; look at to->failed. */
struct options;
void translation_options(const struct options *options, const struct buf *resolution, struct buf *to);

void to_mail_begin(struct translation *translation);
void to_host_begin(struct translation *translation);

#endif
