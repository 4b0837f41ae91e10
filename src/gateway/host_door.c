/* The host door: the ledger as the links' spool.
 *
 * In: a file goes into host_in piece by piece and is acknowledged (C0) only after the commit that made it visible. A
 * crash after that commit and before the acknowledgement brings the file again; the copy is known by njefile_take and
 * suppressed. Out: a file leaves host_out only in the commit that records the neighbour's acknowledgement; a crash
 * before that sends it again, and the neighbour gets the very same headers.
 */
#include "gateway/inside.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/fetch.h"
#include "gateway/hostfiles.h"
#include "store/itemwriter.h"
#include "store/njefiles.h"

#include <stdio.h>

enum {
    FILE_TRIES_MAX = 3, /* unanswered or refused: then its sender is told */
    JOB_KEY_SIZE = 256,
    RECORD_TOGETHER = 12 /* acknowledged files that are written down at once, before the stream has to wait */
};
/* Acknowledged files are written down together; a crash meanwhile sends them again (NJE_RECORDING_MAX of a stream). */
#define RECORD_PATIENCE_US (50 * CLOCK_MILLISECOND)

FAILPOINT_DECLARE("host_in.committed");
FAILPOINT_DECLARE("host_out.before-remove");
FAILPOINT_DECLARE("host_out.removed");

static struct neighbour *neighbour_of(struct gateway *gateway, const struct nje_link *link)
{
    for (size_t i = 0; i < gateway->neighbour_count; i++)
        if (gateway->neighbours[i].link == link)
            return &gateway->neighbours[i];
    return NULL;
}

/* --- taking files --- */

struct nje_incoming {
    struct gateway *gateway;
    struct nje_link *link;
    struct neighbour *neighbour;
    int stream;
    bool given_up; /* the link is gone: the commit may succeed, nobody hears of it */
    struct itemwriter *writer;
    struct item item;
    struct item_recipient recipient;
    char sender[HOST_ADDRESS_SIZE], address[HOST_ADDRESS_SIZE];
    char job[JOB_KEY_SIZE];
    uint8_t sha256[32];
    bool can_repeat;
    struct ulid copy_of;
};

static bool has_room(void *owner, struct nje_link *link)
{
    (void)link;
    struct err err;
    return gateway_accepts(owner, QUEUE_HOST_IN, &err) == 0;
}

static void writer_room(void *arg)
{
    struct nje_incoming *file = arg;
    nje_link_room(file->link);
}

static struct nje_incoming *begin(void *owner, struct nje_link *link, int stream)
{
    struct gateway *gateway = owner;
    struct nje_incoming *file = mem_zero(sizeof *file);
    if (file == NULL)
        return NULL;
    file->gateway = gateway;
    file->link = link;
    file->neighbour = neighbour_of(gateway, link);
    file->stream = stream;
    file->item.id = ulid_new();
    file->item.letter = file->item.id;
    file->writer = itemwriter_new(gateway->store, file->item.id, writer_room, file);
    if (file->writer == NULL) {
        mem_free(file);
        return NULL;
    }
    return file;
}

static bool put(void *owner, struct nje_incoming *file, struct span piece)
{
    (void)owner;
    return itemwriter_put(file->writer, piece);
}

/* In the commit that makes the file visible: is it a copy, and if not, remember and track it. 1: a copy. */
static int take_work(struct db *db, void *arg, struct err *err)
{
    struct nje_incoming *file = arg;
    struct njefile_seen seen = { .link = file->neighbour->conf->node.text,
                                 .job = file->job,
                                 .sha256 = span_of(file->sha256, sizeof file->sha256),
                                 .can_repeat = file->can_repeat };
    int64_t now_us = file->item.arrived_us;
    int copy = njefile_take(db, &seen, file->item.id, now_us, &file->copy_of, err);
    if (copy == -1)
        return -1;
    struct track track = { .letter = copy == 1 ? file->copy_of : file->item.letter,
                           .item = copy == 1 ? file->copy_of : file->item.id,
                           .at_us = now_us,
                           .step = copy == 1 ? TRACK_DUPLICATE : TRACK_RECEIVED,
                           .address = span_text(file->sender),
                           .detail = span_text(file->job) };
    if (track_add(db, &track, err) == -1)
        return -1;
    if (copy == 1)
        return 1;
    track.step = TRACK_ADDRESSED;
    track.address = span_text(file->address);
    track.detail = SPAN_EMPTY;
    return track_add(db, &track, err);
}

