/* Spool files: the form in which an NJE file rests in the ledger between the link and the translators.
 *
 * What can go wrong: the bytes come from a neighbour (or from a file that somebody edited), so lengths may lie at every
 * level: the record's, the header segment's, the data record's own. Nothing here reads beyond its record; what cannot
 * be joined is BAD_CONTENT that says where, and the file is still there to be quarantined and looked at.
 */
#include "nje/spoolfile.h"

#include "codec/ebcdic.h"

enum {
    SPOOL_LENGTH_MAX = 65535,
    PREFIX_SIZE = 4,               /* of a header segment: LEN(2) FLAGS(1) SEQ(1) */
    SEQ_MORE = 0x80,               /* more segments follow */
    SEQ_NUMBER = 0x7F,             /* this one's number, from 0 */
    HEADER_MAX = 128 * 256,        /* as many segments as SEQ can number */
    SRCB_KIND = 0xC0,              /* of a data record: 80 */
    SRCB_CARRIAGE = 0x30,          /* SA32-0988 SRCB: cc */
    SRCB_SPAN = 0x0C,              /* SA32-0988 SRCB: ss */
    SPAN_FIRST = 0x08,             /* first segment of a spanned record */
    SPAN_MIDDLE = 0x04,            /* neither first nor last */
    SPAN_LAST = 0x0C,              /* last segment */
    MACHINE_WRITE_SPACE_1 = 0x09,  /* machine carriage control: write, then one line */
    FIRST_SEGMENT_OVERHEAD = 1 + 2 /* SEGL LRECL */
};

void nje_spool_put(struct buf *to, uint8_t srcb, struct span bytes)
{
    if (bytes.size > SPOOL_LENGTH_MAX - 1) {
        to->failed = true;
        return;
    }
    if (!buf_reserve(to, 3 + bytes.size))
        return; /* a record is there whole or not at all */
    buf_add_u16(to, (uint16_t)(bytes.size + 1));
    buf_add_u8(to, srcb);
    buf_add_span(to, bytes);
}

int nje_spool_skip_text(struct span file, struct span *records_r, struct err *err)
{
    *records_r = file;
    /* a record's length begins with a byte far below any letter: a job header segment has at most 260 bytes */
    if (file.size == 0 || file.at[0] < 'A' || file.at[0] > 'Z')
        return 0;
    struct reader reader = reader_of(file);
    while (!reader_at_end(&reader)) {
        struct span line = reader_until(&reader, '\n');
        if (!span_starts_with(line, SPAN_LITERAL("END:")))
            continue;
        *records_r = reader.rest;
        return 0;
    }
    *records_r = SPAN_EMPTY;
    return err_set(err, ERR_BAD_CONTENT, "spool file: the text at its beginning has no END: line");
}

int nje_spool_next(struct reader *from, struct nje_spool_record *record_r, struct err *err)
{
    *record_r = (struct nje_spool_record){ .bytes = SPAN_EMPTY };
    if (from->failed)
        return err_set(err, ERR_BAD_CONTENT, "spool file: cut short");
    if (from->rest.size == 0)
        return 0;
    size_t left = from->rest.size;
    uint16_t length = reader_u16(from);
    struct span rest = reader_take(from, length);
    if (from->failed)
        return err_set(err, ERR_BAD_CONTENT, "spool file: cut short, %zu bytes before its end", left);
    if (rest.size == 0) {
        from->failed = true;
        return err_set(err, ERR_BAD_CONTENT, "spool file: a record of length 0, %zu bytes before the end", left);
    }
    record_r->srcb = rest.at[0];
    record_r->bytes = span_slice(rest, 1, rest.size);
    return 1;
}

static const char *kind_name(uint8_t kind)
{
    switch (kind) {
    case NJE_SRCB_NJH:
        return "job header";
    case NJE_SRCB_DSH:
        return "data set header";
    default:
        return "job trailer";
    }
}

/* One segment of a header: its body without the prefix. */
static int header_segment(const struct nje_spool_record *record, unsigned number, struct span *body_r, bool *more_r,
                          struct err *err)
{
    const char *name = kind_name(record->srcb);
    struct reader reader = reader_of(record->bytes);
    uint16_t length = reader_u16(&reader);
    reader_skip(&reader, 1);
    uint8_t sequence = reader_u8(&reader);
    if (reader.failed || length < PREFIX_SIZE || length > record->bytes.size)
        return err_set(err, ERR_BAD_CONTENT, "%s segment %u: its prefix says %u bytes, the record has %zu", name,
                       number, length, record->bytes.size);
    if ((sequence & SEQ_NUMBER) != number)
        return err_set(err, ERR_BAD_CONTENT, "%s: segment %u where segment %u is due", name, sequence & SEQ_NUMBER,
                       number);
    *body_r = span_slice(record->bytes, PREFIX_SIZE, length - PREFIX_SIZE);
    *more_r = (sequence & SEQ_MORE) != 0;
    return 0;
}

