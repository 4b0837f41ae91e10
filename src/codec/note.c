/* CMS NOTE text is for eyes; programs imitate it with variations. So labels are matched without case, dates in any
 * form, and whatever is not understood stays where the user can read it. */
#include "codec/note.h"

#include "codec/wrap.h"

enum { FROM_COLUMNS = 8 };

struct parsing {
    struct note *note;
    enum { LABEL_NONE, LABEL_FROM, LABEL_TO, LABEL_CC, LABEL_OTHER } last; /* what an indented line goes on with */
};

static bool is_blank_line(struct span line)
{
    return span_trim(line).size == 0;
}

/* Takes a word of name characters off the front. */
static struct span take_word(struct span *text)
{
    size_t size = 0;
    while (size < text->size && strchr(" \t,;@()<>", text->at[size]) == NULL && text->at[size] != '\0')
        size++;
    struct span word = span_slice(*text, 0, size);
    *text = span_slice(*text, size, SIZE_MAX);
    return word;
}

static struct span skip_blanks(struct span text)
{
    while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = span_slice(text, 1, SIZE_MAX);
    return text;
}

static bool take_byte(struct span *text, char byte)
{
    if (text->size == 0 || text->at[0] != (uint8_t)byte)
        return false;
    *text = span_slice(*text, 1, SIZE_MAX);
    return true;
}

/* The user and node words of one of the four forms. */
static bool split_address(struct span *rest, struct span *user_r, struct span *node_r)
{
    struct span first = take_word(rest);
    if (take_byte(rest, '(')) {
        *node_r = first;
        *user_r = take_word(rest);
        return take_byte(rest, ')');
    }
    *user_r = first;
    if (take_byte(rest, '@')) {
        *node_r = take_word(rest);
        return true;
    }
    /* USER--NODE or USER -NODE: the hyphens belong to neither (Q107105, Q115457) */
    for (size_t hyphen = 1; hyphen + 2 < first.size; hyphen++) {
        if (first.at[hyphen] != '-' || first.at[hyphen + 1] != '-' || first.at[hyphen + 2] == '-')
            continue; /* a user id may end in a hyphen, a node does not begin with one */
        *user_r = span_slice(first, 0, hyphen);
        *node_r = span_slice(first, hyphen + 2, SIZE_MAX);
        return true;
    }
    struct span after = skip_blanks(*rest);
    if (after.size > 0 && after.at[0] == '-') {
        after = span_slice(after, 1, SIZE_MAX);
        (void)take_byte(&after, '-');
        *node_r = take_word(&after);
        *rest = after;
        return true;
    }
    struct span at = take_word(&after);
    after = skip_blanks(after);
    *node_r = take_word(&after);
    *rest = after;
    return span_equal_nocase(at, SPAN_LITERAL("at"));
}

bool note_address_parse(struct span *text, struct note_address *address_r)
{
    *address_r = (struct note_address){ .user = { .text = "" } };
    struct span rest = skip_blanks(*text);
    struct span user = SPAN_EMPTY;
    struct span node = SPAN_EMPTY;
    if (!split_address(&rest, &user, &node) || (node.size > 0 && node.at[0] == '-') ||
        name8_parse(user, "user id", &address_r->user, NULL) != 0 ||
        name8_parse(node, "node", &address_r->node, NULL) != 0) {
        *address_r = (struct note_address){ .user = { .text = "" } };
        return false;
    }
    *text = rest;
    return true;
}

static struct span skip_separators(struct span text)
{
    while (text.size > 0 && strchr(" \t,;", text.at[0]) != NULL && text.at[0] != '\0')
        text = span_slice(text, 1, SIZE_MAX);
    return text;
}

/* All addresses of a To: or cc: line; false where something else stands among them. */
static bool take_recipients(struct span value, struct note_address *list, size_t *count)
{
    for (value = skip_separators(value); value.size > 0; value = skip_separators(value)) {
        struct note_address address;
        if (*count == NOTE_RECIPIENTS_MAX || !note_address_parse(&value, &address))
            return false;
        list[(*count)++] = address;
    }
    return true;
}

static bool take_from(struct note *note, struct span value)
{
    struct note_address address;
    if (note->has_from || !note_address_parse(&value, &address))
        return false;
    note->has_from = true;
    note->from = address;
    return span_trim(value).size == 0;
}

