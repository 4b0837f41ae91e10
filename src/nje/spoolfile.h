/* spoolfile: an NJE file at rest, and the facts its headers state.
 *
 * A spool file is the sequence of its NJE records as they came out of SCB decompression, each as
 *     u16 length (big-endian, of the SRCB and what follows it) | u8 SRCB | bytes
 * without EOF. Header segments (SRCB C0, E0, D0) keep their 4-byte prefix; data records (SRCB 8x..Bx) keep their length
 * byte (or SEGL/LRECL in spanned form). That is also the form of the host spool files in the public UnixNJE samples
 * after their text header. Source: nje.md §6, §7.
 */
#ifndef OVVM_NJE_SPOOLFILE_H
#define OVVM_NJE_SPOOLFILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/name8.h"
#include "base/span.h"

enum nje_srcb {
    NJE_SRCB_NJH = 0xC0,
    NJE_SRCB_DSH = 0xE0,
    NJE_SRCB_NJT = 0xD0,
    NJE_SRCB_DATA = 0x80,
    NJE_SRCB_DATA_MACHINE = 0x90,
    NJE_SRCB_DATA_ASA = 0xA0,
    NJE_SRCB_DATA_CPDS = 0xB0
};

enum { NJE_RECORD_MAX = 32760 };

/* Appends one record. `bytes` at most 65534 (the length counts the SRCB); more latches `to->failed`. */
void nje_spool_put(struct buf *to, uint8_t srcb, struct span bytes);

/* Walks the wire records of a spool file. 1: a record; 0: clean end; -1: cut short. */
struct nje_spool_record {
    uint8_t srcb;
    struct span bytes;
};
int nje_spool_next(struct reader *from, struct nje_spool_record *record_r, struct err *err);

/* Walks logical records: header segments joined (prefix removed, sections only), spanned data joined, the length byte
 * and carriage control taken off. `scratch` holds a joined record until the next call. */
struct nje_logical {
    uint8_t kind;     /* NJE_SRCB_NJH, _DSH, _NJT, or _DATA for every data record */
    uint8_t carriage; /* data: SRCB & 0x30: 00 none, 10 machine, 20 ASA, 30 CPDS */
    uint8_t control;  /* the carriage control byte where carriage != 0 */
    size_t lrecl;     /* data: stated length without the control byte; data may be shorter: pad with X'40' */
    struct span bytes;
};
struct nje_logical_walk {
    struct reader from;
    struct buf *scratch;
    bool len_counts_cc; /* nje.md §6.1: all but UnixNJE */
};
int nje_logical_next(struct nje_logical_walk *walk, struct nje_logical *logical_r, struct err *err);

/* --- what the headers say (nje.md §7) --- */
struct nje_job {
    unsigned job_id;          /* NJHGJID 1-9999 */
    struct name8 origin_node; /* NJHGORGN */
    struct name8 origin_user; /* NJHGORGR */
    char job_name[9];
    uint64_t entry_time; /* NJHGETS as it came (STCK) */
    int64_t entry_us;    /* the same as UTC microseconds, 0 where zero or absurd */
    unsigned hops;
    uint8_t job_class, message_class, flags, priority;
    uint32_t records;
};

struct nje_dataset {
    struct name8 node;     /* NDHGNODE */
    struct name8 user;     /* RMT, else XWTR; empty for SYSTEM or none */
    bool user_bad;         /* RMT or XWTR held bytes that are no name */
    char name[9], type[9]; /* RSCS FNAM/FTYP, else PROC/STEP; spaces trimmed */
    char form[9], dist[9];
    char klass;            /* as a character, ' ' if none */
    unsigned number;       /* DSNO */
    bool print;            /* print rather than punch */
    uint8_t record_format; /* RCFM */
    unsigned lrecl;
    uint32_t records;
    uint8_t flags; /* NDHGFLG1 or RSCS FLG1: 08+04 suppress messages */
    char tag[137]; /* RSCS tag text, ASCII, trimmed */
};

struct nje_trailer {
    uint32_t print_records, punch_records;
};

/* `sections` is a joined header without its 4-byte prefix. Unknown sections are skipped; a section that does not fit is
 * BAD_CONTENT naming it. */
int nje_job_decode(struct span sections, struct nje_job *job_r, struct err *err);
int nje_dataset_decode(struct span sections, struct nje_dataset *dataset_r, struct err *err);
int nje_trailer_decode(struct span sections, struct nje_trailer *trailer_r, struct err *err);

/* Appends the header as one or more spool records of at most NJE_SEGMENT_MAX bytes, prefix included.
 * Layout: nje.md §7.1, §7.2 with RSCS section §7.3, §7.4. `tag` empty: made of node, user, 50. */
enum { NJE_SEGMENT_MAX = 253 };
void nje_job_encode(struct buf *to, const struct nje_job *job);
void nje_dataset_encode(struct buf *to, const struct nje_dataset *dataset);
void nje_trailer_encode(struct buf *to, const struct nje_trailer *trailer);
/* One card or line: LEN, data with trailing blanks cut; more than 255 bytes goes spanned. */
void nje_data_encode(struct buf *to, struct span ebcdic, size_t lrecl);

/* STCK <-> UTC microseconds. */
uint64_t nje_stck(int64_t us);
int64_t nje_stck_us(uint64_t stck);

#endif