static int header_join(struct nje_logical_walk *walk, const struct nje_spool_record *first,
                       struct nje_logical *logical_r, struct err *err)
{
    struct span body;
    bool more;
    logical_r->kind = first->srcb;
    if (header_segment(first, 0, &body, &more, err) == -1)
        return -1;
    if (!more) {
        logical_r->bytes = body;
        return 1;
    }
    buf_clear(walk->scratch);
    buf_add_span(walk->scratch, body);
    for (unsigned number = 1; more; number++) {
        struct nje_spool_record next;
        int found = nje_spool_next(&walk->from, &next, err);
        if (found == -1)
            return -1;
        if (found == 0 || next.srcb != first->srcb)
            return err_set(err, ERR_BAD_CONTENT, "%s: segment %u is missing", kind_name(first->srcb), number);
        if (header_segment(&next, number, &body, &more, err) == -1)
            return -1;
        if (walk->scratch->size + body.size > HEADER_MAX)
            return err_set(err, ERR_BAD_CONTENT, "%s: more than %d bytes", kind_name(first->srcb), HEADER_MAX);
        buf_add_span(walk->scratch, body);
    }
    if (walk->scratch->failed)
        return err_set(err, ERR_NO_MEMORY, "no memory to join a %s", kind_name(first->srcb));
    logical_r->bytes = buf_span(walk->scratch);
    return 1;
}

/* Takes the carriage control off `data` (data behind the length byte) and settles the stated length.
 * A sender that counts the control byte states data + 1, one that does not (UnixNJE) states data; no byte that came is
 * dropped because a neighbour turned out to be of the other kind. */
static void data_settle(const struct nje_logical_walk *walk, uint8_t srcb, struct span data, size_t stated,
                        struct nje_logical *logical_r)
{
    logical_r->kind = NJE_SRCB_DATA;
    logical_r->carriage = srcb & SRCB_CARRIAGE;
    if (logical_r->carriage != 0) {
        /* a record may have lost its trailing blanks, control byte included */
        uint8_t cut =
            (srcb & SRCB_CARRIAGE) == (NJE_SRCB_DATA_ASA & SRCB_CARRIAGE) ? EBCDIC_BLANK : MACHINE_WRITE_SPACE_1;
        logical_r->control = data.size > 0 ? data.at[0] : cut;
        data = span_slice(data, 1, data.size);
        if (walk->len_counts_cc && stated > 0)
            stated--;
    }
    logical_r->bytes = data;
    logical_r->lrecl = stated > data.size ? stated : data.size;
}

static int data_whole(const struct nje_logical_walk *walk, const struct nje_spool_record *record,
                      struct nje_logical *logical_r)
{
    struct reader reader = reader_of(record->bytes);
    uint8_t length = reader_u8(&reader);
    size_t most = (record->srcb & SRCB_CARRIAGE) != 0 ? (size_t)length + 1 : length;
    data_settle(walk, record->srcb, span_slice(reader.rest, 0, most), length, logical_r);
    return 1;
}

/* Appends one segment of a spanned record; one that lost trailing blanks gets them back, or what follows would move to
 * the left. */
static void span_add(struct buf *to, struct span data, uint8_t segl)
{
    struct span taken = span_slice(data, 0, segl);
    buf_add_span(to, taken);
    buf_add_fill(to, EBCDIC_BLANK, segl - taken.size);
}

