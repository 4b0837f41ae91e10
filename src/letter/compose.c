/* Names and subjects come from hosts and from people: they become encoded words or quoted strings here, never bare
 * header text, so that nothing in them can begin a line or an address. */
#include "letter/compose.h"

#include "base/utf8.h"
#include "codec/date.h"
#include "codec/ebcdic.h"

#include <stdio.h>

enum {
    ENCODED_WORD_BYTES = 42, /* of UTF-8 in one encoded word: 75 columns in base64, RFC 2047 §2 */
    WORD_MAX = 70,           /* a longer word in a subject is encoded, so that it can be folded */
    QP_COLUMNS = 75,
    BASE64_BYTES = 57 /* a line of 76 columns */
};

static const char boundary_mark[] = "=_ovvm_";

static void add_base64(struct span bytes, struct buf *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        struct span three = span_slice(bytes, at, 3);
        uint32_t bits = (uint32_t)three.at[0] << 16;
        bits |= three.size > 1 ? (uint32_t)three.at[1] << 8 : 0;
        bits |= three.size > 2 ? three.at[2] : 0;
        buf_add_u8(to, (uint8_t)digits[bits >> 18 & 63]);
        buf_add_u8(to, (uint8_t)digits[bits >> 12 & 63]);
        buf_add_u8(to, three.size > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=');
        buf_add_u8(to, three.size > 2 ? (uint8_t)digits[bits & 63] : '=');
    }
}

/* --- header --- */

struct field {
    struct buf *to;
    size_t column;
};

static struct field field_begin(struct buf *to, const char *name)
{
    buf_add_text(to, name);
    buf_add_u8(to, ':');
    return (struct field){ .to = to, .column = strlen(name) + 1 };
}

/* A word that is not broken; the line is folded before it where it does not fit. */
static void field_word(struct field *field, struct span word)
{
    if (field->column + 1 + word.size > COMPOSE_COLUMNS && field->column > 1) {
        buf_add_text(field->to, "\r\n");
        field->column = 0;
    }
    buf_add_u8(field->to, ' ');
    buf_add_span(field->to, word);
    field->column += 1 + word.size;
}

static void field_end(struct field *field)
{
    buf_add_text(field->to, "\r\n");
}

static void add_field(struct buf *to, const char *name, struct span value)
{
    struct field field = field_begin(to, name);
    field_word(&field, value);
    field_end(&field);
}

static bool is_plain(struct span text)
{
    size_t word = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < 0x20 || text.at[i] >= 0x7F)
            return false;
        word = text.at[i] == ' ' ? 0 : word + 1;
        if (word > WORD_MAX || (text.at[i] == '=' && i + 1 < text.size && text.at[i + 1] == '?'))
            return false;
    }
    /* blanks that folding would lose */
    return text.size == 0 || (text.at[0] != ' ' && text.at[text.size - 1] != ' ');
}

static void encoded_words(struct field *field, struct span text)
{
    struct buf word = { 0 };
    while (text.size > 0) {
        struct span rest = text;
        while (rest.size > 0 && text.size - rest.size < ENCODED_WORD_BYTES)
            (void)utf8_next(&rest);
        buf_clear(&word);
        buf_add_text(&word, "=?utf-8?B?");
        add_base64(span_slice(text, 0, text.size - rest.size), &word);
        buf_add_text(&word, "?=");
        field_word(field, buf_span(&word));
        field->to->failed |= word.failed;
        text = rest;
    }
    buf_free(&word);
}

static void unstructured(struct field *field, struct span text)
{
    if (!is_plain(text)) {
        encoded_words(field, text);
        return;
    }
    struct reader words = reader_of(text);
    while (!reader_at_end(&words)) {
        /* blanks between words stay: folding takes one only */
        size_t blanks = 0;
        while (blanks < words.rest.size && words.rest.at[blanks] == ' ')
            blanks++;
        size_t size = blanks + span_find(span_slice(words.rest, blanks, SIZE_MAX), ' ');
        field_word(field, reader_take(&words, size));
        reader_skip(&words, words.rest.size > 0 ? 1 : 0);
    }
}

