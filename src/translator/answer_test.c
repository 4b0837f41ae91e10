/* What is lost when these fail: a translator that was taken over by a letter tells the daemon what to believe. */
#include "translator/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct answer_wanted wanted_ready = { .ready = true };
static const struct answer_wanted wanted_job = { .serial = 7, .generation = 3, .output_limit = 100 };

static const struct child_answer ready = { .kind = CHILD_READY };
static const struct child_answer unfit = { .kind = CHILD_UNFIT, .err_id = ERR_CONFIG, .text = "no code pages" };
static const struct child_answer done = { .kind = CHILD_DONE, .serial = 7, .generation = 3, .output_size = 100 };
static const struct child_answer empty = { .kind = CHILD_DONE, .serial = 7, .generation = 3 };
static const struct child_answer failed = {
    .kind = CHILD_FAILED, .serial = 7, .generation = 3, .err_id = ERR_BAD_CONTENT, .text = "no\nletter\x7f"
};

static int read_one(struct child_answer packet, size_t fd_count, const struct answer_wanted *wanted,
                    struct answer *answer_r)
{
    struct err err = ERR_CLEAR;
    int result = answer_read(span_of(&packet, sizeof packet), fd_count, wanted, answer_r, &err);
    assert_true(result == 0 || (err.id == ERR_BUG && err.text[0] != '\0'));
    return result;
}

static void assert_refused(struct child_answer packet, size_t fd_count, const struct answer_wanted *wanted)
{
    struct answer answer;
    assert_int_equal(read_one(packet, fd_count, wanted, &answer), -1);
}

static void test_true_answers(void **state)
{
    (void)state;
    struct answer answer;
    assert_int_equal(read_one(ready, 0, &wanted_ready, &answer), 0);
    assert_int_equal(answer.kind, CHILD_READY);
    assert_int_equal(read_one(unfit, 0, &wanted_ready, &answer), 0);
    assert_int_equal(answer.err.id, ERR_CONFIG);
    assert_string_equal(answer.err.text, "no code pages");
    assert_int_equal(read_one(done, 1, &wanted_job, &answer), 0);
    assert_int_equal(answer.output_size, 100);
    struct {
        struct child_answer head;
        uint8_t output[100];
    } whole = { .head = done, .output = "output" };
    assert_int_equal(
        answer_read(span_of(&whole, sizeof whole.head + sizeof whole.output), 0, &wanted_job, &answer, NULL), 0);
    assert_int_equal(answer.output.size, 100);
    assert_string_equal((const char *)answer.output.at, "output");
    assert_int_equal(read_one(empty, 0, &wanted_job, &answer), 0);
    assert_int_equal(answer.output_size, 0);
    assert_int_equal(read_one(failed, 0, &wanted_job, &answer), 0);
    assert_int_equal(answer.err.id, ERR_BAD_CONTENT);
    assert_string_equal(answer.err.text, "no?letter?");
}

static void test_text_without_end(void **state)
{
    (void)state;
    struct child_answer packet = failed;
    struct answer answer;
    memset(packet.text, 'x', sizeof packet.text);
    assert_int_equal(read_one(packet, 0, &wanted_job, &answer), 0);
    assert_int_equal(strlen(answer.err.text), ERR_TEXT_SIZE - 1);
}

static void test_out_of_turn(void **state)
{
    (void)state;
    assert_refused(ready, 0, &wanted_job);
    assert_refused(unfit, 0, &wanted_job);
    assert_refused(done, 1, &wanted_ready);
    assert_refused(failed, 0, &wanted_ready);
    for (uint32_t kind = 0; kind < 300; kind++) {
        struct child_answer packet = done;
        packet.kind = kind;
        if (kind != CHILD_DONE)
            assert_refused(packet, 1, &wanted_job);
    }
}

static void test_false_fields(void **state)
{
    (void)state;
    struct child_answer packet = done;
    packet.serial++;
    assert_refused(packet, 1, &wanted_job);
    packet = done;
    packet.generation--;
    assert_refused(packet, 1, &wanted_job);
    packet = done;
    packet.output_size = 101;
    assert_refused(packet, 1, &wanted_job);
    packet = done;
    packet.err_id = ERR_BUSY;
    assert_refused(packet, 1, &wanted_job);
    packet = done;
    packet.text[0] = 'x';
    assert_refused(packet, 1, &wanted_job);
    packet = failed;
    packet.output_size = 1;
    assert_refused(packet, 1, &wanted_job);
    packet = ready;
    packet.serial = 7;
    assert_refused(packet, 0, &wanted_ready);
    assert_refused(done, 0, &wanted_job);
    assert_refused(done, 2, &wanted_job);
    assert_refused(empty, 1, &wanted_job);
    assert_refused(failed, 1, &wanted_job);
    assert_refused(ready, 1, &wanted_ready);
}

static void test_errors_it_cannot_know(void **state)
{
    (void)state;
    static const uint32_t ids[] = {
        ERR_NONE, ERR_IDS, ERR_TRANSLATOR_DIED, ERR_TRANSLATOR_TIMEOUT, ERR_TRANSLATOR_MEMORY, ERR_BUSY, UINT32_MAX
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct child_answer packet = failed;
        packet.err_id = ids[i];
        assert_refused(packet, 0, &wanted_job);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    struct child_answer packets[2] = { done, done };
    struct answer answer;
    for (size_t size = 0; size <= sizeof packets; size++) {
        assert_int_equal(answer_read(span_of(packets, size), 1, &wanted_job, &answer, NULL),
                         size == sizeof packets[0] ? 0 : -1);
        assert_int_equal(answer_read(span_of(packets, size), 0, &wanted_job, &answer, NULL),
                         size == sizeof packets[0] + 100 ? 0 : -1);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true_answers), cmocka_unit_test(test_text_without_end),
        cmocka_unit_test(test_out_of_turn),  cmocka_unit_test(test_false_fields),
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_errors_it_cannot_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
