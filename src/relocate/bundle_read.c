/* Reading a bundle that may be damaged, cut off, made by hand or hostile.
 *
 * Only tar in zstd is recognised, so no other decoder of libarchive ever sees the bytes. A member is a plain file with
 * a name from our list, and no bigger than the limits; compression beyond all reason is refused before it fills a disk.
 * Nothing is ever written under a member's name.
 */
#include "relocate/bundle_private.h"

#include "base/mem.h"
#include "relocate/csv.h"
#include "relocate/seal.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024 };

struct bundle_reader {
    int fd; /* of the bundle or folder */
    struct archive *archive;
    const struct bundle_keys *keys;
    struct seal *seal; /* NULL: it is not encrypted */
    struct err seal_err;
    bool has_signature;
    /* folder */
    bool folder;
    struct bundle_list files; /* sorted: one order every time */
    size_t next_file;
    int member_fd;
    /* the member in hand */
    char name[BUNDLE_NAME_MAX + 1];
    int64_t size, got;
    int64_t total;
    uint8_t buffer[READ_SIZE];
    /* what was found */
    struct bundle_list found;
    bool verified;
    EVP_MD_CTX *digest;
};

/* --- opening --- */

static int open_seal(struct bundle_reader *reader, const char *passphrase_file, struct err *err)
{
    uint8_t passphrase[SEAL_PASSPHRASE_MAX];
    size_t size = 0;
    if (passphrase_file == NULL)
        return err_set(err, ERR_REFUSED, "the bundle is encrypted: --passphrase-file FILE");
    int result = seal_passphrase(passphrase_file, passphrase, &size, err);
    if (result == 0)
        result = seal_open(reader->fd, span_of(passphrase, size), &reader->seal, err);
    OPENSSL_cleanse(passphrase, sizeof passphrase);
    return result;
}

static la_ssize_t read_sealed(struct archive *archive, void *arg, const void **bytes_r)
{
    struct bundle_reader *reader = arg;
    struct span piece;
    if (seal_read(reader->seal, &piece, &reader->seal_err) == -1) {
        archive_set_error(archive, EIO, "%s", reader->seal_err.text);
        return -1;
    }
    *bytes_r = piece.at;
    return (la_ssize_t)piece.size;
}

static int open_source(struct bundle_reader *reader, struct err *err)
{
    const char *passphrase_file = reader->keys != NULL ? reader->keys->passphrase_file : NULL;
    if (reader->seal == NULL && seal_is(reader->fd) && open_seal(reader, passphrase_file, err) == -1)
        return -1;
    if (reader->seal == NULL && passphrase_file != NULL)
        return err_set(err, ERR_REFUSED,
                       "the bundle is not encrypted: leave out --passphrase-file, if it is the right one");
    if (reader->seal != NULL && seal_rewind(reader->seal, err) == -1)
        return -1;
    int code = reader->seal != NULL ? archive_read_open(reader->archive, reader, NULL, read_sealed, NULL)
                                    : archive_read_open_fd(reader->archive, reader->fd, READ_SIZE);
    if (reader->seal_err.id != ERR_NONE) {
        *err = reader->seal_err;
        return -1;
    }
    return code == ARCHIVE_OK ? 0 : err_set(err, ERR_BAD_CONTENT, "this is no bundle (a tar in zstd)");
}

