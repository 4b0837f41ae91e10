/* A bundle holds other people's mail and travels over networks and sticks. Every byte is under a tag, and the count of
 * frames under their nonces; a wrong passphrase looks the same as damage, and says so. */
#include "relocate/seal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KEY_SIZE = 32,
    NONCE_SIZE = 12,
    TAG_SIZE = 16,
    SALT_SIZE = 16,
    HEAD_SIZE = sizeof SEAL_FIRST - 1 + 2 + 2 * SALT_SIZE + 1,
    SCRYPT_N = 32768,
    SCRYPT_R = 8,
    SCRYPT_MEMORY = 64 * 1024 * 1024
};

struct seal {
    int fd;
    EVP_CIPHER_CTX *cipher;
    uint8_t key[KEY_SIZE];
    char head[HEAD_SIZE + 1];
    uint64_t frame;
    bool ended;
    size_t size; /* of what waits in `plain` (writing) or was read ahead into `ahead` (reading) */
    uint8_t plain[SEAL_FRAME];
    uint8_t sealed[SEAL_FRAME + TAG_SIZE];
    uint8_t ahead;
    bool has_ahead;
};

int seal_passphrase(const char *path, uint8_t *to_r, size_t *size_r, struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1)
        return err_set(err, ERR_REFUSED, "the passphrase file %.150s: %m", path);
    ssize_t got = read(fd, to_r, SEAL_PASSPHRASE_MAX);
    int result = 0;
    if (fstat(fd, &status) == -1 || got == -1)
        result = err_set(err, ERR_REFUSED, "the passphrase file %.150s: %m", path);
    else if ((status.st_mode & S_IROTH) != 0)
        result = err_set(err, ERR_REFUSED, "all users can read %.150s: chmod o-r", path);
    struct span text =
        span_trim_end(span_trim_end(span_of(to_r, got > 0 ? (size_t)got : 0), '\n'), '\r'); /* of its last line */
    if (result == 0 && text.size < SEAL_PASSPHRASE_MIN)
        result = err_set(err, ERR_REFUSED, "the passphrase in %.150s has less than %d characters", path,
                         SEAL_PASSPHRASE_MIN);
    *size_r = text.size;
    (void)close(fd);
    return result;
}

static struct seal *seal_new(int fd, struct err *err)
{
    struct seal *seal = mem_zero(sizeof *seal);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (seal == NULL || cipher == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "out of memory for a sealed bundle");
        EVP_CIPHER_CTX_free(cipher);
        mem_free(seal);
        return NULL;
    }
    seal->fd = fd;
    seal->cipher = cipher;
    return seal;
}

void seal_free(struct seal *seal)
{
    if (seal == NULL)
        return;
    EVP_CIPHER_CTX_free(seal->cipher);
    OPENSSL_cleanse(seal, sizeof *seal);
    mem_free(seal);
}

static int derive(struct seal *seal, struct span passphrase, const uint8_t salt[SALT_SIZE], struct err *err)
{
    return EVP_PBE_scrypt((const char *)passphrase.at, passphrase.size, salt, SALT_SIZE, SCRYPT_N, SCRYPT_R, 1,
                          SCRYPT_MEMORY, seal->key, KEY_SIZE) == 1
               ? 0
               : err_set(err, ERR_NO_MEMORY, "the key of a sealed bundle cannot be made");
}

static void nonce_of(const struct seal *seal, bool last, uint8_t nonce_r[NONCE_SIZE])
{
    memset(nonce_r, 0, NONCE_SIZE);
    for (int i = 0; i < 8; i++)
        nonce_r[10 - i] = (uint8_t)(seal->frame >> (8 * i));
    nonce_r[11] = last ? 1 : 0;
}

/* --- writing --- */

static int put(int fd, const uint8_t *from, size_t size, struct err *err)
{
    for (struct span rest = span_of(from, size); rest.size > 0;) {
        ssize_t done = write(fd, rest.at, rest.size);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return err_set(err, errno == ENOSPC ? ERR_DISK_FULL : ERR_STORE_IO, "the sealed bundle: %m");
        rest = span_slice(rest, (size_t)done, rest.size);
    }
    return 0;
}

int seal_begin(int fd, struct span passphrase, struct seal **seal_r, struct err *err)
{
    uint8_t salt[SALT_SIZE];
    *seal_r = NULL;
    struct seal *seal = seal_new(fd, err);
    if (seal == NULL)
        return -1;
    clock_random(salt, sizeof salt);
    size_t size = (size_t)snprintf(seal->head, sizeof seal->head, SEAL_FIRST "1 ");
    for (size_t i = 0; i < SALT_SIZE; i++)
        size += (size_t)snprintf(seal->head + size, sizeof seal->head - size, "%02x", salt[i]);
    seal->head[size] = '\n';
    if (derive(seal, passphrase, salt, err) == -1 || put(fd, (const uint8_t *)seal->head, HEAD_SIZE, err) == -1) {
        seal_free(seal);
        return -1;
    }
    *seal_r = seal;
    return 0;
}

