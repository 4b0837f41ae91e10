/* Mail programs disagree about structure, so the walk asks of each part only: is it the text to be read, one of several
 * forms of it, or a file? What is a file is kept byte for byte. */
#include "letter/from_mail.h"

#include "codec/date.h"
#include "codec/ebcdic.h"
#include "codec/html.h"
#include "codec/mime.h"

#include <stdio.h>

enum { DEFAULT_NAME_SIZE = 64, FILE_NAME_SUBJECT = 60 };

/* What to do with a part that is text to be read. */
enum taking_mode { TAKE_ALL, TAKE_FILES /* another form of it was taken */ };

struct taking {
    struct letter *letter;
    struct buf body;
    bool host;
};

/* --- header --- */

struct address_taking {
    struct taking *taking;
    enum letter_role role;
};

static void take_mailbox(void *arg, struct span name, struct span address)
{
    const struct address_taking *list = arg;
    struct letter_address found = { .role = list->role, .name = SPAN_EMPTY, .address = address };
    if (mime_name_fit(&name))
        found.name = name;
    size_t at = span_find(address, '@');
    struct span domain = span_slice(address, at + 1, SIZE_MAX);
    if (list->taking->host && at < address.size &&
        (name8_parse(span_slice(address, 0, at), "user id", &found.user, NULL) != 0 ||
         name8_parse(domain, "node", &found.node, NULL) != 0)) {
        found.user = (struct name8){ .text = "" };
        found.node = (struct name8){ .text = "" };
    }
    letter_add_address(list->taking->letter, &found);
}

static void take_addresses(struct taking *taking, enum letter_role role, struct span value)
{
    struct address_taking list = { .taking = taking, .role = role };
    mime_addresses(value, take_mailbox, &list);
}

static struct span keep_value(struct letter *letter, struct span value, bool decode)
{
    struct buf text = { 0 };
    if (decode)
        mime_value(value, &text);
    else
        mime_unfold(value, &text);
    return letter_take(letter, &text);
}

static struct span keep_id(struct letter *letter, struct span value)
{
    struct buf line = { 0 };
    mime_unfold(value, &line);
    struct reader from = reader_of(buf_span(&line));
    struct span id;
    struct span kept = mime_id_next(&from, &id) ? letter_keep(letter, id) : SPAN_EMPTY;
    letter->failed |= line.failed;
    buf_free(&line);
    return kept;
}

static void take_references(struct letter *letter, struct span value)
{
    struct buf line = { 0 };
    mime_unfold(value, &line);
    struct reader from = reader_of(buf_span(&line));
    struct span id;
    while (mime_id_next(&from, &id))
        letter_add_reference(letter, id);
    letter->failed |= line.failed;
    buf_free(&line);
}

static void take_date(struct letter_head *head, struct span value)
{
    struct buf line = { 0 };
    struct date date;
    mime_unfold(value, &line);
    if (!head->has_date && date_parse(buf_span(&line), &date, NULL) == 0) {
        head->has_date = true; /* one without a zone counts as GMT */
        head->date_us = date.us;
        head->zone_minutes = date.zone_minutes;
    }
    buf_free(&line);
}

static bool first_word_is(struct span value, const char *word)
{
    struct span text = span_trim(value);
    size_t size = strlen(word);
    return span_equal_nocase(span_slice(text, 0, size), span_text(word)) &&
           (text.size == size || strchr(" \t\r\n;(", text.at[size]) != NULL);
}

static bool is_field(struct span name, const char *wanted)
{
    return span_equal_nocase(name, span_text(wanted));
}

