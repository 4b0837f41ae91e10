/* Receivers are strict where we are liberal: VM/370 CE reads a control record from one segment only and trusts INMR03,
 * NJE38 refuses any order but its own and any key it does not know, CMS cannot hold an empty record. So the order of
 * text units below is not taste: it is each host's own. */
#include "codec/netdata_send.h"

#include "codec/date.h"
#include "codec/ebcdic.h"

enum {
    SEGMENT_DATA_MAX = 253,
    WHOLE_CONTROL = 0xE0,
    FIRST = 0x80,
    LAST = 0x40,
    TRANSPORT_LRECL = 80,
    RECFM_V_CMS = NETDATA_WITHOUT_RDW,
    RECFM_FB = NETDATA_F | NETDATA_BLOCKED,
    RECFM_VB = NETDATA_V | NETDATA_BLOCKED,
    RDW = 4,
    TSO_BLOCK = 3120,
    SIZE_STEP = 4096 /* INMSIZE is approximate: whole blocks */
};

static void add_text(struct buf *to, const char *text)
{
    for (; *text != '\0'; text++)
        buf_add_u8(to, latin1_to_ebcdic_037[(uint8_t)*text]);
}

static void begin_unit(struct buf *record, enum netdata_key key, unsigned count)
{
    buf_add_u16(record, (uint16_t)key);
    buf_add_u16(record, (uint16_t)count);
}

static void add_value(struct buf *record, const char *text)
{
    buf_add_u16(record, (uint16_t)strlen(text));
    add_text(record, text);
}

static void unit_text(struct buf *record, enum netdata_key key, const char *text)
{
    begin_unit(record, key, 1);
    add_value(record, text);
}

static void unit_number(struct buf *record, enum netdata_key key, uint64_t number, unsigned size)
{
    begin_unit(record, key, 1);
    buf_add_u16(record, (uint16_t)size);
    if (size == sizeof(uint16_t))
        buf_add_u16(record, (uint16_t)number);
    else if (size == sizeof(uint32_t))
        buf_add_u32(record, (uint32_t)number);
    else
        buf_add_u64(record, number);
}

static void unit_time(struct buf *record, enum netdata_key key, int64_t us)
{
    struct buf digits = { 0 };
    date_format_netdata(us, &digits);
    buf_add_u8(&digits, '\0');
    if (digits.failed)
        record->failed = true;
    else
        unit_text(record, key, (const char *)digits.at);
    buf_free(&digits);
}

static void add_control(struct buf *to, const struct buf *record)
{
    /* At most 6 names of 8, 3 qualifiers and a few numbers: far below one segment, and CE needs that. */
    buf_add_u8(to, (uint8_t)(record->size + 2));
    buf_add_u8(to, WHOLE_CONTROL);
    buf_add_span(to, buf_span(record));
    to->failed |= record->failed || record->size > SEGMENT_DATA_MAX;
}

static void begin_control(struct buf *record, const char *id)
{
    buf_clear(record);
    add_text(record, id);
}

static void add_data(struct buf *to, struct span data)
{
    static const uint8_t blank = EBCDIC_BLANK;
    if (data.size == 0)
        data = span_of(&blank, 1);
    uint8_t flags = FIRST;
    while (data.size > 0) {
        struct span segment = span_slice(data, 0, SEGMENT_DATA_MAX);
        data = span_slice(data, segment.size, SIZE_MAX);
        flags |= data.size == 0 ? LAST : 0;
        buf_add_u8(to, (uint8_t)(segment.size + 2));
        buf_add_u8(to, flags);
        buf_add_span(to, segment);
        flags = 0;
    }
}

static void add_lines(struct buf *to, const struct records *records, size_t fixed_lrecl)
{
    struct reader walk = records_walk(records);
    struct span record;
    struct buf full = { 0 };
    while (records_next(&walk, &record)) {
        if (record.size < fixed_lrecl) {
            buf_clear(&full);
            buf_add_span(&full, record);
            buf_add_fill(&full, EBCDIC_BLANK, fixed_lrecl - record.size);
            to->failed |= full.failed;
            record = buf_span(&full);
        }
        add_data(to, record);
    }
    buf_free(&full);
    to->failed |= records->bytes.failed;
}

