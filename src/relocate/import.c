/* Reading bundles into a new ledger. The bundle is read twice: once to compare everything with everything, once to take
 * it in, in one transaction; a member that changed in between is found. A ledger that is
 * there already is replaced only where that loses nothing, and kept under another name even then. */
#include "relocate/import.h"

#include "base/clock.h"
#include "base/fault.h"
#include "relocate/itemfile.h"
#include "relocate/merge.h"
#include "relocate/tables.h"
#include "relocate/welcome.h"
#include "store/audit.h"
#include "store/schema.h"
#include "store/sequence.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

FAILPOINT_DECLARE("relocate.import-begun");
FAILPOINT_DECLARE("relocate.import-read");
FAILPOINT_DECLARE("relocate.import-built");
FAILPOINT_DECLARE("relocate.import-kept");
FAILPOINT_DECLARE("relocate.imported");

enum { PIECE_SIZE = 64 * 1024 };

struct importing {
    const struct import_options *options;
    struct import_result *result;
    struct bundle_reader *reader;
    json_t *manifest;
    enum bundle_kind kind;
    char path[PATH_MAX], temporary[PATH_MAX + 16];
    int lock_fd; /* the state directory */
    struct db *db;
    int64_t key; /* of the last letter */
    struct standing {
        bool there, same_lineage;
        struct instance instance;
        struct db *db; /* open where the bundle is merged into it */
    } standing;
    json_t *counts;
    uint8_t piece[PIECE_SIZE];
};

/* --- the place --- */

/* Letters, registrations, history: is anything in it that somebody could miss? The people file's own people come from
 * there again. */
static int is_unused(struct db *db, bool *unused_r, struct err *err)
{
    int64_t used = 1;
    int found = db_one_int(db, &used, err,
                           "SELECT (SELECT count(*) FROM item) + (SELECT count(*) FROM track) + (SELECT count(*) FROM"
                           " correlation) + (SELECT count(*) FROM host_address h LEFT JOIN person p ON p.key = h.person"
                           " WHERE h.kind IN (2, 3, 6) OR p.source IN (1, 3))",
                           "");
    *unused_r = found == 1 && used == 0;
    return found == -1 ? -1 : 0;
}

/* May the ledger that is there give way? */
static int check_standing(struct importing *importing, bool unused, struct err *err)
{
    struct standing *standing = &importing->standing;
    const struct instance *here = &standing->instance;
    json_int_t generation = json_integer_value(json_object_get(importing->manifest, "generation"));
    char next[ERR_TEXT_SIZE];
    transition_next(here, next, sizeof next);
    if (importing->options->restore)
        return unused ? 0
                      : err_set(err, ERR_REFUSED,
                                "there is a ledger at %.120s already, and it is newer than the backup: if it cannot be "
                                "used any more, move it away first (with its -wal and -shm, if they are there)",
                                importing->path);
    const char *bundle = json_string_value(json_object_get(importing->manifest, "bundle"));
    if (here->state == INSTANCE_IMPORTED && strcmp(here->bundle, bundle != NULL ? bundle : "") == 0)
        return err_set(err, ERR_REFUSED,
                       "that bundle is imported here already: stop ovvmd, then \"ovvm relocate activate\"");
    if (unused || here->state == INSTANCE_REHEARSAL || here->state == INSTANCE_IMPORTED)
        return 0;
    if (!standing->same_lineage && here->state == INSTANCE_ACTIVE)
        return importing->options->merge
                   ? 0
                   : err_set(err, ERR_REFUSED,
                             "there is an active instance of its own at %.120s: \"ovvm relocate import --merge FILE\" "
                             "merges the bundle into it; otherwise import into another state directory",
                             importing->path);
    if (!standing->same_lineage)
        return err_set(err, ERR_REFUSED, "there is another instance at %.120s: %s. Import into another state directory",
                       importing->path, next);
    if (here->state == INSTANCE_ACTIVE || here->state == INSTANCE_EXPORTING)
        return err_set(err, ERR_REFUSED,
                       "this instance is %s itself, generation %lld, and the bundle is of generation %lld: two would "
                       "give out the same numbers. Nothing has to be imported here",
                       instance_state_name(here->state), (long long)here->generation, (long long)generation);
    if (generation <= here->generation && importing->kind != BUNDLE_REHEARSAL)
        return err_set(
            err, ERR_REFUSED,
            "the bundle is of generation %lld and this instance moved away in generation %lld: import the bundle on "
            "the new computer; to take the move back: %s",
            (long long)generation, (long long)here->generation, next);
    return 0;
}

