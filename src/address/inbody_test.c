/* What is lost when these fail: a recipient whom the sender named gets nothing, or his sentence becomes an address. */
#include "address/inbody.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct inbody inbody;

/* "role address" of each, a ! before those that are malformed; then what is left of the text. */
static void same(const char *text, const char *keyword, const char *list, const char *rest)
{
    static const char *const roles[] = { "to", "cc", "bcc" };
    char got[2000] = "";
    size_t size = 0;
    inbody_parse(span_text(text), keyword, &inbody);
    for (size_t i = 0; i < inbody.count; i++)
        size += (size_t)snprintf(got + size, sizeof got - size, "%s%s%s %.*s", i > 0 ? "|" : "",
                                 inbody.at[i].good ? "" : "!", roles[inbody.at[i].role], (int)inbody.at[i].text.size,
                                 (const char *)inbody.at[i].text.at);
    assert_string_equal(got, list);
    assert_string_equal(text + inbody.body_at, rest);
}

/* IB-02: the keyword line, whichever, begins the list; an empty line ends it. */
static void a_keyword_begins_the_list_and_an_empty_line_ends_it(void **state)
{
    (void)state;
    same("Subject: Numbers\nalice@example.com\nbob@example.net, carol@example.org\n\nDear all,\n",
         "subject:", "to alice@example.com|to bob@example.net|to carol@example.org", "Dear all,\n");
    assert_int_equal(inbody.subject.size, 7);
    same("To: x --MICROSFT\nFrom: George\n\n/INTERNET alice@example.com\nbob@example.net\n\ntext\n", "/INTERNET",
         "to alice@example.com|to bob@example.net", "text\n");
    same("alice@example.com bob@example.net\n\ntext", "subject:", "to alice@example.com|to bob@example.net", "text");
    same("just a note, no address\n", "subject:", "", "just a note, no address\n");
    same("", "subject:", "", "");
}

/* The lines that users of live PROFS gateways type; the host may part them by empty lines. */
static void labelled_lines_may_be_parted(void **state)
{
    (void)state;
    same("To: alice@example.com\n\nCc: Bob Short <bob@example.net>; carol@example.org\n\nBcc: d@example.com\n\n"
         "Subject: Numbers\n\nTo whom it may concern\n",
         "subject:", "to alice@example.com|cc bob@example.net|cc carol@example.org|bcc d@example.com",
         "To whom it may concern\n");
    same("To: a@example.com\n\nTo: all of you\n", "subject:", "to a@example.com", "To: all of you\n");
}

/* IB-03, Q215947: each is told as malformed, none is lost or takes others with it. */
static void malformed_addresses_are_kept_for_the_report(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        ":user@domain.example", "@example.com", "a..b@example.com", ".a@example.com",  "a.@example.com",
        "a(b@example.com",      "a@",           "a\\b@example.com", "a[b]@example.com"
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[200];
        char list[200];
        (void)snprintf(text, sizeof text, "/INTERNET\n%s good@example.com\n\ntext", wrong[i]);
        (void)snprintf(list, sizeof list, "!to %s|to good@example.com", wrong[i]);
        same(text, "/INTERNET", list, "text");
    }
    same("/INTERNET\nalice.example.org\n\ntext", "/INTERNET", "!to alice.example.org", "text");
}

static void there_is_a_limit(void **state)
{
    (void)state;
    static char text[(INBODY_ADDRESSES_MAX + 10) * 8];
    size_t size = 0;
    for (int i = 0; i < INBODY_ADDRESSES_MAX + 1; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "a@b.cd\n");
    inbody_parse(span_of(text, size), "subject:", &inbody);
    assert_true(inbody.too_many);
    assert_int_equal(inbody.count, INBODY_ADDRESSES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keyword_begins_the_list_and_an_empty_line_ends_it),
        cmocka_unit_test(labelled_lines_may_be_parted),
        cmocka_unit_test(malformed_addresses_are_kept_for_the_report),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
