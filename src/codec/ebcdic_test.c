/* What is lost when these fail: letters that read right on the host: brackets, umlauts, line ends. */
#include "codec/ebcdic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

static const struct ebcdic_page *page(const char *name)
{
    const struct ebcdic_page *found = ebcdic_page_find(span_text(name));
    assert_non_null(found);
    return found;
}

static void assert_host(const char *name, const char *utf8, const char *expected, size_t size, size_t substituted)
{
    struct buf to = { 0 };
    size_t count = SIZE_MAX;
    utf8_to_ebcdic(page(name), span_text(utf8), &to, &count);
    assert_int_equal(to.size, size);
    assert_memory_equal(to.at, expected, size);
    assert_int_equal(count, substituted);
    buf_free(&to);
}

#define HOST(name, utf8, expected, substituted) \
    assert_host((name), (utf8), (expected), sizeof(expected) - 1, (substituted))

static void pages_are_those_of_the_file(void **state)
{
    (void)state;
    const char *folder = getenv("OVVM_TEST_DATA");
    if (folder == NULL)
        fail_msg("OVVM_TEST_DATA is not set");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/codepages.json", folder);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    size_t pages = 0;
    const char *name;
    json_t *codes;
    json_object_foreach(root, name, codes)
    {
        const struct ebcdic_page *found = page(name);
        pages++;
        for (size_t byte = 0; byte < EBCDIC_CODES; byte++) {
            const char *hex = json_string_value(json_array_get(codes, byte));
            unsigned long code = hex != NULL ? strtoul(hex, NULL, 16) : 0xFFFD;
            assert_int_equal(found->to_unicode[byte], code);
            if (code == 0xFFFD || byte == EBCDIC_NL || byte == EBCDIC_LF)
                continue;
            /* to the host and back is identity on every mapped byte (CP-05) */
            struct buf utf8 = { 0 };
            struct buf back = { 0 };
            uint8_t one = (uint8_t)byte;
            size_t substituted;
            assert_int_equal(ebcdic_to_utf8(found, span_of(&one, 1), &utf8), 0);
            utf8_to_ebcdic(found, buf_span(&utf8), &back, &substituted);
            assert_int_equal(substituted, 0);
            assert_int_equal(back.size, 1);
            assert_int_equal(back.at[0], byte);
            buf_free(&utf8);
            buf_free(&back);
        }
    }
    assert_null(ebcdic_page_at(pages));
    assert_non_null(ebcdic_page_at(pages - 1));
    json_decref(root);
}

static void pages_are_found_under_their_usual_names(void **state)
{
    (void)state;
    static const char *const names[] = { "037", "37", "IBM037", "ibm-037", "IBM-37", "CP037", "cp37", " 037 " };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_ptr_equal(page(names[i]), &ebcdic_page_037);
    assert_string_equal(page("IBM-1047")->name, "1047");
    assert_null(ebcdic_page_find(SPAN_LITERAL("99999")));
    assert_null(ebcdic_page_find(SPAN_LITERAL("IBM-")));
    assert_null(ebcdic_page_find(SPAN_EMPTY));
}

static void the_seven_that_differ(void **state)
{
    (void)state;
    /* codepages.md: 037, 500 and 1047 disagree on these, which is why mail shows wrong brackets */
    HOST("037", "[]!|^", "\xBA\xBB\x5A\x4F\xB0", 0);
    HOST("500", "[]!|^", "\x4A\x5A\x4F\xBB\x5F", 0);
    HOST("1047", "[]!|^", "\xAD\xBD\x5A\x4F\x5F", 0);
    HOST("273", "[]{}\\", "\x63\xFC\x43\xDC\xEC", 0);
    assert_int_equal(ebcdic_037_to_latin1[0xC1], 'A');
    assert_int_equal(latin1_to_ebcdic_037['A'], 0xC1);
    assert_int_equal(latin1_to_ebcdic_037['@'], 0x7C);
}

static void euro_needs_1148(void **state)
{
    (void)state;
    HOST("1148", "\xE2\x82\xAC", "\x9F", 0);
    HOST("500", "5 \xE2\x82\xAC", "\xF5\x40\xC5\xE4\xD9", 1);
}

static void line_ends_survive(void **state)
{
    (void)state;
    struct buf to = { 0 };
    assert_int_equal(ebcdic_to_utf8(page("037"), SPAN_LITERAL("\xC1\x15\xC2\x25\xC3"), &to), 0);
    assert_true(span_equal(buf_span(&to), SPAN_LITERAL("A\nB\nC")));
    buf_free(&to);
    HOST("037", "A\nB\xC2\x85", "\xC1\x15\xC2\x15", 0);
}

