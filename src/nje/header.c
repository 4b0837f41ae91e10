/* Headers of NJE files: where a letter comes from and where it goes.
 *
 * What can go wrong: a wrong offset here sends mail to the wrong person, so every field is taken by its offset in the
 * published layout and the tests compare with headers that other systems made. Older and newer systems send longer and
 * shorter sections and sections of their own: fields beyond a section's end read as empty, unknown sections are
 * skipped. A name with bytes that no name can have is given out as empty (and `user_bad` for the recipient), never as
 * something that looks like a name.
 */
#include "nje/header.h"

#include "codec/ebcdic.h"
#include "nje/spoolfile.h"
#include "nje/text.h"

#include <stdio.h>

enum {
    SECTION_HEAD = 4, /* LEN(2) TYPE(1) MOD(1) */
    PREFIX_SIZE = 4,
    TYPE_GENERAL = 0x00,
    TYPE_RSCS = 0x87,
    JOB_GENERAL_SIZE = 200,
    JOB_GENERAL_LEAST = 80, /* up to the origin: without it there is no sender */
    DATASET_GENERAL_SIZE = 112,
    DATASET_GENERAL_LEAST = 20, /* up to the recipient */
    RSCS_SIZE = 180,
    RSCS_TAG = 44, /* offset, and the size without */
    RSCS_TAG_SIZE = 136,
    TRAILER_GENERAL_SIZE = 44,
    TRAILER_PREFIX_COUNTED = 4, /* one sender counts the prefix in the length of the only section */
    RECORD_FIXED = 0x80,
    FLG2_PRINT = 0x80,
    FLG2_PUNCH = 0x40,
    IDEV_CLASS = 0xF0,
    IDEV_PUNCH = 0x82,
    IDEV_PRINTER = 0x41,
    PUNCH_LRECL_MOST = 81, /* where nothing says print or punch, more is print (RSCS) */
    LRECL_PUNCH = 80,
    LRECL_PRINT = 132,
    RSCS_PRIORITY = 50,
    RSCS_VERSION = 0x02, /* NDHVVRSN and NDHVRELN as RSCS and UnixNJE send them */
    RSCS_RELEASE = 0x01
};

static const int64_t STCK_EPOCH_SECONDS = INT64_C(2208988800); /* 1900-01-01 to 1970-01-01 */

struct section {
    uint8_t type, modifier;
    struct span bytes; /* the whole section: offsets as in the layouts */
};

/* 1: a section; 0: the end; -1: it does not fit. */
static int section_next(struct reader *reader, const char *header, struct section *section_r, struct err *err)
{
    if (reader->rest.size == 0)
        return 0;
    struct reader head = *reader;
    uint16_t length = reader_u16(&head);
    section_r->type = reader_u8(&head);
    section_r->modifier = reader_u8(&head);
    if (head.failed)
        return err_set(err, ERR_BAD_CONTENT, "%s: %zu bytes where a section is due", header, reader->rest.size);
    if (length < SECTION_HEAD || length > reader->rest.size)
        return err_set(err, ERR_BAD_CONTENT, "%s: section %02X/%02X says it has %u bytes, %zu are there", header,
                       section_r->type, section_r->modifier, length, reader->rest.size);
    section_r->bytes = reader_take(reader, length);
    return 1;
}

/* A field by its place; empty where the section is too short for it. */
static struct span field(struct span section, size_t at, size_t size)
{
    struct span found = span_slice(section, at, size);
    return found.size == size ? found : SPAN_EMPTY;
}

static uint32_t number_at(struct span section, size_t at, size_t size)
{
    struct span bytes = field(section, at, size);
    uint32_t value = 0;
    for (size_t i = 0; i < bytes.size; i++)
        value = value << 8 | bytes.at[i];
    return value;
}

static uint8_t byte_at(struct span section, size_t at)
{
    return (uint8_t)number_at(section, at, 1);
}

static struct name8 name_at(struct span section, size_t at)
{
    struct name8 found;
    (void)name8_from_ebcdic(field(section, at, NAME8_MAX), &found); /* no name: empty */
    return found;
}

