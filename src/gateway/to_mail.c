/* host_in -> mail_out: what a host file becomes.
 *
 * The spool file is taken apart (hostfiles.h): one data set for one destination at a time goes to a translator for its
 * facts; the ledger says whose the host address is and which letter is being answered; then a translator makes the
 * letter. The sender is the origin of the NJE header, the recipient its destination; only a mailer's envelope (BSMTP)
 * names others.
 */
#include "gateway/translation.h"

#include "address/inbody.h"
#include "address/registrar.h"
#include "address/registry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/hostfiles.h"
#include "letter/facts.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "store/correlation.h"
#include "store/hostuse.h"
#include "translator/ops.h"

#include <stdio.h>

enum { TOUCHED_MAX = 64 /* people of one file whose use is noted */ };

/* One recipient of one letter. */
struct target {
    bool is_host;       /* `host` is asked of the registry; else `address` is taken as it stands */
    bool is_postmaster; /* many senders share that address, and anybody may write to it */
    enum border_service service;
    struct host_address host;
    int64_t person;                 /* whose host address it is; 0: nobody's */
    char shown[ITEM_ADDRESS_MAX];   /* in reports */
    char address[ITEM_ADDRESS_MAX]; /* empty: `why` */
    char name[PERSON_NAME_SIZE];
    struct err why;
};

struct to_mail {
    struct err loop; /* why nobody gets the file */
    struct hostfiles files;
    size_t file, letter, target;
    struct hostfile current;  /* of `file`, without its records */
    struct buf node_options;  /* packed: tables may be read anew in the middle of a file */
    struct buf plain_options; /* packed, for the facts */
    struct buf facts_bytes;
    struct facts facts;
    struct target *targets;
    size_t target_count;
    struct access_right right; /* of the host user */
    struct registrar *registrar;
    struct ulid letter_id; /* in Message-ID */
    struct store_job job;
    /* which letter is answered */
    bool answers;
    struct correlation correlation;
    struct buf correlation_texts;
    /* addresses in the text (address/inbody.h) */
    struct inbody *inbody;
    struct buf also_to, also_cc;
    int64_t touched[TOUCHED_MAX]; /* people who were written to */
    size_t touched_count;
    struct buf sender; /* mail address of the host user, with a NUL */
    struct buf options;
};

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

static void fail(struct translation *translation, const struct err *err)
{
    struct err copy = *err;
    translation_finish(translation, -1, &copy);
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
}

static const struct letter_head *head_of(const struct to_mail *state)
{
    return &state->facts.letters[state->letter];
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
        fail(translation, err);
        return;
    }
    struct output *made = translation_output(translation, &failure);
    if (made == NULL) {
        fail(translation, &failure);
        return;
    }
    output_init(made, QUEUE_MAIL_OUT, translation->fetch.item.letter, (const char *)state->sender.at,
                state->targets[state->target].address);
    buf_add_span(&made->content, output);
    if (made->content.failed) {
        (void)no_memory(&failure);
        fail(translation, &failure);
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
        return no_memory(err);
    translation->translator_job = (struct translator_job){ .op = OP_HOST_TO_MAIL,
                                                           .input = hostfiles_at(&state->files, state->file),
                                                           .options = buf_span(&state->options),
                                                           .done = encoded,
                                                           .arg = translation };
    return translator_submit(gateway->translator, &translation->translator_job, err);
}

/* --- the registrar --- */

static struct host_address sender_of(const struct to_mail *state)
{
    return (struct host_address){ .node = state->current.from_node, .user = state->current.from_user };
}

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
    struct host_address user = sender_of(state);
    struct err failure = ERR_CLEAR;
    struct output *made = NULL;
    if (err != NULL) {
        fail(translation, err);
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
        fail(translation, &failure);
        return;
    }
    state->target++;
    next_target(translation);
}

