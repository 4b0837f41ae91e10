/* What is lost when these fail: a person gets a second host address, or a reply goes to somebody else. */
#include "address/mailkey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* The key, and how it is written again where that differs. */
static const struct {
    const char *address, *key, *written;
} same[] = {
    { "alice@example.com", "alice@example.com", NULL },
    { "Alice@EXAMPLE.Com", "Alice@example.com", NULL },
    { "alice@example.com.", "alice@example.com", NULL },
    { "\"alice\"@example.com", "alice@example.com", NULL },
    { "\"al\\ice\"@example.com", "alice@example.com", NULL },
    { "\"a b\"@example.com", "a b@example.com", "\"a b\"@example.com" },
    { "\"a\\\"b\\\\\"@example.com", "a\"b\\@example.com", "\"a\\\"b\\\\\"@example.com" },
    { "\"a@b\"@example.com", "a@b@example.com", "\"a@b\"@example.com" },
    { "a..b@example.com", "a..b@example.com", "\"a..b\"@example.com" },
    { "alice+list@example.com", "alice+list@example.com", NULL },
    { "o'neil@x-y.example", "o'neil@x-y.example", NULL },
    { "prvs=0123=alice@example.com", "prvs=0123=alice@example.com", NULL },
    { "alice@b\xC3\xBC"
      "cher.example",
      "alice@xn--bcher-kva.example", NULL },
    { "alice@bu\xCC\x88"
      "cher.example",
      "alice@xn--bcher-kva.example", NULL },
    { "alice@XN--BCHER-KVA.example", "alice@xn--bcher-kva.example", NULL },
    { "alice@B\xC3\x9C"
      "CHER.example",
      "alice@xn--bcher-kva.example", NULL },
    { "j\xC3\xB6rg@example.com", "j\xC3\xB6rg@example.com", NULL },
    { "jo\xCC\x88rg@example.com", "j\xC3\xB6rg@example.com", NULL },
    { "a@localhost", "a@localhost", NULL },
    { "a@my_host.example", "a@my_host.example", NULL },
    { "a@[192.0.2.1]", "a@[192.0.2.1]", NULL },
    { "a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]", NULL },
};

static void every_way_to_write_an_address_is_one_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct mailkey key;
        struct buf written = { 0 };
        struct err err = ERR_CLEAR;
        if (mailkey_of(span_text(same[i].address), &key, &err) == -1)
            fail_msg("%s: %s", same[i].address, err.text);
        assert_string_equal(key.text, same[i].key);
        mailkey_write(&key, &written);
        buf_add_u8(&written, 0);
        assert_string_equal((const char *)written.at, same[i].written != NULL ? same[i].written : same[i].key);
        buf_free(&written);
    }
}

static void what_is_no_address_has_no_key(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "alice",
        "@example.com",
        "alice@",
        "alice@.",
        "alice@..",
        "alice@example..com",
        "alice@.example.com",
        "a b@example.com",
        "<alice@example.com>",
        "a,b@example.com",
        "al\"ice@example.com",
        "\"alice\\\"@example.com",
        "alice\n@example.com",
        "alice@exa mple.com",
        "alice@-example.com",
        "alice@example-.com",
        "a\x80@example.com",
        "alice@exam\xFFple.com",
        "\"\"@example.com",
        "alice@[192.0.2.1",
        "alice@[]",
        "alice@[a/b]",
        "alice@a123456789012345678901234567890123456789012345678901234567890123.example",
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct mailkey key;
        struct err err = ERR_CLEAR;
        if (mailkey_of(span_text(none[i]), &key, &err) != -1)
            fail_msg("\"%s\" has the key %s", none[i], key.text);
        assert_int_equal(err.id, ERR_BAD_ADDRESS);
        assert_string_equal(key.text, "");
    }
}

static void the_limits_are_exact(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct mailkey key;
        struct buf address = { 0 };
        buf_add_fill(&address, 'a', MAILKEY_LOCAL_MAX + more);
        buf_add_u8(&address, '@');
        for (int i = 0; i < 31; i++)
            buf_add_text(&address, "bcdefgh.");
        buf_add_text(&address, "abcde");
        assert_int_equal(mailkey_of(buf_span(&address), &key, NULL), more == 0 ? 0 : -1);
        buf_free(&address);
        buf_add_text(&address, "a@");
        for (int i = 0; i < 31; i++)
            buf_add_text(&address, "bcdefgh.");
        buf_add_text(&address, more == 0 ? "abcde" : "abcdef");
        assert_int_equal(mailkey_of(buf_span(&address), &key, NULL), more == 0 ? 0 : -1);
        buf_free(&address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_write_an_address_is_one_key),
        cmocka_unit_test(what_is_no_address_has_no_key),
        cmocka_unit_test(the_limits_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
