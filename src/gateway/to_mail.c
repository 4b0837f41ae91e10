/* host_in -> mail_out: what a host file becomes.
 *
 * The spool file is taken apart (hostfiles.h): one data set for one destination at a time goes to a translator for its
 * facts; the ledger says whose the host address is and which letter is being answered; then a translator makes the
 * letter. The sender is the origin of the NJE header, the recipient its destination; only a mailer's envelope (BSMTP)
 * names others.
 */
#include "gateway/to_mail_private.h"

#include "address/registry.h"
#include "base/log.h"
#include "base/mem.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "translator/ops.h"

#include <stdio.h>

static void release(struct translation *translation)
{
    struct to_mail *state = translation->state;
    hostfiles_free(&state->files);
    facts_release(&state->facts);
    buf_free(&state->node_options);
    buf_free(&state->plain_options);
    buf_free(&state->facts_bytes);
    buf_free(&state->correlation_texts);
    buf_free(&state->sender);
    buf_free(&state->options);
    buf_free(&state->also_to);
    buf_free(&state->also_cc);
    registrar_free(state->registrar);
    mem_free(state->inbody);
    mem_free(state->targets);
    mem_free(state);
    translation->state = NULL;
    translation->release = NULL;
}

static void next_file(struct translation *translation);
static void next_letter(struct translation *translation);
static void next_target(struct translation *translation);

/* --- one recipient --- */

static void encoded(void *arg, struct span output, const struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    struct err failure = ERR_CLEAR;
    if (err != NULL) {
        translation_fail(translation, err);
        return;
    }
    struct output *made = translation_output(translation, &failure);
    if (made == NULL) {
        translation_fail(translation, &failure);
        return;
    }
    output_init(made, QUEUE_MAIL_OUT, translation->fetch.item.letter, (const char *)state->sender.at,
                state->targets[state->target].address);
    buf_add_span(&made->content, output);
    if (made->content.failed) {
        (void)to_mail_no_memory(&failure);
        translation_fail(translation, &failure);
        return;
    }
    state->target++;
    next_target(translation);
}

static void list_references(struct span texts, struct span *references_r, size_t *count_r)
{
    struct reader reader = reader_of(texts);
    while (!reader_at_end(&reader) && *count_r < LETTER_REFERENCES_MAX) {
        struct span id = reader_until(&reader, ' ');
        if (id.size > 0)
            references_r[(*count_r)++] = id;
    }
}

static int submit_encode(struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    struct gateway *gateway = translation->gateway;
    const struct target *target = &state->targets[state->target];
    char message_id[ULID_LENGTH + 260];
    struct span references[LETTER_REFERENCES_MAX + 1];
    size_t reference_count = 0;
    struct host_address from = { .node = state->current.from_node, .user = state->current.from_user };
    struct resolved pair = { .node = target->host.node,
                             .user = target->host.user,
                             .address = span_text(target->address),
                             .name = span_text(target->name) };
    (void)snprintf(message_id, sizeof message_id, "<%s@%s>", state->letter_id.text, gateway->border.domain);
    struct mail_resolution resolution = { .letter = state->letter,
                                          .from = span_text((const char *)state->sender.at),
                                          .from_name = border_name(&gateway->border, from),
                                          .to = span_text(target->address),
                                          .to_name = span_text(target->name),
                                          .pairs = &pair,
                                          .pair_count = target->is_host ? 1 : 0,
                                          .message_id = span_text(message_id),
                                          .receipt = false,
                                          .now_us = translation->fetch.item.arrived_us };
    bool listed = target->service == SERVICE_IN_BODY;
    struct buf dummy = { .limit = ITEM_ADDRESS_MAX };
    if (!name8_empty(gateway->border.dummy.user))
        border_to_mail(&gateway->border, gateway->border.dummy, &dummy);
    resolution.dummy = buf_span(&dummy);
    if (listed) {
        pair.node = gateway->border.in_body.node; /* `To: INTERNET at NODE` means those in the text */
        pair.user = gateway->border.in_body.user;
        resolution.pair_count = 1;
        resolution.also_to = buf_span(&state->also_to);
        resolution.also_cc = buf_span(&state->also_cc);
        resolution.subject = state->inbody->subject;
        if (gateway->conf->addressing.in_body_remove == CONF_YES)
            resolution.body_from = state->inbody->body_at;
    }
    if (state->answers) {
        list_references(state->correlation.references, references, &reference_count);
        references[reference_count++] = state->correlation.message_id;
        resolution.in_reply_to = state->correlation.message_id;
        resolution.references = references;
        resolution.reference_count = reference_count;
    }
    struct buf packed = { .at = NULL };
    mail_resolution_pack(&packed, &resolution);
    buf_free(&dummy);
    buf_clear(&state->options);
    ops_options(buf_span(&state->node_options), buf_span(&packed), &state->options);
    state->options.failed = state->options.failed || packed.failed;
    buf_free(&packed);
    if (state->options.failed)
        return to_mail_no_memory(err);
    translation->translator_job = (struct translator_job){ .op = OP_HOST_TO_MAIL,
                                                           .input = hostfiles_at(&state->files, state->file),
                                                           .options = buf_span(&state->options),
                                                           .done = encoded,
                                                           .arg = translation };
    return translator_submit(gateway->translator, &translation->translator_job, err);
}

