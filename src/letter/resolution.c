/* Plain lists of fields. A pair that is no name, or an address that would break a header line, is refused here: what
 * the daemon resolved is trusted, but a bug there must not write headers. */
#include "letter/resolution.h"

#include "base/mem.h"
#include "letter/pack.h"

enum mail_tag {
    TAG_LETTER = 1,
    TAG_FROM,
    TAG_FROM_NAME,
    TAG_TO,
    TAG_TO_NAME,
    TAG_REPLY_TO,
    TAG_PAIR,
    TAG_MESSAGE_ID,
    TAG_IN_REPLY_TO,
    TAG_REFERENCE,
    TAG_RECEIPT,
    TAG_NOW,
    TAG_ALSO_TO,
    TAG_ALSO_CC,
    TAG_MAIL_SUBJECT,
    TAG_BODY_FROM,
    TAG_DUMMY
};
enum pair_tag { TAG_PAIR_NODE = 1, TAG_PAIR_USER, TAG_PAIR_ADDRESS, TAG_PAIR_NAME };
enum host_tag {
    TAG_FROM_NODE = 1,
    TAG_FROM_USER,
    TAG_TO_NODE,
    TAG_TO_USER,
    TAG_SHOWN,
    TAG_SHOWN_NAME,
    TAG_ENTRY,
    TAG_HOST_RECEIPT,
    TAG_HOST_TO_NAME
};
enum ack_tag { TAG_ACK_LETTER = 1, TAG_ACK_ENTRY, TAG_ACK_TEXT };

void mail_resolution_pack(struct buf *to, const struct mail_resolution *resolution)
{
    pack_number(to, TAG_LETTER, (int64_t)resolution->letter);
    pack_span_if(to, TAG_FROM, resolution->from);
    pack_span_if(to, TAG_FROM_NAME, resolution->from_name);
    pack_span_if(to, TAG_TO, resolution->to);
    pack_span_if(to, TAG_TO_NAME, resolution->to_name);
    pack_span_if(to, TAG_REPLY_TO, resolution->reply_to);
    for (size_t i = 0; i < resolution->pair_count; i++) {
        size_t begun = pack_begin(to, TAG_PAIR);
        pack_text_if(to, TAG_PAIR_NODE, resolution->pairs[i].node.text);
        pack_text_if(to, TAG_PAIR_USER, resolution->pairs[i].user.text);
        pack_span_if(to, TAG_PAIR_ADDRESS, resolution->pairs[i].address);
        pack_span_if(to, TAG_PAIR_NAME, resolution->pairs[i].name);
        pack_end(to, begun);
    }
    pack_span_if(to, TAG_MESSAGE_ID, resolution->message_id);
    pack_span_if(to, TAG_IN_REPLY_TO, resolution->in_reply_to);
    for (size_t i = 0; i < resolution->reference_count; i++)
        pack_span(to, TAG_REFERENCE, resolution->references[i]);
    pack_flag(to, TAG_RECEIPT, resolution->receipt);
    pack_number(to, TAG_NOW, resolution->now_us);
    pack_span_if(to, TAG_ALSO_TO, resolution->also_to);
    pack_span_if(to, TAG_ALSO_CC, resolution->also_cc);
    pack_span_if(to, TAG_MAIL_SUBJECT, resolution->subject);
    pack_number(to, TAG_BODY_FROM, (int64_t)resolution->body_from);
    pack_span_if(to, TAG_DUMMY, resolution->dummy);
}

void host_resolution_pack(struct buf *to, const struct host_resolution *resolution)
{
    pack_text_if(to, TAG_FROM_NODE, resolution->from_node.text);
    pack_text_if(to, TAG_FROM_USER, resolution->from_user.text);
    pack_text_if(to, TAG_TO_NODE, resolution->to_node.text);
    pack_text_if(to, TAG_TO_USER, resolution->to_user.text);
    pack_span_if(to, TAG_SHOWN, resolution->from);
    pack_span_if(to, TAG_SHOWN_NAME, resolution->from_name);
    pack_number(to, TAG_ENTRY, resolution->entry_us);
    pack_flag(to, TAG_HOST_RECEIPT, resolution->receipt);
    pack_span_if(to, TAG_HOST_TO_NAME, resolution->to_name);
}