/* All sections of a header, the general one and the RSCS one kept (the first of each). */
struct chain {
    struct span general, rscs;
};

static int chain_read(struct span sections, const char *header, size_t general_least, struct chain *chain_r,
                      struct err *err)
{
    *chain_r = (struct chain){ .general = SPAN_EMPTY, .rscs = SPAN_EMPTY };
    struct reader reader = reader_of(sections);
    struct section section;
    int found;
    while ((found = section_next(&reader, header, &section, err)) == 1) {
        if (section.modifier != 0)
            continue; /* 00/40 record characteristics, 00/80 3800, installations' own */
        if (section.type == TYPE_GENERAL && chain_r->general.size == 0)
            chain_r->general = section.bytes;
        if (section.type == TYPE_RSCS && chain_r->rscs.size == 0)
            chain_r->rscs = section.bytes;
    }
    if (found == -1)
        return -1;
    if (chain_r->general.size < general_least)
        return err_set(err, ERR_BAD_CONTENT, "%s: its general section has %zu bytes, at least %zu are needed", header,
                       chain_r->general.size, general_least);
    return 0;
}

int nje_job_decode(struct span sections, struct nje_job *job_r, struct err *err)
{
    *job_r = (struct nje_job){ .job_id = 0 };
    struct chain chain;
    if (chain_read(sections, "job header", JOB_GENERAL_LEAST, &chain, err) == -1)
        return -1;
    struct span general = chain.general;
    job_r->job_id = number_at(general, 4, 2);
    job_r->job_class = byte_at(general, 6);
    job_r->message_class = byte_at(general, 7);
    job_r->flags = byte_at(general, 8);
    job_r->priority = byte_at(general, 9);
    job_r->hops = number_at(general, 14, 2);
    nje_text_decode(field(general, 24, 8), job_r->job_name, sizeof job_r->job_name);
    job_r->entry_time = (uint64_t)number_at(general, 56, 4) << 32 | number_at(general, 60, 4);
    job_r->entry_us = nje_stck_us(job_r->entry_time);
    job_r->origin_node = name_at(general, 64);
    job_r->origin_user = name_at(general, 72);
    job_r->records = number_at(general, 196, 4);
    return 0;
}

/* The user of NDHGRMT, else of NDHGXWTR (TSO and UnixNJE). RMT with bytes that are no name is bad by itself: the writer
 * must not get what was meant for somebody else. */
static void recipient(struct span general, struct nje_dataset *dataset_r)
{
    dataset_r->user_bad = !name8_from_ebcdic(field(general, 12, NAME8_MAX), &dataset_r->user);
    if (!dataset_r->user_bad && name8_empty(dataset_r->user))
        dataset_r->user_bad = !name8_from_ebcdic(field(general, 84, NAME8_MAX), &dataset_r->user);
}

static bool is_print(struct span general, uint8_t device)
{
    if ((device & IDEV_CLASS) == (IDEV_PRINTER & IDEV_CLASS))
        return true;
    if ((device & IDEV_CLASS) == (IDEV_PUNCH & IDEV_CLASS))
        return false;
    uint8_t flags = byte_at(general, 100);
    if ((flags & (FLG2_PRINT | FLG2_PUNCH)) != 0)
        return (flags & FLG2_PRINT) != 0;
    return number_at(general, 54, 2) > PUNCH_LRECL_MOST;
}

