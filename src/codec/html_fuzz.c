/* Any bytes as HTML: text comes out that has no control characters but line ends, and is not much longer. */
#include "codec/html.h"

#include "base/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

enum { GROWTH = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct buf text = { 0 };
    html_to_text(span_of(at, size), &text);
    if (text.failed || text.size > GROWTH * (size + 1))
        abort();
    for (struct span rest = buf_span(&text); rest.size > 0;) {
        uint32_t code;
        size_t length = utf8_first(rest, &code);
        if (length == 0 || (utf8_is_control(code) && code != '\n'))
            abort();
        rest = span_slice(rest, length, SIZE_MAX);
    }
    buf_free(&text);
    return 0;
}