static void add_header(struct buf *to, struct buf *record, const struct netdata_route *route, unsigned files)
{
    begin_control(record, "INMR01");
    unit_number(record, INMLRECL, TRANSPORT_LRECL, 2);
    unit_text(record, INMFNODE, route->from_node.text);
    unit_text(record, INMFUID, route->from_user.text);
    unit_text(record, INMTNODE, route->to_node.text);
    unit_text(record, INMTUID, route->to_user.text);
    unit_time(record, INMFTIME, route->time_us);
    if (files > 0)
        unit_number(record, INMNUMF, files, 4);
    if (files > 0 && route->ack_wanted)
        begin_unit(record, INMFACK, 0);
    add_control(to, record);
}

static void add_trailer(struct buf *to, struct buf *record)
{
    begin_control(record, "INMR06");
    add_control(to, record);
}

/* What the records of an item need. */
struct shape {
    size_t lrecl;
    uint64_t size; /* INMSIZE */
};

static int measure(const struct netdata_item *item, struct shape *shape_r, struct err *err)
{
    *shape_r = (struct shape){ .lrecl = item->lrecl };
    size_t longest = 0;
    uint64_t bytes = 0;
    struct reader walk = records_walk(item->records);
    struct span record;
    while (records_next(&walk, &record)) {
        longest = record.size > longest ? record.size : longest;
        bytes += record.size;
    }
    if (item->fixed && item->lrecl != 0 && longest > item->lrecl)
        return err_set(err, ERR_BUG, "a record of %zu bytes does not fit in %s %s of LRECL %zu", longest,
                       item->name.text, item->type.text, item->lrecl);
    if (shape_r->lrecl < longest)
        shape_r->lrecl = longest;
    if (shape_r->lrecl == 0)
        shape_r->lrecl = 1;
    uint64_t steps = bytes / SIZE_STEP + (bytes % SIZE_STEP != 0 || bytes == 0);
    shape_r->size = steps * SIZE_STEP > UINT32_MAX ? UINT32_MAX : steps * SIZE_STEP;
    return 0;
}

static void begin_utility(struct buf *record, uint32_t file)
{
    begin_control(record, "INMR02");
    buf_add_u32(record, file);
}

/* What follows INMR02 in CMS form. CMS itself ignores it and always sends 80/0001; CE believes it. */
static void add_cms_data_header(struct buf *to, struct buf *record, size_t lrecl, unsigned recfm)
{
    begin_control(record, "INMR03");
    unit_number(record, INMSIZE, 0, 8);
    unit_number(record, INMDSORG, NETDATA_SEQUENTIAL, 2);
    unit_number(record, INMLRECL, lrecl, 4);
    unit_number(record, INMRECFM, recfm, 2);
    add_control(to, record);
}

static void add_cms_note(struct buf *to, struct buf *record, const struct records *message)
{
    begin_utility(record, 1);
    unit_number(record, INMSIZE, 0, 8);
    unit_number(record, INMDSORG, NETDATA_SEQUENTIAL, 2);
    unit_number(record, INMLRECL, NETDATA_NOTE_LRECL, 4);
    unit_text(record, INMUTILN, "INMCOPY");
    unit_number(record, INMRECFM, RECFM_V_CMS, 2);
    begin_unit(record, INMTERM, 0);
    add_control(to, record);
    add_cms_data_header(to, record, TRANSPORT_LRECL, NETDATA_SHORTENED);
    add_lines(to, message, 0);
}

