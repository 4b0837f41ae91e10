/* What is lost when these fail: the right time on a letter, and the match of a receipt with the letter it answers. */
#include "codec/date.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
/* seconds since 1970, from `date -u -d ... +%s` */
#define NOV_13_1993_21_52_42 (INT64_C(753227562) * SECOND)
#define NOV_24_2026_14_03_11 (INT64_C(1795528991) * SECOND)

static void assert_date(const char *text, int64_t us, int zone_minutes, bool zone_known)
{
    struct date date;
    struct err err = ERR_CLEAR;
    if (date_parse(span_text(text), &date, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    if (date.us != us)
        fail_msg("%s: %lld", text, (long long)date.us);
    assert_int_equal(date.zone_minutes, zone_minutes);
    assert_int_equal(date.zone_known, zone_known);
}

static void every_form_is_read(void **state)
{
    (void)state;
    assert_date("13 November 93, 22:52:42 CET", NOV_13_1993_21_52_42, 60, true);
    assert_date("13 November 1993, 22:52:42 cet", NOV_13_1993_21_52_42, 60, true);
    assert_date("Sat, 13 Nov 1993 22:52:42 +0100 (Central (European) Time)", NOV_13_1993_21_52_42, 60, true);
    assert_date("Sat, 13 Nov 93 16:52:42 EST", NOV_13_1993_21_52_42, -300, true);
    assert_date("13-Nov-93 21:52:42", NOV_13_1993_21_52_42, 0, false);
    assert_date("November 13, 1993 21:52:42 UT", NOV_13_1993_21_52_42, 0, true);
    assert_date("1993-11-13 21:52:42", NOV_13_1993_21_52_42, 0, false);
    assert_date("11/13/93 21:52:42", NOV_13_1993_21_52_42, 0, false);
    assert_date("08-24-93 19:15:20", INT64_C(746219720) * SECOND, 0, false);
    assert_date("11/24/26  14:03:11", NOV_24_2026_14_03_11, 0, false);
    assert_date("24 November 26, 14:03:11 GMT", NOV_24_2026_14_03_11, 0, true);
    assert_date("24 Nov 2026 14:03:11 XYZ", NOV_24_2026_14_03_11, 0, false);
    assert_date("Tue, 24 Nov 2026 09:03:11 -0500", NOV_24_2026_14_03_11, -300, true);
    assert_date("1 January 70", 0, 0, false);
    assert_date("31 December 69, 23:59:60 GMT", INT64_C(3155759999) * SECOND, 0, true);
    assert_date("29 Feb 2024 00:00 Z", INT64_C(1709164800) * SECOND, 0, true);
}

static void what_is_no_date_is_said(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "yesterday",
                                       "31 June 2026",
                                       "29 Feb 2026 10:00",
                                       "1 Nov 2026 24:00",
                                       "1 1 1 1 1",
                                       "0 Nov 2026",
                                       "13/13/13",
                                       "1 Nov",
                                       "Nov 2026",
                                       "1 Nov 26 1:2:3:4 +9999",
                                       "(((",
                                       "1 Nov 1601 00:00:00" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct date date;
        struct err err = ERR_CLEAR;
        if (date_parse(span_text(bad[i]), &date, &err) == 0)
            fail_msg("%s was taken for a date", bad[i]);
        assert_int_equal(err.id, ERR_BAD_CONTENT);
    }
}

static void every_form_is_written(void **state)
{
    (void)state;
    struct buf to = { 0 };
    date_format_mail(NOV_13_1993_21_52_42, 60, &to);
    buf_add_u8(&to, '\n');
    date_format_mail(NOV_24_2026_14_03_11, -210, &to);
    buf_add_u8(&to, '\n');
    date_format_short(NOV_24_2026_14_03_11, &to);
    buf_add_u8(&to, '\n');
    date_format_note(NOV_24_2026_14_03_11, &to);
    buf_add_u8(&to, '\n');
    date_format_profs(NOV_24_2026_14_03_11, &to);
    buf_add_u8(&to, '\n');
    date_format_netdata(NOV_24_2026_14_03_11 + 7, &to);
    assert_true(span_equal(buf_span(&to), SPAN_LITERAL("Sat, 13 Nov 1993 22:52:42 +0100\n"
                                                       "Tue, 24 Nov 2026 10:33:11 -0330\n"
                                                       "24 Nov 2026 14:03:11 GMT\n"
                                                       "24 November 26, 14:03:11 GMT\n"
                                                       "11/24/26 14:03:11\n"
                                                       "20261124140311000007")));
    buf_free(&to);
}

static void netdata_times_may_be_short(void **state)
{
    (void)state;
    int64_t us;
    assert_true(date_parse_netdata(SPAN_LITERAL("20261124140311000000"), &us));
    assert_int_equal(us, NOV_24_2026_14_03_11);
    assert_true(date_parse_netdata(SPAN_LITERAL("2026112414031112"), &us));
    assert_int_equal(us, NOV_24_2026_14_03_11 + 120000);
    assert_true(date_parse_netdata(SPAN_LITERAL("1970"), &us));
    assert_int_equal(us, 0);
    assert_false(date_parse_netdata(SPAN_LITERAL("20261"), &us));
    assert_false(date_parse_netdata(SPAN_LITERAL("20261324"), &us));
    assert_false(date_parse_netdata(SPAN_LITERAL("2026112414031100x"), &us));
    assert_false(date_parse_netdata(SPAN_EMPTY, &us));
}

static void days_agree_both_ways(void **state)
{
    (void)state;
    int64_t us = 0;
    struct date_civil civil = { .year = DATE_YEAR_MIN, .month = 1, .day = 1 };
    assert_true(date_from_civil(&civil, &us));
    /* every 7th hour of 1900-2200, and never a day that is not the one before plus one */
    for (int64_t at = us; at < INT64_C(7258118400) * SECOND; at += 7 * 3600 * SECOND) {
        int64_t back;
        date_to_civil(at, &civil);
        assert_true(date_from_civil(&civil, &back));
        assert_int_equal(back, at);
    }
    date_to_civil(INT64_MIN, &civil);
    date_to_civil(INT64_MAX, &civil);
    assert_int_equal(civil.year, DATE_YEAR_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),    cmocka_unit_test(what_is_no_date_is_said),
        cmocka_unit_test(every_form_is_written), cmocka_unit_test(netdata_times_may_be_short),
        cmocka_unit_test(days_agree_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
