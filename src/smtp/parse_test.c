/* What is lost when these fail: a letter goes to somebody else, or one that others take is refused. */
#include "smtp/address.h"
#include "smtp/content.h"
#include "smtp/parse.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10

static const struct {
    const char *argument;
    int code; /* 0: good */
    const char *enhanced, *sender;
    uint64_t size;
    bool body_8bit;
} mails[] = {
    { "FROM:<>", 0, "", "" },
    { "from:<a@b.example>", 0, "", "a@b.example" },
    { "FROM: <a@b.example>", 0, "", "a@b.example" },
    { "FROM:<a@b.example> SIZE=1000 BODY=8BITMIME", 0, "", "a@b.example", 1000, true },
    { "FROM:<a@b.example>  body=7bit  size=18446744073709551616", 0, "", "a@b.example", UINT64_MAX, false },
    { "FROM:<@one.example,@two.example:joe@three.example>", 0, "", "joe@three.example" },
    { "FROM:<\"a b\\\"@c\"@d.example>", 0, "", "\"a b\\\"@c\"@d.example" },
    { "FROM:<\"\"@d.example>", 0, "", "\"\"@d.example" },
    { "FROM:<a.b+c=d@[192.0.2.1]>", 0, "", "a.b+c=d@[192.0.2.1]" },
    { "FROM:<a@[IPv6:2001:db8::1]>", 0, "", "a@[IPv6:2001:db8::1]" },
    { "FROM:<a@[x-tag:anything!]>", 0, "", "a@[x-tag:anything!]" },
    { "FROM:<SRS0+" X60 X10 "=x@b.example>", 0, "", "SRS0+" X60 X10 "=x@b.example" }, /* VERP and SRS are long */
    { "FROM:<a@b_c.example>", 0, "", "a@b_c.example" },
    { "FROM:<postmaster>", 501, "5.1.7" },
    { "FROM:<a@b.example", 501, "5.1.7" },
    { "FROM:a@b.example", 501, "5.1.7" },
    { "FROM:<a@b.example>SIZE=1", 501, "5.1.7" },
    { "FROM:<a@b@c.example>", 501, "5.1.7" },
    { "FROM:<a..b@c.example>", 501, "5.1.7" },
    { "FROM:<.a@c.example>", 501, "5.1.7" },
    { "FROM:<a.@c.example>", 501, "5.1.7" },
    { "FROM:<a b@c.example>", 501, "5.1.7" },
    { "FROM:<a@c.example.>", 501, "5.1.7" },
    { "FROM:<a@-c.example>", 501, "5.1.7" },
    { "FROM:<a@>", 501, "5.1.7" },
    { "FROM:<@c.example>", 501, "5.1.7" },
    { "FROM:<@one.example:>", 501, "5.1.7" },
    { "FROM:<@one.example,a@b.example>", 501, "5.1.7" },
    { "FROM:<\"a@c.example>", 501, "5.1.7" },
    { "FROM:<\"a\\", 501, "5.1.7" },
    { "FROM:<\"a\"b@c.example>", 501, "5.1.7" },
    { "FROM:<a@[192.0.2.256]>", 501, "5.1.7" },
    { "FROM:<a@[192.0.2.1>", 501, "5.1.7" },
    { "FROM:<a@[IPv6:1]>", 501, "5.1.7" },
    { "FROM:<a@[]>", 501, "5.1.7" },
    { "FROM:<j\xC3\xB6rg@c.example>", 501, "5.1.7" },
    { "FROM:<a@" X60 "1234.example>", 501, "5.1.7" },
    { "FROM:<a\x01@c.example>", 501, "5.1.7" },
    { "FROM:<\"a\tb\"@c.example>", 501, "5.1.7" },
    { "FROM:<abc@" X60 "." X60 "." X60 "." X60 ".example>", 501, "5.1.7" },
    { "TO:<a@b.example>", 501, "5.5.4" },
    { "", 501, "5.5.4" },
    { "FROM:<a@b.example> SIZE=", 501, "5.5.4" },
    { "FROM:<a@b.example> SIZE=12x", 501, "5.5.4" },
    { "FROM:<a@b.example> SIZE=-1", 501, "5.5.4" },
    { "FROM:<a@b.example> BODY=BINARYMIME", 501, "5.5.4" },
    { "FROM:<a@b.example> SMTPUTF8", 555, "5.5.4" },
    { "FROM:<a@b.example> AUTH=<>", 555, "5.5.4" },
};

