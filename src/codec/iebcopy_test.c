/* What is lost when these fail: members of libraries that TSO users send, or their right names. */
#include "codec/iebcopy.h"

#include "codec/ebcdic.h"
#include "codec/netdata.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* --- by hand --- */
#define COPYR1_FB4 \
    "00CA6D0F0200" \
    "0010"         \
    "0004"         \
    "9000"         \
    "00000000"
#define BLOCK(r, dl) \
    "00000000"       \
    "00000000" r "00" dl
#define DIRECTORY_2    \
    "00000000"         \
    "00000000"         \
    "01"               \
    "08"               \
    "0100"             \
    "C1C1C1C1C1C1C1C1" \
    "0026"             \
    "C140404040404040" \
    "00000300"         \
    "C240404040404040" \
    "00000380"         \
    "FFFFFFFFFFFFFFFF0000000000"

static void add_record(struct records *records, const char *hex, size_t fill)
{
    struct buf record = { 0 };
    corpus_add_hex(&record, hex);
    buf_add_fill(&record, 0x00, fill);
    records_add(records, buf_span(&record));
    buf_free(&record);
}

/* Directory of A (TTR 000003) and its alias B; `data` are the blocks after it. */
static void make_unload(struct records *unload, const char *directory, const char *data)
{
    add_record(unload, COPYR1_FB4, 0);
    add_record(unload, "", 276);
    struct buf block = { 0 };
    corpus_add_hex(&block, directory);
    size_t size = 12 + 8 + 256;
    add_record(unload, directory, block.size < size ? size - block.size : 0);
    buf_free(&block);
    add_record(unload, data, 0);
}

static void aliases_name_their_member(void **state)
{
    (void)state;
    struct records unload = { .count = 0 };
    struct iebcopy iebcopy;
    struct iebcopy_member member;
    struct err err = ERR_CLEAR;
    make_unload(&unload, DIRECTORY_2,
                BLOCK("00", "0000") BLOCK("03", "0006") "C1C2C3C4C5C6" BLOCK("04", "0001") "C7" BLOCK("05", "0000"));
    if (iebcopy_open(&iebcopy, &unload, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(iebcopy_next(&iebcopy, &member, &err), 1);
    assert_string_equal(member.name, "A");
    assert_int_equal(member.records->count, 3); /* ABCD, EF, G */
    assert_int_equal(iebcopy_next(&iebcopy, &member, &err), 1);
    assert_string_equal(member.name, "B");
    assert_string_equal(member.alias_of, "A");
    assert_int_equal(iebcopy_next(&iebcopy, &member, &err), 0);
    iebcopy_close(&iebcopy);
    records_free(&unload);
}

static void damage_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *directory;
        const char *data;
        bool opens;
    } damaged[] = {
        { DIRECTORY_2, BLOCK("00", "0000"), true },                                              /* no data */
        { DIRECTORY_2, BLOCK("00", "0000") BLOCK("03", "0001") "C1", true },                     /* no end */
        { DIRECTORY_2, BLOCK("00", "0000") BLOCK("07", "0001") "C1" BLOCK("08", "0000"), true }, /* elsewhere */
        { DIRECTORY_2, "", false },                                                              /* endless directory */
        { "00000000"
          "00000000"
          "01"
          "08"
          "0100"
          "C1C1C1C1C1C1C1C1"
          "FFFF",
          BLOCK("00", "0000"), false },
        { "00000000"
          "00000000"
          "01"
          "08"
          "0100"
          "C1C1C1C1C1C1C1C1"
          "0001",
          BLOCK("00", "0000"), false },
        { "00000000"
          "00000000"
          "01"
          "08"
          "0100"
          "C1C1C1C1C1C1C1C1"
          "0009C1C2C3",
          BLOCK("00", "0000"), false },
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct records unload = { .count = 0 };
        struct iebcopy iebcopy;
        struct iebcopy_member member;
        struct err err = ERR_CLEAR;
        make_unload(&unload, damaged[i].directory, damaged[i].data);
        assert_int_equal(iebcopy_open(&iebcopy, &unload, &err), damaged[i].opens ? 0 : -1);
        if (damaged[i].opens)
            assert_int_equal(iebcopy_next(&iebcopy, &member, &err), -1);
        assert_int_equal(err.id, ERR_BAD_CONTENT);
        iebcopy_close(&iebcopy);
        records_free(&unload);
    }
    struct records none = { .count = 0 };
    struct iebcopy iebcopy;
    struct err err = ERR_CLEAR;
    assert_int_equal(iebcopy_open(&iebcopy, &none, &err), -1);
    iebcopy_close(&iebcopy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_name_their_member),
        cmocka_unit_test(damage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
