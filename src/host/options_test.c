/* What is lost when these fail: an operator's trial sends the wrong thing to the wrong user, or says nothing of a typo.
 */
#include "host/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 40 };

/* Parses the words of a command line after `host`. */
static int parse(struct host_options *options_r, struct err *err, ...)
{
    static char verb[] = "host";
    char *argv[ARGUMENTS_MAX] = { verb };
    int argc = 1;
    va_list words;
    va_start(words, err);
    char *word;
    while ((word = va_arg(words, char *)) != NULL && argc < ARGUMENTS_MAX)
        argv[argc++] = word;
    va_end(words);
    *err = ERR_CLEAR;
    return host_options_parse(argc, argv, options_r, err);
}

#define LINK "--node", "tria", "--peer", "gate", "--connect", "127.0.0.1:175"

static void everything_is_taken(void **state)
{
    (void)state;
    struct host_options options;
    struct err err;
    assert_int_equal(parse(&options, &err, "--send-note", "alice", "bob@vma", "note.txt", LINK, "--listen",
                           "127.0.0.1:0", "--kind", "nje38", "--allow", "192.0.2.0/24 ::1", "--folder", "in",
                           "--send-file", "al@ice@other", "bob", "-", "profile.exec", "--send-message", "alice", "bob",
                           "--quiet", "--replay", "x.spool", "--to", "carol", "--replay", "y.spool", "--once",
                           "--expect", "3", "--timeout", "90", NULL),
                     0);
    assert_string_equal(options.node.text, "TRIA");
    assert_string_equal(options.peer.text, "GATE");
    assert_string_equal(options.connect, "127.0.0.1:175");
    assert_string_equal(options.listen, "127.0.0.1:0");
    assert_int_equal(options.kind, NJE_NJE38);
    assert_string_equal(options.allow, "192.0.2.0/24 ::1");
    assert_string_equal(options.folder, "in");
    assert_true(options.once);
    assert_false(options.quiet); /* it was the text of the message */
    assert_int_equal(options.expect, 3);
    assert_true(options.timeout_us == 90000000);
    assert_int_equal(options.send_count, 5);

    const struct host_send *note = &options.sends[0];
    assert_int_equal(note->kind, HOST_SEND_NOTE);
    assert_string_equal(note->from.user.text, "ALICE");
    assert_string_equal(note->from.node.text, "TRIA"); /* though --node stands behind it */
    assert_string_equal(note->to.user.text, "BOB");
    assert_string_equal(note->to.node.text, "VMA");
    assert_string_equal(note->path, "note.txt");
    const struct host_send *file = &options.sends[1];
    assert_string_equal(file->from.user.text, "AL@ICE");
    assert_string_equal(file->from.node.text, "OTHER");
    assert_string_equal(file->to.node.text, "GATE");
    assert_string_equal(file->name.text, "PROFILE");
    assert_string_equal(file->type.text, "EXEC");
    assert_string_equal(options.sends[2].text, "--quiet");
    assert_string_equal(options.sends[3].to.user.text, "CAROL");
    assert_string_equal(options.sends[3].to.node.text, "GATE");
    assert_true(name8_empty(options.sends[4].to.node));
    host_options_free(&options);
}

static void mistakes_are_said(void **state)
{
    (void)state;
    struct host_options options;
    struct err err;
#define SAYS(expected, ...)                                             \
    do {                                                                \
        assert_int_equal(parse(&options, &err, __VA_ARGS__, NULL), -1); \
        assert_string_equal(err.text, expected);                        \
        host_options_free(&options);                                    \
    } while (0)
    SAYS("there is no option \"--port\"", LINK, "--port", "175");
    SAYS("there is no option \"\"", LINK, "");
    SAYS("--send-note needs FROM TO FILE behind it", LINK, "--send-note", "a", "b");
    SAYS("--kind: \"vm\" is none of rscs, vm370, nje38, jes2, unixnje", LINK, "--kind", "vm");
    SAYS("--expect: \"0\" is not a number from 1 to 1000000", LINK, "--expect", "0");
    SAYS("--expect: \"3x\" is not a number from 1 to 1000000", LINK, "--expect", "3x");
    SAYS("--timeout: \"-1\" is not a number from 1 to 604800", LINK, "--timeout", "-1");
    SAYS("--timeout: \"99999999999999999999\" is not a number from 1 to 604800", LINK, "--timeout",
         "99999999999999999999");
    SAYS("--to: it belongs behind the --replay that it changes", LINK, "--to", "bob@vma");
    SAYS("--to: it belongs behind the --replay that it changes", LINK, "--replay", "x", "--send-message", "a", "b", "c",
         "--to", "bob@vma");
    SAYS("--send-file: \"PROFILE\" is not of the form FN.FT", LINK, "--send-file", "a", "b", "f", "PROFILE");
    SAYS("--send-file: the file type is empty; give 1 to 8 characters", LINK, "--send-file", "a", "b", "f", "X.");
    SAYS("--send-note: the user id \"VERYLONGNAME\" is longer than 8 characters", LINK, "--send-note", "VERYLONGNAME",
         "b", "f");
    SAYS("--send-note: the user id is empty; give 1 to 8 characters", LINK, "--send-note", "a", "@VMA", "f");
    SAYS("--send-note: the node is empty; give 1 to 8 characters", LINK, "--send-note", "a", "b@", "f");
    SAYS("--node and --peer are needed: our node name and the neighbour's", "--node", "A", "--connect", "x:1");
    SAYS("one of --connect HOST:PORT and --listen ADDRESS:PORT is needed", "--node", "A", "--peer", "B");
}

static void help_needs_nothing_else(void **state)
{
    (void)state;
    struct host_options options;
    struct err err;
    assert_int_equal(parse(&options, &err, "--help", NULL), 0);
    assert_true(options.help);
    host_options_free(&options);
}

/* What is not in the usage text does not exist for the one who reads it. */
static void the_usage_names_every_option(void **state)
{
    (void)state;
    static const char *const names[] = { "--node",      "--peer",      "--connect",      "--listen", "--kind",
                                         "--allow",     "--folder",    "--send-note",    "--replay", "--to",
                                         "--send-file", "--once",      "--send-message", "--expect", "--timeout",
                                         "--quiet",     "exit status", "--help",         "--netdata" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_non_null(strstr(host_usage, names[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_taken),
        cmocka_unit_test(mistakes_are_said),
        cmocka_unit_test(help_needs_nothing_else),
        cmocka_unit_test(the_usage_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
