/* What is lost when these fail: the cards of somebody's file, or their place in the right file. */
#include "codec/punch.h"

#include "codec/ebcdic.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_deck_without_header_is_one_text(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    corpus_add_text(&cards, "first line   ");
    corpus_add_text(&cards, "");
    corpus_add_text(&cards, ":READ  QUOTED   TEXT     A1 CMS191 11/12/92 10:56");
    struct punch_walk walk = punch_walk_of(&cards);
    struct punch_file file;
    struct span card;
    assert_true(punch_next_file(&walk, &file));
    assert_false(file.named);
    assert_true(punch_next_card(&walk, &card));
    corpus_assert_record(card, "first line");
    assert_true(punch_next_card(&walk, &card));
    assert_int_equal(card.size, 0);
    assert_true(punch_next_card(&walk, &card));
    corpus_assert_record(card, ":READ  QUOTED   TEXT     A1 CMS191 11/12/92 10:56");
    assert_false(punch_next_card(&walk, &card));
    assert_false(punch_next_file(&walk, &file));
    records_free(&cards);
}

static void every_header_begins_a_file(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    corpus_add_text(&cards, ":READ  PROFILE  EXEC     A1 CMS191 11/12/92  10:56");
    corpus_add_text(&cards, "one");
    corpus_add_text(&cards, "two");
    corpus_add_text(&cards, ":READ  EMPTY    FILE     B2 -");
    corpus_add_text(&cards, ":READ  LAST     TXT");
    corpus_add_text(&cards, "three");
    struct punch_walk walk = punch_walk_of(&cards);
    struct punch_file file;
    struct span card;
    assert_true(punch_next_file(&walk, &file)); /* its cards are skipped below */
    assert_string_equal(file.name, "PROFILE");
    assert_string_equal(file.type, "EXEC");
    assert_string_equal(file.mode, "A1");
    assert_string_equal(file.date, "11/12/92 10:56");
    assert_true(punch_next_card(&walk, &card));
    corpus_assert_record(card, "one");
    assert_true(punch_next_file(&walk, &file));
    assert_string_equal(file.name, "EMPTY");
    assert_string_equal(file.mode, "B2");
    assert_string_equal(file.date, "");
    assert_false(punch_next_card(&walk, &card));
    assert_false(punch_next_card(&walk, &card));
    assert_true(punch_next_file(&walk, &file));
    assert_string_equal(file.name, "LAST");
    assert_string_equal(file.type, "TXT");
    assert_true(punch_next_card(&walk, &card));
    corpus_assert_record(card, "three");
    assert_false(punch_next_card(&walk, &card));
    assert_false(punch_next_file(&walk, &file));
    records_free(&cards);
}

static void a_deck_without_cards_has_no_file(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    struct punch_walk walk = punch_walk_of(&cards);
    struct punch_file file;
    assert_false(punch_next_file(&walk, &file));
    assert_false(punch_next_file(&walk, &file));
}

static void a_line_fills_as_many_cards_as_it_needs(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    uint8_t line[241];
    memset(line, 0xC1, sizeof line);
    assert_int_equal(punch_add_line(&cards, SPAN_EMPTY), 1);
    assert_int_equal(punch_add_line(&cards, span_of(line, 1)), 1);
    assert_int_equal(punch_add_line(&cards, span_of(line, 80)), 1);
    assert_int_equal(punch_add_line(&cards, span_of(line, 241)), 4);
    struct reader walk = records_walk(&cards);
    struct span card;
    size_t letters = 0;
    while (records_next(&walk, &card)) {
        assert_int_equal(card.size, CARD_COLUMNS);
        letters += span_trim_end(card, EBCDIC_BLANK).size;
    }
    assert_int_equal(letters, 1 + 80 + 241);
    records_free(&cards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deck_without_header_is_one_text),
        cmocka_unit_test(every_header_begins_a_file),
        cmocka_unit_test(a_deck_without_cards_has_no_file),
        cmocka_unit_test(a_line_fills_as_many_cards_as_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
