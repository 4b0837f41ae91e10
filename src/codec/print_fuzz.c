/* Any bytes as a print file: no character above blank is lost but by being printed over its own kind. */
#include "codec/print.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct reader reader = reader_of(span_of(at, size));
    enum print_control control = reader_u8(&reader) & 1 ? PRINT_MACHINE : PRINT_ASA;
    struct records from = { .count = 0 };
    struct records to = { .count = 0 };
    struct print_facts facts;
    while (!reader_at_end(&reader))
        records_add(&from, reader_until(&reader, '\n'));
    print_to_lines(&from, control, &to, &facts);
    if (to.count > 4 * from.count + 1 || facts.merged + facts.kept > from.count)
        abort();
    records_free(&from);
    records_free(&to);
    return 0;
}
