/* Any text with any keyword: the list lies in the text, and nothing of it beyond its end. */
#include "address/inbody.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keywords[] = { "subject:", "/INTERNET", "" };
    static struct inbody inbody;
    struct span text = span_of(data, size);
    for (size_t k = 0; k < sizeof keywords / sizeof keywords[0]; k++) {
        inbody_parse(text, keywords[k], &inbody);
        if (inbody.body_at > size || inbody.count > INBODY_ADDRESSES_MAX)
            abort();
        for (size_t i = 0; i < inbody.count; i++)
            if (inbody.at[i].text.size == 0 || inbody.at[i].text.at < text.at ||
                inbody.at[i].text.at + inbody.at[i].text.size > text.at + inbody.body_at)
                abort();
    }
    return 0;
}
