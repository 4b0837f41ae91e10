/* The mail door: the ledger as the SMTP server's sink and the SMTP client's source.
 *
 * In: 250 after the commit that holds the whole letter in mail_in. Out: a recipient is done in the commit that records
 * the relay's 250; a crash between the relay's answer and that commit sends the letter to the recipients of that one
 * transaction again.
 */
#include "gateway/inside.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/fetch.h"
#include "store/itemwriter.h"

#include <stdio.h>

FAILPOINT_DECLARE("mail_in.committed");
FAILPOINT_DECLARE("mail_out.before-settle");
FAILPOINT_DECLARE("mail_out.settled");

/* --- taking letters --- */

struct smtp_letter {
    struct gateway *gateway;
    struct smtp_session *session;
    struct itemwriter *writer;
    struct item item;
    struct buf texts; /* sender and recipients */
    bool given_up;
};

static int accept_mail(void *owner, const char *sender, struct err *err)
{
    (void)sender;
    return gateway_accepts(owner, QUEUE_MAIL_IN, err);
}

static int accept_recipient(void *owner, const char *sender, const char *recipient, struct err *err)
{
    struct gateway *gateway = owner;
    struct host_address host;
    (void)sender;
    if (border_is_postmaster(&gateway->border, span_text(recipient)))
        return 0;
    return border_from_mail(&gateway->border, span_text(recipient), &host, err);
}

static void letter_free(struct smtp_letter *letter)
{
    mem_free(letter->item.recipients);
    buf_free(&letter->texts);
    mem_free(letter);
}

static void letter_room(void *arg)
{
    struct smtp_letter *letter = arg;
    smtp_session_room(letter->session);
}

static int copy_envelope(struct smtp_letter *letter, const struct smtp_envelope *envelope)
{
    letter->item.recipients = mem_zero(envelope->recipient_count * sizeof letter->item.recipients[0]);
    buf_add_text(&letter->texts, envelope->sender);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        buf_add_text(&letter->texts, envelope->recipients[i]);
    if (letter->item.recipients == NULL || letter->texts.failed)
        return -1;
    letter->item.recipient_count = envelope->recipient_count;
    struct reader texts = reader_of(buf_span(&letter->texts));
    letter->item.sender = reader_take(&texts, strlen(envelope->sender));
    for (size_t i = 0; i < envelope->recipient_count; i++)
        letter->item.recipients[i].address = reader_take(&texts, strlen(envelope->recipients[i]));
    return 0;
}

static struct smtp_letter *begin(void *owner, struct smtp_session *session, const struct smtp_envelope *envelope,
                                 char id_r[SMTP_ID_SIZE], struct err *err)
{
    struct gateway *gateway = owner;
    if (gateway_accepts(gateway, QUEUE_MAIL_IN, err) == -1)
        return NULL;
    struct smtp_letter *letter = mem_zero(sizeof *letter);
    if (letter != NULL) {
        letter->gateway = gateway;
        letter->session = session;
        letter->item =
            (struct item){ .id = ulid_new(), .queue = QUEUE_MAIL_IN, .flags = envelope->body_8bit ? ITEM_8BIT : 0 };
        letter->item.letter = letter->item.id;
        (void)snprintf(letter->item.peer, sizeof letter->item.peer, "%s", envelope->client);
        letter->writer = copy_envelope(letter, envelope) == 0
                             ? itemwriter_new(gateway->store, letter->item.id, letter_room, letter)
                             : NULL;
        if (letter->writer != NULL) {
            (void)snprintf(id_r, SMTP_ID_SIZE, "%s", letter->item.id.text);
            return letter;
        }
        letter_free(letter);
    }
    (void)err_set(err, ERR_NO_MEMORY, "insufficient memory");
    return NULL;
}

static bool put(void *owner, struct smtp_letter *letter, struct span piece)
{
    (void)owner;
    return itemwriter_put(letter->writer, piece);
}

