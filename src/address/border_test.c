/* What is lost when these fail: the meaning of an address on the other side, or the promise to be no relay. */
#include "address/border.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct name8 name(const char *text)
{
    struct name8 name = { .text = "" };
    if (text[0] == '\0')
        return name;
    assert_int_equal(name8_parse(span_text(text), "name", &name, NULL), 0);
    return name;
}

static struct name8 nodes[2];
static struct conf_link links[2];
static struct table_set set;
static const struct table_set *current = &set;

static void with_tables(const char *ovdfile, const char *routes)
{
    struct err err = ERR_CLEAR;
    nodes[0] = name("MAPLEC1");
    nodes[1] = name("MAPLE#2");
    links[0] = (struct conf_link){ .node = nodes[0], .nodes = { .at = nodes, .count = 2 } };
    links[1] = (struct conf_link){ .node = name("HUB"), .nodes = { .others = false } };
    ovdfile_free(&set.ovdfile);
    routes_free(&set.routes);
    set.has_ovdfile = ovdfile != NULL;
    if (ovdfile != NULL &&
        ovdfile_parse(span_text(ovdfile), name("MICROSFT"), name(""), NULL, &set.ovdfile, &err) == -1)
        fail_msg("%s", err.text);
    if (routes_parse(span_text(routes), links, 2, &set.routes, &err) == -1)
        fail_msg("%s", err.text);
}

static struct border a_border(void)
{
    return (struct border){ .node = name("MICROSFT"),
                            .allow_unresolved = true,
                            .default_node = nodes[0],
                            .domain = "vm.example.org",
                            .tables = &current };
}

static void mail_for_the_postmaster_is_taken(void **state)
{
    static const char *const his[] = { "postmaster",
                                       "PostMaster",
                                       "postmaster@vm.example.org",
                                       "Postmaster@VM.EXAMPLE.ORG.",
                                       "\"postmaster\"@vm.example.org",
                                       "postmaster@maplec1.vm.example.org",
                                       "postmaster@microsft.vm.example.org" };
    static const char *const not_his[] = { "",
                                           "postmast@vm.example.org",
                                           "postmasters@vm.example.org",
                                           "postmaster@",
                                           "postmaster@example.org",
                                           "postmaster@nonode.vm.example.org",
                                           "postmaster@vm.example.org@elsewhere.example",
                                           "postmaster@a.maplec1.vm.example.org" };
    (void)state;
    with_tables(NULL, "");
    struct border border = a_border();
    for (size_t i = 0; i < sizeof his / sizeof his[0]; i++)
        if (!border_is_postmaster(&border, span_text(his[i])))
            fail_msg("refused: %s", his[i]);
    for (size_t i = 0; i < sizeof not_his / sizeof not_his[0]; i++)
        if (border_is_postmaster(&border, span_text(not_his[i])))
            fail_msg("taken: %s", not_his[i]);
}

static void check(const char *mail, const char *host, enum err_id id)
{
    struct border border = a_border();
    struct host_address address;
    struct err err = ERR_CLEAR;
    int result = border_from_mail(&border, span_text(mail), &address, &err);
    if (host == NULL) {
        assert_int_equal(result, -1);
        if (err.id != id)
            fail_msg("%s: %s", mail, err.text);
        return;
    }
    if (result == -1)
        fail_msg("%s: %s", mail, err.text);
    assert_string_equal(host_address_text(address).text, host);
}

static void addresses_from_the_internet(void **state)
{
    (void)state;
    with_tables(NULL, "");
    check("georgeb@maplec1.vm.example.org", "MAPLEC1(GEORGEB)", ERR_NONE);
    check("GeorgeB@VM.Example.ORG", "MAPLEC1(GEORGEB)", ERR_NONE);
    check("georgeb@vm.example.org.", "MAPLEC1(GEORGEB)", ERR_NONE);
    check("\"georgeb\"@vm.example.org", "MAPLEC1(GEORGEB)", ERR_NONE);
    check("\"MAPLE#2(OP@1)\"@vm.example.org", "MAPLE#2(OP@1)", ERR_NONE);
    check("op=401@vm.example.org", "MAPLEC1(OP@1)", ERR_NONE);
    check("$x_y-z@vm.example.org", "MAPLEC1($X_Y-Z)", ERR_NONE);
}

static void no_relay(void **state)
{
    (void)state;
    with_tables(NULL, "");
    check("alice@example.com", NULL, ERR_RELAY_DENIED);
    check("alice%example.com@elsewhere.org", NULL, ERR_RELAY_DENIED);
    check("alice@evilvm.example.org", NULL, ERR_RELAY_DENIED);
    check("x0000017@microsft.vm.example.org", NULL, ERR_RELAY_DENIED);
    check("\"MICROSFT(X0000017)\"@vm.example.org", NULL, ERR_RELAY_DENIED);
    check("a-very-long-local-part-that-goes-on-and-on-for-more-than-64-octets-it-seems@example.com", NULL,
          ERR_RELAY_DENIED);
}

static void unknown_or_impossible_addresses_have_their_reason(void **state)
{
    (void)state;
    with_tables(NULL, "");
    check("georgeb@oak.vm.example.org", NULL, ERR_UNKNOWN_NODE);
    check("georgeb@ninechars.vm.example.org", NULL, ERR_UNKNOWN_NODE);
    check("georgeb@a.b.vm.example.org", NULL, ERR_UNKNOWN_NODE);
    check("georgebrown@vm.example.org", NULL, ERR_UNKNOWN_USER);
    check("george.b@vm.example.org", NULL, ERR_UNKNOWN_USER);
    check("a=4@vm.example.org", NULL, ERR_UNKNOWN_USER);
    check("georgeb", NULL, ERR_BAD_ADDRESS);
    check("\"MAPLEC1(GEORGEBROWN)\"@vm.example.org", NULL, ERR_BAD_ADDRESS);
}

