/* What is lost when these fail: the operator's lines (LG-01 form, so that readers of old logs still work), or, worse,
 * mail that waits for a log nobody reads. */
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { CAPTURE_MAX = 1 << 17 };

/* Stands in for the operator's terminal: a pipe in the place of stderr. */
struct capture {
    int kept, from;
    char text[CAPTURE_MAX];
};

static struct capture capture;

static void capture_begin(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    capture.kept = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    capture.from = ends[0];
}

static const char *capture_take(void)
{
    size_t size = 0;
    ssize_t got;
    while (size < sizeof capture.text - 1 &&
           (got = read(capture.from, capture.text + size, sizeof capture.text - 1 - size)) > 0)
        size += (size_t)got;
    capture.text[size] = '\0';
    return capture.text;
}

static void capture_end(void)
{
    (void)dup2(capture.kept, STDERR_FILENO);
    (void)close(capture.kept);
    (void)close(capture.from);
}

static void line_has_the_classic_form(void **state)
{
    (void)state;
    clock_test_set(INT64_C(1795532591000000), 1); /* 2026-11-24 15:03:11 UTC */
    log_open("ovvmd", LOG_TO_STDERR);
    char wanted[256];
    capture_begin();
    log_write(LOG_NJE, LOG_WARNING, 834, "link.c", 12, "link %s is down", "MAPLEC1");
    const char *got = capture_take();
    capture_end();
    (void)snprintf(wanted, sizeof wanted, "2026/11/24 15:03:11- ovvmd(%d) 2 00834:link MAPLEC1 is down >> link.c(12)\n",
                   (int)gettid());
    assert_string_equal(got, wanted);
}

static void texts_from_outside_cannot_forge_lines(void **state)
{
    (void)state;
    log_open("ovvmd", LOG_TO_STDERR);
    capture_begin();
    log_info(LOG_SMTP, 1, "from %s", "a\r\nb\x1b[2J\x7f%n \xC3\xA4 \xC2\x9B \xFF \xC0\xAF");
    const char *got = capture_take();
    capture_end();
    assert_non_null(strstr(got, ":from a??b?[2J?%n \xC3\xA4 ? ? ?? >> log_test.c("));
}

static void long_text_is_cut_and_says_so(void **state)
{
    (void)state;
    static char text[10000];
    memset(text, 'x', sizeof text - 1);
    capture_begin();
    log_info(LOG_SMTP, 1, "%s", text);
    const char *got = capture_take();
    capture_end();
    assert_non_null(strstr(got, "xxx... >> log_test.c("));
    assert_true(strlen(got) < 2300);
}

static void levels_change_at_run_time(void **state)
{
    (void)state;
    capture_begin();
    log_trace(LOG_NJE, 1, "unseen");
    log_set_level(LOG_NJE, LOG_TRACE);
    log_trace(LOG_NJE, 1, "seen");
    log_trace(LOG_SMTP, 1, "unseen");
    log_set_level(LOG_NJE, LOG_NOTHING);
    log_error(LOG_NJE, 1, "unseen");
    log_set_level(LOG_NJE, LOG_INFO);
    const char *got = capture_take();
    capture_end();
    assert_non_null(strstr(got, ":seen >>"));
    assert_null(strstr(got, "unseen"));
    assert_string_equal(log_category_name(LOG_GATEWAY), "gateway");
    assert_int_equal(log_category_find("relocate"), LOG_RELOCATE);
    assert_int_equal(log_category_find("nonesuch"), LOG_CATEGORIES);
}

static void err_brings_its_number_and_level(void **state)
{
    (void)state;
    struct err err;
    (void)err_set(&err, ERR_DISK_FULL, "no room for %d bytes", 17);
    capture_begin();
    log_err(LOG_STORE, &err, "item %s", "01ARZ");
    const char *got = capture_take();
    capture_end();
    assert_non_null(strstr(got, ") 2 56119:item 01ARZ: no room for 17 bytes >> log_test.c("));
}

