/* Letters as files. A file may have been edited or be hostile: every fact is checked against what the queues allow, and
 * the content against its size and digest. */
#include "relocate/itemfile.h"

#include "base/mem.h"
#include "relocate/csv.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { READ_SIZE = ITEM_CHUNK_SIZE };

static const char *const recipient_states[] = { "pending", "done", "failed" };

/* --- out --- */

static json_t *escaped(struct span bytes)
{
    struct buf text = { 0 };
    csv_escape(bytes, &text);
    json_t *string = text.failed ? NULL : json_stringn(text.size > 0 ? (const char *)text.at : "", text.size);
    buf_free(&text);
    return string;
}

/* NULL: out of memory. */
static json_t *facts_of(const struct item *item, const char *sha256)
{
    json_t *recipients = json_array();
    for (size_t i = 0; i < item->recipient_count; i++) {
        const struct item_recipient *one = &item->recipients[i];
        (void)json_array_append_new(recipients,
                                    json_pack("{s:o, s:s, s:o}", "address", escaped(one->address), "state",
                                              recipient_states[one->state], "reason", escaped(span_text(one->reason))));
    }
    if (json_array_size(recipients) != item->recipient_count) {
        json_decref(recipients);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:o, s:o, s:o, s:I, s:s}", "id", item->id.text,
                     "letter", item->letter.text, "queue", queue_name(item->queue), "state",
                     item_state_name(item->state), "link", item->door, "peer", item->peer, "arrived_us",
                     (json_int_t)item->arrived_us, "due_us", (json_int_t)item->due_us, "attempts", item->attempts,
                     "flags", (int)item->flags, "sender", escaped(item->sender), "recipients", recipients, "reason",
                     escaped(span_text(item->reason)), "size", (json_int_t)item->size, "sha256", sha256);
}

/* Every piece of the content to `put`. */
static int each_piece(struct db *db, const struct item *item, itemfile_put put, void *arg, struct err *err)
{
    struct buf piece = { 0 };
    uint64_t offset = 0;
    int result = 0;
    while (result == 0 && offset < item->size) {
        buf_clear(&piece);
        result = item_content_read(db, item->key, offset, READ_SIZE, &piece, err);
        if (result == 0 && piece.size == 0)
            result = err_set(err, ERR_STORE_IO, "letter %s is shorter in the ledger than it should be", item->id.text);
        if (result == 0)
            result = put(arg, buf_span(&piece), err);
        offset += piece.size;
    }
    buf_free(&piece);
    return result;
}

static int put_digest(void *arg, struct span bytes, struct err *err)
{
    return EVP_DigestUpdate(arg, bytes.at, bytes.size) == 1 ? 0 : err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
}

