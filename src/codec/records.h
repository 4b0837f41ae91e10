/* records: host records in order, each with its own length.
 *
 * What a punch deck, a print file or a data set of a NETDATA stream is to the other codecs. NJE strips trailing blanks
 * (and the record then arrives shorter than stated), so records_add_padded gives them back.
 */
#ifndef OVVM_CODEC_RECORDS_H
#define OVVM_CODEC_RECORDS_H

#include "base/buf.h"

enum { CARD_COLUMNS = 80 };

/* All-zero is an empty list. `bytes.failed` latches where memory ended: look once, after the last record. */
struct records {
    struct buf bytes; /* each record: u32 length, bytes */
    size_t count;
};

void records_free(struct records *records);
void records_clear(struct records *records);
void records_add(struct records *records, struct span record);
/* Fills up with `pad` to `width`; a longer record stays as it is. */
void records_add_padded(struct records *records, struct span record, size_t width, uint8_t pad);
/* A record with a byte before it: the carriage control that NJE keeps beside a print line. */
void records_add_controlled(struct records *records, uint8_t control, struct span record);

static inline struct reader records_walk(const struct records *records)
{
    return reader_of(buf_span(&records->bytes));
}
/* The next record; false at the end. The span lives as long as the records are not added to. */
bool records_next(struct reader *walk, struct span *record_r);
/* The bytes of all records one after the other: the stream that was cut into cards. */
void records_join(const struct records *records, struct buf *to);
/* Cuts `stream` into records of `width`, the last one filled up with `pad`. */
void records_cut(struct records *records, struct span stream, size_t width, uint8_t pad);

#endif
