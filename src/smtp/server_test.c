/* What is lost when these fail: a letter that was answered 250 and is nowhere, a letter that nobody sent (smuggled
 * inside another), or mail that stops because a client or the disk misbehaves. */
#include "smtp/memory_sink.h"
#include "smtp/server.h"

#include "base/clock.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct loop *loop;
    struct memory_sink sink;
    struct smtp_server *server;
    struct smtp_server_options options;
    int fd; /* the client's end */
    struct buf heard;
};

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture = (struct fixture){ .fd = -1 };
    fixture.loop = loop_new();
    memory_sink_init(&fixture.sink);
    fixture.options =
        (struct smtp_server_options){ .host_name = "gw.example.org", .max_size = 1000, .max_recipients = 3 };
    clock_test_set(INT64_C(1794528000) * CLOCK_SECOND, 1); /* Fri, 13 Nov 2026 00:00:00 +0000 */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (fixture.fd != -1)
        (void)close(fixture.fd);
    smtp_server_free(fixture.server);
    memory_sink_clear(&fixture.sink);
    loop_free(fixture.loop);
    buf_free(&fixture.heard);
    return 0;
}

static void start(bool lmtp)
{
    struct err err = ERR_CLEAR;
    int ends[2];
    if (fixture.server == NULL)
        assert_int_equal(smtp_server_new(fixture.loop, &fixture.options, &fixture.sink.calls, &fixture.server, &err),
                         0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(smtp_server_adopt(fixture.server, ends[0], "192.0.2.7", lmtp, &err), 0);
    fixture.fd = ends[1];
}

/* Runs the loop until nothing is left to do, gathers what the server said. */
static void run(void)
{
    ssize_t got;
    do {
        char bytes[4096];
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_NONBLOCK);
        got = fixture.fd != -1 ? recv(fixture.fd, bytes, sizeof bytes, 0) : -1;
        if (got > 0)
            buf_add(&fixture.heard, bytes, (size_t)got);
    } while (got > 0);
    (void)event_base_loop(loop_base(fixture.loop), EVLOOP_NONBLOCK);
}

static void tell_bytes(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fixture.fd, bytes, size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        } else if (errno != EAGAIN)
            break; /* the server closed */
        run();
    }
    run();
}

static void tell(const char *text)
{
    tell_bytes(text, strlen(text));
}

/* Exactly this, and forgets it. */
static void hear(const char *expected)
{
    run();
    buf_add_u8(&fixture.heard, 0);
    assert_string_equal((const char *)fixture.heard.at, expected);
    buf_clear(&fixture.heard);
}

static bool closed(void)
{
    char byte;
    run();
    return recv(fixture.fd, &byte, 1, 0) == 0;
}

static void say_hello(void)
{
    tell("EHLO mx.example.org\r\n");
    buf_clear(&fixture.heard);
}

#define ENVELOPE    "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@vm.example.org>\r\nDATA\r\n"
#define ENVELOPE_OK "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n354 end with CRLF . CRLF\r\n"
#define QUEUED      "250 2.0.0 queued as 01JZZZZZZZZZZZZZZZZZZZZZZZ\r\n"

static struct memory_letter *letter(size_t index)
{
    return &fixture.sink.letters[index];
}

static void assert_buf(struct buf *buf, const char *expected)
{
    buf_add_u8(buf, 0);
    assert_string_equal((const char *)buf->at, expected);
    buf->size--;
}