static void taken(void *arg, bool copy, struct buf *content, const struct err *err)
{
    struct nje_incoming *file = arg;
    struct gateway *gateway = file->gateway;
    file->writer = NULL;
    if (err == NULL) {
        FAILPOINT("host_in.committed");
        const char *link = file->neighbour->conf->node.text;
        file->neighbour->last_taken[file->stream] = copy ? file->copy_of : file->item.id;
        if (copy) {
            log_info(LOG_GATEWAY, 40721, "%s: copy of file %s suppressed: %s", link, file->copy_of.text, file->job);
        } else {
            log_info(LOG_GATEWAY, 23711, "%s: file %s received from %s to %s: %s", link, file->item.id.text,
                     file->sender, file->address, file->job);
        }
    }
    if (!file->given_up)
        nje_link_committed(file->link, file->stream, err);
    if (err == NULL && !copy)
        gateway_arrived(gateway, &file->item, content);
    mem_free(file);
}

static void commit(void *owner, struct nje_incoming *file, const struct nje_incoming_facts *facts)
{
    (void)owner;
    const struct nje_job *job = &facts->job;
    const struct nje_dataset *dataset = &facts->first;
    struct host_address from = { .node = job->origin_node, .user = job->origin_user };
    struct host_address to = { .node = dataset->node, .user = dataset->user };
    (void)snprintf(file->sender, sizeof file->sender, "%s", host_address_text(from).text);
    (void)snprintf(file->address, sizeof file->address, "%s", host_address_text(to).text);
    if (facts->sysin && facts->datasets == 0) { /* a job: it runs nowhere here, and its sender is told */
        (void)snprintf(file->address, sizeof file->address, "%s(%s)", file->gateway->border.node.text, job->job_name);
        file->item.flags = ITEM_JOB;
    }
    (void)snprintf(file->job, sizeof file->job, "%s job %u %016llx to %s ds %u/%u %s %s class %c records %u",
                   file->sender, job->job_id, (unsigned long long)job->entry_time, file->address, dataset->number,
                   facts->datasets, dataset->name, dataset->type, dataset->klass, facts->records);
    memcpy(file->sha256, facts->sha256, sizeof file->sha256);
    file->can_repeat = job->entry_time != 0 && !facts->headers_bad;
    file->recipient.address = span_text(file->address);
    file->item.queue = QUEUE_HOST_IN;
    (void)snprintf(file->item.peer, sizeof file->item.peer, "%s", file->neighbour->conf->node.text);
    file->item.sender = span_text(file->sender);
    file->item.recipients = &file->recipient;
    file->item.recipient_count = 1;
    file->item.arrived_us = file->item.due_us = clock_now();
    if (facts->headers_bad)
        log_warning(LOG_GATEWAY, 23919, "%s: file %s has a header that cannot be understood: %s",
                    file->neighbour->conf->node.text, file->item.id.text, facts->why_bad);
    struct itemwriter *writer = file->writer;
    file->writer = NULL; /* now: a letter that failed before is answered from inside, and `taken` frees the file */
    itemwriter_commit(
        writer, &(struct itemwriter_commit){ .item = &file->item, .also = take_work, .done = taken, .arg = file });
}

static void abandon(void *owner, struct nje_incoming *file)
{
    (void)owner;
    if (file->writer == NULL) { /* the commit is under way: taken() frees */
        file->given_up = true;
        return;
    }
    itemwriter_abandon(file->writer);
    mem_free(file);
}

struct confirmation {
    struct store_job job;
    struct ulid item;
};

static int confirm_work(struct db *db, void *arg, struct err *err)
{
    struct confirmation *confirmation = arg;
    return njefile_confirm(db, confirmation->item, err);
}

static void confirm_done(void *arg, const struct err *err)
{
    (void)err; /* it stays unsure: a copy that never comes does no harm */
    mem_free(arg);
}

static void confirmed(void *owner, struct nje_link *link, int stream)
{
    struct gateway *gateway = owner;
    struct neighbour *neighbour = neighbour_of(gateway, link);
    if (neighbour == NULL || neighbour->last_taken[stream].text[0] == '\0')
        return;
    struct confirmation *confirmation = mem_zero(sizeof *confirmation);
    if (confirmation == NULL)
        return;
    confirmation->item = neighbour->last_taken[stream];
    neighbour->last_taken[stream] = (struct ulid){ .text = "" };
    confirmation->job = (struct store_job){
        .work = confirm_work, .done = confirm_done, .arg = confirmation, .patience_us = STORE_PATIENCE_US
    };
    store_write(gateway->store, &confirmation->job);
}

/* --- sending files --- */

