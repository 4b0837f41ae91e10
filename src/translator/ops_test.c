/* What is lost when these fail: letters that are read well by the tests of letter/, and end their reader in the
 * sandbox, because a library asks there for what it may not have. */
#include "translator/ops.h"
#include "translator/pool.h"

#include "letter/hostfile.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "letter/translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEAD "Message-ID: <1@example.com>\r\nDate: Tue, 24 Nov 2026 14:03:11 +0000\r\nFrom: Alice <a@example.com>\r\n"

/* Each makes a library do something that it has not done before. */
static const char *const letters[] = {
    HEAD "To: u@vm.example.org\r\nSubject: plain\r\n\r\nplain text\r\n",
    HEAD "Subject: =?EUC-TW?B?xOPG4w==?= =?x-mac-farsi?Q?=A4?= =?iso-2022-cn-ext?B?Gw==?=\r\n"
         "Content-Type: text/plain; charset=EUC-TW\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C4=E3\r\n",
    HEAD "To: =?koi8-r?B?8NLJ18XU?= <u@vm.example.org>, \"a\xff\" <b@c>\r\nMIME-Version: 1.0\r\n"
         "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-7\r\n\r\n"
         "<p>+AGE-&copy;\r\n--b\r\nContent-Type: application/octet-stream; name*=utf-8''%e2%82%ac.bin\r\n"
         "Content-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--b--\r\n",
    HEAD "Content-Type: multipart/mixed; boundary=\"\r\nContent-Disposition: ;;;=\r\n\r\n--\r\n\r\n--",
    "\r\n",
    "",
};

struct fixture {
    struct loop *loop;
    struct zygote zygote;
    struct translator *pool;
};

struct answered {
    struct buf output;
    struct err err;
    bool ended;
};

static struct fixture fixture;

static int open_pool(void **state)
{
    (void)state;
    struct translator_options options = { .children = 1 };
    fixture.loop = loop_new();
    if (zygote_start(&fixture.zygote, NULL) == -1)
        return -1;
    return translator_new(fixture.loop, &fixture.zygote, &options, &fixture.pool, NULL);
}

static int close_pool(void **state)
{
    (void)state;
    translator_free(fixture.pool);
    zygote_end(&fixture.zygote);
    loop_free(fixture.loop);
    return 0;
}

static void done(void *arg, struct span output, const struct err *err)
{
    struct answered *answered = arg;
    answered->ended = true;
    buf_add_span(&answered->output, output);
    if (err != NULL)
        answered->err = *err;
}

static void translate(enum translator_op op, struct span input, struct span options, struct answered *answered_r)
{
    *answered_r = (struct answered){ .ended = false };
    struct translator_job job = { .op = (int)op, .input = input, .options = options, .done = done, .arg = answered_r };
    assert_int_equal(translator_submit(fixture.pool, &job, NULL), 0);
    while (!answered_r->ended)
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE);
    if (translator_blames_child(answered_r->err.id))
        fail_msg("operation %d: %s", (int)op, answered_r->err.text);
}

static void pack_options(struct buf *to)
{
    struct options options = { .kind = HOST_CMS,
                               .page = "037",
                               .to_pc = SPAN_EMPTY,
                               .from_pc = SPAN_EMPTY,
                               .attachments = true,
                               .map_count = options_cms_map_count,
                               .map = options_cms_map };
    options_pack(to, &options);
}

static void both(const struct buf *options, const struct buf *resolution, struct buf *to)
{
    buf_clear(to);
    ops_options(buf_span(options), buf_span(resolution), to);
}

