/* Code pages. Mail shows wrong brackets when a node's page is guessed, and a letter must never fail for one character:
 * so pages are chosen by name, compiled in (a missing gconv module cannot break a running system), and every step has
 * a substitute that is counted. Malformed UTF-8 is substituted byte by byte; nothing here can run past its input. */
#include "codec/ebcdic_tables.h"

#include "base/utf8.h"

enum { UNDEFINED = 0xFFFD, UNICODE_MAX = 0x10FFFF, EBCDIC_SUB = 0x3F };

static struct span page_number(struct span name)
{
    static const char *const prefixes[] = { "IBM-", "IBM", "CP-", "CP" };
    name = span_trim(name);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        struct span prefix = span_text(prefixes[i]);
        if (span_equal_nocase(span_slice(name, 0, prefix.size), prefix)) {
            name = span_slice(name, prefix.size, SIZE_MAX);
            break;
        }
    }
    while (name.size > 1 && name.at[0] == '0')
        name = span_slice(name, 1, SIZE_MAX);
    return name;
}

const struct ebcdic_page *ebcdic_page_find(struct span name)
{
    struct span number = page_number(name);
    for (size_t i = 0; i < EBCDIC_PAGES; i++)
        if (span_equal(number, page_number(span_text(ebcdic_pages[i]->name))))
            return ebcdic_pages[i];
    return NULL;
}

const struct ebcdic_page *ebcdic_page_at(size_t index)
{
    return index < EBCDIC_PAGES ? ebcdic_pages[index] : NULL;
}

struct span ebcdic_peek(struct span record, uint8_t *to_r, size_t room)
{
    size_t size = record.size < room ? record.size : room;
    for (size_t i = 0; i < size; i++) {
        uint8_t letter = ebcdic_037_to_latin1[record.at[i]];
        to_r[i] = record.at[i] < EBCDIC_BLANK ? ' ' : letter >= 0x20 && letter < 0x7F ? letter : '?';
    }
    return span_of(to_r, size);
}

/* Keeps from_unicode sorted; the first byte for a code wins. */
static void add_code(struct ebcdic_page *page, uint16_t code, uint8_t byte)
{
    size_t place = page->codes;
    while (place > 0 && page->from_unicode[place - 1].code > code)
        place--;
    if ((place > 0 && page->from_unicode[place - 1].code == code) || page->codes == EBCDIC_CODES)
        return;
    memmove(&page->from_unicode[place + 1], &page->from_unicode[place],
            (page->codes - place) * sizeof page->from_unicode[0]);
    page->from_unicode[place] = (struct ebcdic_code){ .code = code, .byte = byte };
    page->codes++;
}

int ebcdic_page_load(struct span name, struct span to_pc, struct span from_pc, enum ebcdic_pc pc,
                     struct ebcdic_page *page_r, struct err *err)
{
    char shown[EBCDIC_NAME_SIZE];
    span_to_text(name, shown, sizeof shown);
    *page_r = (struct ebcdic_page){ .codes = 0 };
    if (to_pc.size != EBCDIC_CODES || from_pc.size != EBCDIC_CODES)
        return err_set(err, ERR_CONFIG, "code page %s: a .csm table has 256 bytes, these have %zu and %zu", shown,
                       to_pc.size, from_pc.size);
    memcpy(page_r->name, shown, sizeof shown);
    const uint16_t *pc_to_unicode = pc == EBCDIC_PC_850 ? ebcdic_cp850_to_unicode : ebcdic_cp1252_to_unicode;
    for (size_t byte = 0; byte < EBCDIC_CODES; byte++) {
        page_r->to_unicode[byte] = pc_to_unicode[to_pc.at[byte]];
        uint16_t code = pc_to_unicode[byte];
        uint8_t host = from_pc.at[byte];
        bool lacks = (host == EBCDIC_SUB && code != 0x1A) || (host == EBCDIC_QUESTION_MARK && code != '?');
        if (code != UNDEFINED && !lacks)
            add_code(page_r, code, host);
    }
    return 0;
}

void utf8_add(struct buf *to, uint32_t code)
{
    if (code > UNICODE_MAX || (code >= 0xD800 && code < 0xE000))
        code = UNDEFINED;
    if (code < 0x80) {
        buf_add_u8(to, (uint8_t)code);
    } else if (code < 0x800) {
        buf_add_u16(to, (uint16_t)(0xC080 | (code >> 6) << 8 | (code & 0x3F)));
    } else if (code < 0x10000) {
        buf_add_u8(to, (uint8_t)(0xE0 | code >> 12));
        buf_add_u16(to, (uint16_t)(0x8080 | (code >> 6 & 0x3F) << 8 | (code & 0x3F)));
    } else {
        buf_add_u16(to, (uint16_t)(0xF080 | (code >> 18) << 8 | (code >> 12 & 0x3F)));
        buf_add_u16(to, (uint16_t)(0x8080 | (code >> 6 & 0x3F) << 8 | (code & 0x3F)));
    }
}

uint32_t utf8_next(struct span *from)
{
    uint8_t first = from->at[0];
    size_t size = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t code = size == 1 ? first : first & (0x7FU >> size);
    bool good = first < 0x80 || (first >= 0xC2 && first < 0xF5 && size <= from->size);
    for (size_t i = 1; good && i < size; i++) {
        good = (from->at[i] & 0xC0) == 0x80;
        code = code << 6 | (from->at[i] & 0x3F);
    }
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    good = good && code >= least[size] && code <= UNICODE_MAX && (code < 0xD800 || code >= 0xE000);
    *from = span_slice(*from, good ? size : 1, SIZE_MAX);
    return good ? code : UNDEFINED;
}

