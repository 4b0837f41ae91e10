/* NETDATA, layer two: from control records to files. Text units are taken by key wherever they stand; INMR02 are
 * grouped by their file number and data by INMR03, because senders differ in both orders (netdata.md §1.2). */
#include "base/mem.h"
#include "codec/date.h"
#include "codec/ebcdic.h"
#include "codec/netdata.h"

struct decoding {
    struct netdata_stream *stream;
    size_t data_files; /* INMR03 (or data without one) seen so far */
};

/* Characters in code page 037 as ASCII; what is no printable ASCII becomes '?'. */
static void take_text(struct span value, char *to_r, size_t room)
{
    value = span_trim_end(value, EBCDIC_BLANK);
    size_t size = value.size < room - 1 ? value.size : room - 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t letter = ebcdic_037_to_latin1[value.at[i]];
        to_r[i] = letter >= 0x20 && letter < 0x7F ? (char)letter : '?';
    }
    to_r[size] = '\0';
}

static unsigned take_bits(struct span value)
{
    uint64_t number;
    return netdata_number(value, &number) && number <= UINT16_MAX ? (unsigned)number : 0;
}

static void take_name(struct netdata_stream *stream, struct span value, struct name8 *name)
{
    if (!name8_from_ebcdic(value, name))
        stream->names_bad = true;
}

static void take_ack_id(struct netdata_stream *stream, struct span value)
{
    stream->ack_id_size = value.size < NETDATA_ACK_ID_MAX ? value.size : NETDATA_ACK_ID_MAX;
    memcpy(stream->ack_id, value.at, stream->ack_id_size);
}

static void take_qualifiers(struct netdata_file *file, struct netdata_unit *unit, struct span value)
{
    file->qualifiers = 0;
    bool more = unit->count > 0;
    while (more && file->qualifiers < NETDATA_QUALIFIERS_MAX) {
        take_text(value, file->qualifier[file->qualifiers], NETDATA_QUALIFIER_SIZE);
        file->qualifiers++;
        more = netdata_value_next(unit, &value);
    }
}

/* INMR01 and INMR07 */
static void take_header_unit(struct netdata_stream *stream, struct netdata_unit *unit, struct span value, bool ack)
{
    switch (unit->key) {
    case INMFNODE:
        take_name(stream, value, &stream->from_node);
        break;
    case INMFUID:
        take_name(stream, value, &stream->from_user);
        break;
    case INMTNODE:
        take_name(stream, value, &stream->to_node);
        break;
    case INMTUID:
        take_name(stream, value, &stream->to_user);
        break;
    case INMFTIME:
        take_text(value, ack ? stream->ack_time : stream->time, NETDATA_TEXT_SIZE);
        if (!ack && !date_parse_netdata(span_text(stream->time), &stream->time_us))
            stream->time_us = 0;
        break;
    case INMFVERS:
        (void)netdata_number(value, &stream->version);
        break;
    case INMNUMF:
        (void)netdata_number(value, &stream->stated_files);
        break;
    case INMFACK:
        stream->ack_wanted |= !ack;
        take_ack_id(stream, value);
        break;
    case INMERRCD:
        take_text(value, stream->ack_text, sizeof stream->ack_text);
        break;
    case INMTERM:
        stream->about.message |= ack;
        break;
    case INMDSNAM:
        if (ack)
            take_qualifiers(&stream->about, unit, value);
        break;
    case INMFFM:
        if (ack && value.size == 1)
            stream->about.mode_number = (char)ebcdic_037_to_latin1[value.at[0]];
        break;
    default:
        break;
    }
}

static void take_utility(struct netdata_file *file, struct span value)
{
    char name[NAME8_MAX + 1];
    take_text(value, name, sizeof name);
    if (strcmp(name, "IEBCOPY") == 0)
        file->partitioned = true;
    if (strcmp(name, "AMSCIPHR") == 0 || strcmp(name, "AMSREPRO") == 0)
        file->encrypted = true;
    if (file->utilities < NETDATA_UTILITIES_MAX) {
        memcpy(file->utility[file->utilities], name, sizeof name);
        file->utilities++;
    }
}

static void take_file_unit(struct netdata_file *file, struct netdata_unit *unit, struct span value, bool first)
{
    unsigned bits = take_bits(value);
    uint64_t number;
    (void)netdata_number(value, &number);
    switch (unit->key) {
    case INMUTILN:
        take_utility(file, value);
        break;
    case INMTERM:
        file->message = true;
        break;
    case INMDSNAM:
        if (first || file->qualifiers == 0)
            take_qualifiers(file, unit, value);
        break;
    case INMMEMBR:
        take_text(value, file->member, sizeof file->member);
        break;
    case INMFFM:
        file->mode_number = value.size == 1 ? (char)ebcdic_037_to_latin1[value.at[0]] : '\0';
        break;
    case INMLCHG:
        take_text(value, file->changed, sizeof file->changed);
        break;
    case INMDSORG:
        file->dsorg = first ? bits : file->dsorg;
        break;
    case INMRECFM:
        file->recfm = first ? bits : file->recfm;
        file->data_recfm = bits;
        break;
    case INMLRECL:
        file->lrecl = first ? number : file->lrecl;
        file->data_lrecl = number;
        break;
    case INMBLKSZ:
        file->block_size = first ? number : file->block_size;
        break;
    case INMSIZE:
        file->stated_size = first ? number : file->stated_size;
        break;
    default:
        break;
    }
}

