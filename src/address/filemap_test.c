/* What is lost when these fail: a binary file is destroyed by a translation, or a text is unreadable. */
#include "address/filemap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check(const char *text, const char *key, bool is_text)
{
    struct filemap map;
    struct err err = ERR_CLEAR;
    if (filemap_parse("Cmsxmap.tbl", span_text(text), &map, &err) == -1)
        fail_msg("%s", err.text);
    struct options options = { .map = map.lines, .map_count = map.count };
    if (options_is_text(&options, span_text(key), !is_text) != is_text)
        fail_msg("%s in \"%s\"", key, text);
    filemap_free(&map);
}

static void refuse(const char *text, const char *why)
{
    struct filemap map;
    struct err err = ERR_CLEAR;
    assert_int_equal(filemap_parse("Dosxmap.tbl", span_text(text), &map, &err), -1);
    assert_int_equal(err.id, ERR_CONFIG);
    assert_string_equal(err.text, why);
    filemap_free(&map);
}

static void each_filetype_is_what_its_line_says(void **state)
{
    (void)state;
    /* the corrected map of Q230646 */
    static const char corrected[] =
        "LISTING EBCDIC\r\nEXEC EBCDIC\r\nSCRIPT EBCDIC\r\n$SCRIPT EBCDIC\r\nOFSMCNTL EBCDIC\r\n"
        "DIRECTRY EBCDIC\r\nBIN BINARY\r\nDOC BINARY\r\nZIP BINARY\r\n* EBCDIC\r\n";
    check(corrected, "$SCRIPT", true);
    check(corrected, "DOC", false);
    check(corrected, "doc", false);
    check(corrected, "MODULE", true);
    check("ZIP BINARY\n", "ZIP", false);
    check("* BINARY\nEXEC EBCDIC\n", "MODULE", false); /* the default may stand anywhere */
    check("* BINARY\nEXEC EBCDIC\n", "EXEC", true);
}

static void lines_as_people_write_them(void **state)
{
    (void)state;
    check("\n  * what is text\n; and what is not\n\t.zip\tbinary  archives ; really\n", "ZIP", false);
    check("txt Text", "TXT", true);
    check("*\n** \nTXT EBCDIC", "TXT", true);
    check("LONGFILETYPE BINARY\n", "LONGFILE", false); /* AT-05: cut to eight */
    check("DOC BINARY\nDOC EBCDIC\n", "DOC", false);   /* the first one counts */
    check("\x24#@_-+ BINARY\n", "$#@_-+", false);      /* AT-06 */
}

static void a_wrong_line_is_named(void **state)
{
    (void)state;
    refuse("TXT EBCDIC\n\nZIP BINERY\n", "Dosxmap.tbl line 3: behind the filetype stands EBCDIC or BINARY");
    refuse("TXT", "Dosxmap.tbl line 1: behind the filetype stands EBCDIC or BINARY");
    refuse("T\xC4T EBCDIC", "Dosxmap.tbl line 1: a character that is not printable ASCII (X'C4')");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filetype_is_what_its_line_says),
        cmocka_unit_test(lines_as_people_write_them),
        cmocka_unit_test(a_wrong_line_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
