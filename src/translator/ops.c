/* The table from numbers to functions, and the form in which two packed structures cross as one: the length of the
 * first (4 bytes, big-endian), the first, the second. The daemon wrote it, and what is inside is checked by whoever
 * unpacks it; here only the length can be wrong. */
#include "translator/ops.h"

#include "letter/translate.h"

void ops_options(struct span options, struct span resolution, struct buf *to)
{
    buf_add_u32(to, (uint32_t)options.size);
    buf_add_span(to, options);
    buf_add_span(to, resolution);
}

static int run(int op, struct span input, struct span both, struct buf *output, struct err *err)
{
    struct reader reader = reader_of(both);
    struct span options = SPAN_EMPTY;
    if (both.size > 0)
        options = reader_take(&reader, reader_u32(&reader));
    if (reader.failed)
        return err_set(err, ERR_BUG, "the options of a translation are cut off");
    switch ((enum translator_op)op) {
    case OP_HOST_FACTS:
        return translate_host_facts(input, options, output, err);
    case OP_HOST_TO_MAIL:
        return translate_host_to_mail(input, options, reader.rest, output, err);
    case OP_HOST_ACK:
        return translate_host_ack(input, options, reader.rest, output, err);
    case OP_MAIL_FACTS:
        return translate_mail_facts(input, output, err);
    case OP_MAIL_TO_HOST:
        return translate_mail_to_host(input, options, reader.rest, output, err);
    }
    return err_set(err, ERR_BUG, "there is no translation %d", op);
}

const struct translator_child ops_child = { .init = translate_init, .run = run };