void ack_resolution_pack(struct buf *to, const struct ack_resolution *resolution)
{
    pack_number(to, TAG_ACK_LETTER, (int64_t)resolution->letter);
    pack_number(to, TAG_ACK_ENTRY, resolution->entry_us);
    pack_span_if(to, TAG_ACK_TEXT, resolution->text);
}

/* An address or id stands in a header line or between < >: no control characters, no line ends. */
static bool fits_line(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] < 0x20 || text.at[i] == 0x7F)
            return false;
    return true;
}

static int bad(const char *what, struct err *err)
{
    return err_set(err, ERR_BAD_CONTENT, "a resolution has no usable %s", what);
}

static int take_pair(struct span packed, struct resolved *pair, struct err *err)
{
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    *pair = (struct resolved){ .address = SPAN_EMPTY, .name = SPAN_EMPTY };
    while ((step = pack_next(&from, &field, err)) == 1) {
        if (field.tag == TAG_PAIR_NODE)
            pair->node = pack_name_of(field.value);
        else if (field.tag == TAG_PAIR_USER)
            pair->user = pack_name_of(field.value);
        else if (field.tag == TAG_PAIR_ADDRESS)
            pair->address = field.value;
        else if (field.tag == TAG_PAIR_NAME)
            pair->name = field.value;
    }
    if (step == 0 &&
        (name8_empty(pair->node) || name8_empty(pair->user) || pair->address.size == 0 || !fits_line(pair->address)))
        return bad("pair", err);
    return step;
}

static int take_mail_field(struct mail_resolution *resolution, struct resolved *pairs, struct span *references,
                           const struct pack_field *field, struct err *err)
{
    struct span value = field->value;
    int64_t number = pack_number_of(value);
    switch ((enum mail_tag)field->tag) {
    case TAG_LETTER:
        if (number < 0)
            return bad("letter", err);
        resolution->letter = (size_t)number;
        break;
    case TAG_FROM:
        resolution->from = value;
        break;
    case TAG_FROM_NAME:
        resolution->from_name = value;
        break;
    case TAG_TO:
        resolution->to = value;
        break;
    case TAG_TO_NAME:
        resolution->to_name = value;
        break;
    case TAG_REPLY_TO:
        resolution->reply_to = value;
        break;
    case TAG_PAIR:
        return take_pair(value, &pairs[resolution->pair_count++], err);
    case TAG_MESSAGE_ID:
        resolution->message_id = value;
        break;
    case TAG_IN_REPLY_TO:
        resolution->in_reply_to = value;
        break;
    case TAG_REFERENCE:
        references[resolution->reference_count++] = value;
        return fits_line(value) ? 0 : bad("reference", err);
    case TAG_RECEIPT:
        resolution->receipt = true;
        break;
    case TAG_NOW:
        resolution->now_us = number;
        break;
    case TAG_ALSO_TO:
        resolution->also_to = value;
        break;
    case TAG_ALSO_CC:
        resolution->also_cc = value;
        break;
    case TAG_MAIL_SUBJECT:
        resolution->subject = value;
        return fits_line(value) ? 0 : bad("subject", err);
    case TAG_BODY_FROM:
        if (number < 0)
            return bad("beginning of the text", err);
        resolution->body_from = (size_t)number;
        break;
    case TAG_DUMMY:
        resolution->dummy = value;
        return fits_line(value) ? 0 : bad("dummy address", err);
    }
    return 0;
}

