/* Any bytes, both ways, in every page: nothing is read past the end, and what was made is valid. */
#include "codec/ebcdic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct buf utf8 = { 0 };
    struct buf host = { 0 };
    const struct ebcdic_page *page = ebcdic_page_at(size > 0 ? at[0] : 0);
    if (page == NULL)
        page = &ebcdic_page_037;
    struct span input = span_of(at, size);
    size_t undefined = ebcdic_to_utf8(page, input, &utf8);
    size_t substituted = 0;
    utf8_to_ebcdic(page, buf_span(&utf8), &host, &substituted);
    if (undefined == 0 && (host.size != size || substituted != 0) && size > 0)
        abort(); /* what a page defines comes back byte for byte (X'25' as X'15') */
    buf_clear(&host);
    utf8_to_ebcdic(page, input, &host, &substituted);
    if (substituted > size || host.size > 3 * size)
        abort();
    (void)ebcdic_page_find(input);
    struct ebcdic_page custom;
    if (size >= 512 && ebcdic_page_load(SPAN_LITERAL("X"), span_slice(input, 0, 256), span_slice(input, 256, 256),
                                        EBCDIC_PC_850, &custom, NULL) == 0) {
        buf_clear(&utf8);
        (void)ebcdic_to_utf8(&custom, input, &utf8);
        utf8_to_ebcdic(&custom, buf_span(&utf8), &host, NULL);
    }
    buf_free(&utf8);
    buf_free(&host);
    return 0;
}