/* Commands are in the text, or in the subject as lists take them. */
static void ask_registrar(struct translation *translation)
{
    struct to_mail *state = translation->state;
    const struct letter_head *head = head_of(state);
    struct host_address user = sender_of(state);
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
        (void)no_memory(&err);
        fail(translation, &err);
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
                fail(translation, &err);
            return;
        }
        if (translation_failure(translation, span_text(target->shown), &target->why, &err) == -1) {
            fail(translation, &err);
            return;
        }
    }
    state->letter++;
    next_letter(translation);
}

/* --- what the ledger knows --- */

static int resolve_one(struct db *db, const struct gateway *gateway, struct target *target, struct err *err)
{
    struct registry_owner owner;
    if (registry_resolve_in(db, target->host, &owner, err) == -1) {
        if (err_family(err->id) != ERR_FAMILY_PERMANENT)
            return -1;
        target->why = *err;
        *err = ERR_CLEAR;
        return 0;
    }
    target->is_postmaster = owner.postmaster;
    if (owner.postmaster) {
        (void)snprintf(target->address, sizeof target->address, "%s", gateway->conf->connector.postmaster);
        return 0;
    }
    struct buf address = { .at = NULL };
    struct mailkey key;
    target->person = owner.person.key;
    (void)snprintf(key.text, sizeof key.text, "%s", owner.person.address);
    mailkey_write(&key, &address);
    span_to_text(buf_span(&address), target->address, sizeof target->address);
    bool failed = address.failed;
    buf_free(&address);
    (void)snprintf(target->name, sizeof target->name, "%s", owner.person.name);
    return failed ? no_memory(err) : 0;
}

/* Answers go where the sender wanted them, if that is an address. */
static int answer_to(struct target *target, struct span reply_to, struct err *err)
{
    struct mailkey key;
    struct buf address = { .at = NULL };
    if (reply_to.size == 0 || target->address[0] == '\0' || mailkey_of(reply_to, &key, NULL) == -1)
        return 0;
    mailkey_write(&key, &address);
    if (!address.failed)
        span_to_text(buf_span(&address), target->address, sizeof target->address);
    bool failed = address.failed;
    buf_free(&address);
    return failed ? no_memory(err) : 0;
}

/* Only an answer is looked up: one that says so, or whose subject does. Not one to the postmaster's address: senders
 * without an address of their own share it, and a subject like another's would send the answer to a stranger. */
static int find_answered(struct db *db, struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    const struct letter_head *head = head_of(state);
    struct buf stamp = { .at = NULL };
    struct buf subject = { .at = NULL };
    state->answers = false;
    correlation_subject(head->subject, &subject);
    if (head->is_reply)
        correlation_stamp(head->stamp_us, &stamp);
    bool says_so = head->is_reply || (head->subject.size > 0 && subject.size < span_trim(head->subject).size);
    int found = 0;
    if (says_so && state->target_count == 1 && state->targets[0].is_host && !state->targets[0].is_postmaster) {
        struct host_address_text host = host_address_text(
            (struct host_address){ .node = state->current.from_node, .user = state->current.from_user });
        struct host_address_text proxy = host_address_text(state->targets[0].host);
        found = correlation_find(db, host.text, proxy.text, buf_span(&stamp), buf_span(&subject), &state->correlation,
                                 &state->correlation_texts, err);
    }
    bool failed = stamp.failed || subject.failed;
    buf_free(&stamp);
    buf_free(&subject);
    if (found == -1 && err_family(err->id) != ERR_FAMILY_TEMPORARY) { /* CT-09: it costs threading, never a letter */
        log_error(LOG_GATEWAY, 40720, "letter %s is not threaded: %s", translation->fetch.item.id.text, err->text);
        *err = ERR_CLEAR;
        found = 0;
    }
    state->answers = found == 1;
    if (found == 1 && answer_to(&state->targets[0], state->correlation.reply_to, err) == -1)
        return -1;
    return found == -1 ? -1 : failed ? no_memory(err) : 0;
}

/* Letters that this file makes and that are counted. */
static size_t count_letters(const struct translation *translation)
{
    size_t count = 0;
    for (size_t i = 0; i < translation->output_count; i++)
        count += translation->outputs[i].item.queue == QUEUE_MAIL_OUT;
    return count;
}

