/* A spool file from anywhere: the walks end, and what a header said is said again after it was written anew. */
#include "nje/spoolfile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static struct span only_header(const struct buf *spool, struct buf *scratch)
{
    struct nje_logical_walk walk = { .from = reader_of(buf_span(spool)), .scratch = scratch };
    struct nje_logical logical;
    check(nje_logical_next(&walk, &logical, NULL) == 1);
    return logical.bytes;
}

static void again_job(const struct nje_job *job)
{
    struct buf spool = { 0 }, scratch = { 0 };
    nje_job_encode(&spool, job);
    struct nje_job back;
    check(nje_job_decode(only_header(&spool, &scratch), &back, NULL) == 0);
    check(name8_equal(job->origin_node, back.origin_node) && name8_equal(job->origin_user, back.origin_user));
    check(job->job_id == back.job_id && job->entry_time == back.entry_time && job->hops == back.hops);
    buf_free(&scratch);
    buf_free(&spool);
}

static void again_dataset(const struct nje_dataset *dataset)
{
    struct buf spool = { 0 }, scratch = { 0 };
    nje_dataset_encode(&spool, dataset);
    struct nje_dataset back;
    check(nje_dataset_decode(only_header(&spool, &scratch), &back, NULL) == 0);
    check(name8_equal(dataset->node, back.node) && name8_equal(dataset->user, back.user) && !back.user_bad);
    check(strcmp(dataset->name, back.name) == 0 && strcmp(dataset->type, back.type) == 0);
    check(dataset->print == back.print && dataset->records == back.records);
    check(dataset->tag[0] == '\0' || strcmp(dataset->tag, back.tag) == 0);
    buf_free(&scratch);
    buf_free(&spool);
}

static void walk_logical(struct span file, bool len_counts_cc)
{
    struct buf scratch = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(file), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical logical;
    struct err err = ERR_CLEAR;
    int found;
    while ((found = nje_logical_next(&walk, &logical, &err)) == 1) {
        struct nje_job job;
        struct nje_dataset dataset;
        struct nje_trailer trailer;
        if (logical.kind == NJE_SRCB_NJH && nje_job_decode(logical.bytes, &job, &err) == 0)
            again_job(&job);
        else if (logical.kind == NJE_SRCB_DSH && nje_dataset_decode(logical.bytes, &dataset, &err) == 0)
            again_dataset(&dataset);
        else if (logical.kind == NJE_SRCB_NJT)
            (void)nje_trailer_decode(logical.bytes, &trailer, &err);
        else if (logical.kind == NJE_SRCB_DATA)
            check(logical.lrecl >= logical.bytes.size);
    }
    check(found == 0 || err.id != ERR_NONE);
    buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct span file;
    if (nje_spool_skip_text(span_of(at, size), &file, NULL) == -1)
        return 0;
    walk_logical(file, true);
    walk_logical(file, false);
    return 0;
}
