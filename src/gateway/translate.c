/* The two translations: host_in to mail_out, mail_in to host_out.
 *
 * One letter goes in, one or more items come out, in one commit that also removes the letter: so it is always in
 * exactly one queue. A letter for many host users, each of whom gets a file of his own, takes several commits: each
 * marks the recipients whose files it holds, the last one removes the letter. Contents larger than a chunk are written
 * before, invisible, piece by piece. What cannot be delivered is reported to the sender in the last commit; what cannot
 * be understood, or reported to nobody, goes into quarantine. A temporary failure leaves the letter where it is.
 */
#include "gateway/inside.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/fetch.h"
#include "gateway/plain.h"

#include <stdio.h>

enum {
    TRANSLATIONS_MAX = 16,
    CONTENT_MAX = 256 * 1024 * 1024, /* of a letter in memory; larger ones go into quarantine */
    CHUNKS_A_JOB = 4,
    OUTPUTS_MAX = 32,                    /* files of one commit: fewer than there are NJE job ids at hand */
    OUTPUTS_SIZE_MAX = 16 * 1024 * 1024, /* about, of their contents, which are in memory together */
    TEMPORARY_RETRY_US = 2000000
};

FAILPOINT_DECLARE("translate.before-commit");
FAILPOINT_DECLARE("translate.committed");

struct translation {
    struct gateway *gateway;
    struct pump *pump;
    struct fetch fetch;
    struct buf content;
    struct output *outputs;
    size_t output_count, output_room;
    size_t *served; /* mail_in: by output, the number of its recipient */
    size_t next;    /* mail_in: the recipient whose turn it is */
    bool partial;   /* others are left for a further commit */
    bool delivered; /* some were served in an earlier one */
    struct report_failure *failures;
    char (*failure_texts)[ERR_TEXT_SIZE], (*failure_addresses)[ITEM_ADDRESS_MAX];
    size_t failure_count, failure_room;
    bool quarantine;
    char reason[ERR_TEXT_SIZE];
    /* writing large outputs */
    size_t output_at;
    unsigned chunk_at;
    struct store_job job;
};

static void forget_outputs(struct translation *translation)
{
    for (size_t i = 0; i < translation->output_count; i++)
        output_free(&translation->outputs[i]);
    translation->output_count = 0;
    translation->output_at = 0;
    translation->chunk_at = 0;
}

static void translation_free(struct translation *translation)
{
    forget_outputs(translation);
    mem_free(translation->outputs);
    mem_free(translation->served);
    mem_free(translation->failures);
    mem_free(translation->failure_texts);
    mem_free(translation->failure_addresses);
    buf_free(&translation->content);
    fetch_free(&translation->fetch);
    mem_free(translation);
}

static void start_more(struct gateway *gateway, struct pump *pump);

static void finished(struct translation *translation)
{
    struct gateway *gateway = translation->gateway;
    struct pump *pump = translation->pump;
    gateway->translating--;
    pump_release(pump, translation->fetch.key);
    translation_free(translation);
    start_more(gateway, pump);
}

/* --- the commit --- */

static bool is_large(const struct output *output)
{
    return output->content.size > ITEM_CHUNK_SIZE;
}

static int commit_work(struct db *db, void *arg, struct err *err)
{
    struct translation *translation = arg;
    const struct item *item = &translation->fetch.item;
    struct track track = { .letter = item->letter,
                           .item = item->id,
                           .at_us = clock_now(),
                           .address = item->sender,
                           .detail = span_text(translation->reason) };
    for (size_t i = 0; i < translation->output_count; i++)
        if (output_insert(db, &translation->outputs[i], translation->gateway->border.node.text,
                          is_large(&translation->outputs[i]), err) == -1)
            return -1;
    if (translation->partial) {
        for (size_t i = 0; i < translation->output_count; i++)
            if (item_recipient_set(db, item->key, translation->served[i], RECIPIENT_DONE, NULL, err) == -1)
                return -1;
        return 0;
    }
    for (size_t i = 0; i < translation->failure_count; i++) {
        track.step = TRACK_RETURNED;
        track.address = span_text(translation->failures[i].recipient);
        track.detail = span_text(translation->failures[i].diagnostic);
        if (track_add(db, &track, err) == -1)
            return -1;
    }
    if (!translation->quarantine)
        return item_remove(db, item->key, err);
    track.step = TRACK_QUARANTINED;
    track.address = item->sender;
    track.detail = span_text(translation->reason);
    return item_set_state(db, item->key, ITEM_QUARANTINED, translation->reason, err) == -1 ? -1
                                                                                           : track_add(db, &track, err);
}

