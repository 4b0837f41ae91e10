/* What is lost when these fail: a directory that hangs, crashes or babbles stops the daemon, or its nonsense is taken
 * for people. A script stands in for the process that asks. */
#include "directory/fetch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct outcome {
    struct loop *loop;
    enum err_id id;
    char text[ERR_TEXT_SIZE];
    size_t count;
    char rows[64];
};

static void done(void *arg, struct span rows, size_t count, const struct err *err)
{
    struct outcome *outcome = arg;
    outcome->id = err != NULL ? err->id : ERR_NONE;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", err != NULL ? err->text : "");
    outcome->count = count;
    span_to_text(rows, outcome->rows, sizeof outcome->rows);
    loop_stop(outcome->loop);
}

static struct outcome ask(const char *script, int64_t timeout_us)
{
    char path[] = "/tmp/ovvm-fetch-XXXXXX";
    struct conf_directory directory = { .url = (char[]){ "ldap://127.0.0.1" },
                                        .mail_attribute = (char[]){ "mail" },
                                        .timeout_us = timeout_us };
    struct outcome outcome = { .loop = loop_new() };
    struct directory_fetch *fetch;
    struct err err = ERR_CLEAR;
    int fd = mkstemp(path);
    assert_true(fd != -1 && dprintf(fd, "#!/bin/sh\n%s\n", script) > 0 && fchmod(fd, 0700) == 0 && close(fd) == 0);
    struct directory_fetch_options options = {
        .loop = outcome.loop, .directory = &directory, .program = path, .done = done, .arg = &outcome
    };
    if (directory_fetch_start(&options, &fetch, &err) == -1)
        fail_msg("%s", err.text);
    loop_run(outcome.loop);
    loop_free(outcome.loop);
    assert_int_equal(unlink(path), 0);
    return outcome;
}

#define LONG INT64_C(60000000)

static void an_answer_comes(void **state)
{
    (void)state;
    struct outcome outcome = ask("cat >/dev/null; echo '\"a@b\",\"A\",\"\",\"\"'; echo '#end 1'", LONG);
    assert_string_equal(outcome.text, "");
    assert_int_equal(outcome.count, 1);
    assert_string_equal(outcome.rows, "\"a@b\",\"A\",\"\",\"\"?");
}

static void what_is_not_whole_is_refused(void **state)
{
    (void)state;
    assert_int_equal(ask("echo '\"a@b\",\"A\",\"\",\"\"'", LONG).id, ERR_PROTOCOL);
    assert_int_equal(ask("exit 1", LONG).id, ERR_PROTOCOL);
    assert_int_equal(ask("echo '#failed no'", LONG).id, ERR_CONNECT);
    struct outcome crashed = ask("kill -SEGV $$", LONG);
    assert_int_equal(crashed.id, ERR_PROTOCOL);
    assert_non_null(strstr(crashed.text, "signal 11"));
}

/* Whether it says nothing, or closes its mouth and stays. */
static void one_that_hangs_is_ended(void **state)
{
    (void)state;
    assert_int_equal(ask("exec sleep 1000", -4900000).id, ERR_TIMEOUT);
    assert_int_equal(ask("echo '#end 0'; exec sleep 1000 >&-", LONG).id, ERR_NONE);
}

static void nothing_of_the_daemon_is_left_open(void **state)
{
    (void)state;
    int fd = fcntl(STDOUT_FILENO, F_DUPFD, 50);
    assert_int_equal(fd, 50);
    struct outcome outcome = ask("test -e /proc/$$/fd/50; echo \"#failed $?\"", LONG);
    assert_int_equal(close(fd), 0);
    assert_string_equal(outcome.text, "1");
}

static void it_can_be_given_up(void **state)
{
    (void)state;
    struct conf_directory directory = { .url = (char[]){ "ldap://127.0.0.1" }, .mail_attribute = (char[]){ "mail" } };
    struct loop *loop = loop_new();
    struct directory_fetch *fetch;
    struct directory_fetch_options options = {
        .loop = loop, .directory = &directory, .program = "/bin/cat", .done = done, .arg = NULL
    };
    assert_int_equal(directory_fetch_start(&options, &fetch, NULL), 0);
    directory_fetch_stop(fetch);
    directory_fetch_stop(NULL);
    options.program = "/nonexistent";
    assert_int_equal(directory_fetch_start(&options, &fetch, NULL), -1);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes),         cmocka_unit_test(what_is_not_whole_is_refused),
        cmocka_unit_test(one_that_hangs_is_ended), cmocka_unit_test(nothing_of_the_daemon_is_left_open),
        cmocka_unit_test(it_can_be_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
