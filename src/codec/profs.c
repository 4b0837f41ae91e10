/* PROFS notes. The layout was never published: what is here is where independent programs agree, and reading leans on
 * as little of it as possible (the marks at both ends, words in the header), because code page tables of old gateways
 * changed the bytes around them. */
#include "codec/profs.h"

#include "codec/wrap.h"

enum {
    MARK_HEADER = 0xFE,
    MARK_TRAILER = 0xFF,
    MARK_ACK = 0x01,
    ACK_COLUMN = 79, /* counted from 0 */
    SUBJECT_COLUMN = 6,
    SUBJECT_END = 71,
    TRAILER_ZEROS = 9,
    TIME_GAP = 10,
    HEADER_RECORDS_OF_ACK = 3
};

/* --- reading --- */

static bool is_card_mark(struct span record)
{
    return record.size > 0 && (record.at[0] == MARK_HEADER || record.at[0] == MARK_TRAILER);
}

static bool starts_nocase(struct span text, const char *word)
{
    struct span start = span_text(word);
    return span_equal_nocase(span_slice(text, 0, start.size), start);
}

static struct span after_word(struct span text, const char *word)
{
    return span_slice(text, strlen(word), SIZE_MAX);
}

/* Where `word` begins in the text, in any case; text.size where it does not. */
static size_t find_word(struct span text, const char *word)
{
    for (size_t at = 0; at < text.size; at++)
        if (starts_nocase(span_slice(text, at, SIZE_MAX), word))
            return at;
    return text.size;
}

/* The text behind `MSG:FROM:`, or an empty span where this is no header. */
static struct span header_text(struct span line)
{
    /* one byte of any kind before it: X'FE', a blank, or nothing */
    for (size_t at = 0; at <= 1; at++) {
        struct span text = span_slice(line, at, SIZE_MAX);
        if (starts_nocase(text, "MSG:FROM:") || starts_nocase(text, "MSG FROM:"))
            return after_word(text, "MSG:FROM:");
    }
    struct span text = span_trim(line);
    if (starts_nocase(text, "From:") && find_word(text, "Date and Time") < text.size)
        return after_word(text, "From:");
    return SPAN_EMPTY;
}

bool profs_detect(struct span record)
{
    uint8_t card[CARD_COLUMNS];
    return header_text(ebcdic_peek(record, card, sizeof card)).size > 0;
}

static int parse_header(struct span record, struct profs_note *note, struct err *err)
{
    uint8_t card[CARD_COLUMNS];
    struct span rest = header_text(ebcdic_peek(record, card, sizeof card));
    bool good = rest.size > 0 && note_address_parse(&rest, &note->from);
    rest = span_trim(rest);
    if (good && starts_nocase(rest, "TO:")) {
        rest = after_word(rest, "TO:");
        /* the host empties a user named SYSTEM (Q221565): the envelope knows better anyhow */
        (void)note_address_parse(&rest, &note->to);
    } else if (good && starts_nocase(rest, "Date and Time")) {
        rest = after_word(rest, "Date and Time");
    }
    size_t slash = span_find(rest, '/');
    if (slash >= 2 && slash < rest.size)
        rest = span_slice(rest, slash - 2, SIZE_MAX);
    note->has_date = good && date_parse(span_trim(rest), &note->date, NULL) == 0;
    note->ack_wanted = record.size > ACK_COLUMN && record.at[ACK_COLUMN] == MARK_ACK;
    return good ? 0 : err_set(err, ERR_BAD_CONTENT, "the first record is no header of a PROFS note");
}

static void parse_trailer(struct span record, const struct ebcdic_page *page, struct profs_note *note,
                          struct buf *subject)
{
    note->has_trailer = true;
    struct span text = span_slice(record, SUBJECT_COLUMN, PROFS_SUBJECT_READ);
    text = span_slice(text, 0, span_find(text, 0x00));
    (void)ebcdic_to_utf8(page, span_trim_end(text, EBCDIC_BLANK), subject);
}

/* A text record that PROFS itself adds after the text: `[` and a host's node. What it means is not known. */
static bool is_bracket_record(const struct profs_note *note, struct span line)
{
    struct span text = span_trim(line);
    if (text.size < 2 || text.at[0] != '[')
        return false;
    struct span node = span_text(note->from.node.text);
    return node.size > 0 && starts_nocase(span_slice(text, 1, SIZE_MAX), note->from.node.text);
}