static int track_letter_in(struct db *db, void *arg, struct err *err)
{
    const struct smtp_letter *letter = arg;
    struct track track = { .letter = letter->item.letter,
                           .item = letter->item.id,
                           .at_us = letter->item.arrived_us,
                           .step = TRACK_RECEIVED,
                           .address = letter->item.sender,
                           .detail = span_text(letter->item.peer) };
    int result = track_add(db, &track, err);
    track.step = TRACK_ADDRESSED;
    track.detail = SPAN_EMPTY;
    for (size_t i = 0; i < letter->item.recipient_count && result == 0; i++) {
        track.address = letter->item.recipients[i].address;
        result = track_add(db, &track, err);
    }
    return result;
}

static void committed(void *arg, bool dropped, struct buf *content, const struct err *err)
{
    (void)dropped;
    struct smtp_letter *letter = arg;
    struct gateway *gateway = letter->gateway;
    if (err == NULL) {
        FAILPOINT("mail_in.committed");
        char sender[ITEM_ADDRESS_MAX];
        span_to_text(letter->item.sender, sender, sizeof sender);
        log_info(LOG_GATEWAY, 4107, "letter %s received from <%s> (%s), %zu recipients, %llu bytes",
                 letter->item.id.text, sender, letter->item.peer, letter->item.recipient_count,
                 (unsigned long long)letter->item.size);
    }
    if (!letter->given_up)
        smtp_session_committed(letter->session, letter->item.id.text, err);
    if (err == NULL)
        gateway_arrived(gateway, &letter->item, content);
    letter_free(letter);
}

static void commit(void *owner, struct smtp_letter *letter)
{
    (void)owner;
    struct itemwriter *writer = letter->writer;
    letter->item.arrived_us = letter->item.due_us = clock_now();
    letter->writer = NULL;
    itemwriter_commit(writer, &(struct itemwriter_commit){
                                  .item = &letter->item, .also = track_letter_in, .done = committed, .arg = letter });
}

static void abandon(void *owner, struct smtp_letter *letter)
{
    (void)owner;
    if (letter->writer == NULL) { /* the commit is under way: committed() frees */
        letter->given_up = true;
        return;
    }
    itemwriter_abandon(letter->writer);
    letter_free(letter);
}

/* --- handing letters to the relay --- */

struct delivery {
    struct fetch fetch;
    struct gateway *gateway;
    unsigned slot;
    struct smtp_outgoing outgoing;
    /* of the pending recipients, in the order given to the client */
    char (*addresses)[ITEM_ADDRESS_MAX];
    const char **recipients;
    size_t *numbers;
    struct smtp_result *results;
    size_t count;
    char sender[ITEM_ADDRESS_MAX];
    /* what the job writes */
    struct store_job job;
    int64_t now_us, due_us;
    bool expired, has_report, remove, quarantine;
    char reason[ERR_TEXT_SIZE];
    struct output report;
};

static void delivery_free(struct delivery *delivery)
{
    mem_free(delivery->addresses);
    mem_free(delivery->recipients);
    mem_free(delivery->numbers);
    mem_free(delivery->results);
    output_free(&delivery->report);
    fetch_free(&delivery->fetch);
    mem_free(delivery);
}

static void delivery_loaded(void *arg, const struct err *err);

static void offer(struct gateway *gateway, unsigned slot)
{
    int64_t key = gateway->draining || !store_writable(gateway->store) ? 0 : pump_take(&gateway->mail_out, UINT64_MAX);
    struct delivery *delivery = key != 0 ? mem_zero(sizeof *delivery) : NULL;
    if (delivery == NULL) {
        if (key != 0)
            pump_postpone(&gateway->mail_out, key);
        gateway->slots_waiting |= UINT64_C(1) << slot;
        smtp_client_next(gateway->client, slot, NULL);
        return;
    }
    gateway->slots_waiting &= ~(UINT64_C(1) << slot);
    delivery->gateway = gateway;
    delivery->slot = slot;
    fetch_init(&delivery->fetch, gateway->store, &gateway->hot, key, delivery);
    fetch_load(&delivery->fetch, delivery_loaded);
}

static void next(void *owner, struct smtp_client *client, unsigned slot)
{
    (void)client;
    offer(owner, slot);
}

