/* What the trial node prints. Everything here came over the wire and goes to a terminal: no control character passes.
 */
#include "host/show.h"

#include "codec/ebcdic.h"

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

void show_contents(struct span file, bool len_counts_cc, struct buf *to)
{
    struct buf scratch = { 0 }, text = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(file), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical logical;
    struct nje_job job = { .job_id = 0 };
    struct err err = ERR_CLEAR;
    unsigned datasets = 0;
    int found;
    while ((found = nje_logical_next(&walk, &logical, &err)) == 1) {
        struct nje_dataset dataset;
        if (logical.kind == NJE_SRCB_DATA)
            add_line(logical.bytes, &text, to);
        else if (logical.kind == NJE_SRCB_NJH)
            (void)nje_job_decode(logical.bytes, &job, &err); /* the facts have said so */
        else if (logical.kind == NJE_SRCB_DSH && datasets++ > 0 &&
                 nje_dataset_decode(logical.bytes, &dataset, &err) == 0) {
            buf_add_text(to, "and ");
            add_file(&job, &dataset, to);
            buf_add_u8(to, '\n');
        }
    }
    if (found == -1)
        buf_printf(to, "  and no further: %s\n", err.text);
    if (scratch.failed || text.failed)
        to->failed = true;
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
