/* The connection. What is lost when these fail: the link to a neighbour, or its node name to an impostor. The neighbour
 * is scripted byte for byte. */
#include "base/log.h"
#include "nje/link_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void down_with(struct rig *rig, const char *says)
{
    rig_wait(rig, rig->closed);
    if (strstr(rig_last_error(rig), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", rig_last_error(rig), says);
    rig_sign_on(rig); /* and comes back by itself */
}

static void broken_frames_end_the_connection_which_comes_back(void **state)
{
    struct rig *rig = *state;
    rig_say(rig, SPAN_LITERAL("\0\0\xFF\xFF\0\0\0\0\0\0\0\0"));
    down_with(rig, "TTB with length 65535");
    rig_say(rig, SPAN_LITERAL("\0\0\0\x04\0\0\0\0\0\0\0\0"));
    down_with(rig, "TTB with length 4");
    rig_say_payload(rig, SPAN_LITERAL("\xC1\xC2\xC3"));
    down_with(rig, "X'C1C2C3'");
    rig_say_records(rig, "\x99\x80\xC1\x50\x00");
    down_with(rig, "not started");
    rig_say_records(rig, "\x77\x80\x00");
    down_with(rig, "RCB X'77'");
    rig_say_records(rig, "\x9A\x80\x3F\x00");
    down_with(rig, "SCB X'3F'");
    rig_say_payload(rig, SPAN_LITERAL("\x01\x2D\xFF"));
    down_with(rig, "restarted");
    rig_say_records(rig, "\xE0\x85\x00");
    down_with(rig, "X'85'");
    rig_hang_up(rig);
    rig_sign_on(rig);
}

static void a_lost_buffer_is_told(void **state)
{
    struct rig *rig = *state;
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x85\x8F\xCF\x00"));
    rig_expect_bytes(rig, "\x10\x02\x95\x8F\xCF\xE0\x80\x00\x00"); /* 5 received, 0 expected */
    down_with(rig, "BCB");
}

static void null_buffers_count_and_are_never_answered(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 20; i++)
        rig_say_records(rig, "");
    rig_say(rig, SPAN_LITERAL("\0\0\0\x0C\0\0\0\0\0\0\0\0"));                  /* an empty block */
    rig_say_buffer(rig, SPAN_LITERAL("\xF0\xD3\x09\xFF\xFF\xFF\xFF\x00\xC8")); /* L, as NJElib sends it */
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
}

static void a_sign_off_is_no_failure(void **state)
{
    struct rig *rig = *state;
    rig_say_buffer(rig, SPAN_LITERAL("\xF0\xC2\xFF")); /* as UnixNJE sends it */
    rig_wait(rig, rig->closed);
    assert_string_equal(rig_last_error(rig), "");
    rig_sign_on(rig);
    assert_int_equal(rig->state_changes, 3); /* up, down, up */
}

static void drained(void *arg)
{
    ((struct rig *)arg)->drained = true;
}

static void draining_waits_and_signs_off(void **state)
{
    struct rig *rig = *state;
    rig->hold_commit = true;
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    rig_say_file(rig, 1, true);
    rig_wait(rig, rig->committed == 1);
    nje_link_drain(rig->link, 5 * 1000 * 1000, drained, rig);
    assert_int_equal(rig_state(rig), NJE_LINK_DRAINING);
    rig->in[0].open = false;
    nje_link_committed(rig->link, 1, NULL);
    rig_expect_record(rig, NJE_RCB_COMPLETE, 0x99);
    struct span off = rig_hear_payload(rig);
    assert_true(span_equal(span_slice(off, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\xF0\xC2\x00")));
    rig_wait(rig, rig->drained && rig->closed);
    assert_int_equal(rig_state(rig), NJE_LINK_STOPPED);
    nje_link_start(rig->link);
    rig_sign_on(rig);
}

static void naks_and_names_say_what_the_other_side_must_define(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    options.send_line_password = "OURS";
    options.expect_line_password = "THEIRS";
    rig_link(rig, &options);
    rig_accept(rig);
    (void)rig_hear_control(rig);
    rig_say_control(rig, NJE_NAK, "NODEA", "NODEB", NJE_NAK_NO_LINK);
    rig_wait(rig, rig->closed);
    assert_non_null(strstr(rig_last_error(rig), "it must have a link NODEB, and NODEA as its own node name"));
    rig_accept(rig);
    (void)rig_hear_control(rig);
    rig_say_control(rig, NJE_ACK, "OTHER", "NODEB", 0);
    rig_wait(rig, rig->closed);
    assert_non_null(strstr(rig_last_error(rig), "\"OTHER\""));
    rig_accept(rig);
    (void)rig_hear_control(rig);
    rig_say_control(rig, NJE_ACK, "NODEA", "NODEB", 0);
    (void)rig_hear_payload(rig);
    rig_say_payload(rig, SPAN_LITERAL("\x10\x70\xFF"));
    struct span initial = rig_hear_payload(rig);
    assert_true(
        span_equal(span_slice(initial, NJE_BUFFER_HEAD + 20, 8), SPAN_LITERAL("\xD6\xE4\xD9\xE2\x40\x40\x40\x40")));
    rig_say_signon(rig, NJE_RESPONSE, "NODEA", 1024, "WRONG");
    struct span off = rig_hear_payload(rig);
    assert_true(span_equal(span_slice(off, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\xF0\xC2\x00")));
    rig_wait(rig, rig->closed);
    assert_non_null(strstr(rig_last_error(rig), "line password"));
    assert_null(strstr(rig_last_error(rig), "THEIRS"));
    assert_null(strstr(rig_last_error(rig), "WRONG"));
}

static void listening_links(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.1";
    rig_link(rig, &options);
    /* names nobody has: NAK 1, names swapped */
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEX", "NODEB", 0);
    struct nje_control nak = rig_hear_control(rig);
    assert_int_equal(nak.type, NJE_NAK);
    assert_int_equal(nak.reason, NJE_NAK_NO_LINK);
    assert_string_equal(nak.rhost.text, "NODEB");
    assert_string_equal(nak.ohost.text, "NODEX");
    rig_wait(rig, rig->closed);
    /* TLS where there is none: NAK 4 */
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN_SSL, "NODEA", "NODEB", 0);
    assert_int_equal(rig_hear_control(rig).reason, NJE_NAK_TEMPORARY);
    rig_dial_sign_on(rig);
    /* the opener wishes to be secondary */
    rig_hang_up(rig);
    rig_wait(rig, rig_state(rig) == NJE_LINK_WAITING);
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEA", "NODEB", 0);
    (void)rig_hear_control(rig);
    rig_say_payload(rig, SPAN_LITERAL("\x32\x3D"));
    rig_expect_bytes(rig, "\x01\x2D");
    rig_say_payload(rig, SPAN_LITERAL("\x10\x70"));
    assert_int_equal(rig_hear_payload(rig).at[NJE_BUFFER_HEAD + 1], NJE_INITIAL);
    rig_say_signon(rig, NJE_RESPONSE, "NODEA", 1024, NULL);
    rig_expect_bytes(rig, "\x10\x70");
}

static void strangers_get_nothing(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "192.0.2.1";
    rig_link(rig, &options);
    rig_dial(rig);
    rig_wait(rig, rig->closed);
    assert_int_equal(rig->got.size, 0);
}

static void links_may_share_an_address(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.0/8";
    rig_link(rig, &options);
    struct nje_link *first = rig->link;
    (void)name8_parse(SPAN_LITERAL("NODEC"), "node", &options.node, NULL);
    rig_link(rig, &options);
    struct nje_link_figures a, b;
    nje_link_figures(first, &a);
    nje_link_figures(rig->link, &b);
    assert_string_equal(a.listening, b.listening);
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEC", "NODEB", 0);
    assert_int_equal(rig_hear_control(rig).type, NJE_ACK);
    rig_wait(rig, rig_state(rig) == NJE_LINK_SIGNING_ON);
    nje_link_figures(first, &a);
    assert_int_equal(a.state, NJE_LINK_WAITING);
    nje_link_free(first);
}

static void a_restarted_neighbour_takes_its_link_back(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.1";
    rig_link(rig, &options);
    rig_dial_sign_on(rig);
    /* the old connection stays open: only the new sign-on ends it */
    int old = rig->fd;
    rig->fd = -1;
    struct nje_link_figures before, after;
    nje_link_figures(rig->link, &before);
    rig_dial_sign_on(rig);
    rig_wait(rig, rig->state_changes == 3);
    nje_link_figures(rig->link, &after);
    assert_string_not_equal(before.peer, after.peer);
    uint8_t byte;
    assert_int_equal(recv(old, &byte, 1, MSG_DONTWAIT), 0);
    (void)close(old);
}

/* --- taking over --- */

static void listen_for(struct rig *rig, const char *allow)
{
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = allow;
    options.times.probe_us = 300 * 1000;
    rig_link(rig, &options);
}

static void peer_of(const struct rig *rig, char *peer_r)
{
    struct nje_link_figures figures;
    nje_link_figures(rig->link, &figures);
    memcpy(peer_r, figures.peer, sizeof figures.peer);
}

/* The session that has the link lives: an impostor gets B where J is due, the third one NAK 2. */
static void a_living_session_is_not_replaced_from_elsewhere(void **state)
{
    struct rig *rig = *state;
    char holder[64], now[64];
    listen_for(rig, "127.0.0.0/8");
    rig->from = "127.0.0.2";
    rig_dial_sign_on(rig);
    peer_of(rig, holder);
    int held = rig->fd;
    rig->from = "127.0.0.3";
    for (int i = 0; i < 3; i++) {
        rig->fd = -1;
        if (i > 0)
            rig_hang_up(rig);
        rig_dial_open(rig);
        struct span off = rig_hear_payload(rig);
        assert_true(span_equal(span_slice(off, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\xF0\xC2\x00")));
        rig_wait(rig, rig->closed);
        peer_of(rig, now);
        assert_string_equal(holder, now);
    }
    assert_non_null(strstr(rig_last_error(rig), "another system signs on as NODEA"));
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEA", "NODEB", 0);
    struct nje_control nak = rig_hear_control(rig);
    assert_int_equal(nak.type, NJE_NAK);
    assert_int_equal(nak.reason, NJE_NAK_ACTIVE);
    assert_int_equal(rig->state_changes, 1); /* all the while the link was up */
    rig->from = "127.0.0.2";                 /* the holder may come back */
    rig_dial_sign_on(rig);
    rig_wait(rig, rig->state_changes == 3);
    (void)close(held);
}

static void a_dead_session_makes_room(void **state)
{
    struct rig *rig = *state;
    char holder[64], now[64];
    listen_for(rig, "127.0.0.0/8");
    rig->from = "127.0.0.2";
    rig_dial_sign_on(rig);
    peer_of(rig, holder);
    int dead = rig->fd;
    rig_say_records(rig, ""); /* TCP's acknowledgement of our J goes with it, not later */
    rig_go_dead(rig, dead);
    event_free(rig->readable);
    rig->readable = NULL;
    rig->fd = -1;
    rig->from = "127.0.0.3"; /* the neighbour after it moved */
    rig_dial_sign_on(rig);
    rig_wait(rig, rig->state_changes == 3);
    peer_of(rig, now);
    assert_string_not_equal(holder, now);
    (void)close(dead);
}

static void both_dial_at_once(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    options.listen = "127.0.0.1:0";
    rig_link(rig, &options);
    rig_accept(rig);
    assert_int_equal(rig_hear_control(rig).type, NJE_OPEN);
    /* instead of an ACK the neighbour opens a connection of its own */
    int ours = rig->fd;
    rig->fd = -1;
    rig_dial_sign_on(rig);
    uint8_t byte;
    assert_int_equal(recv(ours, &byte, 1, MSG_DONTWAIT), 0); /* our attempt is closed */
    (void)close(ours);
}

static void idle_links_are_probed(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    options.idle_probe_us = 20 * 1000;
    rig_link(rig, &options);
    rig_sign_on(rig);
    assert_int_equal(rig_hear_payload(rig).size, 0); /* an empty block */
}

static void silence_in_the_hand_shake_ends(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    options.record_us = options.signon_us = 20 * 1000;
    rig_link(rig, &options);
    rig_accept(rig);
    rig_wait(rig, rig->closed);
    assert_non_null(strstr(rig_last_error(rig), "no answer in time"));
    rig_accept(rig);
    (void)rig_hear_control(rig);
    rig_say_control(rig, NJE_ACK, "NODEA", "NODEB", 0);
    rig_wait(rig, rig->closed);
}

static void links_that_cannot_work_are_refused(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *connect, *listen, *allow, *rip, *password;
        unsigned buffer, streams;
        const char *says;
    } cases[] = {
        { .says = "connect, listen or both" },
        { .listen = "127.0.0.1:0", .says = "set allow" },
        { .connect = "127.0.0.1", .says = "host:port" },
        { .connect = "127.0.0.1:1", .allow = "nonsense", .says = "is no address" },
        { .connect = "127.0.0.1:1", .rip = "::1", .says = "no IPv4 address" },
        { .connect = "127.0.0.1:1", .password = "much too long", .says = "line password" },
        { .connect = "127.0.0.1:1", .buffer = 32768, .says = "buffer 32768" },
        { .connect = "127.0.0.1:1", .streams = 8, .says = "streams 8" },
        { .listen = "localhost:0", .allow = "::1", .says = "as a number" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nje_link_options options = rig_options();
        struct err err = ERR_CLEAR;
        options.connect = cases[i].connect;
        options.listen = cases[i].listen;
        options.allow = cases[i].allow;
        options.rip = cases[i].rip != NULL ? cases[i].rip : options.rip;
        options.send_line_password = cases[i].password;
        options.buffer = cases[i].buffer;
        options.streams = cases[i].streams;
        assert_null(nje_link_new(rig->loop, &options, &rig->spool, &err));
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
    }
}

/* --- nje.md §4: buffers --- */

static void copies_of_a_buffer_are_taken_once(void **state)
{
    struct rig *rig = *state;
    struct span request = SPAN_LITERAL("\x10\x02\x80\x8F\xCF\x90\x99\x00\x00");
    rig_say_payload(rig, request);
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    for (int i = 0; i < NJE_BCB_DUPLICATES_MAX; i++)
        rig_say_payload(rig, request); /* else it would be a second request, and answered B0 */
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x90\x8F\xCF\x90\xA9\x00\x00")); /* bypass: not counted, taken */
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\xA7\x8F\xCF\x00"));             /* reset: 7 is next */
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x87\x8F\xCF\x99\x80\x00\x00")); /* stream 1 is given up */
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0xA9);                           /* so stream 2 has its turn */
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x8F\x8F\xCF\x00"));
    rig_expect_bytes(rig, "\x10\x02\x9F\x8F\xCF\xE0\x88\x00\x00");
    down_with(rig, "BCB");
}

static void wait_a_bit_for_ever_ends(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    options.times.hold_us = 30 * 1000;
    rig_link(rig, &options);
    rig_sign_on(rig);
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x80\xCF\xCF\x90\x99\x00\x00")); /* asks, and lets us answer nothing */
    down_with(rig, "wait-a-bit");
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x80\xCF\xCF\x90\x99\x00\x00"));
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\x81\x8F\xCF\x00")); /* now in time */
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
}

int main(void)
{
    log_set_level(LOG_NJE, LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        rig_test_up(broken_frames_end_the_connection_which_comes_back),
        rig_test_up(a_lost_buffer_is_told),
        rig_test_up(null_buffers_count_and_are_never_answered),
        rig_test_up(a_sign_off_is_no_failure),
        rig_test_up(draining_waits_and_signs_off),
        rig_test(naks_and_names_say_what_the_other_side_must_define),
        rig_test(listening_links),
        rig_test(strangers_get_nothing),
        rig_test(links_may_share_an_address),
        rig_test(a_restarted_neighbour_takes_its_link_back),
        rig_test(a_living_session_is_not_replaced_from_elsewhere),
        rig_test(a_dead_session_makes_room),
        rig_test(both_dial_at_once),
        rig_test_up(copies_of_a_buffer_are_taken_once),
        rig_test(wait_a_bit_for_ever_ends),
        rig_test(idle_links_are_probed),
        rig_test(silence_in_the_hand_shake_ends),
        rig_test(links_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
