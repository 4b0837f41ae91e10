/* mail_in -> host_out: what a letter becomes for each of its host users.
 *
 * Facts from a translator; the sender gets his host address, in a commit of its own where it is a new one, so that no
 * address leaves the process before it is on disk; then, for each recipient, the files in the form of his node.
 * Correlation rows go into the commit that puts the files into host_out. Mail for our postmaster (RFC 5321 §4.5.1) goes
 * on to the one that the configuration names: as it came, by the relay, where he is no host user himself.
 */
#include "gateway/translation.h"

#include "address/registry.h"
#include "address/userid.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/hostfiles.h"
#include "letter/facts.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "store/correlation.h"
#include "translator/ops.h"

#include <stdio.h>

enum {
    OUTPUTS_MAX = 32,                   /* files of one commit, about */
    OUTPUTS_SIZE_MAX = 16 * 1024 * 1024 /* of their contents, about, which are in memory together */
};

struct to_host {
    struct buf facts_bytes;
    struct facts facts;
    struct registry_request request;
    size_t recipient; /* the one that is being worked on */
    size_t size;      /* of the outputs so far */
    struct host_address to;
    const struct conf_link *link;
    struct buf options;
    /* of the correlation rows */
    struct buf references, subject, stamp;
};

static void release(struct translation *translation)
{
    struct to_host *state = translation->state;
    facts_release(&state->facts);
    buf_free(&state->facts_bytes);
    buf_free(&state->options);
    buf_free(&state->references);
    buf_free(&state->subject);
    buf_free(&state->stamp);
    mem_free(state);
    translation->state = NULL;
    translation->release = NULL;
}

static const struct letter_head *head_of(const struct to_host *state)
{
    return &state->facts.letters[0];
}

/* --- correlation --- */

static int add_correlation(struct db *db, struct translation *translation, struct err *err)
{
    struct to_host *state = translation->state;
    const struct letter_head *head = head_of(state);
    const struct letter_address *reply_to = letter_first(head, LETTER_REPLY_TO);
    for (size_t i = 0; i < translation->output_count; i++) {
        const struct output *output = &translation->outputs[i];
        if (!output->correlate)
            continue;
        struct host_address_text proxy = host_address_text(output->origin);
        struct correlation correlation = { .letter = output->item.letter,
                                           .host = output->address,
                                           .proxy = proxy.text,
                                           .message_id = head->message_id,
                                           .references = buf_span(&state->references),
                                           .reply_to = reply_to != NULL ? reply_to->address : SPAN_EMPTY,
                                           .subject = buf_span(&state->subject),
                                           .stamp = buf_span(&state->stamp),
                                           .at_us = output->item.arrived_us };
        if (correlation_add(db, &correlation, err) == 0)
            continue;
        if (err_family(err->id) == ERR_FAMILY_TEMPORARY)
            return -1;
        log_error(LOG_GATEWAY, 40720, "answers to letter %s will not be threaded: %s", /* CT-09 */
                  translation->fetch.item.id.text, err->text);
        *err = ERR_CLEAR;
    }
    return 0;
}

static int prepare_correlation(struct translation *translation, struct err *err)
{
    struct to_host *state = translation->state;
    const struct letter_head *head = head_of(state);
    buf_clear(&state->references);
    buf_clear(&state->subject);
    buf_clear(&state->stamp);
    for (size_t i = 0; i < head->reference_count; i++) {
        if (i > 0)
            buf_add_u8(&state->references, ' ');
        buf_add_span(&state->references, head->references[i]);
    }
    correlation_subject(head->subject, &state->subject);
    /* what the host user sees as the date of the note, which an answer quotes: GMT */
    correlation_stamp(head->has_date ? head->date_us : translation->fetch.item.arrived_us, &state->stamp);
    translation->also = add_correlation;
    /* half of it would not lead the answer back */
    return state->references.failed || state->subject.failed || state->stamp.failed
               ? err_set(err, ERR_NO_MEMORY, "out of memory for a letter")
               : 0;
}

/* --- recipients --- */

static void next_recipient(struct translation *translation);