/* A display name: atoms as they are, else a quoted string, else encoded words. */
static void phrase(struct field *field, struct span name)
{
    bool atoms = true;
    for (size_t i = 0; i < name.size; i++)
        atoms &= name.at[i] == ' ' || (name.at[i] > ' ' && strchr("()<>[]:;@\\,.\"", name.at[i]) == NULL);
    if (!is_plain(name)) {
        encoded_words(field, name);
    } else if (atoms) {
        unstructured(field, name);
    } else {
        struct buf quoted = { 0 };
        buf_add_u8(&quoted, '"');
        for (size_t i = 0; i < name.size; i++) {
            if (name.at[i] == '"' || name.at[i] == '\\')
                buf_add_u8(&quoted, '\\');
            buf_add_u8(&quoted, name.at[i]);
        }
        buf_add_u8(&quoted, '"');
        unstructured(field, buf_span(&quoted));
        field->to->failed |= quoted.failed;
        buf_free(&quoted);
    }
}

static void add_addresses(struct buf *to, const char *name, const struct compose_address *list, size_t count)
{
    struct field field = field_begin(to, name);
    struct buf word = { 0 };
    for (size_t i = 0; i < count; i++) {
        buf_clear(&word);
        if (list[i].name.size > 0)
            phrase(&field, list[i].name);
        buf_add_u8(&word, '<');
        buf_add_span(&word, list[i].address);
        buf_add_u8(&word, '>');
        if (i + 1 < count)
            buf_add_u8(&word, ',');
        field_word(&field, buf_span(&word));
    }
    field_end(&field);
    to->failed |= word.failed;
    buf_free(&word);
}

static void add_ids(struct buf *to, const struct compose *compose, size_t line_max)
{
    if (compose->message_id.size > 0 && compose->message_id.size + strlen("Message-ID: ") <= line_max)
        add_field(to, "Message-ID", compose->message_id);
    if (compose->in_reply_to.size > 0 && compose->in_reply_to.size + strlen("In-Reply-To: ") <= line_max)
        add_field(to, "In-Reply-To", compose->in_reply_to);
    if (compose->reference_count == 0)
        return;
    struct field field = field_begin(to, "References");
    for (size_t i = 0; i < compose->reference_count; i++)
        if (compose->references[i].size < line_max)
            field_word(&field, compose->references[i]);
    field_end(&field);
}

static void add_header(const struct letter *letter, const struct compose *compose, size_t line_max, struct buf *to)
{
    struct buf date = { 0 };
    date_format_mail(compose->date_us, compose->zone_minutes, &date);
    add_field(to, "Date", buf_span(&date));
    to->failed |= date.failed;
    buf_free(&date);
    add_addresses(to, "From", compose->from, compose->from_count);
    if (compose->reply_to.size > 0) {
        struct compose_address reply_to = { .name = SPAN_EMPTY, .address = compose->reply_to };
        add_addresses(to, "Reply-To", &reply_to, 1);
    }
    add_addresses(to, "To", compose->to, compose->to_count);
    if (compose->cc_count > 0)
        add_addresses(to, "Cc", compose->cc, compose->cc_count);
    if (letter->head.subject.size > 0) {
        struct field field = field_begin(to, "Subject");
        unstructured(&field, letter->head.subject);
        field_end(&field);
    }
    add_ids(to, compose, line_max);
    if (compose->receipt_to.size > 0) {
        struct compose_address receipt_to = { .name = SPAN_EMPTY, .address = compose->receipt_to };
        add_addresses(to, "Disposition-Notification-To", &receipt_to, 1);
    }
    if (letter->head.auto_submitted)
        add_field(to, "Auto-Submitted", SPAN_LITERAL("auto-generated"));
    buf_add_text(to, "MIME-Version: 1.0\r\n");
}

