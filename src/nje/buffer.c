/* NJE buffers. Everything in them is under the neighbour's control: lengths live in single bytes, repeats expand up to
 * thirtyfold, and a stream record that is taken for another one loses or garbles a file. So every record expands into a
 * fixed room, and what does not fit ends the connection instead of being guessed at. */
#include "nje/buffer.h"

enum {
    SOH = 0x01,
    STX = 0x02,
    DLE = 0x10,
    ENQ = 0x2D,
    SYN = 0x32,
    NAK = 0x3D,
    ACK0 = 0x70,
    EBCDIC_BLANK = 0x40,
    SCB_END = 0x00,
    SCB_ABORT = 0x40,
    SCB_BLANKS = 0x80,
    SCB_REPEAT = 0xA0,
    SCB_LITERAL = 0xC0,
    SCB_KIND = 0xE0,
    SCB_REPEAT_MAX = 31,
    SCB_LITERAL_MAX = 63,
    BLANKS_WORTH = 2, /* shorter runs are no shorter compressed */
    REPEAT_WORTH = 3,
    CANCEL_REASON = 0xC2, /* SA32-0988 shows it after a receiver cancel; which byte is the SCB is not clear */
    BCB_KIND = 0xF0,
    BCB_NUMBER = 0x0F,
    BCB_DUPLICATE_REACH = 3,
    STREAM_LOW_SYSIN = 0x08,
    STREAM_LOW_SYSOUT = 0x09
};

const struct span nje_soh_enq = { .at = (const uint8_t[]){ SOH, ENQ }, .size = 2 };
const struct span nje_ack0 = { .at = (const uint8_t[]){ DLE, ACK0 }, .size = 2 };

int nje_stream_of(uint8_t rcb, bool *sysin_r)
{
    int stream = (rcb >> 4) - 8;
    uint8_t low = rcb & 0x0F;
    *sysin_r = low == STREAM_LOW_SYSIN;
    return (low == STREAM_LOW_SYSIN || low == STREAM_LOW_SYSOUT) && stream >= 1 ? stream : 0;
}

uint8_t nje_sysout_rcb(int stream)
{
    return (uint8_t)(((8 + stream) << 4) | STREAM_LOW_SYSOUT);
}

static bool starts(struct span payload, uint8_t first, uint8_t second)
{
    return payload.size >= 2 && payload.at[0] == first && payload.at[1] == second;
}

int nje_payload_decode(struct span payload, struct nje_payload *payload_r, struct err *err)
{
    *payload_r = (struct nje_payload){ .records = SPAN_EMPTY };
    struct reader reader = reader_of(payload);
    bool syn = false;
    while (reader.rest.size > 0 && reader.rest.at[0] == SYN) {
        syn = true;
        reader_skip(&reader, 1);
    }
    struct span rest = reader.rest;
    if (rest.size >= 1 && rest.at[0] == NAK) {
        payload_r->kind = syn ? NJE_PAYLOAD_SYN_NAK : NJE_PAYLOAD_NAK;
        return 0;
    }
    if (starts(rest, SOH, ENQ)) {
        payload_r->kind = NJE_PAYLOAD_SOH_ENQ;
        return 0;
    }
    if (starts(rest, DLE, ACK0)) {
        payload_r->kind = NJE_PAYLOAD_ACK0;
        return 0;
    }
    if (!starts(rest, DLE, STX))
        return err_set(err, ERR_PROTOCOL, "a buffer that starts with neither DLE STX nor a control sequence");
    reader_skip(&reader, 2);
    payload_r->kind = NJE_PAYLOAD_BUFFER;
    payload_r->bcb = reader_u8(&reader);
    payload_r->fcs = reader_u16(&reader);
    payload_r->records = reader.rest;
    if (reader.failed)
        return err_set(err, ERR_PROTOCOL, "a buffer of %zu bytes, too short for its BCB and FCS", payload.size);
    return 0;
}

enum nje_bcb_verdict nje_bcb_arrived(struct nje_bcb_count *count, uint8_t bcb)
{
    uint8_t number = bcb & BCB_NUMBER;
    switch (bcb & BCB_KIND) {
    case NJE_BCB_RESET:
        count->expected = number;
        count->duplicates = 0;
        return NJE_BCB_TAKE;
    case NJE_BCB_BYPASS:
        return NJE_BCB_TAKE;
    case NJE_BCB_NORMAL:
        break;
    default:
        return NJE_BCB_WRONG;
    }
    uint8_t behind = (count->expected - number) & BCB_NUMBER;
    if (behind == 0) {
        count->expected = (count->expected + 1) & BCB_NUMBER;
        count->duplicates = 0;
        return NJE_BCB_TAKE;
    }
    if (behind > BCB_DUPLICATE_REACH || ++count->duplicates > NJE_BCB_DUPLICATES_MAX)
        return NJE_BCB_WRONG;
    return NJE_BCB_DUPLICATE;
}

bool nje_fcs_wait(uint16_t fcs)
{
    return (fcs & 0x4000) != 0;
}

bool nje_fcs_sysout(uint16_t fcs, int stream)
{
    static const uint16_t bits[NJE_STREAMS] = { 0x0001, 0x0002, 0x0004, 0x0008, 0x0100, 0x0200, 0x0400 };
    return stream >= 1 && stream <= NJE_STREAMS && !nje_fcs_wait(fcs) && (fcs & bits[stream - 1]) != 0;
}

bool nje_fcs_console(uint16_t fcs)
{
    return !nje_fcs_wait(fcs) && (fcs & 0x0040) != 0;
}

