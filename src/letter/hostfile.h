/* hostfile: one data set of a host spool file, as the NJE door takes it apart and puts it together.
 *
 * The door makes one of these for each data set and recipient it received, the translator makes one for each file that
 * is to be sent. It has a packed form (pack.h), so that it crosses to the translator and back.
 */
#ifndef OVVM_LETTER_HOSTFILE_H
#define OVVM_LETTER_HOSTFILE_H

#include "base/name8.h"
#include "codec/records.h"

enum { HOSTFILE_TAG_SIZE = 137, HOSTFILE_NAME_SIZE = 9, HOSTFILE_LIST_MAX = 1001 };

/* SRCB 80 90 A0 B0 */
enum hostfile_carriage { HOSTFILE_PUNCH, HOSTFILE_MACHINE, HOSTFILE_ASA, HOSTFILE_CPDS };

/* All-zero is an empty file. */
struct hostfile {
    struct name8 from_node, from_user; /* NJHGORGN, NJHGORGR */
    struct name8 to_node, to_user;     /* NDHGNODE, NDHGRMT */
    int64_t entry_us;                  /* NJHGETS */
    char name[HOSTFILE_NAME_SIZE];     /* RSCS filename and filetype (or proc and step) */
    char type[HOSTFILE_NAME_SIZE];
    char form[HOSTFILE_NAME_SIZE];
    char dist[HOSTFILE_NAME_SIZE];
    char tag[HOSTFILE_TAG_SIZE]; /* RSCS tag text; empty: the usual one */
    char klass;                  /* 'A' ..., or 0 */
    enum hostfile_carriage carriage;
    /* EBCDIC. Cards filled up to their stated length with X'40' (records_add_padded); with carriage control, the
     * control byte first (records_add_controlled). */
    struct records records;
};

void hostfile_release(struct hostfile *file);
/* Appends one file as a field: several make a list. Look at to->failed. */
void hostfile_pack(struct buf *to, const struct hostfile *file);
/* The next file of a list. 1: a file, to be released; 0: no more; -1: ERR_BAD_CONTENT (a record that does not fit),
 * ERR_NO_MEMORY. */
int hostfile_next(struct reader *list, struct hostfile *file_r, struct err *err);

#endif
