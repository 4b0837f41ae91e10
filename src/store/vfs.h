/* vfs: how the ledger's files are reached. In the shipped program: as SQLite does by itself. In test builds
 * (-Dfaults=true) every write and sync may be made to fail (base/fault.h), and `?vfs=powercut` after the path keeps
 * what was written in memory until it is synced, so that killing the process loses exactly what a power cut may lose.
 */
#ifndef OVVM_STORE_VFS_H
#define OVVM_STORE_VFS_H

#include "base/err.h"

/* Cuts `?…` off the path and chooses the VFS (NULL: SQLite's own). CONFIG where the build has no such VFS. */
int vfs_choose(char *path, const char **vfs_r, struct err *err);

#endif