static int digest_of(struct db *db, const struct item *item, char hex_r[2 * ITEMFILE_SHA256 + 1], struct err *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int result = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1
                     ? each_piece(db, item, put_digest, context, err)
                     : err_set(err, ERR_NO_MEMORY, "SHA-256 cannot be started");
    if (result == 0 && EVP_DigestFinal_ex(context, digest, NULL) != 1)
        result = err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
    for (size_t i = 0; result == 0 && i < ITEMFILE_SHA256; i++)
        (void)snprintf(hex_r + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(context);
    return result;
}

int itemfile_export(struct db *db, int64_t key, itemfile_put put, void *arg, struct err *err)
{
    struct item item;
    char hex[2 * ITEMFILE_SHA256 + 1];
    int found = item_load(db, key, &item, err);
    if (found != 1)
        return found;
    int result = digest_of(db, &item, hex, err);
    json_t *facts = result == 0 ? facts_of(&item, hex) : NULL;
    char *line = facts != NULL ? json_dumps(facts, 0) : NULL;
    struct buf head = { 0 };
    if (result == 0 && line == NULL)
        result = err_set(err, ERR_NO_MEMORY, "letter %s: out of memory", item.id.text);
    if (result == 0) {
        buf_add_text(&head, ITEMFILE_FIRST_LINE "\n");
        buf_add_text(&head, line);
        buf_add_u8(&head, '\n');
        if (head.failed)
            result = err_set(err, ERR_NO_MEMORY, "letter %s: out of memory", item.id.text);
        else if (head.size > ITEMFILE_FACTS_MAX)
            result = err_set(err, ERR_TOO_BIG, "letter %s has more recipients than a file holds", item.id.text);
        else
            result = put(arg, buf_span(&head), err);
    }
    if (result == 0)
        result = each_piece(db, &item, put, arg, err);
    buf_free(&head);
    free(line);
    json_decref(facts);
    item_free(&item);
    return result == 0 ? 1 : -1;
}

/* --- in: facts --- */

static int wrong(struct err *err, const char *fact)
{
    return err_set(err, ERR_BAD_CONTENT, "the fact \"%s\" is missing or is not what it should be", fact);
}

static int get_int(const json_t *facts, const char *name, int64_t least, int64_t most, int64_t *number_r,
                   struct err *err)
{
    const json_t *value = json_object_get(facts, name);
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return wrong(err, name);
    *number_r = json_integer_value(value);
    return 0;
}

/* The unescaped text, appended to `to`; at most `most` bytes. */
static int get_bytes(const json_t *facts, const char *name, size_t most, struct buf *to, size_t *size_r,
                     struct err *err)
{
    const json_t *value = json_object_get(facts, name);
    size_t before = to->size;
    if (!json_is_string(value) ||
        csv_unescape(span_of(json_string_value(value), json_string_length(value)), to, err) == -1)
        return err != NULL && err->id == ERR_NO_MEMORY ? -1 : wrong(err, name);
    *size_r = to->size - before;
    return *size_r <= most ? 0 : wrong(err, name);
}

static int get_text(const json_t *facts, const char *name, char *to_r, size_t room, struct err *err)
{
    struct buf text = { 0 };
    size_t size = 0;
    int result = get_bytes(facts, name, room - 1, &text, &size, err);
    if (result == 0)
        span_to_text(buf_span(&text), to_r, room);
    buf_free(&text);
    return result;
}

static int get_id(const json_t *facts, const char *name, struct ulid *id_r, struct err *err)
{
    const char *text = json_string_value(json_object_get(facts, name));
    return text != NULL && ulid_parse(text, id_r) ? 0 : wrong(err, name);
}

static int get_recipients(const json_t *list, struct item *item, struct err *err)
{
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > ITEM_RECIPIENTS_MAX)
        return wrong(err, "recipients");
    item->recipients = mem_zero((count + 1) * sizeof item->recipients[0]);
    if (item->recipients == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a letter's recipients");
    item->recipient_count = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(list, i);
        const char *state = json_string_value(json_object_get(one, "state"));
        struct item_recipient *recipient = &item->recipients[i];
        size_t number = 0;
        while (number < sizeof recipient_states / sizeof recipient_states[0] &&
               (state == NULL || strcmp(state, recipient_states[number]) != 0))
            number++;
        if (number == sizeof recipient_states / sizeof recipient_states[0])
            return wrong(err, "recipients: state");
        recipient->state = (enum recipient_state)number;
        if (get_bytes(one, "address", ITEM_ADDRESS_MAX, &item->texts, &recipient->address.size, err) == -1 ||
            get_text(one, "reason", recipient->reason, sizeof recipient->reason, err) == -1)
            return -1;
    }
    return 0;
}

static int get_numbers(const json_t *facts, struct item *item, struct err *err)
{
    int64_t attempts = 0;
    int64_t flags = 0;
    int64_t size = 0;
    int64_t size_max = (int64_t)ITEM_CHUNK_SIZE * ITEM_CHUNKS_MAX;
    if (get_int(facts, "arrived_us", 0, INT64_MAX, &item->arrived_us, err) == -1 ||
        get_int(facts, "due_us", 0, INT64_MAX, &item->due_us, err) == -1 ||
        get_int(facts, "attempts", 0, INT32_MAX, &attempts, err) == -1 ||
        get_int(facts, "flags", 0, ITEM_8BIT | ITEM_REPORT | ITEM_REGISTRAR | ITEM_JOB, &flags, err) == -1 ||
        get_int(facts, "size", 0, size_max, &size, err) == -1)
        return -1;
    item->attempts = (int)attempts;
    item->flags = (unsigned)flags;
    item->size = (uint64_t)size;
    return 0;
}

