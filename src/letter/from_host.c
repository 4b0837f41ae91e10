/* Hosts send whatever somebody typed SENDFILE on. A wrong guess must cost layout, never contents: so a format is taken
 * only where its marks are there, and when its decoder then fails, the file is text or an attachment. */
#include "letter/from_host.h"

#include "base/mem.h"
#include "codec/bsmtp.h"
#include "codec/iebcopy.h"
#include "codec/mime.h"
#include "codec/note.h"
#include "codec/print.h"
#include "codec/profs.h"
#include "codec/punch.h"
#include "letter/from_mail.h"

#include <stdio.h>

enum { FIRST_ROOM = 2, FILE_NAME_SIZE = 64, BINARY_ONE_IN = 20, TAB = 0x05, RETURN = 0x0D };

/* --- letters --- */

struct letter *host_letters_add(struct host_letters *letters, enum letter_source source, struct err *err)
{
    size_t count = letters->count;
    if (count == (size_t)BSMTP_RECIPIENTS_MAX) {
        (void)err_set(err, ERR_TOO_MANY, "more than %d letters in one file", BSMTP_RECIPIENTS_MAX);
        return NULL;
    }
    if (count == 0 || (count >= FIRST_ROOM && (count & (count - 1)) == 0)) {
        size_t room = count == 0 ? FIRST_ROOM : 2 * count;
        struct letter *more = mem_realloc(letters->letters, room * sizeof *more);
        if (more == NULL) {
            (void)err_set(err, ERR_NO_MEMORY, "no memory for a letter");
            return NULL;
        }
        letters->letters = more;
    }
    struct letter *letter = &letters->letters[letters->count++];
    *letter = (struct letter){ .head = { .source = source } };
    return letter;
}

void host_letters_release(struct host_letters *letters)
{
    for (size_t i = 0; i < letters->count; i++)
        letter_release(&letters->letters[i]);
    mem_free(letters->letters);
    *letters = (struct host_letters){ .count = 0 };
}

static void add_pair(struct letter *letter, enum letter_role role, struct name8 node, struct name8 user,
                     struct span name)
{
    struct letter_address address = { .role = role, .name = name, .address = SPAN_EMPTY, .node = node, .user = user };
    if (!name8_empty(user))
        letter_add_address(letter, &address);
}

void host_lines(struct letter *letter, const struct records *records, const struct ebcdic_page *page, struct buf *to)
{
    struct reader walk = records_walk(records);
    struct span record;
    while (records_next(&walk, &record)) {
        letter->substituted += ebcdic_to_utf8(page, span_trim_end(record, EBCDIC_BLANK), to);
        buf_add_u8(to, '\n');
    }
}

/* --- attachments --- */

void host_attach(struct letter *letter, const struct host_data *data, const struct records *records,
                 const struct options *options, const struct ebcdic_page *page)
{
    char name[FILE_NAME_SIZE];
    struct buf bytes = { 0 };
    struct records lines = { .count = 0 };
    struct print_facts facts;
    bool text = options_is_text(options, span_text(data->type), true);
    (void)snprintf(name, sizeof name, "%s%s%s", data->name, data->name[0] != '\0' && data->type[0] != '\0' ? "." : "",
                   data->type);
    if (!text) {
        records_join(records, &bytes);
    } else if (data->carriage != 0) {
        print_to_lines(records, data->carriage == NETDATA_ASA ? PRINT_ASA : PRINT_MACHINE, &lines, &facts);
        host_lines(letter, &lines, page, &bytes);
    } else {
        host_lines(letter, records, page, &bytes);
    }
    struct letter_part part = { .name = span_text(name),
                                .type = text ? SPAN_LITERAL("text/plain") : SPAN_LITERAL("application/octet-stream"),
                                .text = text,
                                .charset = text ? SPAN_LITERAL("utf-8") : SPAN_EMPTY,
                                .changed_us = data->changed_us,
                                .form = data->form,
                                .lrecl = data->lrecl };
    letter->failed |= lines.bytes.failed;
    part.bytes = letter_take(letter, &bytes);
    letter_add_part(letter, &part);
    records_free(&lines);
}

void host_attach_raw(struct letter *letter, const char *name, const struct records *records, const char *why)
{
    struct buf bytes = { 0 };
    char shown[FILE_NAME_SIZE];
    (void)snprintf(shown, sizeof shown, "%s%s", name[0] != '\0' ? name : "spool", ".bin");
    records_join(records, &bytes);
    struct letter_part part = { .name = span_text(shown),
                                .type = SPAN_LITERAL("application/octet-stream"),
                                .charset = SPAN_EMPTY };
    part.bytes = letter_take(letter, &bytes);
    letter_add_part(letter, &part);
    letter_lost(letter, "%s is attached as the host sent it: %s.", shown, why);
}

