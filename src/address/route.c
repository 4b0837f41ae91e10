/* Routes, sorted once so that the first that fits is the right one. */
#include "address/route.h"

#include "address/tabletext.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_COST = 10, EXACT = 2 * (NAME8_MAX + 1) };

/* --- patterns --- */

static int glob_parse(struct span text, struct route_glob *glob_r, struct err *err)
{
    struct name8 plain;
    size_t star = span_find(text, '*');
    char without[NAME8_MAX + 2] = "";
    *glob_r = (struct route_glob){ .has_star = star < text.size };
    if (text.size == 0 || text.size - (glob_r->has_star ? 1 : 0) > NAME8_MAX)
        return err_set(err, ERR_CONFIG, "a part of the pattern is empty or longer than 8 characters");
    memcpy(without, text.at, star);
    if (glob_r->has_star)
        memcpy(without + star, text.at + star + 1, text.size - star - 1);
    if (without[0] != '\0' && name8_parse(span_text(without), "pattern", &plain, err) == -1)
        return -1;
    if (without[0] != '\0')
        memcpy(glob_r->text, plain.text, sizeof plain.text);
    glob_r->star = (uint8_t)star;
    return 0;
}

static bool glob_fits(const struct route_glob *glob, struct name8 name)
{
    if (!glob->has_star)
        return strcmp(glob->text, name.text) == 0;
    size_t size = strlen(name.text);
    size_t fixed = strlen(glob->text);
    size_t tail = fixed - glob->star;
    return size >= fixed && memcmp(glob->text, name.text, glob->star) == 0 &&
           memcmp(glob->text + glob->star, name.text + size - tail, tail) == 0;
}

static unsigned glob_specific(const struct route_glob *glob)
{
    return glob->has_star ? (unsigned)strlen(glob->text) : EXACT;
}

int route_pattern_parse(struct span text, struct route *route, struct err *err)
{
    struct reader reader = reader_of(text);
    bool whole = span_find(text, '(') < text.size;
    struct span node = reader_until(&reader, '(');
    struct span user = reader.rest;
    if (whole && (user.size == 0 || user.at[user.size - 1] != ')'))
        return err_set(err, ERR_CONFIG, "the pattern is not of the form NODE(USER)");
    user = whole ? span_slice(user, 0, user.size - 1) : SPAN_LITERAL("*");
    if (glob_parse(node, &route->node, err) == -1 || glob_parse(user, &route->user, err) == -1)
        return -1;
    /* the node decides before the user */
    route->specific = glob_specific(&route->node) * (EXACT + 1) + glob_specific(&route->user);
    return 0;
}

/* --- the table --- */

static struct route *add(struct routes *routes, size_t *room, struct err *err)
{
    if (routes->count == *room) {
        struct route *at = mem_realloc(routes->at, (*room * 2 + 16) * sizeof *at);
        if (at == NULL) {
            (void)err_set(err, ERR_NO_MEMORY, "out of memory for the routes");
            return NULL;
        }
        routes->at = at;
        *room = *room * 2 + 16;
    }
    struct route *route = &routes->at[routes->count++];
    *route = (struct route){ .cost = DEFAULT_COST };
    return route;
}

static int take_cost(struct span text, unsigned *cost_r, struct err *err)
{
    unsigned cost = 0;
    for (size_t i = 0; i < text.size && cost <= ROUTE_COST_MAX; i++)
        cost = text.at[i] >= '0' && text.at[i] <= '9' ? cost * 10 + (unsigned)(text.at[i] - '0') : ROUTE_COST_LINK;
    if (cost > ROUTE_COST_MAX)
        return err_set(err, ERR_CONFIG, "the cost is no number from 0 to %d", ROUTE_COST_MAX);
    *cost_r = cost;
    return 0;
}

