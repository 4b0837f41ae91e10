/* route: by which link a host address is reached (Route.tbl, AD-04, RT-01).
 *
 * A line is PATTERN LINK COST: a pattern NODE(USER), in each part of which one `*` may stand for any characters, or
 * only NODE for NODE(*); the neighbour's node that names the link; and a number from 0 to 65535 (10 if not given). Of
 * the patterns that fit, the most specific is used, and of equally specific ones the cheapest. The `nodes` of the links
 * count as routes NODE(*), and their `*` as *(*), that are dearer than all others.
 */
#ifndef OVVM_ADDRESS_ROUTE_H
#define OVVM_ADDRESS_ROUTE_H

#include "address/hostaddress.h"
#include "base/conf.h"

enum { ROUTE_LINES_MAX = 20000, ROUTE_COST_MAX = 65535, ROUTE_COST_LINK = ROUTE_COST_MAX + 1 };

struct route_glob {
    char text[NAME8_MAX + 2]; /* without the star */
    uint8_t star;             /* its place in text */
    bool has_star;
};

struct route {
    struct route_glob node, user;
    const struct conf_link *link;
    unsigned cost;
    unsigned specific; /* the higher, the more is fixed */
    unsigned line;     /* of Route.tbl; 0: the link's `nodes` */
};

enum { ROUTE_PATTERN_SIZE = 2 * (NAME8_MAX + 1) + 3 };

struct routes {
    struct route *at; /* the most specific first, then the cheapest, then in the order of the file */
    size_t count;
};

/* Makes the table from the text of Route.tbl (may be empty) and the links, which must outlive it. -1 CONFIG naming the
 * line, or NO_MEMORY; *routes_r is empty then. */
int routes_parse(struct span text, const struct conf_link *links, size_t link_count, struct routes *routes_r,
                 struct err *err);
void routes_free(struct routes *routes);
/* The pattern as in the file. */
void route_pattern(const struct route *route, char text_r[ROUTE_PATTERN_SIZE]);
/* A pattern of another table in the same form: fills `node`, `user` and `specific`. CONFIG. */
int route_pattern_parse(struct span text, struct route *route, struct err *err);
bool route_pattern_fits(const struct route *route, struct host_address host);
/* NULL: no way leads there. */
const struct route *routes_find(const struct routes *routes, struct host_address to);

#endif