void nje_record_walk_init(struct nje_record_walk *walk, struct span records)
{
    walk->rest = reader_of(records);
}

/* Expands up to and with the SCB that ends the record. */
static int expand(struct nje_record_walk *walk, struct nje_record *record, struct err *err)
{
    size_t size = 0;
    for (bool first = true;; first = false) {
        uint8_t scb = reader_u8(&walk->rest);
        if (walk->rest.failed)
            return err_set(err, ERR_PROTOCOL, "a record of RCB X'%02X' is not ended in its buffer", record->rcb);
        if (scb == SCB_END) {
            record->null = first;
            break;
        }
        if (scb == SCB_ABORT) {
            record->cancel = true;
            /* the SCB that ends the record may follow (UnixNJE, VM/370) */
            if (walk->rest.rest.size > 0 && walk->rest.rest.at[0] == SCB_END)
                reader_skip(&walk->rest, 1);
            break;
        }
        if (scb < SCB_BLANKS)
            return err_set(err, ERR_PROTOCOL, "SCB X'%02X' after %zu bytes of a record of RCB X'%02X'", scb, size,
                           record->rcb);
        bool literal = scb >= SCB_LITERAL;
        size_t count = literal ? scb & SCB_LITERAL_MAX : scb & SCB_REPEAT_MAX;
        if (count > sizeof walk->room - size)
            return err_set(err, ERR_PROTOCOL, "a record of RCB X'%02X' expands to more than %zu bytes", record->rcb,
                           sizeof walk->room);
        if (literal) {
            struct span bytes = reader_take(&walk->rest, count);
            if (bytes.size > 0)
                memcpy(walk->room + size, bytes.at, bytes.size);
        } else {
            memset(walk->room + size, (scb & SCB_KIND) == SCB_REPEAT ? reader_u8(&walk->rest) : EBCDIC_BLANK, count);
        }
        size += count;
    }
    record->bytes = span_of(walk->room, size);
    return 0;
}

int nje_record_next(struct nje_record_walk *walk, struct nje_record *record_r, struct err *err)
{
    *record_r = (struct nje_record){ .bytes = SPAN_EMPTY };
    if (walk->rest.rest.size == 0)
        return 0;
    record_r->rcb = reader_u8(&walk->rest);
    if (record_r->rcb == NJE_RCB_END) {
        walk->rest = reader_of(SPAN_EMPTY); /* whatever follows means nothing */
        return 0;
    }
    record_r->srcb = reader_u8(&walk->rest);
    if (walk->rest.failed)
        return err_set(err, ERR_PROTOCOL, "the buffer ends after RCB X'%02X'", record_r->rcb);
    if (record_r->rcb == NJE_RCB_GENERAL) {
        record_r->bytes = reader_take(&walk->rest, walk->rest.rest.size);
        return 1;
    }
    bool tail = walk->rest.rest.size == 0 || walk->rest.rest.at[0] == CANCEL_REASON;
    if (record_r->rcb == NJE_RCB_NEGATIVE && tail) {
        walk->rest = reader_of(SPAN_EMPTY);
        return 1;
    }
    if (expand(walk, record_r, err) == -1)
        return -1;
    bool sysin;
    if (record_r->srcb == NJE_SRCB_CANCEL && nje_stream_of(record_r->rcb, &sysin) != 0)
        record_r->cancel = true;
    return 1;
}

static size_t run_length(struct span bytes, size_t at)
{
    size_t end = at + 1;
    while (end < bytes.size && bytes.at[end] == bytes.at[at])
        end++;
    return end - at;
}

static bool worth(struct span bytes, size_t at, size_t run)
{
    return run >= (bytes.at[at] == EBCDIC_BLANK ? (size_t)BLANKS_WORTH : (size_t)REPEAT_WORTH);
}

static void add_literal(struct buf *to, struct span bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        struct span piece = span_slice(bytes, at, SCB_LITERAL_MAX);
        buf_add_u8(to, (uint8_t)(SCB_LITERAL | piece.size));
        buf_add_span(to, piece);
        at += piece.size;
    }
}

static void add_run(struct buf *to, uint8_t byte, size_t run)
{
    while (run > 0) {
        size_t count = run < SCB_REPEAT_MAX ? run : SCB_REPEAT_MAX;
        buf_add_u8(to, (uint8_t)((byte == EBCDIC_BLANK ? SCB_BLANKS : SCB_REPEAT) | count));
        if (byte != EBCDIC_BLANK)
            buf_add_u8(to, byte);
        run -= count;
    }
}

void nje_scb_compress(struct buf *to, struct span bytes)
{
    size_t literal = 0; /* where the literal that is not written yet starts */
    size_t at = 0;
    while (at < bytes.size) {
        size_t run = run_length(bytes, at);
        if (worth(bytes, at, run)) {
            add_literal(to, span_slice(bytes, literal, at - literal));
            add_run(to, bytes.at[at], run);
            literal = at + run;
        }
        at += run;
    }
    add_literal(to, span_slice(bytes, literal, at - literal));
    buf_add_u8(to, SCB_END);
}

void nje_buffer_head(struct buf *to, uint8_t bcb)
{
    buf_add_u8(to, DLE);
    buf_add_u8(to, STX);
    buf_add_u8(to, bcb);
    buf_add_u16(to, NJE_FCS_NORMAL);
}

void nje_buffer_record(struct buf *to, uint8_t rcb, uint8_t srcb, struct span bytes)
{
    buf_add_u8(to, rcb);
    buf_add_u8(to, srcb);
    nje_scb_compress(to, bytes);
}

void nje_buffer_end(struct buf *to)
{
    buf_add_u8(to, NJE_RCB_END);
}