/* IB-08: who may not write to the Internet, or wrote enough today, is told so for each recipient. */
static int check_right(struct db *db, struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    const struct access_right *right = &state->right;
    struct hostuse use = { .letters = 0 };
    int64_t day = translation->fetch.item.arrived_us / CLOCK_DAY;
    if (right->allow && right->letters > 0 &&
        hostuse_load(db, day, host_address_text(sender_of(state)).text, &use, err) == -1)
        return -1;
    size_t sent = (size_t)use.letters + count_letters(translation);
    for (size_t i = 0; i < state->target_count; i++) {
        struct target *target = &state->targets[i];
        if (target->address[0] == '\0' || target->is_postmaster)
            continue;
        if (!right->allow)
            (void)err_set(&target->why, ERR_NOT_ALLOWED,
                          "%s may not send mail to the Internet%s; ask the operator of %s",
                          host_address_text(sender_of(state)).text,
                          right->line > 0 ? " (Access.tbl says so)" : " (Access.tbl does not list it)",
                          translation->gateway->border.node.text);
        else if (right->letters > 0 && sent >= right->letters)
            (void)err_set(&target->why, ERR_NOT_ALLOWED, "%s has sent %u letters today, which is all that it may",
                          host_address_text(sender_of(state)).text, right->letters);
        else
            sent++;
        if (target->why.id != ERR_NONE)
            target->address[0] = '\0';
    }
    return 0;
}

static int look_up(struct db *db, void *arg, struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    for (size_t i = 0; i < state->target_count; i++)
        if (state->targets[i].is_host && resolve_one(db, translation->gateway, &state->targets[i], err) == -1)
            return -1;
    if (check_right(db, translation, err) == -1)
        return -1;
    return find_answered(db, translation, err);
}

/* Who is unknown may be in a directory that was never loaded: that is no reason to return a letter. */
static bool unknown_yet(const struct translation *translation, struct err *err)
{
    const struct to_mail *state = translation->state;
    struct people_directory_status directory = people_directory_status(translation->gateway->directory);
    bool unknown = false;
    for (size_t i = 0; i < state->target_count; i++)
        unknown |= state->targets[i].is_host && state->targets[i].why.id == ERR_UNKNOWN_USER &&
                   !name8_empty(state->targets[i].host.user);
    if (!unknown || !directory.configured || directory.loaded_us != 0)
        return false;
    (void)err_set(err, ERR_BUSY, "the recipient is not known, and the directory was never loaded");
    return true;
}

static void looked_up(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    if (err != NULL) {
        fail(translation, err);
        return;
    }
    struct err failure = ERR_CLEAR;
    if (unknown_yet(translation, &failure)) {
        fail(translation, &failure);
        return;
    }
    for (size_t i = 0; i < state->target_count; i++)
        if (state->targets[i].person != 0 && state->touched_count < TOUCHED_MAX)
            state->touched[state->touched_count++] = state->targets[i].person;
    state->target = 0;
    next_target(translation);
}

/* In the commit: the letters are counted, and those who were written to are in use. */
static int note_use(struct db *db, struct translation *translation, struct err *err)
{
    const struct to_mail *state = translation->state;
    struct hostuse more = { .letters = (int64_t)count_letters(translation) };
    int64_t now_us = translation->fetch.item.arrived_us;
    for (size_t i = 0; i < state->touched_count; i++)
        if (registry_touch(db, state->touched[i], now_us, err) == -1)
            return -1;
    return more.letters > 0 && state->right.letters > 0
               ? hostuse_add(db, now_us / CLOCK_DAY, host_address_text(sender_of(state)).text, &more, err)
               : 0;
}

/* --- one letter --- */

