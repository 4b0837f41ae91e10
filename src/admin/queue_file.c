/* Letters as files: `ovvm queue export ID FILE` and `ovvm queue import FILE`. The file is the operator's: he writes and
 * reads it, not the daemon. */
#include "admin/command.h"

#include "admin/show.h"
#include "relocate/itemfile.h"
#include "relocate/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int put_bytes(void *arg, struct span bytes, struct err *err)
{
    return fwrite(bytes.at, 1, bytes.size, arg) == bytes.size ? 0 : err_set(err, ERR_STORE_IO, "the file: %m");
}

/* Into a file that was not there. */
static int export_to(struct db *db, int64_t key, const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;
    if (file == NULL)
        return err_set(err, ERR_REFUSED, "%.200s cannot be made: %m", path);
    int found = itemfile_export(db, key, put_bytes, file, err);
    if (found == 0)
        found = err_set(err, ERR_NOT_FOUND, "the letter has just left the queues");
    if (found == 1 && (fflush(file) != 0 || fsync(fd) == -1))
        found = err_set(err, ERR_STORE_IO, "%.200s: %m", path);
    if (fclose(file) != 0 && found == 1)
        found = err_set(err, ERR_STORE_IO, "%.200s: %m", path);
    if (found == -1)
        (void)unlink(path);
    return found == 1 ? 0 : -1;
}

int queue_export_command(const struct command *command)
{
    struct conf conf;
    struct ledger ledger;
    struct err err = ERR_CLEAR;
    struct ulid id;
    int64_t key = 0;
    if (command_conf(command, &conf) != EXIT_DONE)
        return EXIT_REFUSED;
    int result = ulid_parse(command->words[2], &id)
                     ? 0
                     : err_set(&err, ERR_BAD_CONTENT, "that is no id; an id has 26 letters and digits");
    ledger = (struct ledger){ .lock_fd = -1 };
    if (result == 0)
        result = ledger_open(conf.store.url, conf.connector.state, LEDGER_READ, &ledger, &err);
    int found =
        result == 0 && db_run(ledger.db, &err, "BEGIN", "") != -1 ? item_find(ledger.db, id.text, &key, &err) : -1;
    if (found == 0)
        found = err_set(&err, ERR_NOT_FOUND,
                        "there is no such letter in the queues; \"ovvm trace %s\" shows what became of it", id.text);
    result = found == 1 ? export_to(ledger.db, key, command->words[3], &err) : -1;
    if (ledger.db != NULL)
        db_rollback(ledger.db);
    ledger_close(&ledger);
    conf_free(&conf);
    if (result == -1)
        return command_fail(command, &err);
    char said[200];
    (void)snprintf(said, sizeof said, "letter %s is in the file; it is also still in its queue", id.text);
    return command_reply(command, json_pack("{s:s, s:s}", "id", id.text, "said", said), show_done);
}

/* The two lines before the content; `*facts_r` is the caller's. */
static int read_facts(FILE *file, json_t **facts_r, struct err *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size = getline(&line, &room, file);
    int result = 0;
    *facts_r = NULL;
    if (size == -1 || strcmp(line, ITEMFILE_FIRST_LINE "\n") != 0)
        result = err_set(err, ERR_BAD_CONTENT,
                         "this is no letter that was exported: the first line must be \"" ITEMFILE_FIRST_LINE "\"");
    if (result == 0) {
        size = getline(&line, &room, file);
        *facts_r = size > 0 && size <= ITEMFILE_FACTS_MAX ? json_loadb(line, (size_t)size, JSON_REJECT_DUPLICATES, NULL)
                                                          : NULL;
        if (*facts_r == NULL)
            result = err_set(err, ERR_BAD_CONTENT, "line 2 is no JSON object");
    }
    free(line);
    return result;
}

/* Is all of the content there, and nothing behind it? Leaves the file where the content begins. */
static int check_size(FILE *file, const json_t *facts, struct err *err)
{
    long begin = ftell(file);
    json_int_t size = json_integer_value(json_object_get(facts, "size"));
    if (begin == -1 || fseek(file, 0, SEEK_END) != 0)
        return err_set(err, ERR_REFUSED, "the letter must be in a file: %m");
    long end = ftell(file);
    if (fseek(file, begin, SEEK_SET) != 0)
        return err_set(err, ERR_STORE_IO, "the file: %m");
    return end - begin == size ? 0
                               : err_set(err, ERR_BAD_CONTENT, "the content has %ld bytes, and the facts say %lld",
                                         end - begin, (long long)size);
}

int queue_import_command(const struct command *command)
{
    struct err err = ERR_CLEAR;
    json_t *facts = NULL;
    const char *path = command->words[2];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)err_set(&err, errno == ENOENT ? ERR_NOT_FOUND : ERR_REFUSED, "%.200s: %m", path);
        return command_fail(command, &err);
    }
    int status;
    if (read_facts(file, &facts, &err) == -1 || check_size(file, facts, &err) == -1) {
        (void)err_context(&err, "%.100s", path);
        status = command_fail(command, &err);
    } else {
        status = command_ask(command, json_pack("{s:s, s:O}", "verb", "queue import", "facts", facts), file, show_done);
    }
    json_decref(facts);
    (void)fclose(file);
    return status;
}
