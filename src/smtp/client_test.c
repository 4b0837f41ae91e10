/* What is lost when these fail: a letter that the relay never accepted is taken for delivered, or one it accepted is
 * sent again and again, or mail stops when the relay was away. */
#include "smtp/client.h"
#include "smtp/memory_sink.h"

#include "base/clock.h"
#include "base/fault.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LETTERS_MAX = 8, WAIT_S = 20 };

struct test_letter {
    const char *sender;
    const char *recipients[8];
    size_t count;
    struct span content;
    bool body_8bit;
    bool unreadable; /* from the second piece on */
};

struct fixture {
    struct loop *loop;
    struct smtp_client *client;
    struct smtp_client_options options;
    char address[128];
    int listener, fd;
    struct buf heard;
    struct test_letter letters[LETTERS_MAX];
    size_t given, count;
    size_t piece;      /* octets of one */
    unsigned asked;    /* how often for a letter */
    bool holds_pieces; /* the test gives them */
    bool holds_settled;
    unsigned held_slot;
    uint64_t held_offset;
    const struct test_letter *held;
    struct buf results; /* one line per recipient */
};

static struct fixture fixture;

static void source_next(void *owner, struct smtp_client *client, unsigned slot)
{
    (void)owner;
    fixture.asked++;
    if (fixture.given == fixture.count) {
        smtp_client_next(client, slot, NULL);
        return;
    }
    struct test_letter *letter = &fixture.letters[fixture.given++];
    struct smtp_outgoing outgoing = { .handle = letter,
                                      .name = "letter",
                                      .sender = letter->sender,
                                      .recipients = letter->recipients,
                                      .recipient_count = letter->count,
                                      .size = letter->content.size,
                                      .body_8bit = letter->body_8bit };
    smtp_client_next(client, slot, &outgoing);
}

static void give_piece(unsigned slot, const struct test_letter *letter, uint64_t offset)
{
    struct err err = ERR_CLEAR;
    if (letter->unreadable && offset > 0) {
        (void)err_set(&err, ERR_STORE_IO, "the disk is gone");
        smtp_client_piece(fixture.client, slot, SPAN_EMPTY, &err);
        return;
    }
    smtp_client_piece(fixture.client, slot, span_slice(letter->content, (size_t)offset, fixture.piece), NULL);
}

static void source_read(void *owner, struct smtp_client *client, unsigned slot, void *handle, uint64_t offset)
{
    (void)owner;
    (void)client;
    if (!fixture.holds_pieces) {
        give_piece(slot, handle, offset);
        return;
    }
    fixture.held_slot = slot;
    fixture.held_offset = offset;
    fixture.held = handle;
}

static void source_result(void *owner, struct smtp_client *client, unsigned slot, void *handle,
                          const struct smtp_result *results)
{
    (void)owner;
    static const char *const outcomes[] = { "accepted", "temporary", "permanent" };
    const struct test_letter *letter = handle;
    for (size_t i = 0; i < letter->count; i++)
        buf_printf(&fixture.results, "%s %s %d %s %s\n", letter->recipients[i], outcomes[results[i].outcome],
                   results[i].code, results[i].enhanced, results[i].text);
    fixture.held_slot = slot;
    if (!fixture.holds_settled)
        smtp_client_settled(client, slot);
}

static const struct smtp_source source = { .next = source_next, .read = source_read, .result = source_result };

