/* What is lost when these fail: the operator is told nothing, or the wrong thing, about a slip in the configuration,
 * and finds out by mail that went nowhere. The mistakes stand in tests/data/conf: NAME.conf, and in NAME.expected the
 * exact words for it. */
#include "base/clock.h"
#include "base/conf.h"
#include "base/conf_table.h"
#include "base/conf_value.h"
#include "base/fault.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LEAST                                                                                                      \
    "[connector]\nnode = microsft\ndomain = VM.Example.org\npostmaster = postmaster@example.org\n[link maplec1]\n" \
    "connect = rscs.example.org:175\n[smtp-out]\nrelay = 127.0.0.1:25\n"

static struct conf_problems problems;

static struct span read_all(const char *path, struct buf *to)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    char piece[4096];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(to, piece, size);
    (void)fclose(file);
    return buf_span(to);
}

static const char *data_folder(void)
{
    const char *folder = getenv("OVVM_TEST_DATA");
    return folder != NULL ? folder : "tests/data";
}

static void check_mistake(const char *folder, const char *name, size_t stem)
{
    char path[1024], shown[256];
    struct conf conf;
    struct buf said = { 0 }, expected = { 0 };
    (void)snprintf(shown, sizeof shown, "%.*s.conf", (int)stem, name);
    (void)snprintf(path, sizeof path, "%s/%s", folder, shown);
    assert_int_equal(conf_load(path, &conf, &problems), -1);
    conf_problems_print(&problems, shown, &said);
    (void)snprintf(path, sizeof path, "%s/%.*s.expected", folder, (int)stem, name);
    struct span wanted = read_all(path, &expected);
    if (!span_equal(buf_span(&said), wanted))
        fail_msg("the operator would read:\n%.*sinstead of:\n%.*s", (int)said.size, (const char *)said.at,
                 (int)wanted.size, (const char *)wanted.at);
    buf_free(&said);
    buf_free(&expected);
}

static void each_mistake_is_told_in_these_words(void **state)
{
    (void)state;
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s/conf", data_folder());
    DIR *all = opendir(folder);
    assert_non_null(all);
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(all)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".conf") != 0)
            continue;
        check_mistake(folder, entry->d_name, (size_t)(dot - entry->d_name));
        count++;
    }
    (void)closedir(all);
    assert_true(count > 80);
}

static void must_parse(const char *text, struct conf *conf)
{
    if (conf_parse(span_text(text), conf, &problems) == 0)
        return;
    struct buf said = { 0 };
    conf_problems_print(&problems, "conf", &said);
    fail_msg("%.*s", (int)said.size, (const char *)said.at);
}