/* Leaves nothing of it in a write-ahead log, so that the file alone is the ledger. */
static int look_at_standing(struct importing *importing, struct err *err)
{
    struct standing *standing = &importing->standing;
    struct db_options options = { .path = importing->path };
    bool unused = false;
    standing->there = true;
    if (db_open(&options, &standing->db, err) == -1 || schema_migrate(standing->db, err) == -1 ||
        instance_read(standing->db, &standing->instance, err) == -1 || is_unused(standing->db, &unused, err) == -1)
        return -1;
    const char *lineage = json_string_value(json_object_get(importing->manifest, "lineage"));
    standing->same_lineage = lineage != NULL && strcmp(lineage, standing->instance.lineage) == 0;
    if (check_standing(importing, unused, err) == -1)
        return -1;
    bool merge =
        importing->options->merge && !standing->same_lineage && standing->instance.state == INSTANCE_ACTIVE && !unused;
    if (importing->options->merge && !merge)
        return err_set(err, ERR_REFUSED, "there is nothing to merge with here: import without --merge");
    importing->result->merged = merge;
    if (merge)
        return instance_claim(standing->db, importing->options->conf->connector.state, &standing->instance, err);
    if (db_checkpoint(standing->db, true, err) == -1)
        return -1;
    db_close(standing->db);
    standing->db = NULL;
    return 0;
}

static int make_place(struct importing *importing, struct err *err)
{
    const struct conf *conf = importing->options->conf;
    const char *state = conf->connector.state;
    if (mkdir(state, 0700) == -1 && errno != EEXIST)
        return err_set(err, ERR_CONFIG, "[connector] state %.150s cannot be made: %m", state);
    if (store_path(conf->store.url, importing->path, sizeof importing->path, err) == -1 ||
        store_lock(state, &importing->lock_fd, err) == -1)
        return -1;
    importing->path[strcspn(importing->path, "?")] = '\0';
    (void)snprintf(importing->temporary, sizeof importing->temporary, "%s.importing", importing->path);
    char log[PATH_MAX + 8];
    (void)snprintf(log, sizeof log, "%s-wal", importing->path);
    if (access(importing->path, F_OK) == 0 && look_at_standing(importing, err) == -1)
        return -1;
    if (access(importing->path, F_OK) == -1 && importing->options->merge)
        return err_set(err, ERR_REFUSED, "there is no ledger here to merge with: import without --merge");
    if (!importing->result->merged && access(log, F_OK) == 0)
        return err_set(
            err, ERR_REFUSED,
            "%.120s is part of a ledger and must not be replaced: if it is not wanted any more, move it away "
            "(with the ledger and its -shm, if they are there)",
            log);
    return 0;
}

/* What an earlier attempt left. */
static void remove_temporary(const struct importing *importing)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[PATH_MAX + 32];
        (void)snprintf(name, sizeof name, "%s%s", importing->temporary, ends[i]);
        (void)unlink(name);
    }
}

static int begin_ledger(struct importing *importing, struct err *err)
{
    struct instance ignored;
    struct db_options options = { .path = importing->temporary, .create = true };
    remove_temporary(importing);
    mode_t before = umask(0077);
    int result = db_open(&options, &importing->db, err);
    /* nobody needs a half of it: it is synced once, as a file, before it gets its name */
    if (result == 0)
        result = db_script(importing->db,
                           "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;", err);
    if (result == 0)
        result = schema_migrate(importing->db, err);
    (void)umask(before);
    if (result == -1 || db_begin(importing->db, err) == -1)
        return -1;
    return instance_claim(importing->db, importing->options->conf->connector.state, &ignored, err);
}

/* --- members --- */

/* `take(arg, piece)` for each piece of the member in hand. */
static int each_piece(struct importing *importing, int (*take)(void *arg, struct span piece, struct err *err),
                      void *arg, struct err *err)
{
    size_t got = 0;
    do {
        if (bundle_read(importing->reader, importing->piece, sizeof importing->piece, &got, err) == -1)
            return -1;
        if (got > 0 && take(arg, span_of(importing->piece, got), err) == -1)
            return -1;
    } while (got > 0);
    return 0;
}

