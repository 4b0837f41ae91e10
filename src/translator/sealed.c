/* Why seals: the daemon looks at what a translator wrote, and a translator that obeys somebody else could change it
 * between the look and the use, or make it shorter, which ends the reader with SIGBUS. A sealed memfd can do neither.
 * What can go wrong: the other side passes a descriptor of another kind, another size, or without the seals. */
#include "translator/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static int write_all(int fd, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t put = write(fd, bytes.at, bytes.size);
        if (put == -1 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        bytes = span_slice(bytes, (size_t)put, bytes.size);
    }
    return 0;
}

int sealed_make(struct span bytes, struct err *err)
{
    /* exactly these flags: the sandbox lets no others pass */
    int fd = memfd_create("ovvm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd == -1)
        return err_set(err, ERR_NO_MEMORY, "no memory file for %zu bytes: %m", bytes.size);
    if (write_all(fd, bytes) == -1 || fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
        (void)err_set(err, ERR_NO_MEMORY, "a memory file of %zu bytes cannot be written: %m", bytes.size);
        (void)close(fd);
        return -1;
    }
    return fd;
}

int sealed_size(int fd, uint64_t *size_r, struct err *err)
{
    int seals = fcntl(fd, F_GET_SEALS);
    /* lseek, not fstat: glibc makes fstat of a call that also takes paths, which the sandbox refuses */
    off_t size = seals == -1 ? -1 : lseek(fd, 0, SEEK_END);
    if (seals == -1 || size < 0)
        return err_set(err, ERR_BUG, "contents are no memory file");
    if ((seals & SEALS) != SEALS)
        return err_set(err, ERR_BUG, "contents are not sealed (seals %#x)", (unsigned)seals);
    *size_r = (uint64_t)size;
    return 0;
}

int sealed_map(int fd, uint64_t size, struct span *bytes_r, struct err *err)
{
    uint64_t real;
    *bytes_r = SPAN_EMPTY;
    if (sealed_size(fd, &real, err) == -1)
        return -1;
    if (real != size || size > SIZE_MAX / 2)
        return err_set(err, ERR_BUG, "contents of %llu bytes are said to be %llu", (unsigned long long)real,
                       (unsigned long long)size);
    if (size == 0)
        return 0;
    void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return err_set(err, ERR_NO_MEMORY, "no room to map %llu bytes: %m", (unsigned long long)size);
    *bytes_r = span_of(at, (size_t)size);
    return 0;
}

void sealed_unmap(struct span bytes)
{
    if (bytes.size > 0)
        (void)munmap((void *)(uintptr_t)bytes.at, bytes.size);
}