static void add_cms_file(struct buf *to, struct buf *record, enum netdata_dialect dialect,
                         const struct netdata_item *item, const struct shape *shape)
{
    unsigned recfm = item->fixed ? NETDATA_F : RECFM_V_CMS;
    begin_utility(record, 1);
    unit_number(record, INMSIZE, shape->size, 4);
    unit_number(record, INMDSORG, NETDATA_SEQUENTIAL, 2);
    unit_number(record, INMLRECL, shape->lrecl, 4);
    unit_text(record, INMUTILN, "INMCOPY");
    unit_number(record, INMRECFM, recfm, 2);
    begin_unit(record, INMDSNAM, 3);
    add_value(record, "A");
    add_value(record, item->name.text);
    add_value(record, item->type.text);
    unit_text(record, INMFFM, "1");
    unit_time(record, INMLCHG, item->changed_us);
    add_control(to, record);
    if (dialect == NETDATA_CE)
        add_cms_data_header(to, record, shape->lrecl, recfm);
    else
        add_cms_data_header(to, record, TRANSPORT_LRECL, NETDATA_SHORTENED);
    add_lines(to, item->records, item->fixed ? shape->lrecl : 0);
}

static void add_tso_message(struct buf *to, struct buf *record)
{
    begin_utility(record, 1);
    unit_text(record, INMUTILN, "INMCOPY");
    unit_number(record, INMSIZE, 0, 4);
    unit_number(record, INMDSORG, NETDATA_SEQUENTIAL, 2);
    unit_number(record, INMLRECL, NETDATA_MESSAGE_LRECL, 4);
    unit_number(record, INMRECFM, RECFM_VB | NETDATA_WITHOUT_RDW, 2);
    begin_unit(record, INMTERM, 0);
    add_control(to, record);
}

static void add_data_set(struct buf *to, struct buf *record, const struct netdata_route *route,
                         const struct netdata_item *item, const struct shape *shape, uint32_t file)
{
    size_t lrecl = item->fixed ? shape->lrecl : shape->lrecl + RDW; /* MVS counts the RDW, NETDATA does not carry it */
    size_t block = item->fixed ? TSO_BLOCK / lrecl * lrecl : TSO_BLOCK;
    size_t least = item->fixed ? lrecl : lrecl + RDW;
    begin_utility(record, file);
    unit_text(record, INMUTILN, "INMCOPY");
    unit_number(record, INMSIZE, shape->size, 4);
    unit_number(record, INMDSORG, NETDATA_SEQUENTIAL, 2);
    unit_number(record, INMLRECL, lrecl, 4);
    unit_number(record, INMBLKSZ, block < least ? least : block, 4);
    unit_number(record, INMRECFM, item->fixed ? RECFM_FB : RECFM_VB, 2);
    begin_unit(record, INMDSNAM, 3);
    add_value(record, route->from_user.text);
    add_value(record, item->name.text);
    add_value(record, item->type.text);
    add_control(to, record);
}

static void add_tso_data_header(struct buf *to, struct buf *record)
{
    begin_control(record, "INMR03");
    unit_number(record, INMSIZE, 0, 4);
    unit_number(record, INMDSORG, NETDATA_SEQUENTIAL, 2);
    unit_number(record, INMLRECL, TRANSPORT_LRECL, 4);
    unit_number(record, INMRECFM, NETDATA_SHORTENED, 2);
    add_control(to, record);
}

/* All INMR02 come before the first INMR03, and each file has an INMR03 of its own. */
static void add_tso(struct buf *to, struct buf *record, const struct netdata_route *route,
                    const struct records *message, const struct netdata_item *item, const struct shape *shape)
{
    if (message != NULL)
        add_tso_message(to, record);
    if (item != NULL)
        add_data_set(to, record, route, item, shape, message != NULL ? 2 : 1);
    if (message != NULL) {
        add_tso_data_header(to, record);
        add_lines(to, message, 0);
    }
    if (item != NULL) {
        add_tso_data_header(to, record);
        add_lines(to, item->records, item->fixed ? shape->lrecl : 0);
    }
}