/* Picks the recipients that are still to be served. */
static int prepare(struct delivery *delivery, struct err *err)
{
    const struct item *item = &delivery->fetch.item;
    delivery->addresses = mem_zero((item->recipient_count + 1) * sizeof delivery->addresses[0]);
    delivery->recipients = mem_zero((item->recipient_count + 1) * sizeof delivery->recipients[0]);
    delivery->numbers = mem_zero((item->recipient_count + 1) * sizeof delivery->numbers[0]);
    delivery->results = mem_zero((item->recipient_count + 1) * sizeof delivery->results[0]);
    if (delivery->addresses == NULL || delivery->recipients == NULL || delivery->numbers == NULL ||
        delivery->results == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
    for (size_t i = 0; i < item->recipient_count; i++) {
        if (item->recipients[i].state != RECIPIENT_PENDING)
            continue;
        span_to_text(item->recipients[i].address, delivery->addresses[delivery->count], ITEM_ADDRESS_MAX);
        delivery->recipients[delivery->count] = delivery->addresses[delivery->count];
        delivery->numbers[delivery->count++] = i;
    }
    span_to_text(item->sender, delivery->sender, sizeof delivery->sender);
    delivery->outgoing = (struct smtp_outgoing){ .handle = delivery,
                                                 .sender = delivery->sender,
                                                 .recipients = delivery->recipients,
                                                 .recipient_count = delivery->count,
                                                 .size = item->size,
                                                 .body_8bit = (item->flags & ITEM_8BIT) != 0 };
    (void)snprintf(delivery->outgoing.name, sizeof delivery->outgoing.name, "%s", item->id.text);
    return 0;
}

static void settle(struct delivery *delivery);

/* Of this letter alone, and for good. */
static bool is_damage(const struct err *err)
{
    return err_family(err->id) == ERR_FAMILY_BUG;
}

static void keep_damaged(struct delivery *delivery, const struct err *why)
{
    delivery->quarantine = true;
    delivery->now_us = clock_now();
    (void)snprintf(delivery->reason, sizeof delivery->reason, "%s", why->text);
}

static void delivery_loaded(void *arg, const struct err *err)
{
    struct delivery *delivery = arg;
    struct gateway *gateway = delivery->gateway;
    unsigned slot = delivery->slot;
    struct err failure = err != NULL ? *err : ERR_CLEAR;
    const struct fetch *fetch = &delivery->fetch;
    bool ready = fetch->found && fetch->item.state == ITEM_READY;
    bool here = err == NULL && ready && fetch->item.due_us <= clock_now();
    if (here && prepare(delivery, &failure) == 0) {
        if (delivery->count > 0) {
            smtp_client_next(gateway->client, slot, &delivery->outgoing);
            return;
        }
        settle(delivery); /* all were served before: it only has to go */
        return;
    }
    if (ready && is_damage(&failure)) {
        keep_damaged(delivery, &failure);
        settle(delivery);
        return;
    }
    if (failure.id != ERR_NONE) {
        log_err(LOG_GATEWAY, &failure, "a letter of mail_out cannot be read");
        pump_postpone(&gateway->mail_out, fetch->key);
    } else {
        pump_release(&gateway->mail_out, fetch->key);
    }
    delivery_free(delivery);
    clockback_look(gateway);
    offer(gateway, slot);
}

static void read_answer(void *arg, struct span piece, const struct err *err)
{
    struct delivery *delivery = arg;
    if (err != NULL && is_damage(err))
        keep_damaged(delivery, err);
    smtp_client_piece(delivery->gateway->client, delivery->slot, piece, err);
}

static void read_letter(void *owner, struct smtp_client *client, unsigned slot, void *handle, uint64_t offset)
{
    (void)owner;
    (void)client;
    (void)slot;
    struct delivery *delivery = handle;
    fetch_read(&delivery->fetch, offset, read_answer);
}

static bool is_final(const struct delivery *delivery, size_t i)
{
    return delivery->results[i].outcome != SMTP_TEMPORARY || delivery->expired;
}

/* The failures among the results, as a report to the sender. */
static void add_report(struct delivery *delivery)
{
    struct gateway *gateway = delivery->gateway;
    struct report_failure *failures = mem_zero((delivery->count + 1) * sizeof failures[0]);
    struct err err = ERR_CLEAR;
    size_t count = 0;
    for (size_t i = 0; i < delivery->count && failures != NULL; i++) {
        const struct smtp_result *result = &delivery->results[i];
        if (result->outcome == SMTP_ACCEPTED || !is_final(delivery, i))
            continue;
        bool late = result->outcome == SMTP_TEMPORARY;
        failures[count++] = (struct report_failure){ .recipient = delivery->recipients[i],
                                                     .id = late ? ERR_EXPIRED : ERR_PEER_PERMANENT,
                                                     .status = late ? err_smtp_enhanced(ERR_EXPIRED) : result->enhanced,
                                                     .diagnostic = result->text };
    }
    int made = count > 0
                   ? report_make(gateway, &delivery->fetch.item, failures, count, SPAN_EMPTY, &delivery->report, &err)
               : failures != NULL ? 1
                                  : -1;
    mem_free(failures);
    delivery->has_report = made == 0;
    if (made == 1 && count > 0)
        log_warning(LOG_GATEWAY, 22477, "letter %s failed and its sender <%s> gets no report", delivery->outgoing.name,
                    delivery->sender);
    if (made == -1) { /* the failed ones are tried again, and reported then */
        for (size_t i = 0; i < delivery->count; i++)
            if (delivery->results[i].outcome == SMTP_PERMANENT)
                delivery->results[i].outcome = SMTP_TEMPORARY;
        delivery->expired = false;
    }
}

static int settle_work(struct db *db, void *arg, struct err *err)
{
    struct delivery *delivery = arg;
    const struct item *item = &delivery->fetch.item;
    struct track track = { .letter = item->letter, .item = item->id, .at_us = delivery->now_us };
    if (delivery->quarantine) {
        track.step = TRACK_QUARANTINED;
        track.address = item->sender;
        track.detail = span_text(delivery->reason);
        return item_set_state(db, item->key, ITEM_QUARANTINED, delivery->reason, err) == -1
                   ? -1
                   : track_add(db, &track, err);
    }
    for (size_t i = 0; i < delivery->count; i++) {
        const struct smtp_result *result = &delivery->results[i];
        bool final = is_final(delivery, i);
        track.step = result->outcome == SMTP_ACCEPTED ? TRACK_SENT : final ? TRACK_RETURNED : TRACK_DEFERRED;
        track.address = item->recipients[delivery->numbers[i]].address;
        track.detail = span_text(result->text);
        if (track_add(db, &track, err) == -1)
            return -1;
        enum recipient_state state = result->outcome == SMTP_ACCEPTED ? RECIPIENT_DONE : RECIPIENT_FAILED;
        if (final && !delivery->remove &&
            item_recipient_set(db, item->key, delivery->numbers[i], state, result->text, err) == -1)
            return -1;
    }
    if (delivery->has_report &&
        output_insert(db, &delivery->report, delivery->gateway->border.node.text, false, err) == -1)
        return -1;
    return delivery->remove ? item_remove(db, item->key, err)
                            : item_defer(db, item->key, delivery->due_us, delivery->reason, err);
}

static void settled(void *arg, const struct err *err)
{
    struct delivery *delivery = arg;
    struct gateway *gateway = delivery->gateway;
    if (err != NULL && err->id != ERR_NOT_FOUND) {
        gateway_again(gateway, &delivery->job);
        return;
    }
    FAILPOINT("mail_out.settled");
    if (delivery->quarantine)
        log_error(LOG_GATEWAY, 4117, "letter %s in mail_out goes into quarantine: %s", delivery->fetch.item.id.text,
                  delivery->reason);
    if (delivery->remove || delivery->quarantine)
        gateway_count(gateway, QUEUE_MAIL_OUT, -1);
    if (delivery->has_report)
        output_arrived(gateway, &delivery->report);
    pump_release(&gateway->mail_out, delivery->fetch.key);
    if (!delivery->remove)
        pump_wake(&gateway->mail_out);
    unsigned slot = delivery->slot;
    bool offered = delivery->count > 0;
    delivery_free(delivery);
    if (offered)
        smtp_client_settled(gateway->client, slot);
    else
        offer(gateway, slot);
}

static void settle(struct delivery *delivery)
{
    delivery->remove = !delivery->quarantine;
    for (size_t i = 0; i < delivery->count; i++)
        delivery->remove = delivery->remove && is_final(delivery, i);
    /* patient: the connection has no other letter meanwhile, so that a crash sends no more than this one again */
    delivery->job =
        (struct store_job){ .work = settle_work, .done = settled, .arg = delivery, .patience_us = STORE_PATIENCE_US };
    store_write(delivery->gateway->store, &delivery->job);
}

static void result(void *owner, struct smtp_client *client, unsigned slot, void *handle,
                   const struct smtp_result *results)
{
    (void)client;
    (void)slot;
    struct gateway *gateway = owner;
    struct delivery *delivery = handle;
    const struct item *item = &delivery->fetch.item;
    FAILPOINT("mail_out.before-settle");
    if (delivery->quarantine) { /* it was broken off: nobody has it */
        settle(delivery);
        return;
    }
    memcpy(delivery->results, results, delivery->count * sizeof results[0]);
    delivery->now_us = clock_now();
    delivery->expired = delivery->now_us - item->arrived_us > gateway->conf->limits.lifetime_us;
    delivery->due_us = delivery->now_us + loop_backoff(gateway->conf->limits.retry_us, (unsigned)item->attempts,
                                                       gateway->conf->limits.retry_max_us);
    bool failed = false;
    for (size_t i = 0; i < delivery->count; i++) {
        const struct smtp_result *one = &delivery->results[i];
        static const char *const words[] = { "sent to", "deferred for", "refused for" };
        static const int numbers[] = { 22467, 22468, 22469 };
        log_info(LOG_GATEWAY, numbers[one->outcome], "letter %s %s <%s>: %s", delivery->outgoing.name,
                 words[one->outcome], delivery->recipients[i], one->text);
        failed = failed || (one->outcome != SMTP_ACCEPTED && is_final(delivery, i));
        if (one->outcome == SMTP_TEMPORARY)
            (void)snprintf(delivery->reason, sizeof delivery->reason, "%s", one->text);
    }
    if (failed)
        add_report(delivery);
    settle(delivery);
}

static void pump_ready(void *arg)
{
    struct gateway *gateway = arg;
    if (gateway->client == NULL || gateway->slots_waiting == 0)
        return;
    gateway->slots_waiting = 0;
    smtp_client_kick(gateway->client);
}

/* --- opening --- */

int mail_door_open(struct gateway *gateway, struct err *err)
{
    const struct conf *conf = gateway->conf;
    struct smtp_sink sink = { .owner = gateway,
                              .mail = accept_mail,
                              .recipient = accept_recipient,
                              .begin = begin,
                              .put = put,
                              .commit = commit,
                              .abandon = abandon };
    struct smtp_source source = { .owner = gateway, .next = next, .read = read_letter, .result = result };
    struct smtp_server_options server = {
        .listen = conf->smtp_in.listen,
        .lmtp = conf->smtp_in.lmtp,
        .allow = conf->smtp_in.allow,
        .host_name = conf->connector.domain,
        .max_size = conf->smtp_in.max_size,
        .max_recipients = conf->smtp_in.max_recipients,
        .max_hops = conf->limits.max_hops,
        .max_sessions = conf->smtp_in.max_sessions,
        .command_us = conf->smtp_in.timeout_us,
        .data_us = conf->smtp_in.timeout_us,
    };
    struct smtp_client_options client = {
        .relay = conf->smtp_out.relay,
        .host_name = conf->connector.domain,
        .connections = conf->smtp_out.connections,
        .reply_us = conf->smtp_out.timeout_us,
        .data_us = conf->smtp_out.timeout_us,
        .retry_us = conf->smtp_out.retry_us,
        .retry_max_us = conf->smtp_out.retry_max_us,
    };
    if (pump_init(&gateway->mail_out, gateway->loop, gateway->store, QUEUE_MAIL_OUT, "", pump_ready, gateway) == -1)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    if (smtp_client_new(gateway->loop, &client, &source, &gateway->client, err) == -1)
        return err_context(err, "[smtp-out]");
    if (smtp_server_new(gateway->loop, &server, &sink, &gateway->server, err) == -1)
        return err_context(err, "[smtp-in]");
    return 0;
}

void mail_door_close(struct gateway *gateway)
{
    if (gateway->server != NULL)
        smtp_server_free(gateway->server);
    if (gateway->client != NULL)
        smtp_client_free(gateway->client);
    gateway->server = NULL;
    gateway->client = NULL;
    gateway->slots_waiting = 0;
    pump_close(&gateway->mail_out);
}
