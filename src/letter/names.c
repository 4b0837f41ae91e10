/* A long name is cut by words, not in the middle: of `quarterly numbers.txt` the host user sees NUMBERS TXT, which says
 * more than QUARTERL TXT. The whole name stands in the note. */
#include "letter/names.h"

#include "codec/ebcdic.h"

#include <stdio.h>

enum { STEM_MAX = 64, WORD_MIN = 4, TRIES_MAX = 10000, NUMBER_SIZE = 12 };

/* Letters without their accents, for names of Latin-1 and its neighbours; 0: no letter of a name. */
static char plain_letter(uint32_t code)
{
    static const char latin1[] = "AAAAAAACEEEEIIIIDNOOOOO\0OUUUUYTSAAAAAAACEEEEIIIIDNOOOOO\0OUUUUYTY"; /* U+00C0.. */
    static const char extended[] = "AAAAAACCCCCCCCDDDDEEEEEEEEEEGGGGGGGGHHHHIIIIIIIIIIIIJJKKKLLLLLLL"
                                   "LLLNNNNNNNNNOOOOOOOORRRRRRSSSSSSSSTTTTTTUUUUUUUUUUUUWWYYYZZZZZZS"; /* U+0100.. */
    _Static_assert(sizeof latin1 == 65 && sizeof extended == 129, "a letter for each code");
    if (code < 0x80) {
        if (code >= 'a' && code <= 'z')
            return (char)(code - 'a' + 'A');
        return (code >= 'A' && code <= 'Z') || (code >= '0' && code <= '9') || code == '$' || code == '#' ||
                       code == '@' || code == '_' || code == '-'
                   ? (char)code
                   : '\0';
    }
    if (code >= 0xC0 && code <= 0xFF)
        return latin1[code - 0xC0];
    if (code >= 0x100 && code < 0x100 + sizeof extended - 1)
        return extended[code - 0x100];
    return '\0';
}

struct span name_extension(struct span name)
{
    size_t dot = name.size;
    for (size_t i = 1; i < name.size; i++)
        if (name.at[i] == '.')
            dot = i;
    return span_slice(name, dot + 1, SIZE_MAX);
}

static bool is_allowed(char letter, bool mvs)
{
    return letter != '\0' && !(mvs && (letter == '_' || letter == '-'));
}

/* A part of a name in at most 8 characters: all of it, else its longest word that fits, else its beginning. */
static void shorten(struct span text, bool mvs, char to_r[NAME8_MAX + 1])
{
    char stem[STEM_MAX];
    size_t size = 0;
    size_t word = 0; /* where the current one begins */
    size_t best = 0;
    size_t best_size = 0;
    while (text.size > 0 && size < STEM_MAX) {
        char letter = plain_letter(utf8_next(&text));
        bool allowed = is_allowed(letter, mvs);
        if (allowed)
            stem[size++] = letter;
        if (!allowed || letter == '_' || letter == '-' || text.size == 0) {
            size_t end = size - (allowed && (letter == '_' || letter == '-') ? 1 : 0);
            if (end > word && end - word <= NAME8_MAX && end - word > best_size) {
                best = word;
                best_size = end - word;
            }
            word = size;
        }
    }
    if (size <= NAME8_MAX || best_size < WORD_MIN) {
        best = 0;
        best_size = size < NAME8_MAX ? size : NAME8_MAX;
    }
    memcpy(to_r, stem + best, best_size);
    to_r[best_size] = '\0';
    bool digit = to_r[0] >= '0' && to_r[0] <= '9';
    if (mvs && digit) {
        memmove(to_r + 1, to_r, NAME8_MAX - 1);
        to_r[0] = 'N';
        to_r[NAME8_MAX] = '\0';
    }
}

static bool is_taken(const struct host_name *name, const struct host_name *taken, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (name8_equal(name->name, taken[i].name) && name8_equal(name->type, taken[i].type))
            return true;
    return false;
}

void host_name_make(struct span name, bool mvs, const char *type_otherwise, const struct host_name *taken,
                    size_t taken_count, struct host_name *name_r)
{
    *name_r = (struct host_name){ .name = { .text = "" } };
    for (size_t i = 0; i < name.size;) /* a path of the sender's is not his file's name */
        if (name.at[i++] == '/' || name.at[i - 1] == '\\') {
            name = span_slice(name, i, SIZE_MAX);
            i = 0;
        }
    struct span extension = name_extension(name);
    struct span stem = span_slice(name, 0, name.size - extension.size - (extension.size > 0));
    shorten(stem, mvs, name_r->name.text);
    shorten(extension, mvs, name_r->type.text);
    if (name_r->name.text[0] == '\0')
        (void)snprintf(name_r->name.text, sizeof name_r->name.text, "FILE");
    if (name_r->type.text[0] == '\0')
        (void)snprintf(name_r->type.text, sizeof name_r->type.text, "%s", type_otherwise);
    struct name8 base = name_r->name;
    size_t base_size = strlen(base.text);
    for (unsigned number = 2; number < TRIES_MAX && is_taken(name_r, taken, taken_count); number++) {
        char digits[NUMBER_SIZE];
        size_t size = (size_t)snprintf(digits, sizeof digits, "%u", number);
        size_t keep = base_size + size > NAME8_MAX ? NAME8_MAX - size : base_size;
        memcpy(name_r->name.text + keep, digits, size + 1);
    }
}