static int check(enum netdata_dialect dialect, const struct netdata_route *route, const struct records *message,
                 const struct netdata_item *item, struct err *err)
{
    if (message == NULL && item == NULL)
        return err_set(err, ERR_BUG, "nothing to send as NETDATA");
    if (message != NULL && (dialect == NETDATA_CE || dialect == NETDATA_NJE38))
        return err_set(err, ERR_BUG, "this host takes no NETDATA message");
    if (message != NULL && item != NULL && dialect != NETDATA_TSO)
        return err_set(err, ERR_BUG, "a note and a file are two NETDATA streams on this host");
    if (name8_empty(route->from_node) || name8_empty(route->from_user) || name8_empty(route->to_node) ||
        name8_empty(route->to_user))
        return err_set(err, ERR_BUG, "NETDATA needs both nodes and both users");
    if (item != NULL && (name8_empty(item->name) || name8_empty(item->type)))
        return err_set(err, ERR_BUG, "a NETDATA file needs a name and a type");
    return 0;
}

int netdata_encode(enum netdata_dialect dialect, const struct netdata_route *route, const struct records *message,
                   const struct netdata_item *item, struct buf *to, struct err *err)
{
    struct shape shape = { .lrecl = 0 };
    if (check(dialect, route, message, item, err) != 0 || (item != NULL && measure(item, &shape, err) != 0))
        return -1;
    struct netdata_route header = *route;
    header.ack_wanted &= dialect != NETDATA_NJE38;
    struct buf record = { 0 };
    add_header(to, &record, &header, message != NULL && item != NULL ? 2 : 1);
    if (dialect == NETDATA_TSO || dialect == NETDATA_NJE38)
        add_tso(to, &record, route, message, item, &shape);
    else if (item != NULL)
        add_cms_file(to, &record, dialect, item, &shape);
    else
        add_cms_note(to, &record, message);
    add_trailer(to, &record);
    buf_free(&record);
    return to->failed ? err_set(err, ERR_NO_MEMORY, "no memory for a NETDATA stream") : 0;
}

/* What the acknowledgement speaks of: the first data set of the original, else its message. */
static void add_about(struct buf *record, const struct netdata_stream *original)
{
    const struct netdata_file *file = NULL;
    for (size_t i = 0; i < original->file_count && file == NULL; i++)
        if (!original->files[i].message && original->files[i].qualifiers > 0)
            file = &original->files[i];
    if (file == NULL) {
        begin_unit(record, INMTERM, 0);
        return;
    }
    begin_unit(record, INMDSNAM, (unsigned)file->qualifiers);
    for (size_t i = 0; i < file->qualifiers; i++)
        add_value(record, file->qualifier[i]);
    if (file->mode_number != '\0')
        unit_text(record, INMFFM, (const char[]){ file->mode_number, '\0' });
}

int netdata_encode_ack(const struct netdata_stream *original, int64_t time_us, const char *error_text, struct buf *to,
                       struct err *err)
{
    if (original->is_ack)
        return err_set(err, ERR_BUG, "an acknowledgement is not acknowledged");
    if (name8_empty(original->from_node) || name8_empty(original->from_user))
        return err_set(err, ERR_BAD_CONTENT, "this NETDATA does not say who would get its acknowledgement");
    struct netdata_route route = { .from_node = original->to_node,
                                   .from_user = original->to_user,
                                   .to_node = original->from_node,
                                   .to_user = original->from_user,
                                   .time_us = time_us };
    struct buf record = { 0 };
    add_header(to, &record, &route, 0);
    begin_control(&record, "INMR07");
    unit_text(&record, INMFTIME, original->time);
    add_about(&record, original);
    if (original->ack_id_size > 0) {
        begin_unit(&record, INMFACK, 1);
        buf_add_u16(&record, (uint16_t)original->ack_id_size);
        buf_add(&record, original->ack_id, original->ack_id_size);
    }
    if (error_text != NULL)
        unit_text(&record, INMERRCD, error_text);
    bool fits = record.size <= SEGMENT_DATA_MAX;
    if (fits) {
        add_control(to, &record);
        add_trailer(to, &record);
    }
    bool failed = to->failed || record.failed;
    buf_free(&record);
    if (!fits)
        return err_set(err, ERR_BAD_CONTENT, "the names of what is acknowledged do not fit in one INMR07");
    return failed ? err_set(err, ERR_NO_MEMORY, "no memory for an acknowledgement") : 0;
}

void netdata_cards(struct span stream, struct records *cards)
{
    records_cut(cards, stream, CARD_COLUMNS, 0x00);
}
