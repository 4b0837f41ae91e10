/* Names of nodes and users. Their EBCDIC form is the invariant set, the same in every code page but for @ # $,
 * which are taken from code page 037. */
#include "base/name8.h"

struct name8_pair {
    char ascii;
    uint8_t ebcdic;
};

static const struct name8_pair marks[] = { { '@', 0x7C }, { '#', 0x7B }, { '$', 0x5B }, { '_', 0x6D }, { '-', 0x60 } };

enum { EBCDIC_BLANK = 0x40 };

static uint8_t to_ebcdic(char ascii)
{
    if (ascii >= 'A' && ascii <= 'I')
        return (uint8_t)(0xC1 + (ascii - 'A'));
    if (ascii >= 'J' && ascii <= 'R')
        return (uint8_t)(0xD1 + (ascii - 'J'));
    if (ascii >= 'S' && ascii <= 'Z')
        return (uint8_t)(0xE2 + (ascii - 'S'));
    if (ascii >= '0' && ascii <= '9')
        return (uint8_t)(0xF0 + (ascii - '0'));
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (marks[i].ascii == ascii)
            return marks[i].ebcdic;
    return 0;
}

static char to_ascii(uint8_t ebcdic)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@#$_-";
    for (const char *letter = letters; *letter != '\0'; letter++)
        if (to_ebcdic(*letter) == ebcdic)
            return *letter;
    /* lower case X'81'..X'A9' folds */
    if (ebcdic >= 0x81 && ebcdic <= 0xA9)
        return to_ascii((uint8_t)(ebcdic | 0x40));
    return '\0';
}

int name8_parse(struct span text, const char *what, struct name8 *name_r, struct err *err)
{
    char shown[64];
    span_to_text(text, shown, sizeof shown);
    *name_r = (struct name8){ .text = "" };
    if (text.size == 0)
        return err_set(err, ERR_BAD_ADDRESS, "the %s is empty; give 1 to 8 characters", what);
    if (text.size > NAME8_MAX)
        return err_set(err, ERR_BAD_ADDRESS, "the %s \"%s\" is longer than 8 characters", what, shown);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.at[i];
        char letter = byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : (char)byte;
        if (byte >= 0x80 || to_ebcdic(letter) == 0) {
            *name_r = (struct name8){ .text = "" };
            return err_set(err, ERR_BAD_ADDRESS, "the %s \"%s\" has a character other than A-Z 0-9 @ # $ _ -", what,
                           shown);
        }
        name_r->text[i] = letter;
    }
    return 0;
}

bool name8_equal(struct name8 a, struct name8 b)
{
    return strcmp(a.text, b.text) == 0;
}

bool name8_from_ebcdic(struct span field, struct name8 *name_r)
{
    *name_r = (struct name8){ .text = "" };
    size_t size = field.size < NAME8_MAX ? field.size : NAME8_MAX;
    while (size > 0 && (field.at[size - 1] == EBCDIC_BLANK || field.at[size - 1] == 0))
        size--;
    struct name8 name = { .text = "" };
    for (size_t i = 0; i < size; i++) {
        name.text[i] = to_ascii(field.at[i]);
        if (name.text[i] == '\0')
            return false;
    }
    *name_r = name;
    return true;
}

void name8_to_ebcdic(struct name8 name, uint8_t to_r[NAME8_MAX])
{
    memset(to_r, EBCDIC_BLANK, NAME8_MAX);
    for (size_t i = 0; name.text[i] != '\0' && i < NAME8_MAX; i++)
        to_r[i] = to_ebcdic(name.text[i]);
}
