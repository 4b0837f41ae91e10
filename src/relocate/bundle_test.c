/* What is lost when these fail: a move. A damaged or forged bundle would be taken for whole, or a whole one refused. */
#include "relocate/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MEMBERS_MAX = 16, CONTENT_SIZE = 64 * 1024 };

struct member {
    char name[200];
    char *content;
    size_t size;
    int type; /* 0: a plain file */
};

static char folder[64];

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(paths[turn], sizeof paths[turn], "%s/%s", folder, name);
    return paths[turn];
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/ovvm-bundle-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = { "whole", "other", "whole.tmp" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(path_of(names[i]));
    return rmdir(folder);
}

#define ITEM "Queue/01ARZ3NDEKTSV4RRFFQ69G5FAV.item"

static void put(struct bundle_writer *writer, const char *name, struct span bytes)
{
    struct err err = ERR_CLEAR;
    if (bundle_begin(writer, name, &err) == -1 || bundle_put(writer, bytes, &err) == -1 ||
        bundle_end(writer, &err) == -1)
        fail_msg("%s", err.text);
}

static json_t *some_facts(int version)
{
    return json_pack("{s:s, s:i, s:s}", "format", "ovvm-bundle", "format_version", version, "program", "ovvm test");
}

/* A bundle at PATH/whole, published or not. */
static void write_whole(bool publish)
{
    struct bundle_writer *writer = NULL;
    struct err err = ERR_CLEAR;
    uint8_t digest[BUNDLE_SHA256];
    json_t *facts = some_facts(BUNDLE_FORMAT);
    if (bundle_create(path_of("whole"), NULL, &writer, &err) == -1)
        fail_msg("%s", err.text);
    put(writer, "Tables/Ct.csv", SPAN_LITERAL("key\n1\n"));
    put(writer, "Tables/Route.tbl", SPAN_LITERAL("MAPLEC1 MAPLEC2\n"));
    put(writer, ITEM, SPAN_LITERAL("OVVM-ITEM 1\n"));
    if (bundle_finish(writer, SPAN_LITERAL("files\n"), facts, digest, &err) == -1 ||
        (publish && bundle_publish(writer, &err) == -1))
        fail_msg("%s", err.text);
    json_decref(facts);
    bundle_close(writer);
}

static int verify(const char *name, struct err *err)
{
    struct bundle_reader *reader = NULL;
    json_t *manifest = NULL;
    *err = ERR_CLEAR;
    int result = bundle_open(path_of(name), NULL, &reader, err);
    if (result == 0)
        result = bundle_verify(reader, true, &manifest, err);
    json_decref(manifest);
    bundle_reader_free(reader);
    return result;
}

/* --- taking a bundle apart and putting it together again, without our code --- */

static size_t take_apart(struct member *members)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    size_t count = 0;
    assert_int_equal(archive_read_support_filter_all(archive), ARCHIVE_OK);
    assert_int_equal(archive_read_support_format_all(archive), ARCHIVE_OK);
    assert_int_equal(archive_read_open_filename(archive, path_of("whole"), 10240), ARCHIVE_OK);
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        struct member *member = &members[count++];
        (void)snprintf(member->name, sizeof member->name, "%s", archive_entry_pathname(entry));
        member->type = 0;
        member->content = malloc(CONTENT_SIZE);
        assert_non_null(member->content);
        member->size = (size_t)archive_read_data(archive, member->content, CONTENT_SIZE);
    }
    (void)archive_read_free(archive);
    return count;
}

static void put_together(const struct member *members, size_t count)
{
    struct archive *archive = archive_write_new();
    assert_int_equal(archive_write_add_filter_zstd(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_pax_restricted(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(archive, path_of("other")), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, members[i].name);
        archive_entry_set_filetype(entry, members[i].type == 0 ? AE_IFREG : (unsigned)members[i].type);
        if (members[i].type == AE_IFLNK)
            archive_entry_set_symlink(entry, "/etc/passwd");
        archive_entry_set_size(entry, members[i].type == 0 ? (la_int64_t)members[i].size : 0);
        archive_entry_set_perm(entry, 0600);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        if (members[i].type == 0)
            (void)archive_write_data(archive, members[i].content, members[i].size);
        archive_entry_free(entry);
    }
    (void)archive_write_free(archive);
}

static void forget(struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(members[i].content);
}

static size_t find(const struct member *members, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(members[i].name, name) == 0)
            return i;
    fail_msg("no member %s", name);
    return 0;
}