static void a_log_nobody_reads_does_not_stop_mail(void **state)
{
    (void)state;
    unsigned long long before = log_dropped();
    capture_begin();
    for (int i = 0; i < 5000; i++) /* far more than a pipe holds */
        log_info(LOG_CORE, 1, "line %d", i);
    unsigned long long lost = log_dropped() - before;
    assert_true(lost > 0);
    (void)capture_take();
    log_info(LOG_CORE, 1, "room again");
    const char *got = capture_take();
    capture_end();
    char wanted[128];
    (void)snprintf(wanted, sizeof wanted, ":%llu lines found no room in the log and were dropped >>", lost);
    assert_non_null(strstr(got, wanted));
    assert_non_null(strstr(got, ":room again >>"));
}

static void journal_gets_fields_and_never_blocks(void **state)
{
    (void)state;
    char folder[] = "log_test.XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/journal", folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    log_test_journal(address.sun_path);
    log_open("ovvmd", LOG_TO_JOURNAL);
    errno = EINTR;
    log_write(LOG_STORE, LOG_ERROR, 56106, "db.c", 77, "disk\nPRIORITY=0");
    assert_int_equal(errno, EINTR);
    char got[4096], wanted[512];
    ssize_t size = recv(fd, got, sizeof got - 1, 0);
    assert_true(size > 0);
    got[size] = '\0';
    (void)snprintf(wanted, sizeof wanted,
                   "MESSAGE=disk?PRIORITY=0\nPRIORITY=3\nSYSLOG_IDENTIFIER=ovvmd\nOVVM_NUMBER=56106\n"
                   "OVVM_CATEGORY=store\nCODE_FILE=db.c\nCODE_LINE=77\nTID=%d\n",
                   (int)gettid());
    assert_string_equal(got, wanted);
    /* a journal that has stopped reading */
    unsigned long long before = log_dropped();
    for (int i = 0; i < 5000; i++)
        log_info(LOG_CORE, 1, "line %d", i);
    assert_true(log_dropped() > before);
    /* a journal that is gone: the lines go to stderr */
    (void)close(fd);
    capture_begin();
    log_info(LOG_CORE, 1, "still said");
    const char *said = capture_take();
    capture_end();
    assert_non_null(strstr(said, ":still said >>"));
    (void)unlink(address.sun_path);
    (void)rmdir(folder);
    log_open("ovvmd", LOG_TO_STDERR);
}

static void auto_follows_the_journal_stream(void **state)
{
    (void)state;
    log_test_journal("/nonexistent/journal");
    struct stat status;
    char stream[64];
    capture_begin();
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino + 1);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    log_open("ovvmd", LOG_TO_AUTO); /* another stream's number: inherited, not ours */
    log_info(LOG_CORE, 1, "to the terminal");
    const char *got = capture_take();
    capture_end();
    (void)unsetenv("JOURNAL_STREAM");
    assert_non_null(strstr(got, ":to the terminal >>"));
}

static void *many_lines(void *arg)
{
    for (int i = 0; i < 50; i++)
        log_info(LOG_CORE, 1, "thread %d", *(int *)arg);
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    pthread_t threads[4];
    int ids[4] = { 0, 1, 2, 3 };
    capture_begin();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_lines, &ids[i]), 0);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    const char *got = capture_take();
    capture_end();
    size_t lines = 0;
    for (const char *line = got; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
        assert_memory_equal(line, "2026/11/24 ", 11);
        assert_non_null(strchr(line, '\n'));
    }
    assert_int_equal(lines, 200);
}

static void a_lasting_fault_is_said_once(void **state)
{
    (void)state;
    struct log_once once = { 0 };
    assert_false(log_once_clear(&once));
    assert_true(log_once_raise(&once));
    assert_false(log_once_raise(&once));
    assert_true(log_once_clear(&once));
    assert_true(log_once_raise(&once));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_has_the_classic_form),
        cmocka_unit_test(texts_from_outside_cannot_forge_lines),
        cmocka_unit_test(long_text_is_cut_and_says_so),
        cmocka_unit_test(levels_change_at_run_time),
        cmocka_unit_test(err_brings_its_number_and_level),
        cmocka_unit_test(a_log_nobody_reads_does_not_stop_mail),
        cmocka_unit_test(journal_gets_fields_and_never_blocks),
        cmocka_unit_test(auto_follows_the_journal_stream),
        cmocka_unit_test(threads_do_not_mix_lines),
        cmocka_unit_test(a_lasting_fault_is_said_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
