/* host_in -> mail_out: what a host file becomes.
 *
 * The spool file is taken apart (hostfiles.h): one data set for one destination at a time goes to a translator for its
 * facts; the ledger says whose the host address is and which letter is being answered; then a translator makes the
 * letter. The sender is the origin of the NJE header, the recipient its destination; only a mailer's envelope (BSMTP)
 * names others.
 */
#include "gateway/translation.h"

#include "address/registry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/hostfiles.h"
#include "letter/facts.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "store/correlation.h"
#include "translator/ops.h"

#include <stdio.h>

/* One recipient of one letter. */
struct target {
    bool is_host; /* `host` is asked of the registry; else `address` is taken as it stands */
    struct host_address host;
    char shown[ITEM_ADDRESS_MAX];   /* in reports */
    char address[ITEM_ADDRESS_MAX]; /* empty: `why` */
    char name[PERSON_NAME_SIZE];
    struct err why;
};

struct to_mail {
    struct err loop; /* why nobody gets the file */
    struct hostfiles files;
    size_t file, letter, target;
    struct hostfile current; /* of `file`, without its records */
    struct options node_options;
    struct buf plain_options; /* packed, for the facts */
    struct buf facts_bytes;
    struct facts facts;
    struct target *targets;
    size_t target_count;
    struct ulid letter_id; /* in Message-ID */
    struct store_job job;
    /* which letter is answered */
    bool answers;
    struct correlation correlation;
    struct buf correlation_texts;
    struct buf sender; /* mail address of the host user, with a NUL */
    struct buf options;
};

static void release(struct translation *translation)
{
    struct to_mail *state = translation->state;
    hostfiles_free(&state->files);
    facts_release(&state->facts);
    buf_free(&state->plain_options);
    buf_free(&state->facts_bytes);
    buf_free(&state->correlation_texts);
    buf_free(&state->sender);
    buf_free(&state->options);
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
        translation_fail_translator(translation, err);
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
    if (state->answers) {
        list_references(state->correlation.references, references, &reference_count);
        references[reference_count++] = state->correlation.message_id;
        resolution.in_reply_to = state->correlation.message_id;
        resolution.references = references;
        resolution.reference_count = reference_count;
    }
    struct buf packed = { .at = NULL };
    mail_resolution_pack(&packed, &resolution);
    buf_clear(&state->options);
    translation_options(&state->node_options, buf_span(&packed), &state->options);
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

static void next_target(struct translation *translation)
{
    struct to_mail *state = translation->state;
    struct err err = ERR_CLEAR;
    for (; state->target < state->target_count; state->target++) {
        struct target *target = &state->targets[state->target];
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
    if (!border_is_ours(&gateway->border, target->host.node)) {
        (void)err_set(&target->why, ERR_UNKNOWN_NODE, "%s is not a node of this connector", target->host.node.text);
        return 0;
    }
    if (registry_resolve_in(db, target->host, &owner, err) == -1) {
        if (err_family(err->id) != ERR_FAMILY_PERMANENT)
            return -1;
        target->why = *err;
        *err = ERR_CLEAR;
        return 0;
    }
    if (owner.postmaster) {
        (void)snprintf(target->address, sizeof target->address, "%s", gateway->conf->connector.postmaster);
        return 0;
    }
    struct buf address = { .at = NULL };
    struct mailkey key;
    (void)snprintf(key.text, sizeof key.text, "%s", owner.person.address);
    mailkey_write(&key, &address);
    span_to_text(buf_span(&address), target->address, sizeof target->address);
    bool failed = address.failed;
    buf_free(&address);
    (void)snprintf(target->name, sizeof target->name, "%s", owner.person.name);
    return failed ? no_memory(err) : 0;
}

/* Only an answer is looked up: one that says so, or whose subject does. */
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
    if (says_so && state->target_count == 1 && state->targets[0].is_host) {
        struct host_address_text host = host_address_text(
            (struct host_address){ .node = state->current.from_node, .user = state->current.from_user });
        struct host_address_text proxy = host_address_text(state->targets[0].host);
        found = correlation_find(db, host.text, proxy.text, buf_span(&stamp), buf_span(&subject), &state->correlation,
                                 &state->correlation_texts, err);
    }
    bool failed = stamp.failed || subject.failed;
    buf_free(&stamp);
    buf_free(&subject);
    state->answers = found == 1;
    if (found == 1 && state->correlation.reply_to.size > 0 && state->targets[0].address[0] != '\0')
        span_to_text(state->correlation.reply_to, state->targets[0].address, sizeof state->targets[0].address);
    return found == -1 ? -1 : failed ? no_memory(err) : 0;
}

static int look_up(struct db *db, void *arg, struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    for (size_t i = 0; i < state->target_count; i++)
        if (state->targets[i].is_host && resolve_one(db, translation->gateway, &state->targets[i], err) == -1)
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
    state->target = 0;
    next_target(translation);
}

/* --- one letter --- */

static void target_host(struct target *target, struct host_address host)
{
    *target = (struct target){ .is_host = true, .host = host };
    (void)snprintf(target->shown, sizeof target->shown, "%s", host.user.text[0] != '\0' ? host.user.text : "(no user)");
    if (name8_empty(host.user))
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "the file is addressed to no user");
}

static void target_mail(const struct gateway *gateway, struct target *target, struct span address)
{
    struct mailkey key;
    *target = (struct target){ .is_host = false };
    span_to_text(address, target->shown, sizeof target->shown);
    if (mailkey_of(address, &key, &target->why) == -1)
        return;
    struct host_address host;
    if (border_from_mail(&gateway->border, address, &host, NULL) == -1 &&
        span_equal_nocase(mailkey_domain(&key), span_text(gateway->border.domain)))
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "there is no such user");
    else
        span_to_text(address, target->address, sizeof target->address);
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
            target_host(target, (struct host_address){ .node = address->node, .user = address->user });
    }
    if (state->target_count == 0)
        target_host(&state->targets[state->target_count++], to);
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
        translation_fail_translator(translation, err);
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
    return border_may_send(&translation->gateway->border,
                           (struct host_address){ .node = state->current.from_node, .user = state->current.from_user },
                           link, err);
}

static int begin_file(struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    struct gateway *gateway = translation->gateway;
    if (read_current(state, err) == -1)
        return -1;
    const struct conf_link *link = border_link(&gateway->border, state->current.from_node);
    if (check_origin(translation, err) == -1)
        return -1;
    gateway_node_options(gateway, state->current.from_node, link, &state->node_options);
    buf_clear(&state->plain_options);
    translation_options(&state->node_options, SPAN_EMPTY, &state->plain_options);
    buf_clear(&state->sender);
    border_to_mail(&gateway->border,
                   (struct host_address){ .node = state->current.from_node, .user = state->current.from_user },
                   &state->sender);
    buf_add_u8(&state->sender, '\0');
    if (state->plain_options.failed || state->sender.failed)
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
