/* Attachments as host files. Text becomes one record a line, in the host's code page; anything else keeps its bytes,
 * cut into records of variable length, because a fixed length would add bytes at the end. */
#include "codec/mime.h"
#include "letter/sending.h"
#include "letter/to_host.h"

/* A table whose default is EBCDIC must not spoil what is no text: images, archives, programs (Q230646). */
static bool looks_like_text(struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.at[i];
        if (byte == 0x7F || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f'))
            return false;
    }
    return true;
}

bool sending_part_is_text(const struct sending *sending, const struct letter_part *part)
{
    struct span extension = name_extension(part->name);
    if (extension.size > 0 && options_has(sending->options, extension))
        return options_is_text(sending->options, extension, false);
    return part->text || (options_is_text(sending->options, SPAN_LITERAL("*"), false) && looks_like_text(part->bytes));
}

/* One line as records: a line longer than the host's records goes on in the next. */
static void add_line(const struct sending *sending, struct span line, struct buf *scratch, struct sending_part *part,
                     size_t *substituted, size_t *cut)
{
    size_t count = 0;
    size_t max = sending->options->max_lrecl;
    buf_clear(scratch);
    utf8_to_ebcdic(sending->page, line, scratch, &count);
    *substituted += count;
    *cut += scratch->size > max;
    struct span rest = buf_span(scratch);
    do {
        struct span record = span_slice(rest, 0, max);
        rest = span_slice(rest, record.size, SIZE_MAX);
        part->lrecl = record.size > part->lrecl ? record.size : part->lrecl;
        records_add(&part->records, record);
    } while (rest.size > 0);
}

static void make_text(const struct sending *sending, struct sending_part *part, size_t *substituted, size_t *cut)
{
    struct buf text = { 0 };
    struct buf charset = { 0 };
    struct buf scratch = { 0 };
    size_t bad = 0;
    buf_add_span(&charset, part->part->charset);
    buf_add_u8(&charset, '\0');
    if (!charset.failed)
        mime_text((const char *)charset.at, part->part->bytes, &text, &bad);
    struct reader lines = reader_of(buf_span(&text));
    while (!reader_at_end(&lines))
        add_line(sending, reader_until(&lines, '\n'), &scratch, part, substituted, cut);
    *substituted += bad;
    /* MVS text data sets are FB 80; CMS files are of variable length, of 80 columns where they fit */
    bool mvs = sending->options->kind == HOST_TSO || sending->options->kind == HOST_NJE38;
    part->fixed = mvs && part->lrecl <= CARD_COLUMNS;
    if (part->lrecl < CARD_COLUMNS)
        part->lrecl = CARD_COLUMNS;
    part->records.bytes.failed |= text.failed || charset.failed || scratch.failed;
    buf_free(&text);
    buf_free(&charset);
    buf_free(&scratch);
}

static void make_binary(const struct sending *sending, struct sending_part *part)
{
    size_t max = sending->options->max_lrecl;
    part->lrecl = max < TO_HOST_BINARY_RECORD ? max : TO_HOST_BINARY_RECORD;
    for (size_t at = 0; at < part->part->bytes.size; at += part->lrecl)
        records_add(&part->records, span_slice(part->part->bytes, at, part->lrecl));
}

void sending_part_make(const struct sending *sending, size_t index, struct sending_part *part_r, size_t *substituted_r,
                       size_t *cut_r)
{
    *part_r = (struct sending_part){ .part = &sending->letter->parts[index], .name = sending->names[index] };
    if (sending_part_is_text(sending, part_r->part))
        make_text(sending, part_r, substituted_r, cut_r);
    else
        make_binary(sending, part_r);
}

static enum netdata_dialect dialect_of(enum letter_host_kind kind)
{
    switch (kind) {
    case HOST_TSO:
        return NETDATA_TSO;
    case HOST_NJE38:
        return NETDATA_NJE38;
    case HOST_CMS370:
        return NETDATA_CE;
    default:
        return NETDATA_CMS;
    }
}

static char class_of(enum letter_host_kind kind)
{
    return kind == HOST_TSO ? 'B' : kind == HOST_CMS370 ? 'N' : 'A';
}

int sending_part_put(struct sending *sending, size_t index, struct err *err)
{
    struct sending_part part;
    size_t substituted = 0;
    size_t cut = 0;
    sending_part_make(sending, index, &part, &substituted, &cut);
    struct netdata_item item = { .name = part.name.name,
                                 .type = part.name.type,
                                 .fixed = part.fixed,
                                 .lrecl = part.lrecl,
                                 .changed_us = part.part->changed_us != 0 ? part.part->changed_us : sending->date_us,
                                 .records = &part.records };
    enum letter_host_kind kind = sending->options->kind;
    struct hostfile file = sending_file(sending, part.name.name.text, part.name.type.text, class_of(kind));
    const struct records *message = sending->message.count > 0 ? &sending->message : NULL;
    int result;
    if (part.records.bytes.failed || sending->message.bytes.failed) {
        hostfile_release(&file);
        result = err_set(err, ERR_NO_MEMORY, "no memory for a file");
    } else {
        result = sending_put_netdata(sending, &file, dialect_of(kind), message != NULL && sending->resolution->receipt,
                                     message, &item, err);
    }
    records_clear(&sending->message); /* it went with the first one */
    records_free(&part.records);
    return result;
}