/* --- tests --- */

static void a_bundle_comes_back_whole(void **state)
{
    (void)state;
    struct bundle_reader *reader = NULL;
    struct err err = ERR_CLEAR;
    json_t *manifest = NULL;
    struct stat status;
    write_whole(true);
    assert_int_equal(stat(path_of("whole"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600); /* it holds mail */
    assert_int_equal(access(path_of("whole.tmp"), F_OK), -1);
    assert_int_equal(bundle_open(path_of("whole"), NULL, &reader, &err), 0);
    if (bundle_verify(reader, true, &manifest, &err) == -1)
        fail_msg("%s", err.text);
    assert_int_equal(bundle_entry_count(reader), 6);
    assert_int_equal(json_array_size(json_object_get(manifest, "members")), 4);
    const char *name;
    int64_t size;
    char content[64];
    size_t got;
    assert_int_equal(bundle_next(reader, &name, &size, &err), 1);
    assert_string_equal(name, "Tables/Ct.csv");
    assert_int_equal(size, 6);
    assert_int_equal(bundle_read(reader, content, sizeof content, &got, &err), 0);
    assert_int_equal(got, 6);
    assert_memory_equal(content, "key\n1\n", 6);
    json_decref(manifest);
    bundle_reader_free(reader);
}

static void a_bundle_without_its_name_leaves_nothing(void **state)
{
    (void)state;
    (void)unlink(path_of("whole"));
    write_whole(false);
    assert_int_equal(access(path_of("whole"), F_OK), -1);
    assert_int_equal(access(path_of("whole.tmp"), F_OK), -1);
    write_whole(true);
}

static void every_flipped_member_is_found(void **state)
{
    (void)state;
    struct member members[MEMBERS_MAX];
    struct err err;
    size_t count = take_apart(members);
    put_together(members, count);
    if (verify("other", &err) == -1) /* the way there and back alone changes nothing */
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < members[i].size; at++) {
            members[i].content[at] ^= 0x01;
            put_together(members, count);
            if (verify("other", &err) == 0)
                fail_msg("byte %zu of %s flipped, and nobody saw it", at, members[i].name);
            members[i].content[at] ^= 0x01;
        }
    }
    forget(members, count);
}

static void every_missing_renamed_or_added_member_is_found(void **state)
{
    (void)state;
    struct member members[MEMBERS_MAX];
    struct err err;
    size_t count = take_apart(members);
    for (size_t i = 0; i < count; i++) {
        struct member moved = members[i];
        members[i] = members[count - 1]; /* missing (the order does not matter but for SHA256SUMS) */
        members[count - 1] = moved;
        put_together(members, count - 1);
        if (verify("other", &err) == 0)
            fail_msg("%s is missing, and nobody saw it", moved.name);
        members[count - 1] = members[i];
        members[i] = moved;
        (void)snprintf(members[i].name, sizeof members[i].name, "Tables/Ovdfile.dat");
        put_together(members, count);
        if (verify("other", &err) == 0)
            fail_msg("%s was renamed, and nobody saw it", moved.name);
        members[i] = moved;
    }
    /* one more: in front, listed nowhere; twice; behind the end */
    size_t sums = find(members, count, BUNDLE_SUMS);
    assert_int_equal(sums, count - 1);
    members[count] = members[sums];
    members[sums] = (struct member){ .name = "Tables/Cmsxmap.tbl", .content = members[0].content, .size = 3 };
    put_together(members, count + 1);
    assert_int_equal(verify("other", &err), -1);
    members[sums] = members[0];
    put_together(members, count + 1);
    assert_int_equal(verify("other", &err), -1);
    assert_non_null(strstr(err.text, "twice"));
    members[sums] = members[count];
    members[count] = (struct member){ .name = "Tables/Cmsxmap.tbl", .content = members[0].content, .size = 3 };
    put_together(members, count + 1);
    assert_int_equal(verify("other", &err), -1);
    assert_non_null(strstr(err.text, "must be the last"));
    forget(members, count);
}

