/* Between spool files and host files. Headers that cannot be understood fail the file as a whole: it goes into
 * quarantine with the reason, as it came. */
#include "gateway/hostfiles.h"

#include "nje/spoolfile.h"

#include <stdio.h>

struct splitting {
    struct hostfiles *files;
    struct nje_job job;
    struct nje_dataset datasets[HOSTFILES_MAX]; /* that share the records to come */
    size_t dataset_count;
    struct records records;
    enum hostfile_carriage carriage;
    bool has_job, has_records;
};

static void copy_name(char to_r[HOSTFILE_NAME_SIZE], const char *from)
{
    (void)snprintf(to_r, HOSTFILE_NAME_SIZE, "%s", from);
}

/* The data sets so far, each with the records so far. */
static int flush(struct splitting *splitting, struct err *err)
{
    struct hostfiles *files = splitting->files;
    for (size_t i = 0; i < splitting->dataset_count; i++) {
        const struct nje_dataset *dataset = &splitting->datasets[i];
        if (files->count == HOSTFILES_MAX)
            return err_set(err, ERR_TOO_MANY, "the file has more than %d destinations", HOSTFILES_MAX);
        struct hostfile file = { .from_node = splitting->job.origin_node,
                                 .from_user = splitting->job.origin_user,
                                 .to_node = dataset->node,
                                 .to_user = dataset->user,
                                 .entry_us = splitting->job.entry_us,
                                 .klass = dataset->klass,
                                 .carriage = splitting->carriage,
                                 .records = splitting->records };
        copy_name(file.name, dataset->name);
        copy_name(file.type, dataset->type);
        copy_name(file.form, dataset->form);
        copy_name(file.dist, dataset->dist);
        (void)snprintf(file.tag, sizeof file.tag, "%s", dataset->tag);
        files->starts[files->count++] = files->packed.size;
        hostfile_pack(&files->packed, &file);
    }
    splitting->dataset_count = 0;
    splitting->has_records = false;
    records_clear(&splitting->records);
    return 0;
}

static int take_record(struct splitting *splitting, const struct nje_logical *record, struct err *err)
{
    static const enum hostfile_carriage carriages[] = { HOSTFILE_PUNCH, HOSTFILE_MACHINE, HOSTFILE_ASA, HOSTFILE_CPDS };
    if (record->kind == NJE_SRCB_NJH) {
        splitting->has_job = true;
        return nje_job_decode(record->bytes, &splitting->job, err);
    }
    if (record->kind == NJE_SRCB_DSH) {
        if (splitting->has_records && flush(splitting, err) == -1)
            return -1;
        if (splitting->dataset_count == HOSTFILES_MAX)
            return err_set(err, ERR_TOO_MANY, "the file has more than %d destinations", HOSTFILES_MAX);
        return nje_dataset_decode(record->bytes, &splitting->datasets[splitting->dataset_count++], err);
    }
    if (record->kind != NJE_SRCB_DATA)
        return 0;
    splitting->carriage = carriages[record->carriage >> 4 & 3];
    splitting->has_records = true;
    if (record->carriage != 0)
        records_add_controlled(&splitting->records, record->control, record->bytes);
    else
        records_add_padded(&splitting->records, record->bytes, record->lrecl, 0x40);
    return 0;
}

int hostfiles_split(struct span spool, bool len_counts_cc, struct hostfiles *files_r, struct err *err)
{
    struct buf scratch = { .at = NULL };
    struct splitting splitting = { .files = files_r };
    struct nje_logical_walk walk = { .from = reader_of(spool), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical record;
    *files_r = (struct hostfiles){ .count = 0 };
    int step;
    while ((step = nje_logical_next(&walk, &record, err)) == 1)
        if (take_record(&splitting, &record, err) == -1) {
            step = -1;
            break;
        }
    if (step == 0 && (!splitting.has_job || (splitting.dataset_count == 0 && files_r->count == 0)))
        step = err_set(err, ERR_BAD_CONTENT, "the file has no %s header", splitting.has_job ? "data set" : "job");
    if (step == 0)
        step = flush(&splitting, err);
    files_r->starts[files_r->count] = files_r->packed.size;
    if (step == 0 && (files_r->packed.failed || splitting.records.bytes.failed))
        step = err_set(err, ERR_NO_MEMORY, "out of memory for a file");
    records_free(&splitting.records);
    buf_free(&scratch);
    return step;
}

void hostfiles_free(struct hostfiles *files)
{
    buf_free(&files->packed);
}

struct span hostfiles_at(const struct hostfiles *files, size_t n)
{
    return span_slice(buf_span(&files->packed), files->starts[n], files->starts[n + 1] - files->starts[n]);
}

int hostfiles_headers(struct span spool, bool len_counts_cc, struct nje_job *job_r, struct nje_dataset *dataset_r,
                      struct err *err)
{
    struct buf scratch = { .at = NULL };
    struct nje_logical_walk walk = { .from = reader_of(spool), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical record;
    bool job = false;
    int result = -1;
    int step;
    while ((step = nje_logical_next(&walk, &record, err)) == 1) {
        if (record.kind == NJE_SRCB_NJH && !job) {
            if (nje_job_decode(record.bytes, job_r, err) == -1)
                break;
            job = true;
        } else if (record.kind == NJE_SRCB_DSH) {
            result = nje_dataset_decode(record.bytes, dataset_r, err);
            break;
        }
    }
    buf_free(&scratch);
    if (step == 0)
        return err_set(err, ERR_BAD_CONTENT, "the file has no data set header");
    if (result == 0 && !job)
        return err_set(err, ERR_BAD_CONTENT, "the file has no job header");
    return result;
}

int hostfiles_spool(const struct hostfile *file, unsigned job_id, struct buf *to, struct err *err)
{
    enum { CARD = 80 };
    struct reader walk = records_walk(&file->records);
    struct span record;
    if (file->carriage != HOSTFILE_PUNCH)
        return err_set(err, ERR_BUG, "a file with carriage control is not sent");
    uint32_t count = file->records.count > 0 ? (uint32_t)file->records.count : 1;
    struct nje_job job = { .job_id = job_id,
                           .origin_node = file->from_node,
                           .origin_user = file->from_user,
                           .entry_time = nje_stck(file->entry_us),
                           .flags = NJE_JOB_ID_SET,
                           .message_class = 0,
                           .records = count };
    struct nje_dataset dataset = {
        .node = file->to_node, .user = file->to_user, .klass = file->klass, .records = count
    };
    struct nje_trailer trailer = { .punch_records = count };
    (void)snprintf(dataset.name, sizeof dataset.name, "%s", file->name);
    (void)snprintf(dataset.type, sizeof dataset.type, "%s", file->type);
    (void)snprintf(dataset.form, sizeof dataset.form, "%s", file->form);
    (void)snprintf(dataset.dist, sizeof dataset.dist, "%s", file->dist);
    (void)snprintf(dataset.tag, sizeof dataset.tag, "%s", file->tag);
    nje_job_encode(to, &job);
    nje_dataset_encode(to, &dataset);
    if (file->records.count == 0)
        nje_data_encode(to, SPAN_EMPTY, CARD); /* a file without records is refused by some neighbours */
    while (records_next(&walk, &record))
        nje_data_encode(to, record, CARD);
    nje_trailer_encode(to, &trailer);
    return to->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a file") : 0;
}
