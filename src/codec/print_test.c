/* What is lost when these fail: lines of a printed report, first of all the one after an overprinted line. */
#include "codec/print.h"

#include "codec/ebcdic.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_lines(const struct records *lines, const char *const *expected, size_t count)
{
    struct reader walk = records_walk(lines);
    struct span line;
    for (size_t i = 0; i < count; i++) {
        assert_true(records_next(&walk, &line));
        corpus_assert_record(line, expected[i]);
    }
    assert_false(records_next(&walk, &line));
}

#define LINES(lines, ...)                                                      \
    do {                                                                       \
        static const char *const expected[] = { __VA_ARGS__ };                 \
        assert_lines((lines), expected, sizeof expected / sizeof expected[0]); \
    } while (0)

static void asa_moves_before_it_prints(void **state)
{
    (void)state;
    static const char *const print[] = { "1Title",     "+_____", " one",           "0two", "-three",
                                         "+     four", " five",  "+FIVE and more", " six", "",
                                         " ",          "1",      "1Next",          "?odd", " " };
    struct records from = { .count = 0 };
    struct records to = { .count = 0 };
    struct print_facts facts;
    for (size_t i = 0; i < sizeof print / sizeof print[0]; i++)
        corpus_add_text(&from, print[i]);
    print_to_lines(&from, PRINT_ASA, &to, &facts);
    LINES(&to, "Title", "one", "", "two", "", "", "threefour", "five", "FIVE and more", "six", "\x0CNext", "odd");
    assert_int_equal(facts.pages, 2);
    assert_int_equal(facts.merged, 2);
    assert_int_equal(facts.kept, 1);
    assert_int_equal(facts.unknown, 1);
    records_free(&from);
    records_free(&to);
}

static void an_overprint_eats_no_line(void **state)
{
    (void)state;
    /* Q254916: `+` as the first line, twice in a row, and before the end */
    static const char *const print[] = { "+first", "+      second", " third", "+" };
    struct records from = { .count = 0 };
    struct records to = { .count = 0 };
    struct print_facts facts;
    for (size_t i = 0; i < sizeof print / sizeof print[0]; i++)
        corpus_add_text(&from, print[i]);
    print_to_lines(&from, PRINT_ASA, &to, &facts);
    LINES(&to, "first second", "third");
    records_free(&from);
    records_free(&to);
}

static void add(struct records *from, uint8_t control, const char *text)
{
    struct records one = { .count = 0 };
    struct span record;
    corpus_add_text(&one, text);
    struct reader walk = records_walk(&one);
    assert_true(records_next(&walk, &record));
    records_add_controlled(from, control, record);
    records_free(&one);
}

static void machine_prints_before_it_moves(void **state)
{
    (void)state;
    struct records from = { .count = 0 };
    struct records to = { .count = 0 };
    struct print_facts facts;
    add(&from, 0x8B, "");
    add(&from, 0x01, "a");
    add(&from, 0x09, "_b");
    add(&from, 0x11, "c");
    add(&from, 0x19, "d");
    add(&from, 0x0B, "");
    add(&from, 0x89, "e");
    add(&from, 0x01, "f");
    add(&from, 0x13, "ignored: immediate");
    add(&from, 0x09, "g");
    add(&from, 0x01, "last");
    print_to_lines(&from, PRINT_MACHINE, &to, &facts);
    LINES(&to, "ab", "c", "", "d", "", "", "", "e",
          "\x0C"
          "f",
          "", "g", "last");
    assert_int_equal(facts.pages, 2);
    assert_int_equal(facts.unknown, 0);
    records_free(&from);
    records_free(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asa_moves_before_it_prints),
        cmocka_unit_test(an_overprint_eats_no_line),
        cmocka_unit_test(machine_prints_before_it_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
