/* Any bytes as a command line, as a reply, as an address and as content: nothing leaves its input, nothing that was
 * accepted is outside the limits, content is the same at every cut. */
#include "smtp/address.h"
#include "smtp/content.h"
#include "smtp/parse.h"

#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void need(bool holds)
{
    if (!holds)
        abort();
}

static void command(struct span line)
{
    struct span argument;
    struct smtp_reply refusal;
    struct smtp_mail mail;
    struct span recipient;
    struct smtp_address address;
    (void)smtp_parse_verb(line, &argument);
    (void)smtp_parse_helo(argument, &refusal);
    if (smtp_parse_mail(argument, &mail, &refusal) == 0 && mail.sender.size > 0)
        need(mail.sender.size <= SMTP_PATH_MAX && smtp_address_split(mail.sender, &address));
    if (smtp_parse_rcpt(argument, &recipient, &refusal) == 0)
        need(recipient.size > 0 && recipient.size <= SMTP_PATH_MAX && smtp_address_split(recipient, &address));
    (void)smtp_address_split(line, &address);
}

static void run_content(struct span sent, size_t cut, struct buf *letter_r, enum err_id *id_r, bool *end_r)
{
    struct smtp_content content = { .max_size = 200 };
    struct buf held = { 0 };
    *end_r = false;
    for (size_t from = 0; from < sent.size && !*end_r; from += cut) {
        buf_add_span(&held, span_slice(sent, from, cut));
        struct reader in = reader_of(buf_span(&held));
        struct span piece;
        enum smtp_content_step step;
        while ((step = smtp_content_next(&content, &in, &piece)) == SMTP_CONTENT_PIECE) {
            need(piece.size >= 2 && piece.at[piece.size - 1] == '\n' && piece.at[piece.size - 2] == '\r');
            buf_add_span(letter_r, piece);
        }
        *end_r = step == SMTP_CONTENT_END;
        buf_drop_front(&held, held.size - in.rest.size);
    }
    *id_r = content.err.id;
    buf_free(&held);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct span all = span_of(at, size);
    struct reader lines = reader_of(all);
    struct smtp_reply reply = { 0 };
    while (!reader_at_end(&lines)) {
        struct span line = reader_until(&lines, '\n');
        command(line);
        if (smtp_reply_add(&reply, line) != SMTP_REPLY_MORE)
            reply = (struct smtp_reply){ 0 };
    }
    struct buf whole = { 0 };
    struct buf bytewise = { 0 };
    enum err_id whole_id;
    enum err_id bytewise_id;
    bool whole_end;
    bool bytewise_end;
    run_content(all, size + 1, &whole, &whole_id, &whole_end);
    run_content(all, 1, &bytewise, &bytewise_id, &bytewise_end);
    need(whole_end == bytewise_end && (whole_id == ERR_NONE) == (bytewise_id == ERR_NONE));
    if (whole_id == ERR_NONE)
        need(span_equal(buf_span(&whole), buf_span(&bytewise)));
    buf_free(&whole);
    buf_free(&bytewise);
    return 0;
}
