/* Any bytes as a configuration: it is taken whole, or refused with a problem; nothing in between. */
#include "base/conf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    static struct conf_problems problems;
    struct conf conf;
    struct buf said = { 0 };
    int result = conf_parse(span_of(at, size), &conf, &problems);
    conf_problems_print(&problems, "conf", &said);
    if ((result == 0) != (problems.count == 0) || (result == 0 && conf.link_count == 0))
        abort();
    for (size_t i = 1; i < problems.count; i++)
        if (problems.at[i - 1].line > problems.at[i].line)
            abort();
    conf_free(&conf);
    buf_free(&said);
    return 0;
}
