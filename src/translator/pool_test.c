/* What is lost when these fail: a letter made to crash, hang or take over its reader stops the mail of everybody, or
 * reaches the daemon's files, sockets and keys. */
#include "translator/pool.h"
#include "translator/sealed.h"
#include "translator/test_ops.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534, WAIT_MS = 60000 };

struct test_job {
    struct translator_job job;
    struct buf output;
    struct err err;
    bool ended;
    unsigned place; /* in the order of ending, from 1 */
};

static struct fixture {
    struct loop *loop;
    struct zygote zygote;
    struct translator *pool;
    unsigned ended;
    bool drained;
    bool lost;
    struct err lost_err;
} fixture;

static void on_lost(void *arg, const struct err *err)
{
    (void)arg;
    fixture.lost = true;
    fixture.lost_err = *err;
}

static int open_pool(struct translator_options options)
{
    struct err err = ERR_CLEAR;
    fixture.ended = 0;
    fixture.drained = fixture.lost = false;
    options.lost = on_lost;
    fixture.loop = loop_new();
    if (zygote_start(&fixture.zygote, &err) == 0 &&
        translator_new(fixture.loop, &fixture.zygote, &options, &fixture.pool, &err) == 0)
        return 0;
    print_error("%s\n", err.text);
    return -1;
}

static void close_pool(void)
{
    translator_free(fixture.pool);
    zygote_end(&fixture.zygote);
    loop_free(fixture.loop);
}

static void open_or_fail(struct translator_options options)
{
    assert_int_equal(open_pool(options), 0);
}

static void job_done(void *arg, struct span output, const struct err *err)
{
    struct test_job *test = arg;
    test->ended = true;
    test->place = ++fixture.ended;
    if (err != NULL)
        test->err = *err;
    buf_add_span(&test->output, output);
}

static int submit(struct test_job *test, enum test_op op, struct span input)
{
    buf_free(&test->output);
    *test = (struct test_job){ .job = { .op = (int)op, .input = input, .done = job_done, .arg = test } };
    return translator_submit(fixture.pool, &test->job, &test->err);
}

static void wait_for(const bool *what)
{
    while (!*what)
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE);
}

/* Runs one job to its end. */
static void run_job(struct test_job *test, enum test_op op, struct span input)
{
    assert_int_equal(submit(test, op, input), 0);
    wait_for(&test->ended);
}

static void assert_echo(const char *text)
{
    struct test_job test = { .ended = false };
    run_job(&test, TEST_ECHO, span_text(text));
    assert_int_equal(test.err.id, ERR_NONE);
    assert_true(span_equal(buf_span(&test.output), span_text(text)));
    buf_free(&test.output);
}

static void assert_fails(enum test_op op, enum err_id id, const char *text)
{
    struct test_job test = { .ended = false };
    run_job(&test, op, SPAN_EMPTY);
    if (test.err.id != id || strstr(test.err.text, text) == NULL)
        fail_msg("operation %d: error %d, \"%s\"; expected %d, \"%s\"", (int)op, (int)test.err.id, test.err.text,
                 (int)id, text);
    assert_int_equal(test.output.size, 0);
}

/* --- work --- */

static void test_thousand(void **state)
{
    (void)state;
    enum { JOBS = 1000, BYTES = 100000 };
    static struct test_job tests[JOBS];
    static uint8_t bytes[BYTES];
    clock_random(bytes, sizeof bytes);
    open_or_fail((struct translator_options){ .jobs_max = 150 });
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(submit(&tests[i], TEST_ECHO, span_slice(span_of(bytes, sizeof bytes), i, i * 97 % 70000)), 0);
    for (size_t i = 0; i < JOBS; i++)
        wait_for(&tests[i].ended);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(tests[i].err.id, ERR_NONE);
        assert_true(span_equal(buf_span(&tests[i].output), tests[i].job.input));
        buf_free(&tests[i].output);
    }
    struct translator_figures figures = translator_figures(fixture.pool);
    assert_int_equal(figures.done, JOBS);
    assert_int_equal(figures.died, 0);
    assert_true(figures.started >= JOBS / 150);
    close_pool();
}