struct taking {
    size_t records;
    bool to_first; /* the first text record begins with `To:` */
    bool cut;      /* the text is over, only the trailer is looked for */
};

static void take_text(struct span record, const struct ebcdic_page *page, struct profs_note *note,
                      struct taking *taking)
{
    /* column 1 is no text, but files that were edited by hand begin there */
    if (record.size > 0 && record.at[0] == EBCDIC_BLANK)
        record = span_slice(record, 1, SIZE_MAX);
    record = span_trim_end(record, EBCDIC_BLANK);
    if (span_find(record, 0x00) < record.size)
        taking->cut = true;
    size_t begin = note->text.size;
    size_t undefined = ebcdic_to_utf8(page, record, &note->text);
    struct span line = span_slice(buf_span(&note->text), begin, SIZE_MAX);
    if (taking->records == 1)
        taking->to_first = starts_nocase(line, "To:");
    taking->cut |= is_bracket_record(note, line);
    if (taking->cut) {
        note->text.size = begin;
        return;
    }
    note->undefined += undefined;
    buf_add_u8(&note->text, '\n');
}

static bool labelled(struct span line, const char *label, struct span *value_r)
{
    if (!starts_nocase(line, label))
        return false;
    *value_r = span_trim(after_word(line, label));
    return true;
}

/* A name, up to two blanks, a semicolon or the end: one that .AT or .CT put there, unless it is that of the address
 * before it (Q214763). */
static void take_name(struct profs_note *note, struct span *value, bool cc, bool of_address)
{
    size_t size = 0;
    bool gap = false;
    while (size < value->size && value->at[size] != ';' && !gap)
        gap = ++size + 1 < value->size && value->at[size] == ' ' && value->at[size + 1] == ' ';
    struct span name = span_trim(span_slice(*value, 0, size));
    *value = span_slice(*value, size, SIZE_MAX);
    if (name.size > 0 && !of_address && note->name_count < PROFS_NAMES_MAX)
        note->names[note->name_count++] = (struct profs_name){ .name = name, .cc = cc };
}

/* False: there is more than addresses in it. */
static bool take_addresses(struct profs_note *note, struct span value, bool cc)
{
    struct note_address *list = cc ? note->text_cc : note->text_to;
    size_t *count = cc ? &note->cc_count : &note->to_count;
    bool addresses_only = true;
    bool of_address = false;
    while (value.size > 0 && *count < NOTE_RECIPIENTS_MAX) {
        struct note_address address;
        of_address = of_address && !(value.size > 1 && value.at[0] == ' ' && value.at[1] == ' ');
        value = span_trim(value);
        if (value.size == 0 || value.at[0] == ',' || value.at[0] == ';') {
            value = span_slice(value, 1, SIZE_MAX);
            of_address = false;
        } else if (note_address_parse(&value, &address)) {
            list[(*count)++] = address;
            of_address = true;
        } else {
            addresses_only = addresses_only && of_address && *count == 1; /* the full name of the one recipient */
            take_name(note, &value, cc, of_address);
            of_address = false;
        }
    }
    return addresses_only && value.size == 0;
}

/* One line at the top of the text. 1: understood; 0: not; -1: no such line, the text begins. */
static int take_top_line(struct profs_note *note, struct span line, struct span *subject)
{
    struct span value;
    if (labelled(line, "To:", &value))
        return take_addresses(note, value, false);
    if (labelled(line, "cc:", &value))
        return take_addresses(note, value, true);
    if (labelled(line, "NOTE FROM:", &value) || labelled(line, "From:", &value)) {
        note->from_text = note->from_text.size == 0 ? value : note->from_text;
        return 1;
    }
    if (labelled(line, "Subject:", &value)) {
        *subject = subject->size == 0 ? value : *subject;
        return 1;
    }
    return labelled(line, "Date:", &value) || labelled(line, "Priority:", &value) ? 0 : -1;
}

/* The lines at the top: the host's own layout has blank lines among them (Q107105). */
static struct span parse_top(struct profs_note *note)
{
    struct span subject = SPAN_EMPTY;
    struct reader lines = reader_of(buf_span(&note->text));
    struct span start = lines.rest;
    struct span after = start;
    note->understood = true;
    while (!reader_at_end(&lines)) {
        struct span line = reader_until(&lines, '\n');
        if (span_trim(line).size == 0)
            continue;
        int result = take_top_line(note, line, &subject);
        if (result < 0)
            break;
        note->understood &= result > 0;
        after = lines.rest;
        if (subject.size > 0)
            break; /* always the last one; a later `To:` is the user's text */
    }
    note->body = note->understood ? after : start;
    return subject;
}