struct sending {
    struct fetch fetch;
    struct gateway *gateway;
    struct neighbour *neighbour;
    int stream;
    struct nje_outgoing outgoing;
    struct store_job job;
    /* what the job writes */
    int64_t due_us;
    char reason[ERR_TEXT_SIZE];
    struct output report;
    bool has_report, quarantine, remove;
};

static void sending_free(struct sending *sending)
{
    output_free(&sending->report);
    fetch_free(&sending->fetch);
    mem_free(sending);
}

static void next_loaded(void *arg, const struct err *err);

static void offer(struct neighbour *neighbour, int stream)
{
    struct gateway *gateway = neighbour->gateway;
    uint64_t size_max = nje_link_file_limit(neighbour->link, stream);
    int64_t key = gateway->draining || !store_writable(gateway->store) ? 0 : pump_take(&neighbour->pump, size_max);
    struct sending *sending = key != 0 ? mem_zero(sizeof *sending) : NULL;
    if (sending == NULL) {
        if (key != 0)
            pump_postpone(&neighbour->pump, key);
        neighbour->wanted[stream] = true;
        nje_link_next(neighbour->link, stream, NULL);
        return;
    }
    neighbour->wanted[stream] = false;
    sending->gateway = gateway;
    sending->neighbour = neighbour;
    sending->stream = stream;
    fetch_init(&sending->fetch, gateway->store, &gateway->hot, key, sending);
    fetch_load(&sending->fetch, next_loaded);
}

static void next(void *owner, struct nje_link *link, int stream)
{
    offer(neighbour_of(owner, link), stream);
}

static int settle_work(struct db *db, void *arg, struct err *err)
{
    struct sending *sending = arg;
    const struct item *item = &sending->fetch.item;
    struct track track = { .letter = item->letter,
                           .item = item->id,
                           .at_us = clock_now(),
                           .step = TRACK_DEFERRED,
                           .address = item->recipient_count > 0 ? item->recipients[0].address : SPAN_EMPTY,
                           .detail = span_text(sending->reason) };
    int result;
    if (sending->quarantine) {
        track.step = TRACK_QUARANTINED;
        result = item_set_state(db, item->key, ITEM_QUARANTINED, sending->reason, err);
    } else if (sending->remove) {
        track.step = sending->has_report ? TRACK_RETURNED : TRACK_SENT;
        result = item_remove(db, item->key, err);
        if (result == 0 && sending->has_report)
            result = output_insert(db, &sending->report, sending->gateway->border.node.text, false, err);
    } else {
        result = item_defer(db, item->key, sending->due_us, sending->reason, err);
    }
    return result == 0 ? track_add(db, &track, err) : -1;
}

static void settled(void *arg, const struct err *err)
{
    struct sending *sending = arg;
    struct gateway *gateway = sending->gateway;
    if (err != NULL && err->id != ERR_NOT_FOUND) {
        gateway_again(gateway, &sending->job);
        return;
    }
    bool accepted = sending->remove && !sending->has_report;
    if (accepted) {
        sending->neighbour->recording--;
        FAILPOINT("host_out.removed");
    }
    if (sending->remove || sending->quarantine)
        gateway_count(gateway, QUEUE_HOST_OUT, -1);
    if (sending->has_report)
        output_arrived(gateway, &sending->report);
    pump_release(&sending->neighbour->pump, sending->fetch.key);
    if (!sending->remove)
        pump_wake(&sending->neighbour->pump);
    if (accepted)
        nje_link_removed(sending->neighbour->link, sending->stream);
    sending_free(sending);
}

static void settle(struct sending *sending)
{
    /* the neighbour has an accepted file: it is sent again after a crash before this commit, and that is all */
    bool accepted = sending->remove && !sending->has_report;
    struct neighbour *neighbour = sending->neighbour;
    neighbour->recording += accepted;
    bool patient = accepted && neighbour->recording < RECORD_TOGETHER;
    sending->job = (struct store_job){
        .work = settle_work, .done = settled, .arg = sending, .patience_us = patient ? RECORD_PATIENCE_US : 0
    };
    store_write(sending->gateway->store, &sending->job);
}

