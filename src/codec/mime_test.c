/* What is lost when these fail: a part of a letter, the name of its writer, or words in another alphabet. */
#include "codec/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int init(void **state)
{
    (void)state;
    return mime_init(NULL);
}

static void assert_buf(struct buf *found, const char *text)
{
    buf_add_u8(found, '\0');
    assert_string_equal((const char *)found->at, text);
    buf_free(found);
    *found = (struct buf){ 0 };
}

static void header_and_body(void **state)
{
    (void)state;
    struct span header;
    struct span body;
    struct span value;
    struct buf text = { 0 };
    mime_split(SPAN_LITERAL("A: 1\r\nLong:\r\n  folded\r\n\tvalue\r\n\r\nbody\r\n\r\nmore"), &header, &body);
    assert_true(span_equal(body, SPAN_LITERAL("body\r\n\r\nmore")));
    assert_true(mime_find(header, "LONG", &value));
    mime_value(value, &text);
    assert_buf(&text, "folded value");
    assert_false(mime_find(header, "body", &value));
    mime_split(SPAN_LITERAL("\nonly a body"), &header, &body);
    assert_int_equal(header.size, 0);
    assert_true(span_equal(body, SPAN_LITERAL("only a body")));
}

static void parts_and_boundaries(void **state)
{
    (void)state;
    static const char mail[] =
        "Content-Type: multipart/mixed; boundary=\"b b\"\r\n\r\npreamble\r\n--b b  \r\n\r\none\r\n"
        "--b bb\r\n--b b\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b b--\r\nepilogue\r\n";
    struct mime_entity entity;
    struct span part;
    mime_open(span_text(mail), false, &entity);
    assert_true(mime_is(&entity, "multipart", "mixed"));
    struct mime_parts parts = mime_parts_of(&entity);
    assert_true(mime_part_next(&parts, &part));
    assert_true(span_equal(part, SPAN_LITERAL("\r\none\r\n--b bb")));
    assert_true(mime_part_next(&parts, &part));
    mime_open(part, false, &entity);
    assert_true(mime_is(&entity, "text", "html"));
    assert_true(span_equal(entity.body, SPAN_LITERAL("two\r\n")));
    assert_false(mime_part_next(&parts, &part));
}

static void names_of_files(void **state)
{
    (void)state;
    struct mime_entity entity;
    mime_open(SPAN_LITERAL("Content-Disposition: attachment; filename*0*=utf-8''Gr%C3%BC; filename*1=sse.txt\n\n"),
              false, &entity);
    assert_string_equal(entity.name, "Gr\xC3\xBCsse.txt");
    assert_true(entity.attachment);
    mime_open(SPAN_LITERAL("Content-Type: image/png; name=\"=?utf-8?Q?=E2=82=AC.png?=\"\n\n"), false, &entity);
    assert_string_equal(entity.name, "\u20AC.png");
    assert_false(entity.attachment);
}

static void transfer_encodings(void **state)
{
    (void)state;
    struct mime_entity entity;
    struct buf text = { 0 };
    mime_open(SPAN_LITERAL("Content-Transfer-Encoding: BASE64\n\nAAEC\r\n*A/8=\r\n"), false, &entity);
    mime_content(&entity, &text);
    assert_int_equal(text.size, 5);
    assert_memory_equal(text.at, "\x00\x01\x02\x03\xFF", 5);
    buf_clear(&text);
    mime_open(SPAN_LITERAL("Content-Transfer-Encoding: quoted-printable\n\na=\r\nb=3D=ZZ\r\n"), false, &entity);
    mime_content(&entity, &text);
    assert_buf(&text, "ab==ZZ\r\n");
}

static void charsets(void **state)
{
    (void)state;
    struct buf text = { 0 };
    size_t bad;
    mime_text("ISO-8859-2", SPAN_LITERAL("\xB1\r\n"), &text, &bad);
    assert_buf(&text, "\u0105\n");
    mime_text("", SPAN_LITERAL("\xE9 unlabelled"), &text, &bad);
    assert_buf(&text, "\u00E9 unlabelled");
    mime_text("no-such-charset", SPAN_LITERAL("\xC3\xA9"), &text, &bad);
    assert_buf(&text, "\u00E9");
    mime_text("utf-8",
              SPAN_LITERAL("a\xFF"
                           "b"),
              &text, &bad);
    assert_int_equal(bad, 1);
    assert_buf(&text, "a\uFFFD"
                      "b");
    mime_text("cp1252", SPAN_LITERAL("\x80"), &text, &bad);
    assert_buf(&text, "\u20AC");
}

static void flowed_text(void **state)
{
    (void)state;
    struct buf text = { 0 };
    mime_unflow(SPAN_LITERAL("a \nb\n> q \n> r\nc\n-- \nsig\n"), false, &text);
    assert_buf(&text, "a b\n> q r\nc\n-- \nsig\n");
}

static void names_that_are_not_shown(void **state)
{
    (void)state;
    static const char *const unfit[] = { "", "   ", "100%", "a \"b\"", "a\x01", "\xFF", "''", "\u00A0" };
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        struct span name = span_text(unfit[i]);
        assert_false(mime_name_fit(&name));
    }
    struct span name = SPAN_LITERAL(" 'Alice O'Hara, PhD' ");
    assert_true(mime_name_fit(&name));
    assert_true(span_equal(name, SPAN_LITERAL("Alice O'Hara, PhD")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_and_body),
        cmocka_unit_test(parts_and_boundaries),
        cmocka_unit_test(names_of_files),
        cmocka_unit_test(transfer_encodings),
        cmocka_unit_test(charsets),
        cmocka_unit_test(flowed_text),
        cmocka_unit_test(names_that_are_not_shown),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
