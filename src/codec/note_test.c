/* What is lost when these fail: who wrote a note and when, or words of it; and that REPLY finds its way back. */
#include "codec/note.h"

#include "codec/netdata.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOV_13_1993_21_52_42 INT64_C(753227562000000)
#define NOV_24_2026_14_03_11 INT64_C(1795528991000000)

static void assert_span(struct span span, const char *text)
{
    struct buf copy = { 0 };
    buf_add_span(&copy, span);
    buf_add_u8(&copy, '\0');
    assert_string_equal((const char *)copy.at, text);
    buf_free(&copy);
}

static struct note *parse(struct note *note, const char *const *lines, size_t count)
{
    struct records records = { .count = 0 };
    for (size_t i = 0; i < count; i++)
        corpus_add_text(&records, lines[i]);
    assert_int_equal(note_parse(&records, &ebcdic_page_037, note, NULL), 0);
    records_free(&records);
    return note;
}

#define PARSE(note, ...)                                      \
    do {                                                      \
        static const char *const lines[] = { __VA_ARGS__ };   \
        parse((note), lines, sizeof lines / sizeof lines[0]); \
    } while (0)

static void assert_address(struct note_address address, const char *user, const char *node)
{
    assert_string_equal(address.user.text, user);
    assert_string_equal(address.node.text, node);
}

static void a_note_as_cms_sends_it(void **state)
{
    (void)state;
    struct note note;
    PARSE(&note, "Date: 13 November 93, 22:52:42 CET", "From: CMS1     at ALIJKU11", "To:   MEA at FINFILES", " ",
          "Test", " ");
    assert_true(note.understood);
    assert_true(note.has_date);
    assert_int_equal(note.date.us, NOV_13_1993_21_52_42);
    assert_int_equal(note.date.zone_minutes, 60);
    assert_true(note.has_from);
    assert_address(note.from, "CMS1", "ALIJKU11");
    assert_int_equal(note.to_count, 1);
    assert_address(note.to[0], "MEA", "FINFILES");
    assert_int_equal(note.cc_count, 0);
    assert_int_equal(note.subject.size, 0);
    assert_span(note.body, "Test");
    note_release(&note);
}

static void replies_and_subjects_are_recognised(void **state)
{
    (void)state;
    struct note note;
    PARSE(&note, "Date: 25 November 26, 09:10:00 EST", "From: GEORGEB  at MAPLEC1", "To:   X0000017 at MICROSFT",
          "Subject: Re: Quarterly numbers", " ", "*** Reply to note of 11/24/26 14:03", "Thanks.");
    assert_true(note.understood);
    assert_span(note.subject, "Re: Quarterly numbers");
    assert_true(note.is_reply);
    assert_int_equal(note.reply_date.us, INT64_C(1795528980000000));
    assert_span(note.body, "*** Reply to note of 11/24/26 14:03\nThanks.");
    note_release(&note);
    /* typed, because the host has no such field */
    PARSE(&note, "From: GEORGEB  at MAPLEC1", "", "subject: typed", "", "Text");
    assert_span(note.subject, "typed");
    assert_span(note.body, "Text");
    note_release(&note);
}

static void many_recipients_are_found(void **state)
{
    (void)state;
    struct note note;
    PARSE(&note, "OPTIONS: NOACK    LOG    SHORT     NOTEBOOK ALL CLASS A", "", "", "Date: 17 January 26, 01:10:06 GMT",
          "From: a at B", "To: C at D, E@F NODE1(USER1)", "      USER2 at NODE2", "To:   G       --H", "cc:   i AT j",
          "      K at L", "", "Text");
    assert_true(note.understood);
    assert_int_equal(note.to_count, 5);
    assert_address(note.from, "A", "B");
    assert_address(note.to[0], "C", "D");
    assert_address(note.to[1], "E", "F");
    assert_address(note.to[2], "USER1", "NODE1");
    assert_address(note.to[3], "USER2", "NODE2");
    assert_address(note.to[4], "G", "H");
    assert_int_equal(note.cc_count, 2);
    assert_address(note.cc[1], "K", "L");
    assert_span(note.body, "Text");
    note_release(&note);
}

