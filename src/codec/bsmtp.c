/* Batch SMTP has nobody to say 500 to: what is not understood is an error for the whole rest of the file, so that no
 * recipient is guessed, and names the line for the operator. */
#include "codec/bsmtp.h"

#include "base/mem.h"
#include "codec/date.h"
#include "codec/wrap.h"

enum { HEADER_RULE = 72, RECIPIENTS_FIRST = 8 };

static const char *const header_names[] = { "Received",   "Return-Path", "Date",     "From",        "Sender",
                                            "Reply-To",   "To",          "cc",       "bcc",         "Subject",
                                            "Message-Id", "Comments",    "X-Mailer", "Resent-From", "Mime-Version" };

static bool is_header_line(struct span line)
{
    for (size_t i = 0; i < sizeof header_names / sizeof header_names[0]; i++) {
        struct span name = span_text(header_names[i]);
        if (line.size > name.size && line.at[name.size] == ':' &&
            span_equal_nocase(span_slice(line, 0, name.size), name))
            return true;
    }
    return false;
}

static enum bsmtp_kind kind_of(struct span line)
{
    if (span_equal_nocase(span_slice(line, 0, 5), SPAN_LITERAL("HELO ")))
        return BSMTP_ENVELOPE;
    return is_header_line(line) ? BSMTP_HEADERS : BSMTP_NONE;
}

enum bsmtp_kind bsmtp_detect(const struct records *records)
{
    struct reader walk = records_walk(records);
    struct span record;
    uint8_t card[BSMTP_COLUMNS];
    (void)records_next(&walk, &record);
    return kind_of(ebcdic_peek(record, card, sizeof card));
}

