/* What is lost when these fail: mail to a user who is there is refused, or goes to a node where nobody reads it. */
#include "address/hostusers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct host_address host(const char *text)
{
    struct host_address host;
    assert_int_equal(host_address_parse(span_text(text), &host, NULL), 0);
    return host;
}

static void users_are_found(void **state)
{
    (void)state;
    struct hostusers users;
    struct err err = ERR_CLEAR;
    static const char text[] = "Host address,Full name\r\n"
                               "oak(georgeb),\"Barnes, George\"\r\n"
                               "# the computer room\n"
                               "MAPLE(OP1)\n"
                               "OAK(ANNA),Ann\xC3\xA1\n";
    if (hostusers_parse(SPAN_LITERAL(text), &users, &err) == -1)
        fail_msg("%s", err.text);
    assert_int_equal(users.count, 3);
    assert_string_equal(hostusers_find(&users, host("OAK(GEORGEB)")), "Barnes, George");
    assert_string_equal(hostusers_find(&users, host("OAK(ANNA)")), "Ann\xC3\xA1");
    assert_string_equal(hostusers_find(&users, host("MAPLE(OP1)")), "");
    assert_null(hostusers_find(&users, host("MAPLE(GEORGEB)")));
    hostusers_free(&users);
    assert_null(hostusers_find(&users, host("OAK(ANNA)")));
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } all[] = {
        { "OAK(A)\nB\n", "Hostusers.csv line 2: " },
        { "OAK(A)\n\noak(a),Again\n", "Hostusers.csv line 3: OAK(A) stands on line 1 already" },
        { "OAK(A),Name,OAK(B)\n", "line 1: there are two columns" },
        { "OAK(A),\"Two\nlines\"\n", "line 1: the name" },
        { "OAK(A),\"open\n", "line 1: the quote" },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct hostusers users;
        struct err err = ERR_CLEAR;
        assert_int_equal(hostusers_parse(span_text(all[i].text), &users, &err), -1);
        assert_int_equal(users.count, 0);
        if (strstr(err.text, all[i].says) == NULL)
            fail_msg("%s, not %s", err.text, all[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found),
        cmocka_unit_test(mistakes_name_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
