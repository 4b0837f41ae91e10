/* What a translator child runs. Each call begins anew from the bytes: a child may have been replaced between facts and
 * encoding, and nothing that one letter did to it may reach the next. A call during which memory ended anywhere has
 * failed, whatever it made: a header that could not be looked at would give another letter, not an error. */
#include "letter/translate.h"

#include "base/mem.h"
#include "codec/mime.h"
#include "codec/netdata_send.h"
#include "codec/profs.h"
#include "letter/compose.h"
#include "letter/facts.h"
#include "letter/from_host.h"
#include "letter/from_mail.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "letter/to_host.h"

#include <stdio.h>

/* A host file and how it is to be read. */
struct host_input {
    struct hostfile file;
    struct options options;
    struct ebcdic_page custom;
    const struct ebcdic_page *page;
};

int translate_init(struct err *err)
{
    return mime_init(err);
}

static int host_input_open(struct span packed, struct span options, struct host_input *input_r, struct err *err)
{
    struct reader list = reader_of(packed);
    *input_r = (struct host_input){ .page = NULL };
    if (options_parse(options, &input_r->options, err) != 0 ||
        options_page(&input_r->options, &input_r->custom, &input_r->page, err) != 0)
        return -1;
    int step = hostfile_next(&list, &input_r->file, err);
    return step == 0 ? err_set(err, ERR_BAD_CONTENT, "there is no host file in what is to be translated") : step - 1;
}

static void host_input_close(struct host_input *input)
{
    hostfile_release(&input->file);
    options_release(&input->options);
}

static int check_output(const struct buf *to, struct err *err)
{
    return to->failed ? err_set(err, ERR_NO_MEMORY, "no memory for what was translated") : 0;
}

static int check_memory(size_t failures_before, int result, struct err *err)
{
    return mem_failures() == failures_before ? result : err_set(err, ERR_NO_MEMORY, "no memory for a translation");
}

int translate_host_facts(struct span hostfile, struct span options, struct buf *facts, struct err *err)
{
    size_t before = mem_failures();
    struct host_input input;
    struct host_letters letters = { .count = 0 };
    int result = host_input_open(hostfile, options, &input, err);
    if (result == 0)
        result = letters_from_host(&input.file, &input.options, input.page, SIZE_MAX, &letters, err);
    for (size_t i = 0; result == 0 && i < letters.count; i++) {
        struct letter *letter = &letters.letters[i];
        letter->head.opening = span_slice(letter->body, 0, input.options.opening);
        facts_add(facts, &letter->head);
    }
    if (result == 0 && letters.rest.id != ERR_NONE)
        facts_add_rest(facts, &letters.rest);
    host_letters_release(&letters);
    host_input_close(&input);
    return check_memory(before, result == 0 ? check_output(facts, err) : -1, err);
}

/* --- host to mail --- */

/* The addresses of one role, for the header; what was not resolved goes to `unresolved` as the host wrote it. */
struct named {
    struct compose_address *list;
    size_t count;
    struct buf unresolved;
};

static const struct resolved *find_pair(const struct mail_resolution *resolution, const struct letter_address *address)
{
    for (size_t i = 0; i < resolution->pair_count; i++)
        if (name8_equal(resolution->pairs[i].node, address->node) &&
            name8_equal(resolution->pairs[i].user, address->user))
            return &resolution->pairs[i];
    return NULL;
}

static void add_named(struct named *named, struct span name, struct span address)
{
    for (size_t i = 0; i < named->count; i++)
        if (span_equal_nocase(named->list[i].address, address))
            return;
    named->list[named->count++] = (struct compose_address){ .name = name, .address = address };
}

/* May it stand between < > in a 7-bit header? */
static bool is_mailable(struct span address)
{
    bool quoted = address.size > 0 && address.at[0] == '"';
    for (size_t i = 0; i < address.size; i++) {
        uint8_t byte = address.at[i];
        if (byte < ' ' || byte >= 0x7F || (!quoted && (byte == ' ' || byte == '<' || byte == '>')))
            return false;
    }
    return address.size > 0;
}

