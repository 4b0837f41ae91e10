/* Opening and sign-on, as other NJE programs do them. What is lost when these fail: the link to such a neighbour, or
 * the words that say what its definition must be. The neighbour is scripted byte for byte. */
#include "base/clock.h"
#include "base/log.h"
#include "nje/link_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* --- nje.md §1 to §3: the records and the hand-shake, as others send them --- */

static void dial(struct rig *rig)
{
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    rig_link(rig, &options);
}

/* nje.md §1.4: each reason of a NAK is said, and the link tries again; after "I am dialling you" not at once. */
static void each_nak_is_understood(void **state)
{
    struct rig *rig = *state;
    static const struct {
        uint8_t reason;
        const char *says;
    } naks[] = { { NJE_NAK_NO_LINK, "knows no such link" },
                 { NJE_NAK_ACTIVE, "holds the link for active" },
                 { NJE_NAK_TEMPORARY, "unknown node" },
                 { 9, "a reason we do not know" },
                 { NJE_NAK_COLLISION, "dialling us itself" } };
    dial(rig);
    struct nje_link_figures figures;
    for (size_t i = 0; i < sizeof naks / sizeof naks[0]; i++) {
        rig_accept(rig);
        (void)rig_hear_control(rig);
        rig_say_control(rig, NJE_NAK, "NODEA", "NODEB", naks[i].reason);
        rig_wait(rig, rig->closed);
        if (strstr(rig_last_error(rig), naks[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", rig_last_error(rig), naks[i].says);
    }
    nje_link_figures(rig->link, &figures);
    assert_true(figures.next_dial_us > clock_now() + 2 * CLOCK_SECOND); /* of the at least 3 s after NAK 3 */
}

/* nje.md §1.2: some senders pad the 33 bytes to 36. */
static void records_padded_to_36_bytes(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    options.listen = "127.0.0.1:0";
    rig_link(rig, &options);
    rig_accept(rig);
    (void)rig_hear_control(rig);
    rig_say_control(rig, NJE_ACK, "NODEA", "NODEB", 0);
    rig_say(rig, SPAN_LITERAL("\0\0\0"));
    rig_expect_bytes(rig, "\x01\x2D");
    rig_say_payload(rig, SPAN_LITERAL("\x10\x70"));
    assert_int_equal(rig_hear_payload(rig).at[NJE_BUFFER_HEAD + 1], NJE_INITIAL);
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEA", "NODEB", 0);
    rig_say(rig, SPAN_LITERAL("\0\0\0"));
    assert_int_equal(rig_hear_control(rig).type, NJE_ACK);
    rig_say_payload(rig, SPAN_LITERAL("\x01\x2D\xFF")); /* and UnixNJE's three-byte ENQ */
    rig_expect_bytes(rig, "\x10\x70");
}

/* nje.md §1.2: JES2 compares names and addresses with its own and closes without a word. */
static void a_close_in_answer_to_open_says_what_we_said(void **state)
{
    struct rig *rig = *state;
    dial(rig);
    rig_accept(rig);
    struct nje_control open = rig_hear_control(rig);
    assert_memory_equal(open.rip, "\x7F\0\1\2", 4); /* the overrides of rig_options */
    assert_memory_equal(open.oip, "\x7F\0\1\1", 4);
    rig_hang_up(rig);
    rig_wait(rig, rig_state(rig) == NJE_LINK_WAITING);
    assert_non_null(strstr(rig_last_error(rig), "we are NODEB at 127.0.1.2 (RIP), it is NODEA at 127.0.1.1 (OIP)"));
}

/* nje.md §1.5: two nodes that dial each other at the same moment come together all the same. */
static void two_of_us_that_both_dial(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    struct nje_link_figures figures;
    char theirs[80];
    options.listen = "127.0.0.1:0";
    options.connect = rig->address; /* never accepted here */
    rig_link(rig, &options);
    struct nje_link *ours = rig->link;
    nje_link_figures(ours, &figures);
    (void)snprintf(theirs, sizeof theirs, "%s", figures.listening);
    struct nje_link_options other = rig_options();
    other.our_node = options.node;
    other.node = options.our_node;
    other.connect = theirs;
    rig_link(rig, &other);
    rig_wait(rig, rig_state(rig) == NJE_LINK_UP);
    struct nje_link *others = rig->link;
    rig->link = ours;
    rig_wait(rig, rig_state(rig) == NJE_LINK_UP);
    nje_link_free(others);
    rig_wait(rig, rig_state(rig) != NJE_LINK_UP);
}

/* --- sign-on, nje.md §5.1 --- */

static void sign_on_as(struct rig *rig, const struct nje_signon *signon)
{
    struct buf payload = { 0 };
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEA", "NODEB", 0);
    (void)rig_hear_control(rig);
    rig_say_payload(rig, nje_soh_enq);
    rig_expect(rig, nje_ack0);
    nje_buffer_head(&payload, NJE_BCB_RESET);
    nje_signon_encode(&payload, signon);
    rig_say_payload(rig, buf_span(&payload));
    buf_free(&payload);
}

static struct name8 named(const char *text)
{
    struct name8 name = { .text = "" };
    if (text != NULL)
        assert_int_equal(name8_parse(span_text(text), "name", &name, NULL), 0);
    return name;
}

static void passwords_are_sent_and_asked_for(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *line, *node;
        const char *says; /* NULL: it comes up */
    } cases[] = { { "LINETHEM", "NODETHEM", NULL },
                  { NULL, "NODETHEM", "sent no line password" },
                  { "OTHER", "NODETHEM", "sent a line password and we expect another one" },
                  { "LINETHEM", NULL, "sent no node password" },
                  { "LINETHEM", "OTHER", "TNPASS, JES2 PASSWORD=(SEND=)" } };
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.1";
    options.send_line_password = "LINEUS";
    options.expect_line_password = "LINETHEM";
    options.send_node_password = "NODEUS";
    options.expect_node_password = "NODETHEM";
    rig_link(rig, &options);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nje_signon signon = { .node = named("NODEA"), .buffer = 1024 };
        signon.line_password = named(cases[i].line);
        signon.node_password = named(cases[i].node);
        sign_on_as(rig, &signon);
        struct span answer = rig_hear_payload(rig);
        if (cases[i].says == NULL) {
            static const uint8_t passwords[] = { 0xD3, 0xC9, 0xD5, 0xC5, 0xE4, 0xE2, 0x40, 0x40,
                                                 0xD5, 0xD6, 0xC4, 0xC5, 0xE4, 0xE2, 0x40, 0x40 };
            assert_int_equal(answer.at[NJE_BUFFER_HEAD + 1], NJE_RESPONSE);
            assert_memory_equal(answer.at + NJE_BUFFER_HEAD + 20, passwords, sizeof passwords); /* LPAS, NPAS */
            rig_hang_up(rig);
            rig_wait(rig, rig_state(rig) == NJE_LINK_WAITING);
            continue;
        }
        assert_true(span_equal(span_slice(answer, NJE_BUFFER_HEAD, 99), SPAN_LITERAL("\xF0\xC2\x00")));
        rig_wait(rig, rig->closed);
        if (strstr(rig_last_error(rig), cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", rig_last_error(rig), cases[i].says);
    }
}

/* RSCS: 300 to 32765 (NJ-04); we never offer 32768 or more, and take what is offered as unsigned (NJElib's X'8000'). */
static void the_smaller_buffer_counts(void **state)
{
    struct rig *rig = *state;
    static const struct {
        unsigned ours, theirs, agreed; /* 0: refused */
    } cases[] = { { 32765, 0x8000, 32765 }, { 32765, 0xFFFF, 32765 }, { 32765, 3072, 3072 },
                  { 1024, 300, 300 },       { 1024, 299, 0 },         { 300, 4096, 300 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nje_link_options options = rig_options();
        struct nje_link_figures figures;
        options.kind = NJE_RSCS;
        options.buffer = cases[i].ours;
        options.listen = "127.0.0.1:0";
        options.allow = "127.0.0.1";
        rig_link(rig, &options);
        struct nje_signon signon = { .node = named("NODEA"), .buffer = (uint16_t)cases[i].theirs };
        sign_on_as(rig, &signon);
        struct span answer = rig_hear_payload(rig);
        if (cases[i].agreed != 0) {
            rig_wait(rig, rig_state(rig) == NJE_LINK_UP);
            assert_int_equal(answer.at[NJE_BUFFER_HEAD + 18] << 8 | answer.at[NJE_BUFFER_HEAD + 19], cases[i].agreed);
            nje_link_figures(rig->link, &figures);
            assert_int_equal(figures.buffer, cases[i].agreed);
        } else {
            assert_int_equal(answer.at[NJE_BUFFER_HEAD + 1], NJE_SIGN_OFF);
            assert_non_null(strstr(rig_last_error(rig), "wants buffers of 299 bytes"));
        }
        rig_hang_up(rig);
        nje_link_free(rig->link);
        rig->link = NULL;
    }
}

/* NCCIDL X'25': the record ends behind NCCIFLG. */
static void a_sign_on_of_37_bytes(void **state)
{
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.listen = "127.0.0.1:0";
    options.allow = "127.0.0.1";
    rig_link(rig, &options);
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEA", "NODEB", 0);
    (void)rig_hear_control(rig);
    rig_say_payload(rig, nje_soh_enq);
    rig_expect(rig, nje_ack0);
    rig_say_payload(rig, SPAN_LITERAL("\x10\x02\xA0\x8F\xCF\xF0\xC9\x25\xD5\xD6\xC4\xC5\xC1\x40\x40\x40\x01\0\0\0\0"
                                      "\0\0\x04\x00\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40"
                                      "\x00"));
    struct span answer = rig_hear_payload(rig);
    assert_int_equal(answer.size, NJE_BUFFER_HEAD + 41);
    assert_int_equal(answer.at[NJE_BUFFER_HEAD + 2], 0x29);
    assert_int_equal(answer.at[NJE_BUFFER_HEAD + 37], 0); /* I had no features */
    rig_wait(rig, rig_state(rig) == NJE_LINK_UP);
}

/* nje.md §5.2: the path manager's records of JES2 change nothing. */
static void path_manager_records_are_ignored(void **state)
{
    struct rig *rig = *state;
    rig_say_buffer(rig, SPAN_LITERAL("\xF0\xD2\x09\0\0\0\1\0\x64"));
    rig_say_buffer(rig, SPAN_LITERAL("\xF0\xD3\x0B\0\0\0\1\0\x64\1\2\3\4\5\6\7\x08"));
    rig_say_buffer(rig, SPAN_LITERAL("\xF0\xD4\x20\xD5\xD6\xC4\xC5\xC3\x40\x40\x40"));
    rig_say_buffer(rig, SPAN_LITERAL("\xF0\xD5"));
    rig_say_records(rig, "\x90\x99\x00");
    rig_expect_record(rig, NJE_RCB_PERMISSION, 0x99);
    assert_int_equal(rig->state_changes, 1);
}

int main(void)
{
    log_set_level(LOG_NJE, LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        rig_test(each_nak_is_understood),
        rig_test(records_padded_to_36_bytes),
        rig_test(a_close_in_answer_to_open_says_what_we_said),
        rig_test(two_of_us_that_both_dial),
        rig_test(passwords_are_sent_and_asked_for),
        rig_test(the_smaller_buffer_counts),
        rig_test(a_sign_on_of_37_bytes),
        rig_test_up(path_manager_records_are_ignored),
    };
    return cmocka_run_group_tests_name("link_signon", tests, NULL, NULL);
}
