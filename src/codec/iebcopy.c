/* An unload names its members in one place and holds their data in another; the link is the disk address, in the
 * geometry of a disk we do not have. Members lie in the order of their addresses, so the n-th address of the directory
 * is the n-th member, and the record number (for PDSE the whole address) is checked, so that no member is ever given
 * another one's data. */
#include "codec/iebcopy.h"

#include "base/mem.h"
#include "codec/ebcdic.h"
#include "codec/netdata.h"

#include <stdlib.h>

enum {
    COPYR1_LEAST = 12,
    ENTRY_NAME = 8,
    ENTRY_ALIAS = 0x80,
    ENTRY_HALFWORDS = 0x1F,
    DIRECTORY_BLOCK_MIN = 2,
    FLAG_PDSE = 0x01,
    BLOCK_OTHER = 0x06, /* PDSE: attributes and the like, no member data */
    DESCRIPTOR = 4,     /* BDW, RDW */
    ROOM_FIRST = 16
};

static const uint8_t copyr1_mark[] = { 0xCA, 0x6D, 0x0F };
static const uint8_t directory_end[] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

struct block {
    uint8_t flags;
    uint8_t address[3];
    struct span data;
};

/* F M BB CC HH R KL DL(2), key, data */
static bool next_block(struct reader *from, struct block *block_r)
{
    *block_r = (struct block){ .data = SPAN_EMPTY };
    if (reader_at_end(from))
        return false;
    block_r->flags = reader_u8(from);
    reader_skip(from, 5);
    struct span address = reader_take(from, sizeof block_r->address);
    size_t key = reader_u8(from);
    size_t data = reader_u16(from);
    reader_skip(from, key);
    block_r->data = reader_take(from, data);
    if (from->failed)
        return false;
    memcpy(block_r->address, address.at, sizeof block_r->address);
    return true;
}

static int parse_copyr1(struct iebcopy *iebcopy, struct span record, struct err *err)
{
    if (record.size < COPYR1_LEAST ||
        !span_equal(span_slice(record, 1, sizeof copyr1_mark), span_of(copyr1_mark, sizeof copyr1_mark)))
        return err_set(err, ERR_BAD_CONTENT, "no IEBCOPY unload: the first record is no COPYR1");
    struct reader reader = reader_of(record);
    iebcopy->pdse = (reader_u8(&reader) & FLAG_PDSE) != 0;
    reader_skip(&reader, sizeof copyr1_mark + 2); /* DSORG */
    iebcopy->block_size = reader_u16(&reader);
    iebcopy->lrecl = reader_u16(&reader);
    iebcopy->recfm = (unsigned)reader_u8(&reader) << 8;
    return 0;
}

/* Grows an array by doubling; NULL where memory ends. */
static void *grown(void *at, size_t count, size_t size)
{
    bool full = count == 0 || (count >= ROOM_FIRST && (count & (count - 1)) == 0);
    if (!full)
        return at;
    return mem_realloc(at, (count == 0 ? ROOM_FIRST : 2 * count) * size);
}

static int add_entry(struct iebcopy *iebcopy, struct span name, uint32_t ttr, bool alias, struct err *err)
{
    struct iebcopy_entry *entries = grown(iebcopy->entries, iebcopy->entry_count, sizeof *entries);
    if (entries == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for a directory");
    iebcopy->entries = entries;
    struct iebcopy_entry *entry = &entries[iebcopy->entry_count++];
    *entry = (struct iebcopy_entry){ .ttr = ttr, .alias = alias };
    name = span_trim_end(name, EBCDIC_BLANK);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t letter = ebcdic_037_to_latin1[name.at[i]];
        entry->name[i] = letter > 0x20 && letter < 0x7F ? (char)letter : '?';
    }
    return 0;
}

