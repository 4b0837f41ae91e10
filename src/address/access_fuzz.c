/* Any bytes as Access.tbl: refused with a line, or a table that answers for every user. */
#include "address/access.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct access access;
    struct err err = ERR_CLEAR;
    if (access_parse(span_of(data, size), &access, &err) == -1) {
        if (err.id == ERR_NONE || access.count != 0)
            abort();
        return 0;
    }
    for (size_t i = 0; i < access.count; i++)
        if (access.at[i].line == 0 || (!access.at[i].allow && access.at[i].registrations > 0))
            abort();
    struct host_address user = { .node = { .text = "MAPLEC1" }, .user = { .text = "GEORGEB" } };
    struct access_right right = access_of(&access, user);
    if (right.line == 0 && right.allow)
        abort(); /* with a table, only who is in it */
    access_free(&access);
    return 0;
}