int bsmtp_open(struct bsmtp *bsmtp, const struct records *records, const struct ebcdic_page *page, bool dot_stuffed,
               struct err *err)
{
    *bsmtp = (struct bsmtp){ .dot_stuffed = dot_stuffed, .helo = SPAN_EMPTY, .ticket = SPAN_EMPTY };
    struct reader walk = records_walk(records);
    struct span record;
    while (records_next(&walk, &record)) {
        bsmtp->undefined += ebcdic_to_utf8(page, span_trim_end(record, EBCDIC_BLANK), &bsmtp->text);
        buf_add_u8(&bsmtp->text, '\n');
    }
    bsmtp->recipients = mem_zero(RECIPIENTS_FIRST * sizeof *bsmtp->recipients);
    if (bsmtp->text.failed || bsmtp->recipients == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for a BSMTP file");
    bsmtp->lines = reader_of(buf_span(&bsmtp->text));
    bsmtp->kind = bsmtp_detect(records);
    if (bsmtp->kind == BSMTP_NONE)
        return err_set(err, ERR_BAD_CONTENT, "neither HELO nor a mail header in the first line");
    return 0;
}

void bsmtp_close(struct bsmtp *bsmtp)
{
    mem_free(bsmtp->recipients);
    buf_free(&bsmtp->data);
    buf_free(&bsmtp->text);
    bsmtp->recipients = NULL;
}

/* The rest of the line after a command, in any case; false where the line has another one. */
static bool command(struct span line, const char *name, struct span *rest_r)
{
    size_t size = strlen(name);
    struct span rest = span_slice(line, size, SIZE_MAX);
    bool joined = size > 0 && name[size - 1] == ':';
    if (!span_equal_nocase(span_slice(line, 0, size), span_text(name)) ||
        (!joined && rest.size > 0 && rest.at[0] != ' '))
        return false;
    *rest_r = span_trim(rest);
    return true;
}

/* `<@a,@b:user@c> PARAMETER` -> user@c (RFC 5321 §4.1.2; source routes are dropped) */
static struct span path_of(struct span rest)
{
    if (rest.size > 0 && rest.at[0] == '<') {
        rest = span_slice(rest, 1, SIZE_MAX);
        rest = span_slice(rest, 0, span_find(rest, '>'));
    } else {
        rest = span_slice(rest, 0, span_find(rest, ' '));
    }
    if (rest.size > 0 && rest.at[0] == '@') {
        size_t colon = span_find(rest, ':');
        if (colon < rest.size)
            rest = span_slice(rest, colon + 1, SIZE_MAX);
    }
    return span_trim(rest);
}

/* Bytes that no address has, and that would make another line of it on its way. */
static bool is_path(struct span path)
{
    for (size_t i = 0; i < path.size; i++)
        if (path.at[i] < 0x20 || path.at[i] == 0x7F || path.at[i] == '<' || path.at[i] == '>')
            return false;
    return true;
}

static int add_recipient(struct bsmtp *bsmtp, struct span path, size_t *count, struct err *err)
{
    if (*count == BSMTP_RECIPIENTS_MAX)
        return err_set(err, ERR_TOO_MANY, "line %zu: more than %d recipients", bsmtp->line_number,
                       BSMTP_RECIPIENTS_MAX);
    if (path.size == 0 || !is_path(path))
        return err_set(err, ERR_BAD_CONTENT, "line %zu: RCPT without an address", bsmtp->line_number);
    bool full = *count >= RECIPIENTS_FIRST && (*count & (*count - 1)) == 0; /* at 8, 16, 32 ... */
    if (full) {
        struct span *more = mem_realloc(bsmtp->recipients, 2 * *count * sizeof *more);
        if (more == NULL)
            return err_set(err, ERR_NO_MEMORY, "no memory for recipients");
        bsmtp->recipients = more;
    }
    bsmtp->recipients[(*count)++] = path;
    return 0;
}

static struct span next_line(struct bsmtp *bsmtp)
{
    bsmtp->line_number++;
    return reader_until(&bsmtp->lines, '\n');
}

/* The lines to the `.`; -1 where there is none. */
static int take_data(struct bsmtp *bsmtp, struct err *err)
{
    size_t begin = bsmtp->line_number;
    buf_clear(&bsmtp->data);
    while (!reader_at_end(&bsmtp->lines)) {
        struct span line = next_line(bsmtp);
        if (span_equal(line, SPAN_LITERAL(".")))
            return bsmtp->data.failed ? err_set(err, ERR_NO_MEMORY, "no memory for a BSMTP message") : 0;
        if (bsmtp->dot_stuffed && line.size > 0 && line.at[0] == '.')
            line = span_slice(line, 1, SIZE_MAX);
        buf_add_span(&bsmtp->data, line);
        buf_add_u8(&bsmtp->data, '\n');
    }
    return err_set(err, ERR_BAD_CONTENT, "DATA of line %zu does not end: there is no line with a single dot", begin);
}

/* A message without envelope: all of it. */
static int take_headers(struct bsmtp *bsmtp, struct bsmtp_message *message, struct err *err)
{
    if (reader_at_end(&bsmtp->lines))
        return 0;
    bool header = true;
    while (!reader_at_end(&bsmtp->lines)) {
        struct span line = next_line(bsmtp);
        /* RiceMAIL may end the header with a line of '=' */
        size_t equals = 0;
        while (equals < line.size && line.at[equals] == '=')
            equals++;
        if (header && equals == line.size && equals >= HEADER_RULE)
            line = SPAN_EMPTY;
        header = header && line.size > 0;
        buf_add_span(&bsmtp->data, line);
        buf_add_u8(&bsmtp->data, '\n');
    }
    if (bsmtp->data.failed)
        return err_set(err, ERR_NO_MEMORY, "no memory for a message");
    message->data = buf_span(&bsmtp->data);
    return 1;
}

int bsmtp_next(struct bsmtp *bsmtp, struct bsmtp_message *message_r, struct err *err)
{
    *message_r = (struct bsmtp_message){ .from = SPAN_EMPTY, .data = SPAN_EMPTY };
    if (bsmtp->kind == BSMTP_HEADERS)
        return take_headers(bsmtp, message_r, err);
    bool mail = false;
    while (!reader_at_end(&bsmtp->lines)) {
        struct span line = span_trim(next_line(bsmtp));
        struct span rest;
        if (line.size == 0 || command(line, "NOOP", &rest))
            continue;
        if (command(line, "HELO", &rest)) {
            bsmtp->helo = rest;
        } else if (command(line, "VERB", &rest)) {
            bsmtp->verbose = span_equal_nocase(rest, SPAN_LITERAL("ON"));
        } else if (command(line, "TICK", &rest)) {
            bsmtp->ticket = rest;
        } else if (command(line, "MAIL FROM:", &rest)) {
            mail = true;
            message_r->from = path_of(rest);
            message_r->recipient_count = 0;
            if (!is_path(message_r->from))
                return err_set(err, ERR_BAD_CONTENT, "line %zu: MAIL without an address", bsmtp->line_number);
        } else if (command(line, "RSET", &rest)) {
            mail = false;
        } else if (command(line, "RCPT TO:", &rest) && mail) {
            if (add_recipient(bsmtp, path_of(rest), &message_r->recipient_count, err) != 0)
                return -1;
        } else if (command(line, "DATA", &rest) && mail && message_r->recipient_count > 0) {
            if (take_data(bsmtp, err) != 0)
                return -1;
            message_r->has_envelope = true;
            message_r->recipients = bsmtp->recipients;
            message_r->data = buf_span(&bsmtp->data);
            return 1;
        } else if (command(line, "QUIT", &rest)) {
            break;
        } else {
            char shown[64];
            span_to_text(line, shown, sizeof shown);
            return err_set(err, ERR_BAD_CONTENT, "line %zu: \"%s\" is no BSMTP command here", bsmtp->line_number,
                           shown);
        }
    }
    if (mail)
        return err_set(err, ERR_BAD_CONTENT, "line %zu: MAIL FROM without DATA", bsmtp->line_number);
    bsmtp->lines = reader_of(SPAN_EMPTY); /* what follows QUIT is not ours */
    return 0;
}

/* --- making --- */
struct building {
    const struct ebcdic_page *page;
    struct records *cards;
    size_t substituted;
};

/* One line of at most 80 columns; false where it is longer (it is cut then where `cut`, left out otherwise). */
static bool add_line(struct building *building, const char *label, struct span value, const char *end, bool cut)
{
    struct buf text = { 0 };
    struct buf line = { 0 };
    size_t substituted = 0;
    buf_add_text(&text, label);
    buf_add_span(&text, value);
    buf_add_text(&text, end);
    wrap_line(building->page, buf_span(&text), &line, &substituted);
    bool fits = line.size <= BSMTP_COLUMNS;
    if (fits || cut) {
        records_add(building->cards, span_slice(buf_span(&line), 0, BSMTP_COLUMNS));
        building->substituted += substituted;
    }
    building->cards->bytes.failed |= text.failed || line.failed;
    buf_free(&text);
    buf_free(&line);
    return fits;
}

static int add_address(struct building *building, const char *label, struct span address, const char *end,
                       struct err *err)
{
    if (is_path(address) && add_line(building, label, address, end, false))
        return 0;
    char shown[64];
    span_to_text(address, shown, sizeof shown);
    return err_set(err, ERR_BAD_ADDRESS, "\"%s\" cannot stand in %d columns of BSMTP", shown, BSMTP_COLUMNS);
}

static int finish(const struct building *building, size_t *substituted_r, struct err *err)
{
    if (substituted_r != NULL)
        *substituted_r = building->substituted;
    return building->cards->bytes.failed ? err_set(err, ERR_NO_MEMORY, "no memory for BSMTP cards") : 0;
}

static void add_text_ce(struct building *building, struct span text, size_t margin)
{
    struct wrap wrap = { .page = building->page, .width = wrap_margin(margin), .quoted_width = BSMTP_COLUMNS };
    struct records lines = { .count = 0 };
    size_t substituted = 0;
    wrap_text(&wrap, text, &lines, &substituted);
    building->substituted += substituted;
    struct reader walk = records_walk(&lines);
    struct span line;
    while (records_next(&walk, &line)) {
        if (line.size == 1 && line.at[0] == latin1_to_ebcdic_037['.'])
            records_add_controlled(building->cards, EBCDIC_BLANK, line);
        else
            records_add(building->cards, line);
    }
    building->cards->bytes.failed |= lines.bytes.failed;
    records_free(&lines);
}

int bsmtp_build_ce(const struct bsmtp_letter *letter, const struct ebcdic_page *page, struct records *cards,
                   size_t *substituted_r, struct err *err)
{
    struct building building = { .page = page, .cards = cards };
    (void)add_line(&building, "HELO ", span_text(letter->node.text), "", true);
    if (add_address(&building, "MAIL FROM:<", letter->sender, ">", err) != 0 ||
        add_address(&building, "RCPT TO:<", letter->recipient, ">", err) != 0)
        return -1;
    (void)add_line(&building, "DATA", SPAN_EMPTY, "", true);
    if (letter->message_id.size > 0)
        (void)add_line(&building, "Message-Id: ", letter->message_id, "", false);
    struct buf date = { 0 };
    date_format_short(letter->date_us, &date);
    (void)add_line(&building, "Date: ", buf_span(&date), "", true);
    cards->bytes.failed |= date.failed;
    buf_free(&date);
    if (add_address(&building, "From: ", letter->from, "", err) != 0 ||
        add_address(&building, "To: ", letter->recipient, "", err) != 0)
        return -1;
    bool whole = add_line(&building, "Subject: ", letter->subject, "", true);
    add_text_ce(&building, SPAN_LITERAL("\n"), letter->margin);
    if (!whole)
        add_text_ce(&building, letter->subject, letter->margin);
    add_text_ce(&building, letter->text, letter->margin);
    (void)add_line(&building, ".", SPAN_EMPTY, "", true);
    return finish(&building, substituted_r, err);
}

int bsmtp_build(struct name8 node, struct span sender, const struct span *recipients, size_t recipient_count,
                struct span message, const struct ebcdic_page *page, struct records *cards, size_t *substituted_r,
                struct err *err)
{
    struct building building = { .page = page, .cards = cards };
    (void)add_line(&building, "HELO ", span_text(node.text), "", true);
    if (add_address(&building, "MAIL FROM:<", sender, ">", err) != 0)
        return -1;
    for (size_t i = 0; i < recipient_count; i++)
        if (add_address(&building, "RCPT TO:<", recipients[i], ">", err) != 0)
            return -1;
    (void)add_line(&building, "DATA", SPAN_EMPTY, "", true);
    struct reader lines = reader_of(message);
    struct buf host = { 0 };
    while (!reader_at_end(&lines)) {
        struct span line = span_trim_end(reader_until(&lines, '\n'), '\r');
        size_t substituted = 0;
        buf_clear(&host);
        if (line.size > 0 && line.at[0] == '.')
            buf_add_u8(&host, latin1_to_ebcdic_037['.']);
        utf8_to_ebcdic(page, line.size > 0 ? line : SPAN_LITERAL(" "), &host, &substituted);
        building.substituted += substituted;
        records_add(cards, buf_span(&host));
        cards->bytes.failed |= host.failed;
    }
    buf_free(&host);
    (void)add_line(&building, ".", SPAN_EMPTY, "", true);
    (void)add_line(&building, "QUIT", SPAN_EMPTY, "", true);
    return finish(&building, substituted_r, err);
}
