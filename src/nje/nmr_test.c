/* What is lost when these fail: messages reach nobody or the wrong one, or two systems answer each other for ever. */
#include "nje/nmr.h"

#include "nje/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct capture capture;

static struct name8 name(const char *text)
{
    struct name8 made;
    assert_int_equal(name8_parse(span_text(text), "name", &made, NULL), 0);
    return made;
}

static struct nje_message decoded(struct span record)
{
    struct nje_message message;
    struct err err = ERR_CLEAR;
    if (nje_message_decode(record, &message, &err) == -1)
        fail_msg("%s", err.text);
    return message;
}

static void a_users_message_is_read(void **state)
{
    (void)state;
    struct nje_message message = decoded(capture_span(capture_find(&capture, 0x9A, 0x80, 1)));
    assert_false(message.command);
    assert_false(message.from_system);
    assert_string_equal(message.to_node.text, "NODEB");
    assert_string_equal(message.to_user.text, "BOB");
    assert_string_equal(message.from_node.text, "NODEA");
    assert_string_equal(message.from_user.text, "ALICE");
    assert_string_equal(message.text, "Hello from Alice");
}

static void a_systems_message_is_never_taken_for_a_users(void **state)
{
    (void)state;
    struct nje_message message = decoded(capture_span(capture_find(&capture, 0x9A, 0x80, 0)));
    assert_false(message.command);
    assert_true(message.from_system);
    assert_string_equal(message.to_user.text, "ALICE");
    assert_string_equal(message.from_node.text, "NODEB");
    assert_string_equal(message.text, "FILE (0001) spooled to BOB -- origin NODEA(ALICE) 11/24/26 13:49:36 UTC");
}

static void a_command_is_read(void **state)
{
    (void)state;
    struct nje_message message = decoded(capture_span(capture_find(&capture, 0x9A, 0x80, 3)));
    assert_true(message.command);
    assert_false(message.from_system);
    assert_string_equal(message.to_node.text, "NODEB");
    assert_string_equal(message.from_user.text, "ALICE");
    assert_string_equal(message.text, "CPQ T");
}

/* NJElib says type 0 (time, no user) and sends neither; its command comes from a console, not from a user. */
static void loose_senders_are_understood(void **state)
{
    (void)state;
    static struct capture loose;
    capture_read("njelib-unixnje.annotated.txt", &loose);
    struct nje_message message = decoded(capture_span(capture_find(&loose, 0x9A, 0x00, 0)));
    assert_string_equal(message.text, "hello from NJElib");
    assert_string_equal(message.to_user.text, "BOB");
    assert_true(message.from_system);
    message = decoded(capture_span(capture_find(&loose, 0x9A, 0x00, 1)));
    assert_true(message.command);
    assert_true(message.from_system);
    assert_string_equal(message.text, "CPQ T");
}

