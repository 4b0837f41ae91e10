/* A line from a bundle, whatever it is: taken apart or refused; and any bytes as cells come back as they were. */
#include "relocate/csv.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct csv_row row = { .count = 0 };
    struct buf line = { 0 };
    struct err err;
    struct span input = span_of(at, size);
    if (csv_split(input, &row, &err) == 0) {
        for (size_t i = 0; i < row.count; i++) {
            int64_t number;
            buf_clear(&line);
            (void)csv_int(csv_cell(&row, i), &number, &err);
            (void)csv_hex(csv_cell(&row, i), &line, &err);
        }
    }
    /* two cells of the input's halves, there and back */
    struct span first = span_slice(input, 0, size / 2);
    struct span second = span_slice(input, size / 2, size);
    buf_clear(&line);
    csv_add_text(&line, first);
    buf_add_u8(&line, ',');
    csv_add_text(&line, second);
    for (size_t i = 0; i < line.size; i++)
        if (line.at[i] < 0x20)
            abort();
    if (csv_split(buf_span(&line), &row, &err) == -1 || row.count != 2 || !span_equal(csv_cell(&row, 0), first) ||
        !span_equal(csv_cell(&row, 1), second) || row.cells[0].null || row.cells[1].null)
        abort();
    csv_row_free(&row);
    buf_free(&line);
    return 0;
}