static void trim_body(struct profs_note *note)
{
    struct reader lines = reader_of(note->body);
    while (!reader_at_end(&lines) && span_trim(reader_until(&lines, '\n')).size == 0)
        note->body = lines.rest;
    while (note->body.size > 0 &&
           (note->body.at[note->body.size - 1] == '\n' || note->body.at[note->body.size - 1] == ' '))
        note->body.size--;
}

static void parse_reply(struct profs_note *note)
{
    struct reader lines = reader_of(buf_span(&note->text));
    struct span value;
    for (int i = 0; i < PROFS_REPLY_LINES && !reader_at_end(&lines) && !note->is_reply; i++)
        if (labelled(reader_until(&lines, '\n'), "*** Reply to note of ", &value)) {
            note->is_reply = true;
            if (date_parse(value, &note->reply_date, NULL) != 0)
                note->reply_date = (struct date){ .us = 0 };
        }
}

/* Everything after the header record; the subject of the trailer goes to `subject`. */
static size_t take_records(struct reader *walk, const struct ebcdic_page *page, struct profs_note *note,
                           struct taking *taking, struct buf *subject)
{
    for (;;) {
        struct reader look = *walk;
        struct span record;
        if (!records_next(&look, &record) || (taking->records > 0 && is_card_mark(record) && profs_detect(record)))
            return taking->records;
        *walk = look;
        taking->records++;
        if (record.size >= 2 && record.at[0] == MARK_TRAILER && record.at[1] == MARK_TRAILER) {
            parse_trailer(record, page, note, subject);
            return taking->records;
        }
        taking->cut |= is_card_mark(record);
        take_text(record, page, note, taking);
    }
}

int profs_next(struct reader *walk, const struct ebcdic_page *page, struct profs_note *note_r, struct err *err)
{
    *note_r = (struct profs_note){ .subject = SPAN_EMPTY, .from_text = SPAN_EMPTY, .body = SPAN_EMPTY };
    struct span record;
    if (!records_next(walk, &record))
        return 0;
    if (parse_header(record, note_r, err) != 0)
        return -1;
    struct buf subject = { 0 };
    struct taking taking = { .records = 0 };
    size_t records = 1 + take_records(walk, page, note_r, &taking, &subject);
    /* the subject lies behind the text in the one buffer, so that both live as long as the note */
    size_t text_size = note_r->text.size;
    buf_add_span(&note_r->text, buf_span(&subject));
    note_r->text.failed |= subject.failed;
    buf_free(&subject);
    if (note_r->text.failed) {
        profs_release(note_r);
        return err_set(err, ERR_NO_MEMORY, "no memory for a PROFS note");
    }
    struct span trailer_subject = span_slice(buf_span(&note_r->text), text_size, SIZE_MAX);
    note_r->text.size = text_size;
    struct span top_subject = parse_top(note_r);
    note_r->subject = span_trim(trailer_subject).size > 0 ? span_trim(trailer_subject) : top_subject;
    note_r->is_ack = records == HEADER_RECORDS_OF_ACK && note_r->has_trailer && !taking.to_first;
    trim_body(note_r);
    parse_reply(note_r);
    return 1;
}

void profs_release(struct profs_note *note)
{
    buf_free(&note->text);
    *note = (struct profs_note){ .subject = SPAN_EMPTY, .from_text = SPAN_EMPTY, .body = SPAN_EMPTY };
}

/* --- writing --- */
static void add_name(struct buf *card, struct name8 name)
{
    uint8_t field[NAME8_MAX];
    name8_to_ebcdic(name, field);
    buf_add(card, field, sizeof field);
}

static void add_ascii(struct buf *card, const char *text)
{
    for (; *text != '\0'; text++)
        buf_add_u8(card, latin1_to_ebcdic_037[(uint8_t)*text]);
}

