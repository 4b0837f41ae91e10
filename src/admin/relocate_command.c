/* Moving, backing up and restoring from the command line. What each step may do, and when, is in relocate/; here is who
 * does it: against a running daemon the doors are closed by asking it, against a stopped one the ledger is changed
 * under the daemon's lock. The bundle is always read and written by this program, so that it is the operator's file. */
#include "admin/command.h"

#include "admin/ask.h"
#include "admin/show.h"
#include "base/clock.h"
#include "base/mem.h"
#include "relocate/export.h"
#include "relocate/import.h"
#include "relocate/ledger.h"
#include "relocate/transition.h"
#include "store/audit.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_DEFAULT_S = 30, DRAIN_MAX_S = 3600, ASK_SLACK_S = 60 };

/* What most of these verbs need. */
struct relocation {
    const struct command *command;
    struct conf conf;
    struct ledger ledger;
    bool running; /* a daemon has the ledger */
    long drain_s;
    char who[64];
    struct err err;
};

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
static int begin(const struct command *command, struct relocation *relocation_r)
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
static int end(struct relocation *relocation, json_t *reply, void (*show)(const json_t *reply))
{
    ledger_close(&relocation->ledger);
    conf_free(&relocation->conf);
    return reply != NULL ? command_reply(relocation->command, reply, show)
                         : command_fail(relocation->command, &relocation->err);
}

static int open_ledger(struct relocation *relocation, enum ledger_mode mode)
{
    return ledger_open(relocation->conf.store.url, relocation->conf.connector.state, mode, &relocation->ledger,
                       &relocation->err);
}

/* For reading, whether a daemon runs or not. */
static int open_any(struct relocation *relocation)
{
    if (open_ledger(relocation, LEDGER_CHANGE) == 0)
        return 0;
    if (relocation->ledger.lock_fd != -1 || relocation->err.id != ERR_REFUSED)
        return -1;
    relocation->running = true; /* the lock is the daemon's */
    relocation->err = ERR_CLEAR;
    return open_ledger(relocation, LEDGER_READ);
}

static json_t *sentence(const char *text)
{
    return json_pack("{s:s}", "said", text);
}

/* --- export, backup --- */

static int ask_daemon(struct relocation *relocation, const char *verb, const char *bundle, struct err *err)
{
    json_t *request =
        json_pack("{s:s, s:s, s:I}", "verb", verb, "bundle", bundle, "drain", (json_int_t)relocation->drain_s);
    struct ask question = { .path = relocation->conf.admin.socket,
                            .request = request,
                            .wait_s = (unsigned)(2 * relocation->drain_s + ASK_SLACK_S) };
    json_t *reply = NULL;
    int status = ask(&question, &reply);
    const char *text = json_string_value(json_object_get(reply, "error"));
    if (status != EXIT_DONE)
        (void)err_set(err, ERR_REFUSED, "%s", text != NULL ? text : "the running ovvmd could not be asked");
    json_decref(reply);
    json_decref(request);
    return status == EXIT_DONE ? 0 : -1;
}

static int daemon_begin(void *arg, const char *bundle, struct err *err)
{
    return ask_daemon(arg, "relocate begin", bundle, err);
}

static int daemon_moved(void *arg, const char *bundle, struct err *err)
{
    return ask_daemon(arg, "relocate moved", bundle, err);
}

struct step {
    const struct relocation *relocation;
    const char *text;
    bool flag;
    char receipt[TRANSITION_RECEIPT_SIZE];
    struct transition_lossy lossy;
    enum instance_state state;
};

static int begin_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_begin(db, step->text, step->relocation->who, err);
}

static int moved_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_moved(db, step->text, step->relocation->who, err);
}

static int own_begin(void *arg, const char *bundle, struct err *err)
{
    struct relocation *relocation = arg;
    struct step step = { .relocation = relocation, .text = bundle };
    return ledger_commit(&relocation->ledger, begin_work, &step, err);
}

static int own_moved(void *arg, const char *bundle, struct err *err)
{
    struct relocation *relocation = arg;
    struct step step = { .relocation = relocation, .text = bundle };
    return ledger_commit(&relocation->ledger, moved_work, &step, err);
}