static int forget_work(struct db *db, void *arg, struct err *err)
{
    const struct translation *translation = arg;
    for (size_t i = 0; i < translation->output_count; i++)
        if (is_large(&translation->outputs[i]) &&
            db_run(db, err, "UPDATE item SET state = 0 WHERE key = ?1 AND queue = 0", "i",
                   translation->outputs[i].item.key) == -1)
            return -1;
    return 0;
}

static void forget_done(void *arg, const struct err *err)
{
    (void)err; /* what could not be marked is marked at the next start */
    struct translation *translation = arg;
    struct pump *pump = translation->pump;
    finished(translation);
    loop_timer_set(&pump->timer, TEMPORARY_RETRY_US);
}

/* The letter stays where it is and is tried again: at once when the ledger can be written again, else soon. */
static void put_back(struct translation *translation, const struct err *err)
{
    log_trace(LOG_GATEWAY, err_log_number(err->id), "letter %s waits in %s: %s", translation->fetch.item.id.text,
              queue_name(translation->pump->queue), err->text);
    translation->job = (struct store_job){ .work = forget_work, .done = forget_done, .arg = translation };
    store_write(translation->gateway->store, &translation->job);
}

static void translate(struct translation *translation);

static void commit_done(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    struct gateway *gateway = translation->gateway;
    const struct item *item = &translation->fetch.item;
    if (err != NULL && err->id != ERR_NOT_FOUND) {
        put_back(translation, err);
        return;
    }
    FAILPOINT("translate.committed");
    bool partial = translation->partial && err == NULL;
    if (!partial)
        gateway_count(gateway, translation->pump->queue, -1);
    for (size_t i = 0; i < translation->output_count && err == NULL; i++) {
        struct output *output = &translation->outputs[i];
        log_info(LOG_GATEWAY, 4114, "letter %s is now %s in %s for %s", item->id.text, output->item.id.text,
                 queue_name(output->item.queue), output->address);
        output_arrived(gateway, output);
    }
    if (partial) {
        forget_outputs(translation);
        translation->delivered = true;
        if (gateway->draining)
            finished(translation); /* the others after the next start */
        else
            translate(translation);
        return;
    }
    for (size_t i = 0; i < translation->failure_count; i++)
        log_info(LOG_GATEWAY, err_log_number(translation->failures[i].id), "letter %s not delivered to %s: %s",
                 item->id.text, translation->failures[i].recipient, translation->failures[i].diagnostic);
    if (translation->quarantine)
        log_error(LOG_GATEWAY, 4117, "letter %s in %s goes into quarantine: %s", item->id.text,
                  queue_name(translation->pump->queue), translation->reason);
    finished(translation);
}

static int chunks_work(struct db *db, void *arg, struct err *err)
{
    struct translation *translation = arg;
    const struct output *output = &translation->outputs[translation->output_at];
    if (translation->chunk_at == 0 && item_write_begin(db, output->item.key, output->item.id, err) == -1)
        return -1;
    for (unsigned i = 0; i < CHUNKS_A_JOB; i++) {
        unsigned chunk = translation->chunk_at + i;
        struct span piece = span_slice(buf_span(&output->content), (size_t)chunk * ITEM_CHUNK_SIZE, ITEM_CHUNK_SIZE);
        if (piece.size > 0 && item_chunk_write(db, output->item.key, chunk, piece, err) == -1)
            return -1;
    }
    return 0;
}

static void write_next(struct translation *translation);

static void chunks_done(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    if (err != NULL) {
        put_back(translation, err);
        return;
    }
    translation->chunk_at += CHUNKS_A_JOB;
    if ((uint64_t)translation->chunk_at * ITEM_CHUNK_SIZE >=
        translation->outputs[translation->output_at].content.size) {
        translation->output_at++;
        translation->chunk_at = 0;
    }
    write_next(translation);
}

