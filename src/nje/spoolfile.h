/* spoolfile: an NJE file at rest, record by record.
 *
 * A spool file is the sequence of its NJE records as they came out of SCB decompression, each as
 *     u16 length (big-endian, of the SRCB and what follows it) | u8 SRCB | bytes
 * without EOF. Header segments (SRCB C0, E0, D0) keep their 4-byte prefix; data records (SRCB 8x..Bx) keep their length
 * byte (or SEGL/LRECL in spanned form). That is also the form of the host spool files in the public UnixNJE samples
 * after their text header. Source: SA32-0988 (record control bytes, spanned records, header prefixes).
 */
#ifndef OVVM_NJE_SPOOLFILE_H
#define OVVM_NJE_SPOOLFILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "nje/header.h"

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

/* The records of a spool file that begins with text lines (`FRM: …`), the last of which is `END:`; the file itself
 * where it begins with a record. BAD_CONTENT where the text has no end. */
int nje_spool_skip_text(struct span file, struct span *records_r, struct err *err);

/* Walks the wire records of a spool file. 1: a record; 0: clean end; -1: cut short (BAD_CONTENT). */
struct nje_spool_record {
    uint8_t srcb;
    struct span bytes;
};
int nje_spool_next(struct reader *from, struct nje_spool_record *record_r, struct err *err);

/* Walks logical records: header segments joined (prefix removed, sections only), spanned data joined, the length byte
 * and carriage control taken off. `scratch` holds a joined record until the next call. 1: a record; 0: clean end;
 * -1: BAD_CONTENT, or NO_MEMORY where `scratch` could not grow. */
struct nje_logical {
    uint8_t kind;     /* NJE_SRCB_NJH, _DSH, _NJT, or _DATA for every data record */
    uint8_t carriage; /* data: SRCB & 0x30: 00 none, 10 machine, 20 ASA, 30 CPDS */
    uint8_t control;  /* the carriage control byte where carriage != 0; one that was cut as a blank is given back */
    size_t lrecl;     /* data: stated length without the control byte, never less than bytes.size; data may be shorter:
                       * pad with X'40' */
    struct span bytes;
};
struct nje_logical_walk {
    struct reader from;
    struct buf *scratch;
    bool len_counts_cc; /* LEN counts the control byte: all but UnixNJE */
};
int nje_logical_next(struct nje_logical_walk *walk, struct nje_logical *logical_r, struct err *err);

/* One card or line without carriage control: length byte, then the data with trailing blanks cut (at least one byte is
 * kept: some receivers reject a record without data). What does not fit in NJE_SEGMENT_MAX bytes goes spanned, uncut
 * and blank-padded to `lrecl`. `ebcdic` longer than `lrecl` counts as `lrecl` of its own size; more than NJE_RECORD_MAX
 * latches `to->failed`. */
void nje_data_encode(struct buf *to, struct span ebcdic, size_t lrecl);

#endif
