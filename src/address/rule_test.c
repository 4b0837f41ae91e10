/* What is lost when these fail: people get other addresses than their site's rule says. */
#include "address/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void rules_make_these_names(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *local, *name, *made;
    } all[] = {
        { "NODE1(&m)", "johndoe", "", "JOHNDOE" },                /* PX-01 */
        { "MICROSFT(&S&G3)", "nancy", "Nancy M. Lee", "LEENAN" }, /* PX-02 */
        { "MICROSFT(%s%g3)", "nancy", "Nancy M. Lee", "LEENAN" },
        { "microsft(&i)", "nancy", "Nancy M. Lee", "NML" },
        { "MICROSFT(&d)", "nancy", "Nancy M. Lee", "NANCYMLEE" },
        { "MICROSFT(&s2)", "nancy", "Lee, Nancy M.", "LE" }, /* PX-03 */
        { "MICROSFT(&d)", "nancy", "Lee, Nancy M.", "NANCYMLEE" },
        { "MICROSFT(&g1&s)", "nancy", "van der Lee, Nancy", "NVANDERLEE" },
        { "MICROSFT(%r..&m)", "nancy.lee", "", "NANCYLEE" },
        { "MICROSFT(%r.$&m)", "nancy.lee", "", "NANCY$LEE" },
        { "MICROSFT(&m%rEX&m)", "lee", "", "LEELXX" }, /* only in what follows */
        { "MICROSFT(%re3%r3#&m)", "lee", "", "L##" },
        { "MICROSFT(VM&m3)", "nancy", "", "VMNAN" },
        { "MICROSFT(&&%%A&m)", "nancy", "", "ANANCY" }, /* no user id can hold & and % */
        { "MICROSFT(&m2)", "a.b.c", "", "AB" },         /* dropped before the characters are counted */
        { "MICROSFT(&g&s)", "nancy", "", "NANCY" },     /* no name: the local part */
        { "MICROSFT(&s)", "nancy", "Lee", "LEE" },
        { "MICROSFT(&g)", "nancy", "Lee", "NANCY" },
        { "MICROSFT(&s)", "k", "J\xC3\xBCrgen M\xC3\xBCller", "MULLER" },
        { "MICROSFT(&i)", "k", "\xC3\x96zlem \xC3\x85s", "OA" },
        { "MICROSFT(&d)", "k", "\xE6\x97\xA5\xE6\x9C\xAC", "K" },
        { "MICROSFT(&m)", "---", "", "" },
        { "PROFS:MICROSFT(&m)", "johndoe", "", "JOHNDOE" }, /* as the classic product wrote it */
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct rule rule;
        struct err err = ERR_CLEAR;
        struct buf made = { 0 };
        if (rule_parse(span_text(all[i].rule), &rule, &err) == -1)
            fail_msg("%s: %s", all[i].rule, err.text);
        rule_apply(&rule, span_text(all[i].local), span_text(all[i].name), &made);
        buf_add_u8(&made, 0);
        if (strcmp((const char *)made.at, all[i].made) != 0)
            fail_msg("%s of %s: %s instead of %s", all[i].rule, all[i].local, (const char *)made.at, all[i].made);
        buf_free(&made);
    }
}

static void each_node_may_have_a_rule(void **state)
{
    (void)state;
    struct rules rules;
    struct err err = ERR_CLEAR;
    struct name8 branch = { .text = "BRANCH" };
    struct name8 other = { .text = "OTHER" };
    struct buf made = { 0 };
    assert_int_equal(rules_parse(SPAN_LITERAL(" MICROSFT(&m) PROFS:branch(&s&g1) "), &rules, &err), 0);
    assert_int_equal(rules.count, 2);
    struct rule rule = rules_of(&rules, branch);
    rule_apply(&rule, SPAN_LITERAL("nancy"), SPAN_LITERAL("Nancy M. Lee"), &made);
    assert_true(span_equal(buf_span(&made), SPAN_LITERAL("LEEN")));
    buf_clear(&made);
    rule = rules_of(&rules, other);
    rule_apply(&rule, SPAN_LITERAL("nancy"), SPAN_LITERAL("Nancy M. Lee"), &made);
    assert_true(span_equal(buf_span(&made), SPAN_LITERAL("NANCY")));
    assert_string_equal(rule.node.text, "OTHER");
    assert_int_equal(rules_parse(SPAN_LITERAL("BRANCH(&m) branch(&s)"), &rules, &err), -1);
    assert_string_equal(err.text, "there are two rules for the node BRANCH");
    assert_int_equal(rules_parse(SPAN_LITERAL("MICROSFT(&m) BRANCH"), &rules, &err), -1);
    buf_free(&made);
}

static void a_wrong_rule_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",
                                         "&m",
                                         "MICROSFT",
                                         "MICROSFT(&m",
                                         "MICROSFT(&x)",
                                         "MICROSFT(&)",
                                         "MICROSFT(%r)",
                                         "MICROSFT(%rA)",
                                         "MICROSFT(&m0)",
                                         "TOOLONGNODE(&m)",
                                         "(&m)",
                                         "MICROSFT(12345678901234567890123456789012345)" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rule rule;
        struct err err = ERR_CLEAR;
        if (rule_parse(span_text(wrong[i]), &rule, &err) != -1)
            fail_msg("%s is taken", wrong[i]);
        assert_int_equal(err.id, ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_make_these_names),
        cmocka_unit_test(each_node_may_have_a_rule),
        cmocka_unit_test(a_wrong_rule_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