static void mail_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++) {
        struct smtp_mail mail;
        struct smtp_reply refusal = { 0 };
        (void)smtp_parse_mail(span_text(mails[i].argument), &mail, &refusal);
        if (refusal.code != mails[i].code)
            fail_msg("%s: %d %s", mails[i].argument, refusal.code, refusal.text);
        assert_string_equal(refusal.enhanced, mails[i].enhanced);
        if (mails[i].code != 0)
            continue;
        assert_true(span_equal(mail.sender, span_text(mails[i].sender)));
        assert_true(mail.size == mails[i].size);
        assert_int_equal(mail.body_8bit, mails[i].body_8bit);
    }
}

static const struct {
    const char *argument, *enhanced, *recipient;
} rcpts[] = {
    { "TO:<user@node.vm.example.org>", "", "user@node.vm.example.org" },
    { "to:<Postmaster>", "", "Postmaster" },
    { "TO:<@relay.example:user@vm.example.org>", "", "user@vm.example.org" },
    { "TO:<" X60 "1234@b.example>", "", X60 "1234@b.example" },
    { "TO:<" X60 "12345@b.example>", "5.1.3", "" },
    { "TO:<>", "5.1.3", "" },
    { "TO:<user>", "5.1.3", "" },
    { "TO:<user%node@vm.example.org>", "", "user%node@vm.example.org" },
    { "TO:<user@vm.example.org> NOTIFY=NEVER", "5.5.4", "" },
    { "TO:<user@vm.example.org>,<b@c.example>", "5.1.3", "" },
    { "FROM:<a@b.example>", "5.5.4", "" },
};

static void rcpt_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rcpts / sizeof rcpts[0]; i++) {
        struct span recipient;
        struct smtp_reply refusal = { 0 };
        int result = smtp_parse_rcpt(span_text(rcpts[i].argument), &recipient, &refusal);
        assert_string_equal(refusal.enhanced, rcpts[i].enhanced);
        assert_int_equal(result, rcpts[i].enhanced[0] == '\0' ? 0 : -1);
        if (result == 0)
            assert_true(span_equal(recipient, span_text(rcpts[i].recipient)));
    }
}

static void verbs(void **state)
{
    (void)state;
    struct span argument;
    assert_int_equal(smtp_parse_verb(SPAN_LITERAL("mAiL  FROM:<> "), &argument), SMTP_MAIL);
    assert_true(span_equal(argument, SPAN_LITERAL("FROM:<>")));
    assert_int_equal(smtp_parse_verb(SPAN_LITERAL("DATA \t"), &argument), SMTP_DATA);
    assert_int_equal(argument.size, 0);
    assert_int_equal(smtp_parse_verb(SPAN_LITERAL("DATAX"), &argument), SMTP_UNKNOWN);
    assert_int_equal(smtp_parse_verb(SPAN_LITERAL(""), &argument), SMTP_UNKNOWN);
    assert_int_equal(smtp_parse_verb(SPAN_LITERAL("STARTTLS"), &argument), SMTP_NOT_OFFERED);
}

static void names_of_clients(void **state)
{
    (void)state;
    static const char *const good[] = { "mx.example.org", "localhost", "my_pc", "[127.0.0.1]", "[IPv6:::1]" };
    static const char *const bad[] = { "", "a b", "a\r", "-", "(x)", "a;b", "[::1]", "x." };
    struct smtp_reply refusal;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(smtp_parse_helo(span_text(good[i]), &refusal), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(smtp_parse_helo(span_text(bad[i]), &refusal), -1);
}

static void replies(void **state)
{
    (void)state;
    struct smtp_reply reply = { 0 };
    assert_int_equal(smtp_reply_add(&reply, SPAN_LITERAL("550-5.1.1 no such user")), SMTP_REPLY_MORE);
    assert_int_equal(smtp_reply_add(&reply, SPAN_LITERAL("550 5.1.1 see http://x.example/")), SMTP_REPLY_COMPLETE);
    assert_int_equal(reply.code, 550);
    assert_string_equal(reply.enhanced, "5.1.1");
    assert_string_equal(reply.text, "no such user / see http://x.example/");

    static const struct {
        const char *line;
        enum smtp_reply_step step;
        const char *enhanced, *text;
    } lines[] = {
        { "250", SMTP_REPLY_COMPLETE, "", "" },
        { "250 ", SMTP_REPLY_COMPLETE, "", "" },
        { "250 2.0.0", SMTP_REPLY_COMPLETE, "2.0.0", "" },
        { "250 ok\x1B[2J", SMTP_REPLY_COMPLETE, "", "ok?[2J" },
        { "550 4.1.1 class is not the code's", SMTP_REPLY_COMPLETE, "", "4.1.1 class is not the code's" },
        { "550 5.1234.1 x", SMTP_REPLY_COMPLETE, "", "5.1234.1 x" },
        { "220 5 minutes", SMTP_REPLY_COMPLETE, "", "5 minutes" },
        { "250x", SMTP_REPLY_BAD, "", "" },
        { "25", SMTP_REPLY_BAD, "", "" },
        { "", SMTP_REPLY_BAD, "", "" },
        { "650 x", SMTP_REPLY_BAD, "", "" },
        { "100 x", SMTP_REPLY_BAD, "", "" },
        { "2500 x", SMTP_REPLY_BAD, "", "" },
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        reply = (struct smtp_reply){ 0 };
        assert_int_equal(smtp_reply_add(&reply, span_text(lines[i].line)), lines[i].step);
        assert_string_equal(reply.enhanced, lines[i].enhanced);
        assert_string_equal(reply.text, lines[i].text);
    }
    reply = (struct smtp_reply){ 0 };
    assert_int_equal(smtp_reply_add(&reply, SPAN_LITERAL("250-a")), SMTP_REPLY_MORE);
    assert_int_equal(smtp_reply_add(&reply, SPAN_LITERAL("251 b")), SMTP_REPLY_BAD);
    reply = (struct smtp_reply){ 0 };
    for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++)
        assert_int_equal(smtp_reply_add(&reply, SPAN_LITERAL("250-a long text that is joined")), SMTP_REPLY_MORE);
    assert_int_equal(smtp_reply_add(&reply, SPAN_LITERAL("250 b")), SMTP_REPLY_BAD);
}

