/* bundle: a tar in zstd with everything that moves, readable without this program (doc/relocating.md lists the
 * members).
 *
 * Members come in any order but the last: SHA256SUMS (the form of sha256sum(1)) covers every other one, so a bundle
 * that was cut off has none. Behind it there may be its Ed25519 signature (64 bytes). The whole may be encrypted
 * (seal.h). manifest.json says what it is and lists every other member with its size. A member that is
 * not listed, is listed twice, differs in size or digest, or has a name that this program does not know, makes the
 * whole bundle refused.
 */
#ifndef OVVM_RELOCATE_BUNDLE_H
#define OVVM_RELOCATE_BUNDLE_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

#define BUNDLE_MANIFEST "manifest.json"
#define BUNDLE_SUMS     "SHA256SUMS"
#define BUNDLE_SIGN     "SHA256SUMS.sig"
#define BUNDLE_FILES    "FILES.txt"
#define BUNDLE_CONF     "ovvm.conf.reference"

enum {
    BUNDLE_FORMAT = 1, /* older ones are read for ever, newer ones refused */
    BUNDLE_NAME_MAX = 96,
    BUNDLE_MEMBERS_MAX = 1000000,        /* a few hundred bytes of memory each */
    BUNDLE_LIST_MAX = 256 * 1024 * 1024, /* manifest.json and SHA256SUMS */
    BUNDLE_SMALL_MAX = 16 * 1024 * 1024, /* a classic table or the configuration */
    BUNDLE_RATIO_MAX = 2000,             /* uncompressed to compressed, beyond BUNDLE_RATIO_FREE: a bomb */
    BUNDLE_RATIO_FREE = 256 * 1024 * 1024,
    BUNDLE_SHA256 = 32
};
#define BUNDLE_TOTAL_MAX (INT64_C(1) << 42) /* bytes of all members */

struct bundle_entry {
    char *name;
    int64_t size;
    uint8_t sha256[BUNDLE_SHA256];
};

/* May a bundle have a member of that name? No name here leads out of a folder. */
bool bundle_name_ok(const char *name);

/* What a bundle is encrypted, signed and checked with; each may be NULL. Files of PEM hold the keys. */
struct bundle_keys {
    const char *passphrase_file;
    const char *sign_key;   /* private Ed25519 */
    const char *verify_key; /* public: a bundle must be signed with its other half */
};

/* --- writing --- */

struct bundle_writer;

/* `keys` may be NULL. Begins PATH.tmp (mode 0600). Nothing is at PATH before bundle_publish. REFUSED where another
 * program writes it. */
int bundle_create(const char *path, const struct bundle_keys *keys, struct bundle_writer **writer_r, struct err *err);
/* One member after another; its bytes in pieces. */
int bundle_begin(struct bundle_writer *writer, const char *name, struct err *err);
int bundle_put(void *writer, struct span bytes, struct err *err);
int bundle_end(struct bundle_writer *writer, struct err *err);
/* Adds FILES.txt, manifest.json (`facts` with the list of members added) and SHA256SUMS; all of it is on disk when this
 * returns. `digest_r`: SHA-256 of SHA256SUMS, which stands for the whole. */
int bundle_finish(struct bundle_writer *writer, struct span files, json_t *facts, uint8_t digest_r[BUNDLE_SHA256],
                  struct err *err);
/* Gives the finished bundle its name, for good. */
int bundle_publish(struct bundle_writer *writer, struct err *err);
/* Frees; removes PATH.tmp unless it was published. */
void bundle_close(struct bundle_writer *writer);

/* --- reading --- */

struct bundle_reader;

/* A bundle, or a plain folder with the same files; `keys` (may be NULL) must live as long. REFUSED: it is encrypted and
 * there is no passphrase, or the other way round. Keeps the file open, so that what was checked is what is read. */
int bundle_open(const char *path, const struct bundle_keys *keys, struct bundle_reader **reader_r, struct err *err);
/* From a descriptor, which the reader closes (also when this fails). */
int bundle_open_fd(int fd, const struct bundle_keys *keys, struct bundle_reader **reader_r, struct err *err);
bool bundle_is_folder(const struct bundle_reader *reader);
/* After bundle_verify. */
bool bundle_is_signed(const struct bundle_reader *reader);
bool bundle_is_sealed(const struct bundle_reader *reader);
/* 1: the next member; 0: no more; -1: BAD_CONTENT, STORE_IO. Name and size limits hold for what is handed out. */
int bundle_next(struct bundle_reader *reader, const char **name_r, int64_t *size_r, struct err *err);
/* Up to `room` bytes of it; 0 bytes: its end. */
int bundle_read(struct bundle_reader *reader, void *to_r, size_t room, size_t *got_r, struct err *err);
/* From the first member again. */
int bundle_rewind(struct bundle_reader *reader, struct err *err);
/* Reads all of it once, compares everything with everything (see above) and rewinds. `sealed` false (folders only):
 * sizes and digests are not compared, files that the manifest does not list are taken. *manifest_r is the caller's.
 * Afterwards each member that is read again must have the digest it had. */
int bundle_verify(struct bundle_reader *reader, bool sealed, json_t **manifest_r, struct err *err);
/* After bundle_verify: what was found. */
/* The bytes of one small member of the bundle or folder `path`, appended, after all of it was verified. NOT_FOUND: it
 * has none of that name. */
int bundle_member(const char *path, const struct bundle_keys *keys, const char *member, bool unsealed, struct buf *to,
                  struct err *err);
size_t bundle_entry_count(const struct bundle_reader *reader);
const struct bundle_entry *bundle_entry(const struct bundle_reader *reader, size_t index);
void bundle_reader_free(struct bundle_reader *reader);

#endif
