/* Taking the list off the text. What can go wrong is that a sentence is taken for addresses or an address for a
 * sentence: the first is told to the sender word by word, the second would lose a recipient without a word, so where in
 * doubt it is an address. */
#include "address/inbody.h"

static bool is_blank_byte(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static bool begins(struct span line, struct span word)
{
    return span_equal_nocase(span_slice(line, 0, word.size), word);
}

/* RFC 5322 §3.2.3 atext and RFC 6532; the domain is mailkey's to look at. */
static bool is_atom(uint8_t byte)
{
    return byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != 0 && strchr("!#$%&'*+-/=?^_`{|}~", byte) != NULL);
}

static bool is_good(struct span address)
{
    size_t at = address.size;
    while (at > 0 && address.at[at - 1] != '@')
        at--;
    if (at < 2 || at == address.size)
        return false;
    struct span local = span_slice(address, 0, at - 1);
    if (local.size > 2 && local.at[0] == '"' && local.at[local.size - 1] == '"')
        return true;
    for (size_t i = 0; i < local.size; i++) {
        bool dot = local.at[i] == '.' && i > 0 && i + 1 < local.size && local.at[i - 1] != '.';
        if (!dot && !is_atom(local.at[i]))
            return false;
    }
    return true;
}

static void add(struct inbody *inbody, enum inbody_role role, struct span text)
{
    if (text.size == 0)
        return;
    if (inbody->count == INBODY_ADDRESSES_MAX) {
        inbody->too_many = true;
        return;
    }
    inbody->at[inbody->count++] = (struct inbody_address){ .role = role, .text = text, .good = is_good(text) };
}

/* One between commas: what is in < >, else each word. */
static void add_item(struct inbody *inbody, enum inbody_role role, struct span item)
{
    size_t open = span_find(item, '<');
    struct span inside = span_slice(item, open + 1, SIZE_MAX);
    size_t close = span_find(inside, '>');
    if (open < item.size && close < inside.size) {
        add(inbody, role, span_trim(span_slice(inside, 0, close)));
        item = span_slice(inside, close + 1, SIZE_MAX);
    }
    size_t at = 0;
    while (at < item.size) {
        while (at < item.size && is_blank_byte(item.at[at]))
            at++;
        size_t end = at;
        while (end < item.size && !is_blank_byte(item.at[end]))
            end++;
        add(inbody, role, span_slice(item, at, end - at));
        at = end;
    }
}

static void add_list(struct inbody *inbody, enum inbody_role role, struct span list)
{
    size_t begin = 0;
    for (size_t i = 0; i <= list.size; i++)
        if (i == list.size || list.at[i] == ',' || list.at[i] == ';') {
            add_item(inbody, role, span_slice(list, begin, i - begin));
            begin = i + 1;
        }
}

enum line_kind { LINE_TEXT, LINE_EMPTY, LINE_HEADER, LINE_LIST, LINE_SUBJECT, LINE_KEYWORD };

struct line {
    enum line_kind kind;
    enum inbody_role role;
    struct span value;
};

static struct line look_at(struct span text, struct span keyword, bool subject_is_keyword)
{
    static const struct {
        struct span label;
        enum line_kind kind;
        enum inbody_role role;
    } labels[] = {
        { SPAN_LITERAL("to:"), LINE_LIST, INBODY_TO },     { SPAN_LITERAL("cc:"), LINE_LIST, INBODY_CC },
        { SPAN_LITERAL("bcc:"), LINE_LIST, INBODY_BCC },   { SPAN_LITERAL("subject:"), LINE_SUBJECT, INBODY_TO },
        { SPAN_LITERAL("from:"), LINE_HEADER, INBODY_TO }, { SPAN_LITERAL("note from:"), LINE_HEADER, INBODY_TO },
        { SPAN_LITERAL("date:"), LINE_HEADER, INBODY_TO }, { SPAN_LITERAL("priority:"), LINE_HEADER, INBODY_TO }
    };
    struct span trimmed = span_trim(span_trim_end(text, '\r'));
    if (trimmed.size == 0)
        return (struct line){ .kind = LINE_EMPTY, .value = trimmed };
    if (!subject_is_keyword && begins(trimmed, keyword))
        return (struct line){ .kind = LINE_KEYWORD, .value = span_slice(trimmed, keyword.size, SIZE_MAX) };
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        if (!begins(trimmed, labels[i].label))
            continue;
        struct line line = { .kind = labels[i].kind,
                             .role = labels[i].role,
                             .value = span_trim(span_slice(trimmed, labels[i].label.size, SIZE_MAX)) };
        if (line.kind == LINE_LIST && span_find(line.value, '@') == line.value.size)
            line.kind = LINE_HEADER; /* the host's own, with the address of this note */
        return line;
    }
    struct reader words = reader_of(trimmed);
    struct span first = reader_until(&words, ' ');
    return (struct line){ .kind = span_find(first, '@') < first.size ? LINE_LIST : LINE_TEXT, .value = trimmed };
}

/* What follows an empty line goes on with the list only where it is labelled: the host parts such lines. */
static bool goes_on(struct reader lines, struct span keyword, bool subject_is_keyword)
{
    while (!reader_at_end(&lines)) {
        struct span text = span_trim(reader_until(&lines, '\n'));
        struct line line = look_at(text, keyword, subject_is_keyword);
        bool labelled = line.kind == LINE_LIST && line.value.size < text.size;
        if (line.kind != LINE_EMPTY)
            return labelled || line.kind == LINE_SUBJECT || line.kind == LINE_KEYWORD;
    }
    return false;
}

void inbody_parse(struct span text, const char *keyword_, struct inbody *inbody_r)
{
    struct span keyword = span_text(keyword_);
    bool subject_is_keyword = keyword.size == 0 || span_equal_nocase(keyword, SPAN_LITERAL("subject:"));
    bool after_keyword = false;
    struct reader lines = reader_of(text);
    inbody_r->count = 0;
    inbody_r->too_many = false;
    inbody_r->subject = SPAN_EMPTY;
    inbody_r->body_at = 0;
    while (!reader_at_end(&lines)) {
        size_t begin = text.size - lines.rest.size;
        struct line line = look_at(reader_until(&lines, '\n'), keyword, subject_is_keyword);
        if (line.kind == LINE_TEXT && after_keyword)
            line.kind = LINE_LIST;
        if (line.kind == LINE_TEXT) {
            inbody_r->body_at = begin;
            return;
        }
        inbody_r->body_at = text.size - lines.rest.size;
        if (line.kind == LINE_EMPTY && inbody_r->count > 0 && !goes_on(lines, keyword, subject_is_keyword))
            return;
        if (line.kind == LINE_EMPTY)
            after_keyword = false;
        if (line.kind == LINE_KEYWORD)
            after_keyword = true;
        if (line.kind == LINE_SUBJECT && inbody_r->subject.size == 0)
            inbody_r->subject = line.value;
        if (line.kind == LINE_LIST || line.kind == LINE_KEYWORD)
            add_list(inbody_r, line.role, line.value);
    }
}