/* --- the registrar --- */

static int registrar_job(struct db *db, void *arg, struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    return registrar_work(db, state->registrar, err);
}

static void registrar_done(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    struct gateway *gateway = translation->gateway;
    struct host_address user = to_mail_sender(state);
    struct err failure = ERR_CLEAR;
    struct output *made = NULL;
    if (err != NULL) {
        translation_fail(translation, err);
        return;
    }
    if (registrar_log(state->registrar))
        registry_forget(gateway->registry);
    struct span answer = registrar_answer(state->registrar);
    if (answer.size == 0) {
        log_info(LOG_GATEWAY, 31056, "letter %s: %s gets no further answers today (registrar-limit)",
                 translation->fetch.item.id.text, host_address_text(user).text);
    } else if ((made = translation_output(translation, &failure)) == NULL ||
               registrar_letter(gateway, user, translation->fetch.item.letter, answer, made, &failure) == -1) {
        translation_fail(translation, &failure);
        return;
    }
    state->target++;
    next_target(translation);
}

/* Commands are in the text, or in the subject as lists take them. */
static void ask_registrar(struct translation *translation)
{
    struct to_mail *state = translation->state;
    const struct letter_head *head = to_mail_head(state);
    struct host_address user = to_mail_sender(state);
    struct buf text = { .limit = 2 * REGISTRAR_OPENING };
    struct err err = ERR_CLEAR;
    if (!registrar_answers(user) || head->auto_submitted || head->bulk || head->report_type.size > 0) {
        log_info(LOG_GATEWAY, 31056, "letter %s of %s to the registrar is not from a person and gets no answer",
                 translation->fetch.item.id.text, host_address_text(user).text);
        state->target++;
        next_target(translation);
        return;
    }
    buf_add_span(&text, span_slice(head->subject, 0, REGISTRAR_OPENING / 2));
    buf_add_u8(&text, '\n');
    buf_add_span(&text, span_slice(head->opening, 0, REGISTRAR_OPENING));
    registrar_free(state->registrar);
    state->registrar = text.failed ? NULL : registrar_ask(translation->gateway, user, buf_span(&text));
    buf_free(&text);
    if (state->registrar == NULL) {
        (void)to_mail_no_memory(&err);
        translation_fail(translation, &err);
        return;
    }
    state->job = (struct store_job){ .work = registrar_job, .done = registrar_done, .arg = translation };
    store_write(translation->gateway->store, &state->job);
}

static void next_target(struct translation *translation)
{
    struct to_mail *state = translation->state;
    struct err err = ERR_CLEAR;
    for (; state->target < state->target_count; state->target++) {
        struct target *target = &state->targets[state->target];
        if (target->service == SERVICE_REGISTRAR) {
            ask_registrar(translation);
            return;
        }
        if (target->address[0] != '\0') {
            if (submit_encode(translation, &err) == -1)
                translation_fail(translation, &err);
            return;
        }
        if (translation_failure(translation, span_text(target->shown), &target->why, &err) == -1) {
            translation_fail(translation, &err);
            return;
        }
    }
    state->letter++;
    next_letter(translation);
}