static int add_file(struct translation *translation, struct hostfile *file, bool first, struct err *err)
{
    struct to_host *state = translation->state;
    struct gateway *gateway = translation->gateway;
    char sender[ITEM_ADDRESS_MAX];
    unsigned job_id = gateway_job_id(gateway);
    if (job_id == 0)
        return err_set(err, ERR_BUSY, "no NJE job id at hand");
    struct output *output = translation_output(translation, err);
    if (output == NULL)
        return -1;
    span_to_text(translation->fetch.item.sender, sender, sizeof sender);
    output_init(output, QUEUE_HOST_OUT, translation->fetch.item.letter, sender, host_address_text(state->to).text);
    (void)snprintf(output->item.door, sizeof output->item.door, "%s", state->link->node.text);
    if (!first)
        file->entry_us = gateway_entry_time(gateway);
    output->origin = state->request.answer.host;
    output->served = state->recipient;
    output->job_id = job_id;
    output->entry_us = file->entry_us;
    output->correlate = first && head_of(state)->message_id.size > 0 && state->request.answer.person != 0;
    return hostfiles_spool(file, job_id, &output->content, err);
}

static int add_files(struct translation *translation, struct span list, struct err *err)
{
    struct reader reader = reader_of(list);
    struct hostfile file;
    bool first = true;
    int step;
    while ((step = hostfile_next(&reader, &file, err)) == 1) {
        int added = add_file(translation, &file, first, err);
        hostfile_release(&file);
        if (added == -1)
            return -1;
        first = false;
    }
    if (step == 0 && first)
        return err_set(err, ERR_BUG, "the translator made no file");
    return step;
}

static void encoded(void *arg, struct span output, const struct err *err)
{
    struct translation *translation = arg;
    struct to_host *state = translation->state;
    struct err failure = ERR_CLEAR;
    if (err != NULL) {
        translation_fail(translation, err);
        return;
    }
    size_t before = translation->output_count;
    if (add_files(translation, output, &failure) == -1) {
        if (failure.id != ERR_BUSY || before == 0) {
            translation_fail(translation, &failure);
            return;
        }
        translation_drop(translation, before); /* no further job ids: what is ready goes first */
        translation->partial = true;
        translation_finish(translation, 0, &failure);
        return;
    }
    for (size_t i = before; i < translation->output_count; i++)
        state->size += translation->outputs[i].content.size;
    state->recipient++;
    next_recipient(translation);
}

/* What the host's own list calls the recipient, else what the letter does (AD-15). */
static struct span recipient_name(const struct translation *translation)
{
    const struct to_host *state = translation->state;
    const struct border *border = &translation->gateway->border;
    const struct letter_head *head = head_of(state);
    struct span name = border_name(border, state->to);
    for (size_t i = 0; i < head->address_count && name.size == 0; i++) {
        const struct letter_address *shown = &head->addresses[i];
        struct host_address host;
        if ((shown->role == LETTER_TO || shown->role == LETTER_CC) && shown->name.size > 0 &&
            border_from_mail(border, shown->address, &host, NULL) == 0 && name8_equal(host.node, state->to.node) &&
            name8_equal(host.user, state->to.user))
            name = shown->name;
    }
    return name;
}

static int submit_encode(struct translation *translation, struct err *err)
{
    struct to_host *state = translation->state;
    struct gateway *gateway = translation->gateway;
    struct buf packed = { .at = NULL };
    struct options options;
    struct host_resolution resolution = { .from_node = state->request.answer.host.node,
                                          .from_user = state->request.answer.host.user,
                                          .to_node = state->to.node,
                                          .to_user = state->to.user,
                                          .to_name = recipient_name(translation),
                                          .entry_us = gateway_entry_time(gateway) };
    if (letter_first(head_of(state), LETTER_FROM) == NULL && letter_first(head_of(state), LETTER_SENDER) == NULL)
        resolution.from = translation->fetch.item.sender;
    gateway_node_options(gateway, state->to.node, state->link, true, &options);
    host_resolution_pack(&packed, &resolution);
    buf_clear(&state->options);
    translation_options(&options, &packed, &state->options);
    buf_free(&packed);
    if (state->options.failed)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
    translation->translator_job = (struct translator_job){ .op = OP_MAIL_TO_HOST,
                                                           .input = buf_span(&translation->content),
                                                           .options = buf_span(&state->options),
                                                           .done = encoded,
                                                           .arg = translation };
    return translator_submit(gateway->translator, &translation->translator_job, err);
}

/* --- the postmaster --- */

