/* What is lost when these fail: the trial node sends files that no host would, or shows something else than came. */
#include "host/outbox.h"

#include "codec/ebcdic.h"
#include "host/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW_US INT64_C(753310362000000) /* 1993-11-14 20:52:42 UTC */

static const struct host_send note = { .kind = HOST_SEND_NOTE,
                                       .from = { .node = { "TRIAL" }, .user = { "ALICE" } },
                                       .to = { .node = { "VMA" }, .user = { "BOB" } } };
static const struct host_send file = { .kind = HOST_SEND_FILE,
                                       .from = { .node = { "TRIAL" }, .user = { "ALICE" } },
                                       .to = { .node = { "VMA" }, .user = { "BOB" } },
                                       .name = { "PROFILE" },
                                       .type = { "EXEC" } };

static struct outbox_item made(const struct host_send *send, struct span input)
{
    struct outbox_item item;
    struct err err = ERR_CLEAR;
    if (outbox_make(send, input, 42, NOW_US, &item, &err) == -1)
        fail_msg("%s", err.text);
    return item;
}

static void assert_shown(struct span spool, const char *expected)
{
    struct buf text = { 0 };
    show_contents(spool, true, &text);
    buf_add_u8(&text, 0);
    assert_string_equal((const char *)text.at, expected);
    buf_free(&text);
}

/* Order NJH, DSH, at least one record, NJT; facts in the headers as the neighbour reads them. */
static void assert_sound(const struct outbox_item *item, unsigned lines)
{
    struct buf scratch = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(buf_span(&item->file)),
                                     .scratch = &scratch,
                                     .len_counts_cc = true };
    struct nje_logical logical;
    struct nje_job job;
    struct nje_dataset dataset;
    struct nje_trailer trailer;
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
    assert_int_equal(logical.kind, NJE_SRCB_NJH);
    assert_int_equal(nje_job_decode(logical.bytes, &job, NULL), 0);
    assert_int_equal(job.job_id, 42);
    assert_string_equal(job.origin_node.text, "TRIAL");
    assert_string_equal(job.origin_user.text, "ALICE");
    assert_true(job.entry_us == NOW_US);
    assert_int_equal(job.flags, 0); /* messages wanted */
    assert_int_equal(job.records, lines);
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
    assert_int_equal(logical.kind, NJE_SRCB_DSH);
    assert_int_equal(nje_dataset_decode(logical.bytes, &dataset, NULL), 0);
    assert_string_equal(dataset.node.text, "VMA");
    assert_string_equal(dataset.user.text, "BOB");
    assert_string_equal(dataset.form, "STANDARD");
    assert_string_equal(dataset.tag, "VMA      BOB      50");
    assert_int_equal(dataset.klass, 'A');
    assert_false(dataset.print);
    assert_int_equal(dataset.records, lines);
    for (unsigned i = 0; i < lines; i++) {
        assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
        assert_int_equal(logical.kind, NJE_SRCB_DATA);
        assert_int_equal(logical.lrecl, 80);
    }
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 1);
    assert_int_equal(logical.kind, NJE_SRCB_NJT);
    assert_int_equal(nje_trailer_decode(logical.bytes, &trailer, NULL), 0);
    assert_int_equal(trailer.punch_records, lines);
    assert_int_equal(nje_logical_next(&walk, &logical, NULL), 0);
    buf_free(&scratch);
}

static void a_note_looks_like_one(void **state)
{
    (void)state;
    struct outbox_item item =
        made(&note, SPAN_LITERAL("Subject:  Zahlen f\xC3\xBCr Bob\r\n\r\nHallo\tBob\n\nGr\xC3\xBC\xC3\x9F"
                                 "e\n"));
    assert_string_equal(item.dataset.name, "ALICE");
    assert_string_equal(item.dataset.type, "NOTE");
    assert_sound(&item, 8);
    assert_shown(buf_span(&item.file), "  Date: 14 November 93, 20:52:42 GMT\n"
                                       "  From: ALICE    at TRIAL\n"
                                       "  To:   BOB at VMA\n"
                                       "  Subject: Zahlen f\xC3\xBCr Bob\n"
                                       "\n"
                                       "  Hallo   Bob\n"
                                       "\n"
                                       "  Gr\xC3\xBC\xC3\x9F"
                                       "e\n");
    buf_free(&item.file);
}

