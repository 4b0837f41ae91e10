/* One table of tags for writing and reading, so that a field cannot be on one side only: each head field has its line
 * in add and in take below. */
#include "letter/facts.h"

#include "base/mem.h"
#include "letter/pack.h"

#include <stdio.h>

enum { TAG_LETTER = 1, TAG_REST };
enum { TAG_REST_ID = 1, TAG_REST_TEXT };
enum head_tag {
    TAG_SOURCE = 1,
    TAG_ADDRESS,
    TAG_SUBJECT,
    TAG_DATE,
    TAG_ZONE,
    TAG_SENT,
    TAG_SENT_US,
    TAG_MESSAGE_ID,
    TAG_IN_REPLY_TO,
    TAG_REFERENCE,
    TAG_IS_REPLY,
    TAG_STAMP,
    TAG_ACK_WANTED,
    TAG_AUTO_SUBMITTED,
    TAG_BULK,
    TAG_HAS_ENVELOPE,
    TAG_REPORT_TYPE,
    TAG_REPORT_ABOUT,
    TAG_REPORT_ACTION,
    TAG_ACK_SENT,
    TAG_ACK_SENT_US,
    TAG_ACK_NAME,
    TAG_ACK_TEXT,
    TAG_PARTS,
    TAG_LOSSES,
    TAG_HTML_LEFT_OUT,
    TAG_OPENING
};
enum address_tag { TAG_ROLE = 1, TAG_NAME, TAG_MAIL, TAG_NODE, TAG_USER };

static void add_address(struct buf *to, const struct letter_address *address)
{
    size_t begun = pack_begin(to, TAG_ADDRESS);
    pack_number(to, TAG_ROLE, address->role);
    pack_span_if(to, TAG_NAME, address->name);
    pack_span_if(to, TAG_MAIL, address->address);
    pack_text_if(to, TAG_NODE, address->node.text);
    pack_text_if(to, TAG_USER, address->user.text);
    pack_end(to, begun);
}

void facts_add(struct buf *to, const struct letter_head *head)
{
    size_t begun = pack_begin(to, TAG_LETTER);
    pack_number(to, TAG_SOURCE, head->source);
    for (size_t i = 0; i < head->address_count; i++)
        add_address(to, &head->addresses[i]);
    pack_span_if(to, TAG_SUBJECT, head->subject);
    if (head->has_date) {
        pack_number(to, TAG_DATE, head->date_us);
        pack_number(to, TAG_ZONE, head->zone_minutes);
    }
    pack_span_if(to, TAG_SENT, head->sent);
    pack_number(to, TAG_SENT_US, head->sent_us);
    pack_span_if(to, TAG_MESSAGE_ID, head->message_id);
    pack_span_if(to, TAG_IN_REPLY_TO, head->in_reply_to);
    for (size_t i = 0; i < head->reference_count; i++)
        pack_span(to, TAG_REFERENCE, head->references[i]);
    pack_flag(to, TAG_IS_REPLY, head->is_reply);
    pack_number(to, TAG_STAMP, head->stamp_us);
    pack_flag(to, TAG_ACK_WANTED, head->ack_wanted);
    pack_flag(to, TAG_AUTO_SUBMITTED, head->auto_submitted);
    pack_flag(to, TAG_BULK, head->bulk);
    pack_flag(to, TAG_HAS_ENVELOPE, head->has_envelope);
    pack_span_if(to, TAG_REPORT_TYPE, head->report_type);
    pack_span_if(to, TAG_REPORT_ABOUT, head->report_about);
    pack_span_if(to, TAG_REPORT_ACTION, head->report_action);
    pack_span_if(to, TAG_ACK_SENT, head->ack_sent);
    pack_number(to, TAG_ACK_SENT_US, head->ack_sent_us);
    pack_span_if(to, TAG_ACK_NAME, head->ack_name);
    pack_span_if(to, TAG_ACK_TEXT, head->ack_text);
    pack_number(to, TAG_PARTS, (int64_t)head->part_count);
    pack_span_if(to, TAG_LOSSES, head->losses);
    pack_flag(to, TAG_HTML_LEFT_OUT, head->html_left_out);
    pack_span_if(to, TAG_OPENING, head->opening);
    pack_end(to, begun);
}

void facts_add_rest(struct buf *to, const struct err *why)
{
    size_t begun = pack_begin(to, TAG_REST);
    pack_number(to, TAG_REST_ID, why->id);
    pack_text_if(to, TAG_REST_TEXT, why->text);
    pack_end(to, begun);
}

static int take_address(struct span packed, struct letter_address *address, struct err *err)
{
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    *address = (struct letter_address){ .name = SPAN_EMPTY, .address = SPAN_EMPTY };
    while ((step = pack_next(&from, &field, err)) == 1) {
        switch ((enum address_tag)field.tag) {
        case TAG_ROLE:
            address->role = (enum letter_role)pack_number_of(field.value);
            break;
        case TAG_NAME:
            address->name = field.value;
            break;
        case TAG_MAIL:
            address->address = field.value;
            break;
        case TAG_NODE:
            address->node = pack_name_of(field.value);
            break;
        case TAG_USER:
            address->user = pack_name_of(field.value);
            break;
        }
    }
    if (step == 0 && (address->role < LETTER_FROM || address->role > LETTER_RECEIPT_TO))
        return err_set(err, ERR_BAD_CONTENT, "an address of a translator's letter has no role");
    return step;
}