/* --- formats --- */

static void take_stamp(struct letter_head *head, bool is_reply, const struct date *date)
{
    head->is_reply = is_reply;
    head->stamp_us = is_reply ? date->us : 0;
}

int host_note(struct letter *letter, const struct records *records, const struct ebcdic_page *page, bool *is_note_r,
              struct err *err)
{
    struct note *note = mem_zero(sizeof *note); /* some ten kilobytes of addresses */
    if (note == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for a note");
    int result = note_parse(records, page, note, err);
    if (result == 0) {
        *is_note_r = note->understood && note->has_from && note->header.size > 0;
        if (note->has_from)
            add_pair(letter, LETTER_FROM, note->from.node, note->from.user, SPAN_EMPTY);
        for (size_t i = 0; i < note->to_count; i++)
            add_pair(letter, LETTER_TO, note->to[i].node, note->to[i].user, SPAN_EMPTY);
        for (size_t i = 0; i < note->cc_count; i++)
            add_pair(letter, LETTER_CC, note->cc[i].node, note->cc[i].user, SPAN_EMPTY);
        letter->head.subject = letter_keep(letter, note->subject);
        if (note->has_date && note->date.zone_known) {
            letter->head.has_date = true;
            letter->head.date_us = note->date.us;
            letter->head.zone_minutes = note->date.zone_minutes;
        }
        take_stamp(&letter->head, note->is_reply, &note->reply_date);
        letter->substituted += note->undefined;
        letter->body = letter_keep(letter, note->body);
    }
    note_release(note);
    mem_free(note);
    return result;
}

static void take_profs(struct letter *letter, const struct profs_note *note)
{
    struct letter_head *head = &letter->head;
    add_pair(letter, LETTER_FROM, note->from.node, note->from.user, note->from_text);
    for (size_t i = 0; i < note->to_count; i++)
        add_pair(letter, LETTER_TO, note->text_to[i].node, note->text_to[i].user, SPAN_EMPTY);
    for (size_t i = 0; i < note->cc_count; i++)
        add_pair(letter, LETTER_CC, note->text_cc[i].node, note->text_cc[i].user, SPAN_EMPTY);
    for (size_t i = 0; i < note->name_count; i++) {
        struct letter_address named = { .role = note->names[i].cc ? LETTER_CC : LETTER_TO,
                                        .name = note->names[i].name,
                                        .address = SPAN_EMPTY };
        if (mime_name_fit(&named.name))
            letter_add_address(letter, &named);
    }
    head->subject = letter_keep(letter, note->subject);
    head->ack_wanted = note->ack_wanted;
    take_stamp(head, note->is_reply, &note->reply_date);
    letter->substituted += note->undefined;
    letter->body = letter_keep(letter, note->body);
    if (note->is_ack)
        head->ack_text = letter->body;
}

static void attach_rest(struct letter *letter, struct reader walk, const char *why)
{
    struct records rest = { .count = 0 };
    struct span record;
    while (records_next(&walk, &record))
        records_add(&rest, record);
    if (rest.count > 0)
        host_attach_raw(letter, "rest", &rest, why);
    letter->failed |= rest.bytes.failed;
    records_free(&rest);
}

static int take_profs_notes(struct host_letters *letters, const struct records *records, const struct ebcdic_page *page,
                            struct err *err)
{
    struct profs_note *note = mem_zero(sizeof *note);
    struct reader walk = records_walk(records);
    struct letter *letter = NULL;
    struct err why = ERR_CLEAR;
    int step = note != NULL ? 1 : err_set(&why, ERR_NO_MEMORY, "no memory for a PROFS note");
    while (step == 1) {
        struct reader start = walk;
        step = profs_next(&walk, page, note, &why);
        if (step == 1) {
            letter = host_letters_add(letters, note->is_ack ? LETTER_PROFS_ACK : LETTER_PROFS, &why);
            if (letter != NULL)
                take_profs(letter, note);
            else
                step = -1;
            profs_release(note);
        } else if (step == -1 && letter != NULL && why.id == ERR_BAD_CONTENT) {
            attach_rest(letter, start, "it follows the note and is no part of it");
            step = 0;
        }
    }
    mem_free(note);
    if (step == -1 && err != NULL)
        *err = why;
    return step;
}

static void add_path(struct letter *letter, enum letter_role role, struct span path)
{
    struct letter_address address = { .role = role, .name = SPAN_EMPTY, .address = path };
    size_t at = span_find(path, '@');
    if (name8_parse(span_slice(path, 0, at), "user id", &address.user, NULL) != 0 ||
        name8_parse(span_slice(path, at + 1, SIZE_MAX), "node", &address.node, NULL) != 0) {
        address.user = (struct name8){ .text = "" };
        address.node = (struct name8){ .text = "" };
    }
    letter_add_address(letter, &address);
}

static int take_message(struct host_letters *letters, const struct bsmtp_message *message, size_t only, struct err *err)
{
    struct letter *letter = host_letters_add(letters, LETTER_BSMTP, err);
    if (letter == NULL)
        return -1;
    if (only != SIZE_MAX && only != letters->count - 1)
        return 0;
    int result = letter_from_mail(message->data, message->has_envelope ? LETTER_BSMTP : LETTER_RFC822, letter, err);
    if (message->has_envelope) {
        letter->head.has_envelope = true;
        if (message->from.size > 0)
            add_path(letter, LETTER_ENVELOPE_FROM, message->from);
        for (size_t i = 0; i < message->recipient_count; i++)
            add_path(letter, LETTER_ENVELOPE_TO, message->recipients[i]);
    }
    return result;
}

static int take_bsmtp(struct host_letters *letters, const struct records *records, const struct options *options,
                      const struct ebcdic_page *page, size_t only, struct err *err)
{
    struct bsmtp bsmtp;
    struct bsmtp_message message;
    int step = bsmtp_open(&bsmtp, records, page, options->kind != HOST_CMS370, err) == 0 ? 1 : -1;
    while (step == 1 && (step = bsmtp_next(&bsmtp, &message, err)) == 1)
        if (take_message(letters, &message, only, err) != 0)
            step = -1;
    if (bsmtp.undefined > 0 && letters->count > 0)
        letters->letters[0].substituted += bsmtp.undefined;
    bsmtp_close(&bsmtp);
    return step;
}

int host_bsmtp(struct host_letters *letters, const struct records *records, const struct options *options,
               const struct ebcdic_page *page, size_t only, struct err *err)
{
    struct err why = ERR_CLEAR;
    if (bsmtp_detect(records) != BSMTP_ENVELOPE)
        return 0;
    if (take_bsmtp(letters, records, options, page, only, &why) == 0)
        return letters->count > 0 ? 1 : 0;
    if (why.id != ERR_BAD_CONTENT) {
        if (err != NULL)
            *err = why;
        return -1;
    }
    if (letters->count == 0)
        return 0; /* somebody's text begins with HELO */
    letters->rest = why;
    return 1;
}

/* A deck of :READ files: one attachment each; a single NOTE or MAIL is the note itself. */
static int take_deck(struct host_letters *letters, const struct hostfile *file, const struct options *options,
                     const struct ebcdic_page *page, struct err *err)
{
    struct letter *letter = host_letters_add(letters, LETTER_DECK, err);
    if (letter == NULL)
        return -1;
    struct punch_walk walk = punch_walk_of(&file->records);
    struct punch_file found;
    struct records cards = { .count = 0 };
    size_t files = 0;
    int result = 0;
    while (result == 0 && punch_next_file(&walk, &found)) {
        struct span card;
        records_clear(&cards);
        bool text = options_is_text(options, span_text(found.type), true);
        while (punch_next_card(&walk, &card)) {
            if (text)
                records_add(&cards, card);
            else
                records_add_padded(&cards, card, CARD_COLUMNS, EBCDIC_BLANK);
        }
        letter->failed |= cards.bytes.failed;
        bool mail = strcmp(found.type, "NOTE") == 0 || strcmp(found.type, "MAIL") == 0;
        bool is_note = false;
        struct host_data data = {
            .name = found.name, .type = found.type, .form = LETTER_FORM_F, .lrecl = CARD_COLUMNS
        };
        if (++files == 1 && mail)
            result = host_note(letter, &cards, page, &is_note, err);
        if (files == 1 && letter->head.subject.size == 0 && !mail)
            letter->head.subject = letter_keep(letter, span_text(found.name));
        if (!(files == 1 && mail))
            host_attach(letter, &data, &cards, options, page);
    }
    records_free(&cards);
    return result;
}

/* Bytes that no text has. Tabs, line ends and form feeds are text. */
static bool looks_binary(const struct records *records)
{
    struct reader walk = records_walk(records);
    struct span record;
    size_t bytes = 0;
    size_t controls = 0;
    while (records_next(&walk, &record)) {
        bytes += record.size;
        for (size_t i = 0; i < record.size; i++) {
            uint8_t byte = record.at[i];
            controls += byte < EBCDIC_BLANK && byte != TAB && byte != RETURN && byte != EBCDIC_NL &&
                        byte != EBCDIC_LF && byte != PRINT_FORM_FEED;
            controls += byte == 0xFF;
        }
    }
    return controls > bytes / BINARY_ONE_IN;
}

static int take_text(struct host_letters *letters, const struct hostfile *file, const struct records *lines,
                     const struct ebcdic_page *page, struct err *err)
{
    struct letter *letter = host_letters_add(letters, LETTER_TEXT, err);
    if (letter == NULL)
        return -1;
    struct span first = SPAN_EMPTY;
    struct reader walk = records_walk(lines);
    (void)records_next(&walk, &first);
    bool dump = punch_is_disk_dump(first);
    if (dump || file->carriage == HOSTFILE_CPDS || looks_binary(lines)) {
        letter->head.source = LETTER_RAW;
        letter->head.subject = letter_keep(letter, span_text(file->name));
        host_attach_raw(letter, file->name, &file->records,
                        dump ? "it is in DISK DUMP form" : "it is no text and in no form that is known here");
        return 0;
    }
    bool is_note = false;
    int result = host_note(letter, lines, page, &is_note, err);
    if (is_note)
        letter->head.source = LETTER_PLAIN_NOTE;
    if (letter->head.subject.size == 0 && !is_note && file->name[0] != '\0') {
        char subject[FILE_NAME_SIZE];
        (void)snprintf(subject, sizeof subject, "%s %s", file->name, file->type);
        letter->head.subject = letter_keep(letter, span_trim(span_text(subject)));
    }
    return result;
}

/* Print lines without their control; cards as they are. */
static void plain_lines(const struct hostfile *file, struct records *lines)
{
    struct print_facts facts;
    struct reader walk = records_walk(&file->records);
    struct span record;
    if (file->carriage == HOSTFILE_ASA || file->carriage == HOSTFILE_MACHINE)
        print_to_lines(&file->records, file->carriage == HOSTFILE_ASA ? PRINT_ASA : PRINT_MACHINE, lines, &facts);
    else
        while (records_next(&walk, &record))
            records_add(lines, record);
}

void host_stream(const struct hostfile *file, struct buf *stream)
{
    struct reader walk = records_walk(&file->records);
    struct span record;
    while (file->carriage == HOSTFILE_PUNCH && records_next(&walk, &record)) {
        buf_add_span(stream, record);
        if (record.size < CARD_COLUMNS) /* a card whose blanks were cut */
            buf_add_fill(stream, EBCDIC_BLANK, CARD_COLUMNS - record.size);
    }
}

static bool is_mail_file(const struct hostfile *file)
{
    return file->klass == 'M' || strcmp(file->type, "MAIL") == 0 || strcmp(file->form, "QU-MAIL") == 0;
}

static int take_lines(struct host_letters *letters, const struct hostfile *file, const struct options *options,
                      const struct ebcdic_page *page, const struct records *lines, size_t only, struct err *err)
{
    struct reader walk = records_walk(lines);
    struct span first;
    if (!records_next(&walk, &first))
        return host_letters_add(letters, LETTER_EMPTY, err) != NULL ? 0 : -1;
    if (profs_detect(first) && take_profs_notes(letters, lines, page, err) == 0)
        return 0;
    if (letters->count > 0)
        return -1;
    int bsmtp = host_bsmtp(letters, lines, options, page, only, err);
    if (bsmtp != 0)
        return bsmtp == 1 ? 0 : -1;
    if (file->carriage == HOSTFILE_PUNCH && punch_is_header(first))
        return take_deck(letters, file, options, page, err);
    if (is_mail_file(file) && bsmtp_detect(lines) == BSMTP_HEADERS)
        return take_bsmtp(letters, lines, options, page, only, err);
    return take_text(letters, file, lines, page, err);
}

int letters_from_host(const struct hostfile *file, const struct options *options, const struct ebcdic_page *page,
                      size_t only, struct host_letters *letters_r, struct err *err)
{
    *letters_r = (struct host_letters){ .rest = ERR_CLEAR };
    struct buf stream = { 0 };
    struct records lines = { .count = 0 };
    int result;
    host_stream(file, &stream);
    plain_lines(file, &lines);
    if (stream.failed || lines.bytes.failed)
        result = err_set(err, ERR_NO_MEMORY, "no memory for a host file");
    else if (netdata_detect(buf_span(&stream)))
        result = letters_from_netdata(file, options, page, only, letters_r, err);
    else
        result = take_lines(letters_r, file, options, page, &lines, only, err);
    buf_free(&stream);
    records_free(&lines);
    for (size_t i = 0; i < letters_r->count && result == 0; i++) {
        struct letter *letter = &letters_r->letters[i];
        if (letter->substituted > 0)
            letter_lost(letter, "%zu characters are not defined in the host's code page.", letter->substituted);
        if (letter_first(&letter->head, LETTER_FROM) == NULL)
            add_pair(letter, LETTER_FROM, file->from_node, file->from_user, SPAN_EMPTY);
        result = letter_check(letter, err);
    }
    return result;
}
