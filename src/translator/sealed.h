/* sealed: contents that pass between two processes and that neither can change any more.
 *
 * A memfd with the seals SHRINK, GROW, WRITE and SEAL (memfd_create(2), fcntl(2) F_ADD_SEALS): who maps it reads bytes
 * that stay what they are, and never meets a page that is gone. Its size is the size of the contents.
 */
#ifndef OVVM_TRANSLATOR_SEALED_H
#define OVVM_TRANSLATOR_SEALED_H

#include "base/err.h"
#include "base/span.h"

/* A new sealed memfd that holds `bytes`; the caller closes it. -1: NO_MEMORY. */
int sealed_make(struct span bytes, struct err *err);
/* The size of a descriptor that is a sealed memfd with all four seals. BUG where it is anything else. */
int sealed_size(int fd, uint64_t *size_r, struct err *err);
/* Maps a descriptor for reading that must be sealed and exactly `size` bytes large (0 gives an empty span): BUG where
 * it is not, NO_MEMORY. The descriptor may be closed at once; the map is ended with sealed_unmap. */
int sealed_map(int fd, uint64_t size, struct span *bytes_r, struct err *err);
void sealed_unmap(struct span bytes);

#endif