static void add_next(json_t *reply, const char *text)
{
    json_t *list = json_object_get(reply, "next");
    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(reply, "next", list);
    }
    (void)json_array_append_new(list, json_string(text));
}

/* The bundle's facts without the long list. */
static json_t *facts(const json_t *manifest)
{
    json_t *reply = json_deep_copy(manifest);
    (void)json_object_del(reply, "members");
    return reply;
}

static int write_out(const struct command *command, const char *file, enum bundle_kind kind)
{
    struct relocation relocation;
    struct export_result result;
    int status = begin(command, &relocation);
    if (status != EXIT_DONE)
        return status;
    char folder[PATH_MAX];
    char tables[PATH_MAX + 16];
    (void)snprintf(folder, sizeof folder, "%s", command->conf_path);
    (void)snprintf(tables, sizeof tables, "%s/tables", dirname(folder));
    if (open_any(&relocation) == -1)
        return end(&relocation, NULL, NULL);
    struct export_fence fence = { .begin = relocation.running ? daemon_begin : own_begin,
                                  .moved = relocation.running ? daemon_moved : own_moved,
                                  .arg = &relocation };
    struct export_options options = { .file = file,
                                      .kind = kind,
                                      .conf = &relocation.conf,
                                      .conf_path = command->conf_path,
                                      .tables = command->tables != NULL ? command->tables : tables,
                                      .fence = &fence,
                                      .again = command_has(command, OPTION_AGAIN) };
    if (export_run(relocation.ledger.db, &options, &result, &relocation.err) == -1)
        return end(&relocation, NULL, NULL);
    json_t *reply = facts(result.manifest);
    json_decref(result.manifest);
    (void)json_object_set_new(reply, "checksum", json_string(result.digest));
    if (kind == BUNDLE_MOVE) {
        (void)json_object_set_new(reply, "state", json_string("moved: this instance takes and sends no mail any more"));
        add_next(reply, "copy the bundle to the new computer; it holds mail, so protect it");
        add_next(reply, "there: ovvm relocate import FILE; ovvm relocate activate; start ovvmd");
        add_next(reply, "here, with what activate printed: ovvm relocate done RECEIPT");
    } else if (kind == BUNDLE_REHEARSAL) {
        add_next(reply, "on a computer for trying out: ovvm relocate import FILE (it can never become active)");
    } else {
        add_next(reply, "keep it safe: it holds mail. \"ovvm restore FILE\" is for when the ledger is lost");
    }
    return end(&relocation, reply, show_bundle);
}

int relocate_export_command(const struct command *command)
{
    if (command_has(command, OPTION_AGAIN) && command_has(command, OPTION_REHEARSAL)) {
        (void)fputs("ovvm: --again and --rehearsal exclude each other\n", stderr);
        return EXIT_USAGE;
    }
    return write_out(command, command->words[2],
                     command_has(command, OPTION_REHEARSAL) ? BUNDLE_REHEARSAL : BUNDLE_MOVE);
}

int backup_command(const struct command *command)
{
    return write_out(command, command->words[1], BUNDLE_BACKUP);
}

/* --- inspect --- */

int relocate_inspect_command(const struct command *command)
{
    struct bundle_reader *reader = NULL;
    struct err err = ERR_CLEAR;
    json_t *manifest = NULL;
    int result = bundle_open(command->words[2], &reader, &err);
    if (result == 0)
        result = bundle_verify(reader, !command_has(command, OPTION_UNSEALED), &manifest, &err);
    bundle_reader_free(reader);
    if (result == -1)
        return command_fail(command, &err);
    json_t *reply = facts(manifest);
    json_decref(manifest);
    (void)json_object_set_new(reply, "state",
                              json_string(command_has(command, OPTION_UNSEALED)
                                              ? "readable; checksums were not compared"
                                              : "complete; every checksum is right"));
    return command_reply(command, reply, show_bundle);
}

/* --- import, restore --- */

static const char *fact(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "-";
}

static const json_t *link_in(const json_t *manifest, const char *node)
{
    size_t index;
    json_t *link;
    json_array_foreach(json_object_get(manifest, "links"), index, link)
    {
        if (strcmp(fact(link, "node"), node) == 0)
            return link;
    }
    return NULL;
}

