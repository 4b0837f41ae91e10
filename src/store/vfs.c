/* The test builds' SQLite VFS: a shim in front of the ordinary one.
 *
 * Faults: xWrite and xSync ask fault_check and answer SQLITE_FULL or SQLITE_IOERR. Power cut: an overlay, one for each
 * path and shared by all connections of the process, holds the blocks written since the last xSync; only xSync moves
 * them to the real file. Reads see the overlay first. SIGKILL then leaves the real file as the last xSync left it. The
 * shared-memory index needs no such care: SQLite makes it anew from the log when the first connection opens.
 */
#include "store/vfs.h"

#include <string.h>

#ifdef OVVM_FAULTS

#include "base/fault.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 4096, BLOCK_BUCKETS = 1024, OVERLAYS_MAX = 16 };

struct block {
    sqlite3_int64 number;
    struct block *next;
    unsigned char bytes[BLOCK_SIZE];
};

struct overlay {
    char path[512];
    pthread_mutex_t lock;
    struct block *buckets[BLOCK_BUCKETS];
    sqlite3_int64 size; /* the file's size as the program sees it; -1: the real one */
};

struct shim_file {
    sqlite3_file base;
    struct overlay *overlay; /* NULL: writes go through */
    sqlite3_file *real;      /* behind this structure */
};

static sqlite3_vfs shim_vfs, powercut_vfs;
static struct overlay overlays[OVERLAYS_MAX];
static pthread_mutex_t overlays_lock = PTHREAD_MUTEX_INITIALIZER;

static sqlite3_vfs *real_vfs(void)
{
    return shim_vfs.pAppData;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim_file *)file)->real;
}

static int fault(enum fault_kind kind, int otherwise)
{
    int error = fault_check(kind);
    if (error == 0)
        return SQLITE_OK;
    return error == ENOSPC ? SQLITE_FULL : otherwise;
}

static struct overlay *overlay_of(const char *path)
{
    struct overlay *found = NULL;
    (void)pthread_mutex_lock(&overlays_lock);
    for (int i = 0; i < OVERLAYS_MAX && found == NULL; i++) {
        struct overlay *overlay = &overlays[i];
        if (overlay->path[0] == '\0') {
            strncpy(overlay->path, path, sizeof overlay->path - 1);
            (void)pthread_mutex_init(&overlay->lock, NULL);
            overlay->size = -1;
            found = overlay;
        } else if (strcmp(overlay->path, path) == 0) {
            found = overlay;
        }
    }
    (void)pthread_mutex_unlock(&overlays_lock);
    return found;
}

static struct block *block_find(struct overlay *overlay, sqlite3_int64 number)
{
    struct block *block = overlay->buckets[number % BLOCK_BUCKETS];
    while (block != NULL && block->number != number)
        block = block->next;
    return block;
}

/* The block to write into: on first touch it holds what the real file holds. */
static struct block *block_for_write(struct shim_file *shim, sqlite3_int64 number)
{
    struct overlay *overlay = shim->overlay;
    struct block *block = block_find(overlay, number);
    if (block != NULL)
        return block;
    block = mem_need(calloc(1, sizeof *block), "the power-cut shim");
    block->number = number;
    int code = shim->real->pMethods->xRead(shim->real, block->bytes, BLOCK_SIZE, number * BLOCK_SIZE);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
        memset(block->bytes, 0, BLOCK_SIZE);
    block->next = overlay->buckets[number % BLOCK_BUCKETS];
    overlay->buckets[number % BLOCK_BUCKETS] = block;
    return block;
}

static sqlite3_int64 overlay_size(struct shim_file *shim)
{
    sqlite3_int64 size = 0;
    if (shim->overlay->size >= 0)
        return shim->overlay->size;
    (void)shim->real->pMethods->xFileSize(shim->real, &size);
    return size;
}