static void no_name_leads_anywhere_else(void **state)
{
    (void)state;
    static const char *const names[] = { "../etc/passwd",
                                         "/etc/passwd",
                                         "Tables/../x.tbl",
                                         "Tables/.tbl",
                                         "Tables/a/b.tbl",
                                         "Tables/x.tbl/",
                                         "./Tables/Ct.csv",
                                         "Tables/x.sh",
                                         "Queue/x.item",
                                         "Queue/../../x",
                                         "Queue/01arz3ndektsv4rrffq69g5fav.item",
                                         "State/other.csv",
                                         "ovvm.db",
                                         "" };
    struct member members[MEMBERS_MAX];
    struct err err;
    size_t count = take_apart(members);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(bundle_name_ok(names[i]));
        struct member kept = members[0];
        (void)snprintf(members[0].name, sizeof members[0].name, "%s", names[i]);
        put_together(members, count);
        assert_int_equal(verify("other", &err), -1);
        members[0] = kept;
    }
    members[0].type = AE_IFLNK; /* a good name for what is no file */
    put_together(members, count);
    assert_int_equal(verify("other", &err), -1);
    assert_non_null(strstr(err.text, "no plain file"));
    members[0].type = AE_IFDIR;
    put_together(members, count);
    assert_int_equal(verify("other", &err), -1);
    members[0].type = 0;
    memset(members[0].name, 'x', 150);
    put_together(members, count);
    assert_int_equal(verify("other", &err), -1);
    forget(members, count);
}

static void a_newer_format_is_refused_in_words(void **state)
{
    (void)state;
    struct member members[MEMBERS_MAX];
    struct err err;
    size_t count = take_apart(members);
    size_t manifest = find(members, count, BUNDLE_MANIFEST);
    json_t *facts = some_facts(BUNDLE_FORMAT + 1);
    free(members[manifest].content);
    members[manifest].content = json_dumps(facts, 0);
    members[manifest].size = strlen(members[manifest].content);
    put_together(members, count);
    assert_int_equal(verify("other", &err), -1);
    assert_int_equal(err.id, ERR_REFUSED);
    assert_non_null(strstr(err.text, "newer release"));
    json_decref(facts);
    forget(members, count);
}

static void a_bundle_that_was_cut_is_refused(void **state)
{
    (void)state;
    struct stat status;
    struct err err;
    assert_int_equal(stat(path_of("whole"), &status), 0);
    char *bytes = malloc((size_t)status.st_size);
    FILE *file = fopen(path_of("whole"), "rb");
    assert_non_null(bytes);
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, (size_t)status.st_size, file), status.st_size);
    (void)fclose(file);
    for (off_t size = 0; size < status.st_size - 4; size += 7) {
        file = fopen(path_of("other"), "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, (size_t)size, file), size);
        (void)fclose(file);
        if (verify("other", &err) == 0)
            fail_msg("cut to %ld of %ld bytes, and nobody saw it", (long)size, (long)status.st_size);
    }
    free(bytes);
}

static void a_bomb_ends_at_the_limit(void **state)
{
    (void)state;
    static const char zeros[1 << 20];
    struct err err;
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    assert_int_equal(archive_write_add_filter_zstd(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_pax_restricted(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(archive, path_of("other")), ARCHIVE_OK);
    archive_entry_set_pathname(entry, "Tables/Ct.csv");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (la_int64_t)700 << 20);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    for (int i = 0; i < 700; i++)
        assert_int_equal(archive_write_data(archive, zeros, sizeof zeros), sizeof zeros);
    archive_entry_free(entry);
    (void)archive_write_free(archive);
    assert_int_equal(verify("other", &err), -1);
    assert_non_null(strstr(err.text, "times its size"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_comes_back_whole),
        cmocka_unit_test(a_bundle_without_its_name_leaves_nothing),
        cmocka_unit_test(every_flipped_member_is_found),
        cmocka_unit_test(every_missing_renamed_or_added_member_is_found),
        cmocka_unit_test(no_name_leads_anywhere_else),
        cmocka_unit_test(a_newer_format_is_refused_in_words),
        cmocka_unit_test(a_bundle_that_was_cut_is_refused),
        cmocka_unit_test(a_bomb_ends_at_the_limit),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