static int put_frame(struct seal *seal, bool last, struct err *err)
{
    uint8_t nonce[NONCE_SIZE];
    int size = 0;
    int rest = 0;
    nonce_of(seal, last, nonce);
    if (EVP_EncryptInit_ex(seal->cipher, EVP_chacha20_poly1305(), NULL, seal->key, nonce) != 1 ||
        EVP_EncryptUpdate(seal->cipher, NULL, &size, (const uint8_t *)seal->head, HEAD_SIZE) != 1 ||
        EVP_EncryptUpdate(seal->cipher, seal->sealed, &size, seal->plain, (int)seal->size) != 1 ||
        EVP_EncryptFinal_ex(seal->cipher, seal->sealed + size, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(seal->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, seal->sealed + size) != 1)
        return err_set(err, ERR_BUG, "the bundle cannot be encrypted");
    seal->frame++;
    seal->size = 0;
    return put(seal->fd, seal->sealed, (size_t)size + TAG_SIZE, err);
}

int seal_write(struct seal *seal, struct span bytes, struct err *err)
{
    while (bytes.size > 0) {
        if (seal->size == SEAL_FRAME && put_frame(seal, false, err) == -1) /* only now is it known not to be the last */
            return -1;
        struct span piece = span_slice(bytes, 0, SEAL_FRAME - seal->size);
        memcpy(seal->plain + seal->size, piece.at, piece.size);
        seal->size += piece.size;
        bytes = span_slice(bytes, piece.size, bytes.size);
    }
    return 0;
}

int seal_end(struct seal *seal, struct err *err)
{
    return put_frame(seal, true, err);
}

/* --- reading --- */

/* Up to `size` bytes; less only at the end of the file. */
static int get(int fd, uint8_t *to_r, size_t size, size_t *got_r, struct err *err)
{
    *got_r = 0;
    while (*got_r < size) {
        ssize_t got = read(fd, to_r + *got_r, size - *got_r);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return err_set(err, ERR_STORE_IO, "the sealed bundle: %m");
        if (got == 0)
            break;
        *got_r += (size_t)got;
    }
    return 0;
}

bool seal_is(int fd)
{
    char first[sizeof SEAL_FIRST - 1];
    return pread(fd, first, sizeof first, 0) == (ssize_t)sizeof first && memcmp(first, SEAL_FIRST, sizeof first) == 0;
}

static int read_head(struct seal *seal, uint8_t salt_r[SALT_SIZE], struct err *err)
{
    size_t got = 0;
    if (lseek(seal->fd, 0, SEEK_SET) == -1 || get(seal->fd, (uint8_t *)seal->head, HEAD_SIZE, &got, err) == -1)
        return err_set(err, ERR_STORE_IO, "the sealed bundle: %m");
    if (got != HEAD_SIZE || strncmp(seal->head, SEAL_FIRST "1 ", sizeof SEAL_FIRST + 1) != 0 ||
        seal->head[HEAD_SIZE - 1] != '\n')
        return err_set(err, ERR_REFUSED, "this sealed bundle has a form that this release does not know");
    const char *digits = seal->head + sizeof SEAL_FIRST + 1;
    for (size_t i = 0; i < SALT_SIZE; i++) {
        unsigned byte = 0;
        if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
            return err_set(err, ERR_BAD_CONTENT, "the first line of this sealed bundle is damaged");
        salt_r[i] = (uint8_t)byte;
    }
    return 0;
}

int seal_open(int fd, struct span passphrase, struct seal **seal_r, struct err *err)
{
    uint8_t salt[SALT_SIZE];
    *seal_r = NULL;
    struct seal *seal = seal_new(fd, err);
    if (seal == NULL)
        return -1;
    if (read_head(seal, salt, err) == -1 || derive(seal, passphrase, salt, err) == -1) {
        seal_free(seal);
        return -1;
    }
    *seal_r = seal;
    return 0;
}

int seal_rewind(struct seal *seal, struct err *err)
{
    seal->frame = 0;
    seal->ended = seal->has_ahead = false;
    return lseek(seal->fd, HEAD_SIZE, SEEK_SET) != -1 ? 0 : err_set(err, ERR_STORE_IO, "the sealed bundle: %m");
}

/* One frame, and one byte ahead, which says whether it is the last. */
static int get_frame(struct seal *seal, size_t *size_r, bool *last_r, struct err *err)
{
    size_t begin = seal->has_ahead ? 1 : 0;
    size_t got = 0;
    size_t ahead = 0;
    seal->sealed[0] = seal->ahead;
    if (get(seal->fd, seal->sealed + begin, sizeof seal->sealed - begin, &got, err) == -1)
        return -1;
    *size_r = begin + got;
    if (*size_r == sizeof seal->sealed && get(seal->fd, &seal->ahead, 1, &ahead, err) == -1)
        return -1;
    seal->has_ahead = ahead == 1;
    *last_r = !seal->has_ahead;
    return 0;
}

int seal_read(struct seal *seal, struct span *piece_r, struct err *err)
{
    uint8_t nonce[NONCE_SIZE];
    size_t size = 0;
    bool last = false;
    int plain = 0;
    int rest = 0;
    *piece_r = SPAN_EMPTY;
    if (seal->ended)
        return 0;
    if (get_frame(seal, &size, &last, err) == -1)
        return -1;
    nonce_of(seal, last, nonce);
    if (size < TAG_SIZE || EVP_DecryptInit_ex(seal->cipher, EVP_chacha20_poly1305(), NULL, seal->key, nonce) != 1 ||
        EVP_DecryptUpdate(seal->cipher, NULL, &plain, (const uint8_t *)seal->head, HEAD_SIZE) != 1 ||
        EVP_DecryptUpdate(seal->cipher, seal->plain, &plain, seal->sealed, (int)(size - TAG_SIZE)) != 1 ||
        EVP_CIPHER_CTX_ctrl(seal->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, seal->sealed + size - TAG_SIZE) != 1 ||
        EVP_DecryptFinal_ex(seal->cipher, seal->plain + plain, &rest) != 1)
        return err_set(err, ERR_BAD_CONTENT,
                       seal->frame == 0 ? "another passphrase, or the bundle is damaged"
                                        : "the sealed bundle is damaged or cut off");
    seal->frame++;
    seal->ended = last;
    *piece_r = span_of(seal->plain, (size_t)plain);
    return 0;
}
