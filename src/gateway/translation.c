/* What both translations share: loading the letter, and committing what became of it.
 *
 * One letter goes in, one or more items come out, in one commit that also removes the letter: so it is always in
 * exactly one queue. A letter for many host users, each of whom gets files of his own, takes several commits: each
 * marks the recipients whose files it holds, the last one removes the letter. Contents larger than a chunk are written
 * before, invisible, piece by piece. What cannot be delivered is reported to the sender in the same commit; what cannot
 * be understood, reported to nobody or written down goes into quarantine. A temporary failure leaves the letter where
 * it is.
 *
 * A letter and what becomes of it are in memory as a whole. Small ones are bounded by their number; large ones share a
 * budget and take turns, those behind waiting with their facts alone.
 */
#include "gateway/translation.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "letter/facts.h"
#include "letter/options.h"
#include "translator/ops.h"

#include <stdio.h>

enum {
    TRANSLATIONS_MAX = 32,
    COMMIT_TOGETHER = TRANSLATIONS_MAX / 2, /* translations that are committed at once while others are made */
    CONTENT_MAX = 256 * 1024 * 1024,        /* of a letter in memory; larger ones go into quarantine */
    CHUNKS_A_JOB = 4,
    FAILURES_MAX = 1000,             /* recipients of one host file that cannot be served */
    LARGE_SIZE = 1024 * 1024,        /* letters up to this size need no turn */
    LARGE_TOTAL = 512 * 1024 * 1024, /* of large letters in hand and what becomes of them; a larger one goes alone */
    LARGE_FACTOR = 3                 /* the letter, and about twice as much that is made of it */
};

/* While more letters wait to be translated than are in hand, a commit may wait for theirs. */
#define CROWD_PATIENCE_US (50 * CLOCK_MILLISECOND)

FAILPOINT_DECLARE("translate.before-commit");
FAILPOINT_DECLARE("translate.committed");

static void translation_free(struct translation *translation)
{
    if (translation->release != NULL)
        translation->release(translation);
    for (size_t i = 0; i < translation->output_count; i++)
        output_free(&translation->outputs[i]);
    mem_free(translation->outputs);
    mem_free(translation->failures);
    mem_free(translation->failure_texts);
    mem_free(translation->failure_addresses);
    buf_free(&translation->content);
    fetch_free(&translation->fetch);
    mem_free(translation);
}

static void start_more(struct gateway *gateway, struct pump *pump);
static void start_large(struct gateway *gateway);

static void finished(struct translation *translation)
{
    struct gateway *gateway = translation->gateway;
    struct pump *pump = translation->pump;
    gateway->translating--;
    gateway->large_bytes -= translation->large;
    pump_release(pump, translation->fetch.key);
    translation_free(translation);
    start_large(gateway);
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
            if (item_recipient_set(db, item->key, translation->outputs[i].served, RECIPIENT_DONE, NULL, err) == -1)
                return -1;
        return translation->also != NULL ? translation->also(db, translation, err) : 0;
    }
    for (size_t i = 0; i < translation->failure_count; i++) {
        track.step = TRACK_RETURNED;
        track.address = span_text(translation->failures[i].recipient);
        track.detail = span_text(translation->failures[i].diagnostic);
        if (track_add(db, &track, err) == -1)
            return -1;
    }
    if (!translation->quarantine && translation->also != NULL && translation->also(db, translation, err) == -1)
        return -1;
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
    pump_retry(pump);
}

/* The letter stays where it is and is tried again: at once when the ledger can be written again, else soon. */
static void put_back(struct translation *translation, const struct err *err)
{
    if (err_family(err->id) == ERR_FAMILY_TEMPORARY)
        log_trace(LOG_GATEWAY, err_log_number(err->id), "letter %s waits in %s: %s", translation->fetch.item.id.text,
                  queue_name(translation->pump->queue), err->text);
    else
        log_err(LOG_GATEWAY, err, "letter %s waits in %s", translation->fetch.item.id.text,
                queue_name(translation->pump->queue));
    translation->job = (struct store_job){ .work = forget_work, .done = forget_done, .arg = translation };
    store_write(translation->gateway->store, &translation->job);
}

static void write_next(struct translation *translation);
static void go_to_quarantine(struct translation *translation, const char *reason);

static void quarantine_done(void *arg, const struct err *err)
{
    (void)err; /* chunks that could not be marked are marked at the next start */
    struct translation *translation = arg;
    char reason[ERR_TEXT_SIZE];
    (void)snprintf(reason, sizeof reason, "%s", translation->reason);
    go_to_quarantine(translation, reason);
    write_next(translation);
}

/* A read or write of the ledger failed. What would fail the same way for ever, in this letter only, goes into
 * quarantine; where not even that can be written down, the letter stays. */
static void ledger_failed(struct translation *translation, const struct err *err)
{
    if (err_family(err->id) == ERR_FAMILY_TEMPORARY || translation->quarantine) {
        put_back(translation, err);
        return;
    }
    (void)snprintf(translation->reason, sizeof translation->reason, "%s", err->text);
    translation->job = (struct store_job){ .work = forget_work, .done = quarantine_done, .arg = translation };
    store_write(translation->gateway->store, &translation->job);
}