static void a_plain_dialogue(void **state)
{
    (void)state;
    start(false);
    hear("220 gw.example.org ESMTP ready\r\n");
    tell("EHLO mx.example.org\r\n");
    hear("250-gw.example.org\r\n250-SIZE 1000\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
    tell("MAIL FROM:<a@b.example> SIZE=20 BODY=8BITMIME\r\n");
    hear("250 2.1.0 sender ok\r\n");
    tell("RCPT TO:<u@vm.example.org>\r\n");
    hear("250 2.1.5 recipient ok\r\n");
    tell("DATA\r\n");
    hear("354 end with CRLF . CRLF\r\n");
    tell("Subject: x\r\n\r\n..dot\r\n\xE4\r\n.\r\n");
    hear(QUEUED);
    tell("QUIT\r\n");
    hear("221 2.0.0 goodbye\r\n");
    assert_true(closed());
    assert_buf(&letter(0)->envelope, "192.0.2.7 mx.example.org ESMTP\na@b.example\nu@vm.example.org\n1 20");
    assert_buf(&letter(0)->content, "Received: from mx.example.org ([192.0.2.7])\r\n"
                                    "\tby gw.example.org with ESMTP id 01JZZZZZZZZZZZZZZZZZZZZZZZ;\r\n"
                                    "\tFri, 13 Nov 2026 00:00:00 +0000\r\n"
                                    "Subject: x\r\n\r\n.dot\r\n\xE4\r\n");
    assert_true(letter(0)->committed);
    struct smtp_server_figures figures;
    smtp_server_figures(fixture.server, &figures);
    assert_int_equal(figures.accepted, 1);
    assert_int_equal(figures.sessions, 0);
}

static void pipelined_groups_and_any_cut(void **state)
{
    (void)state;
    static const char all[] = "EHLO x\r\n" ENVELOPE "a\r\n.\r\nNOOP\r\n" ENVELOPE "..\r\n.\r\nRSET\r\nQUIT\r\n";
    static const char replies[] = "220 gw.example.org ESMTP ready\r\n250-gw.example.org\r\n250-SIZE 1000\r\n"
                                  "250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n" ENVELOPE_OK QUEUED
                                  "250 2.0.0 ok\r\n" ENVELOPE_OK QUEUED "250 2.0.0 forgotten\r\n221 2.0.0 goodbye\r\n";
    for (size_t cut = 1; cut < sizeof all; cut++) {
        start(false);
        for (size_t at = 0; at < sizeof all - 1; at += cut)
            tell_bytes(all + at, at + cut < sizeof all ? cut : sizeof all - 1 - at);
        hear(replies);
        assert_true(closed());
        (void)close(fixture.fd);
        fixture.fd = -1;
    }
    assert_int_equal(fixture.sink.committed, 2 * (sizeof all - 1));
}

static void group_is_answered_in_one_send(void **state)
{
    (void)state;
    int ends[2];
    struct err err = ERR_CLEAR;
    char bytes[512];
    assert_int_equal(smtp_server_new(fixture.loop, &fixture.options, &fixture.sink.calls, &fixture.server, &err), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0); /* keeps the cuts */
    assert_int_equal(smtp_server_adopt(fixture.server, ends[0], "192.0.2.7", false, &err), 0);
    fixture.fd = ends[1];
    assert_true(recv(fixture.fd, bytes, sizeof bytes, 0) > 0);
    assert_true(send(fixture.fd, "HELO x\r\n" ENVELOPE, strlen("HELO x\r\n" ENVELOPE), 0) > 0);
    (void)event_base_loop(loop_base(fixture.loop), EVLOOP_NONBLOCK);
    ssize_t got = recv(fixture.fd, bytes, sizeof bytes - 1, 0);
    assert_true(got > 0);
    bytes[got] = '\0';
    assert_string_equal(bytes, "250 gw.example.org\r\n" ENVELOPE_OK);
}

static void lmtp_answers_each_recipient(void **state)
{
    (void)state;
    start(true);
    hear("220 gw.example.org LMTP ready\r\n");
    tell("EHLO x\r\n");
    hear("500 5.5.1 this is LMTP: say LHLO\r\n");
    tell("LHLO x\r\n");
    hear("250-gw.example.org\r\n250-SIZE 1000\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
    fixture.sink.only_for = "vm.example.org";
    tell("MAIL FROM:<>\r\nRCPT TO:<u@vm.example.org>\r\nRCPT TO:<x@y.example>\r\nRCPT "
         "TO:<v@VM.example.org>\r\nDATA\r\n");
    hear("250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n550 5.7.1 not ours: x@y.example\r\n"
         "250 2.1.5 recipient ok\r\n354 end with CRLF . CRLF\r\n");
    tell("a\r\n.\r\n");
    hear(QUEUED QUEUED);
    assert_buf(&letter(0)->envelope, "192.0.2.7 x LMTP\n\nu@vm.example.org\nv@VM.example.org\n0 0");
    tell("MAIL FROM:<>\r\nRCPT TO:<u@vm.example.org>\r\nRCPT TO:<v@vm.example.org>\r\nDATA\r\n");
    buf_clear(&fixture.heard);
    tell("a\nb\r\n.\r\n");
    hear("554 5.6.0 the letter holds a LF without CR\r\n554 5.6.0 the letter holds a LF without CR\r\n");
    tell("MAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n"); /* RFC 2033 §4.2 */
    hear("250 2.1.0 sender ok\r\n550 5.7.1 not ours: x@y.example\r\n503 5.5.1 no recipient was accepted\r\n");
}

static void smuggled_letters_are_not_taken(void **state)
{
    (void)state;
    static const struct {
        const char *end;
        const char *why;
    } tricks[] = {
        { "\n.\n", "LF without CR" },         { "\n.\r\n", "LF without CR" }, { "\r\n.\n", "LF without CR" },
        { "\r.\r", "CR without LF" },         { "\r.\r\n", "CR without LF" }, { "\r\n.\r", "CR without LF" },
        { "\r\r\n.\r\r\n", "CR without LF" },
    };
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++) {
        char expected[200];
        start(false);
        say_hello();
        tell(ENVELOPE);
        hear(ENVELOPE_OK);
        tell("Subject: one\r\n\r\nbody");
        tell(tricks[i].end);
        tell("MAIL FROM:<admin@vm.example.org>\r\nRCPT TO:<u@vm.example.org>\r\nDATA\r\nsmuggled\r\n.\r\n");
        (void)snprintf(expected, sizeof expected, "554 5.6.0 the letter holds a %s\r\n", tricks[i].why);
        hear(expected);
        (void)close(fixture.fd);
        run();
    }
    assert_int_equal(fixture.sink.committed, 0);
    assert_int_equal(fixture.sink.abandoned, sizeof tricks / sizeof tricks[0]);
}

static void command_lines_end_with_crlf_only(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t size;
        const char *reply;
    } lines[] = {
        { "NOOP\nMAIL FROM:<a@b>\r\n", 23, "500 5.5.2 a line ends with CRLF\r\n" },
        { "\n", 1, "500 5.5.2 a line ends with CRLF\r\n" },
        { "NOOP\rQUIT\r\n", 11, "500 5.5.2 a command holds no CR and no NUL\r\n" },
        { "NO\0OP\r\n", 7, "500 5.5.2 a command holds no CR and no NUL\r\n" },
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        start(false);
        say_hello();
        tell_bytes(lines[i].line, lines[i].size);
        hear(lines[i].reply);
        assert_true(closed());
        (void)close(fixture.fd);
    }
    start(false);
    say_hello();
    char longest[3000];
    (void)memset(longest, 'x', sizeof longest);
    tell_bytes(longest, sizeof longest);
    hear("500 5.5.2 the line is too long\r\n");
    assert_true(closed());
}

