/* What is lost when these fail: members of libraries that TSO users send, or their right names. */
#include "codec/iebcopy.h"

#include "codec/ebcdic.h"
#include "codec/netdata.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static json_t *member_of(json_t *members, const char *name)
{
    size_t index;
    json_t *member;
    json_array_foreach(members, index, member)
    {
        if (strcmp(json_string_value(json_object_get(member, "name")), name) == 0)
            return member;
    }
    fail_msg("member %s should not be there", name);
    return NULL;
}

static void assert_members(const struct records *unload, json_t *expected)
{
    json_t *members = json_object_get(expected, "members");
    struct iebcopy iebcopy;
    struct iebcopy_member member;
    struct err err = ERR_CLEAR;
    size_t found = 0;
    int more;
    assert_int_equal(iebcopy_open(&iebcopy, unload, &err), 0);
    assert_int_equal(iebcopy.lrecl, json_integer_value(json_object_get(expected, "lrecl")));
    assert_true(iebcopy.pdse == (strcmp(json_string_value(json_object_get(expected, "container")), "PDSE") == 0));
    while ((more = iebcopy_next(&iebcopy, &member, &err)) == 1) {
        json_t *wanted = member_of(members, member.name);
        found++;
        assert_true(json_is_true(json_object_get(wanted, "alias_of")) == (member.alias_of != NULL));
        if (member.alias_of != NULL)
            continue;
        struct buf bytes = { 0 };
        char hex[65];
        records_join(member.records, &bytes);
        corpus_sha256(buf_span(&bytes), hex);
        assert_int_equal(bytes.size, json_integer_value(json_object_get(wanted, "size")));
        assert_string_equal(hex, json_string_value(json_object_get(wanted, "sha256")));
        buf_free(&bytes);
    }
    /* the members of a file that was cut short are those that were whole */
    size_t index;
    size_t whole = 0;
    json_t *wanted;
    json_array_foreach(members, index, wanted) whole +=
        json_object_get(wanted, "sha256") != NULL || json_is_true(json_object_get(wanted, "alias_of"));
    assert_int_equal(found, whole);
    assert_int_equal(more, whole == json_array_size(members) ? 0 : -1);
    iebcopy_close(&iebcopy);
}

static void members_of_real_libraries_are_found(void **state)
{
    (void)state;
    json_t *golden = corpus_json("netdata/golden.json");
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(golden, "files"), index, entry)
    {
        char name[64];
        (void)snprintf(name, sizeof name, "netdata/%s", json_string_value(json_object_get(entry, "file")));
        struct buf bytes = { 0 };
        struct netdata_stream stream;
        struct err err = ERR_CLEAR;
        corpus_read(name, &bytes);
        (void)netdata_decode(buf_span(&bytes), &stream, &err);
        assert_members(&stream.files[0].records,
                       json_array_get(json_object_get(json_object_get(entry, "xmi"), "files"), 0));
        netdata_release(&stream);
        buf_free(&bytes);
    }
    json_decref(golden);
}

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
        cmocka_unit_test(members_of_real_libraries_are_found),
        cmocka_unit_test(aliases_name_their_member),
        cmocka_unit_test(damage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