/* In the sandbox the same comes out as outside. */
static void test_mail_facts(void **state)
{
    (void)state;
    assert_int_equal(translate_init(NULL), 0);
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        struct answered inside;
        struct buf outside = { 0 };
        struct err err = ERR_CLEAR;
        translate(OP_MAIL_FACTS, span_text(letters[i]), SPAN_EMPTY, &inside);
        (void)translate_mail_facts(span_text(letters[i]), &outside, &err);
        assert_int_equal(inside.err.id, err.id);
        /* a charset that is loaded on first use is read outside, and not inside */
        if (i != 1 && err.id == ERR_NONE)
            assert_true(span_equal(buf_span(&inside.output), buf_span(&outside)));
        buf_free(&inside.output);
        buf_free(&outside);
    }
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct host_resolution to_host = { .from_node = { "MICROSFT" },
                                       .from_user = { "X0000017" },
                                       .to_node = { "MAPLEC1" },
                                       .to_user = { "GEORGEB" },
                                       .from = SPAN_EMPTY,
                                       .from_name = SPAN_EMPTY,
                                       .entry_us = INT64_C(1795528991000000) };
    struct mail_resolution to_mail = { .from = SPAN_LITERAL("georgeb@maplec1.vm.example.org"),
                                       .from_name = SPAN_EMPTY,
                                       .to = SPAN_LITERAL("a@example.com"),
                                       .to_name = SPAN_EMPTY,
                                       .reply_to = SPAN_EMPTY,
                                       .message_id = SPAN_LITERAL("<01@MICROSFT.vm.example.org>"),
                                       .in_reply_to = SPAN_EMPTY,
                                       .now_us = INT64_C(1795528991000000) };
    struct buf options = { 0 }, resolution = { 0 }, packed = { 0 }, one = { 0 };
    struct answered files, answered;
    pack_options(&options);
    host_resolution_pack(&resolution, &to_host);
    both(&options, &resolution, &packed);
    translate(OP_MAIL_TO_HOST, span_text(letters[2]), buf_span(&packed), &files);
    assert_int_equal(files.err.id, ERR_NONE);
    buf_clear(&resolution);
    mail_resolution_pack(&resolution, &to_mail);
    struct reader list = reader_of(buf_span(&files.output));
    struct hostfile file;
    unsigned count = 0;
    while (hostfile_next(&list, &file, NULL) == 1) {
        buf_clear(&one);
        hostfile_pack(&one, &file);
        hostfile_release(&file);
        both(&options, &(struct buf){ 0 }, &packed);
        translate(OP_HOST_FACTS, buf_span(&one), buf_span(&packed), &answered);
        assert_int_equal(answered.err.id, ERR_NONE);
        buf_free(&answered.output);
        both(&options, &resolution, &packed);
        translate(OP_HOST_TO_MAIL, buf_span(&one), buf_span(&packed), &answered);
        assert_int_equal(answered.err.id, ERR_NONE);
        assert_true(answered.output.size > 0);
        buf_free(&answered.output);
        count++;
    }
    assert_int_equal(count, 2); /* the note and the attachment */
    translate(OP_HOST_ACK, buf_span(&one), buf_span(&packed), &answered);
    buf_free(&answered.output);
    buf_free(&files.output);
    buf_free(&one);
    buf_free(&packed);
    buf_free(&resolution);
    buf_free(&options);
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    struct answered answered;
    translate((enum translator_op)99, SPAN_LITERAL("x"), SPAN_EMPTY, &answered);
    assert_int_equal(answered.err.id, ERR_BUG);
    translate(OP_HOST_FACTS, SPAN_LITERAL("no hostfile"), SPAN_LITERAL("\0\0\0\x09short"), &answered);
    assert_int_equal(answered.err.id, ERR_BUG);
    translate(OP_HOST_FACTS, SPAN_LITERAL("no hostfile"), SPAN_EMPTY, &answered);
    assert_int_not_equal(answered.err.id, ERR_NONE);
    assert_int_equal(translator_figures(fixture.pool).died, 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail_facts),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_does_not_fit),
    };
    if (zygote_is_meant(argc, argv))
        return zygote_main(&ops_child);
    return cmocka_run_group_tests(tests, open_pool, close_pool);
}