static void the_least_gets_every_default(void **state)
{
    (void)state;
    struct conf conf;
    must_parse(LEAST, &conf);
    assert_string_equal(conf.connector.node.text, "MICROSFT");
    assert_string_equal(conf.connector.domain, "vm.example.org");
    assert_string_equal(conf.connector.default_node.text, "MAPLEC1");
    assert_string_equal(conf.connector.state, "/var/lib/ovvm");
    assert_string_equal(conf.store.url, "sqlite:/var/lib/ovvm/ovvm.db");
    assert_int_equal(conf.store.readers, 2);
    assert_int_equal(conf.link_count, 1);
    const struct conf_link *link = &conf.links[0];
    assert_string_equal(link->node.text, "MAPLEC1");
    assert_int_equal(link->kind, CONF_RSCS);
    assert_string_equal(link->connect, "rscs.example.org:175");
    assert_null(link->listen);
    assert_null(link->allow);
    assert_null(link->send_line_password);
    assert_int_equal(link->nodes.count, 1);
    assert_string_equal(link->nodes.at[0].text, "MAPLEC1");
    assert_false(link->nodes.others);
    assert_int_equal(link->buffer, 0);
    assert_int_equal(link->tcp_block, 0);
    assert_int_equal(link->streams, 1);
    assert_int_equal(link->tls, CONF_LINK_TLS_OFF);
    assert_null(link->ca);
    assert_int_equal(link->trust_origin, CONF_NO);
    assert_int_equal(link->retry_us, 2 * CLOCK_SECOND);
    assert_int_equal(link->retry_max_us, 5 * CLOCK_MINUTE);
    assert_int_equal(link->idle_probe_us, 2 * CLOCK_MINUTE);
    assert_string_equal(conf.smtp_in.listen, "127.0.0.1:2525");
    assert_null(conf.smtp_in.lmtp);
    assert_string_equal(conf.smtp_in.allow, "127.0.0.0/8 ::1");
    assert_int_equal(conf.smtp_in.max_size, 50 << 20);
    assert_int_equal(conf.smtp_in.max_recipients, 1000);
    assert_int_equal(conf.smtp_in.max_sessions, 200);
    assert_int_equal(conf.smtp_in.timeout_us, 5 * CLOCK_MINUTE);
    assert_string_equal(conf.smtp_out.relay, "127.0.0.1:25");
    assert_int_equal(conf.smtp_out.connections, 4);
    assert_int_equal(conf.smtp_out.timeout_us, 5 * CLOCK_MINUTE);
    assert_int_equal(conf.smtp_out.retry_us, CLOCK_SECOND);
    assert_int_equal(conf.smtp_out.retry_max_us, 5 * CLOCK_MINUTE);
    assert_int_equal(conf.limits.queue_depth, 5000);
    assert_int_equal(conf.limits.retry_us, 5 * CLOCK_MINUTE);
    assert_int_equal(conf.limits.retry_max_us, CLOCK_HOUR);
    assert_int_equal(conf.limits.lifetime_us, 5 * CLOCK_DAY);
    assert_int_equal(conf.limits.max_hops, 50);
    assert_int_equal(conf.limits.track_days, 30);
    assert_string_equal(conf.admin.socket, "/var/lib/ovvm/ovvm.sock");
    assert_int_equal(conf.log.target, LOG_TO_AUTO);
    for (size_t i = 0; i < LOG_CATEGORIES; i++)
        assert_int_equal(conf.log.levels[i], LOG_INFO);
    conf_free(&conf);
}

static void everything_can_be_given(void **state)
{
    (void)state;
    struct conf conf;
    must_parse("# first line\n"
               "[connector] ; who we are\n"
               "node=GATE\n"
               "domain = example.org # ours\n"
               "default-node = B\n"
               "state = \"/srv/a \\\"b\\\" ; \\\\c\"\t; quoted\n"
               "postmaster = post.master+nje@example.org\n"
               "   ; an indented comment\n"
               "[ link  a ]\n"
               "kind = nje38\n"
               "listen = [::]:175\n"
               "allow =   192.0.2.0/24\t 2001:db8::/32  ::1\n"
               "buffer = 4000\n"
               "rip = 192.0.2.1\n"
               "oip = 192.0.2.2\n"
               "[link b]\n"
               "connect = [2001:db8::2]:1175\n"
               "nodes = b b2 *\n"
               "retry-max = 1d\n"
               "[smtp-out]\n"
               "relay = lmtp:/run/lmtp\n"
               "[smtp-in]\n"
               "max-size = 65536\n"
               "listen = 127.0.0.1:25 [::1]:25\n"
               "[log]\n"
               "level = warning\n"
               "nje = trace\n"
               "target = stderr",
               &conf);
    assert_string_equal(conf.connector.state, "/srv/a \"b\" ; \\c");
    assert_string_equal(conf.store.url, "sqlite:/srv/a \"b\" ; \\c/ovvm.db");
    assert_string_equal(conf.connector.default_node.text, "B");
    assert_int_equal(conf.link_count, 2);
    assert_int_equal(conf.links[0].kind, CONF_NJE38);
    assert_string_equal(conf.links[0].allow, "192.0.2.0/24 2001:db8::/32 ::1");
    assert_int_equal(conf.links[0].buffer, 4000);
    assert_string_equal(conf.links[0].oip, "192.0.2.2");
    assert_int_equal(conf.links[1].nodes.count, 2);
    assert_string_equal(conf.links[1].nodes.at[1].text, "B2");
    assert_true(conf.links[1].nodes.others);
    assert_int_equal(conf.links[1].retry_max_us, CLOCK_DAY);
    assert_string_equal(conf.smtp_in.listen, "127.0.0.1:25 [::1]:25");
    assert_int_equal(conf.smtp_in.max_size, 65536);
    assert_string_equal(conf.smtp_out.relay, "lmtp:/run/lmtp");
    assert_int_equal(conf.log.target, LOG_TO_STDERR);
    assert_int_equal(conf.log.levels[LOG_NJE], LOG_TRACE);
    assert_int_equal(conf.log.levels[LOG_SMTP], LOG_WARNING);
    conf_free(&conf);
}

