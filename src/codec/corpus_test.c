/* What is lost when these fail: files that real hosts sent, in full and under their right names. What they hold was
 * found by two independent decoders (golden.json). They belong to others and are read in place. */
#include "codec/ebcdic.h"
#include "codec/iebcopy.h"
#include "codec/netdata.h"
#include "codec/note.h"
#include "codec/print.h"
#include "codec/punch.h"
#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOV_13_1993_21_52_42 INT64_C(753227562000000)

/* --- comparing with what two independent decoders found --- */
static const struct {
    uint16_t key;
    bool text;
    const char *name;
} keys[] = {
    { INMDSNAM, true, "INMDSNAM" },  { INMMEMBR, true, "INMMEMBR" },  { INMDIR, false, "INMDIR" },
    { INMTERM, false, "INMTERM" },   { INMBLKSZ, false, "INMBLKSZ" }, { INMDSORG, false, "INMDSORG" },
    { INMLRECL, false, "INMLRECL" }, { INMRECFM, false, "INMRECFM" }, { INMTNODE, true, "INMTNODE" },
    { INMTUID, true, "INMTUID" },    { INMFNODE, true, "INMFNODE" },  { INMFUID, true, "INMFUID" },
    { INMLCHG, true, "INMLCHG" },    { INMFTIME, true, "INMFTIME" },  { INMFACK, false, "INMFACK" },
    { INMUTILN, true, "INMUTILN" },  { INMSIZE, false, "INMSIZE" },   { INMFFM, true, "INMFFM" },
    { INMNUMF, false, "INMNUMF" },   { INMTYPE, false, "INMTYPE" },
};