static int take_lists(struct span packed, struct letter_head *head, struct err *err)
{
    size_t addresses = pack_count(packed, TAG_ADDRESS);
    size_t references = pack_count(packed, TAG_REFERENCE);
    if (addresses > LETTER_ADDRESSES_MAX || references > LETTER_REFERENCES_MAX)
        return err_set(err, ERR_TOO_MANY, "a translator's letter has more than %d addresses or %d references",
                       LETTER_ADDRESSES_MAX, LETTER_REFERENCES_MAX);
    head->addresses = addresses > 0 ? mem_zero(addresses * sizeof *head->addresses) : NULL;
    head->references = references > 0 ? mem_zero(references * sizeof *head->references) : NULL;
    if ((addresses > 0 && head->addresses == NULL) || (references > 0 && head->references == NULL))
        return err_set(err, ERR_NO_MEMORY, "no memory for the addresses of a letter");
    return 0;
}

static int take_field(struct letter_head *head, const struct pack_field *field, struct err *err)
{
    struct span value = field->value;
    switch ((enum head_tag)field->tag) {
    case TAG_SOURCE:
        head->source = (enum letter_source)pack_number_of(value);
        break;
    case TAG_ADDRESS:
        return take_address(value, &head->addresses[head->address_count++], err);
    case TAG_SUBJECT:
        head->subject = value;
        break;
    case TAG_DATE:
        head->has_date = true;
        head->date_us = pack_number_of(value);
        break;
    case TAG_ZONE:
        head->zone_minutes = (int)pack_number_of(value);
        break;
    case TAG_SENT:
        head->sent = value;
        break;
    case TAG_SENT_US:
        head->sent_us = pack_number_of(value);
        break;
    case TAG_MESSAGE_ID:
        head->message_id = value;
        break;
    case TAG_IN_REPLY_TO:
        head->in_reply_to = value;
        break;
    case TAG_REFERENCE:
        head->references[head->reference_count++] = value;
        break;
    case TAG_IS_REPLY:
        head->is_reply = true;
        break;
    case TAG_STAMP:
        head->stamp_us = pack_number_of(value);
        break;
    case TAG_ACK_WANTED:
        head->ack_wanted = true;
        break;
    case TAG_AUTO_SUBMITTED:
        head->auto_submitted = true;
        break;
    case TAG_BULK:
        head->bulk = true;
        break;
    case TAG_HAS_ENVELOPE:
        head->has_envelope = true;
        break;
    case TAG_REPORT_TYPE:
        head->report_type = value;
        break;
    case TAG_REPORT_ABOUT:
        head->report_about = value;
        break;
    case TAG_REPORT_ACTION:
        head->report_action = value;
        break;
    case TAG_ACK_SENT:
        head->ack_sent = value;
        break;
    case TAG_ACK_SENT_US:
        head->ack_sent_us = pack_number_of(value);
        break;
    case TAG_ACK_NAME:
        head->ack_name = value;
        break;
    case TAG_ACK_TEXT:
        head->ack_text = value;
        break;
    case TAG_PARTS:
        head->part_count = (size_t)pack_number_of(value);
        break;
    case TAG_LOSSES:
        head->losses = value;
        break;
    case TAG_HTML_LEFT_OUT:
        head->html_left_out = true;
        break;
    case TAG_OPENING:
        head->opening = value;
        break;
    }
    return 0;
}

static int take_letter(struct span packed, struct letter_head *head, struct err *err)
{
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    if (take_lists(packed, head, err) != 0)
        return -1;
    while ((step = pack_next(&from, &field, err)) == 1)
        if (take_field(head, &field, err) != 0)
            return -1;
    if (step == 0 && (head->source < LETTER_MAIL || head->source > LETTER_RAW || head->part_count > LETTER_PARTS_MAX))
        return err_set(err, ERR_BAD_CONTENT, "a translator's letter is of no known kind");
    return step;
}

static int take_rest(struct span packed, struct err *rest, struct err *err)
{
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    rest->id = ERR_BAD_CONTENT;
    while ((step = pack_next(&from, &field, err)) == 1) {
        int64_t id = field.tag == TAG_REST_ID ? pack_number_of(field.value) : ERR_NONE;
        if (id > ERR_NONE && id < ERR_IDS)
            rest->id = (enum err_id)id;
        if (field.tag == TAG_REST_TEXT)
            span_to_text(field.value, rest->text, sizeof rest->text);
    }
    return step;
}

int facts_parse(struct span packed, struct facts *facts_r, struct err *err)
{
    *facts_r = (struct facts){ .rest = ERR_CLEAR };
    size_t letters = pack_count(packed, TAG_LETTER);
    if (letters > FACTS_LETTERS_MAX)
        return err_set(err, ERR_TOO_MANY, "more than %d letters in one file", FACTS_LETTERS_MAX);
    if (letters > 0 && (facts_r->letters = mem_zero(letters * sizeof *facts_r->letters)) == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for a letter");
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    while ((step = pack_next(&from, &field, err)) == 1) {
        int result = 0;
        if (field.tag == TAG_LETTER)
            result = take_letter(field.value, &facts_r->letters[facts_r->letter_count++], err);
        else if (field.tag == TAG_REST)
            result = take_rest(field.value, &facts_r->rest, err);
        if (result != 0)
            return -1;
    }
    return step;
}

void facts_release(struct facts *facts)
{
    for (size_t i = 0; i < facts->letter_count; i++) {
        mem_free(facts->letters[i].addresses);
        mem_free(facts->letters[i].references);
    }
    mem_free(facts->letters);
    *facts = (struct facts){ .letter_count = 0 };
}
