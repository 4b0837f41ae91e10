/* Notes, files and replays as NJE files. All are made before the link starts, so that a mistake in an input is said at
 * once and not when the neighbour is there. */
#include "host/outbox.h"

#include "base/clock.h"
#include "base/mem.h"
#include "codec/ebcdic.h"
#include "codec/netdata_send.h"
#include "codec/note.h"

#include <errno.h>
#include <stdio.h>

enum { TAB_COLUMNS = 8, PRIORITY = 7 };

/* One line of UTF-8 text, without its end, as EBCDIC columns. */
static void line_to_columns(struct span line, struct buf *columns)
{
    buf_clear(columns);
    line = span_trim_end(line, '\r');
    while (line.size > 0) {
        size_t tab = span_find(line, '\t');
        utf8_to_ebcdic(&ebcdic_page_037, span_slice(line, 0, tab), columns, NULL);
        if (tab == line.size)
            return;
        buf_add_fill(columns, EBCDIC_BLANK, TAB_COLUMNS - columns->size % TAB_COLUMNS);
        line = span_slice(line, tab + 1, line.size);
    }
}

static void note_lines(const struct host_send *send, struct span input, int64_t now_us, struct records *lines)
{
    struct note_letter letter = { .time_us = now_us,
                                  .from = { .user = send->from.user, .node = send->from.node },
                                  .to = { .user = send->to.user, .node = send->to.node },
                                  .subject = SPAN_EMPTY,
                                  .name = SPAN_EMPTY,
                                  .address = SPAN_EMPTY,
                                  .text = input };
    struct span label = SPAN_LITERAL("Subject:");
    if (span_equal_nocase(span_slice(input, 0, label.size), label)) {
        struct reader reader = reader_of(input);
        struct span subject = span_trim_end(reader_until(&reader, '\n'), '\r');
        letter.subject = span_trim(span_slice(subject, label.size, SIZE_MAX));
        letter.text = reader.rest;
        /* the blank line between head and text, which the note makes itself */
        if (span_trim_end(reader_until(&reader, '\n'), '\r').size == 0)
            letter.text = reader.rest;
    }
    note_build(&letter, &ebcdic_page_037, lines, NULL);
}

static int file_lines(const struct host_send *send, struct span input, struct records *lines, struct err *err)
{
    struct buf columns = { 0 };
    struct reader reader = reader_of(input);
    int result = 0;
    size_t most = send->netdata ? NJE_RECORD_MAX : CARD_COLUMNS;
    for (unsigned line = 1; result == 0 && !reader_at_end(&reader); line++) {
        line_to_columns(reader_until(&reader, '\n'), &columns);
        if (columns.size > most)
            result = err_set(err, ERR_BAD_CONTENT, "line %u has %zu columns, a %s has %zu", line, columns.size,
                             send->netdata ? "record" : "card", most);
        records_add(lines, buf_span(&columns));
    }
    if (columns.failed)
        lines->bytes.failed = true;
    buf_free(&columns);
    return result;
}

/* The lines as the stream that CMS NOTE or SENDFILE makes of them. */
static int netdata_of(const struct host_send *send, const struct records *lines, int64_t now_us, struct records *cards,
                      struct err *err)
{
    struct netdata_route route = { .from_node = send->from.node,
                                   .from_user = send->from.user,
                                   .to_node = send->to.node,
                                   .to_user = send->to.user,
                                   .time_us = now_us };
    struct netdata_item item = { .name = send->name, .type = send->type, .changed_us = now_us, .records = lines };
    bool note = send->kind == HOST_SEND_NOTE;
    struct buf stream = { 0 };
    int result = netdata_encode(NETDATA_CMS, &route, note ? lines : NULL, note ? NULL : &item, &stream, err);
    netdata_cards(buf_span(&stream), cards);
    if (stream.failed)
        cards->bytes.failed = true;
    buf_free(&stream);
    return result;
}