static void order_of_commands(void **state)
{
    (void)state;
    start(false);
    hear("220 gw.example.org ESMTP ready\r\n");
    tell("MAIL FROM:<a@b.example>\r\nRCPT TO:<u@v.example>\r\nLHLO x\r\nEHLO\r\nEHLO a b\r\nHELO x\r\n");
    hear("503 5.5.1 say EHLO first\r\n503 5.5.1 say MAIL first\r\n500 5.5.1 this is SMTP: say EHLO\r\n"
         "501 5.5.4 say the name of your host\r\n501 5.5.4 say the name of your host\r\n250 gw.example.org\r\n");
    tell("RCPT TO:<u@v.example>\r\nMAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\nDATA x\r\n");
    hear("503 5.5.1 say MAIL first\r\n250 2.1.0 sender ok\r\n"
         "503 5.5.1 a letter has begun already: RSET forgets it\r\n501 5.5.4 DATA has no argument\r\n");
    tell("DATA\r\n");
    hear("503 5.5.1 no recipient was accepted\r\n");
    tell("VRFY u\r\nHELP\r\nEXPN x\r\nFOO\r\nRSET\r\nnoop x\r\n");
    hear("252 2.5.2 send a letter to find out\r\n214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n"
         "502 5.5.1 this command is not offered here\r\n500 5.5.1 this command is not known here\r\n"
         "250 2.0.0 forgotten\r\n250 2.0.0 ok\r\n");
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
    tell(".\r\n");
    hear(QUEUED);
    assert_buf(&letter(0)->envelope, "192.0.2.7 x SMTP\na@b.example\nu@vm.example.org\n0 0");
}