static void undefined_bytes_are_counted(void **state)
{
    (void)state;
    struct buf to = { 0 };
    const struct ebcdic_page *kana = page("290");
    uint8_t all[EBCDIC_CODES];
    size_t undefined = 0;
    for (size_t byte = 0; byte < EBCDIC_CODES; byte++) {
        all[byte] = (uint8_t)byte;
        undefined += kana->to_unicode[byte] == 0xFFFD;
    }
    assert_int_equal(undefined, 61);
    assert_int_equal(ebcdic_to_utf8(kana, span_of(all, sizeof all), &to), 61);
    buf_free(&to);
    HOST("290", "Abc[1]", "\xC1\xC2\xC3\x4D\xF1\x5D", 4);
}

static void nothing_fails_for_one_character(void **state)
{
    (void)state;
    /* curly quotes, dash, ellipsis, ligature, accents outside the page, emoji, Cyrillic (CP-04) */
    HOST("037",
         "\xE2\x80\x9C"
         "a\xE2\x80\x9D",
         "\x7F\x81\x7F", 2);
    HOST("037", "\xE2\x80\x99\xE2\x80\x93\xE2\x80\xA6", "\x7D\x60\x4B\x4B\x4B", 3);
    HOST("037", "\xEF\xAC\x81\xC5\xA1\xC5\x81\xC4\x91", "\x86\x89\xA2\xD3\x84", 4);
    HOST("037", "\xF0\x9F\x99\x82\xD0\x96", "\x6F\x6F", 2);
    HOST("037", "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD", "\x6F", 2); /* thumb up, skin colour */
    /* malformed: a lone continuation, a cut sequence, an overlong one, a surrogate */
    HOST("037",
         "\x80"
         "a\xC3",
         "\x6F\x81\x6F", 2);
    HOST("037", "\xC0\x80\xED\xA0\x80", "\x6F\x6F\x6F\x6F\x6F", 5);
    HOST("037",
         "\xEF\xBB\xBF"
         "a",
         "\x81", 0);
}

static void combining_marks_join_their_letter(void **state)
{
    (void)state;
    HOST("037", "e\xCC\x81", "\x51", 0);      /* e + acute is in the page as one character */
    HOST("037", "x\xCC\x81y", "\xA7\xA8", 1); /* x + acute is nowhere: the mark is dropped */
}

static void custom_tables_are_pages(void **state)
{
    (void)state;
    uint8_t to_pc[EBCDIC_CODES];
    uint8_t from_pc[EBCDIC_CODES];
    memcpy(to_pc, ebcdic_037_to_latin1, sizeof to_pc);
    memcpy(from_pc, latin1_to_ebcdic_037, sizeof from_pc);
    /* the published row of 256_1252 (Q194872) */
    static const uint8_t row[] = { 0x7B, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47,
                                   0x48, 0x49, 0xAD, 0xF4, 0xF6, 0xF2, 0xF3, 0xF5 };
    memcpy(to_pc + 0xC0, row, sizeof row);
    to_pc[0x9F] = 0x80;
    from_pc[0x80] = 0x9F;                 /* euro */
    from_pc[0xE9] = EBCDIC_QUESTION_MARK; /* this host has no e acute */
    struct ebcdic_page custom;
    struct err err = ERR_CLEAR;
    assert_int_equal(ebcdic_page_load(SPAN_LITERAL("SITE"), span_of(to_pc, 256), span_of(from_pc, 256), EBCDIC_PC_1252,
                                      &custom, &err),
                     0);
    assert_string_equal(custom.name, "SITE");
    struct buf to = { 0 };
    assert_int_equal(ebcdic_to_utf8(&custom, SPAN_LITERAL("\xC0\xC1\xCC\x9F"), &to), 0);
    assert_true(span_equal(buf_span(&to), SPAN_LITERAL("{A\xC3\xB6\xE2\x82\xAC")));
    buf_clear(&to);
    size_t substituted;
    utf8_to_ebcdic(&custom, SPAN_LITERAL("\xE2\x82\xAC\xC3\xA9"), &to, &substituted);
    assert_true(span_equal(buf_span(&to), SPAN_LITERAL("\x9F\x85")));
    assert_int_equal(substituted, 1);
    buf_free(&to);
    assert_int_equal(ebcdic_page_load(SPAN_LITERAL("SITE"), span_of(to_pc, 255), span_of(from_pc, 256), EBCDIC_PC_850,
                                      &custom, &err),
                     -1);
    assert_int_equal(err.id, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_those_of_the_file),
        cmocka_unit_test(pages_are_found_under_their_usual_names),
        cmocka_unit_test(the_seven_that_differ),
        cmocka_unit_test(euro_needs_1148),
        cmocka_unit_test(line_ends_survive),
        cmocka_unit_test(undefined_bytes_are_counted),
        cmocka_unit_test(nothing_fails_for_one_character),
        cmocka_unit_test(combining_marks_join_their_letter),
        cmocka_unit_test(custom_tables_are_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