static int skip_piece(void *arg, struct span piece, struct err *err)
{
    (void)arg;
    (void)piece;
    (void)err;
    return 0;
}

static int table_piece(void *arg, struct span piece, struct err *err)
{
    return table_read(arg, piece, err);
}

static int item_piece(void *arg, struct span piece, struct err *err)
{
    return itemfile_read(arg, piece, err);
}

static int file_piece(void *arg, struct span piece, struct err *err)
{
    FILE *file = arg;
    return fwrite(piece.at, 1, piece.size, file) == piece.size ? 0 : err_set(err, ERR_STORE_IO, IMPORT_FOLDER ": %m");
}

static void count(struct importing *importing, const char *name, int64_t add)
{
    json_int_t before = json_integer_value(json_object_get(importing->counts, name));
    (void)json_object_set_new(importing->counts, name, json_integer(before + add));
}

static int take_table(struct importing *importing, const struct table *table, struct err *err)
{
    struct table_reader reader;
    table_read_begin(&reader, importing->db, table);
    int result = each_piece(importing, table_piece, &reader, err);
    if (result == 0)
        result = table_read_end(&reader, err);
    count(importing, table->member, reader.rows);
    table_read_free(&reader);
    return result;
}

/* Is the letter what its place in the bundle says? */
static int check_item(const struct item *item, const char *name, bool quarantine, struct err *err)
{
    if (strncmp(strchr(name, '/') + 1, item->id.text, ULID_LENGTH) != 0)
        return err_set(err, ERR_BAD_CONTENT, "it is letter %s, not the one its name says", item->id.text);
    if ((item->state == ITEM_QUARANTINED) != quarantine)
        return err_set(err, ERR_BAD_CONTENT, "its state does not belong in that folder");
    return 0;
}

static int take_item(struct importing *importing, const char *name, struct err *err)
{
    struct itemfile_reader reader;
    bool quarantine = strncmp(name, "Quarantine/", 11) == 0;
    itemfile_read_begin(&reader, importing->db, ++importing->key, false);
    int result = each_piece(importing, item_piece, &reader, err);
    if (result == 0 && reader.part == 2)
        result = check_item(&reader.item, name, quarantine, err);
    if (result == 0)
        result = itemfile_read_end(&reader, err);
    itemfile_read_free(&reader);
    count(importing, quarantine ? "Quarantine/" : "Queue/", 1);
    if (result == -1 && err->id == ERR_BUG)
        (void)err_set(err, ERR_BAD_CONTENT, "letter %.26s is there twice", strchr(name, '/') + 1);
    return result;
}