static void content_is_never_a_command(void **state)
{
    (void)state;
    start(false);
    say_hello();
    tell("DATA\r\nMAIL FROM:<a@b.example>\r\n");
    hear("503 5.5.1 say MAIL first\r\n421 4.5.0 content was sent without waiting for 354\r\n");
    assert_true(closed());
    (void)close(fixture.fd);
    start(false);
    say_hello();
    tell("POST / HTTP/1.1\r\nHost: x\r\n\r\n" ENVELOPE);
    hear("421 4.7.0 this is not a web server\r\n");
    assert_true(closed());
}

static void limits(void **state)
{
    (void)state;
    start(false);
    say_hello();
    tell("MAIL FROM:<a@b.example> SIZE=1001\r\n");
    hear("552 5.3.4 the letter is larger than the 1000 octets this host takes\r\n");
    tell("MAIL FROM:<a@b.example>\r\nRCPT TO:<a@c.example>\r\nRCPT TO:<b@c.example>\r\nRCPT TO:<c@c.example>\r\n"
         "RCPT TO:<d@c.example>\r\nDATA\r\n");
    hear("250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n"
         "452 4.5.3 too many recipients: send the rest in another letter\r\n354 end with CRLF . CRLF\r\n");
    for (int i = 0; i < 1000; i++)
        tell("0123456789\r\n");
    assert_int_equal(fixture.sink.abandoned, 1); /* at once: nothing more of it is stored */
    assert_true(letter(0)->content.size < 1300);
    tell(".\r\nNOOP\r\n");
    hear("552 5.3.4 the letter is larger than this host takes\r\n250 2.0.0 ok\r\n");
    for (int i = 0; i < 25; i++)
        tell("FOO\r\n");
    assert_true(closed());
    buf_add_u8(&fixture.heard, 0);
    assert_non_null(strstr((char *)fixture.heard.at, "\r\n421 4.7.0 too many bad commands\r\n"));
}

#define NO_ROOM "452 4.3.1 The connector has no room at the moment; it will be tried again. (log message 56119)\r\n"

static void what_the_sink_says_is_answered(void **state)
{
    (void)state;
    start(false);
    say_hello();
    fixture.sink.mail_fails = ERR_DISK_FULL;
    tell("MAIL FROM:<a@b.example>\r\n");
    hear(NO_ROOM);
    fixture.sink.mail_fails = ERR_NONE;
    fixture.sink.begin_fails = ERR_BUSY;
    tell(ENVELOPE);
    hear("250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n451 4.3.2 as the test wanted\r\n");
    fixture.sink.begin_fails = ERR_NONE;
    fixture.sink.commit_fails = ERR_DISK_FULL;
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
    tell("a\r\n.\r\n");
    hear(NO_ROOM);
    fixture.sink.commit_fails = ERR_NONE;
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
    tell("a\r\n.\r\n");
    hear(QUEUED);
}

