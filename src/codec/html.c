/* No tree: one pass over tags and text, with a little state (list, quotation, link). Mail HTML is mostly broken, so
 * nothing depends on tags being closed, and what is skipped (a script) ends with the input at the latest. */
#include "codec/html.h"

#include "base/utf8.h"
#include "codec/ebcdic.h"

#include <stdio.h>

enum { TAG_NAME_SIZE = 16, ENTITY_MAX = 32, NBSP = 0xA0 };

struct list {
    bool numbered;
    unsigned number;
};

struct html {
    struct buf *to;
    struct reader from;
    unsigned breaks;     /* line ends due before the next character: 1 a line, 2 an empty line */
    bool blank;          /* a blank is due */
    bool begun;          /* there was text */
    bool line_open;      /* the line has its prefix */
    bool marked;         /* it is a list item that has its mark and no text yet */
    unsigned line_quote; /* of the line before */
    unsigned quote;      /* depth of blockquote */
    unsigned pre;        /* depth of pre */
    unsigned lists;      /* depth; only HTML_LIST_DEPTH are remembered */
    struct list list[HTML_LIST_DEPTH];
    bool in_link;
    struct buf link;      /* its address */
    struct buf link_text; /* what was shown of it */
};

struct tag {
    char name[TAG_NAME_SIZE]; /* lower case */
    bool end;
    struct span attributes;
};

/* --- output --- */

static void open_line(struct html *html)
{
    unsigned quote = html->quote < HTML_QUOTE_DEPTH ? html->quote : HTML_QUOTE_DEPTH;
    for (; html->begun && html->breaks > 0; html->breaks--) {
        buf_add_u8(html->to, '\n');
        html->line_open = false;
        if (html->breaks > 1) /* the empty line belongs to the quotation that both lines are in */
            buf_add_fill(html->to, '>', quote < html->line_quote ? quote : html->line_quote);
    }
    html->breaks = 0;
    html->begun = true;
    if (html->line_open)
        return;
    html->line_open = true;
    html->blank = false;
    html->line_quote = quote;
    buf_add_fill(html->to, '>', quote);
    if (quote > 0)
        buf_add_u8(html->to, ' ');
    if (html->lists > 1)
        buf_add_fill(html->to, ' ', 2 * (html->lists < HTML_LIST_DEPTH ? html->lists - 1 : HTML_LIST_DEPTH));
}

static void put_code(struct html *html, uint32_t code)
{
    if (html->in_link)
        utf8_add(&html->link_text, code);
    open_line(html);
    if (html->blank && !html->marked)
        buf_add_u8(html->to, ' ');
    html->blank = false;
    html->marked = false;
    utf8_add(html->to, code);
}

static void put_text(struct html *html, const char *text)
{
    for (; *text != '\0'; text++)
        put_code(html, (uint8_t)*text);
}

static void put_break(struct html *html, unsigned lines)
{
    if (html->marked)
        return; /* the mark of a list item stands before its text, whatever elements that is in */
    html->breaks = html->breaks > lines ? html->breaks : lines;
    html->blank = false;
}

static void put_character(struct html *html, uint32_t code)
{
    if (code == '\n' && html->pre > 0) {
        if (html->breaks > 0 || !html->line_open)
            html->breaks = 2; /* at most one empty line */
        else
            html->breaks = 1;
    } else if (code == ' ' && html->pre > 0) {
        put_code(html, ' ');
    } else if (code == ' ' || code == '\t' || code == '\n' || code == '\r' || code == '\f' || code == NBSP) {
        html->blank = html->line_open && html->breaks == 0;
    } else if (!utf8_is_control(code) && code != 0xAD && code != 0x200B && code != 0xFEFF) {
        put_code(html, code); /* without soft hyphens and zero-width blanks, which hosts cannot show */
    }
}

/* --- entities --- */