/* --- body --- */

/* May this text go as it is? Not where a line is too long, ends in a blank, or could be taken for a boundary or, in
 * mailboxes, for a new letter. */
static bool fits_7bit(struct span text, size_t line_max)
{
    struct reader lines = reader_of(text);
    while (!reader_at_end(&lines)) {
        struct span line = reader_until(&lines, '\n');
        for (size_t i = 0; i < line.size; i++)
            if (line.at[i] >= 0x7F || (line.at[i] < 0x20 && line.at[i] != '\t' && line.at[i] != '\f'))
                return false;
        if (line.size > line_max || span_starts_with(line, SPAN_LITERAL("From ")) ||
            span_starts_with(line, SPAN_LITERAL("--=_ovvm_")))
            return false;
    }
    return true;
}

static void add_7bit(struct span text, struct buf *to)
{
    struct reader lines = reader_of(text);
    while (!reader_at_end(&lines)) {
        buf_add_span(to, reader_until(&lines, '\n'));
        buf_add_text(to, "\r\n");
    }
}

static void add_quoted_printable(struct span text, struct buf *to)
{
    struct reader lines = reader_of(text);
    while (!reader_at_end(&lines)) {
        struct span line = reader_until(&lines, '\n');
        size_t column = 0;
        bool from = span_starts_with(line, SPAN_LITERAL("From "));
        for (size_t i = 0; i < line.size; i++) {
            uint8_t byte = line.at[i];
            bool last = i + 1 == line.size;
            bool plain = (byte > 0x20 && byte < 0x7F && byte != '=') || ((byte == ' ' || byte == '\t') && !last);
            plain &= !(i == 0 && (byte == '.' || byte == '-' || from));
            size_t size = plain ? 1 : 3;
            if (column + size > QP_COLUMNS) {
                buf_add_text(to, "=\r\n");
                column = 0;
            }
            if (plain)
                buf_add_u8(to, byte);
            else
                buf_printf(to, "=%02X", byte);
            column += size;
        }
        buf_add_text(to, "\r\n");
    }
}

static void add_base64_lines(struct span bytes, struct buf *to)
{
    for (size_t at = 0; at < bytes.size; at += BASE64_BYTES) {
        add_base64(span_slice(bytes, at, BASE64_BYTES), to);
        buf_add_text(to, "\r\n");
    }
}

static bool is_utf8_text(struct span charset)
{
    return span_equal_nocase(charset, SPAN_LITERAL("utf-8"));
}

static void add_text_part(struct span text, size_t line_max, struct buf *to)
{
    bool plain = fits_7bit(text, line_max);
    buf_printf(to, "Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
               plain ? "us-ascii" : "utf-8", plain ? "7bit" : "quoted-printable");
    if (plain)
        add_7bit(text, to);
    else
        add_quoted_printable(text, to);
}

/* `filename="x"`, or RFC 2231 where the name has other than ASCII, or does not fit. */
static void add_filename(struct span name, struct buf *to)
{
    bool plain = name.size <= WORD_MAX;
    for (size_t i = 0; i < name.size; i++)
        plain &= name.at[i] >= 0x20 && name.at[i] < 0x7F && name.at[i] != '"' && name.at[i] != '\\';
    if (plain) {
        buf_add_text(to, ";\r\n filename=\"");
        buf_add_span(to, name);
        buf_add_u8(to, '"');
        return;
    }
    enum { SECTION = 50 };
    bool sections = name.size * 3 > SECTION;
    unsigned number = 0;
    size_t column = 0;
    buf_add_text(to, sections ? ";\r\n filename*0*=utf-8''" : ";\r\n filename*=utf-8''");
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.at[i];
        bool letter = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                      byte == '.' || byte == '-' || byte == '_';
        if (sections && column >= SECTION) {
            buf_printf(to, ";\r\n filename*%u*=", ++number);
            column = 0;
        }
        if (letter)
            buf_add_u8(to, byte);
        else
            buf_printf(to, "%%%02X", byte);
        column += letter ? 1 : 3;
    }
}

