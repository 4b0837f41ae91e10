/* What is lost when these fail: a host user cannot read a letter that came as HTML only (NT-04). */
#include "codec/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_text(const char *html, const char *text)
{
    struct buf found = { 0 };
    html_to_text(span_text(html), &found);
    buf_add_u8(&found, '\0');
    assert_string_equal((const char *)found.at, text);
    buf_free(&found);
}

static void blocks_are_lines(void **state)
{
    (void)state;
    assert_text("", "");
    assert_text("plain", "plain\n");
    assert_text("<p>one\n  two</p><p>three<br>four<br><br><br>five</p>", "one two\n\nthree\nfour\n\nfive\n");
    assert_text("<h1>T</h1><div>a</div><div>b</div>", "T\n\na\nb\n");
    assert_text("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1  2\n3\n");
    assert_text("<pre>a  b\n  c</pre>", "a  b\n  c\n");
}

static void lists_and_quotations(void **state)
{
    (void)state;
    assert_text("<ul><li>a<li><p>b</p><ol><li>x</li><li>y</ol></ul>c", "* a\n* b\n\n  1. x\n  2. y\n\nc\n");
    assert_text("said:<blockquote>one<blockquote>two</blockquote></blockquote>me", "said:\n\n> one\n>\n>> two\n\nme\n");
}

static void links_show_their_address(void **state)
{
    (void)state;
    assert_text("see <a href=\"https://e.example/?a=1&amp;b=2\">this</a>.", "see this <https://e.example/?a=1&b=2>.\n");
    assert_text("<a href='https://e.example/'>e.example</a>", "e.example\n");
    assert_text("<a href=mailto:a@b.example>a@b.example</a> <a href=\"#top\">top</a>", "a@b.example top\n");
    assert_text("<a href=\"javascript:x()\">run</a><img src=x alt=\"the logo\">", "run[the logo]\n");
}

static void what_is_not_to_be_read(void **state)
{
    (void)state;
    assert_text("<title>t</title><style>p{}</style><script>if (a < b) x();</script>a<!-- c > -->b", "ab\n");
    assert_text("a<script>never closed", "a\n");
    assert_text("a <!-- never closed", "a\n");
}

static void entities_and_what_looks_like_tags(void **state)
{
    (void)state;
    assert_text("&euro;&#8364;&#x20AC; &eacute;&nbsp;&amp;&lt;&unknown; &",
                "\u20AC\u20AC\u20AC \u00E9 &<&unknown; &\n");
    assert_text("1 < 2 <b title=\"a>b\">x</b> <", "1 < 2 x <\n");
    assert_text("&#0;&#xD800;&#99999999;\x01", "\uFFFD&#99999999;\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_lines),
        cmocka_unit_test(lists_and_quotations),
        cmocka_unit_test(links_show_their_address),
        cmocka_unit_test(what_is_not_to_be_read),
        cmocka_unit_test(entities_and_what_looks_like_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