static int get_place(const json_t *facts, struct item *item, struct err *err)
{
    const char *queue = json_string_value(json_object_get(facts, "queue"));
    const char *state = json_string_value(json_object_get(facts, "state"));
    item->queue = queue != NULL ? queue_find(queue) : QUEUE_GONE;
    if (item->queue == QUEUE_GONE)
        return wrong(err, "queue");
    int number = 0;
    while (number < ITEM_WRITING && (state == NULL || strcmp(state, item_state_name((enum item_state)number)) != 0))
        number++;
    if (number == ITEM_WRITING)
        return wrong(err, "state");
    item->state = (enum item_state)number;
    if (get_text(facts, "link", item->door, sizeof item->door, err) == -1 ||
        get_text(facts, "peer", item->peer, sizeof item->peer, err) == -1)
        return -1;
    return (item->queue == QUEUE_HOST_OUT) == (item->door[0] != '\0') ? 0 : wrong(err, "link");
}

static int get_sha256(const json_t *facts, uint8_t sha256_r[ITEMFILE_SHA256], struct err *err)
{
    struct buf digest = { 0 };
    const char *text = json_string_value(json_object_get(facts, "sha256"));
    int result = text != NULL ? csv_hex(span_text(text), &digest, err) : -1;
    if (result == 0 && digest.size == ITEMFILE_SHA256)
        memcpy(sha256_r, digest.at, ITEMFILE_SHA256);
    else
        result = wrong(err, "sha256");
    buf_free(&digest);
    return result;
}

int itemfile_facts(const json_t *facts, struct item *item_r, uint8_t sha256_r[ITEMFILE_SHA256], struct err *err)
{
    *item_r = (struct item){ .sender = SPAN_EMPTY };
    size_t sender_size = 0;
    int result = json_is_object(facts) ? 0 : err_set(err, ERR_BAD_CONTENT, "the facts are no JSON object");
    if (result == 0 &&
        (get_id(facts, "id", &item_r->id, err) == -1 || get_id(facts, "letter", &item_r->letter, err) == -1 ||
         get_place(facts, item_r, err) == -1 || get_numbers(facts, item_r, err) == -1 ||
         get_bytes(facts, "sender", ITEM_ADDRESS_MAX, &item_r->texts, &sender_size, err) == -1 ||
         get_text(facts, "reason", item_r->reason, sizeof item_r->reason, err) == -1 ||
         get_recipients(json_object_get(facts, "recipients"), item_r, err) == -1 ||
         get_sha256(facts, sha256_r, err) == -1))
        result = -1;
    if (result == 0 && item_r->texts.failed)
        result = err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
    if (result == -1) {
        item_free(item_r);
        return -1;
    }
    struct reader texts = reader_of(buf_span(&item_r->texts));
    item_r->sender = reader_take(&texts, sender_size);
    for (size_t i = 0; i < item_r->recipient_count; i++)
        item_r->recipients[i].address = reader_take(&texts, item_r->recipients[i].address.size);
    return 0;
}

/* --- in: whole files --- */

void itemfile_read_begin(struct itemfile_reader *reader, struct db *db, int64_t key, bool hold)
{
    *reader = (struct itemfile_reader){ .db = db, .key = key, .hold = hold };
    reader->line.limit = ITEMFILE_FACTS_MAX;
}

void itemfile_read_free(struct itemfile_reader *reader)
{
    buf_free(&reader->line);
    buf_free(&reader->chunk);
    item_free(&reader->item);
    EVP_MD_CTX_free(reader->digest);
    reader->digest = NULL;
}

