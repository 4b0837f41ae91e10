/* UTF-8 as RFC 3629 has it. Strict, because a lenient decoder lets two spellings of one name pass for two names. */
#include "base/utf8.h"

struct utf8_form {
    uint8_t mask, lead; /* first byte & mask == lead */
    uint8_t size;
    uint32_t least; /* below this the form is overlong */
};

static const struct utf8_form forms[] = {
    { 0x80, 0x00, 1, 0 },
    { 0xE0, 0xC0, 2, 0x80 },
    { 0xF0, 0xE0, 3, 0x800 },
    { 0xF8, 0xF0, 4, 0x10000 },
};

size_t utf8_first(struct span text, uint32_t *code_r)
{
    *code_r = 0;
    if (text.size == 0)
        return 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct utf8_form *form = &forms[i];
        if ((text.at[0] & form->mask) != form->lead)
            continue;
        if (text.size < form->size)
            return 0;
        uint32_t code = text.at[0] & (uint8_t)~form->mask;
        for (size_t j = 1; j < form->size; j++) {
            if ((text.at[j] & 0xC0) != 0x80)
                return 0;
            code = code << 6 | (text.at[j] & 0x3Fu);
        }
        if (code < form->least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return 0;
        *code_r = code;
        return form->size;
    }
    return 0;
}

/* Eight bytes at a time: asked is only whether any of them is not plain, so that the order of bytes does not matter;
 * the last ones are looked at one by one. */
static const uint64_t HIGH_BITS = 0x8080808080808080u, ONES = 0x0101010101010101u;

size_t utf8_ascii(struct span text)
{
    size_t at = 0;
    for (uint64_t word; text.size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text.at + at, sizeof word);
        if ((word & HIGH_BITS) != 0)
            break;
    }
    while (at < text.size && text.at[at] < 0x80)
        at++;
    return at;
}

size_t utf8_printable(struct span text)
{
    size_t at = 0;
    for (uint64_t word; text.size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text.at + at, sizeof word);
        /* A borrow or a carry between bytes can only make a word look suspicious, never hide one. */
        if (((word | (word - 0x20 * ONES) | (word + ONES)) & HIGH_BITS) != 0)
            break;
    }
    while (at < text.size && text.at[at] >= 0x20 && text.at[at] < 0x7F)
        at++;
    return at;
}

bool utf8_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code <= 0x9F);
}