static int listen_somewhere(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t size = sizeof address;
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(fixture.address, sizeof fixture.address, "127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    fixture = (struct fixture){ .listener = -1, .fd = -1, .piece = 100 };
    fixture.loop = loop_new();
    fixture.listener = listen_somewhere(0);
    fixture.options = (struct smtp_client_options){ .relay = fixture.address,
                                                    .host_name = "gw.example.org",
                                                    .connections = 1,
                                                    .retry_us = 1000,
                                                    .retry_max_us = 1000 };
    return 0;
}

static void close_relay(void)
{
    if (fixture.fd != -1)
        (void)close(fixture.fd);
    fixture.fd = -1;
    buf_clear(&fixture.heard);
}

static int tear_down(void **state)
{
    (void)state;
    smtp_client_free(fixture.client);
    close_relay();
    if (fixture.listener != -1)
        (void)close(fixture.listener);
    loop_free(fixture.loop);
    buf_free(&fixture.heard);
    buf_free(&fixture.results);
    return 0;
}

static void start(void)
{
    struct err err = ERR_CLEAR;
    assert_int_equal(smtp_client_new(fixture.loop, &fixture.options, &source, &fixture.client, &err), 0);
}

static struct test_letter *add_letter(const char *content)
{
    struct test_letter *letter = &fixture.letters[fixture.count++];
    *letter = (struct test_letter){ .sender = "u@vm.example.org",
                                    .recipients = { "a@b.example", "c@d.example" },
                                    .count = 2,
                                    .content = span_text(content) };
    return letter;
}

static void turn(void)
{
    (void)event_base_loop(loop_base(fixture.loop), EVLOOP_NONBLOCK);
}

/* Lets the client go on until `happened`; a hang is a failure, after a limit. */
static void wait_for(bool (*happened)(void))
{
    int64_t limit = clock_steady() + WAIT_S * CLOCK_SECOND;
    do {
        turn();
        if (happened())
            return;
        struct pollfd fds[2] = { { .fd = fixture.listener, .events = POLLIN }, { .fd = fixture.fd, .events = POLLIN } };
        (void)poll(fds, 2, 1);
    } while (clock_steady() < limit);
    buf_add_u8(&fixture.heard, 0);
    fail_msg("nothing happened; the relay heard \"%s\"", (char *)fixture.heard.at);
}

static bool accepted_connection(void)
{
    fixture.fd = accept4(fixture.listener, NULL, NULL, SOCK_NONBLOCK);
    return fixture.fd != -1;
}

static void say(const char *text)
{
    assert_int_equal(send(fixture.fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static const char *wanted;

static bool heard_it(void)
{
    char bytes[65536];
    ssize_t got;
    while ((got = recv(fixture.fd, bytes, sizeof bytes, 0)) > 0)
        buf_add(&fixture.heard, bytes, (size_t)got);
    return fixture.heard.size >= strlen(wanted);
}

/* The client says exactly this. */
static void hear(const char *text)
{
    wanted = text;
    wait_for(heard_it);
    turn();
    (void)heard_it();
    buf_add_u8(&fixture.heard, 0);
    assert_string_equal((const char *)fixture.heard.at, text);
    buf_clear(&fixture.heard);
}

static bool got_result(void)
{
    size_t lines = 0;
    for (size_t i = 0; i < fixture.results.size; i++)
        lines += fixture.results.at[i] == '\n';
    return lines >= 2;
}

static void results(const char *text)
{
    wait_for(got_result);
    buf_add_u8(&fixture.results, 0);
    assert_string_equal((const char *)fixture.results.at, text);
    buf_clear(&fixture.results);
}

static bool client_closed(void)
{
    char byte;
    return recv(fixture.fd, &byte, 1, 0) == 0;
}

#define EHLO  "EHLO gw.example.org\r\n"
#define OFFER "250-relay.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n"

static void greet(const char *offer)
{
    wait_for(accepted_connection);
    say("220 relay.example ESMTP\r\n");
    hear(EHLO);
    say(offer);
}

#define GROUP "MAIL FROM:<u@vm.example.org> SIZE=3\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"

static void a_pipelined_letter(void **state)
{
    (void)state;
    add_letter("Subject: x\r\n\r\n.dot\r\n..\r\n\xE4\r\n")->body_8bit = true;
    fixture.piece = 1; /* any cut */
    start();
    greet(OFFER);
    hear("MAIL FROM:<u@vm.example.org> SIZE=27 BODY=8BITMIME\r\nRCPT TO:<a@b.example>\r\nRCPT "
         "TO:<c@d.example>\r\nDATA\r\n");
    say("250 2.1.0 ok\r\n250 2.1.5 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n354 go\r\n");
    hear("Subject: x\r\n\r\n..dot\r\n...\r\n\xE4\r\n.\r\n");
    assert_int_equal(fixture.results.size, 0); /* not before the relay's word */
    say("250 2.0.0 queued as 17\r\n");
    results("a@b.example accepted 250 2.0.0 queued as 17\nc@d.example permanent 550 5.1.1 no / such user\n");
    /* the connection is kept, and no RSET is needed */
    add_letter("x\r\n");
    smtp_client_kick(fixture.client);
    hear(GROUP);
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    hear("x\r\n.\r\n");
    say("452 4.3.1 disk full\r\n");
    results("a@b.example temporary 452 4.3.1 disk full\nc@d.example temporary 452 4.3.1 disk full\n");
    struct smtp_client_figures figures;
    smtp_client_figures(fixture.client, &figures);
    assert_int_equal(figures.accepted, 1);
    assert_int_equal(figures.deferred, 2);
    assert_int_equal(figures.refused, 1);
    assert_int_equal(figures.connected, 1);
}

static void one_command_at_a_time(void **state)
{
    (void)state;
    add_letter("no line end");
    start();
    wait_for(accepted_connection);
    say("220-old\r\n220 relay\r\n");
    hear(EHLO);
    say("502 what?\r\n");
    hear("HELO gw.example.org\r\n");
    say("250 relay\r\n");
    hear("MAIL FROM:<u@vm.example.org>\r\n");
    say("250 ok\r\n");
    hear("RCPT TO:<a@b.example>\r\n");
    say("250 ok\r\n");
    hear("RCPT TO:<c@d.example>\r\n");
    say("552 too many\r\n"); /* RFC 5321 §4.5.3.1.10 */
    hear("DATA\r\n");
    say("354\r\n");
    hear("no line end\r\n.\r\n");
    say("250\r\n");
    results("a@b.example accepted 250 2.0.0 \nc@d.example temporary 552 5.0.0 too many\n");
    /* all refused: no DATA, and the transaction left open is ended before the next one */
    add_letter("x\r\n");
    add_letter("y\r\n");
    smtp_client_kick(fixture.client);
    hear("MAIL FROM:<u@vm.example.org>\r\n");
    say("250 ok\r\n");
    hear("RCPT TO:<a@b.example>\r\n");
    say("550 no\r\n");
    hear("RCPT TO:<c@d.example>\r\n");
    say("450 later\r\n");
    results("a@b.example permanent 550 5.0.0 no\nc@d.example temporary 450 4.0.0 later\n");
    hear("RSET\r\n");
    say("250 ok\r\n");
    hear("MAIL FROM:<u@vm.example.org>\r\n");
    say("550 5.7.1 not you\r\n");
    results("a@b.example permanent 550 5.7.1 not you\nc@d.example permanent 550 5.7.1 not you\n");
    add_letter("z\r\n");
    smtp_client_kick(fixture.client);
    hear("MAIL FROM:<u@vm.example.org>\r\n");
}

static void a_group_that_is_refused(void **state)
{
    (void)state;
    add_letter("x\r\n");
    add_letter("x\r\n");
    add_letter("x\r\n");
    start();
    greet(OFFER);
    hear(GROUP);
    say("250 ok\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n354 go\r\n");
    hear(".\r\n"); /* RFC 2920: nobody to send it to, and the relay waits for content */
    say("554 5.5.1 no recipients\r\n");
    results("a@b.example permanent 550 5.1.1 no\nc@d.example permanent 550 5.1.1 no\n");
    hear(GROUP);
    say("451 4.7.1 greylisted\r\n503 no MAIL\r\n503 no MAIL\r\n503 no MAIL\r\n");
    results("a@b.example temporary 451 4.7.1 greylisted\nc@d.example temporary 451 4.7.1 greylisted\n");
    hear(GROUP);
    say("250 ok\r\n250 ok\r\n250 ok\r\n451 4.3.0 not now\r\n");
    results("a@b.example temporary 451 4.3.0 not now\nc@d.example temporary 451 4.3.0 not now\n");
    add_letter("x\r\n");
    smtp_client_kick(fixture.client);
    hear("RSET\r\n" GROUP);
}

static char lmtp_folder[64];
static struct sockaddr_un lmtp_address;

/* The relay is on a Unix socket from now on. */
static void listen_lmtp(void)
{
    lmtp_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    (void)snprintf(lmtp_folder, sizeof lmtp_folder, "%s/smtp-test-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(lmtp_folder));
    (void)snprintf(lmtp_address.sun_path, sizeof lmtp_address.sun_path, "%s/lmtp", lmtp_folder);
    (void)snprintf(fixture.address, sizeof fixture.address, "lmtp:%s/lmtp", lmtp_folder);
    (void)close(fixture.listener);
    fixture.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture.listener, (struct sockaddr *)&lmtp_address, sizeof lmtp_address), 0);
    assert_int_equal(listen(fixture.listener, 4), 0);
}

static void remove_lmtp(void)
{
    (void)unlink(lmtp_address.sun_path);
    (void)rmdir(lmtp_folder);
}

static void lmtp_results_are_each_recipients_own(void **state)
{
    (void)state;
    listen_lmtp();
    struct test_letter *letter = add_letter("x\r\n");
    letter->recipients[2] = "e@f.example";
    letter->count = 3;
    add_letter("x\r\n");
    start();
    wait_for(accepted_connection);
    say("220 LMTP\r\n");
    hear("LHLO gw.example.org\r\n");
    say("250-x\r\n250 PIPELINING\r\n");
    hear("MAIL FROM:<u@vm.example.org>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT "
         "TO:<e@f.example>\r\nDATA\r\n");
    say("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n");
    hear("x\r\n.\r\n");
    say("250 stored\r\n");
    turn();
    say("452 4.2.2 mailbox full\r\n");
    results("a@b.example accepted 250 2.0.0 stored\nc@d.example permanent 550 5.0.0 no\n"
            "e@f.example temporary 452 4.2.2 mailbox full\n");
    hear("MAIL FROM:<u@vm.example.org>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    hear("x\r\n.\r\n");
    say("250 stored\r\n421 4.3.2 going down\r\n");
    results("a@b.example accepted 250 2.0.0 stored\nc@d.example temporary 421 4.3.2 going down\n");
    remove_lmtp();
}

/* A Unix socket shows how much the relay has: the end is said while part of the letter is still with the client. */
static void acceptance_before_the_end_was_sent_is_none(void **state)
{
    (void)state;
    static char content[4000000];
    listen_lmtp();
    for (size_t i = 0; i < sizeof content; i += 10)
        memcpy(content + i, "12345678\r\n", 10);
    add_letter("")->content = span_of(content, sizeof content);
    fixture.holds_pieces = true;
    fixture.piece = 1000;
    start();
    wait_for(accepted_connection);
    say("220 LMTP\r\n");
    hear("LHLO gw.example.org\r\n");
    say("250-x\r\n250 PIPELINING\r\n");
    hear("MAIL FROM:<u@vm.example.org>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    while (fixture.held == NULL)
        turn();
    uint64_t sent = 0;
    int relay_has = 0;
    while (sent == (uint64_t)relay_has && sent < sizeof content) {
        give_piece(fixture.held_slot, fixture.held, sent);
        sent += fixture.piece;
        assert_int_equal(ioctl(fixture.fd, FIONREAD, &relay_has), 0);
    }
    assert_true(sent > (uint64_t)relay_has);
    smtp_client_piece(fixture.client, fixture.held_slot, SPAN_EMPTY, NULL);
    say("250 2.0.0 have it\r\n250 2.0.0 have it\r\n");
    results("a@b.example temporary 0 4.5.0 the relay accepted what it had not seen the end of\n"
            "c@d.example temporary 0 4.5.0 the relay accepted what it had not seen the end of\n");
    remove_lmtp();
}

static void a_relay_that_goes_away(void **state)
{
    (void)state;
    static const struct {
        const char *replies; /* to the group */
        const char *after;   /* said after the dot; NULL: the group's answer was the last */
        const char *results;
    } cases[] = {
        { "", NULL,
          "a@b.example temporary 0 4.4.2 the relay closed the connection\n"
          "c@d.example temporary 0 4.4.2 the relay closed the connection\n" },
        { "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n", NULL,
          "a@b.example temporary 0 4.4.2 the relay closed the connection\n"
          "c@d.example permanent 550 5.1.1 no\n" },
        { "250 ok\r\n421 4.3.2 bye\r\n", NULL,
          "a@b.example temporary 421 4.3.2 bye\nc@d.example temporary 421 4.3.2 bye\n" },
        { "250 ok\r\nhello\r\n", NULL,
          "a@b.example temporary 0 4.5.0 the relay's answer cannot be understood\n"
          "c@d.example temporary 0 4.5.0 the relay's answer cannot be understood\n" },
        { "250 ok\r\n250 ok\r\n250 ok\r\n250 what\r\n", NULL,
          "a@b.example temporary 0 4.5.0 the relay's answer to DATA is against the protocol\n"
          "c@d.example temporary 0 4.5.0 the relay's answer to DATA is against the protocol\n" },
        { "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "",
          "a@b.example temporary 0 4.4.2 the relay closed the connection\n"
          "c@d.example temporary 0 4.4.2 the relay closed the connection\n" },
        { "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250-half an answer\r\n",
          "a@b.example temporary 0 4.4.2 the relay closed the connection\n"
          "c@d.example temporary 0 4.4.2 the relay closed the connection\n" },
        { "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 2.0.0 done\r\n",
          "a@b.example accepted 250 2.0.0 done\nc@d.example accepted 250 2.0.0 done\n" },
    };
    start();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture.given = 0;
        fixture.count = 0;
        add_letter("x\r\n");
        smtp_client_kick(fixture.client);
        greet(OFFER);
        hear(GROUP);
        if (cases[i].replies[0] != '\0')
            say(cases[i].replies);
        if (cases[i].after != NULL)
            hear("x\r\n.\r\n");
        if (cases[i].after != NULL && cases[i].after[0] != '\0')
            say(cases[i].after);
        (void)shutdown(fixture.fd, SHUT_WR);
        results(cases[i].results);
        close_relay();
    }
}

static void an_early_answer_is_the_last_word(void **state)
{
    (void)state;
    add_letter("first piece\r\nsecond piece\r\n");
    fixture.holds_pieces = true;
    fixture.piece = 13;
    start();
    greet(OFFER);
    hear("MAIL FROM:<u@vm.example.org> SIZE=27\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    while (fixture.held == NULL)
        turn();
    give_piece(0, fixture.held, 0);
    hear("first piece\r\n");
    say("552 5.3.4 too big\r\n");
    wait_for(client_closed);
    assert_int_equal(fixture.results.size, 0); /* a piece is owed: the letter is not the source's yet */
    give_piece(fixture.held_slot, fixture.held, fixture.held_offset);
    results("a@b.example permanent 552 5.3.4 too big\nc@d.example permanent 552 5.3.4 too big\n");
    close_relay();
    /* and 250 before the end is none */
    fixture.given = 0;
    fixture.held = NULL;
    smtp_client_kick(fixture.client);
    greet(OFFER);
    buf_clear(&fixture.heard);
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    while (fixture.held == NULL)
        turn();
    say("250 2.0.0 queued\r\n");
    wait_for(client_closed);
    give_piece(fixture.held_slot, fixture.held, fixture.held_offset);
    results("a@b.example temporary 0 4.5.0 the relay answered before the letter was sent\n"
            "c@d.example temporary 0 4.5.0 the relay answered before the letter was sent\n");
}

static void content_that_cannot_be_read_is_not_half_sent(void **state)
{
    (void)state;
    add_letter("first piece\r\nsecond piece\r\n")->unreadable = true;
    fixture.piece = 13;
    start();
    greet(OFFER);
    buf_clear(&fixture.heard);
    hear("MAIL FROM:<u@vm.example.org> SIZE=27\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    results("a@b.example temporary 0 4.3.0 the disk is gone\nc@d.example temporary 0 4.3.0 the disk is gone\n");
    hear("first piece\r\n"); /* and no dot */
    assert_true(client_closed());
}

static bool asked_twice(void)
{
    return fixture.asked >= 2;
}

static void a_dead_kept_connection_costs_nothing(void **state)
{
    (void)state;
    add_letter("x\r\n");
    start();
    greet(OFFER);
    hear(GROUP);
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    hear("x\r\n.\r\n");
    say("250 ok\r\n");
    wait_for(asked_twice);
    results("a@b.example accepted 250 2.0.0 ok\nc@d.example accepted 250 2.0.0 ok\n");
    add_letter("x\r\n");
    smtp_client_kick(fixture.client);
    hear(GROUP);
    close_relay(); /* it had gone before it saw the letter */
    greet(OFFER);
    hear(GROUP);
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    hear("x\r\n.\r\n");
    say("250 ok\r\n");
    results("a@b.example accepted 250 2.0.0 ok\nc@d.example accepted 250 2.0.0 ok\n");
}

static bool is_down(void)
{
    struct smtp_client_figures figures;
    smtp_client_figures(fixture.client, &figures);
    return figures.relay_down && figures.next_try_us != 0;
}

static void nothing_is_asked_for_while_the_relay_is_down(void **state)
{
    (void)state;
    add_letter("x\r\n");
    (void)close(fixture.listener);
    fixture.listener = -1;
    start();
    wait_for(is_down);
    smtp_client_kick(fixture.client);
    struct smtp_client_figures figures;
    smtp_client_figures(fixture.client, &figures);
    assert_non_null(strstr(figures.last_error, "cannot connect to 127.0.0.1:"));
    assert_non_null(strstr(figures.last_error, "Connection refused"));
    assert_int_equal(fixture.asked, 0);
    uint16_t port = (uint16_t)strtoul(strchr(fixture.address, ':') + 1, NULL, 10);
    fixture.listener = listen_somewhere(port);
    wait_for(accepted_connection); /* by itself */
    say("554 5.3.2 not today\r\n");
    wait_for(is_down);
    assert_int_equal(fixture.asked, 0);
    close_relay();
    greet(OFFER);
    hear(GROUP);
    assert_int_equal(fixture.asked, 1);
    smtp_client_figures(fixture.client, &figures);
    assert_false(figures.relay_down);
    assert_int_equal(figures.connected, 1);
}

static void time_outs_are_temporary(void **state)
{
    (void)state;
    add_letter("x\r\n");
    fixture.options.reply_us = 20000;
    start();
    greet(OFFER);
    hear(GROUP);
    results("a@b.example temporary 0 4.4.2 the relay did not answer in time\n"
            "c@d.example temporary 0 4.4.2 the relay did not answer in time\n");
}

static void idle_connections_end_with_quit(void **state)
{
    (void)state;
    fixture.options.keep_us = 1000;
    start();
    greet(OFFER);
    hear("QUIT\r\n");
    say("221 bye\r\n");
    wait_for(client_closed);
}

/* Else the letter waits until the next start: nobody kicks a second time. */
static void a_letter_that_comes_during_quit_is_sent(void **state)
{
    (void)state;
    fixture.options.keep_us = 1000;
    fixture.options.connections = 1;
    start();
    greet(OFFER);
    hear("QUIT\r\n");
    add_letter("x\r\n");
    smtp_client_kick(fixture.client);
    say("221 bye\r\n");
    wait_for(client_closed);
    close_relay();
    greet(OFFER);
    hear(GROUP);
}

static bool drained_flag;

static void on_drained(void *arg)
{
    (void)arg;
    drained_flag = true;
}

static bool is_drained(void)
{
    return drained_flag;
}

static void draining(void **state)
{
    (void)state;
    add_letter("x\r\n");
    add_letter("y\r\n");
    start();
    greet(OFFER);
    hear(GROUP);
    drained_flag = false;
    smtp_client_drain(fixture.client, CLOCK_MINUTE, on_drained, NULL);
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    hear("x\r\n.\r\n");
    say("250 ok\r\n");
    results("a@b.example accepted 250 2.0.0 ok\nc@d.example accepted 250 2.0.0 ok\n");
    hear("QUIT\r\n");
    assert_false(drained_flag);
    say("221 bye\r\n");
    wait_for(is_drained);
    assert_int_equal(fixture.asked, 1);
}

static void draining_breaks_off_in_the_end(void **state)
{
    (void)state;
    add_letter("x\r\n");
    start();
    greet(OFFER);
    hear(GROUP);
    drained_flag = false;
    fixture.holds_settled = true;
    smtp_client_drain(fixture.client, 1000, on_drained, NULL);
    results("a@b.example temporary 0 4.3.2 this connector is stopping\n"
            "c@d.example temporary 0 4.3.2 this connector is stopping\n");
    turn();
    assert_false(drained_flag); /* the source has not settled it */
    smtp_client_settled(fixture.client, fixture.held_slot);
    wait_for(is_drained);
}

static void addresses_cannot_carry_commands(void **state)
{
    (void)state;
    struct test_letter *letter = add_letter("x\r\n");
    letter->recipients[0] = "a@b.example>\r\nRCPT TO:<x@y.example";
    add_letter("x\r\n")->sender = "a\n@b";
    start();
    greet(OFFER);
    hear("MAIL FROM:<u@vm.example.org> SIZE=3\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    say("250 ok\r\n250 ok\r\n354 go\r\n");
    hear("x\r\n.\r\n");
    fixture.holds_settled = true;
    say("250 ok\r\n");
    while (fixture.results.size == 0)
        turn();
    buf_add_u8(&fixture.results, 0);
    assert_non_null(
        strstr((char *)fixture.results.at, "permanent 553 5.1.3 the recipient's address holds a character"));
    assert_non_null(strstr((char *)fixture.results.at, "c@d.example accepted 250 2.0.0 ok\n"));
    buf_clear(&fixture.results);
    smtp_client_settled(fixture.client, fixture.held_slot);
    wait_for(got_result);
    buf_add_u8(&fixture.results, 0);
    assert_non_null(strstr((char *)fixture.results.at, "permanent 553 5.1.3 the sender's address holds a character"));
}

/* --- against our own server --- */

static struct memory_sink sink;

static bool all_done(void)
{
    struct smtp_client_figures figures;
    smtp_client_figures(fixture.client, &figures);
    return figures.accepted + figures.deferred + figures.refused == 2 * fixture.count;
}

static void our_server_takes_what_our_client_sends(void **state)
{
    (void)state;
    static char contents[4][300000];
    struct smtp_server *server;
    struct smtp_server_options options = { .listen = "127.0.0.1:0", .host_name = "gw", .max_size = 290000 };
    struct err err = ERR_CLEAR;
    memory_sink_init(&sink);
    assert_int_equal(smtp_server_new(fixture.loop, &options, &sink.calls, &server, &err), 0);
    (void)snprintf(fixture.address, sizeof fixture.address, "127.0.0.1:%u", smtp_server_port(server, 0));
    fixture.options.connections = 2;
    fixture.piece = 70000;
    for (size_t i = 0; i < 4; i++) {
        size_t size = 0;
        for (unsigned line = 0; size < 70000 * i + 200; line++)
            size += (size_t)snprintf(contents[i] + size, sizeof contents[i] - size, "%s%u\r\n",
                                     line % 3 == 0 ? "." : "", line);
        add_letter(contents[i]);
    }
    add_letter("too big\r\n")->content = (struct span){ (const uint8_t *)contents[3], 299000 };
    start();
    wait_for(all_done);
    struct smtp_client_figures figures;
    smtp_client_figures(fixture.client, &figures);
    assert_int_equal(figures.accepted, 8);
    assert_int_equal(figures.refused, 2);
    for (size_t i = 0; i < sink.count; i++) {
        struct buf *got = &sink.letters[i].content;
        bool same = false;
        for (size_t k = 0; k < 4; k++) {
            size_t size = strlen(contents[k]);
            same = same || (got->size > size && memcmp(got->at + got->size - size, contents[k], size) == 0);
        }
        assert_true(same || !sink.letters[i].committed);
    }
    smtp_client_free(fixture.client);
    fixture.client = NULL;
    smtp_server_free(server);
    memory_sink_clear(&sink);
}

#ifdef OVVM_FAULTS

static bool all_have_results(void)
{
    size_t lines = 0;
    for (size_t i = 0; i < fixture.results.size; i++)
        lines += fixture.results.at[i] == '\n';
    return fixture.results.failed || lines == 2 * fixture.count;
}

/* In a child process whose nth allocation fails: 0 where what the client was told is what the sink has. */
static int run_without_memory(void)
{
    static const char content[] = "Subject: x\r\n\r\n.a\r\nb\r\n";
    struct smtp_server *server = NULL;
    struct smtp_server_options options = { .listen = "127.0.0.1:0", .host_name = "gw" };
    struct err err = ERR_CLEAR;
    memory_sink_init(&sink);
    fixture.loop = loop_new();
    if (fixture.loop == NULL)
        return 0;
    if (smtp_server_new(fixture.loop, &options, &sink.calls, &server, &err) == -1)
        return err.id == ERR_NO_MEMORY ? 0 : 1;
    (void)snprintf(fixture.address, sizeof fixture.address, "127.0.0.1:%u", smtp_server_port(server, 0));
    fixture.options.relay = fixture.address;
    fixture.count = 0;
    add_letter(content);
    add_letter(content);
    if (smtp_client_new(fixture.loop, &fixture.options, &source, &fixture.client, &err) == -1)
        return err.id == ERR_NO_MEMORY ? 0 : 2;
    int64_t limit = clock_steady() + WAIT_S * CLOCK_SECOND;
    while (!all_have_results() && clock_steady() < limit)
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE);
    if (!all_have_results())
        return 3;
    struct smtp_client_figures figures;
    smtp_client_figures(fixture.client, &figures);
    size_t kept = 0;
    for (size_t i = 0; i < sink.count; i++) {
        const struct buf *got = &sink.letters[i].content;
        if (!sink.letters[i].committed)
            continue;
        if (got->size < sizeof content ||
            memcmp(got->at + got->size - (sizeof content - 1), content, sizeof content - 1) != 0)
            return 4;
        kept++;
    }
    if (figures.refused != 0 || figures.accepted > 2 * kept)
        return 5;
    smtp_client_free(fixture.client);
    smtp_server_free(server);
    memory_sink_clear(&sink);
    loop_free(fixture.loop);
    buf_free(&fixture.results);
    return 0;
}

static void memory_that_ends_loses_nothing(void **state)
{
    (void)state;
    for (int call = 1; call <= 80; call++) {
        pid_t child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0) {
            char fault[32];
            (void)snprintf(fault, sizeof fault, "alloc:%d", call);
            (void)setenv("OVVM_FAULT", fault, 1);
            fault_init();
            _exit(run_without_memory());
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("without allocation %d: status %#x", call, (unsigned)status);
    }
}

#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pipelined_letter),
        TEST(one_command_at_a_time),
        TEST(a_group_that_is_refused),
        TEST(lmtp_results_are_each_recipients_own),
        TEST(acceptance_before_the_end_was_sent_is_none),
        TEST(a_relay_that_goes_away),
        TEST(an_early_answer_is_the_last_word),
        TEST(content_that_cannot_be_read_is_not_half_sent),
        TEST(a_dead_kept_connection_costs_nothing),
        TEST(nothing_is_asked_for_while_the_relay_is_down),
        TEST(time_outs_are_temporary),
        TEST(idle_connections_end_with_quit),
        TEST(a_letter_that_comes_during_quit_is_sent),
        TEST(draining),
        TEST(draining_breaks_off_in_the_end),
        TEST(addresses_cannot_carry_commands),
        TEST(our_server_takes_what_our_client_sends),
#ifdef OVVM_FAULTS
        TEST(memory_that_ends_loses_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
