/* Writing bundles. The order is what makes a move safe:
 *
 *     FILE.tmp can be written -> exporting -> the bundle, on disk as FILE.tmp -> moved -> FILE
 *
 * A crash before `moved` leaves an instance that no bundle with a name exists for; after it, a fenced instance whose
 * bundle can be written again. There is never a bundle under its name while the instance could still send mail.
 */
#include "relocate/export.h"

#include "base/clock.h"
#include "base/fault.h"
#include "relocate/confkeys.h"
#include "relocate/itemfile.h"
#include "relocate/tables.h"
#include "relocate/transition.h"
#include "relocate/worklist.h"
#include "store/item.h"
#include "store/schema.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

FAILPOINT_DECLARE("relocate.exporting");
FAILPOINT_DECLARE("relocate.written");
FAILPOINT_DECLARE("relocate.moved");
FAILPOINT_DECLARE("relocate.published");

static const char *const kind_names[BUNDLE_KINDS] = { "move", "rehearsal", "backup" };

const char *bundle_kind_name(enum bundle_kind kind)
{
    return kind_names[kind];
}

struct exporting {
    struct db *db;
    const struct export_options *options;
    struct bundle_writer *writer;
    struct instance instance;
    json_t *counts;
    struct buf files; /* FILES.txt */
};

static void note_file(struct exporting *exporting, const char *member, int64_t count, const char *what)
{
    buf_printf(&exporting->files, "%-24s %10lld  %s\n", member, (long long)count, what);
}

/* --- the ledger --- */

static int put_tables(struct exporting *exporting, struct err *err)
{
    for (size_t i = 0; i < table_count; i++) {
        const struct table *table = &tables[i];
        int64_t rows = 0;
        if (bundle_begin(exporting->writer, table->member, err) == -1 ||
            table_export(exporting->db, table, bundle_put, exporting->writer, &rows, err) == -1 ||
            bundle_end(exporting->writer, err) == -1)
            return -1;
        (void)json_object_set_new(exporting->counts, table->member, json_integer(rows));
        note_file(exporting, table->member, rows, table->holds);
    }
    return 0;
}

static int put_item(struct exporting *exporting, int64_t key, const char *folder, const char *id, struct err *err)
{
    char name[BUNDLE_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s%s.item", folder, id);
    if (bundle_begin(exporting->writer, name, err) == -1)
        return -1;
    int found = itemfile_export(exporting->db, key, bundle_put, exporting->writer, err);
    if (found != 1)
        return found == -1 ? -1 : err_set(err, ERR_BUG, "letter %s vanished from a snapshot", id);
    return bundle_end(exporting->writer, err);
}

static int put_items(struct exporting *exporting, struct err *err)
{
    struct db_rows rows;
    int64_t counts[2] = { 0, 0 };
    static const char *const folders[2] = { "Queue/", "Quarantine/" };
    int found = db_query(exporting->db, &rows, err,
                         "SELECT key, id, state FROM item WHERE queue <> 0 AND state <> 3 ORDER BY key", "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        char id[ULID_LENGTH + 1];
        int where = db_int(&rows, 2) == ITEM_QUARANTINED ? 1 : 0;
        db_text(&rows, 1, id, sizeof id);
        counts[where]++;
        if (put_item(exporting, db_int(&rows, 0), folders[where], id, err) == -1)
            found = -1;
    }
    db_end(&rows);
    for (int i = 0; i < 2 && found == 0; i++) {
        (void)json_object_set_new(exporting->counts, folders[i], json_integer(counts[i]));
        note_file(exporting, folders[i], counts[i],
                  i == 0 ? "letters that wait, one file each" : "letters in quarantine");
    }
    return found == -1 ? -1 : 0;
}

/* --- files beside the ledger --- */

static int put_file(struct exporting *exporting, int folder, const char *file, const char *member, struct err *err)
{
    uint8_t piece[16 * 1024];
    struct stat status;
    int fd = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1)
        return err_set(err, ERR_REFUSED, "table %.100s cannot be read: %m", file);
    int result =
        fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= BUNDLE_SMALL_MAX
            ? bundle_begin(exporting->writer, member, err)
            : err_set(err, ERR_REFUSED, "table %.100s is no plain file of at most %d bytes", file, BUNDLE_SMALL_MAX);
    ssize_t got = 1;
    while (result == 0 && (got = read(fd, piece, sizeof piece)) > 0)
        result = bundle_put(exporting->writer, span_of(piece, (size_t)got), err);
    if (result == 0 && got == -1)
        result = err_set(err, ERR_STORE_IO, "table %.100s: %m", file);
    if (result == 0)
        result = bundle_end(exporting->writer, err);
    (void)close(fd);
    return result;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The operator's tables that a bundle knows (by name), as they are. */
static int put_classic(struct exporting *exporting, struct err *err)
{
    struct dirent **list = NULL;
    const char *path = exporting->options->tables;
    int folder = path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder == -1)
        return 0;
    int count = scandir(path, &list, NULL, compare_names);
    int result = count >= 0 ? 0 : err_set(err, ERR_REFUSED, "the tables in %.150s cannot be listed: %m", path);
    for (int i = 0; i < count; i++) {
        char member[BUNDLE_NAME_MAX + 1];
        int size = snprintf(member, sizeof member, "Tables/%s", list[i]->d_name);
        if (result == 0 && size < (int)sizeof member && bundle_name_ok(member) &&
            table_of_member(span_text(member)) == NULL) {
            result = put_file(exporting, folder, list[i]->d_name, member, err);
            note_file(exporting, member, 1, "as it was in the folder of tables");
        }
        free(list[i]);
    }
    free(list);
    (void)close(folder);
    return result;
}

