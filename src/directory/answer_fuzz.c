/* Any octets as an answer, and as the values of an entry: an entry's line is read as one row with what was put in, and
 * an answer is whole or refused. */
#include "directory/answer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void answer(struct span bytes)
{
    struct span rows;
    size_t count;
    struct err err = ERR_CLEAR;
    int result = directory_answer_parse(bytes, &rows, &count, &err);
    if ((result == -1) != (err.id != ERR_NONE) || (result == -1 && (rows.size > 0 || count > 0)))
        abort();
    if (result == 0 && (rows.size >= bytes.size || (rows.size > 0 && rows.at[rows.size - 1] != '\n')))
        abort();
}

/* A line feed separates the values. */
static void entry(struct span bytes)
{
    enum { VALUES = 8 };
    struct span values[VALUES];
    size_t count = 0;
    struct reader reader = reader_of(bytes);
    struct buf line = { .at = NULL };
    while (!reader_at_end(&reader) && count < VALUES)
        values[count++] = reader_until(&reader, '\n');
    struct directory_entry person = { .mail = count > 0 ? values[0] : SPAN_EMPTY,
                                      .name = count > 1 ? values[1] : SPAN_EMPTY,
                                      .hosts = count > 2 ? values + 2 : NULL,
                                      .host_count = count > 2 ? count - 2 : 0 };
    if (count > 2)
        directory_values_sort(values + 2, count - 2);
    if (directory_entry_write(&person, &line)) {
        directory_end_write(1, &line);
        struct span rows;
        size_t found;
        size_t quotes = 0;
        if (!line.failed && (directory_answer_parse(buf_span(&line), &rows, &found, NULL) == -1 || found != 1))
            abort();
        for (size_t i = 0; i < line.size; i++)
            quotes += line.at[i] == '"';
        if (quotes % 2 != 0)
            abort();
    }
    buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    answer(span_of(at, size));
    entry(span_of(at, size));
    return 0;
}