static void parse_with_secret(const char *path, struct conf *conf, int result)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%s[log]\n[store]\n", LEAST);
    char *place = strstr(text, "[smtp-out]");
    char tail[512];
    (void)snprintf(tail, sizeof tail, "expect-node-password-file = %s\n%s", path, place);
    (void)snprintf(place, sizeof text - (size_t)(place - text), "%s", tail);
    assert_int_equal(conf_parse(span_text(text), conf, &problems), result);
}

static void write_secret(const char *path, const char *contents, mode_t mode)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fputs(contents, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* A password that all users can read is none; one that is shown in an error is none either. */
static void passwords_stay_secret(void **state)
{
    (void)state;
    struct conf conf;
    char folder[] = "/var/tmp/conf_test.XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/secret", folder);
    write_secret(path, "PASSWORD\n", 0640);
    parse_with_secret(path, &conf, 0);
    assert_string_equal(conf.links[0].expect_node_password, "PASSWORD");
    conf_free(&conf);
    write_secret(path, "PASSWORD\n", 0644);
    parse_with_secret(path, &conf, -1);
    assert_non_null(strstr(problems.at[0].text, "all users may use it (chmod o= it)"));
    static const char *const contents[] = { "", "\n", "PASSWORDS\n", "PASS WRD\n", "PASS\nWORD\n", "P\xC4SS\n" };
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        write_secret(path, contents[i], 0600);
        parse_with_secret(path, &conf, -1);
        assert_int_equal(problems.count, 1);
        assert_null(strstr(problems.at[0].text, "PASS"));
    }
    (void)unlink(path);
    (void)rmdir(folder);
}

static void long_lines_and_large_files_are_refused(void **state)
{
    (void)state;
    struct conf conf;
    struct buf text = { 0 };
    buf_add_text(&text, LEAST "#");
    buf_add_fill(&text, 'x', CONF_LINE_MAX - 1);
    assert_int_equal(conf_parse(buf_span(&text), &conf, &problems), 0);
    conf_free(&conf);
    buf_add_u8(&text, 'x');
    assert_int_equal(conf_parse(buf_span(&text), &conf, &problems), -1);
    assert_int_equal(problems.at[0].line, 9);
    assert_string_equal(problems.at[0].text,
                        "the line is longer than 4096 octets; split the value or shorten the comment");
    buf_add_fill(&text, '\n', CONF_FILE_MAX);
    assert_int_equal(conf_parse(buf_span(&text), &conf, &problems), -1);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.at[0].text, "the file is larger than 1 MiB; this is no configuration");
    buf_free(&text);
}

static void more_problems_than_a_screen_are_counted(void **state)
{
    (void)state;
    struct conf conf;
    struct buf text = { 0 }, said = { 0 };
    buf_add_text(&text, LEAST);
    for (int i = 0; i < 150; i++)
        buf_add_text(&text, "nonsense\n");
    assert_int_equal(conf_parse(buf_span(&text), &conf, &problems), -1);
    assert_int_equal(problems.count, CONF_PROBLEMS_MAX);
    conf_problems_print(&problems, "f", &said);
    buf_add_u8(&said, 0);
    assert_non_null(strstr((const char *)said.at, "f:9: \"nonsense\" is neither [section] nor key = value\n"));
    assert_non_null(strstr((const char *)said.at, "f: 50 more problems are not shown\n"));
    buf_free(&text);
    buf_free(&said);
}

