/* Widths are counted in host bytes, after the code page: one character of the letter may be three on the host ("EUR").
 * Every cut takes at least one byte, so that a line of any length ends (NT-07). */
#include "codec/wrap.h"

#include "base/utf8.h"

enum { EBCDIC_EQUALS = 0x7E, EBCDIC_HYPHEN = 0x60, EBCDIC_GREATER = 0x6E };

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/* Blanks for control characters, so that none reaches the host as an order to its terminal. */
static void plain_text(struct span utf8, bool tabs, struct buf *plain)
{
    size_t column = 0;
    while (utf8.size > 0) {
        size_t run = utf8_printable(utf8);
        buf_add(plain, utf8.at, run);
        column += run;
        utf8 = span_slice(utf8, run, SIZE_MAX);
        if (utf8.size == 0)
            return;
        uint32_t code = utf8_next(&utf8);
        size_t blanks = code == '\t' && tabs ? WRAP_TAB - column % WRAP_TAB : 1;
        if (is_control(code))
            buf_add_fill(plain, ' ', blanks);
        else
            utf8_add(plain, code);
        column += is_control(code) ? blanks : 1;
    }
}

void wrap_line(const struct ebcdic_page *page, struct span utf8, struct buf *to, size_t *substituted_r)
{
    struct buf plain = { 0 };
    plain_text(utf8, false, &plain);
    utf8_to_ebcdic(page, buf_span(&plain), to, substituted_r);
    to->failed |= plain.failed;
    buf_free(&plain);
}

static size_t leading(struct span line, uint8_t byte)
{
    size_t count = 0;
    while (count < line.size && line.at[count] == byte)
        count++;
    return count;
}

static void put(const struct wrap *wrap, struct span quote, struct span line, struct buf *scratch, struct records *to)
{
    line = span_trim_end(line, EBCDIC_BLANK);
    buf_clear(scratch);
    buf_add_fill(scratch, EBCDIC_BLANK, wrap->indent);
    if (wrap->break_equals && quote.size == 0 && leading(line, EBCDIC_EQUALS) >= WRAP_EQUALS)
        buf_add_u8(scratch, EBCDIC_BLANK);
    if (wrap->cut_hyphens && quote.size == 0 && line.size >= WRAP_HYPHENS && leading(line, EBCDIC_HYPHEN) == line.size)
        line = span_slice(line, 0, WRAP_HYPHENS_KEPT);
    buf_add_span(scratch, quote);
    buf_add_span(scratch, line);
    if (scratch->size == 0)
        buf_add_u8(scratch, EBCDIC_BLANK);
    records_add(to, buf_span(scratch));
    to->bytes.failed |= scratch->failed;
}

/* Where to cut a line that is wider than `width`: after the last blank that fits, or else in the word. */
static size_t cut(struct span line, size_t width)
{
    for (size_t at = width; at > 0; at--)
        if (line.at[at] == EBCDIC_BLANK && leading(line, EBCDIC_BLANK) < at)
            return at;
    return width;
}

/* "> " or ">>> " before a quoted line; empty for others. */
static struct span quote_of(struct span line)
{
    size_t size = 0;
    while (size < line.size && size < WRAP_QUOTE_MAX &&
           (line.at[size] == EBCDIC_GREATER || (size > 0 && line.at[size] == EBCDIC_BLANK)))
        size++;
    return span_slice(line, 0, size);
}

static void wrap_record(const struct wrap *wrap, struct span line, struct buf *scratch, struct records *to)
{
    struct span quote = quote_of(line);
    size_t width = quote.size > 0 ? wrap->quoted_width : wrap->width;
    line = span_trim_end(line, EBCDIC_BLANK);
    if (line.size > width)
        width = wrap->width; /* it has to be cut anyhow */
    else
        quote = SPAN_EMPTY; /* whole, as it is */
    line = span_slice(line, quote.size, SIZE_MAX);
    width -= quote.size;
    while (line.size > width) {
        size_t at = cut(line, width);
        put(wrap, quote, span_slice(line, 0, at), scratch, to);
        line = span_slice(line, at, SIZE_MAX);
        line = span_slice(line, leading(line, EBCDIC_BLANK), SIZE_MAX);
    }
    put(wrap, quote, line, scratch, to);
}

void wrap_text(const struct wrap *wrap, struct span utf8, struct records *to, size_t *substituted_r)
{
    struct buf plain = { 0 };
    struct buf line = { 0 };
    struct buf scratch = { 0 };
    size_t substituted = 0;
    struct reader lines = reader_of(utf8);
    while (!reader_at_end(&lines)) {
        struct span text = span_trim_end(reader_until(&lines, '\n'), '\r');
        size_t count = 0;
        buf_clear(&plain);
        buf_clear(&line);
        plain_text(text, true, &plain);
        utf8_to_ebcdic(wrap->page, buf_span(&plain), &line, &count);
        substituted += count;
        to->bytes.failed |= plain.failed || line.failed;
        wrap_record(wrap, buf_span(&line), &scratch, to);
    }
    if (substituted_r != NULL)
        *substituted_r = substituted;
    buf_free(&plain);
    buf_free(&line);
    buf_free(&scratch);
}
