/* The note itself, in the layout of each kind of host. All machine-read fields hold the same pair (host-users.md §0).
 */
#include "codec/bsmtp.h"
#include "codec/date.h"
#include "codec/note.h"
#include "codec/profs.h"
#include "codec/wrap.h"
#include "letter/compose.h"
#include "letter/sending.h"

#include <stdio.h>

enum { TSO_COLUMNS = 79, RECIPIENTS_SHOWN = 100, BSMTP_ADDRESS_MAX = 60, ADDRESS_SIZE = 2 * NAME8_MAX + 2 };

static int put_cms(struct sending *sending, bool dry, size_t *substituted_r, struct err *err)
{
    const struct host_resolution *resolution = sending->resolution;
    struct note_letter note = { .time_us = sending->date_us,
                                .from = { .user = resolution->from_user, .node = resolution->from_node },
                                .to = { .user = resolution->to_user, .node = resolution->to_node },
                                .subject = sending->letter->head.subject,
                                .name = sending->from_name,
                                .address = sending->from,
                                .text = buf_span(&sending->text),
                                .margin = sending->options->margin };
    struct records lines = { .count = 0 };
    note_build(&note, sending->page, &lines, substituted_r);
    int result = lines.bytes.failed ? err_set(err, ERR_NO_MEMORY, "no memory for a note") : 0;
    if (result == 0 && !dry) {
        struct hostfile file = sending_file(sending, resolution->from_user.text, "NOTE", 'A');
        result = sending_put_netdata(sending, &file, NETDATA_CMS, resolution->receipt, &lines, NULL, err);
    }
    records_free(&lines);
    return result;
}

static int put_profs(struct sending *sending, bool dry, size_t *substituted_r, struct err *err)
{
    const struct host_resolution *resolution = sending->resolution;
    struct profs_letter note = { .time_us = sending->date_us,
                                 .from = { .user = resolution->from_user, .node = resolution->from_node },
                                 .to = { .user = resolution->to_user, .node = resolution->to_node },
                                 .to_name = resolution->to_name,
                                 .ack_wanted = resolution->receipt,
                                 .subject = sending->letter->head.subject,
                                 .name = sending->from_name,
                                 .address = sending->from,
                                 .text = buf_span(&sending->text),
                                 .margin = sending->options->margin };
    struct hostfile file = sending_file(sending, resolution->from_user.text, "NOTE", 'A');
    profs_build(&note, sending->page, &file.records, substituted_r);
    if (!dry)
        return sending_put(sending, &file, err);
    hostfile_release(&file);
    return 0;
}

static size_t add_text(const struct wrap *wrap, struct span text, struct records *lines)
{
    size_t substituted = 0;
    wrap_text(wrap, text, lines, &substituted);
    return substituted;
}

static void add_words(struct buf *line, struct span words)
{
    for (size_t i = 0; i < words.size; i++)
        buf_add_u8(line, words.at[i] < 0x20 ? ' ' : words.at[i]);
}

/* From:, Subject:, Date: as text lines, where the dialogs of TSO look for them; then the text. */
static void message_lines(const struct sending *sending, size_t columns, struct records *lines, size_t *substituted_r)
{
    struct wrap top = { .page = sending->page, .width = columns, .quoted_width = columns };
    struct wrap wrap = { .page = sending->page,
                         .width = wrap_margin(sending->options->margin),
                         .quoted_width = columns,
                         .cut_hyphens = true };
    struct buf line = { 0 };
    if (sending->from.size > 0) {
        buf_add_text(&line, "From: ");
        add_words(&line, sending->from_name);
        buf_add_text(&line, sending->from_name.size > 0 ? " <" : "<");
        add_words(&line, sending->from);
        buf_add_text(&line, ">\n");
    }
    if (sending->letter->head.subject.size > 0) {
        buf_add_text(&line, "Subject: ");
        add_words(&line, sending->letter->head.subject);
        buf_add_u8(&line, '\n');
    }
    buf_add_text(&line, "Date: ");
    date_format_short(sending->date_us, &line);
    buf_add_text(&line, "\n\n");
    *substituted_r = add_text(&top, buf_span(&line), lines) + add_text(&wrap, buf_span(&sending->text), lines);
    lines->bytes.failed |= line.failed;
    buf_free(&line);
}

static int put_tso(struct sending *sending, bool dry, size_t *substituted_r, struct err *err)
{
    records_clear(&sending->message);
    message_lines(sending, TSO_COLUMNS, &sending->message, substituted_r);
    if (sending->message.bytes.failed)
        return err_set(err, ERR_NO_MEMORY, "no memory for a message");
    bool alone = sending->letter->head.part_count == 0 || !sending->options->attachments;
    if (dry || !alone)
        return 0; /* it goes with the first file */
    struct hostfile file = sending_file(sending, sending->resolution->from_user.text, "MAIL", 'B');
    return sending_put_netdata(sending, &file, NETDATA_TSO, sending->resolution->receipt, &sending->message, NULL, err);
}

static int put_nje38(struct sending *sending, bool dry, size_t *substituted_r, struct err *err)
{
    struct records lines = { .count = 0 };
    struct netdata_item item = {
        .name = { .text = "MAIL" }, .type = { .text = "TEXT" }, .fixed = true, .lrecl = CARD_COLUMNS, .records = &lines
    };
    message_lines(sending, TSO_COLUMNS, &lines, substituted_r);
    int result = lines.bytes.failed ? err_set(err, ERR_NO_MEMORY, "no memory for a message") : 0;
    if (result == 0 && !dry) {
        struct hostfile file = sending_file(sending, "MAIL", "TEXT", 'A');
        result = sending_put_netdata(sending, &file, NETDATA_NJE38, false, NULL, &item, err);
    }
    records_free(&lines);
    return result;
}