static void take_field(struct taking *taking, struct span name, struct span value)
{
    static const struct {
        const char *name;
        enum letter_role role;
    } roles[] = { { "From", LETTER_FROM },
                  { "Sender", LETTER_SENDER },
                  { "Reply-To", LETTER_REPLY_TO },
                  { "To", LETTER_TO },
                  { "Cc", LETTER_CC },
                  { "Disposition-Notification-To", LETTER_RECEIPT_TO },
                  { "Return-Receipt-To", LETTER_RECEIPT_TO } };
    struct letter *letter = taking->letter;
    struct letter_head *head = &letter->head;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (is_field(name, roles[i].name)) {
            take_addresses(taking, roles[i].role, value);
            head->ack_wanted |= roles[i].role == LETTER_RECEIPT_TO && letter_first(head, LETTER_RECEIPT_TO) != NULL;
            return;
        }
    if (is_field(name, "Subject") && head->subject.size == 0)
        head->subject = keep_value(letter, value, true);
    else if (is_field(name, "Date"))
        take_date(head, value);
    else if (is_field(name, "Message-ID") && head->message_id.size == 0)
        head->message_id = keep_id(letter, value);
    else if (is_field(name, "In-Reply-To") && head->in_reply_to.size == 0)
        head->in_reply_to = keep_id(letter, value);
    else if (is_field(name, "References"))
        take_references(letter, value);
    else if (is_field(name, "Auto-Submitted"))
        head->auto_submitted |= !first_word_is(value, "no");
    else if (is_field(name, "List-Id"))
        head->bulk = true;
    else if (is_field(name, "Precedence"))
        head->bulk |= first_word_is(value, "bulk") || first_word_is(value, "list") || first_word_is(value, "junk");
}

/* --- reports --- */

/* message/delivery-status (RFC 3464) and message/disposition-notification (RFC 8098): what happened, to which letter */
static void take_report(struct letter *letter, struct span body)
{
    struct reader fields = reader_of(body); /* groups of fields, empty lines between them are no fields */
    struct span name;
    struct span value;
    while (mime_field_next(&fields, &name, &value)) {
        if (is_field(name, "Original-Message-ID") && letter->head.report_about.size == 0)
            letter->head.report_about = keep_id(letter, value);
        bool disposition = is_field(name, "Disposition");
        if ((!disposition && !is_field(name, "Action")) || letter->head.report_action.size > 0)
            continue;
        /* `automatic-action/MDN-sent-automatically; displayed` */
        size_t mode = disposition ? span_find(value, ';') + 1 : 0;
        value = span_trim(span_trim_end(span_trim_end(span_slice(value, mode, SIZE_MAX), '\n'), '\r'));
        size_t size = 0;
        while (size < value.size && ((value.at[size] | 0x20) >= 'a' && (value.at[size] | 0x20) <= 'z'))
            size++;
        letter->head.report_action = letter_keep(letter, span_slice(value, 0, size));
    }
}

static void take_reported(struct letter *letter, struct span message)
{
    struct span header;
    struct span body;
    struct span value;
    mime_split(message, &header, &body);
    if (letter->head.report_about.size == 0 && mime_find(header, "Message-ID", &value))
        letter->head.report_about = keep_id(letter, value);
}

/* --- parts --- */

static void append_body(struct taking *taking, struct span text)
{
    struct buf *body = &taking->body;
    while (body->size > 0 && body->at[body->size - 1] == '\n')
        body->size--;
    if (body->size > 0)
        buf_add_text(body, "\n\n");
    buf_add_span(body, text);
    if (text.size > 0 && text.at[text.size - 1] != '\n')
        buf_add_u8(body, '\n');
}

static const char *charset_of(const struct taking *taking, const struct mime_entity *entity)
{
    bool encoded = strcmp(entity->encoding, "base64") == 0 || strcmp(entity->encoding, "quoted-printable") == 0;
    return taking->host && !encoded ? "utf-8" : entity->charset;
}

static void take_text(struct taking *taking, const struct mime_entity *entity)
{
    struct buf content = { 0 };
    struct buf text = { 0 };
    struct buf shown = { 0 };
    size_t bad = 0;
    mime_content(entity, &content);
    mime_text(charset_of(taking, entity), buf_span(&content), &text, &bad);
    taking->letter->substituted += bad;
    if (mime_is(entity, "text", "html"))
        html_to_text(buf_span(&text), &shown);
    else if (entity->flowed)
        mime_unflow(buf_span(&text), entity->delete_space, &shown);
    else
        buf_add_span(&shown, buf_span(&text));
    append_body(taking, buf_span(&shown));
    taking->letter->failed |= content.failed || text.failed || shown.failed;
    buf_free(&content);
    buf_free(&text);
    buf_free(&shown);
}