/* U+00A0 to U+00FF */
static const char *const latin1_names[] = {
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",    "copy",   "ordf",
    "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn", "sup2",   "sup3",   "acute",  "micro",
    "para",   "middot", "cedil",  "sup1",   "ordm",   "raquo",  "frac14", "frac12", "frac34", "iquest", "Agrave",
    "Aacute", "Acirc",  "Atilde", "Auml",   "Aring",  "AElig",  "Ccedil", "Egrave", "Eacute", "Ecirc",  "Euml",
    "Igrave", "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde", "Ograve", "Oacute", "Ocirc",  "Otilde", "Ouml",
    "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",  "Uuml",   "Yacute", "THORN",  "szlig",  "agrave", "aacute",
    "acirc",  "atilde", "auml",   "aring",  "aelig",  "ccedil", "egrave", "eacute", "ecirc",  "euml",   "igrave",
    "iacute", "icirc",  "iuml",   "eth",    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide",
    "oslash", "ugrave", "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml",
};
static const struct {
    const char *name;
    uint32_t code;
} other_names[] = {
    { "amp", '&' },       { "lt", '<' },        { "gt", '>' },       { "quot", '"' },      { "apos", '\'' },
    { "euro", 0x20AC },   { "ndash", 0x2013 },  { "mdash", 0x2014 }, { "lsquo", 0x2018 },  { "rsquo", 0x2019 },
    { "sbquo", 0x201A },  { "ldquo", 0x201C },  { "rdquo", 0x201D }, { "bdquo", 0x201E },  { "bull", 0x2022 },
    { "hellip", 0x2026 }, { "trade", 0x2122 },  { "larr", 0x2190 },  { "rarr", 0x2192 },   { "minus", 0x2212 },
    { "ensp", ' ' },      { "emsp", ' ' },      { "thinsp", ' ' },   { "zwnj", 0x200B },   { "zwj", 0x200B },
    { "lsaquo", 0x2039 }, { "rsaquo", 0x203A }, { "OElig", 0x0152 }, { "oelig", 0x0153 },  { "Scaron", 0x0160 },
    { "scaron", 0x0161 }, { "Yuml", 0x0178 },   { "fnof", 0x0192 },  { "dagger", 0x2020 }, { "Dagger", 0x2021 },
    { "permil", 0x2030 }, { "le", 0x2264 },     { "ge", 0x2265 },    { "ne", 0x2260 },
};

static bool numeric_entity(struct span digits, uint32_t *code_r)
{
    uint32_t base = 10;
    if (digits.size > 0 && (digits.at[0] == 'x' || digits.at[0] == 'X')) {
        base = 16;
        digits = span_slice(digits, 1, SIZE_MAX);
    }
    *code_r = 0;
    for (size_t i = 0; i < digits.size; i++) {
        uint32_t digit = digits.at[i];
        if (digit >= '0' && digit <= '9')
            digit -= '0';
        else if (digit >= 'a' && digit <= 'f')
            digit -= 'a' - 10;
        else if (digit >= 'A' && digit <= 'F')
            digit -= 'A' - 10;
        else
            return false;
        if (digit >= base || *code_r > 0x10FFFF)
            return false;
        *code_r = *code_r * base + digit;
    }
    return digits.size > 0;
}

/* The character of the entity that `text` (after the &) begins with, and how many bytes it takes. */
static size_t entity_of(struct span text, uint32_t *code_r)
{
    size_t end = span_find(span_slice(text, 0, ENTITY_MAX), ';');
    if (end == 0 || end >= ENTITY_MAX || end >= text.size)
        return 0;
    struct span name = span_slice(text, 0, end);
    if (name.at[0] == '#')
        return numeric_entity(span_slice(name, 1, SIZE_MAX), code_r) ? end + 1 : 0;
    for (size_t i = 0; i < sizeof latin1_names / sizeof latin1_names[0]; i++)
        if (span_equal(name, span_text(latin1_names[i]))) {
            *code_r = (uint32_t)(NBSP + i);
            return end + 1;
        }
    for (size_t i = 0; i < sizeof other_names / sizeof other_names[0]; i++)
        if (span_equal(name, span_text(other_names[i].name))) {
            *code_r = other_names[i].code;
            return end + 1;
        }
    return 0;
}

static uint32_t next_character(struct span *text)
{
    uint32_t code;
    if (text->at[0] == '&') {
        size_t size = entity_of(span_slice(*text, 1, SIZE_MAX), &code);
        if (size > 0) {
            *text = span_slice(*text, 1 + size, SIZE_MAX);
            return code;
        }
    }
    return utf8_next(text);
}

/* --- tags --- */

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\f';
}

