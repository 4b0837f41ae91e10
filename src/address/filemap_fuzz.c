/* Any bytes as Cmsxmap.tbl: taken whole, each line with a filetype that options can hold; or refused with its line. */
#include "address/filemap.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct filemap map;
    struct err err = ERR_CLEAR;
    int result = filemap_parse("Cmsxmap.tbl", span_of(at, size), &map, &err);
    if ((result == -1) != (err.id != ERR_NONE) || (result == -1 && strstr(err.text, " line ") == NULL))
        abort();
    for (size_t i = 0; i < map.count; i++) {
        struct options options = { .map = map.lines, .map_count = map.count };
        if (map.lines[i].key[0] == '\0' || !options_has(&options, span_text(map.lines[i].key)))
            abort();
    }
    filemap_free(&map);
    return 0;
}