static int open_archive(struct bundle_reader *reader, struct err *err)
{
    if (lseek(reader->fd, 0, SEEK_SET) == -1)
        return err_set(err, ERR_BAD_CONTENT, "the bundle must be a file: %m");
    reader->archive = archive_read_new();
    if (reader->archive == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for a bundle");
    if (archive_read_support_filter_zstd(reader->archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(reader->archive) != ARCHIVE_OK)
        return err_set(err, ERR_CONFIG, "this libarchive cannot read tar in zstd");
    if (open_source(reader, err) == -1)
        return -1;
    if (archive_filter_code(reader->archive, 0) != ARCHIVE_FILTER_ZSTD)
        return err_set(err, ERR_BAD_CONTENT, "this is no bundle: it is not compressed with zstd");
    return 0;
}

static int add_file(struct bundle_reader *reader, const FTSENT *entry, size_t root, struct err *err)
{
    const char *name = entry->fts_path + root;
    char shown[80];
    span_to_text(span_text(name), shown, sizeof shown);
    if (entry->fts_info != FTS_F)
        return err_set(err, ERR_BAD_CONTENT, "\"%s\" is no plain file", shown);
    if (!bundle_name_ok(name))
        return err_set(err, ERR_BAD_CONTENT, "\"%s\" does not belong in a bundle", shown);
    struct bundle_entry *file = bundle_list_add(&reader->files, name, err);
    if (file == NULL)
        return -1;
    file->size = entry->fts_statp->st_size;
    return 0;
}

static int list_folder(struct bundle_reader *reader, const char *path, struct err *err)
{
    char copy[PATH_MAX];
    char *paths[] = { copy, NULL };
    (void)snprintf(copy, sizeof copy, "%s", path);
    size_t root = strlen(copy);
    while (root > 1 && copy[root - 1] == '/')
        copy[--root] = '\0';
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL)
        return err_set(err, ERR_STORE_IO, "%.180s: %m", path);
    int result = 0;
    for (FTSENT *entry; result == 0 && (entry = fts_read(walk)) != NULL;)
        if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP)
            result = add_file(reader, entry, root + 1, err);
    (void)fts_close(walk);
    bundle_list_sort(&reader->files);
    return result;
}

static struct bundle_reader *reader_new(int fd, struct err *err)
{
    struct bundle_reader *reader = mem_zero(sizeof *reader);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (reader == NULL || digest == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "out of memory for a bundle");
        EVP_MD_CTX_free(digest);
        mem_free(reader);
        (void)close(fd);
        return NULL;
    }
    reader->fd = fd;
    reader->member_fd = -1;
    reader->digest = digest;
    return reader;
}

int bundle_open_fd(int fd, const struct bundle_keys *keys, struct bundle_reader **reader_r, struct err *err)
{
    *reader_r = reader_new(fd, err);
    if (*reader_r == NULL)
        return -1;
    (*reader_r)->keys = keys;
    if (open_archive(*reader_r, err) == 0)
        return 0;
    bundle_reader_free(*reader_r);
    *reader_r = NULL;
    return -1;
}

int bundle_open(const char *path, const struct bundle_keys *keys, struct bundle_reader **reader_r, struct err *err)
{
    struct stat status;
    *reader_r = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_REFUSED, "%.180s: %m", path);
    if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
        return bundle_open_fd(fd, keys, reader_r, err) == 0 ? 0 : err_context(err, "%.150s", path);
    *reader_r = reader_new(fd, err);
    if (*reader_r == NULL)
        return -1;
    (*reader_r)->folder = true;
    (*reader_r)->keys = keys;
    if (list_folder(*reader_r, path, err) == 0)
        return 0;
    bundle_reader_free(*reader_r);
    *reader_r = NULL;
    return err_context(err, "%.150s", path);
}

bool bundle_is_signed(const struct bundle_reader *reader)
{
    return reader->has_signature;
}

bool bundle_is_sealed(const struct bundle_reader *reader)
{
    return reader->seal != NULL;
}

bool bundle_is_folder(const struct bundle_reader *reader)
{
    return reader->folder;
}

void bundle_reader_free(struct bundle_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->archive != NULL)
        (void)archive_read_free(reader->archive);
    seal_free(reader->seal);
    if (reader->member_fd != -1)
        (void)close(reader->member_fd);
    (void)close(reader->fd);
    EVP_MD_CTX_free(reader->digest);
    bundle_list_free(&reader->files);
    bundle_list_free(&reader->found);
    mem_free(reader);
}

int bundle_rewind(struct bundle_reader *reader, struct err *err)
{
    reader->total = 0;
    reader->next_file = 0;
    reader->name[0] = '\0';
    if (reader->folder)
        return 0;
    (void)archive_read_free(reader->archive);
    reader->archive = NULL;
    return open_archive(reader, err);
}

/* --- members --- */

static int damaged(struct bundle_reader *reader, struct err *err)
{
    const char *words = archive_error_string(reader->archive);
    return err_set(err, ERR_BAD_CONTENT, "the bundle is damaged or cut off: %.120s",
                   words != NULL ? words : "it cannot be read on");
}

