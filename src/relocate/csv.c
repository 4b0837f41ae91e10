/* Rows as text. What comes back may have been through a spreadsheet or an editor, or be hostile: every cell is checked,
 * and whatever csv_add_text wrote is got back byte for byte. */
#include "relocate/csv.h"

#include "base/utf8.h"

#include <stdio.h>

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

void csv_escape(struct span bytes, struct buf *to)
{
    while (bytes.size > 0) {
        uint32_t code = 0;
        size_t size = utf8_first(bytes, &code);
        if (size > 0 && !utf8_is_control(code) && code != '\\') {
            buf_add_span(to, span_slice(bytes, 0, size));
        } else if (code == '\\' && size == 1) {
            buf_add_text(to, "\\\\");
        } else {
            size = size > 0 ? size : 1;
            for (size_t i = 0; i < size; i++)
                buf_printf(to, "\\x%02X", bytes.at[i]);
        }
        bytes = span_slice(bytes, size, bytes.size);
    }
}

int csv_unescape(struct span text, struct buf *to, struct err *err)
{
    struct reader reader = reader_of(text);
    while (!reader_at_end(&reader)) {
        uint32_t code = 0;
        size_t size = utf8_first(reader.rest, &code);
        if (size == 0 || utf8_is_control(code))
            return err_set(err, ERR_BAD_CONTENT, "a byte X'%02X' that is not written \\x%02X", reader.rest.at[0],
                           reader.rest.at[0]);
        struct span character = reader_take(&reader, size);
        if (code != '\\') {
            buf_add_span(to, character);
            continue;
        }
        uint8_t kind = reader_u8(&reader);
        if (!reader.failed && kind == '\\') {
            buf_add_u8(to, '\\');
            continue;
        }
        struct span digits = kind == 'x' ? reader_take(&reader, 2) : SPAN_EMPTY;
        int high = digits.size == 2 ? hex_digit(digits.at[0]) : -1;
        int low = digits.size == 2 ? hex_digit(digits.at[1]) : -1;
        if (reader.failed || high == -1 || low == -1)
            return err_set(err, ERR_BAD_CONTENT, "a backslash that is neither \\\\ nor \\xHH");
        buf_add_u8(to, (uint8_t)(high << 4 | low));
    }
    return to->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a row") : 0;
}

/* Would a spreadsheet run it? (full-width forms: U+FF1D, U+FF0B, U+FF0D, U+FF20) */
static bool is_dangerous(struct span cell)
{
    uint32_t code = 0;
    if (cell.size == 0 || utf8_first(cell, &code) == 0)
        return false;
    return code == '=' || code == '+' || code == '-' || code == '@' || code == '\'' || code == 0xFF1D ||
           code == 0xFF0B || code == 0xFF0D || code == 0xFF20;
}

/* `cell` is escaped already: only RFC 4180 remains. */
static void add_quoted(struct buf *to, struct span cell)
{
    bool quotes = cell.size > 0 && (cell.at[0] == ' ' || cell.at[cell.size - 1] == ' ' ||
                                    span_find(cell, ',') < cell.size || span_find(cell, '"') < cell.size);
    if (!quotes) {
        buf_add_span(to, cell);
        return;
    }
    buf_add_u8(to, '"');
    for (size_t i = 0; i < cell.size; i++) {
        if (cell.at[i] == '"')
            buf_add_u8(to, '"');
        buf_add_u8(to, cell.at[i]);
    }
    buf_add_u8(to, '"');
}

void csv_add_text(struct buf *to, struct span bytes)
{
    struct buf cell = { 0 };
    if (is_dangerous(bytes))
        buf_add_u8(&cell, '\'');
    csv_escape(bytes, &cell);
    if (cell.failed)
        to->failed = true;
    add_quoted(to, buf_span(&cell));
    buf_free(&cell);
}

void csv_add_int(struct buf *to, int64_t number)
{
    buf_printf(to, "%lld", (long long)number);
}

void csv_add_hex(struct buf *to, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        buf_printf(to, "%02x", bytes.at[i]);
}

void csv_add_null(struct buf *to)
{
    buf_add_text(to, "\\N");
}

void csv_row_free(struct csv_row *row)
{
    buf_free(&row->bytes);
    buf_free(&row->raw);
}

