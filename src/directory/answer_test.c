/* What is lost when these fail: half a directory is taken for the whole of it and the other half of the people are
 * gone, or a person is shown to host users with an address that is another system's. */
#include "directory/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void line(const struct directory_entry *entry, const char *expected)
{
    struct buf to = { .at = NULL };
    bool written = directory_entry_write(entry, &to);
    assert_int_equal(written, expected != NULL);
    if (expected != NULL) {
        buf_add_u8(&to, 0);
        assert_string_equal((const char *)to.at, expected);
    }
    buf_free(&to);
}

static void an_entry_is_one_line(void **state)
{
    (void)state;
    struct span hosts[] = { SPAN_LITERAL("smtp:al@example.org"), SPAN_LITERAL("profs:MICROSFT(AL)"),
                            SPAN_LITERAL("PROFS:MICROSFT(ALICE)"), SPAN_LITERAL("ALONSO") };
    line(&(struct directory_entry){ .mail = SPAN_LITERAL("alice@example.org"),
                                    .name = SPAN_LITERAL("Alice \"Al\" Long,\nname"),
                                    .hosts = hosts,
                                    .host_count = 4 },
         "\"alice@example.org\",\"Alice \"\"Al\"\" Long, name\",\"MICROSFT(ALICE)\",\"MICROSFT(AL) ALONSO \"\n");
    line(&(struct directory_entry){ .mail = SPAN_LITERAL("bob@example.org"), .name = SPAN_EMPTY },
         "\"bob@example.org\",\"\",\"\",\"\"\n");
    line(&(struct directory_entry){ .mail = SPAN_LITERAL("  "), .name = SPAN_LITERAL("Nobody") }, NULL);
}

static void values_have_one_order(void **state)
{
    (void)state;
    struct span values[] = { SPAN_LITERAL("B"), SPAN_LITERAL("AB"), SPAN_LITERAL("A") };
    directory_values_sort(values, 3);
    assert_true(span_equal(values[0], SPAN_LITERAL("A")) && span_equal(values[1], SPAN_LITERAL("AB")));
}

static enum err_id parse(const char *text, size_t *count_r)
{
    struct span rows;
    struct err err = ERR_CLEAR;
    (void)directory_answer_parse(span_text(text), &rows, count_r, &err);
    return err.id;
}

static void only_a_whole_answer_counts(void **state)
{
    (void)state;
    size_t count;
    assert_int_equal(parse("\"a@b\",\"A\",\"\",\"\"\n\"c@d\",\"C\",\"\",\"\"\n#end 2\n", &count), ERR_NONE);
    assert_int_equal(count, 2);
    assert_int_equal(parse("#end 0\n", &count), ERR_NONE);
    static const char *const broken[] = { "",
                                          "\n",
                                          "\"a@b\",\"A\",\"\",\"\"\n",
                                          "#end 1\n",
                                          "x\n#end 2\n",
                                          "x\n#end 1",
                                          "#end \n",
                                          "#end -0\n",
                                          "x\n#end 1\ny\n",
                                          "#end 99999999999999999999\n" };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(parse(broken[i], &count), ERR_PROTOCOL);
        assert_int_equal(count, 0);
    }
    assert_int_equal(parse("x\n#failed the bind: Invalid credentials\n", &count), ERR_CONNECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_one_line),
        cmocka_unit_test(values_have_one_order),
        cmocka_unit_test(only_a_whole_answer_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
