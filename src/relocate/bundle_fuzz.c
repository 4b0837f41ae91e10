/* Any bytes as a bundle, and any bytes as the tar inside one: refused, or read to the end within the limits. */
#include "relocate/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void read_bundle(int fd)
{
    struct err err = ERR_CLEAR;
    struct bundle_reader *reader = NULL;
    json_t *manifest = NULL;
    if (bundle_open_fd(fd, NULL, &reader, &err) == -1)
        return;
    if (bundle_verify(reader, true, &manifest, &err) == 0)
        for (size_t i = 0; i < bundle_entry_count(reader); i++)
            if (!bundle_name_ok(bundle_entry(reader, i)->name))
                abort();
    json_decref(manifest);
    bundle_reader_free(reader);
}

static int new_file(void)
{
    int fd = memfd_create("bundle", MFD_CLOEXEC);
    if (fd == -1)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    int fd = new_file();
    if (write(fd, at, size) != (ssize_t)size)
        abort();
    read_bundle(fd);
    /* the same bytes as what zstd unpacks to, so that the tar and its members are reached */
    fd = new_file();
    struct archive *wrapper = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, "tar");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (la_int64_t)size);
    if (archive_write_add_filter_zstd(wrapper) != ARCHIVE_OK || archive_write_set_format_raw(wrapper) != ARCHIVE_OK ||
        archive_write_open_fd(wrapper, fd) != ARCHIVE_OK || archive_write_header(wrapper, entry) != ARCHIVE_OK ||
        archive_write_data(wrapper, at, size) != (la_ssize_t)size)
        abort();
    archive_entry_free(entry);
    (void)archive_write_free(wrapper);
    read_bundle(fd);
    return 0;
}
