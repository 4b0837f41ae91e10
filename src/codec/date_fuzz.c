/* Any text as a date: it is one or it is none, and one that is comes back from what we write. */
#include "codec/date.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct span input = span_of(at, size);
    struct date date;
    struct date again;
    struct buf text = { 0 };
    struct err err = ERR_CLEAR;
    int64_t us;
    if (date_parse(input, &date, &err) == 0) {
        struct date_civil civil;
        date_to_civil(date.us, &civil);
        date_format_mail(date.us, 0, &text);
        if (civil.year > DATE_YEAR_MIN && civil.year < DATE_YEAR_MAX &&
            (date_parse(buf_span(&text), &again, &err) != 0 || again.us != date.us))
            abort();
        date_format_note(date.us, &text);
        date_format_short(date.us, &text);
        date_format_profs(date.us, &text);
        date_format_netdata(date.us, &text);
    }
    (void)date_parse_netdata(input, &us);
    buf_free(&text);
    return 0;
}
