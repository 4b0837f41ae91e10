/* A table appears under its name whole or not at all (it is linked from an unnamed file), and never over another one:
 * the edits of this computer's operator outlive every import. */
#include "relocate/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 16 * 1024 };

/* -1: cannot be said. */
static int same(int a, int b)
{
    char piece_a[PIECE];
    char piece_b[PIECE];
    for (;;) {
        ssize_t got_a = read(a, piece_a, sizeof piece_a);
        ssize_t got_b = got_a >= 0 ? pread(b, piece_b, sizeof piece_b, lseek(a, 0, SEEK_CUR) - got_a) : -1;
        if (got_a == -1 || got_b == -1)
            return -1;
        if (got_a != got_b || memcmp(piece_a, piece_b, (size_t)got_a) != 0)
            return 0;
        if (got_a == 0)
            return 1;
    }
}

static int copy(int from, int to)
{
    char piece[PIECE];
    for (;;) {
        ssize_t got = read(from, piece, sizeof piece);
        if (got <= 0)
            return got == 0 ? fsync(to) : -1;
        for (ssize_t put, done = 0; done < got; done += put)
            if ((put = write(to, piece + done, (size_t)(got - done))) == -1)
                return -1;
    }
}

/* 0 put there, 1 somebody else's is there, -1 errno. */
static int put(int from, int folder, const char *name)
{
    char path[64];
    struct stat owner;
    int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (fd == -1)
        return -1;
    bool fine = copy(from, fd) == 0 && fstat(folder, &owner) == 0 &&
                (geteuid() != 0 || fchown(fd, owner.st_uid, owner.st_gid) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int result = fine ? linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW) : -1;
    int problem = errno;
    (void)close(fd);
    errno = problem;
    return result == -1 && problem == EEXIST ? 1 : result;
}

static void settle(int from, int folder, const char *name, json_t *list)
{
    char text[200] = "put in place: there was none";
    int here = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (here != -1) {
        (void)snprintf(text, sizeof text, "%s",
                       same(from, here) == 1 ? "the same as the one in place"
                                             : "differs from the one in place, which stays: compare them");
        (void)close(here);
    } else if (errno != ENOENT || put(from, folder, name) != 0) {
        (void)snprintf(text, sizeof text, "could not be put in place: %s", strerror(errno));
    }
    (void)json_object_set_new(list, name, json_string(text));
}

void settle_files(const char *from, const char *to, const char *const *names, size_t count, json_t *list)
{
    int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool made = source != -1 && mkdir(to, 0755) == 0;
    int folder = source != -1 ? open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    for (size_t i = 0; i < count && source != -1; i++) {
        int fd = openat(source, names[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd == -1)
            continue;
        if (folder != -1)
            settle(fd, folder, names[i], list);
        else
            (void)json_object_set_new(list, names[i], json_string("could not be put in place: no folder of tables"));
        (void)close(fd);
    }
    if (made)
        (void)rmdir(to); /* only where it is empty still */
    if (folder != -1)
        (void)close(folder);
    if (source != -1)
        (void)close(source);
}