size_t ebcdic_to_utf8(const struct ebcdic_page *page, struct span from, struct buf *to)
{
    size_t undefined = 0;
    (void)buf_reserve(to, from.size);
    for (size_t i = 0; i < from.size; i++) {
        uint8_t byte = from.at[i];
        uint16_t code = page->to_unicode[byte];
        if (byte == EBCDIC_NL || byte == EBCDIC_LF)
            code = '\n';
        undefined += code == UNDEFINED;
        utf8_add(to, code);
    }
    return undefined;
}

static bool page_byte(const struct ebcdic_page *page, uint32_t code, uint8_t *byte_r)
{
    if (code == '\n' || code == 0x85) {
        *byte_r = EBCDIC_NL;
        return true;
    }
    /* Most pages hold all of the first codes, so that the table is its own index there. */
    if (code < page->codes && page->from_unicode[code].code == code) {
        *byte_r = page->from_unicode[code].byte;
        return true;
    }
    size_t low = 0;
    size_t high = page->codes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (page->from_unicode[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == page->codes || page->from_unicode[low].code != code)
        return false;
    *byte_r = page->from_unicode[low].byte;
    return true;
}

static const char *substitute_find(uint32_t code)
{
    size_t low = 0;
    size_t high = ebcdic_substitute_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ebcdic_substitutes[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ebcdic_substitute_count && ebcdic_substitutes[low].code == code ? ebcdic_substitutes[low].text : NULL;
}

static bool is_mark(uint32_t code)
{
    size_t low = 0;
    size_t high = ebcdic_mark_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ebcdic_marks[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    return (low < ebcdic_mark_count && ebcdic_marks[low].first <= code) ||
           (code >= 0x1F3FB && code <= 0x1F3FF) /* skin colours */ || (code >= 0xE0000 && code <= 0xE01EF);
}

/* The one character that a letter and a mark make, or 0. */
static uint32_t compose(uint32_t letter, uint32_t mark)
{
    for (size_t i = 0; i < ebcdic_composition_count; i++)
        if (ebcdic_compositions[i].letter == letter && ebcdic_compositions[i].mark == mark)
            return ebcdic_compositions[i].code;
    return 0;
}

static bool add_substitute(const struct ebcdic_page *page, const char *text, struct buf *to)
{
    uint8_t bytes[3];
    size_t size = strnlen(text, sizeof bytes);
    for (size_t i = 0; i < size; i++) {
        uint8_t letter = (uint8_t)text[i];
        const char *upper = substitute_find(letter); /* a page without lower case, or without brackets */
        if (!page_byte(page, letter, &bytes[i]) && (upper == NULL || !page_byte(page, (uint8_t)upper[0], &bytes[i])))
            return false;
    }
    buf_add(to, bytes, size);
    return size > 0;
}

/* Appends one character; false where it had to be substituted. */
static bool add_character(const struct ebcdic_page *page, uint32_t code, struct buf *to)
{
    uint8_t byte = EBCDIC_QUESTION_MARK;
    if (page_byte(page, code, &byte)) {
        buf_add_u8(to, byte);
        return true;
    }
    if (is_mark(code))
        return false;
    const char *text = substitute_find(code);
    if (text == NULL || !add_substitute(page, text, to))
        buf_add_u8(to, EBCDIC_QUESTION_MARK);
    return code == 0xA0; /* a blank that does not break is still a blank */
}

/* Appends ASCII up to the first character that the page has not; how many. */
static size_t add_ascii(const struct ebcdic_page *page, struct span ascii, struct buf *to)
{
    if (!buf_reserve(to, ascii.size))
        return ascii.size;
    size_t at = 0;
    while (at < ascii.size && page_byte(page, ascii.at[at], &to->at[to->size + at]))
        at++;
    to->size += at;
    return at;
}

void utf8_to_ebcdic(const struct ebcdic_page *page, struct span from, struct buf *to, size_t *substituted_r)
{
    size_t substituted = 0;
    (void)buf_reserve(to, from.size);
    if (span_starts_with(from, SPAN_LITERAL("\xEF\xBB\xBF")))
        from = span_slice(from, 3, SIZE_MAX); /* a byte order mark is no text */
    while (from.size > 0) {
        /* The ordinary case: ASCII, and no combining mark behind it (those begin with X'CC' or X'CD'). */
        size_t run = utf8_ascii(from);
        run -= run > 0 && run < from.size && from.at[run] >= 0xCC;
        from = span_slice(from, add_ascii(page, span_slice(from, 0, run), to), SIZE_MAX);
        if (from.size == 0)
            break;
        uint32_t code = utf8_next(&from);
        struct span after = from;
        uint32_t mark = after.size > 0 ? utf8_next(&after) : 0;
        uint32_t composed = mark >= 0x300 && mark < 0x370 ? compose(code, mark) : 0;
        uint8_t byte;
        if (composed != 0 && page_byte(page, composed, &byte)) {
            code = composed;
            from = after;
        }
        substituted += !add_character(page, code, to);
    }
    if (substituted_r != NULL)
        *substituted_r = substituted;
}
