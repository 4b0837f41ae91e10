/* NETDATA, layer one: segments, records, text units. The connector's ancestor looped for ever where a stream ended
 * without INMR06 (Q221929): here every step takes bytes or returns, and the early end is an error that says so. */
#include "codec/netdata.h"

enum {
    SEGMENT_HEADER = 2,
    SEGMENT_FIRST = 0x80,
    SEGMENT_LAST = 0x40,
    SEGMENT_CONTROL = 0x20,
    SEGMENT_NUMBER = 0x10,
    SEGMENT_NUMBER_ONLY = 0xF0, /* two bytes whatever its length says, as FUNET reads it */
    RECORD_ID_SIZE = 6,
    TRAILER = 6
};

/* "INMR0" */
static const uint8_t record_mark[] = { 0xC9, 0xD5, 0xD4, 0xD9, 0xF0 };

/* A control segment whose record is INMR0n; n, or 0. */
static unsigned control_at(struct span stream, size_t at)
{
    struct span segment = span_slice(stream, at, SEGMENT_HEADER + RECORD_ID_SIZE);
    if (segment.size < SEGMENT_HEADER + RECORD_ID_SIZE || segment.at[0] < segment.size ||
        (segment.at[1] & (SEGMENT_FIRST | SEGMENT_CONTROL)) != (SEGMENT_FIRST | SEGMENT_CONTROL))
        return 0;
    struct span id = span_slice(segment, SEGMENT_HEADER, RECORD_ID_SIZE);
    if (!span_starts_with(id, span_of(record_mark, sizeof record_mark)))
        return 0;
    uint8_t digit = id.at[RECORD_ID_SIZE - 1];
    return digit >= 0xF1 && digit <= 0xF9 ? digit - 0xF0U : 0;
}

/* Where the stream begins; SIZE_MAX where it does not. */
static size_t find_start(struct span stream)
{
    for (size_t at = 0; at < stream.size && at < NETDATA_JUNK_MAX; at++)
        if (control_at(stream, at) == 1)
            return at;
    return control_at(stream, 0) != 0 ? 0 : SIZE_MAX;
}

bool netdata_detect(struct span stream)
{
    return find_start(stream) != SIZE_MAX;
}

int netdata_open(struct netdata *netdata, struct span stream, struct err *err)
{
    *netdata = (struct netdata){ .from = reader_of(stream), .size = stream.size };
    netdata->joined.limit = NETDATA_RECORD_MAX;
    size_t start = find_start(stream);
    if (start == SIZE_MAX)
        return err_set(err, ERR_BAD_CONTENT, "no NETDATA: there is no INMR01 in the first %d bytes", NETDATA_JUNK_MAX);
    reader_skip(&netdata->from, start);
    return 0;
}

void netdata_close(struct netdata *netdata)
{
    buf_free(&netdata->joined);
}

static size_t offset(const struct netdata *netdata)
{
    return netdata->size - netdata->from.rest.size;
}

/* 1: a segment that carries data; -1: there is none any more. */
static int next_segment(struct netdata *netdata, uint8_t *flags_r, struct span *data_r, struct err *err)
{
    struct reader *from = &netdata->from;
    for (;;) {
        size_t at = offset(netdata);
        uint8_t size = reader_u8(from);
        uint8_t flags = reader_u8(from);
        if (from->failed || (size < SEGMENT_HEADER && flags != SEGMENT_NUMBER_ONLY))
            return err_set(err, ERR_BAD_CONTENT, "NETDATA is cut short: INMR06 is missing at byte %zu", at);
        if (flags == SEGMENT_NUMBER_ONLY)
            continue;
        struct span data = reader_take(from, size - (size_t)SEGMENT_HEADER);
        if (from->failed)
            return err_set(err, ERR_BAD_CONTENT, "NETDATA is cut short inside the segment at byte %zu", at);
        if ((flags & SEGMENT_NUMBER) != 0)
            continue; /* the number of the next record: nothing in it for us */
        *flags_r = flags;
        *data_r = data;
        return 1;
    }
}

