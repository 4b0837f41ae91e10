/* What is lost when these fail: every parser's promise not to leave its input. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/name8.h"
#include "base/span.h"
#include "base/ulid.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void reader_stops_at_the_end(void **state)
{
    (void)state;
    struct reader reader = reader_of(SPAN_LITERAL("\x01\x02\x03"));
    assert_int_equal(reader_u16(&reader), 0x0102);
    assert_int_equal(reader_u16(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(reader_u8(&reader), 0); /* latched: the byte that is left is not given out any more */
    assert_true(reader_at_end(&reader));
}

static void reader_until_takes_lines(void **state)
{
    (void)state;
    struct reader reader = reader_of(SPAN_LITERAL("a\n\nb"));
    assert_true(span_equal(reader_until(&reader, '\n'), SPAN_LITERAL("a")));
    assert_true(span_equal(reader_until(&reader, '\n'), SPAN_EMPTY));
    assert_true(span_equal(reader_until(&reader, '\n'), SPAN_LITERAL("b")));
    assert_true(reader_at_end(&reader));
}

static void slice_stays_inside(void **state)
{
    (void)state;
    struct span whole = SPAN_LITERAL("abcdef");
    assert_true(span_equal(span_slice(whole, 4, 100), SPAN_LITERAL("ef")));
    assert_int_equal(span_slice(whole, 7, SIZE_MAX).size, 0);
}

static void buf_respects_its_limit(void **state)
{
    (void)state;
    struct buf buf = { .limit = 4 };
    buf_add_u32(&buf, 0xC1C2C3C4);
    assert_false(buf.failed);
    buf_add_u8(&buf, 1);
    assert_true(buf.failed);
    assert_int_equal(buf.size, 4);
    buf_free(&buf);
}

static void buf_printf_keeps_all(void **state)
{
    (void)state;
    struct buf buf = { 0 };
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%d,", i);
    assert_int_equal(buf.size, 10 * 2 + 90 * 3 + 900 * 4);
    buf_drop_front(&buf, 2);
    assert_memory_equal(buf.at, "1,2,", 4);
    buf_free(&buf);
}

/* A byte of every value at every place of a run, and behind it. */
static void utf8_runs_end_before_what_is_not_plain(void **state)
{
    (void)state;
    uint8_t text[40];
    for (size_t place = 0; place < sizeof text; place++)
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(text, '~', sizeof text);
            text[sizeof text - 1] = ' ';
            text[place] = (uint8_t)byte;
            bool shown = byte >= 0x20 && byte < 0x7F;
            assert_int_equal(utf8_ascii(span_of(text, sizeof text)), byte < 0x80 ? sizeof text : place);
            assert_int_equal(utf8_printable(span_of(text, sizeof text)), shown ? sizeof text : place);
        }
    assert_int_equal(utf8_ascii(SPAN_EMPTY) + utf8_printable(SPAN_EMPTY), 0);
}

static void name8_refuses_what_the_host_cannot_say(void **state)
{
    (void)state;
    struct name8 name;
    struct err err = ERR_CLEAR;
    assert_int_equal(name8_parse(SPAN_LITERAL("georgeb"), "user id", &name, &err), 0);
    assert_string_equal(name.text, "GEORGEB");
    assert_int_equal(name8_parse(SPAN_LITERAL("NINECHARS"), "user id", &name, &err), -1);
    assert_string_equal(err.text, "the user id \"NINECHARS\" is longer than 8 characters");
    assert_int_equal(name8_parse(SPAN_LITERAL("A B"), "node", &name, &err), -1);
    assert_int_equal(name8_parse(SPAN_EMPTY, "node", &name, &err), -1);
}

static void name8_crosses_to_ebcdic(void **state)
{
    (void)state;
    struct name8 name;
    assert_int_equal(name8_parse(SPAN_LITERAL("A9@#$_-Z"), "node", &name, NULL), 0);
    uint8_t field[NAME8_MAX];
    name8_to_ebcdic(name, field);
    assert_memory_equal(field, "\xC1\xF9\x7C\x7B\x5B\x6D\x60\xE9", 8);
    struct name8 back;
    assert_true(name8_from_ebcdic(span_of(field, 8), &back));
    assert_true(name8_equal(name, back));
    assert_true(name8_from_ebcdic(SPAN_LITERAL("\0\0\0\0\0\0\0\0"), &back));
    assert_true(name8_empty(back));
    assert_true(name8_from_ebcdic(SPAN_LITERAL("\x81\x40\x40"), &back));
    assert_string_equal(back.text, "A");
    assert_false(name8_from_ebcdic(SPAN_LITERAL("\xC1\x00\xC1"), &back));
}

static void ulids_increase(void **state)
{
    (void)state;
    clock_test_set(INT64_C(1795530000000000), 7);
    struct ulid last = ulid_new();
    for (int i = 0; i < 10000; i++) {
        if (i == 5000)
            clock_test_advance(-CLOCK_HOUR); /* the clock was set back */
        struct ulid next = ulid_new();
        assert_true(memcmp(last.text, next.text, ULID_LENGTH) < 0);
        last = next;
    }
    struct ulid parsed;
    assert_true(ulid_parse(last.text, &parsed));
    assert_false(ulid_parse("01ARZ3NDEKTSV4RRFFQ69G5FAU", &parsed)); /* U is no digit */
}

static void backoff_grows_and_is_bounded(void **state)
{
    (void)state;
    clock_test_set(0, 1);
    for (unsigned failures = 0; failures < 100; failures++) {
        int64_t wait = loop_backoff(2 * CLOCK_SECOND, failures, 5 * CLOCK_MINUTE);
        assert_true(wait >= CLOCK_SECOND && wait <= 5 * CLOCK_MINUTE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_stops_at_the_end),
        cmocka_unit_test(reader_until_takes_lines),
        cmocka_unit_test(slice_stays_inside),
        cmocka_unit_test(buf_respects_its_limit),
        cmocka_unit_test(buf_printf_keeps_all),
        cmocka_unit_test(utf8_runs_end_before_what_is_not_plain),
        cmocka_unit_test(name8_refuses_what_the_host_cannot_say),
        cmocka_unit_test(name8_crosses_to_ebcdic),
        cmocka_unit_test(ulids_increase),
        cmocka_unit_test(backoff_grows_and_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
