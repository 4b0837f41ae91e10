/* Notes and letters as plain text. What this translation does not understand (MIME, NETDATA) passes as the text it is;
 * nothing is dropped. Host text is code page 037, letters are UTF-8. */
#include "gateway/plain.h"

#include "codec/date.h"
#include "codec/ebcdic.h"
#include "nje/spoolfile.h"

#include <stdarg.h>
#include <stdio.h>

enum { CARD = 80, MAIL_LINE_MAX = 998 /* RFC 5322 §2.1.1 */ };

int plain_headers(struct span spool, bool len_counts_cc, struct nje_job *job_r, struct nje_dataset *dataset_r,
                  struct err *err)
{
    struct buf scratch = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(spool), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical record;
    bool job = false;
    int result = -1;
    int step;
    while ((step = nje_logical_next(&walk, &record, err)) == 1) {
        if (record.kind == NJE_SRCB_NJH && !job) {
            if (nje_job_decode(record.bytes, job_r, err) == -1)
                break;
            job = true;
        } else if (record.kind == NJE_SRCB_DSH) {
            result = nje_dataset_decode(record.bytes, dataset_r, err);
            break;
        }
    }
    buf_free(&scratch);
    if (step == 0)
        return err_set(err, ERR_BAD_CONTENT, "the file has no data set header");
    if (result == 0 && !job)
        return err_set(err, ERR_BAD_CONTENT, "the file has no job header");
    return result;
}

static bool same_address(struct host_address a, struct host_address b)
{
    return name8_equal(a.node, b.node) && name8_equal(a.user, b.user);
}

static int add_destination(struct span header, struct host_address *to, size_t *count, struct err *err)
{
    struct nje_dataset dataset;
    if (nje_dataset_decode(header, &dataset, err) == -1)
        return -1;
    struct host_address one = { .node = dataset.node, .user = dataset.user };
    if (name8_empty(one.node) || name8_empty(one.user))
        return err_set(err, ERR_BAD_CONTENT, "the file is addressed to no user");
    for (size_t i = 0; i < *count; i++)
        if (same_address(to[i], one))
            return 0;
    if (*count == PLAIN_DESTINATIONS_MAX)
        return err_set(err, ERR_BAD_CONTENT, "the file has more than %d destinations", PLAIN_DESTINATIONS_MAX);
    to[(*count)++] = one;
    return 0;
}

int plain_destinations(struct span spool, bool len_counts_cc, struct host_address *to_r, size_t *count_r,
                       struct err *err)
{
    struct buf scratch = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(spool), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical record;
    int step;
    int result = 0;
    *count_r = 0;
    while (result == 0 && (step = nje_logical_next(&walk, &record, err)) != 0)
        if (step == -1 || (record.kind == NJE_SRCB_DSH && add_destination(record.bytes, to_r, count_r, err) == -1))
            result = -1;
    buf_free(&scratch);
    return result;
}

/* Where a line that starts at the end of `line` may be cut: never within a character. */
static size_t line_cut(struct span line)
{
    size_t cut = line.size < MAIL_LINE_MAX ? line.size : MAIL_LINE_MAX;
    while (cut > 0 && cut < line.size && (line.at[cut] & 0xC0) == 0x80)
        cut--;
    return cut;
}

/* A record as lines of mail. What stands for a line end in it becomes one, as mail knows it; a lone CR or LF or a NUL
 * would be refused by the relay, or be taken for something else by the next one. */
static void add_mail_lines(struct span record, struct buf *text, struct buf *to)
{
    buf_clear(text);
    (void)ebcdic_to_utf8(&ebcdic_page_037, record, text);
    if (text->failed)
        to->failed = true;
    for (size_t i = 0; i < text->size; i++)
        if (text->at[i] == '\r' || text->at[i] == '\0')
            text->at[i] = ' ';
    struct reader lines = reader_of(buf_span(text));
    do {
        struct span line = reader_until(&lines, '\n');
        do {
            size_t cut = line_cut(line);
            buf_add_span(to, span_slice(line, 0, cut));
            buf_add_text(to, "\r\n");
            line = span_slice(line, cut, line.size);
        } while (line.size > 0);
    } while (!reader_at_end(&lines));
}

int plain_to_mail(struct span spool, bool len_counts_cc, const struct plain_mail *mail, struct buf *to, struct err *err)
{
    struct buf scratch = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(spool), .scratch = &scratch, .len_counts_cc = len_counts_cc };
    struct nje_logical record;
    struct buf text = { 0 };
    bool in_headers = false; /* the record before was a data set header */
    bool wanted = true;      /* the group of headers names the destination */
    buf_printf(to, "From: <%s>\r\nTo: <%s>\r\nDate: ", mail->from, mail->to);
    date_format_mail(mail->date_us, 0, to);
    buf_printf(to, "\r\nMessage-ID: <%s@%s>\r\n", mail->letter.text, mail->message_domain);
    buf_add_text(
        to, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    int step;
    while ((step = nje_logical_next(&walk, &record, err)) == 1) {
        struct nje_dataset dataset;
        if (record.kind == NJE_SRCB_DSH && nje_dataset_decode(record.bytes, &dataset, NULL) == 0)
            wanted =
                (in_headers && wanted) ||
                same_address(mail->destination, (struct host_address){ .node = dataset.node, .user = dataset.user });
        in_headers = record.kind == NJE_SRCB_DSH;
        if (record.kind == NJE_SRCB_DATA && wanted)
            add_mail_lines(span_trim_end(record.bytes, EBCDIC_BLANK), &text, to);
    }
    buf_free(&text);
    buf_free(&scratch);
    if (step == -1)
        return -1;
    return to->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a letter") : 0;
}