static void pair_text(struct name8 node, struct name8 user, char to_r[ADDRESS_SIZE])
{
    (void)snprintf(to_r, ADDRESS_SIZE, "%s@%s", user.text, node.text);
}

static int build_ce(const struct sending *sending, struct span sender, struct hostfile *file, size_t *substituted_r,
                    struct err *err)
{
    char recipient[ADDRESS_SIZE];
    pair_text(sending->resolution->to_node, sending->resolution->to_user, recipient);
    struct bsmtp_letter mail = { .node = sending->resolution->from_node,
                                 .sender = sender,
                                 .recipient = span_text(recipient),
                                 .message_id = sending->letter->head.message_id,
                                 .date_us = sending->date_us,
                                 .from = sender,
                                 .subject = sending->letter->head.subject,
                                 .text = buf_span(&sending->text),
                                 .margin = sending->options->margin };
    return bsmtp_build_ce(&mail, sending->page, &file->records, substituted_r, err);
}

static int put_cms370(struct sending *sending, bool dry, size_t *substituted_r, struct err *err)
{
    char proxy[ADDRESS_SIZE];
    const struct host_resolution *resolution = sending->resolution;
    struct err why = ERR_CLEAR;
    pair_text(resolution->from_node, resolution->from_user, proxy);
    struct hostfile file = sending_file(sending, resolution->from_user.text, "MAIL", 'M');
    struct span sender = sending->from.size > 0 ? sending->from : span_text(proxy);
    int result = build_ce(sending, sender, &file, substituted_r, &why);
    if (result != 0 && why.id == ERR_BAD_ADDRESS) {
        records_clear(&file.records); /* an address that no card holds: the pair leads to it too */
        result = build_ce(sending, span_text(proxy), &file, substituted_r, &why);
    }
    if (result == 0 && !dry)
        return sending_put(sending, &file, err);
    hostfile_release(&file);
    if (result != 0 && err != NULL)
        *err = why;
    return result;
}

/* One address of the header, for a mailer. */
static struct compose_address shown_address(const struct letter_address *address)
{
    return (struct compose_address){ .name = address->name, .address = address->address };
}

static int put_mailer(struct sending *sending, bool dry, size_t *substituted_r, struct err *err)
{
    const struct host_resolution *resolution = sending->resolution;
    const struct letter_head *head = &sending->letter->head;
    char proxy[ADDRESS_SIZE];
    char recipient[ADDRESS_SIZE];
    struct compose_address lists[2][RECIPIENTS_SHOWN];
    size_t counts[2] = { 0, 0 };
    *substituted_r = 0;
    if (dry)
        return 0; /* it is ASCII, nothing is substituted */
    pair_text(resolution->from_node, resolution->from_user, proxy);
    pair_text(resolution->to_node, resolution->to_user, recipient);
    struct compose_address from = { .name = sending->from_name, .address = sending->from };
    if (from.address.size == 0 || from.address.size > BSMTP_ADDRESS_MAX)
        from.address = span_text(proxy); /* the pair leads to it too */
    for (size_t i = 0; i < head->address_count; i++) {
        const struct letter_address *address = &head->addresses[i];
        size_t list = address->role == LETTER_TO ? 0 : 1;
        if ((address->role == LETTER_TO || address->role == LETTER_CC) && counts[list] < RECIPIENTS_SHOWN &&
            address->address.size < COMPOSE_COLUMNS)
            lists[list][counts[list]++] = shown_address(address);
    }
    if (counts[0] == 0)
        lists[0][counts[0]++] = (struct compose_address){ .name = SPAN_EMPTY, .address = span_text(recipient) };
    struct compose compose = { .from = &from,
                               .from_count = 1,
                               .to = lists[0],
                               .to_count = counts[0],
                               .cc = lists[1],
                               .cc_count = counts[1],
                               .date_us = sending->date_us,
                               .message_id = head->message_id,
                               .in_reply_to = head->in_reply_to,
                               .references = head->references,
                               .reference_count = head->reference_count,
                               .line_max = COMPOSE_COLUMNS };
    struct buf mail = { 0 };
    struct span to = span_text(recipient);
    struct hostfile file = sending_file(sending, resolution->from_user.text, "MAIL", 'M');
    struct letter shown = *sending->letter;
    if (!sending->options->attachments) {
        shown.head.part_count = 0;
        shown.body = buf_span(&sending->text);
        shown.head.losses = SPAN_EMPTY; /* the text says them */
    }
    compose_mail(&shown, &compose, &mail);
    int result = mail.failed ? err_set(err, ERR_NO_MEMORY, "no memory for a mail") : 0;
    if (result == 0)
        result = bsmtp_build(resolution->from_node, from.address, &to, 1, buf_span(&mail), sending->page, &file.records,
                             NULL, err);
    buf_free(&mail);
    if (result == 0)
        return sending_put(sending, &file, err);
    hostfile_release(&file);
    return result;
}

int sending_note_put(struct sending *sending, bool dry, struct err *err)
{
    size_t substituted = 0;
    int result = -1;
    switch (sending->options->kind) {
    case HOST_CMS:
        result = put_cms(sending, dry, &substituted, err);
        break;
    case HOST_PROFS:
        result = put_profs(sending, dry, &substituted, err);
        break;
    case HOST_TSO:
        result = put_tso(sending, dry, &substituted, err);
        break;
    case HOST_NJE38:
        result = put_nje38(sending, dry, &substituted, err);
        break;
    case HOST_CMS370:
        result = put_cms370(sending, dry, &substituted, err);
        break;
    case HOST_MAILER:
        result = put_mailer(sending, dry, &substituted, err);
        break;
    }
    if (dry)
        sending->substituted += substituted;
    return result;
}