static void target_host(const struct translation *translation, struct target *target, struct host_address host)
{
    const struct border *border = &translation->gateway->border;
    struct name8 link = { .text = "" };
    *target = (struct target){ .host = host, .service = border_service(border, host) };
    (void)name8_parse(span_text(translation->fetch.item.peer), "link", &link, NULL);
    (void)snprintf(target->shown, sizeof target->shown, "%s", host.user.text[0] != '\0' ? host.user.text : "(no user)");
    target->is_host = target->service == SERVICE_NONE && border_is_ours(border, host.node);
    if (name8_empty(host.user)) {
        target->is_host = false;
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "the file is addressed to no user");
    } else if (target->service == SERVICE_DUMMY) {
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "%s stands for people without an address; nobody gets mail there",
                      host_address_text(host).text);
    } else if (target->service == SERVICE_IN_BODY) {
        (void)err_set(&target->why, ERR_BAD_ADDRESS, "an envelope names its recipients itself, not in the text");
    } else if (target->service == SERVICE_NONE && !target->is_host &&
               border_hand_on(border, host, link, &target->why) == 0) {
        struct buf address = { .limit = sizeof target->address - 1 };
        border_to_mail(border, host, &address);
        span_to_text(buf_span(&address), target->address, sizeof target->address);
        buf_free(&address);
    }
}

static void target_mail(const struct gateway *gateway, struct target *target, struct span address)
{
    struct mailkey key;
    *target = (struct target){ .is_host = false };
    span_to_text(address, target->shown, sizeof target->shown);
    if (mailkey_of(address, &key, &target->why) == -1)
        return;
    struct host_address host;
    struct err why = ERR_CLEAR;
    bool ours = border_from_mail(&gateway->border, address, &host, &why) == 0;
    if (why.id == ERR_NO_MEMORY)
        target->why = why;
    else if (!ours && span_equal_nocase(mailkey_domain(&key), span_text(gateway->border.domain)))
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "there is no such user");
    else
        span_to_text(address, target->address, sizeof target->address);
}

/* Why a note with addresses in its text is returned whole; id ERR_NONE: it is not. */
static void check_listed(const struct translation *translation, const struct inbody *inbody, struct err *why)
{
    const struct to_mail *state = translation->state;
    const struct conf_addressing *limits = &translation->gateway->conf->addressing;
    if (!state->right.allow || !state->right.in_body)
        (void)err_set(why, ERR_NOT_ALLOWED, "%s may not address in the text; ask the operator of %s",
                      host_address_text(sender_of(state)).text, translation->gateway->border.node.text);
    else if (translation->fetch.item.size > limits->in_body_max_size)
        (void)err_set(why, ERR_TOO_BIG, "a note with addresses in the text may have %llu bytes, and this one has %llu",
                      (unsigned long long)limits->in_body_max_size, (unsigned long long)translation->fetch.item.size);
    else if (inbody->too_many || inbody->count > limits->in_body_recipients)
        (void)err_set(why, ERR_TOO_MANY, "the text names more than %u recipients", limits->in_body_recipients);
    else if (inbody->count == 0)
        (void)err_set(why, ERR_BAD_ADDRESS,
                      "there is no Internet address at the beginning of the text; write for example "
                      "To: user@example.com, and an empty line before the text");
}

/* IB-05: each address in the text is a recipient, good or bad. */
static int make_listed_targets(struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    struct gateway *gateway = translation->gateway;
    struct err why = ERR_CLEAR;
    if (state->inbody == NULL)
        state->inbody = mem_zero(sizeof *state->inbody);
    if (state->inbody == NULL)
        return no_memory(err);
    inbody_parse(head_of(state)->opening, gateway->conf->addressing.in_body_keyword, state->inbody);
    check_listed(translation, state->inbody, &why);
    if (why.id != ERR_NONE) {
        state->targets[0].why = why;
        return 0;
    }
    struct target *targets = mem_realloc(state->targets, state->inbody->count * sizeof targets[0]);
    if (targets == NULL)
        return no_memory(err);
    state->targets = targets;
    state->target_count = state->inbody->count;
    buf_clear(&state->also_to);
    buf_clear(&state->also_cc);
    for (size_t i = 0; i < state->target_count; i++) {
        const struct inbody_address *listed = &state->inbody->at[i];
        struct buf *also = listed->role == INBODY_CC ? &state->also_cc : &state->also_to;
        target_mail(gateway, &targets[i], listed->text);
        targets[i].service = SERVICE_IN_BODY;
        if (!listed->good && targets[i].why.id == ERR_NONE) {
            targets[i].address[0] = '\0';
            (void)err_set(&targets[i].why, ERR_BAD_ADDRESS, "\"%.100s\" in the text is no Internet address",
                          targets[i].shown);
        }
        if (targets[i].address[0] == '\0' || listed->role == INBODY_BCC)
            continue;
        buf_add_text(also, targets[i].address);
        buf_add_u8(also, '\n');
    }
    return state->also_to.failed || state->also_cc.failed ? no_memory(err) : 0;
}