int mail_resolution_parse(struct span packed, struct mail_resolution *resolution_r, struct err *err)
{
    *resolution_r = (struct mail_resolution){ .from = SPAN_EMPTY,
                                              .from_name = SPAN_EMPTY,
                                              .to = SPAN_EMPTY,
                                              .to_name = SPAN_EMPTY,
                                              .reply_to = SPAN_EMPTY,
                                              .message_id = SPAN_EMPTY,
                                              .also_to = SPAN_EMPTY,
                                              .also_cc = SPAN_EMPTY,
                                              .subject = SPAN_EMPTY,
                                              .dummy = SPAN_EMPTY,
                                              .in_reply_to = SPAN_EMPTY };
    size_t pair_count = pack_count(packed, TAG_PAIR);
    size_t reference_count = pack_count(packed, TAG_REFERENCE);
    if (pair_count > LETTER_ADDRESSES_MAX || reference_count > LETTER_REFERENCES_MAX)
        return err_set(err, ERR_TOO_MANY, "a resolution has too many pairs or references");
    struct resolved *pairs = mem_zero((pair_count + 1) * sizeof *pairs);
    struct span *references = mem_zero((reference_count + 1) * sizeof *references);
    resolution_r->pairs = pairs;
    resolution_r->references = references;
    if (pairs == NULL || references == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for a resolution");
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    while ((step = pack_next(&from, &field, err)) == 1)
        if (take_mail_field(resolution_r, pairs, references, &field, err) != 0)
            return -1;
    if (step != 0)
        return step;
    if (resolution_r->from.size == 0 || !fits_line(resolution_r->from))
        return bad("sender", err);
    if (resolution_r->to.size == 0 || !fits_line(resolution_r->to) || !fits_line(resolution_r->reply_to))
        return bad("recipient", err);
    if (resolution_r->message_id.size == 0 || !fits_line(resolution_r->message_id) ||
        !fits_line(resolution_r->in_reply_to))
        return bad("Message-ID", err);
    return 0;
}

void mail_resolution_release(struct mail_resolution *resolution)
{
    mem_free((void *)(uintptr_t)resolution->pairs);
    mem_free((void *)(uintptr_t)resolution->references);
    resolution->pairs = NULL;
    resolution->references = NULL;
}

int host_resolution_parse(struct span packed, struct host_resolution *resolution_r, struct err *err)
{
    *resolution_r = (struct host_resolution){ .from = SPAN_EMPTY, .from_name = SPAN_EMPTY, .to_name = SPAN_EMPTY };
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    while ((step = pack_next(&from, &field, err)) == 1) {
        switch ((enum host_tag)field.tag) {
        case TAG_FROM_NODE:
            resolution_r->from_node = pack_name_of(field.value);
            break;
        case TAG_FROM_USER:
            resolution_r->from_user = pack_name_of(field.value);
            break;
        case TAG_TO_NODE:
            resolution_r->to_node = pack_name_of(field.value);
            break;
        case TAG_TO_USER:
            resolution_r->to_user = pack_name_of(field.value);
            break;
        case TAG_SHOWN:
            resolution_r->from = field.value;
            break;
        case TAG_SHOWN_NAME:
            resolution_r->from_name = field.value;
            break;
        case TAG_ENTRY:
            resolution_r->entry_us = pack_number_of(field.value);
            break;
        case TAG_HOST_RECEIPT:
            resolution_r->receipt = true;
            break;
        case TAG_HOST_TO_NAME:
            resolution_r->to_name = field.value;
            break;
        }
    }
    if (step != 0)
        return step;
    if (name8_empty(resolution_r->from_node) || name8_empty(resolution_r->from_user) ||
        name8_empty(resolution_r->to_node) || name8_empty(resolution_r->to_user))
        return bad("pair", err);
    return resolution_r->entry_us > 0 ? 0 : bad("entry time", err);
}

int ack_resolution_parse(struct span packed, struct ack_resolution *resolution_r, struct err *err)
{
    *resolution_r = (struct ack_resolution){ .text = SPAN_EMPTY };
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    while ((step = pack_next(&from, &field, err)) == 1) {
        if (field.tag == TAG_ACK_LETTER)
            resolution_r->letter = (size_t)pack_number_of(field.value);
        else if (field.tag == TAG_ACK_ENTRY)
            resolution_r->entry_us = pack_number_of(field.value);
        else if (field.tag == TAG_ACK_TEXT)
            resolution_r->text = field.value;
    }
    if (step != 0)
        return step;
    return resolution_r->entry_us > 0 ? 0 : bad("entry time", err);
}