/* The operator's own files are laid out for him to compare; nothing reads them from there. */
static int take_file(struct importing *importing, const char *name, struct err *err)
{
    const char *plain = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    if (mkdirat(importing->lock_fd, IMPORT_FOLDER, 0700) == -1 && errno != EEXIST)
        return err_set(err, ERR_STORE_IO, IMPORT_FOLDER ": %m");
    int folder = openat(importing->lock_fd, IMPORT_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder == -1)
        return err_set(err, ERR_STORE_IO, IMPORT_FOLDER ": %m");
    int fd = openat(folder, plain, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    (void)close(folder);
    FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;
    if (file == NULL)
        return err_set(err, ERR_STORE_IO, IMPORT_FOLDER "/%.80s: %m", plain);
    int result = each_piece(importing, file_piece, file, err);
    if (fclose(file) != 0 && result == 0)
        result = err_set(err, ERR_STORE_IO, IMPORT_FOLDER "/%.80s: %m", plain);
    importing->result->files++;
    return result;
}

static int take_member(struct importing *importing, const char *name, struct err *err)
{
    const struct table *table = table_of_member(span_text(name));
    if (table != NULL)
        return take_table(importing, table, err);
    if (strncmp(name, "Queue/", 6) == 0 || strncmp(name, "Quarantine/", 11) == 0)
        return take_item(importing, name, err);
    if (strncmp(name, "Tables/", 7) == 0 || strcmp(name, BUNDLE_CONF) == 0)
        return take_file(importing, name, err);
    return each_piece(importing, skip_piece, NULL, err);
}

static int take_members(struct importing *importing, struct err *err)
{
    const char *name;
    int64_t size;
    int found;
    while ((found = bundle_next(importing->reader, &name, &size, err)) == 1) {
        char copy[BUNDLE_NAME_MAX + 1];
        (void)snprintf(copy, sizeof copy, "%s", name);
        if (take_member(importing, copy, err) == -1)
            return strncmp(copy, "Qu", 2) == 0 ? err_context(err, "%s", copy) : -1;
    }
    return found;
}

/* A sealed bundle says how many rows and letters it has. */
static int check_counts(const struct importing *importing, struct err *err)
{
    const json_t *said = json_object_get(importing->manifest, "counts");
    const char *name;
    json_t *value;
    if (importing->options->unsealed)
        return 0;
    json_object_foreach((json_t *)(uintptr_t)said, name, value)
    {
        json_int_t found = json_integer_value(json_object_get(importing->counts, name));
        if (!json_is_integer(value) || json_integer_value(value) != found)
            return err_set(err, ERR_BAD_CONTENT, "the manifest says %lld of %.40s, and there are %lld",
                           (long long)json_integer_value(value), name, (long long)found);
    }
    return 0;
}

/* --- the end --- */

static int set_instance(struct importing *importing, struct err *err)
{
    struct instance instance;
    const struct import_options *options = importing->options;
    const json_t *manifest = importing->manifest;
    if (instance_read(importing->db, &instance, err) == -1)
        return -1;
    (void)snprintf(instance.lineage, sizeof instance.lineage, "%s",
                   json_string_value(json_object_get(manifest, "lineage")));
    (void)snprintf(instance.bundle, sizeof instance.bundle, "%s",
                   options->restore ? "" : json_string_value(json_object_get(manifest, "bundle")));
    instance.generation = json_integer_value(json_object_get(manifest, "generation"));
    instance.state = importing->kind == BUNDLE_REHEARSAL ? INSTANCE_REHEARSAL : INSTANCE_IMPORTED;
    if (instance_write(importing->db, &instance, err) == -1)
        return -1;
    int64_t made_us = json_integer_value(json_object_get(manifest, "made_us"));
    if (options->restore
            ? transition_lossy(importing->db, made_us, "restore", options->who, &importing->result->lossy, err) == -1
            : audit_add(importing->db, clock_now(), options->who, "relocate import", span_text(instance.bundle), err) ==
                  -1)
        return -1;
    if (instance_read(importing->db, &instance, err) == -1)
        return -1;
    importing->result->state = instance_state_name(instance.state);
    importing->result->generation = instance.generation;
    return 0;
}

/* Run by root for a state directory of the connector's user: the ledger becomes that user's. */
static int give_away(const struct importing *importing, int fd, struct err *err)
{
    struct stat status;
    if (geteuid() != 0)
        return 0;
    if (fstat(importing->lock_fd, &status) == -1 || fchown(fd, status.st_uid, status.st_gid) == -1)
        return err_set(err, ERR_STORE_IO, "%.150s cannot be given to the owner of the state directory: %m",
                       importing->temporary);
    return 0;
}

static int sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd != -1 ? fsync(fd) : -1;
    if (fd != -1)
        (void)close(fd);
    return result;
}

/* At every moment there is a ledger under the name: a daemon that found none would make an empty one. */
static int keep_replaced(struct importing *importing, struct err *err)
{
    char kept[PATH_MAX + 16];
    (void)snprintf(kept, sizeof kept, "%s.replaced", importing->path);
    (void)unlink(kept);
    if (link(importing->path, kept) == -1)
        return err_set(err, ERR_STORE_IO, "%.180s: %m", kept);
    importing->result->replaced = true;
    FAILPOINT("relocate.import-kept");
    return 0;
}

/* The numbers that the replaced ledger gave out are not given out again. */
static int raise_sequences(struct importing *importing, struct err *err)
{
    struct db *db = NULL;
    struct db_rows rows;
    struct db_options options = { .path = importing->path, .read_only = true };
    if (!importing->standing.there || !importing->standing.same_lineage)
        return 0;
    if (db_open(&options, &db, err) == -1)
        return -1;
    int found = db_query(db, &rows, err, "SELECT name, next FROM sequence", "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        char name[40];
        db_text(&rows, 0, name, sizeof name);
        if (sequence_raise(importing->db, name, db_int(&rows, 1), err) == -1)
            found = -1;
    }
    db_end(&rows);
    db_close(db);
    return found == -1 ? -1 : 0;
}