/* How the file lay on the host, for those who send it back. */
static void add_description(const struct letter_part *part, struct buf *to)
{
    static const char forms[] = { '-', 'F', 'V', 'U' };
    if (part->form != LETTER_FORM_NONE)
        buf_printf(to, "Content-Description: RECFM %c LRECL %zu\r\n", forms[part->form], part->lrecl);
}

/* A media type or charset is made of these only; anything else in one would break the header. */
static bool is_token(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 0x7F || strchr("()<>@,;:\\\"[]?=", text.at[i]) != NULL)
            return false;
    return text.size > 0;
}

static void add_part(const struct letter_part *part, size_t line_max, struct buf *to)
{
    struct buf disposition = { 0 };
    buf_add_text(&disposition, "Content-Disposition: attachment");
    add_filename(part->name, &disposition);
    buf_add_text(&disposition, "\r\n");
    buf_add_span(to, buf_span(&disposition));
    to->failed |= disposition.failed;
    buf_free(&disposition);
    add_description(part, to);
    bool host_text = part->text && is_utf8_text(part->charset) && span_equal(part->type, SPAN_LITERAL("text/plain")) &&
                     span_find(part->bytes, '\r') == part->bytes.size;
    if (host_text && (part->bytes.size == 0 || part->bytes.at[part->bytes.size - 1] == '\n')) {
        add_text_part(part->bytes, line_max, to);
        return;
    }
    buf_add_text(to, "Content-Type: ");
    /* a message must not be base64 (RFC 2046 §5.2.1) */
    bool usable = is_token(part->type) && !span_starts_with(part->type, SPAN_LITERAL("message/")) &&
                  !span_starts_with(part->type, SPAN_LITERAL("multipart/"));
    buf_add_span(to, usable ? part->type : SPAN_LITERAL("application/octet-stream"));
    if (part->text && is_token(part->charset)) {
        buf_add_text(to, "; charset=");
        buf_add_span(to, part->charset);
    }
    buf_add_text(to, "\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    add_base64_lines(part->bytes, to);
}

static void add_body(const struct letter *letter, const struct compose *compose, struct buf *to)
{
    struct buf text = { 0 };
    buf_add_span(&text, compose->above);
    buf_add_span(&text, letter->body);
    if (letter->body.size > 0 && letter->body.at[letter->body.size - 1] != '\n')
        buf_add_u8(&text, '\n');
    if (letter->head.losses.size > 0) {
        buf_add_text(&text, text.size > 0 ? "\nRemarks of the mail connector:\n" : "Remarks of the mail connector:\n");
        buf_add_span(&text, letter->head.losses);
    }
    add_text_part(buf_span(&text), compose->line_max, to);
    to->failed |= text.failed;
    buf_free(&text);
}

void compose_mail(const struct letter *letter, const struct compose *given, struct buf *to)
{
    struct compose compose = *given;
    if (compose.line_max == 0)
        compose.line_max = COMPOSE_LINE_MAX;
    add_header(letter, &compose, compose.line_max, to);
    if (letter->head.part_count == 0) {
        add_body(letter, &compose, to);
        return;
    }
    /* quoted-printable and base64 cannot hold the mark, and a 7bit text with it at a line's start is not sent 7bit */
    buf_printf(to, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", boundary_mark, boundary_mark);
    add_body(letter, &compose, to);
    for (size_t i = 0; i < letter->head.part_count; i++) {
        buf_printf(to, "\r\n--%s\r\n", boundary_mark);
        add_part(&letter->parts[i], compose.line_max, to);
    }
    buf_printf(to, "\r\n--%s--\r\n", boundary_mark);
}