/* What has to be changed on the host side, with old and new values (RL-08). */
static json_t *host_side(const json_t *manifest, const struct conf *conf)
{
    json_t *list = json_array();
    size_t index;
    json_t *link;
    for (size_t i = 0; i < conf->link_count; i++) {
        const struct conf_link *ours = &conf->links[i];
        const json_t *before = link_in(manifest, ours->node.text);
        char text[700];
        (void)snprintf(text, sizeof text,
                       "%s: its definition of node %s must lead to this computer; listened at %.100s, now %.100s; "
                       "connected to %.100s, now %.100s; node names and passwords stay",
                       ours->node.text, conf->connector.node.text, fact(before, "listen"),
                       ours->listen != NULL ? ours->listen : "-", fact(before, "connect"),
                       ours->connect != NULL ? ours->connect : "-");
        (void)json_array_append_new(list, json_string(text));
    }
    json_array_foreach(json_object_get(manifest, "links"), index, link)
    {
        bool kept = false;
        for (size_t i = 0; i < conf->link_count; i++)
            kept = kept || strcmp(fact(link, "node"), conf->links[i].node.text) == 0;
        char text[200];
        (void)snprintf(text, sizeof text, "%.40s: had a link before, and there is no [link] for it now",
                       fact(link, "node"));
        if (!kept)
            (void)json_array_append_new(list, json_string(text));
    }
    return list;
}

static int read_in(const struct command *command, const char *path, bool restore)
{
    struct relocation relocation;
    struct import_result result;
    char text[200];
    int status = begin(command, &relocation);
    if (status != EXIT_DONE)
        return status;
    struct import_options options = { .path = path,
                                      .conf = &relocation.conf,
                                      .unsealed = command_has(command, OPTION_UNSEALED),
                                      .force = command_has(command, OPTION_FORCE),
                                      .restore = restore,
                                      .who = relocation.who };
    if (import_run(&options, &result, &relocation.err) == -1)
        return end(&relocation, NULL, NULL);
    json_t *reply = facts(result.manifest);
    (void)json_object_set_new(reply, "generation", json_integer(result.generation));
    (void)json_object_set_new(reply, "state", json_string(result.state));
    (void)json_object_set_new(reply, "host_side", host_side(result.manifest, &relocation.conf));
    json_decref(result.manifest);
    if (result.files > 0) {
        (void)snprintf(text, sizeof text,
                       "compare the %u files in %.100s/" IMPORT_FOLDER " with yours; nothing reads them there",
                       result.files, relocation.conf.connector.state);
        add_next(reply, text);
    }
    if (restore) {
        (void)json_object_set_new(reply, "held", json_integer(result.lossy.held));
        (void)json_object_set_new(reply, "next_number", json_integer(result.lossy.next));
        (void)snprintf(text, sizeof text,
                       "numbers for senders go on at %lld: %lld were skipped, some may have been given out since",
                       (long long)result.lossy.next, (long long)result.lossy.jump);
        add_next(reply, text);
        (void)snprintf(text, sizeof text,
                       "%lld letters are held, they may have been delivered since: ovvm queue list, release or delete",
                       (long long)result.lossy.held);
        add_next(reply, text);
        add_next(reply, "make sure that the old instance never starts again, then start ovvmd");
    } else if (strcmp(result.state, "rehearsal") == 0) {
        add_next(reply, "start ovvmd and look around: its doors stay closed");
    } else {
        add_next(reply, "ovvm relocate activate, then start ovvmd");
    }
    return end(&relocation, reply, show_bundle);
}

int relocate_import_command(const struct command *command)
{
    return read_in(command, command->words[2], false);
}

int restore_command(const struct command *command)
{
    return read_in(command, command->words[1], true);
}

/* --- activate, done, cancel, adopt --- */

static int activate_work(struct db *db, void *arg, struct err *err)
{
    struct step *step = arg;
    return transition_activate(db, step->relocation->who, step->receipt, err);
}

static int done_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_done(db, step->text, step->relocation->who, err);
}

static int cancel_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_cancel(db, step->text, step->flag, step->relocation->who, err);
}

/* The last sign of use that the ledger holds. */
static int last_use(struct db *db, int64_t *us_r, struct err *err)
{
    return db_one_int(db, us_r, err,
                      "SELECT max(at_us) FROM (SELECT max(at_us) AS at_us FROM track UNION ALL"
                      " SELECT max(made_us) FROM host_address UNION ALL SELECT made_us FROM instance) AS uses",
                      "") == -1
               ? -1
               : 0;
}