/* A name for a part that has none: what it is called in its letter, or what it is. */
static void default_name(const struct mime_entity *entity, struct buf *name)
{
    struct span inner;
    struct span body;
    struct span value;
    if (mime_is(entity, "message", "rfc822")) {
        mime_split(entity->body, &inner, &body);
        if (mime_find(inner, "Subject", &value))
            mime_value(value, name);
        if (name->size > FILE_NAME_SUBJECT)
            buf_clear(name); /* a subject that long makes no name */
        buf_add_text(name, name->size > 0 ? ".eml" : "message.eml");
    } else if (mime_is(entity, "text", "calendar")) {
        buf_add_text(name, "meeting.ics");
    } else if (mime_is(entity, "text", "plain")) {
        buf_add_text(name, "text.txt");
    } else if (mime_is(entity, "image", "jpeg")) {
        buf_add_text(name, "image.jpg");
    } else {
        buf_printf(name, "%.20s.%.8s", entity->type, mime_is(entity, "application", NULL) ? "bin" : entity->subtype);
    }
}

static void take_file(struct taking *taking, const struct mime_entity *entity)
{
    struct letter *letter = taking->letter;
    struct buf content = { 0 };
    struct buf name = { 0 };
    char type[2 * MIME_WORD_SIZE + 1];
    struct date date;
    mime_content(entity, &content);
    if (entity->name[0] != '\0')
        buf_add_text(&name, entity->name);
    else
        default_name(entity, &name);
    (void)snprintf(type, sizeof type, "%s/%s", entity->type, entity->subtype);
    struct letter_part part = { .name = buf_span(&name),
                                .type = span_text(type),
                                .text = mime_is(entity, "text", NULL) || mime_is(entity, "message", NULL),
                                .charset = span_text(charset_of(taking, entity)) };
    if (entity->changed[0] != '\0' && date_parse(span_text(entity->changed), &date, NULL) == 0)
        part.changed_us = date.us;
    part.bytes = letter_take(letter, &content);
    letter_add_part(letter, &part);
    letter->failed |= name.failed;
    buf_free(&name);
}

static bool is_readable(const struct mime_entity *entity)
{
    return (mime_is(entity, "text", "plain") || mime_is(entity, "text", "html") ||
            mime_is(entity, "text", "enriched")) &&
           !entity->attachment && entity->name[0] == '\0';
}

/* How good a part is as the text of an alternative: 2 plain text, 1 HTML, 0 neither. */
static int rank_of(struct span bytes, unsigned depth)
{
    struct mime_entity entity;
    mime_open(bytes, false, &entity);
    if (mime_is(&entity, "multipart", NULL) && depth < MIME_DEPTH_MAX) {
        struct mime_parts parts = mime_parts_of(&entity);
        struct span part;
        int best = 0;
        while (best < 2 && mime_part_next(&parts, &part)) {
            int rank = rank_of(part, depth + 1);
            best = rank > best ? rank : best;
        }
        return best;
    }
    if (!is_readable(&entity))
        return 0;
    struct span text = entity.body;
    while (text.size > 0 && (text.at[0] == '\r' || text.at[0] == '\n' || text.at[0] == ' ' || text.at[0] == '\t'))
        text = span_slice(text, 1, SIZE_MAX);
    if (text.size == 0)
        return 0;
    return mime_is(&entity, "text", "html") ? 1 : 2;
}

static void take_entity(struct taking *taking, struct span bytes, bool digest, unsigned depth, enum taking_mode mode);