static void add_header(const struct profs_letter *letter, struct records *cards)
{
    struct buf card = { 0 };
    struct buf time = { 0 };
    buf_add_u8(&card, MARK_HEADER);
    add_ascii(&card, "MSG:FROM: ");
    add_name(&card, letter->from.user);
    add_ascii(&card, "--");
    add_name(&card, letter->from.node);
    add_ascii(&card, " TO: ");
    add_name(&card, letter->to.user);
    add_ascii(&card, "--");
    add_name(&card, letter->to.node);
    buf_add_fill(&card, EBCDIC_BLANK, TIME_GAP);
    date_format_profs(letter->time_us, &time);
    buf_add_u8(&time, '\0');
    if (!time.failed)
        add_ascii(&card, (const char *)time.at);
    buf_add_u8(&card, letter->ack_wanted ? MARK_ACK : EBCDIC_BLANK);
    records_add_padded(cards, buf_span(&card), CARD_COLUMNS, EBCDIC_BLANK);
    cards->bytes.failed |= card.failed || time.failed;
    buf_free(&time);
    buf_free(&card);
}

/* The form of XMITVM, in use for longest: control X'00000011', subject to column 71, nine X'00'. */
static void add_trailer(struct span subject, const struct ebcdic_page *page, struct records *cards)
{
    static const uint8_t control[] = { MARK_TRAILER, MARK_TRAILER, 0x00, 0x00, 0x00, 0x11 };
    struct buf card = { 0 };
    struct buf text = { 0 };
    wrap_line(page, subject, &text, NULL);
    buf_add(&card, control, sizeof control);
    buf_add_span(&card, span_slice(buf_span(&text), 0, PROFS_SUBJECT_COLUMNS));
    buf_add_fill(&card, EBCDIC_BLANK, SUBJECT_END > card.size ? SUBJECT_END - card.size : 0);
    buf_add_fill(&card, 0x00, TRAILER_ZEROS);
    records_add(cards, buf_span(&card));
    cards->bytes.failed |= card.failed || text.failed;
    buf_free(&text);
    buf_free(&card);
}

/* Words in a line of ours: a line end inside must not begin another. */
static void add_words(struct buf *line, struct span words)
{
    for (size_t i = 0; i < words.size; i++)
        buf_add_u8(line, words.at[i] < 0x20 ? ' ' : words.at[i]);
}

static size_t add_text(struct span text, size_t margin, const struct ebcdic_page *page, struct records *cards)
{
    struct wrap wrap = { .page = page, .width = wrap_margin(margin), .quoted_width = PROFS_TEXT_COLUMNS, .indent = 1 };
    struct records lines = { .count = 0 };
    size_t substituted = 0;
    wrap_text(&wrap, text, &lines, &substituted);
    struct reader walk = records_walk(&lines);
    struct span line;
    while (records_next(&walk, &line))
        records_add_padded(cards, line, CARD_COLUMNS, EBCDIC_BLANK);
    cards->bytes.failed |= lines.bytes.failed;
    records_free(&lines);
    return substituted;
}

void profs_build(const struct profs_letter *letter, const struct ebcdic_page *page, struct records *cards,
                 size_t *substituted_r)
{
    struct buf top = { 0 };
    add_header(letter, cards);
    buf_printf(&top, "To: %-8s--%s", letter->to.user.text, letter->to.node.text);
    if (letter->to_name.size > 0)
        buf_add_u8(&top, ' ');
    add_words(&top, letter->to_name);
    buf_add_u8(&top, '\n');
    if (letter->address.size > 0) {
        buf_add_text(&top, "From: ");
        add_words(&top, letter->name);
        buf_add_text(&top, letter->name.size > 0 ? " <" : "<");
        add_words(&top, letter->address);
        buf_add_text(&top, ">\n");
    }
    buf_add_text(&top, "Subject: ");
    add_words(&top, letter->subject);
    buf_add_text(&top, "\n\n");
    size_t substituted = add_text(buf_span(&top), letter->margin, page, cards);
    substituted += add_text(letter->text, letter->margin, page, cards);
    add_trailer(letter->subject, page, cards);
    cards->bytes.failed |= top.failed;
    buf_free(&top);
    if (substituted_r != NULL)
        *substituted_r = substituted;
}

void profs_build_ack(const struct profs_letter *letter, const struct ebcdic_page *page, struct records *cards)
{
    struct buf line = { 0 };
    buf_add_u8(&line, EBCDIC_BLANK);
    add_header(letter, cards);
    wrap_line(page, letter->text, &line, NULL);
    records_add_padded(cards, span_slice(buf_span(&line), 0, 1 + PROFS_TEXT_COLUMNS), CARD_COLUMNS, EBCDIC_BLANK);
    add_trailer(letter->subject, page, cards);
    cards->bytes.failed |= line.failed;
    buf_free(&line);
}