/* Our configuration for reference. Comments may hold anything, so they stay here, as the secrets do. */
static int put_conf(struct exporting *exporting, struct err *err)
{
    struct buf text = { 0 };
    struct confkeys keys;
    if (confkeys_load(exporting->options->conf_path, &keys, err) == -1)
        return -1;
    confkeys_reference(&keys, &text);
    confkeys_free(&keys);
    int result = text.failed ? err_set(err, ERR_NO_MEMORY, "out of memory for the configuration") : 0;
    if (result == 0 &&
        (bundle_begin(exporting->writer, BUNDLE_CONF, err) == -1 ||
         bundle_put(exporting->writer, buf_span(&text), err) == -1 || bundle_end(exporting->writer, err) == -1))
        result = -1;
    note_file(exporting, BUNDLE_CONF, 1, "the configuration, for reference (as Exchconn.ini was)");
    buf_free(&text);
    return result;
}

/* --- the whole --- */

static json_t *links_of(const struct conf *conf)
{
    json_t *links = json_array();
    for (size_t i = 0; i < conf->link_count; i++)
        (void)json_array_append_new(links, worklist_link(&conf->links[i]));
    return links;
}

static json_t *facts_of(struct exporting *exporting, const char *bundle)
{
    const struct conf *conf = exporting->options->conf;
    time_t seconds = (time_t)(clock_now() / CLOCK_SECOND);
    struct tm tm;
    char made[32];
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(made, sizeof made, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:O}",
                     "format", "ovvm-bundle", "format_version", BUNDLE_FORMAT, "program", "ovvm " OVVM_VERSION,
                     "bundle", bundle, "kind", kind_names[exporting->options->kind], "made", made, "made_us",
                     (json_int_t)clock_now(), "lineage", exporting->instance.lineage, "generation",
                     (json_int_t)exporting->instance.generation, "schema", SCHEMA_VERSION, "node",
                     conf->connector.node.text, "domain", conf->connector.domain, "in_body_id",
                     conf->addressing.in_body_id.text, "default_node", conf->connector.default_node.text, "location",
                     conf->connector.location.text, "proxy_rule",
                     conf->connector.proxy_rule != NULL ? conf->connector.proxy_rule : "", "links", links_of(conf),
                     "counts", exporting->counts);
}

static int write_members(struct exporting *exporting, struct err *err)
{
    buf_printf(&exporting->files, "%-24s %10s  %s\n", "member", "count", "what it holds");
    if (put_tables(exporting, err) == -1 || put_items(exporting, err) == -1 || put_classic(exporting, err) == -1)
        return -1;
    return put_conf(exporting, err);
}

