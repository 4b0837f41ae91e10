/* Writing a bundle. tar wants a member's size before its bytes, so each member is collected first: in memory while it
 * is small, in an unnamed file beside the bundle when it is not. Until bundle_publish there is only PATH.tmp, which the
 * next attempt overwrites. */
#include "relocate/bundle_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "relocate/seal.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMBER_IN_MEMORY = 1024 * 1024, COPY_SIZE = 64 * 1024 };

struct bundle_writer {
    char path[PATH_MAX], temporary[PATH_MAX + 8];
    int fd;
    struct archive *archive;
    const char *sign_key; /* NULL: it is not signed */
    struct seal *seal;    /* NULL: it is not encrypted */
    struct err seal_err;
    struct bundle_list list;
    /* the member in hand */
    struct bundle_entry *entry;
    struct buf bytes; /* its end; all of it where it is small */
    int spill_fd;     /* what came before; -1: nothing yet */
    int64_t spilled;
    EVP_MD_CTX *digest;
    bool remove; /* PATH.tmp is ours and not published */
};

static int folder_of(const char *path)
{
    char copy[PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", path);
    return open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int archive_failed(struct bundle_writer *writer, struct err *err)
{
    if (writer->seal_err.id != ERR_NONE) {
        *err = writer->seal_err;
        return -1;
    }
    enum err_id id = archive_errno(writer->archive) == ENOSPC ? ERR_DISK_FULL : ERR_STORE_IO;
    const char *words = archive_error_string(writer->archive);
    return err_set(err, id, "%.150s: %.80s", writer->temporary, words != NULL ? words : "it cannot be written");
}

static int open_temporary(struct bundle_writer *writer, struct err *err)
{
    writer->fd = open(writer->temporary, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writer->fd == -1)
        return err_set(err, ERR_REFUSED, "%.180s cannot be made: %m", writer->temporary);
    if (flock(writer->fd, LOCK_EX | LOCK_NB) == -1)
        return err_set(err, ERR_REFUSED, "%.180s is being written by another program", writer->temporary);
    if (fchmod(writer->fd, 0600) == -1 || ftruncate(writer->fd, 0) == -1)
        return err_set(err, ERR_STORE_IO, "%.180s cannot be begun: %m", writer->temporary);
    return 0;
}

static la_ssize_t write_sealed(struct archive *archive, void *arg, const void *bytes, size_t size)
{
    struct bundle_writer *writer = arg;
    if (seal_write(writer->seal, span_of(bytes, size), &writer->seal_err) == 0)
        return (la_ssize_t)size;
    archive_set_error(archive, EIO, "it cannot be encrypted");
    return -1;
}

static int open_archive(struct bundle_writer *writer, struct err *err)
{
    struct archive *archive = writer->archive;
    if (archive_write_add_filter_zstd(archive) != ARCHIVE_OK ||
        archive_write_set_format_pax_restricted(archive) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(archive, 1) != ARCHIVE_OK)
        return archive_failed(writer, err);
    int code = writer->seal != NULL ? archive_write_open2(archive, writer, NULL, write_sealed, NULL, NULL)
                                    : archive_write_open_fd(archive, writer->fd);
    return code == ARCHIVE_OK ? 0 : archive_failed(writer, err);
}

static int begin_seal(struct bundle_writer *writer, const char *passphrase_file, struct err *err)
{
    uint8_t passphrase[SEAL_PASSPHRASE_MAX];
    size_t size = 0;
    int result = seal_passphrase(passphrase_file, passphrase, &size, err);
    if (result == 0)
        result = seal_begin(writer->fd, span_of(passphrase, size), &writer->seal, err);
    OPENSSL_cleanse(passphrase, sizeof passphrase);
    return result;
}

int bundle_create(const char *path, const struct bundle_keys *keys, struct bundle_writer **writer_r, struct err *err)
{
    *writer_r = NULL;
    struct bundle_writer *writer = mem_zero(sizeof *writer);
    if (writer == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a bundle");
    writer->fd = writer->spill_fd = -1;
    int result = 0;
    if (strlen(path) >= sizeof writer->path)
        result = err_set(err, ERR_REFUSED, "the bundle's path is too long");
    (void)snprintf(writer->path, sizeof writer->path, "%s", path);
    (void)snprintf(writer->temporary, sizeof writer->temporary, "%s.tmp", writer->path);
    if (result == 0)
        result = open_temporary(writer, err);
    writer->remove = result == 0;
    writer->archive = result == 0 ? archive_write_new() : NULL;
    writer->digest = EVP_MD_CTX_new();
    if (result == 0 && (writer->archive == NULL || writer->digest == NULL))
        result = err_set(err, ERR_NO_MEMORY, "out of memory for a bundle");
    writer->sign_key = keys != NULL ? keys->sign_key : NULL;
    if (result == 0 && writer->sign_key != NULL) { /* a key that cannot be used is found before anything else happens */
        uint8_t ignored[BUNDLE_SIGNATURE];
        result = sign_make(writer->sign_key, SPAN_EMPTY, ignored, err);
    }
    if (result == 0 && keys != NULL && keys->passphrase_file != NULL)
        result = begin_seal(writer, keys->passphrase_file, err);
    if (result == 0)
        result = open_archive(writer, err);
    if (result == -1) {
        bundle_close(writer);
        return -1;
    }
    *writer_r = writer;
    return 0;
}

int bundle_begin(struct bundle_writer *writer, const char *name, struct err *err)
{
    if (!bundle_name_ok(name))
        return err_set(err, ERR_BUG, "a bundle has no member \"%.80s\"", name);
    writer->entry = bundle_list_add(&writer->list, name, err);
    if (writer->entry == NULL)
        return -1;
    buf_clear(&writer->bytes);
    writer->spilled = 0;
    return EVP_DigestInit_ex(writer->digest, EVP_sha256(), NULL) == 1
               ? 0
               : err_set(err, ERR_NO_MEMORY, "SHA-256 cannot be started");
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t put = write(fd, bytes.at, bytes.size);
        if (put == -1 && errno == EINTR)
            continue;
        if (put == -1)
            return -1;
        bytes = span_slice(bytes, (size_t)put, bytes.size);
    }
    return 0;
}

static int open_spill(struct bundle_writer *writer)
{
    char name[PATH_MAX + 16];
    (void)snprintf(name, sizeof name, "%s.XXXXXX", writer->temporary);
    writer->spill_fd = mkostemp(name, O_CLOEXEC);
    return writer->spill_fd == -1 ? -1 : unlink(name);
}

static int spill(struct bundle_writer *writer, struct err *err)
{
    bool fine = writer->spill_fd != -1 || open_spill(writer) == 0;
    if (fine && writer->spilled == 0)
        fine = ftruncate(writer->spill_fd, 0) == 0 && lseek(writer->spill_fd, 0, SEEK_SET) == 0;
    if (!fine || write_all(writer->spill_fd, buf_span(&writer->bytes)) == -1)
        return err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_STORE_IO, "beside %.150s: %m", writer->temporary);
    writer->spilled += (int64_t)writer->bytes.size;
    buf_clear(&writer->bytes);
    return 0;
}

int bundle_put(void *arg, struct span bytes, struct err *err)
{
    struct bundle_writer *writer = arg;
    if (EVP_DigestUpdate(writer->digest, bytes.at, bytes.size) != 1)
        return err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
    buf_add_span(&writer->bytes, bytes);
    if (writer->bytes.failed)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a member of a bundle");
    return writer->bytes.size > MEMBER_IN_MEMORY ? spill(writer, err) : 0;
}

static int write_data(struct bundle_writer *writer, struct span bytes, struct err *err)
{
    if (bytes.size == 0)
        return 0;
    return archive_write_data(writer->archive, bytes.at, bytes.size) == (la_ssize_t)bytes.size
               ? 0
               : archive_failed(writer, err);
}

static int copy_spill(struct bundle_writer *writer, struct err *err)
{
    uint8_t piece[COPY_SIZE];
    if (lseek(writer->spill_fd, 0, SEEK_SET) == -1)
        return err_set(err, ERR_STORE_IO, "beside %.150s: %m", writer->temporary);
    for (int64_t left = writer->spilled; left > 0;) {
        ssize_t got = read(writer->spill_fd, piece, left < COPY_SIZE ? (size_t)left : COPY_SIZE);
        if (got == -1 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, ERR_STORE_IO, "beside %.150s: what was written cannot be read", writer->temporary);
        if (write_data(writer, span_of(piece, (size_t)got), err) == -1)
            return -1;
        left -= got;
    }
    return 0;
}

int bundle_end(struct bundle_writer *writer, struct err *err)
{
    struct bundle_entry *entry = writer->entry;
    entry->size = writer->spilled + (int64_t)writer->bytes.size;
    if (EVP_DigestFinal_ex(writer->digest, entry->sha256, NULL) != 1)
        return err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
    struct archive_entry *head = archive_entry_new();
    if (head == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a bundle");
    archive_entry_set_pathname(head, entry->name);
    archive_entry_set_size(head, entry->size);
    archive_entry_set_filetype(head, AE_IFREG);
    archive_entry_set_perm(head, 0600);
    archive_entry_set_mtime(head, (time_t)(clock_now() / CLOCK_SECOND), 0);
    int result = archive_write_header(writer->archive, head) == ARCHIVE_OK ? 0 : archive_failed(writer, err);
    archive_entry_free(head);
    if (result == 0 && writer->spilled > 0)
        result = copy_spill(writer, err);
    return result == 0 ? write_data(writer, buf_span(&writer->bytes), err) : -1;
}

static int put_member(struct bundle_writer *writer, const char *name, struct span bytes, struct err *err)
{
    return bundle_begin(writer, name, err) == 0 && bundle_put(writer, bytes, err) == 0 && bundle_end(writer, err) == 0
               ? 0
               : -1;
}

/* Every member so far. */
static int add_list(const struct bundle_writer *writer, json_t *facts, struct err *err)
{
    json_t *members = json_array();
    for (size_t i = 0; i < writer->list.count; i++)
        if (json_array_append_new(members, json_pack("{s:s, s:I}", "name", writer->list.at[i].name, "size",
                                                     (json_int_t)writer->list.at[i].size)) == -1) {
            json_decref(members);
            return err_set(err, ERR_NO_MEMORY, "out of memory for the list of a bundle's members");
        }
    return json_object_set_new(facts, "members", members) == 0 ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

static int put_sums(struct bundle_writer *writer, uint8_t digest_r[BUNDLE_SHA256], struct err *err)
{
    struct buf sums = { 0 };
    for (size_t i = 0; i < writer->list.count; i++) {
        for (size_t j = 0; j < BUNDLE_SHA256; j++)
            buf_printf(&sums, "%02x", writer->list.at[i].sha256[j]);
        buf_printf(&sums, "  %s\n", writer->list.at[i].name);
    }
    int result = sums.failed ? err_set(err, ERR_NO_MEMORY, "out of memory for the checksums")
                             : put_member(writer, BUNDLE_SUMS, buf_span(&sums), err);
    if (result == 0)
        memcpy(digest_r, writer->entry->sha256, BUNDLE_SHA256);
    uint8_t signature[BUNDLE_SIGNATURE];
    if (result == 0 && writer->sign_key != NULL &&
        (sign_make(writer->sign_key, buf_span(&sums), signature, err) == -1 ||
         put_member(writer, BUNDLE_SIGN, span_of(signature, sizeof signature), err) == -1))
        result = -1;
    buf_free(&sums);
    return result;
}

int bundle_finish(struct bundle_writer *writer, struct span files, json_t *facts, uint8_t digest_r[BUNDLE_SHA256],
                  struct err *err)
{
    if (put_member(writer, BUNDLE_FILES, files, err) == -1 || add_list(writer, facts, err) == -1)
        return -1;
    char *manifest = json_dumps(facts, JSON_INDENT(1));
    int result = manifest != NULL ? put_member(writer, BUNDLE_MANIFEST, span_text(manifest), err)
                                  : err_set(err, ERR_NO_MEMORY, "out of memory for the manifest");
    free(manifest);
    if (result == -1 || put_sums(writer, digest_r, err) == -1)
        return -1;
    if (archive_write_close(writer->archive) != ARCHIVE_OK)
        return archive_failed(writer, err);
    if (writer->seal != NULL && seal_end(writer->seal, err) == -1)
        return -1;
    return fsync(writer->fd) == 0 ? 0 : err_set(err, ERR_STORE_IO, "%.180s: %m", writer->temporary);
}

int bundle_publish(struct bundle_writer *writer, struct err *err)
{
    int folder = folder_of(writer->path);
    if (folder == -1)
        return err_set(err, ERR_STORE_IO, "the folder of %.180s: %m", writer->path);
    int result = rename(writer->temporary, writer->path);
    if (result == 0)
        writer->remove = false;
    if (result == -1 || fsync(folder) == -1)
        result = err_set(err, ERR_STORE_IO, "%.180s: %m", writer->path);
    (void)close(folder);
    return result;
}

void bundle_close(struct bundle_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->archive != NULL)
        (void)archive_write_free(writer->archive);
    seal_free(writer->seal);
    if (writer->remove)
        (void)unlink(writer->temporary);
    if (writer->fd != -1)
        (void)close(writer->fd);
    if (writer->spill_fd != -1)
        (void)close(writer->spill_fd);
    EVP_MD_CTX_free(writer->digest);
    buf_free(&writer->bytes);
    bundle_list_free(&writer->list);
    mem_free(writer);
}