static void take_named(const struct letter_head *head, enum letter_role role, const char *label,
                       const struct mail_resolution *resolution, struct named *named)
{
    bool first = true;
    for (size_t i = 0; i < head->address_count; i++) {
        const struct letter_address *address = &head->addresses[i];
        bool is_pair = !name8_empty(address->user);
        if (address->role != role)
            continue;
        const struct resolved *pair = is_pair ? find_pair(resolution, address) : NULL;
        if (!is_pair && address->address.size == 0) { /* only a name: it stands in the text as well */
            if (is_mailable(resolution->dummy))
                named->list[named->count++] =
                    (struct compose_address){ .name = address->name, .address = resolution->dummy };
        } else if (pair != NULL) {
            add_named(named, pair->name.size > 0 ? pair->name : address->name, pair->address);
        } else if (!is_pair && is_mailable(address->address)) {
            add_named(named, address->name, address->address);
        } else {
            buf_add_text(&named->unresolved, first ? label : ", ");
            if (is_pair)
                buf_printf(&named->unresolved, "%s at %s", address->user.text, address->node.text);
            else
                buf_add_span(&named->unresolved, address->address);
            first = false;
        }
    }
    if (!first)
        buf_add_u8(&named->unresolved, '\n');
}

/* Those that stood at the beginning of the text. */
static void take_also(struct span addresses, struct named *named)
{
    struct reader lines = reader_of(addresses);
    while (!reader_at_end(&lines)) {
        struct span address = reader_until(&lines, '\n');
        if (is_mailable(address))
            add_named(named, SPAN_EMPTY, address);
    }
}

static size_t count_lines(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.at[i] == '\n';
    return count + (text.size > 0);
}

/* Date: what the letter says with a zone, else when NETDATA was sent, else when the file entered the network. */
static void choose_date(const struct letter_head *head, const struct hostfile *file,
                        const struct mail_resolution *resolution, struct compose *compose)
{
    if (head->has_date) {
        compose->date_us = head->date_us;
        compose->zone_minutes = head->zone_minutes;
    } else {
        compose->date_us = head->sent_us != 0 ? head->sent_us : file->entry_us;
        if (compose->date_us == 0)
            compose->date_us = resolution->now_us;
    }
}

static void write_mail(const struct letter *letter, const struct hostfile *file,
                       const struct mail_resolution *resolution, struct named *to, struct named *cc, struct buf *mail)
{
    const struct letter_head *head = &letter->head;
    const struct letter_address *said = letter_first(head, LETTER_FROM);
    struct compose_address from = { .name = resolution->from_name, .address = resolution->from };
    if (from.name.size == 0 && said != NULL)
        from.name = said->name;
    if (!mime_name_fit(&from.name))
        from.name = SPAN_EMPTY;
    add_named(to, resolution->to_name, resolution->to);
    take_also(resolution->also_to, to);
    take_also(resolution->also_cc, cc);
    take_named(head, LETTER_TO, "To: ", resolution, to);
    take_named(head, LETTER_CC, "cc: ", resolution, cc);
    buf_add_span(&to->unresolved, buf_span(&cc->unresolved));
    if (to->unresolved.size > 0)
        buf_add_u8(&to->unresolved, '\n');
    struct compose compose = { .from = &from,
                               .from_count = 1,
                               .to = to->list,
                               .to_count = to->count,
                               .cc = cc->list,
                               .cc_count = cc->count,
                               .reply_to = resolution->reply_to,
                               .receipt_to = resolution->receipt ? resolution->from : SPAN_EMPTY,
                               .message_id = resolution->message_id,
                               .in_reply_to = resolution->in_reply_to,
                               .references = resolution->references,
                               .reference_count = resolution->reference_count,
                               .above = buf_span(&to->unresolved) };
    if (compose.in_reply_to.size == 0)
        compose.in_reply_to = head->in_reply_to;
    if (compose.reference_count == 0) {
        compose.references = head->references;
        compose.reference_count = head->reference_count;
    }
    choose_date(head, file, resolution, &compose);
    compose_mail(letter, &compose, mail);
    mail->failed |= to->unresolved.failed || cc->unresolved.failed;
}