/* --- cards --- */

struct deck {
    struct buf *to;
    struct buf line;
    uint32_t cards;
};

/* One line of UTF-8 as one or more cards, cut at a blank where there is one. */
static void deck_line(struct deck *deck, struct span text)
{
    buf_clear(&deck->line);
    utf8_to_ebcdic(&ebcdic_page_037, text, &deck->line, NULL);
    struct span rest = span_trim_end(buf_span(&deck->line), EBCDIC_BLANK);
    do {
        size_t size = rest.size < CARD ? rest.size : CARD;
        size_t cut = size;
        while (size < rest.size && cut > CARD / 2 && rest.at[cut] != EBCDIC_BLANK)
            cut--;
        if (cut > CARD / 2)
            size = cut;
        nje_data_encode(deck->to, span_slice(rest, 0, size), CARD);
        deck->cards++;
        rest = span_slice(rest, size, rest.size);
        if (rest.size > 0 && rest.at[0] == EBCDIC_BLANK)
            rest = span_slice(rest, 1, rest.size);
    } while (rest.size > 0);
}

static void deck_printf(struct deck *deck, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void deck_printf(struct deck *deck, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    deck_line(deck, span_text(line));
}

/* The value of a header field as one line; empty where it is not there. */
static void find_field(struct span header, const char *name, char *to_r, size_t room)
{
    struct reader lines = reader_of(header);
    size_t size = 0;
    bool inside = false;
    to_r[0] = '\0';
    while (!reader_at_end(&lines)) {
        struct span line = span_trim_end(reader_until(&lines, '\n'), '\r');
        bool folded = line.size > 0 && (line.at[0] == ' ' || line.at[0] == '\t');
        if (!folded) {
            if (inside)
                return;
            size_t colon = strlen(name);
            inside = line.size > colon && line.at[colon] == ':' &&
                     span_equal_nocase(span_slice(line, 0, colon), span_text(name));
            line = inside ? span_slice(line, colon + 1, line.size) : line;
        }
        if (inside && size + 1 < room) {
            span_to_text(span_trim(line), to_r + size + (size > 0), room - size - (size > 0));
            if (size > 0)
                to_r[size] = ' ';
            size = strlen(to_r);
        }
    }
}

static struct span split_header(struct span mail, struct span *body_r)
{
    static const char end[] = "\r\n\r\n";
    for (size_t at = 0; at + sizeof end - 1 <= mail.size; at++) {
        if (memcmp(mail.at + at, end, sizeof end - 1) == 0) {
            *body_r = span_slice(mail, at + sizeof end - 1, mail.size);
            return span_slice(mail, 0, at + 2);
        }
    }
    *body_r = SPAN_EMPTY;
    return mail;
}

static int write_note(const char *subject, struct span text, const struct plain_note *note, struct buf *to,
                      struct err *err)
{
    struct nje_job job = note->job;
    struct buf cards = { 0 };
    struct deck deck = { .to = &cards };
    struct buf date = { 0 };
    date_format_note(note->date_us, &date);
    deck_printf(&deck, "Date: %.*s", (int)date.size, (const char *)date.at);
    deck_printf(&deck, "From: %-8s at %s", job.origin_user.text, job.origin_node.text);
    deck_printf(&deck, "To:   %s at %s", note->user.text, note->node.text);
    if (subject[0] != '\0')
        deck_printf(&deck, "Subject: %s", subject);
    deck_printf(&deck, "%s", "");
    if (note->sender[0] != '\0')
        deck_printf(&deck, "(%s)", note->sender);
    struct reader lines = reader_of(text);
    while (!reader_at_end(&lines))
        deck_line(&deck, span_trim_end(reader_until(&lines, '\n'), '\r'));
    job.records = deck.cards;
    struct nje_dataset dataset = {
        .node = note->node, .user = note->user, .type = "NOTE", .klass = 'A', .records = deck.cards
    };
    (void)snprintf(dataset.name, sizeof dataset.name, "%s", job.origin_user.text);
    struct nje_trailer trailer = { .punch_records = deck.cards };
    nje_job_encode(to, &job);
    nje_dataset_encode(to, &dataset);
    buf_add_span(to, buf_span(&cards));
    nje_trailer_encode(to, &trailer);
    bool failed = cards.failed || to->failed || deck.line.failed || date.failed;
    buf_free(&cards);
    buf_free(&deck.line);
    buf_free(&date);
    return failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a note") : 0;
}

int plain_to_note(struct span mail, const struct plain_note *note, struct buf *to, struct err *err)
{
    char subject[256];
    char date[128];
    struct span body;
    struct span header = split_header(mail, &body);
    struct plain_note dated = *note;
    struct date parsed;
    find_field(header, "Subject", subject, sizeof subject);
    find_field(header, "Date", date, sizeof date);
    if (date_parse(span_text(date), &parsed, NULL) == 0)
        dated.date_us = parsed.us;
    return write_note(subject, body, &dated, to, err);
}

int plain_text_note(const char *subject, struct span text, const struct plain_note *note, struct buf *to,
                    struct err *err)
{
    return write_note(subject, text, note, to, err);
}
