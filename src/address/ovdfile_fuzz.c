/* Any bytes as Ovdfile.dat: taken whole, with our node in it and each node found again; or refused and empty. */
#include "address/ovdfile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct ovdfile file;
    struct err err = ERR_CLEAR;
    struct name8 own = { .text = "MICROSFT" };
    int result = ovdfile_parse(span_of(at, size), own, (struct name8){ .text = "" }, NULL, &file, &err);
    if ((result == -1) != (err.id != ERR_NONE) || (result == -1 && file.count > 0))
        abort();
    if (result == 0 && !ovdfile_find(&file, own)->local)
        abort();
    for (size_t i = 0; i < file.count; i++)
        if (ovdfile_find(&file, file.nodes[i].node) != &file.nodes[i] || name8_empty(file.nodes[i].node))
            abort();
    ovdfile_free(&file);
    return 0;
}
