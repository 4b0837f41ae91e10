/* Any bytes as Hostusers.csv: taken whole and everybody found again, or refused and empty. */
#include "address/hostusers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct hostusers users;
    struct err err = ERR_CLEAR;
    int result = hostusers_parse(span_of(at, size), &users, &err);
    if ((result == -1) != (err.id != ERR_NONE) || (result == -1 && users.count > 0))
        abort();
    for (size_t i = 0; i < users.count; i++)
        if (hostusers_find(&users, users.at[i].host) == NULL)
            abort();
    hostusers_free(&users);
    return 0;
}