static void commit_done(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    struct gateway *gateway = translation->gateway;
    const struct item *item = &translation->fetch.item;
    gateway->committing--;
    if (err != NULL && err->id != ERR_NOT_FOUND) {
        ledger_failed(translation, err);
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
        /* also here: a translator that dies from now on makes us begin anew with the others only */
        for (size_t i = 0; i < translation->output_count; i++)
            translation->fetch.item.recipients[translation->outputs[i].served].state = RECIPIENT_DONE;
        translation_drop(translation, 0);
        translation->partial = false;
        translation->delivered = true;
        if (gateway->draining)
            finished(translation); /* the others after the next start */
        else
            translation->resume(translation);
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

static void chunks_done(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    if (err != NULL) {
        ledger_failed(translation, err);
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

static int64_t patience(struct translation *translation)
{
    const struct gateway *gateway = translation->gateway;
    if (gateway->committing >= COMMIT_TOGETHER)
        return 0;
    return gateway->depth[translation->pump->queue] > gateway->translating ? CROWD_PATIENCE_US : STORE_PATIENCE_US;
}

/* Large contents first, piece by piece; then the commit. */
static void write_next(struct translation *translation)
{
    while (translation->output_at < translation->output_count &&
           !is_large(&translation->outputs[translation->output_at]))
        translation->output_at++;
    bool chunks = translation->output_at < translation->output_count;
    if (!chunks) {
        FAILPOINT("translate.before-commit");
        translation->gateway->committing++;
    }
    translation->job = (struct store_job){ .work = chunks ? chunks_work : commit_work,
                                           .done = chunks ? chunks_done : commit_done,
                                           .arg = translation,
                                           .patience_us = chunks ? 0 : patience(translation) };
    store_write(translation->gateway->store, &translation->job);
}

/* --- what comes out --- */

struct output *translation_output(struct translation *translation, struct err *err)
{
    if (translation->output_count == translation->output_room) {
        size_t room = translation->output_room * 2 + 4;
        struct output *outputs = mem_realloc(translation->outputs, room * sizeof outputs[0]);
        if (outputs == NULL) {
            (void)err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
            return NULL;
        }
        translation->outputs = outputs;
        translation->output_room = room;
    }
    struct output *output = &translation->outputs[translation->output_count++];
    *output = (struct output){ .entry_us = 0 };
    return output;
}

int translation_failure(struct translation *translation, struct span recipient, const struct err *why, struct err *err)
{
    if (translation->failure_room == 0) {
        const struct item *item = &translation->fetch.item;
        size_t room = item->queue == QUEUE_HOST_IN ? FAILURES_MAX : item->recipient_count;
        translation->failures = mem_zero(room * sizeof translation->failures[0]);
        translation->failure_texts = mem_zero(room * sizeof translation->failure_texts[0]);
        translation->failure_addresses = mem_zero(room * sizeof translation->failure_addresses[0]);
        if (translation->failures == NULL || translation->failure_texts == NULL ||
            translation->failure_addresses == NULL)
            return err_set(err, ERR_NO_MEMORY, "out of memory for a report");
        translation->failure_room = room;
    }
    if (translation->failure_count == translation->failure_room)
        return err_set(err, ERR_TOO_MANY, "more than %zu recipients cannot be served", translation->failure_room);
    size_t at = translation->failure_count++;
    (void)snprintf(translation->failure_texts[at], ERR_TEXT_SIZE, "%s", why->text);
    span_to_text(recipient, translation->failure_addresses[at], ITEM_ADDRESS_MAX);
    translation->failures[at] = (struct report_failure){ .recipient = translation->failure_addresses[at],
                                                         .id = why->id,
                                                         .status = err_smtp_enhanced(why->id),
                                                         .diagnostic = translation->failure_texts[at] };
    return 0;
}

void translation_drop(struct translation *translation, size_t count)
{
    for (size_t i = count; i < translation->output_count; i++)
        output_free(&translation->outputs[i]);
    translation->output_count = count;
    translation->output_at = 0;
    translation->chunk_at = 0;
}

static void translation_reset(struct translation *translation)
{
    translation_drop(translation, 0);
    translation->failure_count = 0;
}

static void go_to_quarantine(struct translation *translation, const char *reason)
{
    translation_reset(translation);
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
        if (translation->output_count == 0 && !translation->delivered)
            go_to_quarantine(translation, translation->failures[0].diagnostic);
        return 0;
    }
    struct output *output = translation_output(translation, err);
    if (output == NULL) {
        output_free(&report);
        return -1;
    }
    *output = report;
    return 0;
}

void translation_finish(struct translation *translation, int result, struct err *err)
{
    if (result == 0 && translation->failure_count > 0 && !translation->partial)
        result = add_report(translation, err);
    if (result == -1 && translator_blames_child(err->id) && !translation->tried_again) {
        log_warning(LOG_GATEWAY, err_log_number(err->id), "letter %s: %s; tried once more",
                    translation->fetch.item.id.text, err->text);
        translation->tried_again = true;
        translation_reset(translation);
        translation->begin(translation);
        return;
    }
    if (result == -1 && err_family(err->id) == ERR_FAMILY_TEMPORARY) {
        put_back(translation, err);
        return;
    }
    if (result == -1)
        go_to_quarantine(translation, err->text);
    write_next(translation);
}

void translation_fail(struct translation *translation, const struct err *err)
{
    struct err copy = *err;
    translation_finish(translation, -1, &copy);
}

int translation_facts(struct span output, struct buf *bytes, struct facts *facts_r, struct err *err)
{
    buf_clear(bytes);
    buf_add_span(bytes, output);
    if (bytes->failed)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
    return facts_parse(buf_span(bytes), facts_r, err);
}

void translation_options(const struct options *options, const struct buf *resolution, struct buf *to)
{
    struct buf packed = { .at = NULL };
    options_pack(&packed, options);
    ops_options(buf_span(&packed), resolution != NULL ? buf_span(resolution) : SPAN_EMPTY, to);
    to->failed = to->failed || packed.failed || (resolution != NULL && resolution->failed);
    buf_free(&packed);
}

/* --- loading --- */

static void piece_read(void *arg, struct span piece, const struct err *err)
{
    struct translation *translation = arg;
    buf_add_span(&translation->content, piece);
    if (err != NULL || translation->content.failed) {
        ledger_failed(translation,
                      err != NULL ? err : &(struct err){ .id = ERR_NO_MEMORY, .text = "out of memory for a letter" });
        return;
    }
    if (piece.size == 0) {
        translation->begin(translation);
        return;
    }
    fetch_read(&translation->fetch, translation->content.size, piece_read);
}

static void read_all(struct translation *translation)
{
    (void)buf_reserve(&translation->content, (size_t)translation->fetch.item.size + 1);
    fetch_read(&translation->fetch, 0, piece_read);
}

static bool fits(const struct gateway *gateway, const struct translation *translation)
{
    return gateway->large_bytes == 0 || gateway->large_bytes + translation->large <= LARGE_TOTAL;
}

/* Those that have waited longest first, as many as there is memory for. */
static void start_large(struct gateway *gateway)
{
    while (gateway->large_first != NULL && (gateway->draining || fits(gateway, gateway->large_first))) {
        struct translation *translation = gateway->large_first;
        gateway->large_first = translation->next_large;
        gateway->large_bytes += translation->large;
        gateway->translating++;
        if (gateway->draining)
            finished(translation); /* after the next start */
        else
            read_all(translation);
    }
}

/* A large letter that there is no memory for holds up no other: it does not count as one that is in hand. */
static void wait_for_turn(struct translation *translation)
{
    struct translation **last = &translation->gateway->large_first;
    while (*last != NULL)
        last = &(*last)->next_large;
    *last = translation;
    translation->next_large = NULL;
    buf_free(&translation->fetch.piece);
    translation->gateway->translating--;
    start_more(translation->gateway, translation->pump);
}

static void take_turn(struct translation *translation)
{
    struct gateway *gateway = translation->gateway;
    if (translation->fetch.item.size > LARGE_SIZE) {
        translation->large = translation->fetch.item.size * LARGE_FACTOR;
        if (gateway->large_first != NULL || !fits(gateway, translation)) {
            wait_for_turn(translation);
            return;
        }
        gateway->large_bytes += translation->large;
    }
    read_all(translation);
}

static void loaded(void *arg, const struct err *err)
{
    struct translation *translation = arg;
    struct gateway *gateway = translation->gateway;
    struct fetch *fetch = &translation->fetch;
    if (err != NULL && fetch->found) {
        ledger_failed(translation, err);
    } else if (err != NULL) {
        put_back(translation, err);
    } else if (!fetch->found || fetch->item.state != ITEM_READY || fetch->item.due_us > clock_now()) {
        finished(translation);
        clockback_look(gateway);
    } else if (fetch->item.size > CONTENT_MAX) {
        go_to_quarantine(translation, "the letter is larger than this connector translates");
        write_next(translation);
    } else {
        take_turn(translation);
    }
}

/* Only files for hosts have NJE job ids: without one the other direction goes on. */
static bool may_start(struct gateway *gateway, const struct pump *pump)
{
    bool to_host = pump->queue == QUEUE_MAIL_IN;
    if (gateway->translating >= TRANSLATIONS_MAX || gateway->draining || !store_writable(gateway->store) ||
        (to_host && gateway->job_id_count == 0))
        return false;
    struct err err;
    return gateway_accepts(gateway, to_host ? QUEUE_HOST_OUT : QUEUE_MAIL_OUT, &err) == 0;
}

static void start_more(struct gateway *gateway, struct pump *pump)
{
    while (may_start(gateway, pump)) {
        int64_t key = pump_take(pump, UINT64_MAX);
        struct translation *translation = key != 0 ? mem_zero(sizeof *translation) : NULL;
        if (translation == NULL) {
            if (key != 0)
                pump_postpone(pump, key);
            return;
        }
        translation->gateway = gateway;
        translation->pump = pump;
        translation->begin = pump->queue == QUEUE_HOST_IN ? to_mail_begin : to_host_begin;
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