static void every_user_id_comes_back(void **state)
{
    (void)state;
    with_tables(NULL, "");
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@#$_-";
    struct border border = a_border();
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        char text[3] = { letters[i], letters[(i * 7 + 3) % (sizeof letters - 1)], '\0' };
        for (int n = 0; n < 2; n++) {
            struct host_address host = { .node = n == 0 ? name("MAPLEC1") : name("MAPLE#2"), .user = name(text) };
            struct host_address back;
            struct buf mail = { 0 };
            border_to_mail(&border, host, &mail);
            assert_int_equal(border_from_mail(&border, buf_span(&mail), &back, NULL), 0);
            assert_string_equal(host_address_text(back).text, host_address_text(host).text);
            buf_free(&mail);
        }
    }
}

static void only_listed_nodes_exchange_mail(void **state)
{
    (void)state;
    static const char ovdfile[] = "MICROSFT LOCAL MSX\nBRANCH LOCAL MSB\nMAPLEC1 CMS CMS host-kind=tso\n";
    with_tables(ovdfile, "");
    struct border border = a_border();
    struct err err = ERR_CLEAR;
    check("georgeb@maplec1.vm.example.org", "MAPLEC1(GEORGEB)", ERR_NONE);
    check("\"MAPLE#2(OP)\"@vm.example.org", NULL, ERR_UNKNOWN_NODE);
    check("x0000001@branch.vm.example.org", NULL, ERR_RELAY_DENIED);
    struct host_address host = { .node = name("MAPLEC1"), .user = name("GEORGEB") };
    assert_int_equal(border_may_send(&border, host, name("MAPLEC1"), false, &err), 0);
    assert_int_equal(border_may_send(&border, host, name("HUB"), false, &err), -1);
    assert_int_equal(border_may_send(&border, host, name("HUB"), true, &err), 0); /* trust-origin = yes */
    assert_int_equal(err.id, ERR_NOT_ALLOWED);
    assert_int_equal(border_node(&border, name("MAPLEC1"))->system, SYSTEM_TSO);
    assert_null(border_node(&border, name("MAPLE#2")));
    static const char *const others[] = { "MAPLE#2", "MICROSFT", "BRANCH", "OAK" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        host.node = name(others[i]);
        assert_int_equal(border_may_send(&border, host, name("MAPLEC1"), false, &err), -1);
        assert_int_equal(err.id, ERR_NOT_ALLOWED);
    }
    border.unlisted_are_cms = true;
    host.node = name("MAPLE#2");
    assert_int_equal(border_may_send(&border, host, name("MAPLEC1"), false, &err), 0);
    host.node = name("MICROSFT");
    assert_int_equal(border_may_send(&border, host, name("MAPLEC1"), false, &err), -1);
}

static void routes_lead_to_other_links(void **state)
{
    (void)state;
    with_tables(NULL, "OAK(*) HUB\nMAPLEC1(OP*) HUB\n");
    struct border border = a_border();
    struct host_address host = { .node = name("MAPLEC1"), .user = name("OPER") };
    assert_string_equal(border_route(&border, host)->node.text, "HUB");
    assert_string_equal(border_link(&border, name("MAPLEC1"))->node.text, "MAPLEC1");
    assert_string_equal(border_link(&border, name("OAK"))->node.text, "HUB");
    assert_null(border_link(&border, name("ELM")));
    assert_null(border_link(&border, name("MICROSFT")));
    check("jim@oak.vm.example.org", "OAK(JIM)", ERR_NONE);
}

/* AD-08: a host user who is not there gets no mail, so that none comes back and goes out again. */
static void users_are_checked_where_they_are_listed(void **state)
{
    (void)state;
    struct err err = ERR_CLEAR;
    with_tables("MICROSFT LOCAL MSX\nMAPLEC1 CMS CMS users=listed\nMAPLE#2 CMS CMS users=any\n", "");
    assert_int_equal(hostusers_parse(SPAN_LITERAL("MAPLEC1(GEORGEB),\"Barnes, George\"\n"), &set.hostusers, &err), 0);
    check("georgeb@maplec1.vm.example.org", "MAPLEC1(GEORGEB)", ERR_NONE);
    check("nobody@vm.example.org", NULL, ERR_UNKNOWN_USER);
    check("\"MAPLE#2(NOBODY)\"@vm.example.org", "MAPLE#2(NOBODY)", ERR_NONE);
    struct border border = a_border();
    struct host_address host = { .node = nodes[0], .user = name("GEORGEB") };
    assert_true(span_equal(border_name(&border, host), SPAN_LITERAL("Barnes, George")));
    border.allow_unresolved = false;
    assert_int_equal(border_from_mail(&border, SPAN_LITERAL("\"MAPLE#2(NOBODY)\"@vm.example.org"), &host, &err), -1);
    assert_int_equal(err.id, ERR_UNKNOWN_USER);
    hostusers_free(&set.hostusers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_for_the_postmaster_is_taken),
        cmocka_unit_test(addresses_from_the_internet),
        cmocka_unit_test(no_relay),
        cmocka_unit_test(unknown_or_impossible_addresses_have_their_reason),
        cmocka_unit_test(every_user_id_comes_back),
        cmocka_unit_test(only_listed_nodes_exchange_mail),
        cmocka_unit_test(routes_lead_to_other_links),
        cmocka_unit_test(users_are_checked_where_they_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