static int take_line(const struct tabletext *table, const struct conf_link *links, size_t link_count,
                     struct route *route, struct err *err)
{
    struct name8 link;
    route->line = table->line;
    if (table->count < 2 || table->count > 3)
        return err_set(err, ERR_CONFIG,
                       "two or three columns are needed, NODE(USER) LINK COST, for example OAK(*) HUB 5");
    if (route_pattern_parse(table->words[0], route, err) == -1 ||
        name8_parse(table->words[1], "link", &link, err) == -1 ||
        (table->count == 3 && take_cost(table->words[2], &route->cost, err) == -1))
        return -1;
    for (size_t i = 0; i < link_count; i++)
        if (name8_equal(links[i].node, link))
            route->link = &links[i];
    return route->link != NULL
               ? 0
               : err_set(err, ERR_CONFIG, "there is no section [link %s] in the configuration", link.text);
}

static int take_links(struct routes *routes, size_t *room, const struct conf_link *links, size_t link_count,
                      struct err *err)
{
    for (size_t i = 0; i < link_count; i++) {
        size_t patterns = links[i].nodes.count + (links[i].nodes.others ? 1 : 0);
        for (size_t n = 0; n < patterns; n++) {
            struct route *route = add(routes, room, err);
            const char *node = n < links[i].nodes.count ? links[i].nodes.at[n].text : "*";
            if (route == NULL || route_pattern_parse(span_text(node), route, err) == -1)
                return -1;
            route->link = &links[i];
            route->cost = ROUTE_COST_LINK;
        }
    }
    return 0;
}

static int better_first(const void *a_, const void *b_)
{
    const struct route *a = a_;
    const struct route *b = b_;
    if (a->specific != b->specific)
        return a->specific > b->specific ? -1 : 1;
    if (a->cost != b->cost)
        return a->cost < b->cost ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return strcmp(a->link->node.text, b->link->node.text);
}

int routes_parse(struct span text, const struct conf_link *links, size_t link_count, struct routes *routes_r,
                 struct err *err)
{
    struct tabletext table = tabletext_of("Route.tbl", text);
    struct err failure = ERR_CLEAR;
    size_t room = 0;
    int more = 0;
    table.patterns = true;
    *routes_r = (struct routes){ .count = 0 };
    while ((more = tabletext_next(&table, &failure)) == 1) {
        struct route *route = routes_r->count < ROUTE_LINES_MAX ? add(routes_r, &room, &failure) : NULL;
        if (routes_r->count >= ROUTE_LINES_MAX)
            (void)err_set(&failure, ERR_CONFIG, "more than %d routes", ROUTE_LINES_MAX);
        if (route == NULL || take_line(&table, links, link_count, route, &failure) == -1) {
            more = tabletext_context(&table, &failure);
            break;
        }
    }
    if (more == 0)
        more = take_links(routes_r, &room, links, link_count, &failure);
    if (more == 0 && routes_r->count > 0)
        qsort(routes_r->at, routes_r->count, sizeof routes_r->at[0], better_first);
    if (more == -1) {
        routes_free(routes_r);
        if (err != NULL)
            *err = failure;
    }
    return more;
}

void routes_free(struct routes *routes)
{
    mem_free(routes->at);
    *routes = (struct routes){ .count = 0 };
}

void route_pattern(const struct route *route, char text_r[ROUTE_PATTERN_SIZE])
{
    const struct route_glob *node = &route->node;
    const struct route_glob *user = &route->user;
    (void)snprintf(text_r, ROUTE_PATTERN_SIZE, "%.*s%s%s(%.*s%s%s)", node->star, node->text, node->has_star ? "*" : "",
                   node->text + node->star, user->star, user->text, user->has_star ? "*" : "", user->text + user->star);
}

bool route_pattern_fits(const struct route *route, struct host_address host)
{
    return glob_fits(&route->node, host.node) && glob_fits(&route->user, host.user);
}

const struct route *routes_find(const struct routes *routes, struct host_address to)
{
    for (size_t i = 0; i < routes->count; i++)
        if (route_pattern_fits(&routes->at[i], to))
            return &routes->at[i];
    return NULL;
}