/* Headers, cards, trailer. */
static void put_cards(struct outbox_item *item, const struct records *cards, unsigned job_id, int64_t now_us)
{
    const struct host_send *send = item->send;
    bool note = send->kind == HOST_SEND_NOTE;
    uint32_t count = cards->count > 0 ? (uint32_t)cards->count : 1;
    item->job = (struct nje_job){ .job_id = job_id,
                                  .origin_node = send->from.node,
                                  .origin_user = send->from.user,
                                  .entry_time = nje_stck(now_us),
                                  .entry_us = now_us,
                                  .priority = PRIORITY,
                                  .records = count };
    (void)snprintf(item->job.job_name, sizeof item->job.job_name, "NJE_%04u", job_id);
    item->dataset = (struct nje_dataset){ .node = send->to.node,
                                          .user = send->to.user,
                                          .form = "STANDARD",
                                          .klass = 'A',
                                          .number = 1,
                                          .lrecl = CARD_COLUMNS,
                                          .records = count };
    /* a note is named after its sender, as CMS names it */
    (void)snprintf(item->dataset.name, sizeof item->dataset.name, "%s", note ? send->from.user.text : send->name.text);
    (void)snprintf(item->dataset.type, sizeof item->dataset.type, "%s", note ? "NOTE" : send->type.text);
    nje_job_encode(&item->file, &item->job);
    nje_dataset_encode(&item->file, &item->dataset);
    struct reader walk = records_walk(cards);
    struct span card;
    while (records_next(&walk, &card))
        nje_data_encode(&item->file, card, CARD_COLUMNS);
    if (cards->count == 0)
        nje_data_encode(&item->file, SPAN_EMPTY, CARD_COLUMNS); /* a file without a record is rejected by some hosts */
    nje_trailer_encode(&item->file, &(struct nje_trailer){ .punch_records = count });
    if (cards->bytes.failed)
        item->file.failed = true;
}

static int make_cards(struct outbox_item *item, struct span input, unsigned job_id, int64_t now_us, struct err *err)
{
    struct records lines = { .count = 0 }, cards = { .count = 0 };
    int result = 0;
    if (item->send->kind == HOST_SEND_NOTE)
        note_lines(item->send, input, now_us, &lines);
    else
        result = file_lines(item->send, input, &lines, err);
    if (result == 0 && item->send->netdata)
        result = netdata_of(item->send, &lines, now_us, &cards, err);
    if (result == 0)
        put_cards(item, item->send->netdata ? &cards : &lines, job_id, now_us);
    if (lines.bytes.failed)
        item->file.failed = true;
    records_free(&cards);
    records_free(&lines);
    return result;
}

/* Puts one logical record of the original; data is copied as it stands by the caller. */
static int replay_header(struct outbox_item *item, const struct nje_logical *logical, bool *copy_r, struct err *err)
{
    const struct host_send *send = item->send;
    struct nje_dataset dataset;
    *copy_r = true;
    if (logical->kind == NJE_SRCB_NJH)
        return nje_job_decode(logical->bytes, &item->job, err);
    if (logical->kind != NJE_SRCB_DSH)
        return 0;
    if (nje_dataset_decode(logical->bytes, &dataset, err) == -1)
        return -1;
    if (!name8_empty(send->to.node)) {
        *copy_r = false;
        dataset.node = send->to.node;
        dataset.user = send->to.user;
        if (nje_dataset_readdress(&item->file, logical->bytes, send->to.node, send->to.user, err) == -1)
            return -1;
    }
    if (item->dataset.lrecl == 0)
        item->dataset = dataset;
    return 0;
}

