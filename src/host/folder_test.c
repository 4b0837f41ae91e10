/* What is lost when these fail: a file that the neighbour deleted because we said that we had it. */
#include "host/folder.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", "host-folder-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

/* Removes what is there and says how much it was. */
static size_t empty_folder(void)
{
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        assert_int_equal(unlinkat(dirfd(listing), entry->d_name, 0), 0);
        count++;
    }
    assert_int_equal(closedir(listing), 0);
    return count;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)empty_folder();
    return rmdir(folder);
}

static void each_file_has_its_own_name_and_all_its_bytes(void **state)
{
    (void)state;
    char first[FOLDER_NAME_SIZE], second[FOLDER_NAME_SIZE], path[128], bytes[16];
    struct err err = ERR_CLEAR;
    assert_int_equal(folder_check(folder, &err), 0);
    assert_int_equal(folder_store(folder, SPAN_LITERAL("\x00\x02\xC0\x00 one"), first, &err), 0);
    assert_int_equal(folder_store(folder, SPAN_EMPTY, second, &err), 0);
    assert_string_not_equal(first, second);
    assert_string_equal(first + ULID_LENGTH, ".spool");
    (void)snprintf(path, sizeof path, "%s/%s", folder, first);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof bytes, file), 8);
    assert_memory_equal(bytes, "\x00\x02\xC0\x00 one", 8);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(empty_folder(), 2); /* and no parts */
}

static void a_folder_that_is_none_is_said(void **state)
{
    (void)state;
    char name[FOLDER_NAME_SIZE];
    struct err err = ERR_CLEAR;
    assert_int_equal(folder_check("no-such-folder", &err), -1);
    assert_int_equal(err.id, ERR_NOT_FOUND);
    assert_string_equal(err.text, "no-such-folder: No such file or directory");
    assert_int_equal(folder_store("no-such-folder", SPAN_EMPTY, name, &err), -1);
    assert_int_equal(err.id, ERR_STORE_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_file_has_its_own_name_and_all_its_bytes, make_folder, remove_folder),
        cmocka_unit_test(a_folder_that_is_none_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