/* One directory block. 1: there are more; 0: the end mark was in it. */
static int parse_directory_block(struct iebcopy *iebcopy, struct span data, struct err *err)
{
    struct reader length = reader_of(data);
    size_t used = reader_u16(&length);
    struct reader reader = reader_of(span_slice(data, DIRECTORY_BLOCK_MIN, used - DIRECTORY_BLOCK_MIN));
    if (used < DIRECTORY_BLOCK_MIN || used > data.size)
        return err_set(err, ERR_BAD_CONTENT, "a directory block says it uses %zu of %zu bytes", used, data.size);
    while (!reader_at_end(&reader)) {
        struct span name = reader_take(&reader, ENTRY_NAME);
        if (span_equal(name, span_of(directory_end, sizeof directory_end)))
            return 0;
        uint32_t ttr = (uint32_t)reader_u16(&reader) << 8;
        ttr |= reader_u8(&reader);
        uint8_t control = reader_u8(&reader);
        reader_skip(&reader, 2 * (size_t)(control & ENTRY_HALFWORDS));
        if (reader.failed)
            return err_set(err, ERR_BAD_CONTENT, "a directory entry does not fit in its block");
        if (add_entry(iebcopy, name, ttr, (control & ENTRY_ALIAS) != 0, err) != 0)
            return -1;
    }
    return 1;
}

/* Leaves `from` behind the end of the directory. */
static int parse_directory(struct iebcopy *iebcopy, struct reader *from, struct err *err)
{
    struct block block;
    int more = 1;
    bool ended = false;
    while (next_block(from, &block)) {
        if (block.data.size == 0) {
            ended = true;
            break;
        }
        if (more == 1 && (more = parse_directory_block(iebcopy, block.data, err)) < 0)
            return -1;
    }
    return ended ? 0 : err_set(err, ERR_BAD_CONTENT, "the IEBCOPY unload ends inside its directory");
}