/* Contents that go in the packet, that just do, that just do not, and the options beside them. */
static void test_contents_of_every_way(void **state)
{
    (void)state;
    static uint8_t bytes[MESSAGE_INLINE_MAX + 100];
    static const size_t sizes[] = {
        0, 1, MESSAGE_INLINE_MAX - 7, MESSAGE_INLINE_MAX - 6, MESSAGE_INLINE_MAX, MESSAGE_INLINE_MAX + 1, sizeof bytes
    };
    open_or_fail((struct translator_options){ .children = 1 });
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 % 251);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct test_job test = { .ended = false };
        test.job = (struct translator_job){ .op = TEST_ECHO,
                                            .input = span_of(bytes, sizes[i]),
                                            .options = SPAN_LITERAL("options"),
                                            .done = job_done,
                                            .arg = &test };
        assert_int_equal(translator_submit(fixture.pool, &test.job, NULL), 0);
        wait_for(&test.ended);
        assert_int_equal(test.err.id, ERR_NONE);
        assert_true(span_equal(buf_span(&test.output), span_of(bytes, sizes[i])));
        buf_clear(&test.output);
        test.job.op = TEST_OPTIONS;
        test.ended = false;
        assert_int_equal(translator_submit(fixture.pool, &test.job, NULL), 0);
        wait_for(&test.ended);
        assert_true(span_equal(buf_span(&test.output), SPAN_LITERAL("options")));
        buf_free(&test.output);
    }
    close_pool();
}

static void assert_tables(const char *text)
{
    struct test_job test = { .ended = false };
    run_job(&test, TEST_TABLES, SPAN_EMPTY);
    assert_int_equal(test.err.id, ERR_NONE);
    assert_true(span_equal(buf_span(&test.output), span_text(text)));
    buf_free(&test.output);
}

static void test_new_tables(void **state)
{
    (void)state;
    open_or_fail((struct translator_options){ .children = 1 });
    assert_tables("");
    assert_int_equal(translator_set_tables(fixture.pool, SPAN_LITERAL("one"), NULL), 0);
    assert_tables("one");
    assert_tables("one");
    assert_int_equal(translator_figures(fixture.pool).started, 2);
    assert_int_equal(translator_set_tables(fixture.pool, SPAN_LITERAL("two"), NULL), 0);
    assert_tables("two");
    assert_int_equal(translator_set_tables(fixture.pool, SPAN_EMPTY, NULL), 0);
    assert_tables("");
    assert_int_equal(translator_figures(fixture.pool).died, 0);
    close_pool();
}

static void test_reported_error(void **state)
{
    (void)state;
    open_or_fail((struct translator_options){ .children = 1, .output_limit = 1 << 20 });
    assert_fails(TEST_REFUSE, ERR_BAD_CONTENT, "line 3:??[2Jno date");
    assert_fails(TEST_HUGE, ERR_TOO_BIG, "larger than 1048576 bytes");
    assert_fails(TEST_LATCH, ERR_TRANSLATOR_MEMORY, "more memory");
    assert_int_equal(translator_figures(fixture.pool).started, 1);
    assert_int_equal(translator_figures(fixture.pool).done, 2);
    close_pool();
}

/* --- faults --- */

static void test_deaths(void **state)
{
    (void)state;
    open_or_fail((struct translator_options){ .children = 1 });
#ifdef OVVM_SANITIZED /* the runtimes have their own way out */
    assert_fails(TEST_CRASH, ERR_TRANSLATOR_DIED, "translator");
#else
    assert_fails(TEST_CRASH, ERR_TRANSLATOR_DIED, "killed by signal 11 (Segmentation fault) (operation 6)");
#endif
    assert_echo("one");
    assert_fails(TEST_ABORT, ERR_TRANSLATOR_DIED, "killed by signal 6");
    assert_echo("two");
    assert_fails(TEST_EXIT, ERR_TRANSLATOR_DIED, "ended with status 7");
    assert_fails(TEST_MUTE, ERR_TRANSLATOR_DIED, "killed by signal 9");
    assert_fails(TEST_EXIT, ERR_TRANSLATOR_DIED, "ended with status 7");
    assert_echo("three");
    assert_int_equal(translator_figures(fixture.pool).died, 5);
    assert_int_equal(translator_figures(fixture.pool).failed, 5);
    close_pool();
}