static int64_t size_limit(const char *name)
{
    if (strcmp(name, BUNDLE_MANIFEST) == 0 || strcmp(name, BUNDLE_SUMS) == 0)
        return BUNDLE_LIST_MAX;
    size_t size = strlen(name);
    bool csv = size > 4 && (strcmp(name + size - 4, ".csv") == 0 || strcmp(name + size - 4, ".seq") == 0);
    bool item = size > 5 && strcmp(name + size - 5, ".item") == 0;
    return csv || item ? BUNDLE_TOTAL_MAX : BUNDLE_SMALL_MAX;
}

static int check_head(struct bundle_reader *reader, struct archive_entry *head, struct err *err)
{
    const char *name = archive_entry_pathname(head);
    char shown[80];
    span_to_text(span_text(name), shown, sizeof shown);
    if (name == NULL || strlen(name) > BUNDLE_NAME_MAX || !bundle_name_ok(name))
        return err_set(err, ERR_BAD_CONTENT, "member \"%s\" does not belong in a bundle", shown);
    if (archive_entry_filetype(head) != AE_IFREG || archive_entry_hardlink(head) != NULL ||
        archive_entry_symlink(head) != NULL || archive_entry_sparse_count(head) > 0 || !archive_entry_size_is_set(head))
        return err_set(err, ERR_BAD_CONTENT, "member \"%s\" is no plain file", shown);
    (void)snprintf(reader->name, sizeof reader->name, "%s", name);
    reader->size = archive_entry_size(head);
    return 0;
}

static int next_of_archive(struct bundle_reader *reader, struct err *err)
{
    struct archive_entry *head = NULL;
    int code = archive_read_next_header(reader->archive, &head);
    if (code == ARCHIVE_EOF)
        return 0;
    if (code != ARCHIVE_OK)
        return damaged(reader, err);
    if (archive_format(reader->archive) != ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE &&
        archive_format(reader->archive) != ARCHIVE_FORMAT_TAR_USTAR &&
        archive_format(reader->archive) != ARCHIVE_FORMAT_TAR_PAX_RESTRICTED &&
        archive_format(reader->archive) != ARCHIVE_FORMAT_TAR_GNUTAR &&
        archive_format(reader->archive) != ARCHIVE_FORMAT_TAR)
        return err_set(err, ERR_BAD_CONTENT, "this is no bundle: it is no tar");
    return check_head(reader, head, err) == 0 ? 1 : -1;
}

static int next_of_folder(struct bundle_reader *reader, struct err *err)
{
    if (reader->member_fd != -1)
        (void)close(reader->member_fd);
    reader->member_fd = -1;
    if (reader->next_file == reader->files.count)
        return 0;
    const struct bundle_entry *file = &reader->files.at[reader->next_file++];
    struct stat status;
    (void)snprintf(reader->name, sizeof reader->name, "%s", file->name);
    reader->member_fd = openat(reader->fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (reader->member_fd == -1 || fstat(reader->member_fd, &status) == -1)
        return err_set(err, ERR_STORE_IO, "%s: %m", file->name);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_BAD_CONTENT, "\"%s\" is no plain file", file->name);
    reader->size = status.st_size;
    return 1;
}

int bundle_next(struct bundle_reader *reader, const char **name_r, int64_t *size_r, struct err *err)
{
    int found = reader->folder ? next_of_folder(reader, err) : next_of_archive(reader, err);
    if (found != 1)
        return found;
    reader->got = 0;
    reader->total += reader->size;
    if (reader->size < 0 || reader->size > size_limit(reader->name) || reader->total > BUNDLE_TOTAL_MAX)
        return err_set(err, ERR_TOO_BIG, "member \"%s\" is larger than any bundle's", reader->name);
    if (EVP_DigestInit_ex(reader->digest, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_NO_MEMORY, "SHA-256 cannot be started");
    *name_r = reader->name;
    *size_r = reader->size;
    return 1;
}

static int check_ratio(struct bundle_reader *reader, struct err *err)
{
    int64_t compressed = archive_filter_bytes(reader->archive, -1);
    int64_t plain = archive_filter_bytes(reader->archive, 0);
    if (plain > BUNDLE_RATIO_FREE && plain / BUNDLE_RATIO_MAX > compressed)
        return err_set(err, ERR_TOO_BIG, "the bundle unpacks to more than %d times its size", BUNDLE_RATIO_MAX);
    return 0;
}

/* At the end of a member that was verified before. */
static int check_same(struct bundle_reader *reader, struct err *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(reader->digest, digest, NULL) != 1)
        return err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
    const struct bundle_entry *entry = reader->verified ? bundle_list_find(&reader->found, reader->name) : NULL;
    if (reader->verified && (entry == NULL || memcmp(entry->sha256, digest, BUNDLE_SHA256) != 0))
        return err_set(err, ERR_BAD_CONTENT, "member \"%s\" changed while it was read", reader->name);
    if (reader->verified)
        return 0;
    struct bundle_entry *added = bundle_list_add(&reader->found, reader->name, err);
    if (added == NULL)
        return -1;
    added->size = reader->size;
    memcpy(added->sha256, digest, BUNDLE_SHA256);
    return 0;
}

