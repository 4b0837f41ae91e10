/* What is lost when these fail: a user who may not writes to the Internet in the site's name, or one who may is
 * refused. */
#include "address/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct host_address host(const char *text)
{
    struct host_address address = { .node = { .text = "" } };
    assert_int_equal(host_address_parse(span_text(text), &address, NULL), 0);
    return address;
}

static void the_most_specific_line_holds(void **state)
{
    (void)state;
    struct access access;
    struct err err = ERR_CLEAR;
    assert_int_equal(access_parse(SPAN_LITERAL("* who may\n"
                                               "*(*) deny\n"
                                               "MAPLEC1 allow letters=100 register=5\n"
                                               "MAPLEC1(GUEST*) deny\n"
                                               "MAPLEC1(GEORGEB) allow in-body=yes\n"),
                                  &access, &err),
                     0);
    struct access_right right = access_of(&access, host("MAPLEC1(GEORGEB)"));
    assert_true(right.allow && right.in_body);
    assert_int_equal(right.line, 5);
    assert_int_equal(right.letters, 0);
    assert_int_equal(right.registrations, ACCESS_REGISTRATIONS);
    right = access_of(&access, host("MAPLEC1(JIMMYC)"));
    assert_true(right.allow && !right.in_body);
    assert_int_equal(right.letters, 100);
    assert_int_equal(right.registrations, 5);
    right = access_of(&access, host("MAPLEC1(GUEST7)"));
    assert_false(right.allow);
    assert_int_equal(right.line, 4);
    assert_int_equal(right.registrations, 0);
    assert_false(access_of(&access, host("OAK(GEORGEB)")).allow);
    access_free(&access);
}

static void without_a_file_all_may_and_with_one_only_who_is_in_it(void **state)
{
    (void)state;
    struct access none = { .count = 0 };
    assert_true(access_of(&none, host("A(B)")).allow);
    assert_true(access_of(&none, host("A(B)")).in_body);
    struct access empty;
    assert_int_equal(access_parse(SPAN_EMPTY, &empty, NULL), 0);
    assert_false(access_of(&empty, host("A(B)")).allow);
}

static void a_wrong_line_is_named(void **state)
{
    (void)state;
    static const char *const wrong[] = { "A(*)",
                                         "A(*) perhaps",
                                         "A(*) allow letters=",
                                         "A(*) allow letters=-1",
                                         "A(*) allow letters=1000001",
                                         "A(*) allow in-body=maybe",
                                         "A(*) allow speed=3",
                                         "A(*) deny letters=3",
                                         "A(* allow",
                                         "TOOLONGNODE(*) allow" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct access access;
        struct buf text = { 0 };
        struct err err = ERR_CLEAR;
        buf_printf(&text, "* one\n\n%s\n", wrong[i]);
        assert_int_equal(access_parse(buf_span(&text), &access, &err), -1);
        assert_int_equal(err.id, ERR_CONFIG);
        assert_non_null(strstr(err.text, "Access.tbl line 3: "));
        assert_int_equal(access.count, 0);
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_specific_line_holds),
        cmocka_unit_test(without_a_file_all_may_and_with_one_only_who_is_in_it),
        cmocka_unit_test(a_wrong_line_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
