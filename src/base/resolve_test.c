/* What is lost when these fail: a neighbour or relay that is configured rightly is never reached. */
#include "base/resolve.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void literal(const char *text, const char *shown)
{
    struct resolve_name name;
    struct resolve_answer answer;
    char back[RESOLVE_TEXT_MAX];
    assert_int_equal(resolve_parse(text, &name, NULL), 0);
    assert_true(resolve_literal(&name, &answer));
    assert_int_equal(answer.count, 1);
    resolve_text((const struct sockaddr *)&answer.addresses[0].address, back);
    assert_string_equal(back, shown);
}

static void literals_need_no_lookup(void **state)
{
    (void)state;
    literal("192.0.2.1:175", "192.0.2.1:175");
    literal("[2001:db8::1]:2252", "[2001:db8::1]:2252");
    struct resolve_name name;
    struct resolve_answer answer;
    assert_int_equal(resolve_parse("rscs.example.org:175", &name, NULL), 0);
    assert_string_equal(name.host, "rscs.example.org");
    assert_int_equal(name.port, 175);
    assert_false(resolve_literal(&name, &answer));
}

static void wrong_texts_are_shown(void **state)
{
    (void)state;
    static const char *const texts[] = { "host",    ":175",     "host:",    "host:17x", "host:65536",
                                         "::1:175", "[::1]175", "[::1:175", "[]:175",   "host:-1" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct resolve_name name;
        struct err err = ERR_CLEAR;
        assert_int_equal(resolve_parse(texts[i], &name, &err), -1);
        assert_int_equal(err.id, ERR_CONFIG);
        assert_non_null(strstr(err.text, texts[i]));
    }
}

struct asked {
    struct loop *loop;
    size_t count;
    enum err_id error;
};

static void take(void *arg, const struct resolve_answer *answer, const struct err *err)
{
    struct asked *asked = arg;
    asked->count = answer != NULL ? answer->count : 0;
    asked->error = err != NULL ? err->id : ERR_NONE;
    loop_stop(asked->loop);
}

static void names_are_looked_up_beside_the_loop(void **state)
{
    (void)state;
    struct asked asked = { .loop = loop_new() };
    assert_non_null(asked.loop);
    struct resolve_name name = { .host = "localhost", .port = 175 };
    assert_non_null(resolve_start(asked.loop, &name, AF_UNSPEC, take, &asked, NULL));
    loop_run(asked.loop);
    assert_int_equal(asked.error, ERR_NONE);
    assert_true(asked.count >= 1);
    struct resolve_name none = { .host = "no-such-host.invalid", .port = 175 };
    assert_non_null(resolve_start(asked.loop, &none, AF_INET, take, &asked, NULL));
    loop_run(asked.loop);
    assert_int_equal(asked.error, ERR_CONNECT);
    assert_int_equal(asked.count, 0);
    loop_free(asked.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_need_no_lookup),
        cmocka_unit_test(wrong_texts_are_shown),
        cmocka_unit_test(names_are_looked_up_beside_the_loop),
    };
    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