int bundle_read(struct bundle_reader *reader, void *to_r, size_t room, size_t *got_r, struct err *err)
{
    int64_t got;
    do {
        got = reader->folder ? read(reader->member_fd, to_r, room) : archive_read_data(reader->archive, to_r, room);
    } while (reader->folder && got == -1 && errno == EINTR);
    *got_r = 0;
    if (got < 0)
        return reader->folder ? err_set(err, ERR_STORE_IO, "%s: %m", reader->name) : damaged(reader, err);
    reader->got += got;
    if (reader->got > reader->size || (got == 0 && reader->got != reader->size))
        return err_set(err, ERR_BAD_CONTENT, "member \"%s\" is not as long as it says", reader->name);
    if (!reader->folder && check_ratio(reader, err) == -1)
        return -1;
    *got_r = (size_t)got;
    if (got == 0)
        return check_same(reader, err);
    return EVP_DigestUpdate(reader->digest, to_r, (size_t)got) == 1 ? 0 : err_set(err, ERR_NO_MEMORY, "SHA-256 failed");
}

/* --- everything against everything --- */

/* Reads the member in hand to its end; into `keep` where that is not NULL. */
static int read_member(struct bundle_reader *reader, struct buf *keep, struct err *err)
{
    size_t got = 0;
    do {
        if (bundle_read(reader, reader->buffer, sizeof reader->buffer, &got, err) == -1)
            return -1;
        if (keep != NULL)
            buf_add(keep, reader->buffer, got);
    } while (got > 0);
    return keep != NULL && keep->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for \"%s\"", reader->name) : 0;
}

/* The members that are needed whole. */
struct kept {
    struct buf manifest, sums, signature;
};

static struct buf *keep_of(struct kept *kept, const char *name)
{
    return strcmp(name, BUNDLE_SUMS) == 0       ? &kept->sums
           : strcmp(name, BUNDLE_SIGN) == 0     ? &kept->signature
           : strcmp(name, BUNDLE_MANIFEST) == 0 ? &kept->manifest
                                                : NULL;
}

static int read_all(struct bundle_reader *reader, struct kept *kept, struct err *err)
{
    const char *name;
    int64_t size;
    int found;
    bool ended = false;
    while ((found = bundle_next(reader, &name, &size, err)) == 1) {
        bool signature = strcmp(name, BUNDLE_SIGN) == 0;
        if ((ended || signature) && !reader->folder && !(ended && signature && !reader->has_signature))
            return err_set(err, ERR_BAD_CONTENT,
                           "\"%s\" is at the wrong place: " BUNDLE_SUMS " and its signature must be the last", name);
        ended = ended || strcmp(name, BUNDLE_SUMS) == 0;
        reader->has_signature = reader->has_signature || signature;
        struct buf *keep = keep_of(kept, name);
        if (keep != NULL)
            buf_clear(keep);
        if (read_member(reader, keep, err) == -1)
            return -1;
    }
    return found;
}

/* Who made it, where that was asked for. */
static int check_signature(const struct bundle_reader *reader, const struct kept *kept, struct err *err)
{
    const char *key = reader->keys != NULL ? reader->keys->verify_key : NULL;
    if (key == NULL)
        return 0;
    return reader->has_signature ? sign_check(key, buf_span(&kept->sums), buf_span(&kept->signature), err)
                                 : err_set(err, ERR_BAD_CONTENT, "the bundle is not signed");
}