/* Large contents first, piece by piece; then the commit. */
static void write_next(struct translation *translation)
{
    while (translation->output_at < translation->output_count &&
           !is_large(&translation->outputs[translation->output_at]))
        translation->output_at++;
    bool chunks = translation->output_at < translation->output_count;
    if (!chunks)
        FAILPOINT("translate.before-commit");
    translation->job = (struct store_job){ .work = chunks ? chunks_work : commit_work,
                                           .done = chunks ? chunks_done : commit_done,
                                           .arg = translation,
                                           .lazy = !chunks };
    store_write(translation->gateway->store, &translation->job);
}

/* --- what comes out --- */

static struct output *add_output(struct translation *translation, struct err *err)
{
    if (translation->output_count == translation->output_room) {
        size_t room = translation->output_room * 2 + 4;
        struct output *outputs = mem_realloc(translation->outputs, room * sizeof outputs[0]);
        if (outputs == NULL) {
            (void)err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
            return NULL;
        }
        translation->outputs = outputs;
        size_t *served = mem_realloc(translation->served, room * sizeof served[0]);
        if (served == NULL) {
            (void)err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
            return NULL;
        }
        translation->served = served;
        translation->output_room = room;
    }
    translation->served[translation->output_count] = translation->next;
    struct output *output = &translation->outputs[translation->output_count++];
    *output = (struct output){ .entry_us = 0 };
    return output;
}

static int add_failure(struct translation *translation, struct span recipient, const struct err *why, struct err *err)
{
    if (translation->failure_room == 0) {
        const struct item *item = &translation->fetch.item;
        size_t room = item->queue == QUEUE_HOST_IN ? PLAIN_DESTINATIONS_MAX : item->recipient_count;
        translation->failures = mem_zero(room * sizeof translation->failures[0]);
        translation->failure_texts = mem_zero(room * sizeof translation->failure_texts[0]);
        translation->failure_addresses = mem_zero(room * sizeof translation->failure_addresses[0]);
        if (translation->failures == NULL || translation->failure_texts == NULL ||
            translation->failure_addresses == NULL)
            return err_set(err, ERR_NO_MEMORY, "out of memory for a report");
        translation->failure_room = room;
    }
    size_t at = translation->failure_count++;
    (void)snprintf(translation->failure_texts[at], ERR_TEXT_SIZE, "%s", why->text);
    span_to_text(recipient, translation->failure_addresses[at], ITEM_ADDRESS_MAX);
    translation->failures[at] = (struct report_failure){ .recipient = translation->failure_addresses[at],
                                                         .id = why->id,
                                                         .status = err_smtp_enhanced(why->id),
                                                         .diagnostic = translation->failure_texts[at] };
    return 0;
}

/* host_in -> mail_out, for one of the file's destinations: a person on our side. */
static int to_mail_one(struct translation *translation, struct host_address from, struct host_address to,
                       const struct nje_job *job, bool len_counts_cc, struct err *err)
{
    struct gateway *gateway = translation->gateway;
    const struct item *item = &translation->fetch.item;
    struct err why = ERR_CLEAR;
    if (!name8_equal(to.node, gateway->border.node)) {
        (void)err_set(&why, ERR_UNKNOWN_NODE, "%s is not a node of this connector", to.node.text);
        return add_failure(translation, span_text(host_address_text(to).text), &why, err);
    }
    struct buf sender = { 0 };
    struct buf recipient = { 0 };
    border_to_mail(&gateway->border, from, &sender);
    border_to_mail(&gateway->border, to, &recipient);
    buf_add_u8(&sender, 0);
    buf_add_u8(&recipient, 0);
    struct output *output = sender.failed || recipient.failed ? NULL : add_output(translation, err);
    int result = output != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
    if (result == 0) {
        output_init(output, QUEUE_MAIL_OUT, item->letter, (const char *)sender.at, (const char *)recipient.at);
        output->item.flags = ITEM_8BIT;
        struct plain_mail mail = { .letter = translation->output_count == 1 ? item->letter : output->item.id,
                                   .message_domain = gateway->border.domain,
                                   .from = output->sender,
                                   .to = output->address,
                                   .destination = to,
                                   .date_us = job->entry_us != 0 ? job->entry_us : item->arrived_us };
        result = plain_to_mail(buf_span(&translation->content), len_counts_cc, &mail, &output->content, err);
    }
    buf_free(&sender);
    buf_free(&recipient);
    return result;
}

