/* Letters that the gateway makes: translations and reports. */
#include "gateway/inside.h"

#include "base/clock.h"
#include "gateway/plain.h"
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

static int host_report(struct gateway *gateway, struct host_address to, const struct report *report, struct ulid letter,
                       struct output *output_r, struct err *err)
{
    struct name8 postmaster;
    const struct conf_link *link = border_link(&gateway->border, to.node);
    if (link == NULL || name8_empty(to.user))
        return 1;
    unsigned job_id = gateway_job_id(gateway);
    if (job_id == 0)
        return err_set(err, ERR_BUSY, "no NJE job id at hand");
    (void)name8_parse(SPAN_LITERAL("POSTMAST"), "user", &postmaster, NULL);
    struct host_address from = { .node = gateway->border.node, .user = postmaster };
    output_init(output_r, QUEUE_HOST_OUT, letter, "", host_address_text(to).text);
    output_r->origin = from;
    (void)snprintf(output_r->item.door, sizeof output_r->item.door, "%s", link->node.text);
    output_r->item.flags = ITEM_REPORT;
    output_r->job_id = job_id;
    output_r->entry_us = gateway_entry_time(gateway);
    struct plain_note note = { .job = { .job_id = job_id,
                                        .origin_node = from.node,
                                        .origin_user = from.user,
                                        .entry_time = nje_stck(output_r->entry_us),
                                        .flags = NJE_JOB_ID_SET },
                               .node = to.node,
                               .user = to.user,
                               .sender = "",
                               .date_us = report->now_us,
                               .len_counts_cc = nje_presets[link->kind].len_counts_cc };
    struct buf text = { 0 };
    report_to_host(report, &text);
    int result = plain_text_note("Undelivered mail", buf_span(&text), &note, &output_r->content, err);
    buf_free(&text);
    if (result == -1)
        output_free(output_r);
    return result;
}

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
    bool from_host = item->queue == QUEUE_HOST_IN ? host_address_parse(item->sender, &host, NULL) == 0
                                                  : border_from_mail(&gateway->border, item->sender, &host, NULL) == 0;
    if (from_host)
        return host_report(gateway, host, &report, item->letter, output_r, err);
    if (item->queue == QUEUE_HOST_IN)
        return 1; /* a file whose origin is no address */
    output_init(output_r, QUEUE_MAIL_OUT, item->letter, "", sender);
    output_r->item.flags = ITEM_REPORT;
    report.letter = output_r->item.id;
    report_to_mail(&report, &output_r->content);
    if (output_r->content.failed) {
        output_free(output_r);
        return err_set(err, ERR_NO_MEMORY, "out of memory for a report");
    }
    return 0;
}