static void next_loaded(void *arg, const struct err *err)
{
    struct sending *sending = arg;
    struct neighbour *neighbour = sending->neighbour;
    struct fetch *fetch = &sending->fetch;
    struct err failure = err != NULL ? *err : ERR_CLEAR;
    bool ready = fetch->found && fetch->item.state == ITEM_READY;
    bool here = err == NULL && ready && fetch->item.due_us <= clock_now();
    if (here && hostfiles_headers(buf_span(&fetch->piece), nje_presets[neighbour->conf->kind].len_counts_cc,
                                  &sending->outgoing.job, &sending->outgoing.dataset, &failure) == 0) {
        sending->outgoing.handle = sending;
        (void)snprintf(sending->outgoing.name, sizeof sending->outgoing.name, "%s", fetch->item.id.text);
        sending->outgoing.bytes = fetch->item.size;
        nje_link_next(neighbour->link, sending->stream, &sending->outgoing);
        return;
    }
    int stream = sending->stream;
    if (ready && failure.id != ERR_NONE && err_family(failure.id) != ERR_FAMILY_TEMPORARY) {
        log_error(LOG_GATEWAY, 4117, "file %s in host_out goes into quarantine: %s", fetch->item.id.text, failure.text);
        sending->quarantine = true;
        (void)snprintf(sending->reason, sizeof sending->reason, "%s", failure.text);
        settle(sending);
    } else {
        struct gateway *gateway = sending->gateway;
        if (failure.id != ERR_NONE) {
            log_err(LOG_GATEWAY, &failure, "%s: a file of host_out cannot be read", neighbour->conf->node.text);
            pump_postpone(&neighbour->pump, fetch->key);
        } else {
            pump_release(&neighbour->pump, fetch->key);
        }
        sending_free(sending);
        clockback_look(gateway);
    }
    offer(neighbour, stream);
}

static void read_answer(void *arg, struct span piece, const struct err *err)
{
    struct sending *sending = arg;
    if (err != NULL && err_family(err->id) == ERR_FAMILY_BUG) { /* it is damaged; `returned` follows */
        sending->quarantine = true;
        (void)snprintf(sending->reason, sizeof sending->reason, "%s", err->text);
    }
    nje_link_piece(sending->neighbour->link, sending->stream, piece, err);
}

static void read_file(void *owner, struct nje_link *link, int stream, void *handle, uint64_t offset)
{
    (void)owner;
    (void)link;
    (void)stream;
    struct sending *sending = handle;
    fetch_read(&sending->fetch, offset, read_answer);
}

static void accepted(void *owner, struct nje_link *link, int stream, void *handle)
{
    (void)owner;
    (void)link;
    (void)stream;
    struct sending *sending = handle;
    FAILPOINT("host_out.before-remove");
    sending->remove = true;
    (void)snprintf(sending->reason, sizeof sending->reason, "link %s", sending->neighbour->conf->node.text);
    log_info(LOG_GATEWAY, 23713, "%s: file %s sent to %.*s", sending->neighbour->conf->node.text,
             sending->fetch.item.id.text,
             (int)(sending->fetch.item.recipient_count > 0 ? sending->fetch.item.recipients[0].address.size : 0),
             sending->fetch.item.recipient_count > 0 ? (const char *)sending->fetch.item.recipients[0].address.at : "");
    settle(sending);
}

/* A file that the neighbour does not take: tell its sender, or keep it where nobody can be told. */
static void give_up(struct sending *sending)
{
    char recipient[ITEM_ADDRESS_MAX];
    struct err err = ERR_CLEAR;
    const struct item *item = &sending->fetch.item;
    span_to_text(item->recipient_count > 0 ? item->recipients[0].address : SPAN_EMPTY, recipient, sizeof recipient);
    struct report_failure failure = { .recipient = recipient,
                                      .id = ERR_EXPIRED,
                                      .status = err_smtp_enhanced(ERR_EXPIRED),
                                      .diagnostic = sending->reason };
    int made = report_make(sending->gateway, item, &failure, 1, SPAN_EMPTY, &sending->report, &err);
    sending->has_report = made == 0;
    sending->remove = made == 0;
    sending->quarantine = made == 1;
}

static void returned(void *owner, struct nje_link *link, int stream, void *handle, bool counts, const struct err *why)
{
    (void)link;
    (void)stream;
    struct gateway *gateway = owner;
    struct sending *sending = handle;
    const struct item *item = &sending->fetch.item;
    if (sending->quarantine) {
        log_error(LOG_GATEWAY, 4117, "file %s in host_out goes into quarantine: %s", item->id.text, sending->reason);
        settle(sending);
        return;
    }
    if (!counts) {
        pump_release(&sending->neighbour->pump, sending->fetch.key);
        pump_wake(&sending->neighbour->pump);
        sending_free(sending);
        return;
    }
    (void)snprintf(sending->reason, sizeof sending->reason, "%.200s", why != NULL ? why->text : "not acknowledged");
    log_warning(LOG_GATEWAY, 23834, "%s: file %s was not taken (try %d): %s", sending->neighbour->conf->node.text,
                item->id.text, item->attempts + 1, sending->reason);
    sending->due_us = clock_now() + loop_backoff(gateway->conf->limits.retry_us, (unsigned)item->attempts,
                                                 gateway->conf->limits.retry_max_us);
    if (item->attempts + 1 >= FILE_TRIES_MAX)
        give_up(sending);
    settle(sending);
}

