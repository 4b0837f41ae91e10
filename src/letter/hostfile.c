/* The records cross as they lie in struct records: their own lengths are walked once on arrival, so that a list that
 * does not fit is refused here and counted anew. */
#include "letter/hostfile.h"

#include "letter/pack.h"

enum { TAG_FILE = 1 };
enum file_tag {
    TAG_FROM_NODE = 1,
    TAG_FROM_USER,
    TAG_TO_NODE,
    TAG_TO_USER,
    TAG_ENTRY,
    TAG_NAME,
    TAG_TYPE,
    TAG_FORM,
    TAG_DIST,
    TAG_TAG,
    TAG_CLASS,
    TAG_CARRIAGE,
    TAG_RECORDS
};

void hostfile_release(struct hostfile *file)
{
    records_free(&file->records);
    *file = (struct hostfile){ .klass = '\0' };
}

void hostfile_pack(struct buf *to, const struct hostfile *file)
{
    size_t begun = pack_begin(to, TAG_FILE);
    pack_text_if(to, TAG_FROM_NODE, file->from_node.text);
    pack_text_if(to, TAG_FROM_USER, file->from_user.text);
    pack_text_if(to, TAG_TO_NODE, file->to_node.text);
    pack_text_if(to, TAG_TO_USER, file->to_user.text);
    pack_number(to, TAG_ENTRY, file->entry_us);
    pack_text_if(to, TAG_NAME, file->name);
    pack_text_if(to, TAG_TYPE, file->type);
    pack_text_if(to, TAG_FORM, file->form);
    pack_text_if(to, TAG_DIST, file->dist);
    pack_text_if(to, TAG_TAG, file->tag);
    pack_number(to, TAG_CLASS, file->klass);
    pack_number(to, TAG_CARRIAGE, file->carriage);
    pack_span(to, TAG_RECORDS, buf_span(&file->records.bytes));
    pack_end(to, begun);
    to->failed |= file->records.bytes.failed;
}

static int take_records(struct span packed, struct records *records, struct err *err)
{
    struct reader walk = reader_of(packed);
    struct span record;
    while (records_next(&walk, &record))
        records->count++;
    if (walk.failed)
        return err_set(err, ERR_BAD_CONTENT, "record %zu of a host file does not fit", records->count);
    buf_add_span(&records->bytes, packed);
    return records->bytes.failed ? err_set(err, ERR_NO_MEMORY, "no memory for a host file") : 0;
}

static int take_field(struct hostfile *file, const struct pack_field *field, struct err *err)
{
    struct span value = field->value;
    int64_t number = pack_number_of(value);
    switch ((enum file_tag)field->tag) {
    case TAG_FROM_NODE:
        file->from_node = pack_name_of(value);
        break;
    case TAG_FROM_USER:
        file->from_user = pack_name_of(value);
        break;
    case TAG_TO_NODE:
        file->to_node = pack_name_of(value);
        break;
    case TAG_TO_USER:
        file->to_user = pack_name_of(value);
        break;
    case TAG_ENTRY:
        file->entry_us = number;
        break;
    case TAG_NAME:
        span_to_text(value, file->name, sizeof file->name);
        break;
    case TAG_TYPE:
        span_to_text(value, file->type, sizeof file->type);
        break;
    case TAG_FORM:
        span_to_text(value, file->form, sizeof file->form);
        break;
    case TAG_DIST:
        span_to_text(value, file->dist, sizeof file->dist);
        break;
    case TAG_TAG:
        span_to_text(value, file->tag, sizeof file->tag);
        break;
    case TAG_CLASS:
        file->klass = number > ' ' && number < 0x7F ? (char)number : '\0';
        break;
    case TAG_CARRIAGE:
        if (number < HOSTFILE_PUNCH || number > HOSTFILE_CPDS)
            return err_set(err, ERR_BAD_CONTENT, "a host file has no known carriage control");
        file->carriage = (enum hostfile_carriage)number;
        break;
    case TAG_RECORDS:
        records_clear(&file->records);
        return take_records(value, &file->records, err);
    }
    return 0;
}

int hostfile_next(struct reader *list, struct hostfile *file_r, struct err *err)
{
    struct pack_field field;
    *file_r = (struct hostfile){ .klass = '\0' };
    int step;
    do {
        step = pack_next(list, &field, err);
    } while (step == 1 && field.tag != TAG_FILE);
    if (step != 1)
        return step;
    struct reader from = reader_of(field.value);
    int result = 0;
    while (result == 0 && (step = pack_next(&from, &field, err)) == 1)
        result = take_field(file_r, &field, err);
    if (result != 0 || step == -1) {
        hostfile_release(file_r);
        return -1;
    }
    return 1;
}
