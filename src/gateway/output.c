/* Letters that the gateway makes: translations and reports. */
#include "gateway/inside.h"

#include "base/clock.h"
#include "store/njefiles.h"
#include "store/sequence.h"

#include <stdio.h>

void output_init(struct output *output, enum queue queue, struct ulid letter, const char *sender, const char *address)
{
    *output = (struct output){ .item = { .key = item_key_new(), .id = ulid_new(), .letter = letter, .queue = queue } };
    (void)snprintf(output->sender, sizeof output->sender, "%s", sender);
    (void)snprintf(output->address, sizeof output->address, "%s", address);
    output->item.arrived_us = output->item.due_us = clock_now();
}

/* The pointers into the structure itself are set late: outputs are kept in arrays that grow. */
static struct item complete(const struct output *output, struct item_recipient *recipient_r)
{
    struct item item = output->item;
    *recipient_r = output->recipient;
    recipient_r->address = span_text(output->address);
    item.sender = span_text(output->sender);
    item.recipients = recipient_r;
    item.recipient_count = 1;
    item.size = output->content.size;
    return item;
}

static int add_tracks(struct db *db, const struct item *item, struct err *err)
{
    struct track track = { .letter = item->letter,
                           .item = item->id,
                           .at_us = item->arrived_us,
                           .step = TRACK_TRANSLATED,
                           .address = item->recipients[0].address,
                           .detail = span_text(queue_name(item->queue)) };
    return track_add(db, &track, err);
}

int output_insert(struct db *db, const struct output *output, const char *node, bool content_written, struct err *err)
{
    struct item_recipient recipient;
    struct item item = complete(output, &recipient);
    int result =
        content_written ? item_write_end(db, &item, err) : item_insert(db, &item, buf_span(&output->content), 0, err);
    if (result == 0 && item.queue == QUEUE_HOST_OUT) {
        struct host_address_text origin = host_address_text(output->origin);
        struct njefile_sent sent = { .node = node,
                                     .job_id = (int)output->job_id,
                                     .link = item.door,
                                     .origin = origin.text,
                                     .destination = output->address,
                                     .item = item.id,
                                     .letter = item.letter,
                                     .sender = item.sender };
        result = njefile_sent(db, &sent, item.arrived_us, err);
        if (result == 0)
            result = sequence_raise(db, "entry", output->entry_us, err);
    }
    return result == 0 ? add_tracks(db, &item, err) : -1;
}

void output_arrived(struct gateway *gateway, struct output *output)
{
    struct item_recipient recipient;
    struct item item = complete(output, &recipient);
    gateway_arrived(gateway, &item, &output->content);
}

void output_free(struct output *output)
{
    buf_free(&output->content);
}

/* --- reports --- */

int report_make(struct gateway *gateway, const struct item *item, const struct report_failure *failures, size_t count,
                struct span original, struct output *output_r, struct err *err)
{
    char sender[ITEM_ADDRESS_MAX];
    struct host_address host;
    struct report report = { .letter = ulid_new(),
                             .host_name = gateway->border.domain,
                             .postmaster = gateway->conf->connector.postmaster,
                             .node = gateway->border.node.text,
                             .to = sender,
                             .arrived_us = item->arrived_us,
                             .now_us = clock_now(),
                             .failures = failures,
                             .failure_count = count,
                             .original = original };
    span_to_text(item->sender, sender, sizeof sender);
    if (sender[0] == '\0' || (item->flags & ITEM_REPORT) != 0)
        return 1;
    struct err why = ERR_CLEAR;
    bool from_host = item->queue == QUEUE_HOST_IN ? host_address_parse(item->sender, &host, &why) == 0
                                                  : border_from_mail(&gateway->border, item->sender, &host, &why) == 0;
    if (why.id == ERR_NO_MEMORY)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a report");
    if (item->queue == QUEUE_HOST_IN && (!from_host || border_link(&gateway->border, host.node) == NULL))
        return 1; /* a file whose origin is no address, or one that we cannot reach */
    if (from_host) {
        struct buf address = { .at = NULL };
        border_to_mail(&gateway->border, host, &address);
        span_to_text(buf_span(&address), sender, sizeof sender);
        bool failed = address.failed;
        buf_free(&address);
        if (failed) /* part of an address may be another's */
            return err_set(err, ERR_NO_MEMORY, "out of memory for a report");
    }
    /* To a host user it goes the way of any letter to him: translated for his node. */
    output_init(output_r, from_host ? QUEUE_MAIL_IN : QUEUE_MAIL_OUT, item->letter, "", sender);
    output_r->item.flags = ITEM_REPORT;
    report.letter = output_r->item.id;
    if (from_host)
        report_to_host(&report, &output_r->content);
    else
        report_to_mail(&report, &output_r->content);
    if (output_r->content.failed) {
        output_free(output_r);
        return err_set(err, ERR_NO_MEMORY, "out of memory for a report");
    }
    return 0;
}