static int check_twice(const struct bundle_list *list, struct err *err)
{
    for (size_t i = 1; i < list->count; i++)
        if (strcmp(list->at[i - 1].name, list->at[i].name) == 0)
            return err_set(err, ERR_BAD_CONTENT, "member \"%s\" is there twice", list->at[i].name);
    return 0;
}

/* "digest  name" lines, one for each member but SHA256SUMS itself. */
static int check_sums(const struct bundle_list *found, struct span sums, struct err *err)
{
    struct reader lines = reader_of(sums);
    size_t count = 0;
    size_t others = bundle_list_find(found, BUNDLE_SIGN) != NULL ? 2 : 1; /* that it does not cover */
    struct buf digest = { 0 };
    int result = 0;
    if (bundle_list_find(found, BUNDLE_SUMS) == NULL)
        return err_set(err, ERR_BAD_CONTENT, "there is no " BUNDLE_SUMS ": the bundle was cut off or taken apart");
    while (result == 0 && !reader_at_end(&lines)) {
        struct span line = reader_until(&lines, '\n');
        char name[BUNDLE_NAME_MAX + 1];
        buf_clear(&digest);
        count++;
        span_to_text(span_slice(line, 66, line.size), name, sizeof name);
        const struct bundle_entry *entry = line.size > 66 ? bundle_list_find(found, name) : NULL;
        if (line.size <= 66 || memcmp(line.at + 64, "  ", 2) != 0 ||
            csv_hex(span_slice(line, 0, 64), &digest, NULL) == -1)
            result = err_set(err, ERR_BAD_CONTENT, BUNDLE_SUMS ": line %zu is no checksum and name", count);
        else if (entry == NULL || strcmp(name, BUNDLE_SUMS) == 0 || strcmp(name, BUNDLE_SIGN) == 0)
            result = err_set(err, ERR_BAD_CONTENT, "member \"%s\" is missing", name);
        else if (memcmp(entry->sha256, digest.at, BUNDLE_SHA256) != 0)
            result = err_set(err, ERR_BAD_CONTENT, "member \"%s\" is damaged: its SHA-256 differs", name);
    }
    buf_free(&digest);
    /* no name can stand twice without another missing here, or `found` having it twice */
    if (result == 0 && count != found->count - others)
        result = err_set(err, ERR_BAD_CONTENT, BUNDLE_SUMS " has %zu names, and there are %zu members", count,
                         found->count - others);
    return result;
}