static void addresses_split(void **state)
{
    (void)state;
    struct smtp_address address;
    assert_true(smtp_address_split(SPAN_LITERAL("User@Node.VM.Example.ORG"), &address));
    assert_string_equal(address.local, "User");
    assert_string_equal(address.domain, "node.vm.example.org");
    assert_true(smtp_address_split(SPAN_LITERAL("\"a\\\"@b c\"@D.example"), &address));
    assert_string_equal(address.local, "a\"@b c");
    assert_string_equal(address.domain, "d.example");
    assert_true(smtp_address_split(SPAN_LITERAL("Postmaster"), &address));
    assert_string_equal(address.domain, "");
    assert_false(smtp_address_split(SPAN_LITERAL(""), &address));
    assert_false(smtp_address_split(SPAN_LITERAL("@d"), &address));
    assert_false(smtp_address_split(SPAN_LITERAL("a@"), &address));
    assert_false(smtp_address_split(SPAN_LITERAL("a@b@c"), &address));
    assert_false(smtp_address_split(SPAN_LITERAL("\"a@b"), &address));
    assert_false(smtp_address_split(SPAN_LITERAL("\"a\"b@c"), &address));
    assert_false(smtp_address_split(SPAN_LITERAL("a\0b@c"), &address));
}

/* --- content --- */

/* Feeds `sent` in pieces of `cut` bytes as a session does; what came out, and the bytes behind the end. */
static bool run_content(struct smtp_content *content, struct span sent, size_t cut, struct buf *letter_r,
                        size_t *rest_r)
{
    struct buf held = { 0 };
    bool end = false;
    for (size_t at = 0; at < sent.size && !end; at += cut) {
        buf_add_span(&held, span_slice(sent, at, cut));
        struct reader in = reader_of(buf_span(&held));
        enum smtp_content_step step;
        struct span piece;
        while ((step = smtp_content_next(content, &in, &piece)) == SMTP_CONTENT_PIECE)
            buf_add_span(letter_r, piece);
        end = step == SMTP_CONTENT_END;
        *rest_r = in.rest.size + (end && at + cut < sent.size ? sent.size - at - cut : 0);
        buf_drop_front(&held, held.size - in.rest.size);
        assert_true(held.size <= SMTP_CONTENT_LINE_MAX + 1 || end);
    }
    buf_free(&held);
    return end;
}

