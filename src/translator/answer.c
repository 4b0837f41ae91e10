/* The one place where the daemon reads bytes that a translator wrote, output apart. Every field that is not used must
 * be 0, so that an answer has one form only. What a translator may not say: that it died or was too slow (the daemon
 * knows that itself), that there is no error where it failed, or that a fault will pass, which would have its letter
 * tried for ever; only its memory may have ended. */
#include "translator/answer.h"

#include <string.h>

static int read_error(const struct child_answer *raw, struct answer *answer_r, struct err *err)
{
    if (raw->err_id == ERR_NONE || raw->err_id >= ERR_IDS || raw->err_id == ERR_TRANSLATOR_DIED ||
        raw->err_id == ERR_TRANSLATOR_TIMEOUT || raw->err_id == ERR_TRANSLATOR_MEMORY ||
        (err_family((enum err_id)raw->err_id) == ERR_FAMILY_TEMPORARY && raw->err_id != ERR_NO_MEMORY))
        return err_set(err, ERR_BUG, "it reports an error that it cannot know (%u)", (unsigned)raw->err_id);
    struct span text = span_of(raw->text, sizeof raw->text);
    answer_r->err.id = (enum err_id)raw->err_id;
    span_to_text(span_slice(text, 0, span_find(text, 0)), answer_r->err.text, sizeof answer_r->err.text);
    return 0;
}

static int read_output(const struct child_answer *raw, struct span rest, size_t fd_count,
                       const struct answer_wanted *wanted, struct answer *answer_r, struct err *err)
{
    if (raw->output_size > wanted->output_limit)
        return err_set(err, ERR_BUG, "its output of %llu bytes is larger than it may be",
                       (unsigned long long)raw->output_size);
    if (rest.size > 0 ? rest.size != raw->output_size || fd_count != 0 : fd_count != (raw->output_size > 0 ? 1 : 0))
        return err_set(err, ERR_BUG, "%zu descriptors and %zu bytes for an output of %llu bytes", fd_count, rest.size,
                       (unsigned long long)raw->output_size);
    answer_r->output = rest;
    answer_r->output_size = raw->output_size;
    return 0;
}

int answer_read(struct span packet, size_t fd_count, const struct answer_wanted *wanted, struct answer *answer_r,
                struct err *err)
{
    struct child_answer raw;
    *answer_r = (struct answer){ .output = SPAN_EMPTY, .err = ERR_CLEAR };
    if (packet.size < sizeof raw)
        return err_set(err, ERR_BUG, "an answer of %zu bytes", packet.size);
    memcpy(&raw, packet.at, sizeof raw);
    struct span rest = span_slice(packet, sizeof raw, SIZE_MAX);
    bool has_error = raw.kind == CHILD_UNFIT || raw.kind == CHILD_FAILED;
    if (wanted->ready ? raw.kind != CHILD_READY && raw.kind != CHILD_UNFIT
                      : raw.kind != CHILD_DONE && raw.kind != CHILD_FAILED)
        return err_set(err, ERR_BUG, "an answer of kind %u, which is not its turn", (unsigned)raw.kind);
    if (raw.serial != (wanted->ready ? 0 : wanted->serial) ||
        raw.generation != (wanted->ready ? 0 : wanted->generation))
        return err_set(err, ERR_BUG, "an answer to another question");
    if (raw.kind != CHILD_DONE && (raw.output_size != 0 || fd_count != 0 || rest.size != 0))
        return err_set(err, ERR_BUG, "output where none belongs");
    if (!has_error && (raw.err_id != ERR_NONE || raw.text[0] != '\0'))
        return err_set(err, ERR_BUG, "an error where none belongs");
    answer_r->kind = (enum child_answer_kind)raw.kind;
    if (has_error)
        return read_error(&raw, answer_r, err);
    return raw.kind == CHILD_DONE ? read_output(&raw, rest, fd_count, wanted, answer_r, err) : 0;
}
