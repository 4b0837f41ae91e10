/* What the verbs that move, back up and restore have in common. The bundle is always read and written by this program,
 * not by the daemon, so that it is the operator's file. */
#include "admin/relocation.h"

#include "address/ovdfile.h"
#include "base/mem.h"
#include "relocate/import.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_DEFAULT_S = 30, DRAIN_MAX_S = 3600 };

/* --state names another state directory, with its ledger in it. */
static int use_state(struct relocation *relocation)
{
    char url[PATH_MAX + 32];
    char *state = realpath(relocation->command->state, NULL);
    if (state == NULL)
        state = strdup(relocation->command->state); /* an import makes it */
    (void)snprintf(url, sizeof url, "sqlite:%s/ovvm.db", state != NULL ? state : "");
    char *copy = mem_strdup(url);
    if (state == NULL || state[0] != '/' || copy == NULL) {
        (void)err_set(&relocation->err, ERR_REFUSED, "--state wants the absolute path of a state directory");
        free(state);
        mem_free(copy);
        return -1;
    }
    mem_free(relocation->conf.connector.state);
    mem_free(relocation->conf.store.url);
    relocation->conf.connector.state = mem_strdup(state);
    relocation->conf.store.url = copy;
    free(state);
    return relocation->conf.connector.state != NULL ? 0 : err_set(&relocation->err, ERR_NO_MEMORY, "out of memory");
}

/* EXIT_DONE, or the exit status after saying why. */
int relocation_begin(const struct command *command, struct relocation *relocation_r)
{
    *relocation_r = (struct relocation){ .command = command, .ledger = { .lock_fd = -1 }, .drain_s = DRAIN_DEFAULT_S };
    command_who(relocation_r->who, sizeof relocation_r->who);
    if (command_conf(command, &relocation_r->conf) != EXIT_DONE)
        return EXIT_REFUSED;
    int result = command->state != NULL ? use_state(relocation_r) : 0;
    if (result == 0 && command->drain != NULL) {
        char *end = NULL;
        relocation_r->drain_s = strtol(command->drain, &end, 10);
        if (end == command->drain || (*end != '\0' && strcmp(end, "s") != 0) || relocation_r->drain_s < 0 ||
            relocation_r->drain_s > DRAIN_MAX_S)
            result = err_set(&relocation_r->err, ERR_REFUSED, "--drain is a number of seconds up to %d", DRAIN_MAX_S);
    }
    if (result == 0)
        return EXIT_DONE;
    conf_free(&relocation_r->conf);
    return command_fail(command, &relocation_r->err);
}

/* Closes everything. `reply` NULL: shows relocation->err. Exit status. */
int relocation_end(struct relocation *relocation, json_t *reply, void (*show)(const json_t *reply))
{
    ledger_close(&relocation->ledger);
    json_decref(relocation->back);
    conf_free(&relocation->conf);
    return reply != NULL ? command_reply(relocation->command, reply, show)
                         : command_fail(relocation->command, &relocation->err);
}

int relocation_open(struct relocation *relocation, enum ledger_mode mode)
{
    return ledger_open(relocation->conf.store.url, relocation->conf.connector.state, mode, &relocation->ledger,
                       &relocation->err);
}

/* For reading, whether a daemon runs or not. */
int relocation_open_any(struct relocation *relocation)
{
    if (relocation_open(relocation, LEDGER_CHANGE) == 0)
        return 0;
    if (relocation->ledger.lock_fd != -1 || relocation->err.id != ERR_REFUSED)
        return -1;
    relocation->running = true; /* the lock is the daemon's */
    relocation->err = ERR_CLEAR;
    return relocation_open(relocation, LEDGER_READ);
}

struct bundle_keys relocation_keys(const struct command *command)
{
    return (struct bundle_keys){ .passphrase_file = command->passphrase_file,
                                 .sign_key = command->sign_key,
                                 .verify_key = command->verify_key };
}

void relocation_add_next(json_t *reply, const char *text)
{
    json_t *list = json_object_get(reply, "next");
    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(reply, "next", list);
    }
    (void)json_array_append_new(list, json_string(text));
}

/* The bundle's facts without the long list. */
json_t *relocation_facts(const json_t *manifest)
{
    json_t *reply = json_deep_copy(manifest);
    (void)json_object_del(reply, "members");
    return reply;
}

const char *relocation_fact(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "-";
}

/* The folder of the operator's tables: what was said, what the configuration says, else `tables` beside it. */
const char *relocation_tables(const struct relocation *relocation, char *room_r, size_t room)
{
    char folder[PATH_MAX];
    if (relocation->command->tables != NULL)
        return relocation->command->tables;
    if (relocation->conf.connector.tables != NULL)
        return relocation->conf.connector.tables;
    (void)snprintf(folder, sizeof folder, "%s", relocation->command->conf_path);
    (void)snprintf(room_r, room, "%s/tables", dirname(folder));
    return room_r;
}

/* Does Ovdfile.dat in that folder list nodes with a mail manager? Those have a REMLOC entry for us. */
bool relocation_mail_managers(const char *folder, const struct conf *conf)
{
    bool found = false;
    struct ovdfile file;
    struct buf text = { .limit = BUNDLE_SMALL_MAX };
    char path[PATH_MAX + 32];
    uint8_t piece[4096];
    (void)snprintf(path, sizeof path, "%s/Ovdfile.dat", folder);
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return false;
    for (size_t got; (got = fread(piece, 1, sizeof piece, stream)) > 0;)
        buf_add(&text, piece, got);
    (void)fclose(stream);
    if (ovdfile_parse(buf_span(&text), conf->connector.node, conf->connector.location, &conf->connector.also_nodes,
                      &file, NULL) == 0) {
        for (size_t i = 0; i < file.count; i++)
            found = found || !name8_empty(file.nodes[i].mailman);
        ovdfile_free(&file);
    }
    buf_free(&text);
    return found;
}

/* What every address means here, and meant there. */
int relocation_compare(struct relocation *relocation, struct db *db, struct compare_result *result_r)
{
    char folder[PATH_MAX + 64];
    (void)snprintf(folder, sizeof folder, "%s/" IMPORT_FOLDER, relocation->conf.connector.state);
    return compare_addresses(db, folder, &relocation->conf, result_r, &relocation->err);
}

void relocation_add_comparison(json_t *reply, struct compare_result *result)
{
    (void)json_object_set_new(reply, "addresses", json_integer(result->addresses));
    (void)json_object_set_new(reply, "differences", json_integer(result->differences));
    (void)json_object_set_new(reply, "differ", result->shown);
}

/* Why two ledgers cannot be merged, all of it: the error has only the first. */
void relocation_show_lines(const struct command *command, const json_t *conflicts)
{
    size_t index;
    json_t *line;
    json_array_foreach(conflicts, index, line)
    {
        if (!command_has(command, OPTION_JSON))
            (void)fprintf(stderr, "  %s\n", json_string_value(line));
    }
}
