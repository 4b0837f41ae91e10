/* What the trial node prints. Everything here came over the wire and goes to a terminal: no control character passes.
 */
#include "host/show.h"

#include "codec/ebcdic.h"
#include "codec/netdata.h"

static void add_file(const struct nje_job *job, const struct nje_dataset *dataset, struct buf *to)
{
    buf_printf(to, "for %s(%s): file %04u, class %c, %s %s, %s", dataset->node.text, dataset->user.text, job->job_id,
               dataset->klass, dataset->name[0] != '\0' ? dataset->name : "-",
               dataset->type[0] != '\0' ? dataset->type : "-", dataset->print ? "print" : "punch");
}

void show_facts(const struct nje_incoming_facts *facts, const char *name, struct buf *to)
{
    const struct nje_job *job = &facts->job;
    buf_printf(to, "Received from %s(%s) ", job->origin_node.text, job->origin_user.text);
    add_file(job, &facts->first, to);
    buf_printf(to, ", %u records, %s\n", facts->records, name);
    if (facts->headers_bad)
        buf_printf(to, "  its headers cannot be understood: %s\n", facts->why_bad);
}

/* Trailing blanks cut; what is no printable character becomes a dot. */
static void add_line(struct span ebcdic, struct buf *text, struct buf *to)
{
    buf_clear(text);
    (void)ebcdic_to_utf8(&ebcdic_page_037, span_trim_end(ebcdic, EBCDIC_BLANK), text);
    struct span rest = buf_span(text);
    buf_add_text(to, rest.size > 0 ? "  " : "");
    while (rest.size > 0) {
        uint32_t code = utf8_next(&rest);
        utf8_add(to, code < 0x20 || (code >= 0x7F && code < 0xA0) ? '.' : code);
    }
    buf_add_u8(to, '\n');
}

static void add_lines(const struct records *lines, struct buf *text, struct buf *to)
{
    struct reader walk = records_walk(lines);
    struct span line;
    while (records_next(&walk, &line))
        add_line(line, text, to);
}

static void add_netdata_name(const struct netdata_file *file, struct buf *to)
{
    if (file->message)
        buf_add_text(to, " note");
    for (size_t i = 0; i < file->qualifiers; i++)
        buf_printf(to, "%c%s", i == 0 ? ' ' : '.', file->qualifier[i]);
    if (file->member[0] != '\0')
        buf_printf(to, "(%s)", file->member);
}

static void add_netdata(struct span stream, struct buf *text, struct buf *to)
{
    struct netdata_stream decoded;
    struct err err = ERR_CLEAR;
    int result = netdata_decode(stream, &decoded, &err);
    buf_printf(to, "- NETDATA from %s(%s)", decoded.from_node.text, decoded.from_user.text);
    if (decoded.is_ack) {
        buf_add_text(to, ": acknowledges");
        add_netdata_name(&decoded.about, to);
        if (decoded.ack_text[0] != '\0')
            buf_printf(to, ": %s", decoded.ack_text);
    }
    buf_add_text(to, decoded.ack_wanted ? ", acknowledgement wanted\n" : "\n");
    for (size_t i = 0; i < decoded.file_count; i++) {
        const struct netdata_file *file = &decoded.files[i];
        buf_add_u8(to, '-');
        add_netdata_name(file, to);
        buf_printf(to, "%s, %zu records\n", file->partitioned ? ", a library" : "", file->records.count);
        if (!file->partitioned)
            add_lines(&file->records, text, to);
    }
    if (result == -1)
        buf_printf(to, "- no further: %s\n", err.text);
    netdata_release(&decoded);
}

/* The lines of one data set. */
static void add_dataset(struct records *lines, struct buf *text, struct buf *to)
{
    struct buf stream = { 0 };
    records_join(lines, &stream);
    if (netdata_detect(buf_span(&stream)))
        add_netdata(buf_span(&stream), text, to);
    else
        add_lines(lines, text, to);
    if (stream.failed)
        to->failed = true;
    buf_free(&stream);
    records_clear(lines);
}

void show_contents(struct span file, bool len_counts_cc, struct buf *to)
{
    struct buf scratch = { 0 }, text = { 0 };
    struct records lines = { .count = 0 };
    struct nje_logical_walk walk = { .from = reader_of(file), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical logical;
    struct nje_job job = { .job_id = 0 };
    struct err err = ERR_CLEAR;
    unsigned datasets = 0;
    int found;
    while ((found = nje_logical_next(&walk, &logical, &err)) == 1) {
        struct nje_dataset dataset;
        if (logical.kind == NJE_SRCB_DATA) {
            records_add_padded(&lines, logical.bytes, logical.lrecl, EBCDIC_BLANK);
            continue;
        }
        if (logical.kind == NJE_SRCB_NJH)
            (void)nje_job_decode(logical.bytes, &job, &err); /* the facts have said so */
        if (logical.kind != NJE_SRCB_DSH || datasets++ == 0 || nje_dataset_decode(logical.bytes, &dataset, &err) == -1)
            continue;
        add_dataset(&lines, &text, to);
        buf_add_text(to, "and ");
        add_file(&job, &dataset, to);
        buf_add_u8(to, '\n');
    }
    add_dataset(&lines, &text, to);
    if (found == -1)
        buf_printf(to, "- no further: %s\n", err.text);
    if (scratch.failed || text.failed || lines.bytes.failed)
        to->failed = true;
    records_free(&lines);
    buf_free(&scratch);
    buf_free(&text);
}

void show_message(const struct nje_message *message, struct buf *to)
{
    buf_printf(to, "%s from %s", message->command ? "Command" : "Message", message->from_node.text);
    if (!name8_empty(message->from_user))
        buf_printf(to, "(%s)", message->from_user.text);
    if (!name8_empty(message->to_user))
        buf_printf(to, " for %s", message->to_user.text);
    buf_printf(to, ": %s\n", message->text);
}