/* --- one letter --- */

static void looked_up(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    if (err != NULL) {
        translation_fail(translation, err);
        return;
    }
    struct err failure = ERR_CLEAR;
    if (to_mail_unknown_yet(translation, &failure)) {
        translation_fail(translation, &failure);
        return;
    }
    for (size_t i = 0; i < state->target_count; i++)
        if (state->targets[i].person != 0 && state->touched_count < TOUCHED_MAX)
            state->touched[state->touched_count++] = state->targets[i].person;
    state->target = 0;
    next_target(translation);
}

static void next_letter(struct translation *translation)
{
    struct to_mail *state = translation->state;
    struct err err = ERR_CLEAR;
    while (state->letter < state->facts.letter_count) {
        enum letter_source source = to_mail_head(state)->source;
        if (source != LETTER_ACK && source != LETTER_PROFS_ACK)
            break;
        log_info(LOG_GATEWAY, 40510, "letter %s: %s(%s) acknowledges a letter to %s(%s)",
                 translation->fetch.item.id.text, state->current.from_node.text, state->current.from_user.text,
                 state->current.to_node.text, state->current.to_user.text);
        state->letter++;
    }
    if (state->letter == state->facts.letter_count) {
        state->file++;
        next_file(translation);
        return;
    }
    state->letter_id = state->file == 0 && state->letter == 0 ? translation->fetch.item.letter : ulid_new();
    if (to_mail_targets(translation, &err) == -1) {
        translation_fail(translation, &err);
        return;
    }
    state->job = (struct store_job){ .work = to_mail_look_up, .done = looked_up, .arg = translation };
    store_read(translation->gateway->store, &state->job);
}

/* --- one data set --- */

static void facts_came(void *arg, struct span output, const struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    struct err failure = ERR_CLEAR;
    if (err != NULL) {
        translation_fail(translation, err);
        return;
    }
    facts_release(&state->facts);
    state->facts = (struct facts){ .letter_count = 0 };
    if (translation_facts(output, &state->facts_bytes, &state->facts, &failure) == 0 &&
        state->facts.rest.id != ERR_NONE)
        failure = state->facts.rest; /* letters before it were good: as a whole it is for the operator to see */
    if (failure.id != ERR_NONE) {
        translation_fail(translation, &failure);
        return;
    }
    state->letter = 0;
    next_letter(translation);
}

/* The header of the packed file; its records stay where they are. */
static int read_current(struct to_mail *state, struct err *err)
{
    struct reader reader = reader_of(hostfiles_at(&state->files, state->file));
    int found = hostfile_next(&reader, &state->current, err);
    if (found != 1)
        return found == -1 ? -1 : err_set(err, ERR_BUG, "a packed file is missing");
    records_free(&state->current.records);
    return 0;
}

/* The file must come from where it says: its origin must be a node that is reached over the link it came by. */
static int check_origin(const struct translation *translation, struct err *err)
{
    const struct to_mail *state = translation->state;
    const struct item *item = &translation->fetch.item;
    if (name8_empty(state->current.from_node) || name8_empty(state->current.from_user))
        return err_set(err, ERR_BAD_CONTENT, "the file does not say who sent it");
    struct name8 link = { .text = "" };
    (void)name8_parse(span_text(item->peer), "link", &link, NULL);
    const struct conf *conf = translation->gateway->conf;
    bool trusted = false;
    for (size_t i = 0; i < conf->link_count; i++)
        trusted = trusted || (name8_equal(conf->links[i].node, link) && conf->links[i].trust_origin == CONF_YES);
    return border_may_send(&translation->gateway->border,
                           (struct host_address){ .node = state->current.from_node, .user = state->current.from_user },
                           link, trusted, err);
}

/* How much of the text the daemon has to see: the addresses in it, or commands, which may come in an envelope. */
static size_t opening_of(const struct gateway *gateway, const struct to_mail *state)
{
    struct host_address to = { .node = state->current.to_node, .user = state->current.to_user };
    if (border_service(&gateway->border, to) == SERVICE_IN_BODY)
        return INBODY_OPENING;
    return name8_empty(gateway->border.registrar.user) ? 0 : REGISTRAR_OPENING;
}