int nje_dataset_decode(struct span sections, struct nje_dataset *dataset_r, struct err *err)
{
    *dataset_r = (struct nje_dataset){ .klass = ' ' };
    struct chain chain;
    if (chain_read(sections, "data set header", DATASET_GENERAL_LEAST, &chain, err) == -1)
        return -1;
    struct span general = chain.general, rscs = chain.rscs;
    dataset_r->node = name_at(general, 4);
    recipient(general, dataset_r);
    dataset_r->number = number_at(general, 44, 2);
    dataset_r->records = number_at(general, 48, 4);
    dataset_r->record_format = byte_at(general, 53);
    dataset_r->lrecl = number_at(general, 54, 2);
    nje_text_decode(field(general, 60, 8), dataset_r->form, sizeof dataset_r->form);
    dataset_r->flags = byte_at(rscs, 4);
    dataset_r->print = is_print(general, byte_at(rscs, 6));
    nje_text_decode(field(rscs, 8, 8), dataset_r->dist, sizeof dataset_r->dist);
    /* of the 12 bytes of NDHVFNAM and NDHVFTYP, 8 count */
    nje_text_decode(field(rscs, 16, 8), dataset_r->name, sizeof dataset_r->name);
    nje_text_decode(field(rscs, 28, 8), dataset_r->type, sizeof dataset_r->type);
    if (dataset_r->name[0] == '\0' && dataset_r->type[0] == '\0') {
        nje_text_decode(field(general, 20, 8), dataset_r->name, sizeof dataset_r->name);
        nje_text_decode(field(general, 28, 8), dataset_r->type, sizeof dataset_r->type);
    }
    char class_text[2];
    nje_text_decode(field(rscs, 5, 1), class_text, sizeof class_text);
    if (class_text[0] == '\0')
        nje_text_decode(field(general, 47, 1), class_text, sizeof class_text);
    if (class_text[0] != '\0')
        dataset_r->klass = class_text[0];
    /* a section between 44 and 180 bytes has as much of the tag as there is */
    nje_text_decode(span_slice(rscs, RSCS_TAG, RSCS_TAG_SIZE), dataset_r->tag, sizeof dataset_r->tag);
    return 0;
}

int nje_trailer_decode(struct span sections, struct nje_trailer *trailer_r, struct err *err)
{
    *trailer_r = (struct nje_trailer){ .print_records = 0 };
    struct chain chain = { .general = SPAN_EMPTY, .rscs = SPAN_EMPTY };
    struct reader head = reader_of(sections);
    if (reader_u16(&head) == sections.size + TRAILER_PREFIX_COUNTED && reader_u16(&head) == TYPE_GENERAL)
        chain.general = sections;
    else if (chain_read(sections, "job trailer", SECTION_HEAD, &chain, err) == -1)
        return -1;
    trailer_r->print_records = number_at(chain.general, 28, 4);
    trailer_r->punch_records = number_at(chain.general, 32, 4);
    return 0;
}

/* Cuts the sections into segments and puts each with its prefix. */
static void put_header(struct buf *to, uint8_t srcb, const struct buf *sections)
{
    if (sections->failed) {
        to->failed = true;
        return;
    }
    struct reader reader = reader_of(buf_span(sections));
    uint8_t segment[NJE_SEGMENT_MAX];
    for (uint8_t sequence = 0; !reader_at_end(&reader); sequence++) {
        size_t most = sizeof segment - PREFIX_SIZE;
        struct span body = reader_take(&reader, reader.rest.size < most ? reader.rest.size : most);
        segment[0] = (uint8_t)((body.size + PREFIX_SIZE) >> 8);
        segment[1] = (uint8_t)(body.size + PREFIX_SIZE);
        segment[2] = 0;
        segment[3] = (uint8_t)(reader.rest.size > 0 ? 0x80 | sequence : sequence);
        memcpy(&segment[PREFIX_SIZE], body.at, body.size);
        nje_spool_put(to, srcb, span_of(segment, PREFIX_SIZE + body.size));
    }
}

static void add_name(struct buf *to, struct name8 name)
{
    uint8_t wire[NAME8_MAX];
    name8_to_ebcdic(name, wire);
    buf_add(to, wire, sizeof wire);
}

static void add_section(struct buf *to, uint16_t size, uint8_t type)
{
    buf_add_u16(to, size);
    buf_add_u8(to, type);
    buf_add_u8(to, 0);
}

static uint8_t class_or_a(uint8_t klass)
{
    return klass != 0 ? klass : latin1_to_ebcdic_037['A'];
}