static const struct {
    const char *what;
    struct span sent;
    bool end;
    enum err_id refused;
    struct span letter; /* where not refused */
    size_t rest;
} contents[] = {
#define C(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
    { "empty", C(".\r\n"), true, ERR_NONE, C(""), 0 },
    { "dots", C("..a\r\n...\r\n.b\r\nc.\r\n.\r\nQUIT\r\n"), true, ERR_NONE, C(".a\r\n..\r\nb\r\nc.\r\n"), 6 },
    { "8 bit", C("Subject: \xE4\r\n\r\n\xFF\r\n.\r\n"), true, ERR_NONE, C("Subject: \xE4\r\n\r\n\xFF\r\n"), 0 },
    { "no end", C("a\r\n.\r"), false, ERR_NONE, C("a\r\n"), 2 },
    { "LF dot LF", C("a\n.\nMAIL FROM:<x@y>\r\nb\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
    { "LF dot CRLF", C("a\n.\r\nMAIL FROM:<x@y>\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
    { "CRLF dot LF", C("a\r\n.\nMAIL FROM:<x@y>\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
    { "CR dot CR", C("a\r.\rMAIL FROM:<x@y>\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
    { "CR dot CRLF", C("a\r.\r\nMAIL FROM:<x@y>\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
    { "CRLF dot CR", C("a\r\n.\r\r\nMAIL\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
    { "CR CRLF dot", C("a\r\r\n.\r\nQUIT\r\n"), true, ERR_BAD_CONTENT, C(""), 6 },
    { "NUL", C("a\0b\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
    { "NUL dot", C("a\r\n\0.\r\nx\r\n.\r\n"), true, ERR_BAD_CONTENT, C(""), 0 },
#undef C
};

static void content_of_any_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        for (size_t cut = 1; cut <= contents[i].sent.size; cut++) {
            struct smtp_content content = { .max_size = 1000 };
            struct buf letter = { 0 };
            size_t rest = 0;
            bool end = run_content(&content, contents[i].sent, cut, &letter, &rest);
            if (end != contents[i].end || content.err.id != contents[i].refused)
                fail_msg("%s, cut every %zu bytes: %s", contents[i].what, cut, content.err.text);
            assert_int_equal(rest, contents[i].rest);
            if (contents[i].refused == ERR_NONE)
                assert_true(span_equal(buf_span(&letter), contents[i].letter));
            buf_free(&letter);
        }
    }
}

static void content_limits(void **state)
{
    (void)state;
    static const size_t sizes[] = { 998, 999, SMTP_CONTENT_LINE_MAX, SMTP_CONTENT_LINE_MAX + 1, 1 << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t cut = 1000; cut < (1 << 18); cut = cut * 7 + 1) {
            struct smtp_content content = { .max_size = 1 << 22 };
            struct buf sent = { 0 };
            struct buf letter = { 0 };
            size_t rest = 1;
            buf_add_fill(&sent, 'x', sizes[i]);
            buf_add_text(&sent, "\r\n.\r\n");
            assert_true(run_content(&content, buf_span(&sent), cut, &letter, &rest));
            assert_int_equal(content.err.id, sizes[i] <= SMTP_CONTENT_LINE_MAX ? ERR_NONE : ERR_BAD_CONTENT);
            assert_int_equal(rest, 0);
            buf_free(&letter);
            buf_free(&sent);
        }
    }
    struct smtp_content content = { .max_size = 5 };
    struct buf letter = { 0 };
    size_t rest;
    assert_true(run_content(&content, SPAN_LITERAL("..aa\r\n.\r\n"), 9, &letter, &rest));
    assert_int_equal(content.err.id, ERR_NONE); /* the stuffed dot does not count */
    content = (struct smtp_content){ .max_size = 5 };
    assert_true(run_content(&content, SPAN_LITERAL("aaaa\r\n.\r\n"), 9, &letter, &rest));
    assert_int_equal(content.err.id, ERR_TOO_BIG);
    buf_free(&letter);
}

static enum err_id hops(const char *field, int count, const char *after)
{
    struct smtp_content content = { .max_size = 1 << 20 };
    struct buf sent = { 0 };
    struct buf letter = { 0 };
    size_t rest;
    buf_add_text(&sent, "From a@b.example Thu Jan  1\r\nSubject: x\r\n y\r\n");
    for (int i = 0; i < count; i++)
        buf_add_text(&sent, field);
    buf_add_text(&sent, after);
    buf_add_text(&sent, "\r\n.\r\n");
    assert_true(run_content(&content, buf_span(&sent), 100, &letter, &rest));
    buf_free(&sent);
    buf_free(&letter);
    return content.err.id;
}

static void loops_are_seen_in_the_header_only(void **state)
{
    (void)state;
    assert_int_equal(hops("Received: from x\r\n\tby y\r\n", SMTP_HOPS_MAX, "\r\nReceived: z"), ERR_NONE);
    assert_int_equal(hops("received : from x\r\n\tby y\r\n", SMTP_HOPS_MAX + 1, "\r\nbody"), ERR_LOOP);
    assert_int_equal(hops("X-Received: x\r\n", SMTP_HOPS_MAX + 1, ""), ERR_NONE);
    assert_int_equal(hops("Received-SPF: x\r\n", SMTP_HOPS_MAX + 1, ""), ERR_NONE);
    assert_int_equal(hops("\r\nReceived: x\r\n", SMTP_HOPS_MAX + 1, ""), ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_commands),
        cmocka_unit_test(rcpt_commands),
        cmocka_unit_test(verbs),
        cmocka_unit_test(names_of_clients),
        cmocka_unit_test(replies),
        cmocka_unit_test(addresses_split),
        cmocka_unit_test(content_of_any_cut),
        cmocka_unit_test(content_limits),
        cmocka_unit_test(loops_are_seen_in_the_header_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
