/* What is lost when these fail: a stranger is let in as a neighbour, or the neighbour is shut out. */
#include "base/allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool has(const struct allow_list *list, const char *text)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    struct sockaddr_in four = { .sin_family = AF_INET };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        memcpy(&address, &four, sizeof four);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
        memcpy(&address, &six, sizeof six);
    }
    return allow_has(list, (const struct sockaddr *)&address);
}

static void addresses_and_networks(void **state)
{
    (void)state;
    struct allow_list list;
    struct err err = ERR_CLEAR;
    assert_int_equal(allow_parse(SPAN_LITERAL("192.0.2.20  10.0.0.0/9\t::1\n2001:db8:8000::/33"), &list, &err), 0);
    assert_int_equal(list.count, 4);
    assert_true(has(&list, "192.0.2.20"));
    assert_false(has(&list, "192.0.2.21"));
    assert_true(has(&list, "10.127.255.255"));
    assert_false(has(&list, "10.128.0.0"));
    assert_true(has(&list, "::1"));
    assert_false(has(&list, "::2"));
    assert_true(has(&list, "2001:db8:ffff::9"));
    assert_false(has(&list, "2001:db8:7fff::9"));
    allow_free(&list);
}

static void mapped_addresses_are_ipv4(void **state)
{
    (void)state;
    struct allow_list list;
    assert_int_equal(allow_parse(SPAN_LITERAL("192.0.2.0/24"), &list, NULL), 0);
    assert_true(has(&list, "::ffff:192.0.2.77"));
    assert_false(has(&list, "::ffff:192.0.3.77"));
    assert_false(has(&list, "::192.0.2.77"));
    allow_free(&list);
    /* all of IPv4 is not all of IPv6 */
    assert_int_equal(allow_parse(SPAN_LITERAL("0.0.0.0/0"), &list, NULL), 0);
    assert_true(has(&list, "203.0.113.9"));
    assert_false(has(&list, "2001:db8::1"));
    allow_free(&list);
}

static void the_empty_list_allows_nobody(void **state)
{
    (void)state;
    struct allow_list list;
    assert_int_equal(allow_parse(SPAN_LITERAL("  "), &list, NULL), 0);
    assert_false(has(&list, "127.0.0.1"));
    const struct sockaddr local = { .sa_family = AF_UNIX };
    assert_false(allow_has(&list, &local));
    allow_free(&list);
}

static void wrong_entries_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "host.example.org", "\"host.example.org\" is no address" },
        { "::1 192.0.2.1/33", "from 0 to 32" },
        { "192.0.2.1/", "from 0 to 32" },
        { "192.0.2.1/2x", "from 0 to 32" },
        { "2001:db8::/129", "from 0 to 128" },
        { "192.0.2.20/24", "write 192.0.2.0/24" },
        { "2001:db8::5/64", "write 2001:db8::/64" },
        { "192.0.2", "is no address" },
        { "192.0.2.1,192.0.2.2", "is no address" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct allow_list list;
        struct err err = ERR_CLEAR;
        assert_int_equal(allow_parse(span_text(cases[i].text), &list, &err), -1);
        assert_int_equal(err.id, ERR_CONFIG);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_int_equal(list.count, 0);
    }
}

static void resolved_addresses_join(void **state)
{
    (void)state;
    struct allow_list list = { .count = 0 };
    struct sockaddr_in four = { .sin_family = AF_INET };
    assert_int_equal(inet_pton(AF_INET, "192.0.2.20", &four.sin_addr), 1);
    for (int i = 0; i < ALLOW_ENTRIES_MAX; i++)
        assert_int_equal(allow_add(&list, (const struct sockaddr *)&four, NULL), 0);
    struct err err = ERR_CLEAR;
    assert_int_equal(allow_add(&list, (const struct sockaddr *)&four, &err), -1);
    assert_int_equal(err.id, ERR_TOO_MANY);
    assert_true(has(&list, "192.0.2.20"));
    assert_false(has(&list, "192.0.2.2"));
    allow_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_networks),       cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(the_empty_list_allows_nobody), cmocka_unit_test(wrong_entries_are_named),
        cmocka_unit_test(resolved_addresses_join),
    };
    return cmocka_run_group_tests_name("allow", tests, NULL, NULL);
}