/* What was built joins the standing ledger, which waits for `activate` then. */
static int merge(struct importing *importing, struct err *err)
{
    struct instance instance = importing->standing.instance;
    struct db *db = importing->standing.db;
    json_int_t generation = json_integer_value(json_object_get(importing->manifest, "generation"));
    const char *bundle = json_string_value(json_object_get(importing->manifest, "bundle"));
    int result = merge_begin(db, importing->temporary, &importing->result->conflicts, err);
    instance.state = INSTANCE_IMPORTED;
    instance.generation = generation > instance.generation ? generation : instance.generation;
    (void)snprintf(instance.bundle, sizeof instance.bundle, "%s", bundle);
    if (result == 0 &&
        (instance_write(db, &instance, err) == -1 ||
         audit_add(db, clock_now(), importing->options->who, "relocate merge", span_text(bundle), err) == -1 ||
         db_commit(db, err) == -1))
        result = -1;
    if (result == 0)
        FAILPOINT("relocate.imported");
    merge_end(db);
    importing->result->state = instance_state_name(instance.state);
    importing->result->generation = instance.generation;
    remove_temporary(importing);
    return result;
}

/* The finished database under its name. */
static int publish(struct importing *importing, struct err *err)
{
    char log[PATH_MAX + 32];
    if (db_checkpoint(importing->db, DB_CHECKPOINT_WAIT, err) == -1)
        return -1;
    db_close(importing->db);
    importing->db = NULL;
    (void)snprintf(log, sizeof log, "%s-wal", importing->temporary);
    if (access(log, F_OK) == 0)
        return err_set(err, ERR_STORE_IO, "%.180s is still there", log);
    int fd = open(importing->temporary, O_RDWR | O_CLOEXEC);
    if (fd == -1 || fsync(fd) == -1) {
        (void)err_set(err, ERR_STORE_IO, "%.180s: %m", importing->temporary);
        if (fd != -1)
            (void)close(fd);
        return -1;
    }
    int result = give_away(importing, fd, err);
    (void)close(fd);
    if (result == -1)
        return -1;
    if (importing->result->merged)
        return 0;
    FAILPOINT("relocate.import-built");
    if (importing->standing.there && keep_replaced(importing, err) == -1)
        return -1;
    if (rename(importing->temporary, importing->path) == -1 || sync_folder_of(importing->path) == -1)
        return err_set(err, ERR_STORE_IO, "%.180s: %m", importing->path);
    FAILPOINT("relocate.imported");
    return 0;
}

static int build(struct importing *importing, struct err *err)
{
    if (begin_ledger(importing, err) == -1)
        return -1;
    FAILPOINT("relocate.import-begun");
    if (take_members(importing, err) == -1 || check_counts(importing, err) == -1 ||
        set_instance(importing, err) == -1 || raise_sequences(importing, err) == -1)
        return -1;
    FAILPOINT("relocate.import-read");
    if (db_commit(importing->db, err) == -1 || publish(importing, err) == -1)
        return -1;
    return importing->result->merged ? merge(importing, err) : 0;
}

int import_run(const struct import_options *options, struct import_result *result_r, struct err *err)
{
    static struct importing importing; /* its buffer is large; one import a process */
    importing = (struct importing){ .options = options, .result = result_r, .lock_fd = -1 };
    *result_r = (struct import_result){ .manifest = NULL };
    importing.counts = json_object();
    int result = bundle_open(options->path, options->keys, &importing.reader, err);
    if (result == 0 && options->unsealed && !bundle_is_folder(importing.reader))
        result =
            err_set(err, ERR_REFUSED, "--unsealed is for folders: unpack the bundle first, then import the folder");
    if (result == 0)
        result = bundle_verify(importing.reader, !options->unsealed, &importing.manifest, err);
    if (result == 0 &&
        (welcome_check(importing.manifest, options, &importing.kind, err) == -1 || make_place(&importing, err) == -1))
        result = -1;
    if (result == 0) {
        result = build(&importing, err);
        if (importing.db != NULL)
            db_rollback(importing.db);
        db_close(importing.db);
        if (result == -1)
            remove_temporary(&importing);
    }
    if (result == 0)
        result_r->manifest = json_incref(importing.manifest);
    json_decref(importing.manifest);
    json_decref(importing.counts);
    bundle_reader_free(importing.reader);
    db_close(importing.standing.db);
    if (importing.lock_fd != -1)
        (void)close(importing.lock_fd);
    return result;
}
