/* seal: a stream encrypted under a passphrase, so that nobody without it reads or changes it.
 *
 *     OVVM-SEALED 1 SALT\n        SALT: 32 hexadecimal digits
 *     frames: 64 KiB of the stream each (the last: what is left), encrypted with ChaCha20-Poly1305, and its tag
 *
 * The key is scrypt(passphrase, salt, N 32768, r 8, p 1). The nonce of frame n is n as 11 bytes, big-endian, and one
 * byte that is 1 for the last frame, else 0: a frame that is missing, moved or was cut off is found. The first line is
 * the associated data of every frame.
 */
#ifndef OVVM_RELOCATE_SEAL_H
#define OVVM_RELOCATE_SEAL_H

#include "base/err.h"
#include "base/span.h"

#define SEAL_FIRST "OVVM-SEALED "
enum { SEAL_FRAME = 64 * 1024, SEAL_PASSPHRASE_MIN = 12, SEAL_PASSPHRASE_MAX = 4096 };

/* The passphrase: the file's bytes without the end of its last line. REFUSED: too short, or all users can read it.
 * *size_r bytes of `to_r` (SEAL_PASSPHRASE_MAX). */
int seal_passphrase(const char *path, uint8_t *to_r, size_t *size_r, struct err *err);

struct seal;

/* Writing to `fd`, which stays the caller's. */
int seal_begin(int fd, struct span passphrase, struct seal **seal_r, struct err *err);
int seal_write(struct seal *seal, struct span bytes, struct err *err);
/* The last frame. */
int seal_end(struct seal *seal, struct err *err);

/* Does the file begin as a sealed one does? */
bool seal_is(int fd);
/* Reading from `fd`, from its beginning. REFUSED: no such form. */
int seal_open(int fd, struct span passphrase, struct seal **seal_r, struct err *err);
/* The next piece, valid until the next call; empty: the end. BAD_CONTENT: another passphrase, or it was changed. */
int seal_read(struct seal *seal, struct span *piece_r, struct err *err);
int seal_rewind(struct seal *seal, struct err *err);

void seal_free(struct seal *seal);

#endif