static int begin_file(struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    struct gateway *gateway = translation->gateway;
    struct options options;
    if (read_current(state, err) == -1)
        return -1;
    const struct conf_link *link = border_link(&gateway->border, state->current.from_node);
    if (check_origin(translation, err) == -1)
        return -1;
    gateway_node_options(gateway, state->current.from_node, link, false, &options);
    options.opening = opening_of(gateway, state);
    buf_clear(&state->node_options);
    options_pack(&state->node_options, &options);
    state->right = access_of(&(*gateway->border.tables)->access, to_mail_sender(state));
    translation->also = to_mail_note_use;
    buf_clear(&state->plain_options);
    ops_options(buf_span(&state->node_options), SPAN_EMPTY, &state->plain_options);
    buf_clear(&state->sender);
    border_to_mail(&gateway->border,
                   (struct host_address){ .node = state->current.from_node, .user = state->current.from_user },
                   &state->sender);
    buf_add_u8(&state->sender, '\0');
    if (state->node_options.failed || state->plain_options.failed || state->sender.failed)
        return to_mail_no_memory(err);
    translation->translator_job = (struct translator_job){ .op = OP_HOST_FACTS,
                                                           .input = hostfiles_at(&state->files, state->file),
                                                           .options = buf_span(&state->plain_options),
                                                           .done = facts_came,
                                                           .arg = translation };
    return translator_submit(gateway->translator, &translation->translator_job, err);
}

static void next_file(struct translation *translation)
{
    struct to_mail *state = translation->state;
    struct err err = ERR_CLEAR;
    if (state->file == state->files.count)
        translation_finish(translation, 0, &err);
    else if (begin_file(translation, &err) == -1)
        translation_fail(translation, &err);
}

/* A SYSIN job. Refusing it on the link would hold the neighbour's transmitter; so it was taken, and goes back with a
 * word. */
static void return_job(struct translation *translation)
{
    const struct item *item = &translation->fetch.item;
    struct span name = item->recipient_count > 0 ? item->recipients[0].address : SPAN_EMPTY;
    struct err why = ERR_CLEAR, err = ERR_CLEAR;
    (void)err_set(&why, ERR_REFUSED, "this node runs no jobs (SYSIN); files for its users are sent as SYSOUT");
    int result = translation_failure(translation, name, &why, &err);
    translation_finish(translation, result, &err);
}

/* RT-03: systems that forward a file count it in NJHGHOPS (JES2 does, RSCS and NJE38 leave it 0). */
static int check_hops(struct translation *translation, bool len_counts_cc, struct err *err)
{
    struct to_mail *state = translation->state;
    struct nje_job job;
    struct nje_dataset dataset;
    unsigned most = translation->gateway->conf->limits.max_hops;
    if (hostfiles_headers(buf_span(&translation->content), len_counts_cc, &job, &dataset, err) == -1)
        return -1;
    if (job.hops > most)
        (void)err_set(&state->loop, ERR_LOOP,
                      "the file was forwarded %u times, more than %u (max-hops): it is in a loop", job.hops, most);
    return 0;
}

void to_mail_begin(struct translation *translation)
{
    struct err err = ERR_CLEAR;
    struct host_address from;
    if (translation->release != NULL)
        translation->release(translation);
    if ((translation->fetch.item.flags & ITEM_JOB) != 0) {
        return_job(translation);
        return;
    }
    struct to_mail *state = mem_zero(sizeof *state);
    if (state == NULL) {
        (void)to_mail_no_memory(&err);
        translation_finish(translation, -1, &err);
        return;
    }
    translation->state = state;
    translation->release = release;
    const struct conf_link *link = host_address_parse(translation->fetch.item.sender, &from, NULL) == 0
                                       ? border_link(&translation->gateway->border, from.node)
                                       : NULL;
    bool len_counts_cc = link == NULL || nje_presets[link->kind].len_counts_cc;
    if (check_hops(translation, len_counts_cc, &err) == -1 ||
        hostfiles_split(buf_span(&translation->content), len_counts_cc, &state->files, &err) == -1)
        translation_finish(translation, -1, &err);
    else
        next_file(translation);
}