static void what_is_not_understood_stays_readable(void **state)
{
    (void)state;
    struct note note;
    PARSE(&note, "Date: sometime", "From: GEORGEB  at MAPLEC1", "      George Bell", "      Room 7",
          "To:   alice@example.com", "Phone: 123", "", "Text", "");
    assert_false(note.understood);
    assert_false(note.has_date); /* the caller takes the time of receipt (NT-06) */
    assert_true(note.has_from);
    assert_int_equal(note.to_count, 0);
    assert_span(note.body, "Date: sometime\nFrom: GEORGEB  at MAPLEC1\n      George Bell\n      Room 7\n"
                           "To:   alice@example.com\nPhone: 123\n\nText");
    note_release(&note);
    PARSE(&note, "Just text", "From: A at B");
    assert_true(note.understood);
    assert_false(note.has_from);
    assert_span(note.body, "Just text\nFrom: A at B");
    note_release(&note);
    struct records none = { .count = 0 };
    assert_int_equal(note_parse(&none, &ebcdic_page_037, &note, NULL), 0);
    assert_int_equal(note.body.size, 0);
    note_release(&note);
}

static void assert_built(const struct note_letter *letter, const char *const *expected, size_t count)
{
    struct records lines = { .count = 0 };
    note_build(letter, &ebcdic_page_037, &lines, NULL);
    struct reader walk = records_walk(&lines);
    struct span line;
    for (size_t i = 0; i < count; i++) {
        assert_true(records_next(&walk, &line));
        corpus_assert_record(line, expected[i]);
    }
    assert_int_equal(lines.count, count);
    records_free(&lines);
}

static void our_note_is_that_of_the_example(void **state)
{
    (void)state;
    struct note_letter letter = { .time_us = NOV_24_2026_14_03_11,
                                  .from = { { "X0000017" }, { "MICROSFT" } },
                                  .to = { { "GEORGEB" }, { "MAPLEC1" } },
                                  .subject = SPAN_LITERAL("Quarterly numbers"),
                                  .name = SPAN_LITERAL("Alice Longname"),
                                  .address = SPAN_LITERAL("alice.longname@example.com"),
                                  .text = SPAN_LITERAL("The numbers are in the file that follows.\n") };
    static const char *const example[] = { "Date: 24 November 26, 14:03:11 GMT",
                                           "From: X0000017 at MICROSFT",
                                           "To:   GEORGEB at MAPLEC1",
                                           "Subject: Quarterly numbers",
                                           " ",
                                           "(Alice Longname <alice.longname@example.com>)",
                                           "The numbers are in the file that follows." };
    assert_built(&letter, example, sizeof example / sizeof example[0]);
    letter.from = (struct note_address){ { "BOB" }, { "MICROSFT" } };
    letter.subject = SPAN_EMPTY;
    letter.name = SPAN_LITERAL("Bob\n====");
    letter.text = SPAN_EMPTY;
    static const char *const bare[] = { "Date: 24 November 26, 14:03:11 GMT", "From: BOB      at MICROSFT",
                                        "To:   GEORGEB at MAPLEC1", " ", "(Bob ==== <alice.longname@example.com>)" };
    assert_built(&letter, bare, sizeof bare / sizeof bare[0]);
}

static void a_long_subject_is_not_lost(void **state)
{
    (void)state;
    char subject[301];
    memset(subject, 's', 300);
    subject[300] = '\0';
    struct note_letter letter = { .subject = span_text(subject), .text = SPAN_LITERAL("x") };
    struct records lines = { .count = 0 };
    note_build(&letter, &ebcdic_page_037, &lines, NULL);
    struct reader walk = records_walk(&lines);
    struct span line;
    size_t letters = 0;
    while (records_next(&walk, &line)) {
        assert_true(line.size <= NOTE_LINE_MAX);
        for (size_t i = 0; i < line.size; i++)
            letters += line.at[i] == 0xA2;
    }
    assert_int_equal(letters, NOTE_LINE_MAX - 9 + 300);
    records_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_as_cms_sends_it),          cmocka_unit_test(replies_and_subjects_are_recognised),
        cmocka_unit_test(many_recipients_are_found),       cmocka_unit_test(what_is_not_understood_stays_readable),
        cmocka_unit_test(our_note_is_that_of_the_example), cmocka_unit_test(a_long_subject_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