static int shim_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *to, int size, sqlite3_int64 offset)
{
    struct shim_file *shim = (struct shim_file *)file;
    if (shim->overlay == NULL)
        return shim->real->pMethods->xRead(shim->real, to, size, offset);
    (void)pthread_mutex_lock(&shim->overlay->lock);
    int code = shim->real->pMethods->xRead(shim->real, to, size, offset);
    sqlite3_int64 end = overlay_size(shim);
    unsigned char *bytes = to;
    for (sqlite3_int64 at = offset; at < offset + size;) {
        sqlite3_int64 step = BLOCK_SIZE - at % BLOCK_SIZE;
        if (step > offset + size - at)
            step = offset + size - at;
        struct block *block = block_find(shim->overlay, at / BLOCK_SIZE);
        if (block != NULL)
            memcpy(bytes + (at - offset), block->bytes + at % BLOCK_SIZE, (size_t)step);
        at += step;
    }
    if (code == SQLITE_OK || code == SQLITE_IOERR_SHORT_READ) {
        code = offset + size <= end ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
        sqlite3_int64 valid = end > offset ? end - offset : 0;
        if (valid < size)
            memset(bytes + valid, 0, (size_t)(size - valid));
    }
    (void)pthread_mutex_unlock(&shim->overlay->lock);
    return code;
}

static int shim_write(sqlite3_file *file, const void *from, int size, sqlite3_int64 offset)
{
    struct shim_file *shim = (struct shim_file *)file;
    int code = fault(FAULT_WRITE, SQLITE_IOERR_WRITE);
    if (code != SQLITE_OK)
        return code;
    if (shim->overlay == NULL)
        return shim->real->pMethods->xWrite(shim->real, from, size, offset);
    (void)pthread_mutex_lock(&shim->overlay->lock);
    const unsigned char *bytes = from;
    sqlite3_int64 end = overlay_size(shim);
    for (sqlite3_int64 at = offset; at < offset + size;) {
        sqlite3_int64 step = BLOCK_SIZE - at % BLOCK_SIZE;
        if (step > offset + size - at)
            step = offset + size - at;
        struct block *block = block_for_write(shim, at / BLOCK_SIZE);
        memcpy(block->bytes + at % BLOCK_SIZE, bytes + (at - offset), (size_t)step);
        at += step;
    }
    shim->overlay->size = offset + size > end ? offset + size : end;
    (void)pthread_mutex_unlock(&shim->overlay->lock);
    return SQLITE_OK;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct shim_file *shim = (struct shim_file *)file;
    if (shim->overlay == NULL)
        return shim->real->pMethods->xTruncate(shim->real, size);
    (void)pthread_mutex_lock(&shim->overlay->lock);
    shim->overlay->size = size;
    (void)pthread_mutex_unlock(&shim->overlay->lock);
    return SQLITE_OK;
}

/* Moves the overlay to the real file: from here on it survives. */
static int overlay_flush(struct shim_file *shim)
{
    struct overlay *overlay = shim->overlay;
    sqlite3_int64 end = overlay_size(shim);
    int code = SQLITE_OK;
    for (int i = 0; i < BLOCK_BUCKETS; i++) {
        while (overlay->buckets[i] != NULL) {
            struct block *block = overlay->buckets[i];
            sqlite3_int64 at = block->number * BLOCK_SIZE;
            sqlite3_int64 size = end - at < BLOCK_SIZE ? end - at : BLOCK_SIZE;
            if (size > 0 && code == SQLITE_OK)
                code = shim->real->pMethods->xWrite(shim->real, block->bytes, (int)size, at);
            overlay->buckets[i] = block->next;
            free(block);
        }
    }
    if (code == SQLITE_OK && overlay->size >= 0)
        code = shim->real->pMethods->xTruncate(shim->real, overlay->size);
    overlay->size = -1;
    return code;
}

static int shim_sync(sqlite3_file *file, int flags)
{
    struct shim_file *shim = (struct shim_file *)file;
    int code = fault(FAULT_SYNC, SQLITE_IOERR_FSYNC);
    if (code != SQLITE_OK)
        return code;
    if (shim->overlay != NULL) {
        (void)pthread_mutex_lock(&shim->overlay->lock);
        code = overlay_flush(shim);
        (void)pthread_mutex_unlock(&shim->overlay->lock);
        if (code != SQLITE_OK)
            return code;
    }
    return shim->real->pMethods->xSync(shim->real, flags);
}