/* The manifest's list: each member but itself and SHA256SUMS, with its size. */
static int check_members(const struct bundle_list *found, const json_t *members, struct err *err)
{
    struct bundle_list listed = { .at = NULL };
    int result = json_is_array(members) ? 0 : err_set(err, ERR_BAD_CONTENT, BUNDLE_MANIFEST " lists no members");
    for (size_t i = 0; result == 0 && i < json_array_size(members); i++) {
        const json_t *one = json_array_get(members, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        const json_t *size = json_object_get(one, "size");
        struct bundle_entry *entry = name != NULL && json_is_integer(size) ? bundle_list_add(&listed, name, err) : NULL;
        if (entry == NULL && name != NULL && json_is_integer(size))
            result = -1;
        else if (entry == NULL)
            result =
                err_set(err, ERR_BAD_CONTENT, BUNDLE_MANIFEST ": member %zu of its list has no name or size", i + 1);
        else
            entry->size = json_integer_value(size);
    }
    bundle_list_sort(&listed);
    if (result == 0)
        result = check_twice(&listed, err);
    for (size_t i = 0; result == 0 && i < listed.count; i++) {
        const struct bundle_entry *entry = bundle_list_find(found, listed.at[i].name);
        char shown[80];
        span_to_text(span_text(listed.at[i].name), shown, sizeof shown);
        if (entry == NULL)
            result = err_set(err, ERR_BAD_CONTENT, "member \"%s\" is missing", shown);
        else if (entry->size != listed.at[i].size)
            result = err_set(err, ERR_BAD_CONTENT, "member \"%s\" has not the size that the manifest says", shown);
    }
    for (size_t i = 0; result == 0 && i < found->count; i++) {
        const char *name = found->at[i].name;
        if (strcmp(name, BUNDLE_MANIFEST) != 0 && strcmp(name, BUNDLE_SUMS) != 0 && strcmp(name, BUNDLE_SIGN) != 0 &&
            bundle_list_find(&listed, name) == NULL)
            result = err_set(err, ERR_BAD_CONTENT, "member \"%s\" is not listed in the manifest", name);
    }
    bundle_list_free(&listed);
    return result;
}

/* Format and program: may this release read it at all? Looked at before anything else is held against it. */
static int check_format(const json_t *manifest, struct err *err)
{
    const char *format = json_string_value(json_object_get(manifest, "format"));
    const json_t *version = json_object_get(manifest, "format_version");
    const char *program = json_string_value(json_object_get(manifest, "program"));
    char shown[40];
    span_to_text(span_text(program), shown, sizeof shown);
    if (format == NULL || strcmp(format, "ovvm-bundle") != 0 || !json_is_integer(version) ||
        json_integer_value(version) < 1)
        return err_set(err, ERR_BAD_CONTENT, BUNDLE_MANIFEST " is not that of a bundle");
    if (json_integer_value(version) > BUNDLE_FORMAT)
        return err_set(err, ERR_REFUSED,
                       "the bundle has format %lld (made by %s) and this program reads up to %d: install a newer "
                       "release here",
                       (long long)json_integer_value(version), shown, BUNDLE_FORMAT);
    return 0;
}

int bundle_verify(struct bundle_reader *reader, bool sealed, json_t **manifest_r, struct err *err)
{
    struct kept kept = { .manifest = { 0 } };
    json_error_t error;
    *manifest_r = NULL;
    int result = read_all(reader, &kept, err);
    bundle_list_sort(&reader->found);
    if (result == 0)
        result = check_twice(&reader->found, err);
    if (result == 0 && bundle_list_find(&reader->found, BUNDLE_MANIFEST) == NULL)
        result = err_set(err, ERR_BAD_CONTENT, "there is no " BUNDLE_MANIFEST);
    if (result == 0) {
        *manifest_r = json_loadb((const char *)kept.manifest.at, kept.manifest.size, JSON_REJECT_DUPLICATES, &error);
        result = *manifest_r != NULL
                     ? check_format(*manifest_r, err)
                     : err_set(err, ERR_BAD_CONTENT, BUNDLE_MANIFEST " is no JSON: line %d", error.line);
    }
    if (result == 0 && (sealed || !reader->folder))
        result = check_sums(&reader->found, buf_span(&kept.sums), err);
    if (result == 0 && (sealed || !reader->folder))
        result = check_members(&reader->found, json_object_get(*manifest_r, "members"), err);
    if (result == 0)
        result = sealed || !reader->folder || reader->keys == NULL || reader->keys->verify_key == NULL
                     ? check_signature(reader, &kept, err)
                     : err_set(err, ERR_REFUSED, "what was edited (--unsealed) has no signature that could be checked");
    buf_free(&kept.manifest);
    buf_free(&kept.sums);
    buf_free(&kept.signature);
    reader->verified = result == 0;
    if (result == 0 && bundle_rewind(reader, err) == 0)
        return 0;
    json_decref(*manifest_r);
    *manifest_r = NULL;
    return -1;
}

size_t bundle_entry_count(const struct bundle_reader *reader)
{
    return reader->found.count;
}

const struct bundle_entry *bundle_entry(const struct bundle_reader *reader, size_t index)
{
    return &reader->found.at[index];
}

int bundle_member(const char *path, const struct bundle_keys *keys, const char *member, bool unsealed, struct buf *to,
                  struct err *err)
{
    struct bundle_reader *reader = NULL;
    const char *name;
    int64_t size;
    int found = -1;
    json_t *manifest = NULL;
    int result = bundle_open(path, keys, &reader, err);
    if (result == 0)
        result = bundle_verify(reader, !unsealed, &manifest, err);
    while (result == 0 && (found = bundle_next(reader, &name, &size, err)) == 1)
        if (strcmp(name, member) == 0) {
            result = size <= BUNDLE_SMALL_MAX ? read_member(reader, to, err)
                                              : err_set(err, ERR_TOO_BIG, "\"%s\" is too large", member);
            break;
        }
    if (result == 0 && found != 1)
        result = found == -1 ? -1 : err_set(err, ERR_NOT_FOUND, "the bundle has no \"%s\"", member);
    json_decref(manifest);
    bundle_reader_free(reader);
    return result;
}
