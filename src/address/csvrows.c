/* Rows of CSV. What can go wrong is a quote that is never closed, which would swallow the rest of a file: it is an
 * error that names the line it began on. */
#include "address/csvrows.h"

#include <stdarg.h>
#include <stdio.h>

struct csvrows csvrows_of(const char *name, struct span text)
{
    if (span_starts_with(text, SPAN_LITERAL("\xEF\xBB\xBF"))) /* a byte order mark, of a spreadsheet */
        text = span_slice(text, 3, text.size);
    return (struct csvrows){ .name = name, .reader = reader_of(text), .line = 1 };
}

void csvrows_free(struct csvrows *csv)
{
    for (size_t i = 0; i < CSVROWS_COLUMNS_MAX; i++)
        buf_free(&csv->fields[i]);
    csv->count = 0;
}

int csvrows_wrong(const struct csvrows *csv, struct err *err, const char *format, ...)
{
    char text[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return err_set(err, ERR_CONFIG, "%s line %u: %s", csv->name, csv->row_line, text);
}

struct span csvrows_field(const struct csvrows *csv, size_t column)
{
    return column < csv->count ? span_trim(buf_span(&csv->fields[column])) : SPAN_EMPTY;
}

static int peek(const struct csvrows *csv)
{
    return csv->reader.rest.size > 0 ? csv->reader.rest.at[0] : -1;
}

static void skip_line_end(struct csvrows *csv)
{
    if (peek(csv) == '\r')
        reader_skip(&csv->reader, 1);
    if (peek(csv) == '\n')
        reader_skip(&csv->reader, 1);
    csv->line++;
}

static bool at_line_end(const struct csvrows *csv)
{
    struct span rest = csv->reader.rest;
    return rest.size == 0 || rest.at[0] == '\n' || (rest.at[0] == '\r' && (rest.size == 1 || rest.at[1] == '\n'));
}

static int put(struct csvrows *csv, struct buf *field, uint8_t byte, struct err *err)
{
    if (field->size == CSVROWS_FIELD_MAX)
        return csvrows_wrong(csv, err, "column %zu is longer than %d octets", csv->count, CSVROWS_FIELD_MAX);
    buf_add_u8(field, byte);
    return field->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for %s", csv->name) : 0;
}

/* After the opening quote, to after the closing one. */
static int take_quoted(struct csvrows *csv, struct buf *field, struct err *err)
{
    for (;;) {
        if (reader_at_end(&csv->reader))
            return csvrows_wrong(csv, err, "the quote of column %zu is not closed", csv->count);
        uint8_t byte = reader_u8(&csv->reader);
        if (byte == '\n')
            csv->line++;
        if (byte == '"') {
            if (peek(csv) != '"')
                return 0;
            reader_skip(&csv->reader, 1);
        }
        if (put(csv, field, byte, err) == -1)
            return -1;
    }
}

static int take_field(struct csvrows *csv, struct err *err)
{
    if (csv->count == CSVROWS_COLUMNS_MAX)
        return csvrows_wrong(csv, err, "more than %d columns", CSVROWS_COLUMNS_MAX);
    struct buf *field = &csv->fields[csv->count++];
    buf_clear(field);
    if (peek(csv) == '"') {
        reader_skip(&csv->reader, 1);
        if (take_quoted(csv, field, err) == -1)
            return -1;
        if (!at_line_end(csv) && peek(csv) != ',')
            return csvrows_wrong(csv, err, "column %zu goes on after its closing quote", csv->count);
        return 0;
    }
    while (!at_line_end(csv) && peek(csv) != ',') {
        uint8_t byte = reader_u8(&csv->reader);
        if (byte == '"')
            return csvrows_wrong(csv, err,
                                 "column %zu has a quote in its middle; put the whole column in quotes and double it",
                                 csv->count);
        if (put(csv, field, byte, err) == -1)
            return -1;
    }
    return 0;
}

int csvrows_next(struct csvrows *csv, struct err *err)
{
    while (!reader_at_end(&csv->reader)) {
        csv->row_line = csv->line;
        csv->count = 0;
        if (peek(csv) == '#' || peek(csv) == ';') {
            while (!at_line_end(csv))
                reader_skip(&csv->reader, 1);
            skip_line_end(csv);
            continue;
        }
        for (;;) {
            if (take_field(csv, err) == -1)
                return -1;
            if (peek(csv) != ',')
                break;
            reader_skip(&csv->reader, 1);
        }
        skip_line_end(csv);
        if (csv->count > 1 || span_trim(buf_span(&csv->fields[0])).size > 0)
            return 1;
    }
    return 0;
}