static int encode_mail(const struct letter *letter, const struct hostfile *file,
                       const struct mail_resolution *resolution, struct buf *mail, struct err *err)
{
    size_t room = letter->head.address_count + 1 + count_lines(resolution->also_to) + count_lines(resolution->also_cc);
    struct named to = { .list = mem_zero(room * sizeof *to.list) };
    struct named cc = { .list = mem_zero(room * sizeof *cc.list) };
    int result = 0;
    if (to.list == NULL || cc.list == NULL)
        result = err_set(err, ERR_NO_MEMORY, "no memory for the addresses of a mail");
    else
        write_mail(letter, file, resolution, &to, &cc, mail);
    mem_free(to.list);
    mem_free(cc.list);
    buf_free(&to.unresolved);
    buf_free(&cc.unresolved);
    return result == 0 ? check_output(mail, err) : -1;
}

int translate_host_to_mail(struct span hostfile, struct span options, struct span packed, struct buf *mail,
                           struct err *err)
{
    size_t before = mem_failures();
    struct host_input input;
    struct host_letters letters = { .count = 0 };
    struct mail_resolution resolution;
    int result = mail_resolution_parse(packed, &resolution, err);
    if (result == 0)
        result = host_input_open(hostfile, options, &input, err);
    else
        input = (struct host_input){ .page = NULL };
    if (result == 0)
        result = letters_from_host(&input.file, &input.options, input.page, resolution.letter, &letters, err);
    if (result == 0 && resolution.letter >= letters.count)
        result = err_set(err, ERR_BAD_CONTENT, "there is no letter %zu in this file of %zu", resolution.letter,
                         letters.count);
    if (result == 0) {
        struct letter *letter = &letters.letters[resolution.letter];
        letter->body = span_slice(letter->body, resolution.body_from, SIZE_MAX);
        if (letter->head.subject.size == 0)
            letter->head.subject = resolution.subject;
        result = encode_mail(letter, &input.file, &resolution, mail, err);
    }
    host_letters_release(&letters);
    host_input_close(&input);
    mail_resolution_release(&resolution);
    return check_memory(before, result, err);
}

/* --- acknowledgement --- */

static int ack_netdata(const struct host_input *input, const struct ack_resolution *resolution, struct hostfile *ack,
                       struct err *err)
{
    struct buf bytes = { 0 };
    struct buf cards = { 0 };
    struct buf text = { 0 };
    struct netdata_stream stream;
    host_stream(&input->file, &bytes);
    buf_add_span(&text, span_slice(resolution->text, 0, NETDATA_TEXT_SIZE - 1));
    buf_add_u8(&text, '\0');
    int result = netdata_decode(buf_span(&bytes), &stream, err);
    if (result == 0 && text.failed)
        result = err_set(err, ERR_NO_MEMORY, "no memory for an acknowledgement");
    if (result == 0)
        result = netdata_encode_ack(&stream, resolution->entry_us,
                                    resolution->text.size > 0 ? (const char *)text.at : NULL, &cards, err);
    if (result == 0) {
        ack->to_node = stream.from_node;
        ack->to_user = stream.from_user;
        ack->from_node = stream.to_node;
        ack->from_user = stream.to_user;
        netdata_cards(buf_span(&cards), &ack->records);
    }
    netdata_release(&stream);
    buf_free(&bytes);
    buf_free(&cards);
    buf_free(&text);
    return result;
}