static int data_join(struct nje_logical_walk *walk, const struct nje_spool_record *first, struct nje_logical *logical_r,
                     struct err *err)
{
    if ((first->srcb & SRCB_SPAN) != SPAN_FIRST)
        return err_set(err, ERR_BAD_CONTENT, "data: a later segment of a spanned record (SRCB %02X) without the first",
                       first->srcb);
    struct reader reader = reader_of(first->bytes);
    uint8_t segl = reader_u8(&reader);
    uint16_t lrecl = reader_u16(&reader);
    if (reader.failed)
        return err_set(err, ERR_BAD_CONTENT, "data: the first segment of a spanned record has %zu bytes",
                       first->bytes.size);
    buf_clear(walk->scratch);
    span_add(walk->scratch, reader.rest, segl);
    for (bool last = false; !last;) {
        struct nje_spool_record next;
        int found = nje_spool_next(&walk->from, &next, err);
        if (found == -1)
            return -1;
        uint8_t span = next.srcb & SRCB_SPAN;
        if (found == 0 || ((next.srcb ^ first->srcb) & (SRCB_KIND | SRCB_CARRIAGE)) != 0 ||
            (span != SPAN_MIDDLE && span != SPAN_LAST))
            return err_set(err, ERR_BAD_CONTENT, "data: a spanned record of %u bytes has no last segment", lrecl);
        reader = reader_of(next.bytes);
        segl = reader_u8(&reader);
        if (walk->scratch->size + segl > NJE_RECORD_MAX + 1)
            return err_set(err, ERR_BAD_CONTENT, "data: a spanned record of more than %d bytes", NJE_RECORD_MAX);
        span_add(walk->scratch, reader.rest, segl);
        last = span == SPAN_LAST;
    }
    if (walk->scratch->failed)
        return err_set(err, ERR_NO_MEMORY, "no memory to join a record of %u bytes", lrecl);
    data_settle(walk, first->srcb, buf_span(walk->scratch), lrecl, logical_r);
    return 1;
}

int nje_logical_next(struct nje_logical_walk *walk, struct nje_logical *logical_r, struct err *err)
{
    *logical_r = (struct nje_logical){ .bytes = SPAN_EMPTY };
    struct nje_spool_record record;
    int found = nje_spool_next(&walk->from, &record, err);
    if (found != 1)
        return found;
    switch (record.srcb) {
    case NJE_SRCB_NJH:
    case NJE_SRCB_DSH:
    case NJE_SRCB_NJT:
        return header_join(walk, &record, logical_r, err);
    default:
        break;
    }
    if ((record.srcb & SRCB_KIND) != NJE_SRCB_DATA)
        return err_set(err, ERR_BAD_CONTENT, "spool file: a record with SRCB %02X, which is neither header nor data",
                       record.srcb);
    if ((record.srcb & SRCB_SPAN) == 0)
        return data_whole(walk, &record, logical_r);
    return data_join(walk, &record, logical_r, err);
}

static void data_encode_spanned(struct buf *to, struct span ebcdic, size_t lrecl)
{
    struct buf padded = { 0 };
    buf_add_span(&padded, ebcdic);
    buf_add_fill(&padded, EBCDIC_BLANK, lrecl - ebcdic.size);
    if (padded.failed)
        to->failed = true;
    struct buf segment = { 0 };
    struct reader reader = reader_of(buf_span(&padded));
    for (bool first = true; !reader_at_end(&reader); first = false) {
        size_t most = first ? NJE_SEGMENT_MAX - FIRST_SEGMENT_OVERHEAD : NJE_SEGMENT_MAX - 1;
        size_t size = reader.rest.size < most ? reader.rest.size : most;
        buf_clear(&segment);
        buf_add_u8(&segment, (uint8_t)size);
        if (first)
            buf_add_u16(&segment, (uint16_t)lrecl);
        buf_add_span(&segment, reader_take(&reader, size));
        if (segment.failed)
            to->failed = true;
        int span = first ? SPAN_FIRST : reader.rest.size == 0 ? SPAN_LAST : SPAN_MIDDLE;
        nje_spool_put(to, (uint8_t)(NJE_SRCB_DATA | span), buf_span(&segment));
    }
    buf_free(&segment);
    buf_free(&padded);
}

void nje_data_encode(struct buf *to, struct span ebcdic, size_t lrecl)
{
    if (lrecl < ebcdic.size)
        lrecl = ebcdic.size;
    if (lrecl > NJE_RECORD_MAX) {
        to->failed = true;
        return;
    }
    struct span cut = span_trim_end(ebcdic, EBCDIC_BLANK);
    if (lrecl > UINT8_MAX || cut.size > NJE_SEGMENT_MAX - 1) {
        data_encode_spanned(to, ebcdic, lrecl);
        return;
    }
    uint8_t record[NJE_SEGMENT_MAX] = { (uint8_t)lrecl, EBCDIC_BLANK };
    for (size_t i = 0; i < cut.size; i++)
        record[1 + i] = cut.at[i];
    size_t size = cut.size > 0 ? cut.size : lrecl > 0;
    nje_spool_put(to, NJE_SRCB_DATA, span_of(record, 1 + size));
}