static int adopt_work(struct db *db, void *arg, struct err *err)
{
    struct step *step = arg;
    const struct relocation *relocation = step->relocation;
    struct instance instance;
    struct err why = ERR_CLEAR;
    int64_t since_us = 0;
    if (instance_claim(db, relocation->ledger.state, &instance, &why) == 0)
        return err_set(err, ERR_NOT_FOUND, "this ledger is this computer's own; there is nothing to adopt");
    if (why.id != ERR_REFUSED) {
        *err = why;
        return -1;
    }
    if (instance_read(db, &instance, err) == -1 || last_use(db, &since_us, err) == -1 ||
        instance_adopt(db, relocation->ledger.state, err) == -1)
        return -1;
    step->state = instance.state;
    if (instance.state == INSTANCE_ACTIVE || instance.state == INSTANCE_EXPORTING) {
        step->state = INSTANCE_ACTIVE;
        return transition_lossy(db, since_us, "relocate adopt", relocation->who, &step->lossy, err);
    }
    return audit_add(db, clock_now(), relocation->who, "relocate adopt", SPAN_EMPTY, err);
}

/* One change of a stopped daemon's ledger. EXIT_DONE with `relocation` still open, or the exit status. */
static int change(const struct command *command, enum ledger_mode mode,
                  int (*work)(struct db *db, void *arg, struct err *err), struct relocation *relocation_r,
                  struct step *step)
{
    int status = begin(command, relocation_r);
    if (status != EXIT_DONE)
        return status;
    step->relocation = relocation_r;
    if (open_ledger(relocation_r, mode) == 0 &&
        ledger_commit(&relocation_r->ledger, work, step, &relocation_r->err) == 0)
        return EXIT_DONE;
    return end(relocation_r, NULL, NULL);
}

static void show_receipt(const json_t *reply)
{
    (void)printf("this instance is active; start ovvmd\nreceipt %s\non the old computer: ovvm relocate done %s\n",
                 fact(reply, "receipt"), fact(reply, "receipt"));
}

int relocate_activate_command(const struct command *command)
{
    struct relocation relocation;
    struct step step = { .text = NULL };
    int status = change(command, LEDGER_CHANGE, activate_work, &relocation, &step);
    return status == EXIT_DONE ? end(&relocation, json_pack("{s:s}", "receipt", step.receipt), show_receipt) : status;
}

int relocate_done_command(const struct command *command)
{
    struct relocation relocation;
    struct step step = { .text = command->words[2] };
    int status = change(command, LEDGER_CHANGE, done_work, &relocation, &step);
    return status == EXIT_DONE
               ? end(&relocation, sentence("the move is complete: this instance is done for good"), show_done)
               : status;
}

int relocate_cancel_command(const struct command *command)
{
    struct relocation relocation;
    struct step step = { .text = command->words[2], .flag = command_has(command, OPTION_NEVER_ACTIVATED) };
    int status = change(command, LEDGER_CHANGE, cancel_work, &relocation, &step);
    return status == EXIT_DONE
               ? end(&relocation,
                     sentence("the export is taken back and this instance is active: destroy the bundle, "
                              "then start ovvmd"),
                     show_done)
               : status;
}

int relocate_adopt_command(const struct command *command)
{
    struct relocation relocation;
    struct step step = { .text = NULL };
    char text[300];
    int status = change(command, LEDGER_ADOPT, adopt_work, &relocation, &step);
    if (status != EXIT_DONE)
        return status;
    if (step.state == INSTANCE_ACTIVE)
        (void)snprintf(text, sizeof text,
                       "this copy is active: numbers for senders go on at %lld (%lld skipped), %lld letters are held "
                       "(ovvm queue list). Make sure that the original never starts again, then start ovvmd",
                       (long long)step.lossy.next, (long long)step.lossy.jump, (long long)step.lossy.held);
    else
        (void)snprintf(text, sizeof text, "the ledger is this computer's now; the instance is %s as before",
                       instance_state_name(step.state));
    return end(&relocation, sentence(text), show_done);
}