/* Its socket is reset then; the operator must read what killed it, not that it broke the rules. */
static void test_killed_before_reading(void **state)
{
    (void)state;
    struct test_job who = { .ended = false };
    struct test_job job = { .ended = false };
    open_or_fail((struct translator_options){ .children = 1 });
    run_job(&who, TEST_PID, SPAN_EMPTY);
    pid_t pid = 0;
    assert_int_equal(who.output.size, sizeof pid);
    memcpy(&pid, who.output.at, sizeof pid);
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(submit(&job, TEST_ECHO, SPAN_LITERAL("letter")), 0);
    while (translator_figures(fixture.pool).busy == 0)
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE);
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_for(&job.ended);
    assert_int_equal(job.err.id, ERR_TRANSLATOR_DIED);
    assert_non_null(strstr(job.err.text, "killed by signal 9"));
    buf_free(&who.output);
    close_pool();
}

static void test_others_go_on(void **state)
{
    (void)state;
    static const enum test_op sick[] = { TEST_HANG, TEST_CRASH, TEST_MUTE };
    static struct test_job bad[3], good[3][100];
    open_or_fail((struct translator_options){ .time_limit_us = 3 * CLOCK_SECOND });
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(submit(&bad[i], sick[i], SPAN_EMPTY), 0);
        for (size_t n = 0; n < 100; n++)
            assert_int_equal(submit(&good[i][n], TEST_ECHO, SPAN_LITERAL("letter")), 0);
    }
    for (size_t i = 0; i < 3; i++)
        wait_for(&bad[i].ended);
    for (size_t n = 0; n < 100; n++) {
        wait_for(&good[2][n].ended);
        assert_true(good[0][n].place < bad[0].place); /* none waited for the one that hangs */
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(good[i][n].err.id, ERR_NONE);
            assert_true(span_equal(buf_span(&good[i][n].output), SPAN_LITERAL("letter")));
            buf_free(&good[i][n].output);
        }
    }
    assert_int_equal(bad[0].err.id, ERR_TRANSLATOR_TIMEOUT);
    assert_string_equal(bad[0].err.text, "the translation (operation 9) takes longer than 3 s");
    assert_int_equal(bad[1].err.id, ERR_TRANSLATOR_DIED);
    assert_int_equal(bad[2].err.id, ERR_TRANSLATOR_DIED);
    assert_true(translator_blames_child(bad[0].err.id) && translator_blames_child(bad[1].err.id));
    close_pool();
}

static void test_memory(void **state)
{
    (void)state;
    open_or_fail((struct translator_options){ .children = 1, .memory_limit = 128 << 20 });
#ifdef OVVM_SANITIZED /* whether their allocator says no or ends the process is an option of theirs */
    struct test_job test = { .ended = false };
    run_job(&test, TEST_EAT, SPAN_EMPTY);
    assert_true(test.err.id == ERR_TRANSLATOR_MEMORY || test.err.id == ERR_TRANSLATOR_DIED);
#else
    assert_fails(TEST_EAT, ERR_TRANSLATOR_MEMORY, "all eaten");
#endif
    close_pool();
}

static void test_sandbox(void **state)
{
    (void)state;
    open_or_fail((struct translator_options){ .children = 1 });
    assert_fails(TEST_OPEN, ERR_NOT_ALLOWED, "open: Permission denied");
    assert_fails(TEST_CHARSET, ERR_NOT_ALLOWED, "iconv_open");
    for (int op = TEST_CREATE; op <= TEST_TRACE; op++) {
#ifdef OVVM_SANITIZED
        struct test_job test = { .ended = false };
        run_job(&test, (enum test_op)op, SPAN_EMPTY);
        assert_true(test.err.id == ERR_NOT_ALLOWED || test.err.id == ERR_TRANSLATOR_DIED);
        if (op == TEST_SOCKET || op == TEST_EXEC || op == TEST_SIGNAL || op == TEST_CODE)
            assert_int_equal(test.err.id, ERR_TRANSLATOR_DIED);
#else
        assert_fails((enum test_op)op, ERR_TRANSLATOR_DIED, "killed by signal 31");
#endif
        assert_echo("next");
    }
    close_pool();
}

static void test_lies(void **state)
{
    (void)state;
    for (int op = TEST_LIE_SERIAL; op < TEST_LIE_TWICE; op++) {
        open_or_fail((struct translator_options){ .children = 1 });
        assert_fails((enum test_op)op, ERR_TRANSLATOR_DIED, "");
        assert_int_equal(translator_figures(fixture.pool).died, 1);
        assert_echo("the next letter");
        close_pool();
    }
    /* what it says unasked is for no job */
    struct test_job test = { .ended = false };
    open_or_fail((struct translator_options){ .children = 1 });
    run_job(&test, TEST_LIE_TWICE, SPAN_EMPTY);
    assert_int_equal(test.err.id, ERR_NONE);
    assert_true(span_equal(buf_span(&test.output), SPAN_LITERAL("lies")));
    buf_free(&test.output);
    run_job(&test, TEST_ECHO, SPAN_LITERAL("next"));
    if (test.err.id == ERR_NONE)
        assert_true(span_equal(buf_span(&test.output), SPAN_LITERAL("next")));
    else
        assert_int_equal(test.err.id, ERR_TRANSLATOR_DIED);
    buf_free(&test.output);
    assert_int_equal(translator_figures(fixture.pool).died, 1);
    close_pool();
}