static int shim_file_size(sqlite3_file *file, sqlite3_int64 *size_r)
{
    struct shim_file *shim = (struct shim_file *)file;
    if (shim->overlay == NULL)
        return shim->real->pMethods->xFileSize(shim->real, size_r);
    (void)pthread_mutex_lock(&shim->overlay->lock);
    *size_r = overlay_size(shim);
    (void)pthread_mutex_unlock(&shim->overlay->lock);
    return SQLITE_OK;
}

static int shim_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int shim_check_lock(sqlite3_file *file, int *result_r)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result_r);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
    struct shim_file *shim = (struct shim_file *)file;
    if (shim->overlay != NULL && op == SQLITE_FCNTL_SIZE_HINT)
        return SQLITE_OK;
    return shim->real->pMethods->xFileControl(shim->real, op, arg);
}

static int shim_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shim_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at_r)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, at_r);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shim_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2, /* no memory-mapped reads: they would not see the overlay */
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_file_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_lock,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector_size,
    .xDeviceCharacteristics = shim_device,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *flags_r)
{
    struct shim_file *shim = (struct shim_file *)file;
    memset(shim, 0, sizeof *shim);
    shim->real = (sqlite3_file *)(shim + 1);
    int code = real_vfs()->xOpen(real_vfs(), name, shim->real, flags, flags_r);
    if (shim->real->pMethods == NULL)
        return code;
    shim->base.pMethods = &shim_methods;
    if (vfs == &powercut_vfs && name != NULL && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0)
        shim->overlay = overlay_of(name);
    return code;
}

/* A log that is removed takes its overlay along. */
static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    if (vfs == &powercut_vfs) {
        struct overlay *overlay = overlay_of(name);
        if (overlay != NULL) {
            (void)pthread_mutex_lock(&overlay->lock);
            for (int i = 0; i < BLOCK_BUCKETS; i++)
                while (overlay->buckets[i] != NULL) {
                    struct block *block = overlay->buckets[i];
                    overlay->buckets[i] = block->next;
                    free(block);
                }
            overlay->size = -1;
            (void)pthread_mutex_unlock(&overlay->lock);
        }
    }
    return real_vfs()->xDelete(real_vfs(), name, sync_folder);
}

static void register_one(sqlite3_vfs *vfs, const char *name, sqlite3_vfs *real)
{
    *vfs = *real;
    vfs->zName = name;
    vfs->pNext = NULL;
    vfs->pAppData = real;
    vfs->szOsFile = (int)sizeof(struct shim_file) + real->szOsFile;
    vfs->xOpen = shim_open;
    vfs->xDelete = shim_delete;
    (void)sqlite3_vfs_register(vfs, 0);
}

/* Also SQLite's own memory may be made to end. */
static sqlite3_mem_methods real_memory;

static void *fault_malloc(int size)
{
    return fault_alloc() ? NULL : real_memory.xMalloc(size);
}

static void *fault_realloc(void *at, int size)
{
    return fault_alloc() ? NULL : real_memory.xRealloc(at, size);
}

static void register_all(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    sqlite3_mem_methods memory = real_memory;
    memory.xMalloc = fault_malloc;
    memory.xRealloc = fault_realloc;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    if (real == NULL) /* SQLite had no memory to begin */
        return;
    register_one(&shim_vfs, "faults", real);
    register_one(&powercut_vfs, "powercut", real);
}

int vfs_choose(char *path, const char **vfs_r, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_all);
    if (shim_vfs.pAppData == NULL)
        return err_set(err, ERR_NO_MEMORY, "ledger: out of memory");
    *vfs_r = "faults";
    char *query = strchr(path, '?');
    if (query == NULL)
        return 0;
    *query = '\0';
    if (strcmp(query + 1, "vfs=powercut") != 0)
        return err_set(err, ERR_CONFIG, "the ledger's url ends in \"?%.100s\", which is not known", query + 1);
    *vfs_r = "powercut";
    return 0;
}

#else

int vfs_choose(char *path, const char **vfs_r, struct err *err)
{
    *vfs_r = NULL;
    const char *query = strchr(path, '?');
    return query == NULL ? 0
                         : err_set(err, ERR_CONFIG, "the ledger's url ends in \"%.100s\", which is not known", query);
}

#endif
