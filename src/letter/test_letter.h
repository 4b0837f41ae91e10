/* test_letter: what the tests of the translations share: letters of tests/data/mail, options, host files made of lines
 * of text, and the bytes of what comes out. */
#ifndef OVVM_LETTER_TEST_LETTER_H
#define OVVM_LETTER_TEST_LETTER_H

#include "letter/facts.h"
#include "letter/hostfile.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "letter/translate.h"

#define NOV_24_2026_14_03_11 INT64_C(1795528991000000)

/* cmocka's group setup */
int test_letter_init(void **state);
/* A file of tests/data/mail. */
void test_mail_read(const char *name, struct buf *to);
struct name8 test_name(const char *text);
/* Packed options of this kind of host, code page 037, attachments sent. */
void test_options(enum letter_host_kind kind, struct buf *to);
/* Packed resolution from X0000017 at MICROSFT to this user. */
void test_host_resolution(const char *node, const char *user, bool receipt, struct buf *to);
/* The files that a letter becomes; fails the test where translation does. The caller frees the list. */
struct test_files {
    size_t count;
    struct hostfile file[16];
};
void test_to_host(struct span mail, const struct buf *options, const struct buf *resolution, struct test_files *files);
void test_files_release(struct test_files *files);
/* All cards in a row. */
void test_stream(const struct hostfile *file, struct buf *to);

/* Expected NETDATA: hex of whole segments, and a data record of ASCII text; then cards of X'00'. */
void test_hex(struct buf *to, const char *hex);
void test_line(struct buf *to, const char *text);
void test_pad(struct buf *to);
/* Fails with the place where they differ. */
void test_assert_bytes(struct span found, struct span expected);

/* A hostfile of cards from CMS1 at ALIJKU11 to MEA at MICROSFT. */
void test_card(struct hostfile *file, const char *text);
struct hostfile test_host_file(void);
/* Facts of a host file; the parsed ones lie in `packed`. */
void test_host_facts(const struct hostfile *file, enum letter_host_kind kind, struct buf *packed,
                     struct facts *facts_r);
/* Letter `letter` of the file as mail, from cms1@… to mea@example.com, as a C string in `mail`. */
const char *test_to_mail(const struct hostfile *file, enum letter_host_kind kind, size_t letter, struct buf *mail);
/* The mail has this text; prints the mail where it has not. */
void test_assert_has(const char *mail, const char *text);
void test_assert_span(struct span span, const char *text);

#endif
