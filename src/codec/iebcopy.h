/* iebcopy: the members of a partitioned data set inside a TRANSMIT file.
 *
 * Such a file carries the unload form of IEBCOPY (DFSMSdfp; netdata.md §1.4): COPYR1, COPYR2, directory blocks, then
 * the blocks of the members in the order of their disk addresses. Records come out as the member has them: F records
 * cut at LRECL, V records without BDW and RDW, each U block one record. Text stays EBCDIC.
 */
#ifndef OVVM_CODEC_IEBCOPY_H
#define OVVM_CODEC_IEBCOPY_H

#include "base/err.h"
#include "base/name8.h"
#include "codec/records.h"

struct iebcopy_entry {
    char name[NAME8_MAX + 1]; /* ASCII; '?' for what is no printable character */
    uint32_t ttr;             /* where the directory says the member begins */
    bool alias;
};

struct iebcopy_data {
    uint8_t address[3]; /* last bytes of its first block's disk address */
    size_t offset;      /* of that block in `stream` */
};

struct iebcopy {
    bool pdse;
    unsigned recfm; /* NETDATA_F, _V, _U in the high byte */
    size_t lrecl;
    size_t block_size;
    struct buf stream;             /* all blocks */
    struct iebcopy_entry *entries; /* by ttr, the member before its aliases */
    size_t entry_count;
    struct iebcopy_data *data;
    size_t data_count;
    size_t next; /* entry */
    size_t next_data;
    struct records records;
};

struct iebcopy_member {
    const char *name;
    const char *alias_of;          /* NULL, or the member that this is another name of: no records then */
    const struct records *records; /* until the next call */
};

/* `unload` are the records of the data set. ERR_BAD_CONTENT where this is no unload or the directory does not fit;
 * ERR_NO_MEMORY. iebcopy_close in every case. */
int iebcopy_open(struct iebcopy *iebcopy, const struct records *unload, struct err *err);
void iebcopy_close(struct iebcopy *iebcopy);
/* 1: a member, in the order of the data; 0: no more; -1: ERR_BAD_CONTENT where the data ends before this member or does
 * not fit the directory: what was given out before is good. */
int iebcopy_next(struct iebcopy *iebcopy, struct iebcopy_member *member_r, struct err *err);

#endif
