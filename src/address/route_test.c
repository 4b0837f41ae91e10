/* What is lost when these fail: mail takes a way that does not lead to its node. */
#include "address/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct name8 name(const char *text)
{
    struct name8 name = { .text = "" };
    if (text[0] != '\0')
        assert_int_equal(name8_parse(span_text(text), "name", &name, NULL), 0);
    return name;
}

static struct name8 nodes[1];
static struct conf_link links[3];

static void make_links(void)
{
    nodes[0] = name("MAPLEC1");
    links[0] = (struct conf_link){ .node = name("MAPLEC1"), .nodes = { .at = nodes, .count = 1 } };
    links[1] = (struct conf_link){ .node = name("HUB"), .nodes = { .others = true } };
    links[2] = (struct conf_link){ .node = name("BACKUP") };
}

static void the_most_specific_then_the_cheapest(void **state)
{
    (void)state;
    static const char text[] = "* ways\n"
                               "MAPLE*(*)    HUB     5\n"
                               "MAPLE*       BACKUP  4\n"
                               "MAPLEC9      HUB\n"
                               "*(OPERATOR)  BACKUP  1 ; all operators of nodes without a way of their own\n"
                               "OAK(*)       HUB     20\n"
                               "OAK(*)       BACKUP  10\n"
                               "OAK(A*Z)     HUB     9\n"
                               "OAK(AZ)      BACKUP  9\n";
    static const struct {
        const char *node, *user, *link;
        unsigned line;
    } all[] = {
        { "MAPLEC1", "GEORGEB", "MAPLEC1", 0 }, /* of the link's nodes: more specific than MAPLE* */
        { "MAPLEC2", "GEORGEB", "BACKUP", 3 },
        { "MAPLE", "X", "BACKUP", 3 },
        { "MAPL", "X", "HUB", 0 },
        { "MAPLEC9", "OPERATOR", "HUB", 4 },
        { "ELM", "OPERATOR", "BACKUP", 5 },
        { "ELM", "JIM", "HUB", 0 },
        { "OAK", "JIM", "BACKUP", 7 },
        { "OAK", "ABZ", "HUB", 8 },
        { "OAK", "AZ", "BACKUP", 9 },
        { "OAK", "A", "BACKUP", 7 },
        { "OAK", "", "BACKUP", 7 },
    };
    struct routes routes;
    struct err err = ERR_CLEAR;
    make_links();
    if (routes_parse(SPAN_LITERAL(text), links, 3, &routes, &err) == -1)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct route *route =
            routes_find(&routes, (struct host_address){ .node = name(all[i].node), .user = name(all[i].user) });
        assert_non_null(route);
        if (strcmp(route->link->node.text, all[i].link) != 0 || route->line != all[i].line)
            fail_msg("%s(%s) goes to %s by line %u", all[i].node, all[i].user, route->link->node.text, route->line);
    }
    routes_free(&routes);
}

static void without_a_way_there_is_none(void **state)
{
    (void)state;
    struct routes routes;
    make_links();
    assert_int_equal(routes_parse(SPAN_EMPTY, links, 1, &routes, NULL), 0);
    assert_null(routes_find(&routes, (struct host_address){ .node = name("OAK"), .user = name("JIM") }));
    routes_free(&routes);
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } all[] = {
        { "\nOAK(*)\n",
          "Route.tbl line 2: two or three columns are needed, NODE(USER) LINK COST, for example OAK(*) HUB 5" },
        { "OAK(* HUB\n", "Route.tbl line 1: the pattern is not of the form NODE(USER)" },
        { "OAK(*) ELM\n", "Route.tbl line 1: there is no section [link ELM] in the configuration" },
        { "OAK(*) HUB x\n", "Route.tbl line 1: the cost is no number from 0 to 65535" },
        { "OAK(*) HUB 65536\n", "Route.tbl line 1: the cost is no number from 0 to 65535" },
        { "*A*(*) HUB\n", "Route.tbl line 1: the pattern \"A*\" has a character other than A-Z 0-9 @ # $ _ -" },
        { "() HUB\n", "Route.tbl line 1: a part of the pattern is empty or longer than 8 characters" },
        { "NINECHARS* HUB\n", "Route.tbl line 1: a part of the pattern is empty or longer than 8 characters" },
    };
    make_links();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct routes routes;
        struct err err = ERR_CLEAR;
        assert_int_equal(routes_parse(span_text(all[i].text), links, 3, &routes, &err), -1);
        assert_string_equal(err.text, all[i].said);
        assert_int_equal(err.id, ERR_CONFIG);
        assert_null(routes.at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_specific_then_the_cheapest),
        cmocka_unit_test(without_a_way_there_is_none),
        cmocka_unit_test(mistakes_name_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
