/* NETDATA as a letter: the message is the body, every data set an attachment, members of a partitioned one each for
 * itself. A stream that is damaged is attached as it came, beside what could still be read from it. */
#include "codec/iebcopy.h"
#include "letter/from_host.h"

#include "codec/date.h"

#include <stdio.h>

enum { NAME_SIZE = 64, DSNAME_SIZE = 256 };

/* What a data set is called: CMS `fn` `ft`; MVS all but the first qualifier (the owner's id), the last one being the
 * type. */
struct data_set_name {
    char name[NAME_SIZE], type[NETDATA_QUALIFIER_SIZE];
};

static void name_of(const struct netdata_file *file, struct data_set_name *name_r)
{
    *name_r = (struct data_set_name){ .name = "" };
    size_t count = file->qualifiers;
    size_t first = count > 1 ? 1 : 0; /* CMS: the mode letter; MVS: the owner's prefix */
    if (count == 0)
        return;
    size_t last = count - 1 > first ? count - 1 : count;
    for (size_t i = first; i < last; i++) {
        size_t size = strlen(name_r->name);
        (void)snprintf(name_r->name + size, sizeof name_r->name - size, "%s%s", size > 0 ? "." : "",
                       file->qualifier[i]);
    }
    if (last < count)
        (void)snprintf(name_r->type, sizeof name_r->type, "%s", file->qualifier[last]);
    if (file->member[0] != '\0')
        (void)snprintf(name_r->name, sizeof name_r->name, "%s", file->member);
}

static enum letter_form form_of(unsigned recfm)
{
    switch (recfm & NETDATA_FORM) {
    case NETDATA_F:
        return LETTER_FORM_F;
    case NETDATA_U:
        return LETTER_FORM_U;
    default:
        return LETTER_FORM_V; /* CMS says V with none of the bits */
    }
}

static void attach_members(struct letter *letter, const struct netdata_file *file, const struct data_set_name *name,
                           const struct options *options, const struct ebcdic_page *page)
{
    struct iebcopy unload;
    struct iebcopy_member member;
    struct err why = ERR_CLEAR;
    int step = iebcopy_open(&unload, &file->records, &why) == 0 ? 1 : -1;
    const char *type = name->type[0] != '\0' ? name->type : name->name;
    while (step == 1 && (step = iebcopy_next(&unload, &member, &why)) == 1) {
        if (member.alias_of != NULL) {
            letter_lost(letter, "Member %s is another name of %s.", member.name, member.alias_of);
            continue;
        }
        struct host_data data = { .name = member.name,
                                  .type = type,
                                  .form = form_of(unload.recfm),
                                  .lrecl = unload.lrecl,
                                  .carriage = unload.recfm & (NETDATA_ASA | NETDATA_MACHINE) };
        host_attach(letter, &data, member.records, options, page);
    }
    if (step == -1)
        host_attach_raw(letter, name->name, &file->records, "its members cannot all be read");
    iebcopy_close(&unload);
}

static void attach_file(struct letter *letter, const struct netdata_file *file, const struct options *options,
                        const struct ebcdic_page *page)
{
    struct data_set_name name;
    int64_t changed_us = 0;
    name_of(file, &name);
    (void)date_parse_netdata(span_text(file->changed), &changed_us);
    struct host_data data = { .name = name.name,
                              .type = name.type,
                              .form = form_of(file->recfm),
                              .lrecl = (size_t)file->lrecl,
                              .carriage = file->recfm & (NETDATA_ASA | NETDATA_MACHINE),
                              .changed_us = changed_us };
    if (file->encrypted)
        host_attach_raw(letter, name.name, &file->records, "it is encrypted");
    else if ((file->recfm & NETDATA_WITHOUT_RDW) == 0 && (file->recfm & (NETDATA_PACKED | NETDATA_HUFFMAN)) != 0)
        host_attach_raw(letter, name.name, &file->records, "its records are packed");
    else if (file->partitioned)
        attach_members(letter, file, &name, options, page);
    else
        host_attach(letter, &data, &file->records, options, page);
    if (file->short_records > 0 && !options_is_text(options, span_text(name.type), true))
        letter_lost(letter, "%zu records of %s.%s came shorter than %zu bytes.", file->short_records, name.name,
                    name.type, (size_t)file->lrecl);
}

static void dsname_of(const struct netdata_file *file, char to_r[DSNAME_SIZE])
{
    size_t size = 0;
    to_r[0] = '\0';
    for (size_t i = 0; i < file->qualifiers && size + NETDATA_QUALIFIER_SIZE + 1 < DSNAME_SIZE; i++)
        size += (size_t)snprintf(to_r + size, DSNAME_SIZE - size, "%s%s", size > 0 ? "." : "", file->qualifier[i]);
}