static void long_lines_of_a_note_are_wrapped_at_words(void **state)
{
    (void)state;
    struct outbox_item item = made(
        &note, SPAN_LITERAL("The quick brown fox jumps over the lazy dog, and then it jumps back over the dog again\n"
                            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"));
    assert_sound(&item, 8);
    assert_shown(buf_span(&item.file),
                 "  Date: 14 November 93, 20:52:42 GMT\n"
                 "  From: ALICE    at TRIAL\n"
                 "  To:   BOB at VMA\n"
                 "\n"
                 "  The quick brown fox jumps over the lazy dog, and then it jumps back over the\n"
                 "  dog again\n"
                 "  012345678901234567890123456789012345678901234567890123456789012345678901234567\n"
                 "  8901234\n");
    buf_free(&item.file);
}

static void an_empty_note_is_still_a_note(void **state)
{
    (void)state;
    struct outbox_item item = made(&note, SPAN_EMPTY);
    assert_sound(&item, 4);
    buf_free(&item.file);
}

static void a_file_is_its_lines(void **state)
{
    (void)state;
    struct outbox_item item = made(&file, SPAN_LITERAL("/* */\n  say 'x'\n"));
    assert_string_equal(item.dataset.name, "PROFILE");
    assert_string_equal(item.dataset.type, "EXEC");
    assert_sound(&item, 2);
    assert_shown(buf_span(&item.file), "  /* */\n    say 'x'\n");
    buf_free(&item.file);
    item = made(&file, SPAN_EMPTY); /* hosts reject a file without a record */
    assert_sound(&item, 1);
    buf_free(&item.file);
}

static void a_line_that_no_card_holds_is_refused(void **state)
{
    (void)state;
    struct outbox_item item;
    struct err err = ERR_CLEAR;
    assert_int_equal(outbox_make(&file,
                                 SPAN_LITERAL("short\n012345678901234567890123456789012345678901234567890123456789"
                                              "0123456789012345678901\n"),
                                 1, NOW_US, &item, &err),
                     -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    assert_string_equal(err.text, "line 2 has 82 columns, a card has 80");
    buf_free(&item.file);
}

static void a_note_goes_as_cms_sends_it(void **state)
{
    (void)state;
    struct host_send send = note;
    send.netdata = true;
    struct outbox_item item = made(&send, SPAN_LITERAL("Hello\n"));
    assert_string_equal(item.dataset.type, "NOTE");
    assert_sound(&item, item.dataset.records);
    assert_shown(buf_span(&item.file), "- NETDATA from TRIAL(ALICE)\n"
                                       "- note, 5 records\n"
                                       "  Date: 14 November 93, 20:52:42 GMT\n"
                                       "  From: ALICE    at TRIAL\n"
                                       "  To:   BOB at VMA\n"
                                       "\n"
                                       "  Hello\n");
    buf_free(&item.file);
}

static void a_file_goes_as_sendfile_sends_it(void **state)
{
    (void)state;
    struct host_send send = file;
    send.netdata = true;
    struct outbox_item item = made(&send, SPAN_LITERAL("012345678901234567890123456789012345678901234567890123456789"
                                                       "0123456789012345678901 and no card is too short\nx\n"));
    assert_sound(&item, item.dataset.records);
    assert_shown(buf_span(&item.file), "- NETDATA from TRIAL(ALICE)\n"
                                       "- A.PROFILE.EXEC, 2 records\n"
                                       "  012345678901234567890123456789012345678901234567890123456789"
                                       "0123456789012345678901 and no card is too short\n  x\n");
    buf_free(&item.file);
}

static void a_replay_is_the_same_file(void **state)
{
    (void)state;
    struct outbox_item original = made(&note, SPAN_LITERAL("Hello\n"));
    struct buf sample = { 0 };
    buf_add_text(&sample, "FRM: ALICE@TRIAL\nTYP: PUNCH\nEND:\n");
    buf_add_span(&sample, buf_span(&original.file));
    struct host_send replay = { .kind = HOST_SEND_REPLAY };
    struct outbox_item item = made(&replay, buf_span(&sample));
    assert_true(span_equal(buf_span(&item.file), buf_span(&original.file)));
    assert_string_equal(item.job.origin_user.text, "ALICE");
    assert_string_equal(item.dataset.user.text, "BOB");
    buf_free(&item.file);

    replay.to = (struct host_address){ .node = { "MVSA" }, .user = { "CAROL" } };
    item = made(&replay, buf_span(&sample));
    assert_false(span_equal(buf_span(&item.file), buf_span(&original.file)));
    assert_int_equal(item.file.size, original.file.size);
    assert_string_equal(item.dataset.node.text, "MVSA");
    assert_string_equal(item.dataset.user.text, "CAROL");
    assert_string_equal(item.job.origin_user.text, "ALICE");
    buf_free(&item.file);
    buf_free(&sample);
    buf_free(&original.file);
}

static void what_is_no_file_is_not_replayed(void **state)
{
    (void)state;
    static const struct host_send replay = { .kind = HOST_SEND_REPLAY };
    struct outbox_item original = made(&note, SPAN_LITERAL("Hello\n")), item;
    for (size_t size = 0; size < original.file.size; size++) {
        struct err err = ERR_CLEAR;
        assert_int_equal(outbox_make(&replay, span_of(original.file.at, size), 1, NOW_US, &item, &err), -1);
        assert_int_equal(err.id, ERR_BAD_CONTENT);
        buf_free(&item.file);
    }
    buf_free(&original.file);
}

static void contents_cannot_play_with_the_terminal(void **state)
{
    (void)state;
    struct buf spool = { 0 };
    nje_data_encode(&spool, SPAN_LITERAL("\x27\xAD\xF2\xD1\x15\x25\x00\x24\xC1\x40\x40"), 80);
    nje_spool_put(&spool, NJE_SRCB_DATA_ASA, SPAN_LITERAL("\x05\xF1\xC1"));
    nje_spool_put(&spool, 0xF0, SPAN_EMPTY);
    assert_shown(buf_span(&spool), "  .\xC3\x9D"
                                   "2J....A\n  A\n"
                                   "- no further: spool file: a record with SRCB F0, which is neither header nor "
                                   "data\n");
    buf_free(&spool);
}

static void messages_are_said_in_words(void **state)
{
    (void)state;
    static const struct {
        struct nje_message message;
        const char *words;
    } cases[] = {
        { { .from_node = { "VMA" }, .from_user = { "BOB" }, .to_user = { "ALICE" }, .text = "Hello" },
          "Message from VMA(BOB) for ALICE: Hello\n" },
        { { .from_node = { "VMA" }, .from_system = true, .text = "DMT104I" }, "Message from VMA: DMT104I\n" },
        { { .command = true, .from_node = { "VMA" }, .from_user = { "BOB" }, .text = "CPQ T" },
          "Command from VMA(BOB): CPQ T\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf text = { 0 };
        show_message(&cases[i].message, &text);
        buf_add_u8(&text, 0);
        assert_string_equal((const char *)text.at, cases[i].words);
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_looks_like_one),
        cmocka_unit_test(long_lines_of_a_note_are_wrapped_at_words),
        cmocka_unit_test(an_empty_note_is_still_a_note),
        cmocka_unit_test(a_file_is_its_lines),
        cmocka_unit_test(a_line_that_no_card_holds_is_refused),
        cmocka_unit_test(a_note_goes_as_cms_sends_it),
        cmocka_unit_test(a_file_goes_as_sendfile_sends_it),
        cmocka_unit_test(a_replay_is_the_same_file),
        cmocka_unit_test(what_is_no_file_is_not_replayed),
        cmocka_unit_test(contents_cannot_play_with_the_terminal),
        cmocka_unit_test(messages_are_said_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
