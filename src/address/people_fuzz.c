/* Any bytes as people.csv: taken whole, everybody found again, nobody's host address twice; or refused and empty. */
#include "address/people.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void read(struct span text, bool forgiving)
{
    struct people people;
    struct err err = ERR_CLEAR;
    struct people_site site = { .node = { .text = "MICROSFT" }, .forgiving = forgiving };
    int result = people_parse(text, &site, &people, &err);
    if ((result == -1) != (err.id != ERR_NONE) || (result == -1 && people.count > 0))
        abort();
    for (size_t i = 0; i < people.count; i++) {
        const struct people_row *row = &people.rows[i];
        if (people_find(&people, people_address(&people, row)) != row ||
            row->hosts + row->host_count > people.host_count)
            abort();
        for (unsigned n = 0; n < row->host_count; n++)
            if (!name8_equal(people.hosts[row->hosts + n].node, site.node))
                abort();
    }
    people_free(&people);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    read(span_of(at, size), false);
    read(span_of(at, size), true);
    return 0;
}