/* Does `from`, which begins with '<', begin a tag? `a < b` does not. */
static bool is_tag(struct span from)
{
    uint8_t next = from.size > 1 ? from.at[1] : ' ';
    return next == '/' || next == '!' || next == '?' || (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z');
}

/* Takes the tag off the input; quotes may hide a '>'. */
static void take_tag(struct reader *from, struct tag *tag_r)
{
    *tag_r = (struct tag){ .end = false, .attributes = SPAN_EMPTY };
    reader_skip(from, 1);
    if (span_starts_with(from->rest, SPAN_LITERAL("!--"))) {
        reader_skip(from, 3);
        while (!reader_at_end(from) && !span_starts_with(from->rest, SPAN_LITERAL("-->"))) {
            reader_skip(from, 1);
            reader_skip(from, span_find(from->rest, '-'));
        }
        reader_skip(from, from->rest.size < 3 ? from->rest.size : 3);
        return;
    }
    struct span text = from->rest;
    uint8_t quote = 0;
    size_t size = 0;
    while (size < text.size && (quote != 0 || text.at[size] != '>')) {
        uint8_t byte = text.at[size++];
        if (quote != 0)
            quote = byte == quote ? 0 : quote;
        else if ((byte == '"' || byte == '\'') && size > 1 && (text.at[size - 2] == '=' || is_space(text.at[size - 2])))
            quote = byte;
    }
    if (size == text.size && quote != 0)
        size = span_find(text, '>'); /* a quote that is never closed hides nothing */
    reader_skip(from, size < text.size ? size + 1 : size);
    text = span_slice(text, 0, size);
    if (text.size > 0 && text.at[0] == '/') {
        tag_r->end = true;
        text = span_slice(text, 1, SIZE_MAX);
    }
    size_t name = 0;
    while (name < text.size && !is_space(text.at[name]) && text.at[name] != '/')
        name++;
    for (size_t i = 0; i < name && i < TAG_NAME_SIZE - 1; i++) {
        uint8_t byte = text.at[i];
        tag_r->name[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
    }
    tag_r->attributes = span_slice(text, name, SIZE_MAX);
}

/* The value of an attribute, entities and all. */
static bool attribute(const struct tag *tag, const char *name, struct span *value_r)
{
    struct span rest = tag->attributes;
    *value_r = SPAN_EMPTY;
    while (rest.size > 0) {
        size_t at = 0;
        while (at < rest.size && (is_space(rest.at[at]) || rest.at[at] == '/'))
            at++;
        rest = span_slice(rest, at, SIZE_MAX);
        size_t size = 0;
        while (size < rest.size && !is_space(rest.at[size]) && rest.at[size] != '=')
            size++;
        struct span found = span_slice(rest, 0, size);
        rest = span_slice(rest, size, SIZE_MAX);
        *value_r = SPAN_EMPTY;
        if (rest.size > 0 && rest.at[0] == '=') {
            rest = span_slice(rest, 1, SIZE_MAX);
            uint8_t quote = rest.size > 0 && (rest.at[0] == '"' || rest.at[0] == '\'') ? rest.at[0] : 0;
            size_t end = 0;
            if (quote != 0) {
                rest = span_slice(rest, 1, SIZE_MAX);
                end = span_find(rest, quote);
            } else {
                while (end < rest.size && !is_space(rest.at[end]))
                    end++;
            }
            *value_r = span_slice(rest, 0, end);
            rest = span_slice(rest, quote != 0 ? end + 1 : end, SIZE_MAX);
        } else if (size == 0) {
            rest = span_slice(rest, 1, SIZE_MAX);
        }
        if (span_equal_nocase(found, span_text(name)))
            return true;
    }
    return false;
}

static bool one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* Leaves out everything to the end tag of the same name. */
static void skip_element(struct html *html, const char *name)
{
    size_t size = strlen(name);
    while (!reader_at_end(&html->from)) {
        reader_skip(&html->from, span_find(html->from.rest, '<'));
        struct span rest = html->from.rest;
        if (rest.size > 2 && rest.at[1] == '/' && span_equal_nocase(span_slice(rest, 2, size), span_text(name))) {
            struct tag tag;
            take_tag(&html->from, &tag);
            return;
        }
        reader_skip(&html->from, rest.size > 0 ? 1 : 0);
    }
}

static void begin_link(struct html *html, const struct tag *tag)
{
    struct span address;
    buf_clear(&html->link);
    buf_clear(&html->link_text);
    html->in_link = attribute(tag, "href", &address) && address.size > 0 && address.size <= HTML_ADDRESS_MAX &&
                    address.at[0] != '#' && !span_equal_nocase(span_slice(address, 0, 11), SPAN_LITERAL("javascript:"));
    for (address = span_trim(address); html->in_link && address.size > 0;) {
        uint32_t code = next_character(&address);
        if (code > ' ' && !utf8_is_control(code))
            utf8_add(&html->link, code);
    }
}

/* `text <address>`, or the text alone where it says the same. */
static void end_link(struct html *html)
{
    if (!html->in_link)
        return;
    html->in_link = false;
    struct span address = buf_span(&html->link);
    struct span text = span_trim(buf_span(&html->link_text));
    struct span shown = address;
    if (span_equal_nocase(span_slice(shown, 0, 7), SPAN_LITERAL("mailto:")))
        shown = span_slice(shown, 7, SIZE_MAX);
    struct span bare = shown;
    size_t scheme = span_find(bare, ':');
    if (span_starts_with(span_slice(bare, scheme, SIZE_MAX), SPAN_LITERAL("://")))
        bare = span_slice(bare, scheme + 3, SIZE_MAX);
    if (text.size == 0 || span_equal_nocase(text, shown) || span_equal_nocase(text, span_trim_end(bare, '/')) ||
        span_equal_nocase(text, bare))
        return;
    html->blank = true;
    put_code(html, '<');
    while (shown.size > 0)
        put_code(html, utf8_next(&shown));
    put_code(html, '>');
}

static void put_image(struct html *html, const struct tag *tag)
{
    struct span alt;
    if (!attribute(tag, "alt", &alt) || span_trim(alt).size == 0)
        return;
    put_code(html, '[');
    while (alt.size > 0)
        put_character(html, next_character(&alt));
    put_code(html, ']');
}

static void begin_item(struct html *html)
{
    char mark[ENTITY_MAX];
    struct list *list = html->lists > 0 && html->lists <= HTML_LIST_DEPTH ? &html->list[html->lists - 1] : NULL;
    put_break(html, 1);
    if (list != NULL && list->numbered)
        (void)snprintf(mark, sizeof mark, "%u. ", ++list->number);
    else
        (void)snprintf(mark, sizeof mark, "* ");
    put_text(html, mark);
    html->marked = true;
}

static void take_list(struct html *html, const struct tag *tag)
{
    put_break(html, html->lists > 1 || (html->lists == 1 && !tag->end) ? 1 : 2);
    if (tag->end) {
        html->lists -= html->lists > 0;
    } else {
        if (html->lists < HTML_LIST_DEPTH)
            html->list[html->lists] = (struct list){ .numbered = strcmp(tag->name, "ol") == 0 };
        html->lists++;
    }
}

static void count_depth(unsigned *depth, bool end)
{
    if (!end)
        (*depth)++;
    else if (*depth > 0)
        (*depth)--;
}

static void take_element(struct html *html, const struct tag *tag)
{
    static const char *const skipped[] = { "script", "style", "title", "template", "object", "svg", NULL };
    static const char *const lines[] = { "div",    "tr",     "dt",      "dd",    "address", "section", "article",
                                         "header", "footer", "caption", "tbody", "thead",   "option",  NULL };
    static const char *const paragraphs[] = { "p",  "h1",    "h2", "h3",   "h4",       "h5",
                                              "h6", "table", "dl", "form", "fieldset", NULL };
    const char *name = tag->name;
    if (!tag->end && one_of(name, skipped)) {
        skip_element(html, name);
    } else if (strcmp(name, "br") == 0) {
        if (html->breaks == 1 || (html->begun && !html->line_open))
            html->breaks = 2;
        else
            put_break(html, html->breaks > 1 ? 2 : 1);
    } else if (one_of(name, paragraphs)) {
        put_break(html, 2);
    } else if (one_of(name, lines)) {
        put_break(html, 1);
    } else if (strcmp(name, "ul") == 0 || strcmp(name, "ol") == 0) {
        take_list(html, tag);
    } else if (strcmp(name, "li") == 0 && !tag->end) {
        begin_item(html);
    } else if (strcmp(name, "blockquote") == 0) {
        put_break(html, 2);
        count_depth(&html->quote, tag->end);
    } else if (strcmp(name, "pre") == 0) {
        put_break(html, 2);
        count_depth(&html->pre, tag->end);
    } else if (strcmp(name, "hr") == 0) {
        put_break(html, 1);
        put_text(html, "----------");
        put_break(html, 1);
    } else if (strcmp(name, "td") == 0 || strcmp(name, "th") == 0) {
        if (!tag->end && html->line_open && html->breaks == 0) {
            put_code(html, ' ');
            html->blank = true;
        }
    } else if (strcmp(name, "a") == 0) {
        end_link(html);
        if (!tag->end)
            begin_link(html, tag);
    } else if (strcmp(name, "img") == 0) {
        put_image(html, tag);
    }
}

/* Blanks before a line end, which cells and broken tags leave. */
static void add_trimmed(struct span text, struct buf *to)
{
    struct reader lines = reader_of(text);
    while (!reader_at_end(&lines)) {
        buf_add_span(to, span_trim_end(reader_until(&lines, '\n'), ' '));
        buf_add_u8(to, '\n');
    }
}

void html_to_text(struct span source, struct buf *to)
{
    struct buf text = { 0 };
    struct html html = { .to = &text, .from = reader_of(source) };
    while (!reader_at_end(&html.from)) {
        if (html.from.rest.at[0] == '<' && is_tag(html.from.rest)) {
            struct tag tag;
            take_tag(&html.from, &tag);
            take_element(&html, &tag);
        } else {
            put_character(&html, next_character(&html.from.rest));
        }
    }
    end_link(&html);
    add_trimmed(buf_span(&text), to);
    to->failed |= text.failed || html.link.failed || html.link_text.failed;
    buf_free(&html.link);
    buf_free(&html.link_text);
    buf_free(&text);
}