/* Into FILE.tmp, from one snapshot. */
static int write_bundle(struct exporting *exporting, const char *bundle, struct export_result *result_r,
                        struct err *err)
{
    uint8_t digest[BUNDLE_SHA256];
    exporting->counts = json_object();
    if (db_run(exporting->db, err, "BEGIN", "") == -1)
        return -1;
    int result = instance_read(exporting->db, &exporting->instance, err);
    if (result == 0 && exporting->options->kind == BUNDLE_MOVE && strcmp(exporting->instance.bundle, bundle) != 0)
        result = err_set(err, ERR_BUSY, "another export began meanwhile, into bundle %s", exporting->instance.bundle);
    if (result == 0)
        result = write_members(exporting, err);
    db_rollback(exporting->db);
    json_t *facts = result == 0 ? facts_of(exporting, bundle) : NULL;
    if (result == 0 && (facts == NULL || exporting->files.failed))
        result = err_set(err, ERR_NO_MEMORY, "out of memory for the manifest");
    if (result == 0)
        result = bundle_finish(exporting->writer, buf_span(&exporting->files), facts, digest, err);
    for (size_t i = 0; result == 0 && i < sizeof digest; i++)
        (void)snprintf(result_r->digest + 2 * i, 3, "%02x", digest[i]);
    result_r->manifest = result == 0 ? json_incref(facts) : NULL;
    json_decref(facts);
    json_decref(exporting->counts);
    buf_free(&exporting->files);
    return result;
}

/* What state the instance must be in, and which bundle it is. */
static int choose_bundle(struct db *db, const struct export_options *options, char bundle_r[TRANSITION_ID_SIZE],
                         struct err *err)
{
    struct instance instance;
    if (instance_read(db, &instance, err) == -1)
        return -1;
    transition_new_id(bundle_r);
    if (options->kind != BUNDLE_MOVE)
        return 0;
    if (options->again && instance.state != INSTANCE_MOVED)
        return err_set(err, ERR_REFUSED,
                       "this instance is %s: \"ovvm relocate export FILE\" (without --again) moves it",
                       instance_state_name(instance.state));
    if (!options->again && instance.state == INSTANCE_MOVED)
        return err_set(err, ERR_REFUSED,
                       "this instance moved into bundle %s: \"ovvm relocate export --again FILE\" writes that anew",
                       instance.bundle);
    if (options->again)
        (void)snprintf(bundle_r, TRANSITION_ID_SIZE, "%s", instance.bundle);
    else if (instance.state != INSTANCE_ACTIVE && instance.state != INSTANCE_EXPORTING)
        return err_set(err, ERR_REFUSED, "this instance is %s: only an active one can be moved",
                       instance_state_name(instance.state));
    return 0;
}

/* The export failed: the instance becomes what it was. Always -1, with both reasons where there are two. */
static int take_back(const struct export_fence *fence, const char *bundle, struct err *err)
{
    struct err failed = ERR_CLEAR;
    if (fence->undo(fence->arg, bundle, &failed) == 0)
        return err_context(err, "nothing was exported and this instance goes on");
    return err_set(err, err->id, "%.250s; %.200s", err->text, failed.text);
}

static int fenced_write(struct exporting *exporting, const char *bundle, struct export_result *result_r,
                        struct err *err)
{
    const struct export_options *options = exporting->options;
    bool fence = options->kind == BUNDLE_MOVE && !options->again;
    if (fence && options->fence->begin(options->fence->arg, bundle, err) == -1)
        return -1;
    FAILPOINT("relocate.exporting");
    int result = write_bundle(exporting, bundle, result_r, err);
    if (result == 0)
        FAILPOINT("relocate.written");
    if (result == 0 && fence)
        result = options->fence->moved(options->fence->arg, bundle, err);
    if (result == -1)
        return fence ? take_back(options->fence, bundle, err) : -1;
    FAILPOINT("relocate.moved");
    if (bundle_publish(exporting->writer, err) == -1)
        return -1;
    FAILPOINT("relocate.published");
    return 0;
}

int export_run(struct db *db, const struct export_options *options, struct export_result *result_r, struct err *err)
{
    struct exporting exporting = { .db = db, .options = options };
    *result_r = (struct export_result){ .manifest = NULL };
    if (!options->again && access(options->file, F_OK) == 0)
        return err_set(err, ERR_REFUSED, "%.180s is there already; give another name", options->file);
    if (choose_bundle(db, options, result_r->bundle, err) == -1 ||
        bundle_create(options->file, options->keys, &exporting.writer, err) == -1)
        return -1;
    int result = fenced_write(&exporting, result_r->bundle, result_r, err);
    bundle_close(exporting.writer);
    if (result == -1) {
        json_decref(result_r->manifest);
        result_r->manifest = NULL;
    }
    return result;
}
