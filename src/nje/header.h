/* header: what the headers of an NJE file say, and how to say it.
 *
 * A file is one job header (NJH), then one or more data set headers (DSH) with their records, then a job trailer (NJT).
 * Each header is a chain of sections, general section first; the 4-byte prefix of each transmission segment is
 * spoolfile.h's affair. Text is code page 037, numbers big-endian. Source: SA32-0988 job header, data set header, job
 * trailer; layouts as RSCS, JES2 and UnixNJE send them.
 */
#ifndef OVVM_NJE_HEADER_H
#define OVVM_NJE_HEADER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/name8.h"
#include "base/span.h"

/* NJHGFLG1 */
enum nje_job_flag {
    NJE_JOB_KEEP_PRIORITY = 0x80,
    NJE_JOB_ID_SET = 0x40,
    NJE_JOB_QUIET_FORWARD = 0x08, /* no messages to the sender when the file is forwarded */
    NJE_JOB_QUIET_ACCEPT = 0x04   /* nor when it is spooled */
};

struct nje_job {
    unsigned job_id;          /* NJHGJID 1-9999 */
    struct name8 origin_node; /* NJHGORGN; empty where the field held bytes that are no name */
    struct name8 origin_user; /* NJHGORGR; the same */
    char job_name[9];
    uint64_t entry_time; /* NJHGETS as it came (STCK) */
    int64_t entry_us;    /* the same as UTC microseconds, 0 where zero or before 1970; not used by nje_job_encode */
    unsigned hops;
    uint8_t job_class, message_class; /* EBCDIC; 0 is sent as A */
    uint8_t flags;                    /* enum nje_job_flag, sent as given */
    uint8_t priority;
    uint32_t records;
};

struct nje_dataset {
    struct name8 node;     /* NDHGNODE; empty where it held bytes that are no name */
    struct name8 user;     /* RMT, else XWTR; empty for SYSTEM or none */
    bool user_bad;         /* the one of RMT and XWTR that counts held bytes that are no name */
    char name[9], type[9]; /* RSCS FNAM/FTYP, else PROC/STEP; trailing blanks cut */
    char form[9], dist[9];
    char klass;            /* as a character, ' ' if none (sent as A) */
    unsigned number;       /* NDHGDSNO; 0 is sent as 1 */
    bool print;            /* print rather than punch */
    uint8_t record_format; /* NDHGRCFM; 0 is sent as fixed (X'80') */
    unsigned lrecl;        /* NDHGLREC; 0 is sent as 80, or 132 for print */
    uint32_t records;
    uint8_t flags; /* NDHVFLG1 of the RSCS section, 0 without one: 08+04 suppress messages */
    char tag[137]; /* RSCS tag text, ASCII, trimmed */
};

struct nje_trailer {
    uint32_t print_records, punch_records; /* NJTGALIN, NJTGACRD */
};

/* `sections` is a joined header without its 4-byte prefix. Unknown sections are skipped; a section that does not fit,
 * and a header without its general section, is BAD_CONTENT naming it. A field that lies beyond its section's length
 * reads as empty. */
int nje_job_decode(struct span sections, struct nje_job *job_r, struct err *err);
int nje_dataset_decode(struct span sections, struct nje_dataset *dataset_r, struct err *err);
int nje_trailer_decode(struct span sections, struct nje_trailer *trailer_r, struct err *err);

/* Appends the header as one or more spool records of at most NJE_SEGMENT_MAX bytes, prefix included.
 *   job      general section of 200 bytes; execution, print and punch destination = origin (the data set header has the
 *            real one); job name empty: the origin user
 *   dataset  general section of 112 bytes and RSCS section of 180, FORM empty: STANDARD; writer = user for punch.
 *            `tag` empty: made of node, user, 50 */
enum { NJE_SEGMENT_MAX = 253 };
void nje_job_encode(struct buf *to, const struct nje_job *job);
void nje_dataset_encode(struct buf *to, const struct nje_dataset *dataset);
void nje_trailer_encode(struct buf *to, const struct nje_trailer *trailer);

/* Appends the data set header `sections` (joined, without prefix) anew for another recipient: NDHGNODE, NDHGRMT, a
 * NDHGXWTR that named somebody, and the first two words of an RSCS tag; everything else stays byte for byte.
 * BAD_CONTENT where the sections do not fit or have no recipient's place. */
int nje_dataset_readdress(struct buf *to, struct span sections, struct name8 node, struct name8 user, struct err *err);

/* STCK <-> UTC microseconds. A clock of 0, or before 1970, reads as 0. (Bit 51 is a microsecond; the clock of 64 bits
 * ends on 2042-09-17.) */
uint64_t nje_stck(int64_t us);
int64_t nje_stck_us(uint64_t stck);

#endif