static struct netdata_file *add_file(struct netdata_stream *stream, uint32_t number, struct err *err)
{
    if (stream->file_count == NETDATA_FILES_MAX) {
        (void)err_set(err, ERR_BAD_CONTENT, "more than %d files in one NETDATA stream", NETDATA_FILES_MAX);
        return NULL;
    }
    struct netdata_file *files = mem_realloc(stream->files, (stream->file_count + 1) * sizeof *files);
    if (files == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "no memory for a NETDATA file");
        return NULL;
    }
    stream->files = files;
    struct netdata_file *file = &files[stream->file_count++];
    *file = (struct netdata_file){ .number = number };
    return file;
}

static int take_file_record(struct netdata_stream *stream, const struct netdata_record *record, struct err *err)
{
    struct netdata_file *file = NULL;
    for (size_t i = 0; i < stream->file_count && file == NULL; i++)
        if (stream->files[i].number == record->file)
            file = &stream->files[i];
    bool first = file == NULL;
    if (first && (file = add_file(stream, record->file, err)) == NULL)
        return -1;
    struct reader units = reader_of(record->bytes);
    struct netdata_unit unit;
    int more;
    while ((more = netdata_unit_next(&units, &unit, err)) == 1) {
        struct span value;
        (void)netdata_value_next(&unit, &value);
        take_file_unit(file, &unit, value, first);
    }
    return more;
}

static int take_header_record(struct netdata_stream *stream, const struct netdata_record *record, struct err *err)
{
    bool ack = record->number == 7;
    stream->is_ack |= ack;
    struct reader units = reader_of(record->bytes);
    struct netdata_unit unit;
    int more;
    while ((more = netdata_unit_next(&units, &unit, err)) == 1) {
        struct span value;
        (void)netdata_value_next(&unit, &value);
        take_header_unit(stream, &unit, value, ack);
    }
    return more;
}

/* The file that data belongs to: the n-th INMR03 begins the n-th file. */
static struct netdata_file *data_file(struct decoding *decoding, struct err *err)
{
    struct netdata_stream *stream = decoding->stream;
    if (decoding->data_files == 0)
        decoding->data_files = 1; /* data without INMR03: the first file */
    if (decoding->data_files <= stream->file_count)
        return &stream->files[decoding->data_files - 1];
    /* more data than INMR02: a file of its own, so that nothing is lost */
    struct netdata_file *file = add_file(stream, 0, err);
    decoding->data_files = stream->file_count;
    return file;
}

static int take_data(struct decoding *decoding, struct span data, struct err *err)
{
    struct netdata_file *file = data_file(decoding, err);
    if (file == NULL)
        return -1;
    bool fixed = !file->partitioned && (file->data_recfm & NETDATA_FORM) == NETDATA_F && file->data_lrecl > 0;
    if (fixed && data.size < file->data_lrecl)
        file->short_records++;
    if (fixed && data.size > file->data_lrecl && data.size % file->data_lrecl == 0) {
        for (size_t at = 0; at < data.size; at += (size_t)file->data_lrecl)
            records_add(&file->records, span_slice(data, at, (size_t)file->data_lrecl));
    } else {
        records_add(&file->records, data);
    }
    return file->records.bytes.failed ? err_set(err, ERR_NO_MEMORY, "no memory for NETDATA records") : 0;
}

static int take_record(struct decoding *decoding, const struct netdata_record *record, struct err *err)
{
    struct netdata_stream *stream = decoding->stream;
    if (!record->control)
        return take_data(decoding, record->bytes, err);
    switch (record->number) {
    case 1:
    case 7:
        return take_header_record(stream, record, err);
    case 2:
        return take_file_record(stream, record, err);
    case 3:
        decoding->data_files++;
        return 0;
    case 4:
    case 6:
        return 0;
    default:
        stream->unknown_records++;
        return 0;
    }
}

int netdata_decode(struct span stream, struct netdata_stream *stream_r, struct err *err)
{
    *stream_r = (struct netdata_stream){ .version = 1 };
    struct decoding decoding = { .stream = stream_r };
    struct netdata netdata;
    int result = netdata_open(&netdata, stream, err);
    struct netdata_record record;
    int more = 1;
    while (result == 0 && (more = netdata_next(&netdata, &record, err)) == 1)
        result = take_record(&decoding, &record, err);
    netdata_close(&netdata);
    return result == 0 && more == 0 ? 0 : -1;
}

void netdata_release(struct netdata_stream *stream)
{
    for (size_t i = 0; i < stream->file_count; i++)
        records_free(&stream->files[i].records);
    mem_free(stream->files);
    *stream = (struct netdata_stream){ .files = NULL };
}