/* Who gets what comes to this address: a host user (true), or nobody of the hosts. */
static bool host_user_of(const struct gateway *gateway, struct span recipient, struct host_address *host_r,
                         struct err *why)
{
    if (border_is_postmaster(&gateway->border, recipient))
        recipient = span_text(gateway->conf->connector.postmaster);
    return border_from_mail(&gateway->border, recipient, host_r, why) == 0;
}

/* Where the postmaster's mail comes back to us, it has our mark. */
static bool has_mark(struct span mail, struct span mark)
{
    struct reader lines = reader_of(mail);
    struct span line;
    do {
        line = span_trim_end(reader_until(&lines, '\n'), '\r');
        if (span_equal_nocase(line, mark))
            return true;
    } while (line.size > 0);
    return false;
}

/* The letter as it came, with a mark in front. */
static int forward_to_postmaster(struct translation *translation, struct err *err)
{
    struct to_host *state = translation->state;
    const struct gateway *gateway = translation->gateway;
    const struct item *item = &translation->fetch.item;
    struct span mail = buf_span(&translation->content);
    char sender[ITEM_ADDRESS_MAX];
    char mark[ITEM_ADDRESS_MAX];
    (void)snprintf(mark, sizeof mark, "Delivered-To: postmaster@%s", gateway->border.domain);
    if (has_mark(mail, span_text(mark))) {
        struct err why = ERR_CLEAR;
        (void)err_set(&why, ERR_LOOP,
                      "mail for the postmaster comes back: [connector] postmaster %.120s leads to this connector",
                      gateway->conf->connector.postmaster);
        return translation_failure(translation, item->recipients[state->recipient].address, &why, err);
    }
    struct output *output = translation_output(translation, err);
    if (output == NULL)
        return -1;
    span_to_text(item->sender, sender, sizeof sender);
    output_init(output, QUEUE_MAIL_OUT, item->letter, sender, gateway->conf->connector.postmaster);
    output->item.flags = item->flags;
    output->served = state->recipient;
    buf_add_text(&output->content, mark);
    buf_add_text(&output->content, "\r\n");
    buf_add_span(&output->content, mail);
    state->size += output->content.size;
    return output->content.failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a letter") : 0;
}

/* Needs this letter no facts and no host address for its sender? */
static bool is_for_postmaster_only(const struct translation *translation)
{
    const struct item *item = &translation->fetch.item;
    struct host_address host;
    struct err ignored;
    for (size_t i = 0; i < item->recipient_count; i++)
        if (item->recipients[i].state == RECIPIENT_PENDING &&
            host_user_of(translation->gateway, item->recipients[i].address, &host, &ignored))
            return false;
    return true;
}

static void next_recipient(struct translation *translation)
{
    struct to_host *state = translation->state;
    const struct item *item = &translation->fetch.item;
    struct gateway *gateway = translation->gateway;
    struct err err = ERR_CLEAR;
    for (; state->recipient < item->recipient_count; state->recipient++) {
        struct span recipient = item->recipients[state->recipient].address;
        struct err why = ERR_CLEAR;
        if (item->recipients[state->recipient].state !=
            RECIPIENT_PENDING) { /* served when the letter was in hand before */
            translation->delivered = true;
            continue;
        }
        translation->partial = translation->output_count >= OUTPUTS_MAX || state->size >= OUTPUTS_SIZE_MAX;
        if (translation->partial) {
            state->size = 0;
            translation_finish(translation, 0, &err);
            return;
        }
        if (!host_user_of(gateway, recipient, &state->to, &why)) {
            int done = border_is_postmaster(&gateway->border, recipient)
                           ? forward_to_postmaster(translation, &err)
                           : translation_failure(translation, recipient, &why, &err);
            if (done == -1) {
                translation_fail(translation, &err);
                return;
            }
            continue;
        }
        state->link = border_link(&gateway->border, state->to.node);
        if (submit_encode(translation, &err) == -1)
            translation_fail(translation, &err);
        return;
    }
    translation_finish(translation, 0, &err);
}

/* --- the sender --- */

