/* What is lost when these fail: a file that a real host made and that we cannot pass on. The files belong to others
 * and are read in place; without OVVM_CORPUS all of this is skipped. */
#include "codec/test_corpus.h"
#include "letter/test_letter.h"

#include "codec/ebcdic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CUT_OFF = 1 /* of the public files ends before INMR06 */ };

/* Every real TRANSMIT file becomes a mail with its contents as attachments; only those cut off are attached raw too. */
static void every_real_netdata_file_arrives(void **state)
{
    (void)state;
    json_t *golden = corpus_json("netdata/golden.json");
    json_t *list = json_object_get(golden, "files");
    size_t raw = 0;
    size_t at;
    json_t *entry;
    json_array_foreach(list, at, entry)
    {
        char name[256];
        struct hostfile file = test_host_file();
        struct buf bytes = { 0 };
        struct buf mail = { 0 };
        (void)snprintf(name, sizeof name, "netdata/%s", json_string_value(json_object_get(entry, "file")));
        corpus_read(name, &bytes);
        records_cut(&file.records, buf_span(&bytes), CARD_COLUMNS, EBCDIC_BLANK);
        const char *text = test_to_mail(&file, HOST_TSO, 0, &mail);
        test_assert_has(text, "\r\nSubject: ");
        raw += strstr(text, "attached as the host sent it") != NULL;
        hostfile_release(&file);
        buf_free(&bytes);
        buf_free(&mail);
    }
    assert_true(json_array_size(list) > 40);
    assert_int_equal(raw, CUT_OFF);
    json_decref(golden);
}

static void the_real_note(void **state)
{
    (void)state;
    struct hostfile file = test_host_file();
    struct buf mail = { 0 };
    corpus_cards("spool/spool.cmsnote", &file.records);
    const char *text = test_to_mail(&file, HOST_CMS, 0, &mail);
    test_assert_has(text, "Date: Sat, 13 Nov 1993 22:52:42 +0100\r\n");
    test_assert_has(text, "\r\n\r\nTo: MEA at FINFILES\r\n\r\nTest\r\n");
    hostfile_release(&file);
    buf_free(&mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_real_netdata_file_arrives),
        cmocka_unit_test(the_real_note),
    };
    if (getenv("OVVM_CORPUS") == NULL) {
        (void)puts("1..0 # SKIP OVVM_CORPUS is not set: no real host files to read");
        return 0;
    }
    return cmocka_run_group_tests(tests, test_letter_init, NULL);
}