/* The value after `label` and a colon; false where the line has another label. */
static bool labelled(struct span line, const char *label, struct span *value_r)
{
    size_t size = strlen(label);
    if (!span_equal_nocase(span_slice(line, 0, size), span_text(label)) || line.size <= size || line.at[size] != ':')
        return false;
    *value_r = span_trim(span_slice(line, size + 1, SIZE_MAX));
    return true;
}

/* One line of the header block; false where it is not understood. */
static bool take_header_line(struct parsing *parsing, struct span line)
{
    struct note *note = parsing->note;
    struct span value;
    if (line.at[0] == ' ' || line.at[0] == '\t') {
        if (parsing->last == LABEL_TO)
            return take_recipients(line, note->to, &note->to_count);
        return parsing->last == LABEL_CC && take_recipients(line, note->cc, &note->cc_count);
    }
    parsing->last = LABEL_OTHER;
    if (labelled(line, "Date", &value)) {
        struct date date;
        if (note->has_date || date_parse(value, &date, NULL) != 0)
            return false;
        note->has_date = true;
        note->date = date;
        return true;
    }
    if (labelled(line, "From", &value)) {
        parsing->last = LABEL_FROM;
        return take_from(note, value);
    }
    if (labelled(line, "To", &value)) {
        parsing->last = LABEL_TO;
        return take_recipients(value, note->to, &note->to_count);
    }
    if (labelled(line, "cc", &value)) {
        parsing->last = LABEL_CC;
        return take_recipients(value, note->cc, &note->cc_count);
    }
    if (labelled(line, "Subject", &value) && note->subject.size == 0) {
        note->subject = value;
        return true;
    }
    return false;
}

static bool is_label(struct span line)
{
    static const char *const labels[] = { "Date", "From", "To", "cc", "Subject" };
    struct span value;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (labelled(line, labels[i], &value))
            return true;
    return false;
}

/* Drops what the edit screen of NOTE shows above the header: `OPTIONS: NOACK LOG ...` and blank lines after it. */
static void drop_options(struct reader *lines)
{
    struct reader look = *lines;
    struct span value;
    if (!labelled(reader_until(&look, '\n'), "OPTIONS", &value))
        return;
    *lines = look;
    while (!reader_at_end(&look) && is_blank_line(reader_until(&look, '\n')))
        *lines = look;
}

static void parse_header(struct note *note, struct reader *lines)
{
    struct parsing parsing = { .note = note, .last = LABEL_NONE };
    struct span start = lines->rest;
    struct reader look = *lines;
    note->understood = true;
    if (!is_label(reader_until(&look, '\n')))
        return; /* no header at all: the text begins here */
    while (!reader_at_end(lines)) {
        struct span line = reader_until(lines, '\n');
        if (is_blank_line(line))
            break;
        note->header = span_slice(start, 0, start.size - lines->rest.size);
        note->understood &= take_header_line(&parsing, line);
    }
    note->body = note->understood ? lines->rest : start;
}

/* `Subject:` typed as the first line of the text, as hosts without such a field teach their users. */
static void parse_typed_subject(struct note *note)
{
    struct reader lines = reader_of(note->body);
    struct span value = SPAN_EMPTY;
    struct span line = SPAN_EMPTY;
    while (!reader_at_end(&lines) && is_blank_line(line))
        line = reader_until(&lines, '\n');
    if (note->subject.size == 0 && note->understood && labelled(line, "Subject", &value)) {
        note->subject = value;
        note->body = lines.rest;
    }
}

static void parse_reply(struct note *note)
{
    static const char mark[] = "*** Reply to note of ";
    struct reader lines = reader_of(note->body);
    for (int i = 0; i < NOTE_REPLY_LINES && !reader_at_end(&lines); i++) {
        struct span line = reader_until(&lines, '\n');
        if (!span_equal_nocase(span_slice(line, 0, sizeof mark - 1), SPAN_LITERAL(mark)))
            continue;
        note->is_reply = true;
        if (date_parse(span_slice(line, sizeof mark - 1, SIZE_MAX), &note->reply_date, NULL) != 0)
            note->reply_date = (struct date){ .us = 0 };
        return;
    }
}

static struct span trim_blank_lines(struct span body)
{
    /* at the front: the line between header and text; at the end: the last empty record of every note */
    struct reader lines = reader_of(body);
    while (!reader_at_end(&lines) && is_blank_line(reader_until(&lines, '\n')))
        body = lines.rest;
    while (body.size > 0 && strchr(" \t\n", body.at[body.size - 1]) != NULL && body.at[body.size - 1] != '\0')
        body.size--;
    return body;
}