static int take_line(struct itemfile_reader *reader, struct err *err)
{
    struct span line = buf_span(&reader->line);
    int result = 0;
    if (reader->part == 0) {
        if (!span_equal(line, SPAN_LITERAL(ITEMFILE_FIRST_LINE)))
            result = err_set(err, ERR_BAD_CONTENT,
                             "this is no letter that was exported, or a newer release wrote it: the first line must be "
                             "\"" ITEMFILE_FIRST_LINE "\"");
    } else {
        json_t *facts = json_loadb((const char *)line.at, line.size, JSON_REJECT_DUPLICATES, NULL);
        result = facts != NULL ? itemfile_facts(facts, &reader->item, reader->sha256, err)
                               : err_set(err, ERR_BAD_CONTENT, "line 2 is no JSON object");
        json_decref(facts);
        reader->digest = result == 0 ? EVP_MD_CTX_new() : NULL;
        if (result == 0 && (reader->digest == NULL || EVP_DigestInit_ex(reader->digest, EVP_sha256(), NULL) != 1))
            result = err_set(err, ERR_NO_MEMORY, "SHA-256 cannot be started");
        if (result == 0 && reader->item.size > ITEM_CHUNK_SIZE)
            result = item_write_begin(reader->db, reader->key, reader->item.id, err);
    }
    reader->part++;
    buf_clear(&reader->line);
    return result;
}

static int take_content(struct itemfile_reader *reader, struct span bytes, struct err *err)
{
    reader->size += bytes.size;
    if (reader->size > reader->item.size)
        return err_set(err, ERR_BAD_CONTENT, "the content is longer than %llu bytes",
                       (unsigned long long)reader->item.size);
    if (EVP_DigestUpdate(reader->digest, bytes.at, bytes.size) != 1)
        return err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
    while (bytes.size > 0) {
        struct span part = span_slice(bytes, 0, ITEM_CHUNK_SIZE - reader->chunk.size);
        buf_add_span(&reader->chunk, part);
        bytes = span_slice(bytes, part.size, bytes.size);
        if (reader->chunk.failed)
            return err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
        if (reader->chunk.size < ITEM_CHUNK_SIZE || reader->item.size <= ITEM_CHUNK_SIZE)
            continue;
        if (item_chunk_write(reader->db, reader->key, reader->chunks++, buf_span(&reader->chunk), err) == -1)
            return -1;
        buf_clear(&reader->chunk);
    }
    return 0;
}

int itemfile_read(struct itemfile_reader *reader, struct span bytes, struct err *err)
{
    while (bytes.size > 0 && reader->part < 2) {
        size_t size = span_find(bytes, '\n');
        buf_add_span(&reader->line, span_slice(bytes, 0, size));
        if (reader->line.failed)
            return err_set(err, ERR_BAD_CONTENT, "line %d is longer than %d bytes", reader->part + 1,
                           ITEMFILE_FACTS_MAX);
        if (size == bytes.size)
            return 0;
        if (take_line(reader, err) == -1)
            return -1;
        bytes = span_slice(bytes, size + 1, bytes.size);
    }
    return bytes.size > 0 ? take_content(reader, bytes, err) : 0;
}

int itemfile_read_end(struct itemfile_reader *reader, struct err *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct item *item = &reader->item;
    if (reader->part < 2 || reader->size < item->size)
        return err_set(err, ERR_BAD_CONTENT, "it ends too early");
    if (EVP_DigestFinal_ex(reader->digest, digest, NULL) != 1)
        return err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
    if (memcmp(digest, reader->sha256, ITEMFILE_SHA256) != 0)
        return err_set(err, ERR_BAD_CONTENT, "the content is not the one that was exported (its SHA-256 differs)");
    item->key = reader->key;
    if (reader->hold && item->state == ITEM_READY)
        item->state = ITEM_HELD;
    struct span rest = buf_span(&reader->chunk);
    int result = 0;
    if (item->size <= ITEM_CHUNK_SIZE)
        result = item_insert(reader->db, item, rest, 0, err);
    else if (rest.size > 0 && item_chunk_write(reader->db, item->key, reader->chunks, rest, err) == -1)
        result = -1;
    else
        result = item_write_end(reader->db, item, err);
    for (size_t i = 0; result == 0 && i < item->recipient_count; i++)
        if (item->recipients[i].state != RECIPIENT_PENDING)
            result = item_recipient_set(reader->db, item->key, i, item->recipients[i].state, item->recipients[i].reason,
                                        err);
    /* what insertion does not take: tries and the reason */
    if (result == 0 && db_run(reader->db, err, "UPDATE item SET attempts = ?2, reason = ?3 WHERE key = ?1", "iit",
                              item->key, (int64_t)item->attempts, item->reason) == -1)
        result = -1;
    return result;
}