static void take_alternative(struct taking *taking, const struct mime_entity *entity, unsigned depth,
                             enum taking_mode mode)
{
    struct mime_parts parts = mime_parts_of(entity);
    struct span part;
    size_t count = 0;
    size_t chosen = 0;
    int best = -1;
    for (; mime_part_next(&parts, &part); count++) {
        int rank = rank_of(part, depth + 1);
        if (rank >= best) { /* of equals the last is the richest (RFC 2046 §5.1.4) */
            best = rank;
            chosen = count;
        }
    }
    parts = mime_parts_of(entity);
    for (count = 0; mime_part_next(&parts, &part); count++)
        take_entity(taking, part, false, depth + 1, best > 0 && count != chosen ? TAKE_FILES : mode);
}

static void take_multipart(struct taking *taking, const struct mime_entity *entity, unsigned depth,
                           enum taking_mode mode)
{
    if (mime_is(entity, "multipart", "alternative")) {
        take_alternative(taking, entity, depth, mode);
        return;
    }
    struct mime_parts parts = mime_parts_of(entity);
    struct span part;
    bool digest = mime_is(entity, "multipart", "digest");
    while (mime_part_next(&parts, &part))
        take_entity(taking, part, digest, depth + 1, mode);
}

static void take_leaf(struct taking *taking, const struct mime_entity *entity, unsigned depth, enum taking_mode mode)
{
    bool report = taking->letter->head.report_type.size > 0;
    if (report &&
        (mime_is(entity, "message", "delivery-status") || mime_is(entity, "message", "disposition-notification"))) {
        take_report(taking->letter, entity->body);
        take_text(taking, entity);
        return;
    }
    if (report && (mime_is(entity, "message", "rfc822") || mime_is(entity, "text", "rfc822-headers")))
        take_reported(taking->letter, entity->body);
    /* a letter that is one text needs no name to be read */
    bool whole =
        depth == 0 && mime_is(entity, "text", NULL) && !entity->attachment && !mime_is(entity, "text", "calendar");
    if (!is_readable(entity) && !whole)
        take_file(taking, entity);
    else if (mode == TAKE_ALL)
        take_text(taking, entity);
    else if (mime_is(entity, "text", "html"))
        taking->letter->head.html_left_out = true;
}

static void take_entity(struct taking *taking, struct span bytes, bool digest, unsigned depth, enum taking_mode mode)
{
    struct mime_entity entity;
    mime_open(bytes, digest, &entity);
    bool multipart = mime_is(&entity, "multipart", NULL) && entity.boundary[0] != '\0';
    if (mime_is(&entity, "multipart", "report") && depth == 0)
        taking->letter->head.report_type = letter_keep(
            taking->letter, entity.report_type[0] != '\0' ? span_text(entity.report_type) : SPAN_LITERAL("unknown"));
    if (multipart && depth < MIME_DEPTH_MAX)
        take_multipart(taking, &entity, depth, mode);
    else if (mime_is(&entity, "multipart", NULL) && depth == 0) {
        (void)snprintf(entity.type, sizeof entity.type, "text"); /* it says multipart and has no parts */
        (void)snprintf(entity.subtype, sizeof entity.subtype, "plain");
        take_text(taking, &entity);
    } else
        take_leaf(taking, &entity, depth, mode);
}

int letter_from_mail(struct span mail, enum letter_source source, struct letter *letter_r, struct err *err)
{
    *letter_r = (struct letter){ .head = { .source = source } };
    struct taking taking = { .letter = letter_r, .host = source != LETTER_MAIL };
    struct span header;
    struct span body;
    struct span name;
    struct span value;
    mime_split(mail, &header, &body);
    struct reader fields = reader_of(header);
    while (mime_field_next(&fields, &name, &value))
        take_field(&taking, name, value);
    take_entity(&taking, mail, false, 0, TAKE_ALL);
    while (taking.body.size > 0 && strchr(" \t\n", taking.body.at[taking.body.size - 1]) != NULL)
        taking.body.size--;
    if (taking.body.size > 0)
        buf_add_u8(&taking.body, '\n');
    letter_r->body = letter_take(letter_r, &taking.body);
    if (letter_r->substituted > 0)
        letter_lost(letter_r, "%zu bytes were no characters of the charset they are in.", letter_r->substituted);
    return letter_check(letter_r, err);
}