static void what_is_wrong_inside_is_not_shown_to_strangers(void **state)
{
    (void)state;
    start(true);
    tell("LHLO client.example\r\n");
    run();
    buf_clear(&fixture.heard);
    fixture.sink.commit_fails = ERR_BUG;
    tell("MAIL FROM:<a@b.example>\r\nRCPT TO:<u@vm.example.org>\r\nRCPT TO:<v@vm.example.org>\r\nDATA\r\n");
    run();
    buf_clear(&fixture.heard);
    tell("a\r\n.\r\n");
    const char *each =
        "554 5.3.0 The connector could not handle the message; its operator has been told. (log message 00511)\r\n";
    char both[256];
    (void)snprintf(both, sizeof both, "%s%s", each, each);
    hear(both);
}

static void a_refused_group_costs_no_connection(void **state)
{
    (void)state;
    start(false);
    say_hello();
    fixture.sink.mail_fails = ERR_DISK_FULL;
    tell("MAIL FROM:<a@b.example>\r\n");
    for (int i = 0; i < 30; i++)
        tell("RCPT TO:<u@vm.example.org>\r\n");
    tell("DATA\r\n");
    fixture.sink.mail_fails = ERR_NONE;
    tell("MAIL FROM:<a@b.example>\r\n");
    for (int i = 0; i < 30; i++)
        tell("RCPT TO:<j\xC3\xB6rg@vm.example.org>\r\n");
    tell("RSET\r\n");
    run();
    buf_clear(&fixture.heard);
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
}

static void nothing_is_answered_before_the_commit(void **state)
{
    (void)state;
    start(false);
    say_hello();
    fixture.sink.commit_waits = true;
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
    tell("a\r\n.\r\nNOOP\r\n");
    hear("");
    memory_sink_commit(letter(0), NULL);
    hear(QUEUED "250 2.0.0 ok\r\n");
    /* half closed after the dot: the answer still comes */
    tell(ENVELOPE "b\r\n.\r\nQUIT\r\n");
    hear(ENVELOPE_OK);
    assert_int_equal(shutdown(fixture.fd, SHUT_WR), 0);
    run();
    assert_int_equal(fixture.sink.abandoned, 0);
    memory_sink_commit(letter(1), NULL);
    hear(QUEUED "221 2.0.0 goodbye\r\n");
    assert_true(closed());
}

static void letters_of_lost_clients_are_abandoned(void **state)
{
    (void)state;
    start(false);
    say_hello();
    tell(ENVELOPE "half a letter\r\n");
    (void)close(fixture.fd);
    fixture.fd = -1;
    run();
    assert_true(letter(0)->abandoned);
    assert_int_equal(fixture.sink.committed, 0);
    start(false);
    say_hello();
    fixture.sink.commit_waits = true;
    tell(ENVELOPE "a letter\r\n.\r\n");
    smtp_server_free(fixture.server);
    fixture.server = NULL;
    assert_true(letter(1)->abandoned);
}

static void a_full_sink_stops_reading(void **state)
{
    (void)state;
    fixture.options.max_size = 10 * 1000 * 1000;
    fixture.sink.room = 100 * 1000;
    struct buf sent = { 0 };
    for (int i = 0; i < 100000; i++)
        buf_printf(&sent, "line %d of a long letter\r\n", i);
    start(false);
    say_hello();
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
    size_t at = 0;
    unsigned stops = 0;
    while (at < sent.size) {
        ssize_t put = send(fixture.fd, sent.at + at, sent.size - at < 60000 ? sent.size - at : 60000, MSG_NOSIGNAL);
        run();
        if (put > 0) {
            at += (size_t)put;
            continue;
        }
        assert_int_equal(errno, EAGAIN); /* the client has to wait, because the server does not read */
        stops++;
        smtp_session_room(letter(0)->session);
    }
    assert_true(stops > 5);
    fixture.sink.room = 0;
    smtp_session_room(letter(0)->session);
    tell(".\r\n");
    hear(QUEUED);
    assert_true(letter(0)->content.size > sent.size);
    assert_memory_equal(letter(0)->content.at + letter(0)->content.size - sent.size, sent.at, sent.size);
    buf_free(&sent);
    /* room that comes back before put returns */
    fixture.sink.room = 10;
    fixture.sink.room_at_once = true;
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
    tell("..a\r\n..b\r\n..c\r\n.\r\n");
    hear(QUEUED);
}

