/* What is lost when these fail: mail between hosts' mailers, or its recipients. */
#include "codec/bsmtp.h"

#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void open_lines(struct bsmtp *bsmtp, struct records *records, const char *const *lines, size_t count,
                       bool dot_stuffed)
{
    for (size_t i = 0; i < count; i++)
        corpus_add_text(records, lines[i]);
    struct err err = ERR_CLEAR;
    if (bsmtp_open(bsmtp, records, &ebcdic_page_037, dot_stuffed, &err) != 0)
        fail_msg("%s", err.text);
}

#define OPEN(bsmtp, records, dot_stuffed, ...)                                                \
    do {                                                                                      \
        static const char *const lines[] = { __VA_ARGS__ };                                   \
        open_lines((bsmtp), (records), lines, sizeof lines / sizeof lines[0], (dot_stuffed)); \
    } while (0)

static void assert_span(struct span span, const char *text)
{
    struct buf copy = { 0 };
    buf_add_span(&copy, span);
    buf_add_u8(&copy, '\0');
    assert_string_equal((const char *)copy.at, text);
    buf_free(&copy);
}

static void mail_of_vm370_is_read(void **state)
{
    (void)state;
    struct records records = { .count = 0 };
    struct bsmtp bsmtp;
    struct bsmtp_message message;
    struct err err = ERR_CLEAR;
    OPEN(&bsmtp, &records, false, "HELO CMSNODE", "MAIL FROM:<FRED@CMSNODE>", "RCPT TO:<ALICE.LONGNAME@EXAMPLE.COM>",
         "DATA", "Received: by CMSNODE with BSMTP;", "          24 Nov 2026 14:03:11 GMT",
         "Message-Id: <FRED.46349.50591@CMSNODE>", "Date: 24 Nov 2026 14:03:10 GMT", "From: FRED@CMSNODE",
         "To: ALICE.LONGNAME@EXAMPLE.COM", "Subject: hello", " ", "How are you?", "..two dots stay", ".");
    assert_int_equal(bsmtp.kind, BSMTP_ENVELOPE);
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 1);
    assert_span(bsmtp.helo, "CMSNODE");
    assert_true(message.has_envelope);
    assert_span(message.from, "FRED@CMSNODE");
    assert_int_equal(message.recipient_count, 1);
    assert_span(message.recipients[0], "ALICE.LONGNAME@EXAMPLE.COM");
    assert_span(message.data, "Received: by CMSNODE with BSMTP;\n          24 Nov 2026 14:03:11 GMT\n"
                              "Message-Id: <FRED.46349.50591@CMSNODE>\nDate: 24 Nov 2026 14:03:10 GMT\n"
                              "From: FRED@CMSNODE\nTo: ALICE.LONGNAME@EXAMPLE.COM\nSubject: hello\n\nHow are you?\n"
                              "..two dots stay\n");
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 0);
    bsmtp_close(&bsmtp);
    records_free(&records);
}

static void several_groups_are_several_messages(void **state)
{
    (void)state;
    struct records records = { .count = 0 };
    struct bsmtp bsmtp;
    struct bsmtp_message message;
    struct err err = ERR_CLEAR;
    OPEN(&bsmtp, &records, true, "helo NODE", "VERB ON", "TICK 1234", "MAIL FROM:<>", "RCPT TO:<a@b> NOTIFY=NEVER",
         "rcpt to:c@d", "RCPT TO:<@x,@y:e@f>", "DATA", "..x", ".", "RSET", "MAIL FROM:<g@h>", "RCPT TO:<i@j>", "DATA",
         ".", "QUIT", "junk after it");
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 1);
    assert_true(bsmtp.verbose);
    assert_span(bsmtp.ticket, "1234");
    assert_int_equal(message.from.size, 0);
    assert_int_equal(message.recipient_count, 3);
    assert_span(message.recipients[0], "a@b");
    assert_span(message.recipients[1], "c@d");
    assert_span(message.recipients[2], "e@f");
    assert_span(message.data, ".x\n");
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 1);
    assert_span(message.from, "g@h");
    assert_int_equal(message.data.size, 0);
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 0);
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 0);
    bsmtp_close(&bsmtp);
    records_free(&records);
}