static int add_data(struct iebcopy *iebcopy, const struct block *block, size_t offset, struct err *err)
{
    struct iebcopy_data *data = grown(iebcopy->data, iebcopy->data_count, sizeof *data);
    if (data == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for members");
    iebcopy->data = data;
    data[iebcopy->data_count] = (struct iebcopy_data){ .offset = offset };
    memcpy(data[iebcopy->data_count].address, block->address, sizeof block->address);
    iebcopy->data_count++;
    return 0;
}

/* Where the data of each member begins; only members that end (a block without data) count. */
static int find_members(struct iebcopy *iebcopy, struct reader from, struct err *err)
{
    struct block block;
    struct block first = { .flags = 0 };
    size_t begin = 0;
    bool open = false;
    for (;;) {
        size_t offset = iebcopy->stream.size - from.rest.size;
        if (!next_block(&from, &block))
            return 0;
        if ((block.flags & BLOCK_OTHER) != 0)
            continue;
        if (!open) {
            first = block;
            begin = offset;
            open = true;
        }
        if (block.data.size > 0)
            continue;
        open = false;
        if (add_data(iebcopy, &first, begin, err) != 0)
            return -1;
    }
}

static int compare_entries(const void *a, const void *b)
{
    const struct iebcopy_entry *first = a;
    const struct iebcopy_entry *second = b;
    if (first->ttr != second->ttr)
        return first->ttr < second->ttr ? -1 : 1;
    if (first->alias != second->alias)
        return first->alias ? 1 : -1;
    return strcmp(first->name, second->name);
}

int iebcopy_open(struct iebcopy *iebcopy, const struct records *unload, struct err *err)
{
    *iebcopy = (struct iebcopy){ .pdse = false };
    struct reader walk = records_walk(unload);
    struct span record;
    (void)records_next(&walk, &record);
    if (parse_copyr1(iebcopy, record, err) != 0)
        return -1;
    (void)records_next(&walk, &record); /* COPYR2: the extents of the disk it lay on */
    while (records_next(&walk, &record))
        buf_add_span(&iebcopy->stream, record);
    if (iebcopy->stream.failed)
        return err_set(err, ERR_NO_MEMORY, "no memory for an IEBCOPY unload");
    struct reader from = reader_of(buf_span(&iebcopy->stream));
    if (parse_directory(iebcopy, &from, err) != 0 || find_members(iebcopy, from, err) != 0)
        return -1;
    if (iebcopy->entry_count > 0)
        qsort(iebcopy->entries, iebcopy->entry_count, sizeof *iebcopy->entries, compare_entries);
    return 0;
}

void iebcopy_close(struct iebcopy *iebcopy)
{
    records_free(&iebcopy->records);
    mem_free(iebcopy->data);
    mem_free(iebcopy->entries);
    buf_free(&iebcopy->stream);
    *iebcopy = (struct iebcopy){ .pdse = false };
}

/* A block of RECFM V: BDW, then records with their RDW. */
static bool split_variable(struct iebcopy *iebcopy, struct span block)
{
    struct reader reader = reader_of(block);
    reader_skip(&reader, DESCRIPTOR);
    while (!reader_at_end(&reader)) {
        size_t size = reader_u16(&reader);
        reader_skip(&reader, 2);
        if (size < DESCRIPTOR)
            return false;
        struct span record = reader_take(&reader, size - DESCRIPTOR);
        if (!reader.failed)
            records_add(&iebcopy->records, record);
    }
    return !reader.failed;
}

static bool split_block(struct iebcopy *iebcopy, struct span block)
{
    unsigned form = iebcopy->recfm & NETDATA_FORM;
    if (form == NETDATA_V)
        return split_variable(iebcopy, block);
    if (form != NETDATA_F || iebcopy->lrecl == 0) {
        records_add(&iebcopy->records, block);
        return true;
    }
    for (size_t at = 0; at < block.size; at += iebcopy->lrecl)
        records_add(&iebcopy->records, span_slice(block, at, iebcopy->lrecl));
    return true;
}

static int take_data(struct iebcopy *iebcopy, const struct iebcopy_entry *entry, struct err *err)
{
    if (iebcopy->next_data >= iebcopy->data_count)
        return err_set(err, ERR_BAD_CONTENT, "the IEBCOPY unload ends before member %s", entry->name);
    const struct iebcopy_data *data = &iebcopy->data[iebcopy->next_data];
    uint32_t address = (uint32_t)data->address[0] << 16 | (uint32_t)data->address[1] << 8 | data->address[2];
    if (iebcopy->pdse ? address != entry->ttr : data->address[2] != (entry->ttr & 0xFF))
        return err_set(err, ERR_BAD_CONTENT, "member %s is not where the directory says", entry->name);
    iebcopy->next_data++;
    records_clear(&iebcopy->records);
    struct reader from = reader_of(span_slice(buf_span(&iebcopy->stream), data->offset, SIZE_MAX));
    struct block block;
    while (next_block(&from, &block) && ((block.flags & BLOCK_OTHER) != 0 || block.data.size > 0)) {
        if ((block.flags & BLOCK_OTHER) == 0 && !split_block(iebcopy, block.data))
            return err_set(err, ERR_BAD_CONTENT, "a record of member %s does not fit in its block", entry->name);
    }
    return iebcopy->records.bytes.failed ? err_set(err, ERR_NO_MEMORY, "no memory for a member") : 0;
}

int iebcopy_next(struct iebcopy *iebcopy, struct iebcopy_member *member_r, struct err *err)
{
    *member_r = (struct iebcopy_member){ .name = "" };
    if (iebcopy->next >= iebcopy->entry_count)
        return 0;
    const struct iebcopy_entry *entry = &iebcopy->entries[iebcopy->next];
    const struct iebcopy_entry *before = iebcopy->next > 0 ? entry - 1 : NULL;
    member_r->name = entry->name;
    if (before != NULL && before->ttr == entry->ttr) {
        while (before > iebcopy->entries && (before - 1)->ttr == entry->ttr)
            before--;
        member_r->alias_of = before->name;
    } else if (take_data(iebcopy, entry, err) != 0) {
        return -1;
    } else {
        member_r->records = &iebcopy->records;
    }
    iebcopy->next++;
    return 1;
}
