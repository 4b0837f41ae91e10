/* What is lost when these fail: somebody on the way reads or changes the mail in a bundle, or a bundle that was
 * encrypted cannot be read any more. */
#include "relocate/seal.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PLAIN_MAX = 3 * SEAL_FRAME };

static const struct span passphrase = { .at = (const uint8_t *)"correct horse battery", .size = 21 };
static uint8_t plain[PLAIN_MAX], read_back[PLAIN_MAX];

static int new_file(void)
{
    int fd = memfd_create("sealed", MFD_CLOEXEC);
    assert_int_not_equal(fd, -1);
    return fd;
}

static int sealed_file(size_t size)
{
    struct seal *seal = NULL;
    struct err err = ERR_CLEAR;
    int fd = new_file();
    assert_int_equal(seal_begin(fd, passphrase, &seal, &err), 0);
    struct span whole = span_of(plain, size);
    for (size_t at = 0; at < size; at += 1000)
        assert_int_equal(seal_write(seal, span_slice(whole, at, 1000), &err), 0);
    assert_int_equal(seal_end(seal, &err), 0);
    seal_free(seal);
    return fd;
}

/* -1, or the number of bytes, which are in read_back then. */
static int64_t read_all(struct seal *seal, struct err *err)
{
    int64_t size = 0;
    struct span piece;
    do {
        if (seal_read(seal, &piece, err) == -1)
            return -1;
        assert_true(size + (int64_t)piece.size <= PLAIN_MAX);
        if (piece.size > 0)
            memcpy(read_back + size, piece.at, piece.size);
        size += (int64_t)piece.size;
    } while (piece.size > 0);
    return size;
}

static int64_t unseal(int fd, struct span with, struct err *err)
{
    struct seal *seal = NULL;
    *err = ERR_CLEAR;
    if (seal_open(fd, with, &seal, err) == -1 || seal_rewind(seal, err) == -1) {
        seal_free(seal);
        return -1;
    }
    int64_t size = read_all(seal, err);
    seal_free(seal);
    return size;
}

static void every_length_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, SEAL_FRAME - 1, SEAL_FRAME, SEAL_FRAME + 1, 2 * SEAL_FRAME, PLAIN_MAX };
    struct err err;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = sealed_file(sizes[i]);
        assert_true(seal_is(fd));
        assert_int_equal(unseal(fd, passphrase, &err), sizes[i]);
        assert_memory_equal(read_back, plain, sizes[i]);
        (void)close(fd);
    }
}

/* tests/data/bundle/sealed was written by other software, from the description in seal.h. */
static void what_others_sealed_is_read(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct err err;
    (void)snprintf(path, sizeof path, "%s/bundle/sealed", getenv("OVVM_TEST_DATA"));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_not_equal(fd, -1);
    assert_int_equal(unseal(fd, passphrase, &err), SEAL_FRAME + 300);
    for (size_t i = 0; i < SEAL_FRAME + 300; i++)
        assert_int_equal(read_back[i], (i * 7 + i / 251) & 255);
    assert_int_equal(unseal(fd, SPAN_LITERAL("another horse battery"), &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    (void)close(fd);
}

/* Some bytes of the first line, those of each frame's beginning, tag and end, and a sample of the others. */
static void every_flipped_byte_is_found(void **state)
{
    (void)state;
    struct err err;
    int fd = sealed_file(SEAL_FRAME + 500);
    struct stat status;
    struct seal *seal = NULL;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(seal_open(fd, passphrase, &seal, &err), 0);
    for (off_t at = 47; at<status.st_size; at += at> 100 && at < SEAL_FRAME - 100 ? 97 : 1) {
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(seal_rewind(seal, &err), 0);
        if (read_all(seal, &err) != -1)
            fail_msg("byte %lld was flipped, and nobody saw it", (long long)at);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    seal_free(seal);
    for (off_t at = 1; at < 47; at += 5) { /* the first line: each needs a key of its own */
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x01;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(unseal(fd, passphrase, &err), -1);
        byte ^= 0x01;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    (void)close(fd);
}

static void one_that_was_cut_or_rearranged_is_found(void **state)
{
    (void)state;
    static uint8_t bytes[PLAIN_MAX + 200];
    const off_t frame = SEAL_FRAME + 16;
    struct err err;
    int fd = sealed_file(PLAIN_MAX);
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    assert_int_equal(size, 47 + 3 * frame);
    static const off_t cuts[] = {
        0, 46, 47, 48, 62, 63, 47 + SEAL_FRAME + 16, 47 + 2 * (SEAL_FRAME + 16), 47 + 2 * SEAL_FRAME
    };
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        assert_int_equal(ftruncate(fd, cuts[i]), 0);
        assert_int_equal(unseal(fd, passphrase, &err), -1);
    }
    assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
    assert_int_equal(unseal(fd, passphrase, &err), PLAIN_MAX);
    assert_int_equal(pwrite(fd, bytes + 47 + frame, (size_t)frame, 47), frame); /* the second frame first */
    assert_int_equal(pwrite(fd, bytes + 47, (size_t)frame, 47 + frame), frame);
    assert_int_equal(unseal(fd, passphrase, &err), -1);
    assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
    assert_int_equal(pwrite(fd, "x", 1, size), 1); /* something behind the last */
    assert_int_equal(unseal(fd, passphrase, &err), -1);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(what_others_sealed_is_read),
        cmocka_unit_test(every_flipped_byte_is_found),
        cmocka_unit_test(one_that_was_cut_or_rearranged_is_found),
    };
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 31 + i / 253);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