static void assert_value(struct span value, bool text, const char *expected)
{
    if (text) {
        corpus_assert_record(value, expected);
        return;
    }
    char hex[64] = "";
    assert_true(value.size < sizeof hex / 2);
    for (size_t i = 0; i < value.size; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", value.at[i]);
    assert_string_equal(hex, expected);
}

static void assert_units(struct span bytes, json_t *expected)
{
    struct reader units = reader_of(bytes);
    struct netdata_unit unit;
    struct err err = ERR_CLEAR;
    size_t count = 0;
    while (netdata_unit_next(&units, &unit, &err) == 1) {
        json_t *pair = json_array_get(expected, count++);
        assert_non_null(pair);
        size_t i = 0;
        while (i < sizeof keys / sizeof keys[0] && keys[i].key != unit.key)
            i++;
        assert_true(i < sizeof keys / sizeof keys[0]);
        assert_string_equal(keys[i].name, json_string_value(json_array_get(pair, 0)));
        json_t *values = json_array_get(pair, 1);
        assert_int_equal(unit.count, json_array_size(values));
        struct span value;
        for (size_t j = 0; netdata_value_next(&unit, &value); j++)
            assert_value(value, keys[i].text, json_string_value(json_array_get(values, j)));
    }
    assert_int_equal(err.id, ERR_NONE);
    assert_int_equal(count, json_array_size(expected));
}

/* `id` "INMR0n", `file` a number or null. */
static void assert_control(const struct netdata_record *record, json_t *id, json_t *file, json_t *units)
{
    char name[8];
    (void)snprintf(name, sizeof name, "INMR%02u", record->number);
    assert_string_equal(name, json_string_value(id));
    if (json_is_integer(file))
        assert_int_equal(record->file, json_integer_value(file));
    assert_units(record->bytes, units);
}

struct found {
    struct buf concatenated;
    struct buf with_lengths;
    size_t records;
    size_t longest;
    size_t shortest;
};

static void found_add(struct found *found, struct span data)
{
    found->records++;
    found->longest = data.size > found->longest ? data.size : found->longest;
    found->shortest = found->records == 1 || data.size < found->shortest ? data.size : found->shortest;
    buf_add_span(&found->concatenated, data);
    buf_add_u32(&found->with_lengths, (uint32_t)data.size);
    buf_add_span(&found->with_lengths, data);
}

static void assert_found(const struct found *found, json_t *expected)
{
    assert_int_equal(found->records, json_integer_value(json_object_get(expected, "records")));
    assert_int_equal(found->concatenated.size, json_integer_value(json_object_get(expected, "bytes")));
    char hex[65];
    corpus_sha256(buf_span(&found->concatenated), hex);
    assert_string_equal(hex, json_string_value(json_object_get(expected, "sha256_concat")));
    json_t *lengths = json_object_get(expected, "sha256_len16be");
    if (lengths == NULL)
        return;
    corpus_sha256(buf_span(&found->with_lengths), hex);
    assert_string_equal(hex, json_string_value(lengths));
    assert_int_equal(found->shortest, json_integer_value(json_object_get(expected, "minlen")));
    assert_int_equal(found->longest, json_integer_value(json_object_get(expected, "maxlen")));
}

/* One data set per file in all of these. `objects`: control records as objects, else as arrays. */
static void assert_stream(struct span stream, json_t *control, json_t *file, bool trailer, bool objects)
{
    struct netdata netdata;
    struct netdata_record record;
    struct err err = ERR_CLEAR;
    struct found found = { .records = 0 };
    size_t controls = 0;
    int more;
    assert_true(netdata_detect(stream));
    assert_int_equal(netdata_open(&netdata, stream, &err), 0);
    while ((more = netdata_next(&netdata, &record, &err)) == 1) {
        json_t *expected = json_array_get(control, controls);
        if (!record.control) {
            found_add(&found, record.bytes);
        } else if (objects) {
            controls++;
            assert_int_equal(record.offset, json_integer_value(json_object_get(expected, "offset")));
            assert_control(&record, json_object_get(expected, "rec"), json_object_get(expected, "file"),
                           json_object_get(expected, "tu"));
        } else {
            controls++;
            assert_control(&record, json_array_get(expected, 0), json_array_get(expected, 1),
                           json_array_get(expected, 2));
        }
    }
    netdata_close(&netdata);
    assert_int_equal(more, trailer ? 0 : -1);
    assert_int_equal(err.id, trailer ? ERR_NONE : ERR_BAD_CONTENT);
    assert_int_equal(controls, json_array_size(control));
    assert_found(&found, file);
    buf_free(&found.concatenated);
    buf_free(&found.with_lengths);
}

static void real_transmissions_are_read_in_full(void **state)
{
    (void)state;
    json_t *golden = corpus_json("netdata/golden.json");
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(golden, "files"), index, entry)
    {
        char name[64];
        (void)snprintf(name, sizeof name, "netdata/%s", json_string_value(json_object_get(entry, "file")));
        struct buf stream = { 0 };
        corpus_read(name, &stream);
        json_t *expected = json_object_get(entry, "ndref");
        bool trailer = json_is_true(json_object_get(expected, "trailer"));
        assert_int_equal(json_array_size(json_object_get(expected, "files")), 1);
        json_t *file = json_array_get(json_object_get(expected, "files"), 0);
        assert_stream(buf_span(&stream), json_object_get(expected, "control"), file, trailer, true);

        struct netdata_stream decoded;
        struct err err = ERR_CLEAR;
        assert_int_equal(netdata_decode(buf_span(&stream), &decoded, &err), trailer ? 0 : -1);
        assert_int_equal(decoded.file_count, 1);
        assert_true(decoded.files[0].partitioned);
        /* a stream that is cut short still gives what came before */
        assert_int_equal(decoded.files[0].records.count, json_integer_value(json_object_get(file, "records")));
        json_t *names = json_object_get(json_object_get(entry, "xmi"), "from_to");
        assert_string_equal(decoded.from_node.text, json_string_value(json_array_get(names, 0)));
        assert_string_equal(decoded.from_user.text, json_string_value(json_array_get(names, 1)));
        assert_string_equal(decoded.to_node.text, json_string_value(json_array_get(names, 2)));
        assert_string_equal(decoded.to_user.text, json_string_value(json_array_get(names, 3)));
        netdata_release(&decoded);
        buf_free(&stream);
    }
    assert_int_equal(index, 42);
    json_decref(golden);
}

static void netdata_inside_real_cards_is_read(void **state)
{
    (void)state;
    json_t *golden = corpus_json("spool/golden.json");
    size_t index;
    json_t *entry;
    size_t streams = 0;
    json_array_foreach(golden, index, entry)
    {
        char name[64];
        (void)snprintf(name, sizeof name, "spool/%s", json_string_value(json_object_get(entry, "file")));
        struct records cards = { .count = 0 };
        struct buf stream = { 0 };
        corpus_cards(name, &cards);
        records_join(&cards, &stream);
        json_t *expected = json_object_get(entry, "netdata");
        if (expected == NULL) {
            assert_false(netdata_detect(buf_span(&stream)));
        } else {
            streams++;
            assert_stream(buf_span(&stream), json_object_get(expected, "control"),
                          json_array_get(json_object_get(expected, "files"), 0), true, false);
        }
        records_free(&cards);
        buf_free(&stream);
    }
    assert_int_equal(streams, 3);
    json_decref(golden);
}

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