static void ricemail_has_no_envelope(void **state)
{
    (void)state;
    struct records records = { .count = 0 };
    struct bsmtp bsmtp;
    struct bsmtp_message message;
    struct err err = ERR_CLEAR;
    OPEN(&bsmtp, &records, true, "Date: 24 Nov 2026", "From: FRED@NODE", "To: alice@example.com",
         "========================================================================", "text", "..dots stay");
    assert_int_equal(bsmtp.kind, BSMTP_HEADERS);
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 1);
    assert_false(message.has_envelope);
    assert_int_equal(message.recipient_count, 0);
    assert_span(message.data, "Date: 24 Nov 2026\nFrom: FRED@NODE\nTo: alice@example.com\n\ntext\n..dots stay\n");
    assert_int_equal(bsmtp_next(&bsmtp, &message, &err), 0);
    bsmtp_close(&bsmtp);
    records_free(&records);
}

static void many_recipients_fit(void **state)
{
    (void)state;
    for (size_t count = BSMTP_RECIPIENTS_MAX; count <= BSMTP_RECIPIENTS_MAX + 1; count++) {
        struct records records = { .count = 0 };
        struct bsmtp bsmtp;
        struct bsmtp_message message;
        struct err err = ERR_CLEAR;
        corpus_add_text(&records, "HELO NODE");
        corpus_add_text(&records, "MAIL FROM:<a@b>");
        for (size_t i = 0; i < count; i++)
            corpus_add_text(&records, "RCPT TO:<c@d>");
        corpus_add_text(&records, "DATA");
        corpus_add_text(&records, ".");
        assert_int_equal(bsmtp_open(&bsmtp, &records, &ebcdic_page_037, true, &err), 0);
        bool fits = count == BSMTP_RECIPIENTS_MAX;
        assert_int_equal(bsmtp_next(&bsmtp, &message, &err), fits ? 1 : -1);
        assert_int_equal(err.id, fits ? ERR_NONE : ERR_TOO_MANY);
        bsmtp_close(&bsmtp);
        records_free(&records);
    }
}

static void what_is_wrong_is_named_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *lines[5];
        const char *text;
    } bad[] = {
        { { "HELO N", "EXPN x" }, "line 2: \"EXPN x\" is no BSMTP command here" },
        { { "HELO N", "RCPT TO:<a@b>" }, "line 2: \"RCPT TO:<a@b>\" is no BSMTP command here" },
        { { "HELO N", "MAIL FROM:<a@b>", "DATA", "." }, "line 3: \"DATA\" is no BSMTP command here" },
        { { "HELO N", "MAIL FROM:<a@b>", "RCPT TO:<>" }, "line 3: RCPT without an address" },
        { { "HELO N", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "text" },
          "DATA of line 4 does not end: there is no line with a single dot" },
        { { "HELO N", "MAIL FROM:<a@b>", "RCPT TO:<c@d>" }, "line 3: MAIL FROM without DATA" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct records records = { .count = 0 };
        struct bsmtp bsmtp;
        struct bsmtp_message message;
        struct err err = ERR_CLEAR;
        for (size_t j = 0; j < 5 && bad[i].lines[j] != NULL; j++)
            corpus_add_text(&records, bad[i].lines[j]);
        assert_int_equal(bsmtp_open(&bsmtp, &records, &ebcdic_page_037, true, &err), 0);
        assert_int_equal(bsmtp_next(&bsmtp, &message, &err), -1);
        assert_string_equal(err.text, bad[i].text);
        bsmtp_close(&bsmtp);
        records_free(&records);
    }
    struct records text = { .count = 0 };
    struct bsmtp bsmtp;
    struct err err = ERR_CLEAR;
    corpus_add_text(&text, "Just a letter");
    assert_int_equal(bsmtp_detect(&text), BSMTP_NONE);
    assert_int_equal(bsmtp_open(&bsmtp, &text, &ebcdic_page_037, true, &err), -1);
    bsmtp_close(&bsmtp);
    records_free(&text);
}