/* --- messages and state --- */

static void message(void *owner, struct nje_link *link, const struct nje_message *message)
{
    struct gateway *gateway = owner;
    const struct neighbour *neighbour = neighbour_of(gateway, link);
    log_info(LOG_NJE, 23720, "%s: %s from %s(%s) to %s(%s): %s", neighbour != NULL ? neighbour->conf->node.text : "",
             message->command ? "command" : "message", message->from_node.text, message->from_user.text,
             message->to_node.text, message->to_user.text, message->text);
    if (neighbour != NULL)
        registrar_message(gateway, neighbour->conf->node, link, message);
}

static void state(void *owner, struct nje_link *link)
{
    struct gateway *gateway = owner;
    struct neighbour *neighbour = neighbour_of(gateway, link);
    struct nje_link_figures figures;
    if (neighbour == NULL)
        return;
    nje_link_figures(link, &figures);
    if (figures.state != NJE_LINK_UP) /* what was acknowledged last may have been lost with the session */
        memset(neighbour->last_taken, 0, sizeof neighbour->last_taken);
}

static void pump_ready(void *arg)
{
    struct neighbour *neighbour = arg;
    if (neighbour->link == NULL)
        return;
    for (size_t i = 0; i < sizeof neighbour->wanted / sizeof neighbour->wanted[0]; i++) {
        if (!neighbour->wanted[i])
            continue;
        memset(neighbour->wanted, 0, sizeof neighbour->wanted);
        nje_link_kick(neighbour->link);
        return;
    }
}

void host_door_room(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->neighbour_count; i++) {
        nje_link_room(gateway->neighbours[i].link);
        pump_wake(&gateway->neighbours[i].pump);
    }
}

/* --- opening --- */

static struct nje_link_options options_of(const struct gateway *gateway, const struct conf_link *conf)
{
    return (struct nje_link_options){
        .our_node = gateway->border.node,
        .node = conf->node,
        .kind = (enum nje_kind)conf->kind,
        .connect = conf->connect,
        .listen = conf->listen,
        .allow = conf->allow,
        .buffer = conf->buffer,
        .tcp_block = conf->tcp_block,
        .streams = conf->streams,
        .send_line_password = conf->send_line_password,
        .expect_line_password = conf->expect_line_password,
        .send_node_password = conf->send_node_password,
        .expect_node_password = conf->expect_node_password,
        .rip = conf->rip,
        .oip = conf->oip,
        .tls = (enum nje_tls)conf->tls,
        .ca = conf->ca,
        .cert = conf->cert,
        .key = conf->key,
        .tls_name = conf->tls_name,
        .retry_us = conf->retry_us,
        .retry_max_us = conf->retry_max_us,
        .idle_probe_us = conf->idle_probe_us,
    };
}

int host_door_open(struct gateway *gateway, struct err *err)
{
    struct nje_spool spool = {
        .owner = gateway,
        .has_room = has_room,
        .begin = begin,
        .put = put,
        .commit = commit,
        .abandon = abandon,
        .confirmed = confirmed,
        .next = next,
        .read = read_file,
        .accepted = accepted,
        .returned = returned,
        .message = message,
        .state = state,
    };
    gateway->neighbours = mem_zero(gateway->conf->link_count * sizeof gateway->neighbours[0]);
    if (gateway->neighbours == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for the links");
    for (size_t i = 0; i < gateway->conf->link_count; i++) {
        struct neighbour *neighbour = &gateway->neighbours[i];
        neighbour->gateway = gateway;
        neighbour->conf = &gateway->conf->links[i];
        if (pump_init(&neighbour->pump, gateway->loop, gateway->store, QUEUE_HOST_OUT, neighbour->conf->node.text,
                      pump_ready, neighbour) == -1)
            return err_set(err, ERR_NO_MEMORY, "out of memory for the links");
        struct nje_link_options options = options_of(gateway, neighbour->conf);
        neighbour->link = nje_link_new(gateway->loop, &options, &spool, err);
        if (neighbour->link == NULL)
            return err_context(err, "link %s", neighbour->conf->node.text);
        gateway->neighbour_count++;
    }
    return 0;
}

void host_door_close(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->neighbour_count; i++) {
        nje_link_free(gateway->neighbours[i].link);
        pump_close(&gateway->neighbours[i].pump);
    }
    mem_free(gateway->neighbours);
    gateway->neighbours = NULL;
    gateway->neighbour_count = 0;
}