int note_parse(const struct records *lines, const struct ebcdic_page *page, struct note *note_r, struct err *err)
{
    *note_r = (struct note){ .header = SPAN_EMPTY, .body = SPAN_EMPTY, .subject = SPAN_EMPTY };
    struct reader walk = records_walk(lines);
    struct span record;
    while (records_next(&walk, &record)) {
        note_r->undefined += ebcdic_to_utf8(page, span_trim_end(record, EBCDIC_BLANK), &note_r->text);
        buf_add_u8(&note_r->text, '\n');
    }
    if (note_r->text.failed)
        return err_set(err, ERR_NO_MEMORY, "no memory for a note");
    struct reader text = reader_of(buf_span(&note_r->text));
    drop_options(&text);
    note_r->body = text.rest;
    parse_header(note_r, &text);
    parse_typed_subject(note_r);
    note_r->body = trim_blank_lines(note_r->body);
    parse_reply(note_r);
    return 0;
}

void note_release(struct note *note)
{
    buf_free(&note->text);
    *note = (struct note){ .header = SPAN_EMPTY, .body = SPAN_EMPTY, .subject = SPAN_EMPTY };
}

/* A line of our own words and names, all in the invariant set; control characters and what the page lacks aside. */
static size_t add_line(const struct ebcdic_page *page, const struct buf *text, struct records *lines)
{
    struct buf line = { 0 };
    size_t substituted = 0;
    wrap_line(page, buf_span(text), &line, &substituted);
    records_add(lines, span_slice(buf_span(&line), 0, NOTE_LINE_MAX));
    lines->bytes.failed |= text->failed || line.failed;
    buf_free(&line);
    return substituted;
}

/* Columns that a text takes on the host. */
static size_t width_of(const struct ebcdic_page *page, const struct buf *text)
{
    struct buf line = { 0 };
    wrap_line(page, buf_span(text), &line, NULL);
    size_t width = line.size;
    buf_free(&line);
    return width;
}

/* A name or subject with a line end in it must not make a line of its own. */
static void add_words(struct buf *line, struct span words)
{
    for (size_t i = 0; i < words.size; i++)
        buf_add_u8(line, words.at[i] < 0x20 ? ' ' : words.at[i]);
}

static size_t add_text(const struct wrap *wrap, struct span text, struct records *lines)
{
    size_t substituted = 0;
    wrap_text(wrap, text, lines, &substituted);
    return substituted;
}

void note_build(const struct note_letter *letter, const struct ebcdic_page *page, struct records *lines,
                size_t *substituted_r)
{
    struct wrap wrap = {
        .page = page, .width = wrap_margin(letter->margin), .quoted_width = NOTE_LINE_MAX, .break_equals = true
    };
    struct buf line = { 0 };
    size_t substituted = 0;
    buf_add_text(&line, "Date: ");
    date_format_note(letter->time_us, &line);
    substituted += add_line(page, &line, lines);
    buf_clear(&line);
    buf_printf(&line, "From: %-*s at %s", FROM_COLUMNS, letter->from.user.text, letter->from.node.text);
    substituted += add_line(page, &line, lines);
    buf_clear(&line);
    buf_printf(&line, "To:   %s at %s", letter->to.user.text, letter->to.node.text);
    substituted += add_line(page, &line, lines);
    bool cut = false;
    if (letter->subject.size > 0) {
        buf_clear(&line);
        buf_add_text(&line, "Subject: ");
        add_words(&line, letter->subject);
        cut = width_of(page, &line) > NOTE_LINE_MAX;
        substituted += add_line(page, &line, lines);
    }
    substituted += add_text(&wrap, SPAN_LITERAL("\n"), lines);
    if (letter->address.size > 0) {
        buf_clear(&line);
        buf_add_u8(&line, '(');
        add_words(&line, letter->name);
        buf_add_text(&line, letter->name.size > 0 ? " <" : "<");
        add_words(&line, letter->address);
        buf_add_text(&line, ">)");
        substituted += add_text(&wrap, buf_span(&line), lines);
    }
    if (cut) {
        buf_clear(&line);
        buf_add_text(&line, "Subject: ");
        add_words(&line, letter->subject);
        substituted += add_text(&wrap, buf_span(&line), lines);
    }
    substituted += add_text(&wrap, letter->text, lines);
    if (substituted_r != NULL)
        *substituted_r = substituted;
    buf_free(&line);
}
