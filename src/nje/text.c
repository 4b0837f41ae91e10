/* Short texts of the wire. They go to logs, reports and host screens, so nothing but printable ASCII comes out of here,
 * whatever the neighbour sent. */
#include "nje/text.h"

#include "codec/ebcdic.h"

void nje_text_decode(struct span ebcdic, char *to_r, size_t room)
{
    if (room == 0)
        return;
    while (ebcdic.size > 0 && (ebcdic.at[ebcdic.size - 1] == EBCDIC_BLANK || ebcdic.at[ebcdic.size - 1] == 0))
        ebcdic.size--;
    ebcdic = span_slice(ebcdic, 0, room - 1);
    for (size_t i = 0; i < ebcdic.size; i++) {
        uint8_t letter = ebcdic_037_to_latin1[ebcdic.at[i]];
        to_r[i] = letter < 0x20 || letter > 0x7E ? '?' : (char)letter;
    }
    to_r[ebcdic.size] = '\0';
}

void nje_text_encode(struct buf *to, const char *text, size_t width)
{
    size_t size = strnlen(text, width);
    for (size_t i = 0; i < size; i++) {
        uint8_t letter = (uint8_t)text[i];
        buf_add_u8(to, letter < 0x20 || letter > 0x7E ? EBCDIC_QUESTION_MARK : latin1_to_ebcdic_037[letter]);
    }
    buf_add_fill(to, EBCDIC_BLANK, width - size);
}