static void assert_cards(const struct records *cards, const char *const *expected, size_t count)
{
    struct reader walk = records_walk(cards);
    struct span card;
    for (size_t i = 0; i < count; i++) {
        assert_true(records_next(&walk, &card));
        corpus_assert_record(card, expected[i]);
    }
    assert_false(records_next(&walk, &card));
}

static void our_answer_is_that_of_the_example(void **state)
{
    (void)state;
    struct bsmtp_letter letter = { .node = { "MICROSFT" },
                                   .sender = SPAN_LITERAL("alice.longname@example.com"),
                                   .recipient = SPAN_LITERAL("FRED@CMSNODE"),
                                   .message_id = SPAN_LITERAL("<abc@example.com>"),
                                   .date_us = INT64_C(1795597800000000),
                                   .from = SPAN_LITERAL("alice.longname@example.com"),
                                   .subject = SPAN_LITERAL("re: hello"),
                                   .text = SPAN_LITERAL("Fine, thanks.\n.\n..\n") };
    static const char *const example[] = { "HELO MICROSFT",
                                           "MAIL FROM:<alice.longname@example.com>",
                                           "RCPT TO:<FRED@CMSNODE>",
                                           "DATA",
                                           "Message-Id: <abc@example.com>",
                                           "Date: 25 Nov 2026 09:10:00 GMT",
                                           "From: alice.longname@example.com",
                                           "To: FRED@CMSNODE",
                                           "Subject: re: hello",
                                           " ",
                                           "Fine, thanks.",
                                           " .",
                                           "..",
                                           "." };
    struct records cards = { .count = 0 };
    struct err err = ERR_CLEAR;
    assert_int_equal(bsmtp_build_ce(&letter, &ebcdic_page_037, &cards, NULL, &err), 0);
    assert_cards(&cards, example, sizeof example / sizeof example[0]);
    records_clear(&cards);
    char address[100];
    memset(address, 'a', sizeof address);
    letter.from = span_of(address, 75);
    letter.message_id = span_of(address, 100);
    letter.subject = span_of(address, 100);
    assert_int_equal(bsmtp_build_ce(&letter, &ebcdic_page_037, &cards, NULL, &err), -1);
    assert_int_equal(err.id, ERR_BAD_ADDRESS);
    letter.from = span_of(address, 74);
    records_clear(&cards);
    assert_int_equal(bsmtp_build_ce(&letter, &ebcdic_page_037, &cards, NULL, &err), 0);
    struct reader walk = records_walk(&cards);
    struct span card;
    while (records_next(&walk, &card))
        assert_true(card.size <= BSMTP_COLUMNS);
    assert_int_equal(cards.count, 14 - 1 + 2);
    records_free(&cards);
}

static void a_mailer_gets_dots_doubled(void **state)
{
    (void)state;
    static const struct span recipients[] = { SPAN_LITERAL("a@b"), SPAN_LITERAL("c@d") };
    static const char *const expected[] = {
        "HELO MICROSFT", "MAIL FROM:<>", "RCPT TO:<a@b>", "RCPT TO:<c@d>", "DATA", "Subject: x", " ", "..", "...x", ".",
        "QUIT"
    };
    struct records cards = { .count = 0 };
    struct err err = ERR_CLEAR;
    assert_int_equal(bsmtp_build((struct name8){ "MICROSFT" }, SPAN_EMPTY, recipients, 2,
                                 SPAN_LITERAL("Subject: x\r\n\r\n.\r\n..x\r\n"), &ebcdic_page_037, &cards, NULL, &err),
                     0);
    assert_cards(&cards, expected, sizeof expected / sizeof expected[0]);
    records_free(&cards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_of_vm370_is_read),          cmocka_unit_test(several_groups_are_several_messages),
        cmocka_unit_test(ricemail_has_no_envelope),       cmocka_unit_test(many_recipients_fit),
        cmocka_unit_test(what_is_wrong_is_named_by_line), cmocka_unit_test(our_answer_is_that_of_the_example),
        cmocka_unit_test(a_mailer_gets_dots_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