static void the_real_note_is_read(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    struct buf bytes = { 0 };
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    corpus_cards("spool/spool.cmsnote", &cards);
    records_join(&cards, &bytes);
    assert_int_equal(netdata_decode(buf_span(&bytes), &stream, &err), 0);
    assert_true(stream.files[0].message);
    struct note note;
    assert_int_equal(note_parse(&stream.files[0].records, &ebcdic_page_037, &note, &err), 0);
    assert_true(note.understood);
    assert_int_equal(note.date.us, NOV_13_1993_21_52_42);
    assert_string_equal(note.from.user.text, stream.from_user.text);
    assert_string_equal(note.from.node.text, stream.from_node.text);
    assert_string_equal(note.to[0].user.text, stream.to_user.text);
    assert_true(span_equal(note.body, SPAN_LITERAL("Test")));
    note_release(&note);
    netdata_release(&stream);
    records_free(&cards);
    buf_free(&bytes);
}

/* Every word of the file, in order, is in the lines. */
static void assert_nothing_lost(const char *name, enum print_control control, size_t pages, const char *first)
{
    struct records from = { .count = 0 };
    struct records to = { .count = 0 };
    struct print_facts facts;
    struct span record;
    size_t letters_in = 0;
    size_t letters_out = 0;
    corpus_cards(name, &from);
    print_to_lines(&from, control, &to, &facts);
    struct reader walk = records_walk(&from);
    while (records_next(&walk, &record))
        for (size_t i = 1; i < record.size; i++)
            letters_in += record.at[i] > 0x40;
    walk = records_walk(&to);
    while (records_next(&walk, &record))
        for (size_t i = 0; i < record.size; i++)
            letters_out += record.at[i] > 0x40;
    assert_int_equal(facts.merged, 0);
    assert_int_equal(facts.unknown, 0);
    assert_int_equal(facts.pages, pages);
    assert_int_equal(letters_in, letters_out);
    walk = records_walk(&to);
    assert_true(records_next(&walk, &record));
    struct buf utf8 = { 0 };
    (void)ebcdic_to_utf8(&ebcdic_page_037, record, &utf8);
    assert_true(span_starts_with(buf_span(&utf8), span_text(first)));
    buf_free(&utf8);
    records_free(&from);
    records_free(&to);
}

static void real_print_files_are_read(void **state)
{
    (void)state;
    assert_nothing_lost("spool/spool.vmprint", PRINT_MACHINE, 1, "FILE: PROFILE  ADMDEFS  A");
    assert_nothing_lost("spool/spool.mvsout3", PRINT_MACHINE, 5, "                   J E S 2  J O B  L O G");
}

static void a_real_deck_is_read(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    corpus_cards("spool/spool.sysinjob", &cards);
    struct punch_walk walk = punch_walk_of(&cards);
    struct punch_file file;
    struct span card;
    assert_true(punch_next_file(&walk, &file));
    assert_string_equal(file.name, "PROFILE");
    assert_string_equal(file.type, "ADMDEFS");
    assert_string_equal(file.mode, "A1");
    assert_string_equal(file.date, "11/12/92 10:56:32");
    size_t count = 0;
    while (punch_next_card(&walk, &card))
        count++;
    assert_int_equal(count + 1, cards.count);
    assert_false(punch_next_file(&walk, &file));
    records_free(&cards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_transmissions_are_read_in_full), cmocka_unit_test(netdata_inside_real_cards_is_read),
        cmocka_unit_test(members_of_real_libraries_are_found), cmocka_unit_test(the_real_note_is_read),
        cmocka_unit_test(real_print_files_are_read),           cmocka_unit_test(a_real_deck_is_read),
    };
    if (getenv("OVVM_CORPUS") == NULL) {
        (void)puts("1..0 # SKIP OVVM_CORPUS is not set: no real host files to read");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