static void a_client_that_does_not_read_waits(void **state)
{
    (void)state;
    start(false);
    say_hello();
    size_t told = 0;
    for (;;) {
        ssize_t sent = send(fixture.fd, "NOOP\r\n", 6, MSG_NOSIGNAL);
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_NONBLOCK);
        if (sent != 6)
            break;
        told++;
    }
    assert_true(told > 1000 && told < 1000000);
    run();
    assert_int_equal(fixture.heard.size, told * strlen("250 2.0.0 ok\r\n"));
}

static void time_outs(void **state)
{
    (void)state;
    fixture.options.command_us = 1; /* the loop's clock need only move on */
    start(false);
    char reply[200] = "";
    assert_int_equal(event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE), 0);
    assert_true(recv(fixture.fd, reply, sizeof reply - 1, 0) > 0);
    assert_string_equal(reply, "220 gw.example.org ESMTP ready\r\n421 4.4.2 timed out\r\n");
    (void)close(fixture.fd);
    smtp_server_free(fixture.server);
    fixture.server = NULL;
    fixture.options.command_us = 0;
    fixture.options.data_us = 20000;
    fixture.sink.commit_waits = true;
    start(false);
    say_hello();
    tell(ENVELOPE "a\r\n.\r\n");
    while (!letter(0)->abandoned)
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE);
    hear(ENVELOPE_OK "421 4.3.0 the letter could not be stored in time\r\n");
}

static bool drained;

static void on_drained(void *arg)
{
    (void)arg;
    drained = true;
}

static void draining_finishes_letters(void **state)
{
    (void)state;
    start(false);
    int idle = fixture.fd;
    start(false);
    say_hello();
    tell(ENVELOPE);
    hear(ENVELOPE_OK);
    drained = false;
    smtp_server_drain(fixture.server, CLOCK_MINUTE, on_drained, NULL);
    run();
    char bytes[200] = "";
    assert_true(recv(idle, bytes, sizeof bytes - 1, 0) > 0);
    assert_string_equal(bytes, "220 gw.example.org ESMTP ready\r\n421 4.3.2 this host is stopping\r\n");
    (void)close(idle);
    run();
    assert_false(drained);
    tell("a\r\n.\r\n");
    hear(QUEUED "421 4.3.2 this host is stopping\r\n");
    assert_true(letter(0)->committed);
    (void)close(fixture.fd);
    fixture.fd = -1;
    run();
    assert_true(drained);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(evutil_make_socket_nonblocking(fd), 0);
    return fd;
}

/* Runs the loop until the client hears something. */
static void wait_for_words(int fd, char *to_r, size_t room)
{
    ssize_t got;
    struct timeval beat = { .tv_usec = 1000 };
    do {
        (void)event_base_loopexit(loop_base(fixture.loop), &beat);
        (void)event_base_dispatch(loop_base(fixture.loop));
        got = recv(fd, to_r, room - 1, 0);
    } while (got == -1 && errno == EAGAIN);
    to_r[got > 0 ? got : 0] = '\0';
}

