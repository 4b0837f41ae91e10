/* Any bytes as Route.tbl: taken whole and every node of a link keeps a way; or refused and empty. */
#include "address/route.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    static struct name8 nodes[] = { { .text = "MAPLEC1" } };
    struct conf_link links[] = { { .node = nodes[0], .nodes = { .at = nodes, .count = 1, .others = true } } };
    struct routes routes;
    struct err err = ERR_CLEAR;
    int result = routes_parse(span_of(at, size), links, 1, &routes, &err);
    if ((result == -1) != (err.id != ERR_NONE) || (result == -1 && routes.count > 0))
        abort();
    static const char *const users[] = { "", "A", "GEORGEBX", "X0000017" };
    for (size_t i = 0; i < sizeof users / sizeof users[0] && result == 0; i++) {
        struct host_address to = { .node = nodes[0] };
        memcpy(to.user.text, users[i], strlen(users[i]));
        const struct route *route = routes_find(&routes, to);
        if (route == NULL || route->link != &links[0])
            abort();
    }
    routes_free(&routes);
    return 0;
}
