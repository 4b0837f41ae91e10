/* folder: where the trial node keeps what it received, one spool file each. */
#ifndef OVVM_HOST_FOLDER_H
#define OVVM_HOST_FOLDER_H

#include "base/err.h"
#include "base/span.h"
#include "base/ulid.h"

enum { FOLDER_NAME_SIZE = ULID_LENGTH + sizeof ".spool" };

/* NOT_FOUND where `path` is no folder, STORE_IO where nothing can be written there. */
int folder_check(const char *path, struct err *err);

/* Writes `bytes` as a new file ULID.spool, synced, and its name too: after 0 it is there whatever happens. Under its
 * name there is a whole file or none. `name_r` without the folder. DISK_FULL or STORE_IO. */
int folder_store(const char *path, struct span bytes, char name_r[FOLDER_NAME_SIZE], struct err *err);

#endif