static void test_unfit(void **state)
{
    (void)state;
    assert_int_equal(setenv(TEST_OPS_UNFIT, "1", 1), 0);
    open_or_fail((struct translator_options){ .wait_limit_us = CLOCK_SECOND });
    assert_int_equal(unsetenv(TEST_OPS_UNFIT), 0);
    assert_fails(TEST_ECHO, ERR_BUSY, "no translator became free in 1 s");
    assert_true(translator_figures(fixture.pool).died >= 2);
    close_pool();
}

/* --- limits and the end --- */

static void test_wait_limit(void **state)
{
    (void)state;
    struct test_job first = { .ended = false }, second = { .ended = false };
    open_or_fail((struct translator_options){
        .children = 1, .time_limit_us = 2 * CLOCK_MINUTE, .wait_limit_us = CLOCK_SECOND / 10 });
    assert_echo("ready");
    assert_int_equal(submit(&first, TEST_HANG, SPAN_EMPTY), 0);
    assert_int_equal(submit(&second, TEST_ECHO, SPAN_EMPTY), 0);
    wait_for(&second.ended);
    assert_int_equal(second.err.id, ERR_BUSY);
    assert_false(first.ended);
    close_pool();
    assert_int_equal(first.err.id, ERR_SHUTTING_DOWN);
}