static void a_file_that_is_not_there_says_what_to_do(void **state)
{
    (void)state;
    struct conf conf;
    struct buf said = { 0 };
    assert_int_equal(conf_load("/nonexistent/ovvm.conf", &conf, &problems), -1);
    conf_problems_print(&problems, "/nonexistent/ovvm.conf", &said);
    buf_add_u8(&said, 0);
    assert_string_equal((const char *)said.at, "/nonexistent/ovvm.conf: cannot be opened: No such file or directory; "
                                               "give another path with -c, or copy the sample there\n");
    buf_free(&said);
    assert_int_equal(conf_load("/dev", &conf, &problems), -1);
    assert_string_equal(problems.at[0].text, "is no regular file");
}

/* The shipped sample is what the table says, and a daemon would start with it. */
static void the_sample_is_current_and_sound(void **state)
{
    (void)state;
    struct conf conf;
    struct buf sample = { 0 }, shipped = { 0 };
    char path[1024];
    conf_describe(CONF_SAMPLE, &sample);
    assert_false(sample.failed);
    assert_int_equal(conf_parse(buf_span(&sample), &conf, &problems), 0);
    conf_free(&conf);
    (void)snprintf(path, sizeof path, "%s/../../share/ovvm.conf.sample", data_folder());
    if (!span_equal(read_all(path, &shipped), buf_span(&sample)))
        fail_msg("share/ovvm.conf.sample is not what the table says: run conf_pages sample > share/ovvm.conf.sample");
    buf_free(&sample);
    buf_free(&shipped);
}

/* Every example in an error message can be copied into the file as it is. */
static void every_example_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONF_SECTIONS; i++) {
        assert_true(conf_sections[i].key_count <= CONF_KEYS_MAX);
        for (size_t k = 0; k < conf_sections[i].key_count; k++) {
            const struct conf_key *key = &conf_sections[i].keys[k];
            union {
                struct name8 name;
                struct conf_nodes nodes;
                char *text;
                uint64_t size;
                int64_t time;
                unsigned count;
            } value = { 0 };
            struct err err;
            if (key->type == CONF_SECRET)
                continue; /* a file that is not there */
            if (conf_value_set(key, span_text(key->example), &value, &err) == -1)
                fail_msg("[%s] %s: %s", conf_sections[i].name, key->name, err.text);
            conf_value_free(key, &value);
        }
    }
}

#ifdef OVVM_FAULTS
/* Half a configuration is worse than none: a daemon short of memory refuses to start. */
static void memory_that_ends_is_a_problem_like_others(void **state)
{
    (void)state;
    struct conf conf;
    int result = -1, tries = 0;
    while (result == -1 && tries++ < 1000) {
        char fault[32];
        (void)snprintf(fault, sizeof fault, "alloc:%d", tries);
        (void)setenv("OVVM_FAULT", fault, 1);
        fault_init();
        result = conf_parse(SPAN_LITERAL(LEAST "[store]\nurl = sqlite:/srv/a\n"), &conf, &problems);
        assert_true(result == 0 || problems.count > 0);
    }
    (void)unsetenv("OVVM_FAULT");
    assert_int_equal(result, 0);
    assert_true(tries > 20); /* so many allocations were made to fail */
    assert_string_equal(conf.admin.socket, "/var/lib/ovvm/ovvm.sock");
    conf_free(&conf);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_told_in_these_words),
        cmocka_unit_test(the_least_gets_every_default),
        cmocka_unit_test(everything_can_be_given),
        cmocka_unit_test(passwords_stay_secret),
        cmocka_unit_test(long_lines_and_large_files_are_refused),
        cmocka_unit_test(more_problems_than_a_screen_are_counted),
        cmocka_unit_test(a_file_that_is_not_there_says_what_to_do),
        cmocka_unit_test(the_sample_is_current_and_sound),
        cmocka_unit_test(every_example_is_sound),
#ifdef OVVM_FAULTS
        cmocka_unit_test(memory_that_ends_is_a_problem_like_others),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
