/* The neighbour deletes its file when we acknowledge it, so a file is synced, and its name in the folder too, before
 * anybody says so. What can go wrong is the disk: then there is no file under the final name and no acknowledgement. */
#include "host/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int store_error(struct err *err, const char *what, const char *path)
{
    int number = errno;
    return err_set(err, number == ENOSPC || number == EDQUOT ? ERR_DISK_FULL : ERR_STORE_IO, "%s: cannot %s: %s", path,
                   what, strerror(number));
}

int folder_check(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return err_set(err, ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    (void)close(fd); /* only looked at */
    return access(path, W_OK) == -1 ? store_error(err, "write in this folder", path) : 0;
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t size = write(fd, bytes.at, bytes.size);
        if (size == -1 && errno == EINTR)
            continue;
        if (size == -1)
            return -1;
        bytes = span_slice(bytes, (size_t)size, bytes.size);
    }
    return 0;
}

/* Under a name that nobody takes for a file received. */
static int write_part(int folder, const char *part, struct span bytes, const char *path, struct err *err)
{
    int fd = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd == -1)
        return store_error(err, "make a file", path);
    int result = 0;
    if (write_all(fd, bytes) == -1)
        result = store_error(err, "write a file", path);
    else if (fsync(fd) == -1)
        result = store_error(err, "sync a file", path);
    if (close(fd) == -1 && result == 0)
        result = store_error(err, "close a file", path);
    return result;
}

int folder_store(const char *path, struct span bytes, char name_r[FOLDER_NAME_SIZE], struct err *err)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder == -1)
        return store_error(err, "open this folder", path);
    char part[FOLDER_NAME_SIZE + sizeof ".part"];
    (void)snprintf(name_r, FOLDER_NAME_SIZE, "%s.spool", ulid_new().text);
    (void)snprintf(part, sizeof part, "%s.part", name_r);
    int result = write_part(folder, part, bytes, path, err);
    if (result == 0 && renameat(folder, part, folder, name_r) == -1)
        result = store_error(err, "name a file", path);
    if (result == 0 && fsync(folder) == -1)
        result = store_error(err, "sync this folder", path);
    if (result == -1)
        (void)unlinkat(folder, part, 0); /* may not be there */
    (void)close(folder);                 /* synced */
    return result;
}