static void listens_and_lets_in_who_may_come(void **state)
{
    (void)state;
    char path[] = P_tmpdir "/smtp-test-XXXXXX";
    char socket_path[64];
    char words[200];
    struct err err = ERR_CLEAR;
    assert_non_null(mkdtemp(path));
    (void)snprintf(socket_path, sizeof socket_path, "%s/lmtp", path);
    fixture.options.listen = "127.0.0.1:0";
    fixture.options.lmtp = socket_path;
    fixture.options.max_sessions = 1;
    assert_int_equal(smtp_server_new(fixture.loop, &fixture.options, &fixture.sink.calls, &fixture.server, &err), 0);
    struct stat status;
    assert_int_equal(stat(socket_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    struct smtp_server *second;
    assert_int_equal(smtp_server_new(fixture.loop, &fixture.options, &fixture.sink.calls, &second, &err), -1);
    assert_non_null(strstr(err.text, "another process"));

    int first = connect_to(smtp_server_port(fixture.server, 0));
    wait_for_words(first, words, sizeof words);
    assert_string_equal(words, "220 gw.example.org ESMTP ready\r\n");
    int waiting = connect_to(smtp_server_port(fixture.server, 0)); /* in the kernel's queue: one session at a time */
    run();
    assert_int_equal(recv(waiting, words, 1, 0), -1);
    (void)close(first);
    wait_for_words(waiting, words, sizeof words);
    assert_string_equal(words, "220 gw.example.org ESMTP ready\r\n");
    (void)close(waiting);

    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int local = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(local, (struct sockaddr *)&address, sizeof address), 0);
    wait_for_words(local, words, sizeof words);
    assert_string_equal(words, "220 gw.example.org LMTP ready\r\n");
    (void)close(local);
    smtp_server_free(fixture.server);

    fixture.options.allow = "192.0.2.0/24";
    assert_int_equal(smtp_server_new(fixture.loop, &fixture.options, &fixture.sink.calls, &fixture.server, &err), 0);
    int stranger = connect_to(smtp_server_port(fixture.server, 0));
    wait_for_words(stranger, words, sizeof words);
    assert_string_equal(words, "554 5.7.1 this host takes no mail from yours\r\n");
    (void)close(stranger);
    smtp_server_free(fixture.server);
    fixture.server = NULL;
    fixture.options.listen = "localhost:25";
    assert_int_equal(smtp_server_new(fixture.loop, &fixture.options, &fixture.sink.calls, &fixture.server, &err), -1);
    assert_string_equal(err.text, "\"localhost:25\": listening wants an address, as 127.0.0.1:2525 or [::1]:2525");
    assert_int_equal(rmdir(path), 0); /* the socket was removed with the server */
}

static void swaks_delivers(void **state)
{
    (void)state;
    if (system("command -v swaks >/dev/null 2>&1") != 0)
        skip();
    struct err err = ERR_CLEAR;
    char command[200];
    fixture.options.listen = "127.0.0.1:0";
    fixture.options.max_size = 0;
    assert_int_equal(smtp_server_new(fixture.loop, &fixture.options, &fixture.sink.calls, &fixture.server, &err), 0);
    (void)snprintf(command, sizeof command,
                   "swaks --server 127.0.0.1:%u --from a@b.example --to u@vm.example.org --body '.dot' --pipeline "
                   "--timeout 30 >/dev/null 2>&1",
                   smtp_server_port(fixture.server, 0));
    FILE *swaks = popen(command, "r");
    assert_non_null(swaks);
    struct smtp_server_figures figures;
    do {
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE);
        smtp_server_figures(fixture.server, &figures);
    } while (figures.accepted == 0 || figures.sessions > 0);
    assert_int_equal(pclose(swaks), 0);
    buf_add_u8(&letter(0)->content, 0);
    assert_non_null(strstr((char *)letter(0)->content.at, "\r\n\r\n.dot\r\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plain_dialogue),
        TEST(pipelined_groups_and_any_cut),
        TEST(group_is_answered_in_one_send),
        TEST(lmtp_answers_each_recipient),
        TEST(smuggled_letters_are_not_taken),
        TEST(command_lines_end_with_crlf_only),
        TEST(order_of_commands),
        TEST(content_is_never_a_command),
        TEST(limits),
        TEST(what_the_sink_says_is_answered),
        TEST(what_is_wrong_inside_is_not_shown_to_strangers),
        TEST(a_refused_group_costs_no_connection),
        TEST(nothing_is_answered_before_the_commit),
        TEST(letters_of_lost_clients_are_abandoned),
        TEST(a_full_sink_stops_reading),
        TEST(a_client_that_does_not_read_waits),
        TEST(time_outs),
        TEST(draining_finishes_letters),
        TEST(listens_and_lets_in_who_may_come),
        TEST(swaks_delivers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
