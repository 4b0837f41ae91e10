/* What is lost when these fail: words of a letter, or the end of a letter in somebody's notebook. */
#include "codec/wrap.h"

#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct wrap narrow = {
    .page = &ebcdic_page_037, .width = 30, .quoted_width = 40, .break_equals = true, .cut_hyphens = true
};

static void assert_wrapped(const struct wrap *wrap, const char *text, const char *const *expected, size_t count)
{
    struct records lines = { .count = 0 };
    wrap_text(wrap, span_text(text), &lines, NULL);
    struct reader walk = records_walk(&lines);
    struct span line;
    for (size_t i = 0; i < count; i++) {
        assert_true(records_next(&walk, &line));
        corpus_assert_record(line, expected[i]);
    }
    assert_false(records_next(&walk, &line));
    records_free(&lines);
}

#define WRAPPED(wrap, text, ...)                                                        \
    do {                                                                                \
        static const char *const expected[] = { __VA_ARGS__ };                          \
        assert_wrapped((wrap), (text), expected, sizeof expected / sizeof expected[0]); \
    } while (0)

static void lines_are_cut_at_words(void **state)
{
    (void)state;
    WRAPPED(&narrow, "one two three four five six seven eight nine", "one two three four five six", "seven eight nine");
    WRAPPED(&narrow, "123456789012345678901234567890", "123456789012345678901234567890");
    WRAPPED(&narrow, "1234567890123456789012345678901", "123456789012345678901234567890", "1");
    WRAPPED(&narrow, "    1234567890123456789012345678901", "    12345678901234567890123456", "78901");
    WRAPPED(&narrow, "a\r\n\r\nb  \n\n", "a", " ", "b", " ");
    WRAPPED(&narrow, "a\tb\x01\x1B[2Jc", "a       b  [2Jc");
    WRAPPED(&narrow, "12345678901234567890123456 \xE2\x82\xAC\xE2\x82\xAC", "12345678901234567890123456", "EUREUR");
    struct records none = { .count = 0 };
    wrap_text(&narrow, SPAN_EMPTY, &none, NULL);
    assert_int_equal(none.count, 0);
}

static void what_is_quoted_keeps_its_lines(void **state)
{
    (void)state;
    WRAPPED(&narrow, "> a quoted line of up to forty columns\n", "> a quoted line of up to forty columns");
    WRAPPED(&narrow, "> a quoted line of more than forty columns in all\n", "> a quoted line of more than",
            "> forty columns in all");
    WRAPPED(&narrow, ">> > 12345678901234567890123456789012345678901234567890", ">> > 1234567890123456789012345",
            ">> > 6789012345678901234567890");
}

static void lines_that_end_entries_are_broken(void **state)
{
    (void)state;
    struct wrap wide = {
        .page = &ebcdic_page_037, .width = 78, .quoted_width = 132, .break_equals = true, .cut_hyphens = true
    };
    struct records lines = { .count = 0 };
    uint8_t rule[200];
    struct span line;
    memset(rule, '=', sizeof rule);
    wrap_text(&wide, span_of(rule, 71), &lines, NULL);
    wrap_text(&wide, span_of(rule, 72), &lines, NULL);
    wrap_text(&wide, span_of(rule, 200), &lines, NULL);
    struct reader walk = records_walk(&lines);
    assert_true(records_next(&walk, &line));
    assert_int_equal(line.size, 71);
    while (records_next(&walk, &line))
        assert_true(line.at[0] == EBCDIC_BLANK || line.size < 72);
    assert_int_equal(lines.count, 1 + 1 + 3);
    records_clear(&lines);
    memset(rule, '-', sizeof rule);
    wrap_text(&wide, span_of(rule, 70), &lines, NULL);
    wrap_text(&wide, span_of(rule, 69), &lines, NULL);
    walk = records_walk(&lines);
    assert_true(records_next(&walk, &line));
    assert_int_equal(line.size, 60);
    assert_true(records_next(&walk, &line));
    assert_int_equal(line.size, 69);
    records_free(&lines);
}

static void no_length_is_too_long(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 77, 78, 79, 132, 255, 4096, 8192, 10000 }; /* NT-05, NT-07 */
    struct wrap wide = { .page = &ebcdic_page_037, .width = 78, .quoted_width = 132 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf text = { 0 };
        struct records lines = { .count = 0 };
        buf_add_fill(&text, 'x', sizes[i]);
        wrap_text(&wide, buf_span(&text), &lines, NULL);
        assert_int_equal(lines.count, (sizes[i] + 77) / 78);
        assert_int_equal(lines.bytes.size, sizes[i] + 4 * lines.count);
        records_free(&lines);
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_at_words),
        cmocka_unit_test(what_is_quoted_keeps_its_lines),
        cmocka_unit_test(lines_that_end_entries_are_broken),
        cmocka_unit_test(no_length_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