static void we_write_what_the_others_write(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        struct nje_message message;
    } cases[] = {
        { 0,
          { .to_node = { "NODEA" },
            .to_user = { "ALICE" },
            .from_node = { "NODEB" },
            .from_system = true,
            .text = "FILE (0001) spooled to BOB -- origin NODEA(ALICE) 11/24/26 13:49:36 UTC" } },
        { 1,
          { .to_node = { "NODEB" },
            .to_user = { "BOB" },
            .from_node = { "NODEA" },
            .from_user = { "ALICE" },
            .text = "Hello from Alice" } },
        { 3,
          { .command = true,
            .to_node = { "NODEB" },
            .from_node = { "NODEA" },
            .from_user = { "ALICE" },
            .text = "CPQ T" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct capture_record *theirs = capture_find(&capture, 0x9A, 0x80, cases[i].n);
        struct buf ours = { 0 };
        nje_message_encode(&ours, &cases[i].message);
        assert_int_equal(ours.size, theirs->size);
        assert_memory_equal(ours.at, theirs->bytes, theirs->size);
        buf_free(&ours);
    }
}

/* Fixed part: flag, level, type, length, node, qualifier, user, node, qualifier. */
static struct buf record(uint8_t flag, uint8_t type, const char *ebcdic, size_t size)
{
    struct buf made = { 0 };
    uint8_t wire[NAME8_MAX];
    buf_add_u8(&made, flag);
    buf_add_u8(&made, 0x77);
    buf_add_u8(&made, type);
    buf_add_u8(&made, (uint8_t)size);
    name8_to_ebcdic(name("HERE"), wire);
    buf_add(&made, wire, 8);
    buf_add_u8(&made, 0);
    name8_to_ebcdic(name("TARGET"), wire);
    buf_add(&made, wire, 8);
    name8_to_ebcdic(name("THERE"), wire);
    buf_add(&made, wire, 8);
    buf_add_u8(&made, 0);
    buf_add(&made, ebcdic, size);
    return made;
}

#define STAMP "\xF1\xF3\x4B\xF4\xF9\x4B\xF3\xF6"
#define USER  "\xD1\xD6\xC5\x40\x40\x40\x40\x40"
#define HELLO "\xC8\x85\x93\x93\x96"

static void each_form_of_text_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        uint8_t flag, type;
        const char *ebcdic;
        size_t size;
        const char *from_user, *to_user, *text;
    } cases[] = {
        { 0x20, 0x00, STAMP HELLO, 13, "", "TARGET", "Hello" },
        { 0x20, 0x00, HELLO HELLO, 10, "", "TARGET", "HelloHello" },
        { 0x20, 0x04, HELLO, 5, "", "TARGET", "Hello" },
        { 0x20, 0x08, STAMP USER HELLO, 21, "JOE", "TARGET", "Hello" },
        { 0x20, 0x08, USER HELLO, 13, "JOE", "TARGET", "Hello" }, /* promised a time and sent none */
        { 0x20, 0x0C, USER HELLO, 13, "JOE", "TARGET", "Hello" },
        { 0x20, 0x0C, "\xD1\xD6", 2, "", "TARGET", "JO" }, /* too short for a user id */
        { 0x20, 0x0C, "\xC8\x85\x4B\x4B\x4B\x4B\x4B\x4B\x4B", 9, "", "TARGET", "He......." },
        { 0x00, 0x04, HELLO, 5, "", "TARGET", "Hello" }, /* JES3, POWER: no flag for the user id */
        { 0x10, 0x04, HELLO, 5, "", "", "Hello" },       /* a console of ours */
        { 0x40, 0x04, HELLO, 5, "", "", "Hello" },
        { 0x20, 0x04, "\x00\x0D\x25\xFF\x40\x40", 6, "", "TARGET", "????" },
        { 0x20, 0x0C, USER, 8, "JOE", "TARGET", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf bytes = record(cases[i].flag, cases[i].type, cases[i].ebcdic, cases[i].size);
        struct nje_message message = decoded(buf_span(&bytes));
        assert_string_equal(message.from_user.text, cases[i].from_user);
        assert_string_equal(message.to_user.text, cases[i].to_user);
        assert_string_equal(message.text, cases[i].text);
        assert_int_equal(message.from_system, cases[i].from_user[0] == '\0');
        buf_free(&bytes);
    }
}

static void a_cut_record_is_refused_or_read_as_far_as_it_goes(void **state)
{
    (void)state;
    const struct capture_record *whole = capture_find(&capture, 0x9A, 0x80, 1);
    for (size_t size = 0; size < whole->size; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, whole->bytes, size);
        struct nje_message message;
        struct err err = ERR_CLEAR;
        int result = nje_message_decode(span_of(exact, size), &message, &err);
        assert_int_equal(result, size < 30 ? -1 : 0);
        assert_int_equal(err.id, size < 30 ? ERR_BAD_CONTENT : ERR_NONE);
        free(exact);
    }
}

static void a_formatted_command_is_no_text(void **state)
{
    (void)state;
    struct buf bytes = record(0xA0, 0x02, HELLO, 5);
    struct nje_message message;
    struct err err = ERR_CLEAR;
    assert_int_equal(nje_message_decode(buf_span(&bytes), &message, &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    buf_free(&bytes);
}

static void long_texts_are_cut_to_what_rscs_takes(void **state)
{
    (void)state;
    struct nje_message message = {
        .to_node = { "NODEB" }, .to_user = { "BOB" }, .from_node = { "NODEA" }, .from_user = { "ALICE" }
    };
    memset(message.text, 'x', sizeof message.text - 1);
    struct buf bytes = { 0 };
    nje_message_encode(&bytes, &message);
    assert_int_equal(bytes.size, 30 + 8 + 132);
    assert_int_equal(bytes.at[3], 140);
    struct nje_message back = decoded(buf_span(&bytes));
    assert_int_equal(strlen(back.text), 132);
    buf_free(&bytes);
    /* the longest the wire has: 255 bytes are cut to the structure's room */
    char long_text[255];
    memset(long_text, 0xA7, sizeof long_text);
    bytes = record(0x20, 0x04, long_text, sizeof long_text);
    back = decoded(buf_span(&bytes));
    assert_int_equal(strlen(back.text), sizeof back.text - 1);
    buf_free(&bytes);
}

int main(void)
{
    capture_read("nodea-nodeb.annotated.txt", &capture);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_users_message_is_read),
        cmocka_unit_test(a_systems_message_is_never_taken_for_a_users),
        cmocka_unit_test(a_command_is_read),
        cmocka_unit_test(loose_senders_are_understood),
        cmocka_unit_test(we_write_what_the_others_write),
        cmocka_unit_test(each_form_of_text_is_taken_apart),
        cmocka_unit_test(a_cut_record_is_refused_or_read_as_far_as_it_goes),
        cmocka_unit_test(a_formatted_command_is_no_text),
        cmocka_unit_test(long_texts_are_cut_to_what_rscs_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