/* host_in -> mail_out: a letter of its own for every user the file is for. */
static int to_mail(struct translation *translation, struct err *err)
{
    struct gateway *gateway = translation->gateway;
    const struct item *item = &translation->fetch.item;
    struct host_address from;
    struct span content = buf_span(&translation->content);
    struct nje_job job = { .job_id = 0 };
    struct nje_dataset dataset = { .number = 0 };
    const struct conf_link *link =
        host_address_parse(item->sender, &from, err) == 0 ? border_link(&gateway->border, from.node) : NULL;
    bool len_counts_cc = link == NULL || nje_presets[link->kind].len_counts_cc;
    if (plain_headers(content, len_counts_cc, &job, &dataset, err) == -1)
        return -1;
    if (name8_empty(from.node) || name8_empty(from.user))
        return err_set(err, ERR_BAD_CONTENT, "the file does not say who sent it");
    struct host_address *destinations = mem_zero(PLAIN_DESTINATIONS_MAX * sizeof destinations[0]);
    size_t count = 0;
    if (destinations == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
    int result = plain_destinations(content, len_counts_cc, destinations, &count, err);
    if (result == 0 && count > 1 && content.size > CONTENT_MAX / count)
        result = err_set(err, ERR_BAD_CONTENT, "the file is too large for its %zu destinations", count);
    for (size_t i = 0; i < count && result == 0; i++)
        result = to_mail_one(translation, from, destinations[i], &job, len_counts_cc, err);
    mem_free(destinations);
    return result;
}

/* mail_in -> host_out: a file of its own for every recipient. */
static int to_host_one(struct translation *translation, struct span recipient, struct err *err)
{
    struct gateway *gateway = translation->gateway;
    const struct item *item = &translation->fetch.item;
    struct host_address to, from = { .node = gateway->border.node };
    struct err why = ERR_CLEAR;
    if (border_from_mail(&gateway->border, recipient, &to, &why) == -1)
        return add_failure(translation, recipient, &why, err);
    (void)name8_parse(SPAN_LITERAL("POSTMAST"), "user", &from.user, NULL);
    const struct conf_link *link = border_link(&gateway->border, to.node);
    unsigned job_id = gateway_job_id(gateway);
    if (job_id == 0)
        return err_set(err, ERR_BUSY, "no NJE job id at hand");
    struct output *output = add_output(translation, err);
    if (output == NULL)
        return -1;
    char sender[ITEM_ADDRESS_MAX];
    span_to_text(item->sender, sender, sizeof sender);
    output_init(output, QUEUE_HOST_OUT, item->letter, sender, host_address_text(to).text);
    (void)snprintf(output->item.door, sizeof output->item.door, "%s", link->node.text);
    output->origin = from;
    output->job_id = job_id;
    output->entry_us = gateway_entry_time(gateway);
    struct plain_note note = { .job = { .job_id = job_id,
                                        .origin_node = from.node,
                                        .origin_user = from.user,
                                        .entry_time = nje_stck(output->entry_us),
                                        .flags = NJE_JOB_ID_SET },
                               .node = to.node,
                               .user = to.user,
                               .sender = sender,
                               .date_us = item->arrived_us,
                               .len_counts_cc = nje_presets[link->kind].len_counts_cc };
    return plain_to_note(buf_span(&translation->content), &note, &output->content, err);
}

/* As many files as one commit may hold. */
static int to_host(struct translation *translation, struct err *err)
{
    const struct item *item = &translation->fetch.item;
    size_t size = 0;
    for (; translation->next < item->recipient_count; translation->next++) {
        const struct item_recipient *recipient = &item->recipients[translation->next];
        size_t count = translation->output_count;
        if (recipient->state != RECIPIENT_PENDING) { /* served when the letter was in hand before */
            translation->delivered = true;
            continue;
        }
        translation->partial = count == OUTPUTS_MAX || size >= OUTPUTS_SIZE_MAX;
        if (translation->partial)
            return 0;
        if (to_host_one(translation, recipient->address, err) == -1) {
            translation->partial = err->id == ERR_BUSY && count > 0; /* no further job ids: these first */
            return translation->partial ? 0 : -1;
        }
        if (translation->output_count > count)
            size += translation->outputs[count].content.size;
    }
    translation->partial = false;
    return 0;
}

static void quarantine(struct translation *translation, const char *reason)
{
    forget_outputs(translation);
    translation->partial = false;
    translation->quarantine = true;
    (void)snprintf(translation->reason, sizeof translation->reason, "%s", reason);
}

static int add_report(struct translation *translation, struct err *err)
{
    struct output report;
    struct span original =
        translation->fetch.item.queue == QUEUE_MAIL_IN ? buf_span(&translation->content) : SPAN_EMPTY;
    int made = report_make(translation->gateway, &translation->fetch.item, translation->failures,
                           translation->failure_count, original, &report, err);
    if (made == -1)
        return -1;
    if (made == 1) { /* nobody can be told */
        if (!translation->delivered && translation->output_count == 0)
            quarantine(translation, translation->failures[0].diagnostic);
        return 0;
    }
    struct output *output = add_output(translation, err);
    if (output == NULL) {
        output_free(&report);
        return -1;
    }
    *output = report;
    return 0;
}

static void translate(struct translation *translation)
{
    struct err err = ERR_CLEAR;
    int result =
        translation->fetch.item.queue == QUEUE_HOST_IN ? to_mail(translation, &err) : to_host(translation, &err);
    if (result == 0 && translation->failure_count > 0 && !translation->partial)
        result = add_report(translation, &err);
    if (result == -1 && err_family(err.id) == ERR_FAMILY_TEMPORARY) {
        put_back(translation, &err);
        return;
    }
    if (result == -1)
        quarantine(translation, err.text);
    write_next(translation);
}

/* --- loading --- */

static void piece_read(void *arg, struct span piece, const struct err *err)
{
    struct translation *translation = arg;
    buf_add_span(&translation->content, piece);
    if (err != NULL || translation->content.failed) {
        put_back(translation,
                 err != NULL ? err : &(struct err){ .id = ERR_NO_MEMORY, .text = "out of memory for a letter" });
        return;
    }
    if (piece.size == 0) {
        translate(translation);
        return;
    }
    fetch_read(&translation->fetch, translation->content.size, piece_read);
}

static void loaded(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    struct fetch *fetch = &translation->fetch;
    if (err != NULL) {
        put_back(translation, err);
    } else if (!fetch->found || fetch->item.state != ITEM_READY || fetch->item.due_us > clock_now()) {
        finished(translation);
    } else if (fetch->item.size > CONTENT_MAX) {
        quarantine(translation, "the letter is larger than this connector translates");
        write_next(translation);
    } else {
        (void)buf_reserve(&translation->content, (size_t)fetch->item.size + 1);
        fetch_read(fetch, 0, piece_read);
    }
}

static bool may_start(struct gateway *gateway, const struct pump *pump)
{
    if (gateway->translating >= TRANSLATIONS_MAX || gateway->draining || !store_writable(gateway->store) ||
        (pump->queue == QUEUE_MAIL_IN && gateway->job_id_count == 0))
        return false;
    struct err err;
    return gateway_accepts(gateway, pump->queue == QUEUE_HOST_IN ? QUEUE_MAIL_OUT : QUEUE_HOST_OUT, &err) == 0;
}

static void start_more(struct gateway *gateway, struct pump *pump)
{
    while (may_start(gateway, pump)) {
        int64_t key = pump_take(pump);
        struct translation *translation = key != 0 ? mem_zero(sizeof *translation) : NULL;
        if (translation == NULL) {
            if (key != 0)
                pump_release(pump, key);
            return;
        }
        translation->gateway = gateway;
        translation->pump = pump;
        gateway->translating++;
        fetch_init(&translation->fetch, gateway->store, &gateway->hot, key, translation);
        fetch_load(&translation->fetch, loaded);
    }
}

void translate_host_in(void *gateway)
{
    start_more(gateway, &((struct gateway *)gateway)->host_in);
}

void translate_mail_in(void *gateway)
{
    start_more(gateway, &((struct gateway *)gateway)->mail_in);
}
