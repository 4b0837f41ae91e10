/* What is lost when these fail: an attachment that a host stores under a name that says nothing, or over another. */
#include "letter/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_name(const char *mail, bool mvs, const char *name, const char *type)
{
    struct host_name made;
    host_name_make(span_text(mail), mvs, "BIN", NULL, 0, &made);
    assert_string_equal(made.name.text, name);
    assert_string_equal(made.type.text, type);
}

static void names_fit_and_say_something(void **state)
{
    (void)state;
    assert_name("quarterly numbers.txt", false, "NUMBERS", "TXT");
    assert_name("report.docx", false, "REPORT", "DOCX");
    assert_name("TEST._$_", false, "TEST", "_$_"); /* AT-06 */
    assert_name("#a@b.c", false, "#A@B", "C");
    assert_name("a.tar.gz", false, "ATAR", "GZ");
    assert_name("noextension", false, "NOEXTENS", "BIN");
    assert_name("x.verylongextension", false, "X", "VERYLONG");
    assert_name("Gr\u00FC\u00DFe \u0141\u00F3d\u017A.pdf", false, "GRUSE", "PDF");
    assert_name("\u65E5\u672C.doc", false, "FILE", "DOC");
    assert_name("", false, "FILE", "BIN");
    assert_name(".profile", false, "PROFILE", "BIN");
    assert_name("../../etc/passwd", false, "PASSWD", "BIN");
    assert_name("C:\\temp\\x.exe", false, "X", "EXE");
    assert_name("2026_plan.txt", true, "N2026PLA", "TXT");
}

static void names_are_unique(void **state)
{
    (void)state;
    enum { COUNT = 120 };
    struct host_name names[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        host_name_make(SPAN_LITERAL("attachment.txt"), false, "BIN", names, i, &names[i]);
        for (size_t j = 0; j < i; j++)
            assert_false(name8_equal(names[i].name, names[j].name));
    }
    assert_string_equal(names[0].name.text, "ATTACHME");
    assert_string_equal(names[1].name.text, "ATTACHM2");
    assert_string_equal(names[99].name.text, "ATTAC100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_fit_and_say_something),
        cmocka_unit_test(names_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