static void take_ack(struct letter *letter, const struct netdata_stream *stream)
{
    struct letter_head *head = &letter->head;
    char name[DSNAME_SIZE];
    struct buf text = { 0 };
    dsname_of(&stream->about, name);
    head->source = LETTER_ACK;
    head->ack_sent = letter_keep(letter, span_text(stream->ack_time));
    (void)date_parse_netdata(span_text(stream->ack_time), &head->ack_sent_us);
    head->ack_name = letter_keep(letter, span_text(name));
    head->ack_text = letter_keep(letter, span_text(stream->ack_text));
    buf_printf(&text, "%s %s: %s\n", name[0] != '\0' ? "File" : "The note", name[0] != '\0' ? name : "was acknowledged",
               stream->ack_text[0] != '\0' ? stream->ack_text : "received");
    letter->body = letter_take(letter, &text);
}

/* The first data set names the letter where there is no message; what was sent is said, so that no body is empty. */
static void name_letter(struct letter *letter, const struct netdata_stream *stream)
{
    struct data_set_name name = { .name = "" };
    struct buf text = { 0 };
    for (size_t i = 0; i < stream->file_count && name.name[0] == '\0'; i++)
        name_of(&stream->files[i], &name);
    buf_printf(&text, "%s %s", name.name, name.type);
    letter->head.subject = letter_keep(letter, span_trim(buf_span(&text)));
    letter->failed |= text.failed;
    buf_free(&text);
}

static int take_files(struct letter *letter, const struct netdata_stream *stream, const struct options *options,
                      const struct ebcdic_page *page, struct err *err)
{
    bool message = false;
    bool is_note;
    int result = 0;
    for (size_t i = 0; i < stream->file_count && result == 0; i++) {
        const struct netdata_file *file = &stream->files[i];
        if (!file->message || message) {
            attach_file(letter, file, options, page);
            continue;
        }
        message = true;
        letter->head.source = LETTER_NOTE;
        result = host_note(letter, &file->records, page, &is_note, err);
    }
    if (!message)
        name_letter(letter, stream);
    return result;
}

static void take_head(struct letter *letter, const struct netdata_stream *stream)
{
    struct letter_address from = { .role = LETTER_FROM,
                                   .name = SPAN_EMPTY,
                                   .address = SPAN_EMPTY,
                                   .node = stream->from_node,
                                   .user = stream->from_user };
    if (!name8_empty(from.node) && !name8_empty(from.user))
        letter_add_address(letter, &from);
    letter->head.sent = letter_keep(letter, span_text(stream->time));
    letter->head.sent_us = stream->time_us;
    letter->head.ack_wanted = stream->ack_wanted;
}

static int take_stream(const struct hostfile *file, const struct netdata_stream *stream, const struct err *damage,
                       const struct options *options, const struct ebcdic_page *page, struct host_letters *letters,
                       struct err *err)
{
    struct letter *letter = host_letters_add(letters, LETTER_FILE, err);
    if (letter == NULL)
        return -1;
    take_head(letter, stream);
    int result = 0;
    if (stream->is_ack && damage->id == ERR_NONE)
        take_ack(letter, stream);
    else
        result = take_files(letter, stream, options, page, err);
    if (damage->id != ERR_NONE) {
        if (letter->head.part_count == 0 && letter->body.size == 0)
            letter->head.source = LETTER_RAW;
        host_attach_raw(letter, file->name, &file->records, damage->text);
    }
    return result;
}

int letters_from_netdata(const struct hostfile *file, const struct options *options, const struct ebcdic_page *page,
                         size_t only, struct host_letters *letters, struct err *err)
{
    struct buf bytes = { 0 };
    struct netdata_stream stream;
    struct err damage = ERR_CLEAR;
    host_stream(file, &bytes);
    int result = netdata_decode(buf_span(&bytes), &stream, &damage);
    if (result == -1 && damage.id != ERR_BAD_CONTENT && damage.id != ERR_TOO_MANY) {
        if (err != NULL)
            *err = damage;
    } else {
        /* mailers wrap their envelope in NETDATA where lines are long */
        int bsmtp = result == 0 && stream.file_count == 1
                        ? host_bsmtp(letters, &stream.files[0].records, options, page, only, err)
                        : 0;
        if (bsmtp == 0)
            result = take_stream(file, &stream, &damage, options, page, letters, err);
        else
            result = bsmtp == 1 ? 0 : -1;
    }
    netdata_release(&stream);
    buf_free(&bytes);
    return result;
}
