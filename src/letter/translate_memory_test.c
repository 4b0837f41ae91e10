/* What is lost when these fail: half a letter, passed on as if it were whole, because memory was short. Each allocation
 * of each translation is made to fail, alone and with all later ones: the answer is "no memory", or all of the letter.
 */
#include "base/fault.h"
#include "letter/test_letter.h"

#include "codec/netdata_send.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ALLOCATIONS_MAX = 3000 };

/* One translation with everything that it needs. */
struct job {
    struct buf input, options, resolution;
    int (*run)(const struct job *job, struct buf *out, struct err *err);
};

#ifdef OVVM_FAULTS
static void arm(unsigned n, const char *more)
{
    char setting[32];
    (void)snprintf(setting, sizeof setting, "alloc:%u%s", n, more);
    assert_int_equal(setenv("OVVM_FAULT", setting, 1), 0);
    fault_init();
}
#else
static void arm(unsigned n, const char *more)
{
    (void)n;
    (void)more;
}
#endif

static void exhaust(const struct job *job, const char *more)
{
    struct buf whole = { 0 };
    assert_int_equal(job->run(job, &whole, NULL), 0);
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        struct buf out = { 0 };
        struct err err = ERR_CLEAR;
        arm(n, more);
        int result = job->run(job, &out, &err);
        arm(0, "");
        if (result != 0)
            assert_int_equal(err.id, ERR_NO_MEMORY);
        else if (!span_equal(buf_span(&out), buf_span(&whole)))
            fail_msg("allocation %u%s failed, and the letter is another one", n, more);
        buf_free(&out);
        if (result == 0) {
            buf_free(&whole);
            return; /* beyond the last */
        }
    }
    fail_msg("it never succeeds");
}

static void finish(struct job *job)
{
    exhaust(job, "+");
    exhaust(job, "");
    buf_free(&job->input);
    buf_free(&job->options);
    buf_free(&job->resolution);
}

static int run_to_host(const struct job *job, struct buf *out, struct err *err)
{
    return translate_mail_to_host(buf_span(&job->input), buf_span(&job->options), buf_span(&job->resolution), out, err);
}

static int run_to_mail(const struct job *job, struct buf *out, struct err *err)
{
    return translate_host_to_mail(buf_span(&job->input), buf_span(&job->options), buf_span(&job->resolution), out, err);
}

static int run_facts(const struct job *job, struct buf *out, struct err *err)
{
    return translate_host_facts(buf_span(&job->input), buf_span(&job->options), out, err);
}

static int run_mail_facts(const struct job *job, struct buf *out, struct err *err)
{
    return translate_mail_facts(buf_span(&job->input), out, err);
}

static void mail_to_each_kind_of_host(void **state)
{
    (void)state;
    for (enum letter_host_kind kind = HOST_CMS; kind <= HOST_MAILER; kind++) {
        struct job job = { .run = run_to_host };
        test_mail_read("alternative.eml", &job.input);
        test_options(kind, &job.options);
        test_host_resolution("MAPLEC1", "GEORGEB", true, &job.resolution);
        finish(&job);
    }
}

static void facts_of_mail(void **state)
{
    (void)state;
    struct job job = { .run = run_mail_facts };
    test_mail_read("people.eml", &job.input);
    finish(&job);
}

static void resolve(struct job *job)
{
    struct mail_resolution resolution = { .from = SPAN_LITERAL("a@example.org"),
                                          .from_name = SPAN_EMPTY,
                                          .to = SPAN_LITERAL("b@example.org"),
                                          .to_name = SPAN_EMPTY,
                                          .reply_to = SPAN_EMPTY,
                                          .message_id = SPAN_LITERAL("<x@example.org>"),
                                          .in_reply_to = SPAN_EMPTY };
    mail_resolution_pack(&job->resolution, &resolution);
}

/* Facts and mail of a host file. */
static void both(struct hostfile *file, enum letter_host_kind kind)
{
    for (int i = 0; i < 2; i++) {
        struct job job = { .run = i == 0 ? run_facts : run_to_mail };
        hostfile_pack(&job.input, file);
        test_options(kind, &job.options);
        resolve(&job);
        finish(&job);
    }
    hostfile_release(file);
}

static void notes_and_envelopes(void **state)
{
    (void)state;
    struct hostfile note = test_host_file();
    test_card(&note, "Date: 13 November 93, 22:52:42 CET");
    test_card(&note, "From: CMS1     at ALIJKU11");
    test_card(&note, "To:   MEA at FINFILES");
    test_card(&note, "");
    test_card(&note, "Test");
    both(&note, HOST_CMS);
    struct hostfile envelope = test_host_file();
    test_card(&envelope, "HELO CMSNODE");
    test_card(&envelope, "MAIL FROM:<FRED@CMSNODE>");
    test_card(&envelope, "RCPT TO:<b@example.org>");
    test_card(&envelope, "DATA");
    test_card(&envelope, "From: FRED@CMSNODE");
    test_card(&envelope, "");
    test_card(&envelope, "text");
    test_card(&envelope, ".");
    both(&envelope, HOST_CMS370);
    struct hostfile profs = test_host_file();
    test_card(&profs, " MSG:FROM: JOHNDOE --VMSP6    TO: ADMIN   --PROFS30            05/13/93 22:27:06");
    test_card(&profs, " To: ADMIN   --PROFS30");
    test_card(&profs, " Subject: Testing rdr file");
    test_card(&profs, " This is ...");
    both(&profs, HOST_PROFS);
}

static void files_by_sendfile(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct records records = { .count = 0 };
    struct buf stream = { 0 };
    struct netdata_route route = { .from_node = file.from_node,
                                   .from_user = file.from_user,
                                   .to_node = file.to_node,
                                   .to_user = file.to_user,
                                   .time_us = NOV_24_2026_14_03_11 };
    struct netdata_item item = { .name = test_name("TEST"), .type = test_name("LISTING"), .records = &records };
    records_add(&records, SPAN_LITERAL("\xC1\xC2\xC3"));
    assert_int_equal(netdata_encode(NETDATA_CMS, &route, NULL, &item, &stream, NULL), 0);
    netdata_cards(buf_span(&stream), &file.records);
    records_free(&records);
    buf_free(&stream);
    both(&file, HOST_CMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_to_each_kind_of_host),
        cmocka_unit_test(facts_of_mail),
        cmocka_unit_test(notes_and_envelopes),
        cmocka_unit_test(files_by_sendfile),
    };
#ifndef OVVM_FAULTS
    (void)puts("1..0 # SKIP this build has no fault injection");
    return 0;
#endif
    return cmocka_run_group_tests(tests, test_letter_init, NULL);
}