static int ack_profs(const struct host_input *input, const struct ack_resolution *resolution, struct hostfile *ack,
                     struct err *err)
{
    struct profs_note *note = mem_zero(sizeof *note);
    struct reader walk = records_walk(&input->file.records);
    int step = note != NULL ? 1 : err_set(err, ERR_NO_MEMORY, "no memory for an acknowledgement");
    for (size_t i = 0; step == 1 && i <= resolution->letter; i++) {
        if (i > 0)
            profs_release(note);
        step = profs_next(&walk, input->page, note, err);
    }
    if (step == 1 && note->is_ack)
        step = err_set(err, ERR_BAD_CONTENT, "an acknowledgement is not acknowledged");
    if (step == 1) {
        struct profs_letter letter = { .time_us = resolution->entry_us,
                                       .from = note->to,
                                       .to = note->from,
                                       .subject = note->subject,
                                       .name = SPAN_EMPTY,
                                       .address = SPAN_EMPTY,
                                       .text = resolution->text };
        if (name8_empty(letter.from.user)) /* the host emptied it: the envelope knows */
            letter.from = (struct note_address){ .user = input->file.to_user, .node = input->file.to_node };
        ack->from_node = letter.from.node;
        ack->from_user = letter.from.user;
        ack->to_node = letter.to.node;
        ack->to_user = letter.to.user;
        profs_build_ack(&letter, input->page, &ack->records);
    }
    if (note != NULL)
        profs_release(note);
    mem_free(note);
    if (step == 0)
        return err_set(err, ERR_BAD_CONTENT, "there is no letter %zu in this file", resolution->letter);
    return step == 1 ? 0 : -1;
}

int translate_host_ack(struct span hostfile, struct span options, struct span packed, struct buf *files,
                       struct err *err)
{
    size_t before = mem_failures();
    struct host_input input;
    struct ack_resolution resolution;
    struct hostfile ack = { .klass = 'A' };
    struct buf stream = { 0 };
    int result = host_input_open(hostfile, options, &input, err);
    if (result == 0)
        result = ack_resolution_parse(packed, &resolution, err);
    if (result == 0) {
        struct reader walk = records_walk(&input.file.records);
        struct span first = SPAN_EMPTY;
        (void)records_next(&walk, &first);
        host_stream(&input.file, &stream);
        if (netdata_detect(buf_span(&stream)))
            result = ack_netdata(&input, &resolution, &ack, err);
        else if (profs_detect(first))
            result = ack_profs(&input, &resolution, &ack, err);
        else
            result = err_set(err, ERR_BAD_CONTENT, "a file of this kind has no acknowledgement");
    }
    if (result == 0) {
        ack.entry_us = resolution.entry_us;
        (void)snprintf(ack.name, sizeof ack.name, "%s", ack.from_user.text);
        (void)snprintf(ack.type, sizeof ack.type, "NOTE");
        (void)snprintf(ack.form, sizeof ack.form, "STANDARD");
        (void)snprintf(ack.dist, sizeof ack.dist, "SYSTEM");
        hostfile_pack(files, &ack);
        result = check_output(files, err);
    }
    buf_free(&stream);
    hostfile_release(&ack);
    host_input_close(&input);
    return check_memory(before, result, err);
}

/* --- mail --- */

int translate_mail_facts(struct span mail, struct buf *facts, struct err *err)
{
    size_t before = mem_failures();
    struct letter letter;
    int result = letter_from_mail(mail, LETTER_MAIL, &letter, err);
    if (result == 0) {
        facts_add(facts, &letter.head);
        result = check_output(facts, err);
    }
    letter_release(&letter);
    return check_memory(before, result, err);
}

int translate_mail_to_host(struct span mail, struct span packed_options, struct span packed, struct buf *files,
                           struct err *err)
{
    size_t before = mem_failures();
    struct letter letter = { .failed = false };
    struct options options;
    struct host_resolution resolution;
    struct ebcdic_page custom;
    const struct ebcdic_page *page = NULL;
    int result = options_parse(packed_options, &options, err);
    if (result == 0)
        result = options_page(&options, &custom, &page, err);
    if (result == 0)
        result = host_resolution_parse(packed, &resolution, err);
    if (result == 0)
        result = letter_from_mail(mail, LETTER_MAIL, &letter, err);
    if (result == 0)
        result = letter_to_host(&letter, &options, page, &resolution, files, err);
    letter_release(&letter);
    options_release(&options);
    return check_memory(before, result, err);
}