static int parse_control(struct netdata *netdata, struct netdata_record *record, struct err *err)
{
    struct reader reader = reader_of(record->bytes);
    struct span id = reader_take(&reader, RECORD_ID_SIZE);
    if (span_starts_with(id, span_of(record_mark, sizeof record_mark)) && id.at[RECORD_ID_SIZE - 1] >= 0xF1 &&
        id.at[RECORD_ID_SIZE - 1] <= 0xF9)
        record->number = id.at[RECORD_ID_SIZE - 1] - 0xF0U;
    if (record->number == 2)
        record->file = reader_u32(&reader);
    if (reader.failed && record->number != 0)
        return err_set(err, ERR_BAD_CONTENT, "INMR02 at byte %zu has no file number", record->offset);
    record->bytes = reader.rest;
    netdata->ended = record->number == TRAILER;
    return 1;
}

int netdata_next(struct netdata *netdata, struct netdata_record *record_r, struct err *err)
{
    *record_r = (struct netdata_record){ .bytes = SPAN_EMPTY };
    if (netdata->ended)
        return 0;
    buf_clear(&netdata->joined);
    record_r->offset = offset(netdata);
    uint8_t flags = 0;
    struct span data = SPAN_EMPTY;
    if (next_segment(netdata, &flags, &data, err) != 1)
        return -1;
    if ((flags & SEGMENT_FIRST) == 0)
        return err_set(err, ERR_BAD_CONTENT, "the NETDATA record at byte %zu has no first segment", record_r->offset);
    record_r->control = (flags & SEGMENT_CONTROL) != 0;
    record_r->bytes = data;
    if ((flags & SEGMENT_LAST) == 0) {
        buf_add_span(&netdata->joined, data);
        do {
            if (next_segment(netdata, &flags, &data, err) != 1)
                return -1;
            if ((flags & SEGMENT_FIRST) != 0)
                return err_set(err, ERR_BAD_CONTENT, "the NETDATA record at byte %zu has no last segment",
                               record_r->offset);
            buf_add_span(&netdata->joined, data);
        } while ((flags & SEGMENT_LAST) == 0 && !netdata->joined.failed);
        if (netdata->joined.failed && netdata->joined.size + data.size > NETDATA_RECORD_MAX)
            return err_set(err, ERR_BAD_CONTENT, "the NETDATA record at byte %zu is longer than %d", record_r->offset,
                           NETDATA_RECORD_MAX);
        if (netdata->joined.failed)
            return err_set(err, ERR_NO_MEMORY, "no memory for a NETDATA record");
        record_r->bytes = buf_span(&netdata->joined);
    }
    return record_r->control ? parse_control(netdata, record_r, err) : 1;
}

int netdata_unit_next(struct reader *units, struct netdata_unit *unit_r, struct err *err)
{
    *unit_r = (struct netdata_unit){ .key = 0 };
    if (reader_at_end(units))
        return 0;
    unit_r->key = reader_u16(units);
    unit_r->count = reader_u16(units);
    struct span values = units->rest;
    for (unsigned i = 0; i < unit_r->count && !units->failed; i++)
        reader_skip(units, reader_u16(units));
    if (units->failed)
        return err_set(err, ERR_BAD_CONTENT, "NETDATA text unit %04X does not fit in its record", unit_r->key);
    unit_r->values = reader_of(span_slice(values, 0, values.size - units->rest.size));
    return 1;
}

bool netdata_value_next(struct netdata_unit *unit, struct span *value_r)
{
    *value_r = SPAN_EMPTY;
    if (reader_at_end(&unit->values))
        return false;
    uint16_t size = reader_u16(&unit->values);
    *value_r = reader_take(&unit->values, size);
    return !unit->values.failed;
}

bool netdata_number(struct span value, uint64_t *number_r)
{
    *number_r = 0;
    if (value.size == 0 || value.size > sizeof *number_r)
        return false;
    for (size_t i = 0; i < value.size; i++)
        *number_r = *number_r << 8 | value.at[i];
    return true;
}