/* The destination of the file, or those of a mailer's envelope. */
static int make_targets(struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    const struct letter_head *head = head_of(state);
    struct host_address to = { .node = state->current.to_node, .user = state->current.to_user };
    mem_free(state->targets);
    state->target_count = 0;
    state->targets = mem_zero((head->address_count + 1) * sizeof state->targets[0]);
    if (state->targets == NULL)
        return no_memory(err);
    for (size_t i = 0; head->has_envelope && i < head->address_count; i++) {
        const struct letter_address *address = &head->addresses[i];
        if (address->role != LETTER_ENVELOPE_TO)
            continue;
        struct target *target = &state->targets[state->target_count++];
        if (address->address.size > 0)
            target_mail(translation->gateway, target, address->address);
        else
            target_host(translation, target, (struct host_address){ .node = address->node, .user = address->user });
        if (target->why.id == ERR_NO_MEMORY) /* nothing to report: later it may well be delivered */
            return no_memory(err);
    }
    if (state->target_count == 0)
        target_host(translation, &state->targets[state->target_count++], to);
    if (!head->has_envelope && border_service(&translation->gateway->border, to) == SERVICE_IN_BODY &&
        make_listed_targets(translation, err) == -1)
        return -1;
    for (size_t i = 0; i < state->target_count && state->loop.id != ERR_NONE; i++) {
        struct target *target = &state->targets[i]; /* nobody gets it, its writer is told */
        target->is_host = false;
        target->address[0] = '\0';
        target->why = state->loop;
    }
    return 0;
}

static void next_letter(struct translation *translation)
{
    struct to_mail *state = translation->state;
    struct err err = ERR_CLEAR;
    while (state->letter < state->facts.letter_count) {
        enum letter_source source = head_of(state)->source;
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
    if (make_targets(translation, &err) == -1) {
        fail(translation, &err);
        return;
    }
    state->job = (struct store_job){ .work = look_up, .done = looked_up, .arg = translation };
    store_read(translation->gateway->store, &state->job);
}

/* --- one data set --- */

static void facts_came(void *arg, struct span output, const struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    struct err failure = ERR_CLEAR;
    if (err != NULL) {
        fail(translation, err);
        return;
    }
    facts_release(&state->facts);
    state->facts = (struct facts){ .letter_count = 0 };
    buf_clear(&state->facts_bytes);
    buf_add_span(&state->facts_bytes, output);
    if (state->facts_bytes.failed)
        (void)no_memory(&failure);
    if (failure.id == ERR_NONE && facts_parse(buf_span(&state->facts_bytes), &state->facts, &failure) == 0 &&
        state->facts.rest.id != ERR_NONE)
        failure = state->facts.rest; /* letters before it were good: as a whole it is for the operator to see */
    if (failure.id != ERR_NONE) {
        fail(translation, &failure);
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
    state->right = access_of(&(*gateway->border.tables)->access, sender_of(state));
    translation->also = note_use;
    buf_clear(&state->plain_options);
    ops_options(buf_span(&state->node_options), SPAN_EMPTY, &state->plain_options);
    buf_clear(&state->sender);
    border_to_mail(&gateway->border,
                   (struct host_address){ .node = state->current.from_node, .user = state->current.from_user },
                   &state->sender);
    buf_add_u8(&state->sender, '\0');
    if (state->node_options.failed || state->plain_options.failed || state->sender.failed)
        return no_memory(err);
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
        fail(translation, &err);
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
        (void)no_memory(&err);
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