/* A cell without its quotes, into row->raw; the comma behind it is taken too (`more_r`: there was one). */
static int take_raw(struct reader *line, struct csv_row *row, bool *more_r, struct err *err)
{
    buf_clear(&row->raw);
    *more_r = false;
    if (line->rest.size == 0 || line->rest.at[0] != '"') {
        size_t size = span_find(line->rest, ',');
        struct span cell = reader_take(line, size);
        if (span_find(cell, '"') < cell.size)
            return err_set(err, ERR_BAD_CONTENT, "a quotation mark inside a cell that does not begin with one");
        buf_add_span(&row->raw, cell);
    } else {
        reader_skip(line, 1);
        for (;;) {
            size_t size = span_find(line->rest, '"');
            if (size == line->rest.size)
                return err_set(err, ERR_BAD_CONTENT, "a quoted cell that does not end on its line");
            buf_add_span(&row->raw, reader_take(line, size));
            reader_skip(line, 1);
            if (line->rest.size == 0 || line->rest.at[0] != '"')
                break;
            buf_add_u8(&row->raw, '"');
            reader_skip(line, 1);
        }
    }
    if (line->rest.size > 0) {
        if (line->rest.at[0] != ',')
            return err_set(err, ERR_BAD_CONTENT, "text behind a quoted cell");
        reader_skip(line, 1);
        *more_r = true;
    }
    return 0;
}

int csv_split(struct span line, struct csv_row *row_r, struct err *err)
{
    struct reader reader = reader_of(line);
    bool more = true;
    buf_clear(&row_r->bytes);
    row_r->count = 0;
    while (more) {
        if (row_r->count == CSV_COLUMNS_MAX)
            return err_set(err, ERR_BAD_CONTENT, "more than %d cells", CSV_COLUMNS_MAX);
        size_t column = row_r->count;
        if (take_raw(&reader, row_r, &more, err) == -1)
            return err_context(err, "cell %zu", column + 1);
        struct span raw = buf_span(&row_r->raw);
        row_r->cells[column].at = row_r->bytes.size;
        row_r->cells[column].null = span_equal(raw, SPAN_LITERAL("\\N"));
        if (!row_r->cells[column].null) {
            if (raw.size > 0 && raw.at[0] == '\'')
                raw = span_slice(raw, 1, raw.size);
            if (csv_unescape(raw, &row_r->bytes, err) == -1)
                return err_context(err, "cell %zu", column + 1);
        }
        row_r->cells[column].size = row_r->bytes.size - row_r->cells[column].at;
        row_r->count++;
    }
    return row_r->bytes.failed || row_r->raw.failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a row") : 0;
}

struct span csv_cell(const struct csv_row *row, size_t column)
{
    return span_slice(buf_span(&row->bytes), row->cells[column].at, row->cells[column].size);
}

int csv_int(struct span cell, int64_t *number_r, struct err *err)
{
    bool minus = cell.size > 0 && cell.at[0] == '-';
    int64_t number = 0;
    size_t at = minus ? 1 : 0;
    bool fits = at < cell.size;
    for (; fits && at < cell.size; at++) {
        int digit = cell.at[at] >= '0' && cell.at[at] <= '9' ? cell.at[at] - '0' : -1;
        fits = digit != -1 && !__builtin_mul_overflow(number, (int64_t)10, &number) &&
               !__builtin_sub_overflow(number, (int64_t)digit, &number); /* negative: reaches the least number too */
    }
    if (fits && !minus)
        fits = !__builtin_mul_overflow(number, (int64_t)-1, &number);
    if (!fits)
        return err_set(err, ERR_BAD_CONTENT, "a number is wanted, from -2^63 to 2^63-1");
    *number_r = number;
    return 0;
}

int csv_hex(struct span cell, struct buf *to, struct err *err)
{
    if (cell.size % 2 != 0)
        return err_set(err, ERR_BAD_CONTENT, "an even count of hexadecimal digits is wanted");
    for (size_t i = 0; i < cell.size; i += 2) {
        int high = hex_digit(cell.at[i]);
        int low = hex_digit(cell.at[i + 1]);
        if (high == -1 || low == -1)
            return err_set(err, ERR_BAD_CONTENT, "hexadecimal digits are wanted");
        buf_add_u8(to, (uint8_t)(high << 4 | low));
    }
    return to->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a row") : 0;
}