void nje_job_encode(struct buf *to, const struct nje_job *job)
{
    struct buf out = { 0 };
    add_section(&out, JOB_GENERAL_SIZE, TYPE_GENERAL);
    buf_add_u16(&out, (uint16_t)job->job_id);
    buf_add_u8(&out, class_or_a(job->job_class));
    buf_add_u8(&out, class_or_a(job->message_class));
    buf_add_u8(&out, job->flags);
    buf_add_u8(&out, job->priority);
    buf_add_u8(&out, 1);      /* NJHGORGQ */
    buf_add_u8(&out, 1);      /* NJHGJCPY */
    buf_add_fill(&out, 0, 2); /* NJHGLNCT, reserved */
    buf_add_u16(&out, (uint16_t)job->hops);
    nje_text_encode(&out, "", 8); /* NJHGACCT */
    nje_text_encode(&out, job->job_name[0] != '\0' ? job->job_name : job->origin_user.text, 8);
    add_name(&out, job->origin_user); /* NJHGUSID */
    nje_text_encode(&out, "", 16);    /* NJHGPASS, NJHGNPAS: never a secret */
    buf_add_u64(&out, job->entry_time);
    for (int pair = 0; pair < 4; pair++) { /* NJHGORGN/R, XEQN/U, PRTN/R, PUNN/R */
        add_name(&out, job->origin_node);
        add_name(&out, job->origin_user);
    }
    nje_text_encode(&out, "", 8);  /* NJHGFORM */
    buf_add_fill(&out, 0, 16);     /* NJHGICRD, ETIM, ELIN, ECRD */
    nje_text_encode(&out, "", 44); /* NJHGPRGN, ROOM, DEPT, BLDG */
    buf_add_u32(&out, job->records);
    put_header(to, NJE_SRCB_NJH, &out);
    buf_free(&out);
}

static void rscs_encode(struct buf *out, const struct nje_dataset *dataset, uint8_t klass)
{
    char made[3 * (NAME8_MAX + 1)];
    const char *tag = dataset->tag;
    if (tag[0] == '\0') {
        (void)snprintf(made, sizeof made, "%-8s %-8s %02d", dataset->node.text, dataset->user.text, RSCS_PRIORITY);
        tag = made;
    }
    add_section(out, RSCS_SIZE, TYPE_RSCS);
    buf_add_u8(out, dataset->flags);
    buf_add_u8(out, klass);
    buf_add_u8(out, dataset->print ? IDEV_PRINTER : IDEV_PUNCH);
    buf_add_u8(out, 0); /* NDHVPGLE */
    nje_text_encode(out, dataset->dist, 8);
    nje_text_encode(out, dataset->name, 12);
    nje_text_encode(out, dataset->type, 12);
    buf_add_u16(out, RSCS_PRIORITY);
    buf_add_u8(out, RSCS_VERSION);
    buf_add_u8(out, RSCS_RELEASE);
    nje_text_encode(out, tag, RSCS_TAG_SIZE);
}