static void registered(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    if (err != NULL) {
        translation_fail(translation, err);
        return;
    }
    struct to_host *state = translation->state;
    const struct registry_answer *answer = &state->request.answer;
    if (answer->how == REGISTRY_OVER_LIMIT || answer->how == REGISTRY_OFF)
        log_info(LOG_GATEWAY, 31055, "letter %s: its sender gets no host address (%s); it goes out as %s",
                 translation->fetch.item.id.text,
                 answer->how == REGISTRY_OFF ? "registration is off" : "the limit of the day is reached",
                 host_address_text(answer->host).text);
    next_recipient(translation);
}

/* The person is the first mailbox of From, else Sender, else the envelope sender. `From: undisclosed` names none:
 * without a domain nobody could be answered. Nobody is left to the postmaster. -1: NO_MEMORY, for then it would be
 * another. */
static int take_person(const struct letter_head *head, struct span envelope, struct registry_sender *sender,
                       struct err *err)
{
    const struct letter_address *named[] = { letter_first(head, LETTER_FROM), letter_first(head, LETTER_SENDER) };
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        if (named[i] == NULL)
            continue;
        if (mailkey_of(named[i]->address, &sender->key, err) == 0) {
            span_to_text(named[i]->name, sender->name, sizeof sender->name);
            return 0;
        }
        if (err->id == ERR_NO_MEMORY)
            return -1;
    }
    return mailkey_of(envelope, &sender->key, err) == -1 && err->id == ERR_NO_MEMORY ? -1 : 0;
}

/* Null senders and reports are nobody's. */
static void ask_registry(struct translation *translation)
{
    struct to_host *state = translation->state;
    const struct item *item = &translation->fetch.item;
    const struct letter_head *head = head_of(state);
    state->request = (struct registry_request){ .done = registered, .arg = translation };
    struct registry_sender *sender = &state->request.sender;
    sender->now_us = item->arrived_us;
    (void)snprintf(sender->peer, sizeof sender->peer, "%s", item->peer);
    struct err err = ERR_CLEAR;
    if ((item->flags & ITEM_REGISTRAR) != 0) { /* it is answered where it came from */
        state->request.answer =
            (struct registry_answer){ .how = REGISTRY_NO_SENDER, .host = translation->gateway->border.registrar };
        if (name8_empty(state->request.answer.host.user)) /* switched off meanwhile */
            (void)name8_parse(SPAN_LITERAL(USERID_POSTMASTER), "user id", &state->request.answer.host.user, NULL);
        next_recipient(translation);
        return;
    }
    if (item->sender.size > 0 && head->report_type.size == 0 && take_person(head, item->sender, sender, &err) == -1) {
        translation_fail(translation, &err);
        return;
    }
    if (registry_ask(translation->gateway->registry, &state->request))
        registered(translation, NULL);
}

static void facts_came(void *arg, struct span output, const struct err *err)
{
    struct translation *translation = arg;
    struct to_host *state = translation->state;
    struct err failure = ERR_CLEAR;
    if (err != NULL) {
        translation_fail(translation, err);
        return;
    }
    if (translation_facts(output, &state->facts_bytes, &state->facts, &failure) == 0 && state->facts.letter_count == 0)
        (void)err_set(&failure, ERR_BUG, "the translator found no letter");
    if (failure.id != ERR_NONE || prepare_correlation(translation, &failure) == -1) {
        translation_fail(translation, &failure);
        return;
    }
    if (head_of(state)->html_left_out)
        log_info(LOG_GATEWAY, 40512, "letter %s: its text goes on, its HTML form is left out",
                 translation->fetch.item.id.text);
    ask_registry(translation);
}

void to_host_begin(struct translation *translation)
{
    struct err err = ERR_CLEAR;
    if (translation->release != NULL)
        translation->release(translation);
    struct to_host *state = mem_zero(sizeof *state);
    if (state == NULL) {
        (void)err_set(&err, ERR_NO_MEMORY, "out of memory for a letter");
        translation_finish(translation, -1, &err);
        return;
    }
    translation->state = state;
    translation->release = release;
    translation->resume = next_recipient;
    if (is_for_postmaster_only(translation)) {
        next_recipient(translation);
        return;
    }
    translation->translator_job = (struct translator_job){
        .op = OP_MAIL_FACTS, .input = buf_span(&translation->content), .done = facts_came, .arg = translation
    };
    if (translator_submit(translation->gateway->translator, &translation->translator_job, &err) == -1)
        translation_finish(translation, -1, &err);
}
