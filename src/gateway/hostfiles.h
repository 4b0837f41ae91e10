/* hostfiles: spool files taken apart for the translators, and put together from what they made.
 *
 * A received file may hold several data sets, each for several destinations; a translator gets one data set for one
 * destination at a time (letter/hostfile.h). Pure functions on bytes.
 */
#ifndef OVVM_GATEWAY_HOSTFILES_H
#define OVVM_GATEWAY_HOSTFILES_H

#include "letter/hostfile.h"
#include "nje/header.h"

enum { HOSTFILES_MAX = 1000 }; /* destinations of one received file */

/* A list of packed hostfiles, in the file's order. BAD_CONTENT: no job header, no data set, cut short. */
struct hostfiles {
    struct buf packed;
    size_t count;
    size_t starts[HOSTFILES_MAX + 1]; /* of each in `packed`; the last is the end */
};
int hostfiles_split(struct span spool, bool len_counts_cc, struct hostfiles *files_r, struct err *err);
void hostfiles_free(struct hostfiles *files);
struct span hostfiles_at(const struct hostfiles *files, size_t n);

/* The first job and data set header of a spool file: what a link logs and sends by. BAD_CONTENT. */
int hostfiles_headers(struct span spool, bool len_counts_cc, struct nje_job *job_r, struct nje_dataset *dataset_r,
                      struct err *err);

/* A file for sending, as a spool file. `job_id` and entry time (file->entry_us) are the caller's. BUG for a file with
 * carriage control: we make none. */
int hostfiles_spool(const struct hostfile *file, unsigned job_id, struct buf *to, struct err *err);

#endif