void nje_dataset_encode(struct buf *to, const struct nje_dataset *dataset)
{
    char klass_ascii = dataset->klass > ' ' && dataset->klass < 0x7F ? dataset->klass : 'A';
    uint8_t klass = latin1_to_ebcdic_037[(uint8_t)klass_ascii];
    struct buf out = { 0 };
    add_section(&out, DATASET_GENERAL_SIZE, TYPE_GENERAL);
    add_name(&out, dataset->node);
    add_name(&out, dataset->user);
    nje_text_encode(&out, dataset->name, 8); /* NDHGPROC */
    nje_text_encode(&out, dataset->type, 8); /* NDHGSTEP */
    nje_text_encode(&out, "", 8);            /* NDHGDD */
    buf_add_u16(&out, (uint16_t)(dataset->number != 0 ? dataset->number : 1));
    buf_add_u8(&out, 0);
    buf_add_u8(&out, klass);
    buf_add_u32(&out, dataset->records);
    buf_add_u8(&out, 0); /* NDHGFLG1 */
    buf_add_u8(&out, dataset->record_format != 0 ? dataset->record_format : RECORD_FIXED);
    buf_add_u16(&out, (uint16_t)(dataset->lrecl != 0 ? dataset->lrecl : dataset->print ? LRECL_PRINT : LRECL_PUNCH));
    buf_add_u8(&out, 1);      /* NDHGDSCT */
    buf_add_fill(&out, 0, 3); /* NDHGFCBI, NDHGLNCT, reserved */
    nje_text_encode(&out, dataset->form[0] != '\0' ? dataset->form : "STANDARD", 8);
    nje_text_encode(&out, "", 16); /* NDHGFCB, NDHGUCS */
    if (dataset->print)
        buf_add_fill(&out, 0, 8);
    else
        add_name(&out, dataset->user); /* NDHGXWTR: TSO RECEIVE looks for its user here */
    buf_add_fill(&out, 0, 8);          /* NDHGNAME */
    buf_add_u8(&out, dataset->print ? FLG2_PRINT : FLG2_PUNCH);
    buf_add_fill(&out, 0, 3);     /* NDHGUCSO, reserved */
    nje_text_encode(&out, "", 8); /* NDHGPMDE */
    rscs_encode(&out, dataset, klass);
    put_header(to, NJE_SRCB_DSH, &out);
    buf_free(&out);
}

/* Puts a name into the copy of a header, at the place that `found` has in the original. */
static void replace_name(struct buf *copy, struct span original, struct span found, struct name8 name)
{
    uint8_t wire[NAME8_MAX];
    name8_to_ebcdic(name, wire);
    if (found.size == sizeof wire)
        memcpy(&copy->at[found.at - original.at], wire, sizeof wire);
}

int nje_dataset_readdress(struct buf *to, struct span sections, struct name8 node, struct name8 user, struct err *err)
{
    struct chain chain;
    if (chain_read(sections, "data set header", DATASET_GENERAL_LEAST, &chain, err) == -1)
        return -1;
    struct buf copy = { 0 };
    buf_add_span(&copy, sections);
    if (!copy.failed) {
        replace_name(&copy, sections, field(chain.general, 4, NAME8_MAX), node);
        replace_name(&copy, sections, field(chain.general, 12, NAME8_MAX), user);
        if (!name8_empty(name_at(chain.general, 84)))
            replace_name(&copy, sections, field(chain.general, 84, NAME8_MAX), user);
        replace_name(&copy, sections, field(chain.rscs, RSCS_TAG, NAME8_MAX), node);
        replace_name(&copy, sections, field(chain.rscs, RSCS_TAG + NAME8_MAX + 1, NAME8_MAX), user);
    }
    put_header(to, NJE_SRCB_DSH, &copy);
    buf_free(&copy);
    return 0;
}

void nje_trailer_encode(struct buf *to, const struct nje_trailer *trailer)
{
    struct buf out = { 0 };
    add_section(&out, TRAILER_GENERAL_SIZE, TYPE_GENERAL);
    buf_add_u8(&out, 0);             /* NJTGFLG1 */
    buf_add_u8(&out, class_or_a(0)); /* NJTGXCLS */
    buf_add_fill(&out, 0, 22);       /* reserved, NJTGSTRT, NJTGSTOP, NJTGACPU */
    buf_add_u32(&out, trailer->print_records);
    buf_add_u32(&out, trailer->punch_records);
    buf_add_fill(&out, 0, 8); /* NJTGEXCP, IXPR, AXPR, IOPR, AOPR */
    put_header(to, NJE_SRCB_NJT, &out);
    buf_free(&out);
}

uint64_t nje_stck(int64_t us)
{
    return (uint64_t)(us + STCK_EPOCH_SECONDS * 1000000) << 12;
}

int64_t nje_stck_us(uint64_t stck)
{
    int64_t us = (int64_t)(stck >> 12) - STCK_EPOCH_SECONDS * 1000000;
    return us > 0 ? us : 0;
}
