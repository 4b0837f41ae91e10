/* Any bytes as an address: a key is the key of its own written form, and never holds a control character. */
#include "address/mailkey.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct mailkey key;
    struct mailkey again;
    struct buf written = { 0 };
    if (mailkey_of(span_of(at, size), &key, NULL) == -1) {
        if (key.text[0] != '\0')
            abort();
        return 0;
    }
    for (const char *letter = key.text; *letter != '\0'; letter++)
        if ((unsigned char)*letter < 0x20)
            abort();
    mailkey_write(&key, &written);
    if (mailkey_of(buf_span(&written), &again, NULL) == -1 || strcmp(again.text, key.text) != 0)
        abort();
    if (mailkey_local(&key).size == 0 || mailkey_domain(&key).size == 0)
        abort();
    buf_free(&written);
    return 0;
}