static int make_replay(struct outbox_item *item, struct span input, struct err *err)
{
    struct span file;
    if (nje_spool_skip_text(input, &file, err) == -1)
        return -1;
    struct buf scratch = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(file), .scratch = &scratch, .len_counts_cc = true };
    struct nje_logical logical;
    size_t jobs = 0, datasets = 0, trailers = 0;
    int found;
    for (;;) {
        struct span before = walk.from.rest;
        bool copy;
        found = nje_logical_next(&walk, &logical, err);
        if (found != 1 || (found = replay_header(item, &logical, &copy, err)) == -1)
            break;
        jobs += logical.kind == NJE_SRCB_NJH;
        datasets += logical.kind == NJE_SRCB_DSH;
        trailers += logical.kind == NJE_SRCB_NJT;
        if (copy)
            buf_add_span(&item->file, span_slice(before, 0, before.size - walk.from.rest.size));
    }
    buf_free(&scratch);
    if (found == -1)
        return -1;
    if (jobs != 1 || datasets == 0 || trailers != 1)
        return err_set(err, ERR_BAD_CONTENT,
                       "%zu job headers, %zu data set headers, %zu trailers: a file has 1, 1 or more, and 1", jobs,
                       datasets, trailers);
    return 0;
}

int outbox_make(const struct host_send *send, struct span input, unsigned job_id, int64_t now_us,
                struct outbox_item *item_r, struct err *err)
{
    *item_r = (struct outbox_item){ .send = send, .state = OUTBOX_QUEUED };
    int result = send->kind == HOST_SEND_REPLAY ? make_replay(item_r, input, err)
                                                : make_cards(item_r, input, job_id, now_us, err);
    if (result == 0 && item_r->file.failed)
        return err_set(err, ERR_NO_MEMORY, "no memory for the file");
    return result;
}

static int read_input(const char *path, struct buf *input_r, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (file == NULL)
        return err_set(err, ERR_NOT_FOUND, "it cannot be opened: %s", strerror(errno));
    char piece[4096];
    size_t size;
    input_r->limit = OUTBOX_INPUT_MAX;
    while (!input_r->failed && (size = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(input_r, piece, size);
    int result = 0;
    if (input_r->failed)
        result = err_set(err, ERR_TOO_BIG, "it has more than %d bytes", OUTBOX_INPUT_MAX);
    else if (ferror(file) != 0)
        result = err_set(err, ERR_STORE_IO, "it cannot be read: %s", strerror(errno));
    if (!standard)
        (void)fclose(file); /* only read */
    return result;
}

int outbox_fill(const struct host_options *options, struct outbox *outbox_r, struct err *err)
{
    *outbox_r = (struct outbox){ .items = mem_zero((options->send_count + 1) * sizeof *outbox_r->items) };
    if (outbox_r->items == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for the outbox");
    int64_t now_us = clock_now();
    unsigned job_id = 0;
    for (size_t i = 0; i < options->send_count; i++) {
        const struct host_send *send = &options->sends[i];
        struct outbox_item *item = &outbox_r->items[outbox_r->count++];
        if (send->kind == HOST_SEND_MESSAGE) {
            *item = (struct outbox_item){ .send = send, .state = OUTBOX_QUEUED };
            continue;
        }
        struct buf input = { 0 };
        job_id = job_id % 9999 + 1;
        int result = read_input(send->path, &input, err);
        /* no two files of one run have the same entry time: hosts tell duplicates by it */
        if (result == 0)
            result = outbox_make(send, buf_span(&input), job_id, now_us + (int64_t)i, item, err);
        buf_free(&input);
        if (result == -1)
            return err_context(err, "%s", send->path);
    }
    return 0;
}

void outbox_free(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++)
        buf_free(&outbox->items[i].file);
    mem_free(outbox->items);
    *outbox = (struct outbox){ .count = 0 };
}

struct outbox_item *outbox_find(const struct outbox *outbox, enum outbox_state state, bool message)
{
    for (size_t i = 0; i < outbox->count; i++) {
        struct outbox_item *item = &outbox->items[i];
        if (item->state == state && (item->send->kind == HOST_SEND_MESSAGE) == message)
            return item;
    }
    return NULL;
}

bool outbox_settled(const struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++)
        if (outbox->items[i].state == OUTBOX_QUEUED || outbox->items[i].state == OUTBOX_SENDING)
            return false;
    return true;
}
