/* The verbs that change letters. What each does, and when it is refused, is the gateway's (gateway.h); here is what
 * comes in over the control socket. */
#include "admin/verbs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "relocate/itemfile.h"
#include "store/audit.h"
#include "store/itemwriter.h"
#include "store/track.h"

#include <openssl/evp.h>
#include <stdio.h>

/* --- requeue, return, delete, hold, release --- */

struct order_call {
    struct gateway_change change;
    struct verb_call *call;
};

static void order_done(void *arg, const char *said, const struct err *err)
{
    struct order_call *order = arg;
    struct verb_call *call = order->call;
    (void)json_object_set_new(call->reply, "said", json_string(said));
    (void)json_object_set_new(call->reply, "id", json_string(order->change.id.text));
    mem_free(order);
    verb_answer(call, err);
}

void verb_queue_change(struct verb_call *call)
{
    static const char *const names[ORDERS] = {
        [ORDER_REQUEUE] = "queue requeue", [ORDER_RETURN] = "queue return",   [ORDER_DELETE] = "queue delete",
        [ORDER_HOLD] = "queue hold",       [ORDER_RELEASE] = "queue release",
    };
    const char *verb = json_string_value(json_object_get(call->request, "verb"));
    const char *id = json_string_value(json_object_get(call->request, "id"));
    struct err err = ERR_CLEAR;
    struct order_call *order = mem_zero(sizeof *order);
    int result = order != NULL ? 0 : err_set(&err, ERR_NO_MEMORY, "out of memory");
    if (result == 0 && (id == NULL || !ulid_parse(id, &order->change.id)))
        result = err_set(&err, ERR_BAD_CONTENT, "that is no id; an id has 26 letters and digits");
    if (result == 0) {
        order->call = call;
        order->change.who = call->who;
        order->change.done = order_done;
        order->change.arg = order;
        while (strcmp(names[order->change.order], verb) != 0) /* the table of verbs has just these */
            order->change.order++;
        if (gateway_change(call->options->gateway, &order->change))
            return;
        result = err_set(&err, ERR_NO_MEMORY, "out of memory");
    }
    mem_free(order);
    verb_answer(call, &err);
}

/* --- import --- */

struct import_call {
    struct verb_call *call;
    struct item item;
    uint8_t sha256[ITEMFILE_SHA256];
    EVP_MD_CTX *digest;
    struct itemwriter *writer;
    char reason[ERR_TEXT_SIZE];
};

static void import_free(struct import_call *import)
{
    item_free(&import->item);
    EVP_MD_CTX_free(import->digest);
    mem_free(import);
}

/* Frees, and answers. */
static void import_end(struct import_call *import, const struct err *err)
{
    struct verb_call *call = import->call;
    if (err == NULL) {
        char said[ERR_TEXT_SIZE];
        (void)snprintf(said, sizeof said, "letter %s is in %s, held: \"ovvm queue release %s\" lets it go on",
                       import->item.id.text, queue_name(import->item.queue), import->item.id.text);
        (void)json_object_set_new(call->reply, "said", json_string(said));
        (void)json_object_set_new(call->reply, "id", json_string(import->item.id.text));
        log_info(LOG_ADMIN, 4120, "letter %s imported into %s by %s", import->item.id.text,
                 queue_name(import->item.queue), call->who);
        gateway_imported(call->options->gateway, import->item.queue);
    }
    import_free(import);
    verb_answer(call, err);
}

