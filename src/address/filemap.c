/* A map with a wrong line is refused as a whole: a binary file that is translated as text is destroyed, and nobody sees
 * it before he opens it. */
#include "address/filemap.h"

#include "address/tabletext.h"
#include "base/mem.h"

enum { KEY_MAX = OPTIONS_KEY_SIZE - 1 };

/* 1 text, 0 binary, -1 neither. */
static int kind_of(struct span word)
{
    static const struct {
        struct span word;
        int kind;
    } words[] = { { SPAN_LITERAL("EBCDIC"), 1 }, { SPAN_LITERAL("TEXT"), 1 }, { SPAN_LITERAL("BINARY"), 0 } };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (span_equal_nocase(word, words[i].word))
            return words[i].kind;
    return -1;
}

static int add_line(const struct tabletext *table, struct filemap *map, size_t *room, struct err *err)
{
    struct span key = table->words[0];
    int kind = table->count > 1 ? kind_of(table->words[1]) : -1;
    if (kind == -1 && key.at[0] == '*')
        return 0; /* a comment */
    if (kind == -1)
        return tabletext_wrong(table, err, "behind the filetype stands EBCDIC or BINARY");
    if (key.size > 1 && key.at[0] == '.')
        key = span_slice(key, 1, key.size);
    if (map->count == OPTIONS_MAP_MAX)
        return tabletext_wrong(table, err, "more than %d lines", OPTIONS_MAP_MAX);
    if (map->count == *room) {
        *room = *room * 2 + 32;
        struct options_map *lines = mem_realloc(map->lines, *room * sizeof lines[0]);
        if (lines == NULL)
            return err_set(err, ERR_NO_MEMORY, "out of memory for %s", table->name);
        map->lines = lines;
    }
    struct options_map *line = &map->lines[map->count++];
    *line = (struct options_map){ .text = kind == 1 };
    span_to_text(span_slice(key, 0, KEY_MAX), line->key, sizeof line->key);
    for (char *at = line->key; *at != '\0'; at++)
        *at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    return 0;
}

int filemap_parse(const char *name, struct span text, struct filemap *map_r, struct err *err)
{
    struct tabletext table = tabletext_of(name, text);
    size_t room = 0;
    int step;
    *map_r = (struct filemap){ .count = 0 };
    table.stars = true;
    while ((step = tabletext_next(&table, err)) == 1)
        if (add_line(&table, map_r, &room, err) == -1)
            return -1;
    return step;
}

void filemap_free(struct filemap *map)
{
    mem_free(map->lines);
    *map = (struct filemap){ .count = 0 };
}