static void test_full_queue(void **state)
{
    (void)state;
    static struct test_job tests[TRANSLATOR_QUEUE_MAX + 1];
    open_or_fail((struct translator_options){ .children = 1 });
    for (size_t i = 0; i < TRANSLATOR_QUEUE_MAX; i++)
        assert_int_equal(submit(&tests[i], TEST_ECHO, SPAN_LITERAL("x")), 0);
    assert_int_equal(submit(&tests[TRANSLATOR_QUEUE_MAX], TEST_ECHO, SPAN_LITERAL("x")), -1);
    assert_int_equal(tests[TRANSLATOR_QUEUE_MAX].err.id, ERR_BUSY);
    close_pool();
    for (size_t i = 0; i < TRANSLATOR_QUEUE_MAX; i++)
        assert_int_equal(tests[i].err.id, ERR_SHUTTING_DOWN);
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void test_drain(void **state)
{
    (void)state;
    struct test_job tests[3] = { { .ended = false } };
    open_or_fail((struct translator_options){ .children = 1 });
    assert_int_equal(submit(&tests[0], TEST_ECHO, SPAN_LITERAL("in hand")), 0);
    assert_int_equal(submit(&tests[1], TEST_ECHO, SPAN_LITERAL("waits")), 0);
    translator_drain(fixture.pool, set_true, &fixture.drained);
    assert_int_equal(submit(&tests[2], TEST_ECHO, SPAN_EMPTY), -1);
    assert_int_equal(tests[2].err.id, ERR_SHUTTING_DOWN);
    wait_for(&fixture.drained);
    for (size_t i = 0; i < 2; i++) {
        assert_true(tests[i].ended);
        assert_int_equal(tests[i].err.id, ERR_NONE);
        buf_free(&tests[i].output);
    }
    close_pool();
}

/* A descriptor for the translator that does the next job. */
static int translator_pidfd(void)
{
    struct test_job test = { .ended = false };
    int pid = 0;
    run_job(&test, TEST_PID, SPAN_EMPTY);
    if (test.output.size == sizeof pid)
        memcpy(&pid, test.output.at, sizeof pid);
    buf_free(&test.output);
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool has_ended(int pidfd)
{
    struct pollfd wait = { .fd = pidfd, .events = POLLIN };
    return pidfd != -1 && poll(&wait, 1, WAIT_MS) == 1;
}

static void test_zygote_killed(void **state)
{
    (void)state;
    struct test_job tests[2] = { { .ended = false } };
    open_or_fail((struct translator_options){ .children = 1 });
    int pidfd = translator_pidfd();
    assert_int_not_equal(pidfd, -1);
    assert_int_equal(submit(&tests[0], TEST_HANG, SPAN_EMPTY), 0);
    assert_int_equal(submit(&tests[1], TEST_ECHO, SPAN_EMPTY), 0);
    while (translator_figures(fixture.pool).busy == 0)
        (void)event_base_loop(loop_base(fixture.loop), EVLOOP_ONCE);
    assert_int_equal(kill(fixture.zygote.pid, SIGKILL), 0);
    wait_for(&fixture.lost);
    assert_non_null(strstr(fixture.lost_err.text, "was killed by signal 9"));
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(tests[i].err.id, ERR_SHUTTING_DOWN);
    assert_int_equal(submit(&tests[0], TEST_ECHO, SPAN_EMPTY), -1);
    assert_true(has_ended(pidfd));
    (void)close(pidfd);
    close_pool();
}

/* --- in a process of its own --- */

/* A daemon that tells the process ids of its zygote and translator and waits for its end. */
static _Noreturn void daemon_to_kill(int fd)
{
    int pids[2] = { 0, 0 };
    struct test_job test = { .ended = false };
    if (open_pool((struct translator_options){ .children = 1 }) == -1 || submit(&test, TEST_PID, SPAN_EMPTY) == -1)
        _exit(1);
    wait_for(&test.ended);
    pids[0] = fixture.zygote.pid;
    memcpy(&pids[1], test.output.at, sizeof pids[1]);
    if (write(fd, pids, sizeof pids) != sizeof pids)
        _exit(1);
    for (;;)
        (void)pause();
}

static void test_daemon_killed(void **state)
{
    (void)state;
    int ends[2], pids[2], pidfds[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_int_not_equal(pid, -1);
    if (pid == 0)
        daemon_to_kill(ends[1]);
    assert_int_equal(read(ends[0], pids, sizeof pids), sizeof pids);
    for (size_t i = 0; i < 2; i++)
        pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (size_t i = 0; i < 2; i++) {
        assert_true(has_ended(pidfds[i]));
        (void)close(pidfds[i]);
        (void)close(ends[i]);
    }
}

static bool forbid_namespaces(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    return filter != NULL && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 0) == 0 &&
           seccomp_load(filter) == 0;
}

static bool become_ordinary(void)
{
    /* a program that was started as this user could be read by it */
    return (geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0) && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

/* 0: a letter was translated, and the sandbox was closed. */
static int try_pool(bool ordinary, bool without_namespaces)
{
    struct test_job tests[2] = { { .ended = false } };
    if ((ordinary && !become_ordinary()) || (without_namespaces && !forbid_namespaces()))
        return 2;
    if (open_pool((struct translator_options){ .children = 1 }) == -1)
        return 3;
    for (size_t i = 0; i < 2; i++) {
        if (submit(&tests[i], i == 0 ? TEST_ECHO : TEST_SOCKET, SPAN_LITERAL("letter")) == -1)
            return 4;
        wait_for(&tests[i].ended);
    }
    if (!span_equal(buf_span(&tests[0].output), SPAN_LITERAL("letter")))
        return 5;
    close_pool();
    return tests[1].err.id == ERR_TRANSLATOR_DIED ? 0 : 6;
}

static void test_any_user(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        int status;
        pid_t pid = fork();
        assert_int_not_equal(pid, -1);
        if (pid == 0)
            _exit(try_pool((how & 1) != 0, (how & 2) != 0));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s user, namespaces %s: status %#x", (how & 1) != 0 ? "ordinary" : "this",
                     (how & 2) != 0 ? "forbidden" : "as they are", (unsigned)status);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thousand),      cmocka_unit_test(test_contents_of_every_way),
        cmocka_unit_test(test_new_tables),    cmocka_unit_test(test_reported_error),
        cmocka_unit_test(test_deaths),        cmocka_unit_test(test_killed_before_reading),
        cmocka_unit_test(test_others_go_on),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_sandbox),       cmocka_unit_test(test_lies),
        cmocka_unit_test(test_unfit),         cmocka_unit_test(test_wait_limit),
        cmocka_unit_test(test_full_queue),    cmocka_unit_test(test_drain),
        cmocka_unit_test(test_zygote_killed), cmocka_unit_test(test_daemon_killed),
        cmocka_unit_test(test_any_user),
    };
    if (zygote_is_meant(argc, argv))
        return zygote_main(&test_ops);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