/* In the commit, before the item itself. */
static int import_also(struct db *db, void *arg, struct err *err)
{
    const struct import_call *import = arg;
    const struct item *item = &import->item;
    int64_t key = 0;
    int found = db_one_int(db, &key, err, "SELECT key FROM item WHERE id = ?1 AND (queue <> 0 OR state <> 3)", "t",
                           item->id.text);
    if (found == 1)
        return err_set(err, ERR_REFUSED, "letter %s is in the queues: \"ovvm queue show %s\"", item->id.text,
                       item->id.text);
    struct track track = { .letter = item->letter,
                           .item = item->id,
                           .at_us = item->due_us,
                           .step = TRACK_OPERATOR,
                           .address = item->sender,
                           .detail = span_text(item->reason) };
    return found == 0 && track_add(db, &track, err) == 0
               ? audit_add(db, item->due_us, import->call->who, "queue import", span_text(item->id.text), err)
               : -1;
}

static void import_committed(void *arg, bool dropped, struct buf *content, const struct err *err)
{
    (void)dropped;
    (void)content; /* it is held: nobody takes it soon */
    import_end(arg, err);
}

static void import_room(void *arg)
{
    struct import_call *import = arg;
    verb_content_room(import->call);
}

static void commit(struct import_call *import)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct itemwriter *writer = import->writer;
    struct err err = ERR_CLEAR;
    import->writer = NULL;
    if (EVP_DigestFinal_ex(import->digest, digest, NULL) != 1)
        (void)err_set(&err, ERR_NO_MEMORY, "SHA-256 failed");
    else if (memcmp(digest, import->sha256, ITEMFILE_SHA256) != 0)
        (void)err_set(&err, ERR_BAD_CONTENT, "the content is not the one that was exported (its SHA-256 differs)");
    if (err.id != ERR_NONE) {
        itemwriter_abandon(writer);
        import_end(import, &err);
        return;
    }
    itemwriter_commit(writer,
                      &(struct itemwriter_commit){
                          .item = &import->item, .also = import_also, .done = import_committed, .arg = import });
}

static bool import_content(struct verb_call *call, struct span piece, bool last)
{
    struct import_call *import = call->own;
    bool room = itemwriter_put(import->writer, piece);
    if (EVP_DigestUpdate(import->digest, piece.at, piece.size) != 1)
        import->sha256[0] ^= 0xFF; /* the comparison at the end fails */
    if (last)
        commit(import);
    return room || last;
}

static void import_gone(struct verb_call *call)
{
    struct import_call *import = call->own;
    itemwriter_abandon(import->writer);
    import_free(import);
}

/* The letter comes in held, tried never, with the recipients that were not served yet. */
static int prepare(struct import_call *import, const struct verb_call *call, struct err *err)
{
    struct item *item = &import->item;
    const json_t *facts = json_object_get(call->request, "facts");
    if (itemfile_facts(facts, item, import->sha256, err) == -1 ||
        gateway_import_allowed(call->options->gateway, item->queue, item->door, err) == -1)
        return -1;
    size_t kept = 0;
    for (size_t i = 0; i < item->recipient_count; i++)
        if (item->recipients[i].state == RECIPIENT_PENDING)
            item->recipients[kept++] = item->recipients[i];
    item->recipient_count = kept;
    item->state = ITEM_HELD;
    item->due_us = clock_now();
    (void)snprintf(item->reason, sizeof item->reason, "imported by %s", call->who);
    import->digest = EVP_MD_CTX_new();
    if (import->digest == NULL || EVP_DigestInit_ex(import->digest, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_NO_MEMORY, "SHA-256 cannot be started");
    import->writer = itemwriter_new(call->options->store, item->id, import_room, import);
    return import->writer != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
}

void verb_queue_import(struct verb_call *call)
{
    struct err err = ERR_CLEAR;
    struct import_call *import = mem_zero(sizeof *import);
    if (import == NULL) {
        (void)err_set(&err, ERR_NO_MEMORY, "out of memory for a letter");
        verb_answer(call, &err);
        return;
    }
    import->call = call;
    call->own = import;
    call->content = import_content;
    call->gone = import_gone;
    if (prepare(import, call, &err) == -1)
        import_end(import, &err);
    else if (import->item.size == 0)
        commit(import);
    else
        verb_want_content(call, import->item.size);
}
