/* Export and backup from the command line. Against a running daemon the doors are closed by asking it, against a
 * stopped one the ledger is changed under the daemon's lock. */
#include "admin/relocation.h"

#include "admin/ask.h"
#include "admin/show.h"
#include "relocate/export.h"
#include "relocate/transition.h"
#include "relocate/worklist.h"

#include <limits.h>

enum { ASK_SLACK_S = 60 };

/* What a change of the ledger gets. */
struct step {
    const struct relocation *relocation;
    const char *bundle;
};

/* --- asking the daemon --- */

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
    if (status == EXIT_DONE && json_object_get(reply, "back") != NULL)
        relocation->back = json_incref(json_object_get(reply, "back"));
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

static int daemon_undo(void *arg, const char *bundle, struct err *err)
{
    return ask_daemon(arg, "relocate undo", bundle, err);
}

/* --- a stopped one --- */

static int begin_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_begin(db, step->bundle, step->relocation->who, err);
}

static int moved_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_moved(db, step->bundle, step->relocation->who, err);
}

static int undo_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_undo(db, step->bundle, step->relocation->who, err);
}

static int own_begin(void *arg, const char *bundle, struct err *err)
{
    struct relocation *relocation = arg;
    struct step step = { .relocation = relocation, .bundle = bundle };
    return ledger_commit(&relocation->ledger, begin_work, &step, err);
}

static int own_moved(void *arg, const char *bundle, struct err *err)
{
    struct relocation *relocation = arg;
    struct step step = { .relocation = relocation, .bundle = bundle };
    return ledger_commit(&relocation->ledger, moved_work, &step, err);
}

static int own_undo(void *arg, const char *bundle, struct err *err)
{
    struct relocation *relocation = arg;
    struct step step = { .relocation = relocation, .bundle = bundle };
    return ledger_commit(&relocation->ledger, undo_work, &step, err);
}

/* --- the verbs --- */

static int write_out(const struct command *command, const char *file, enum bundle_kind kind)
{
    struct relocation relocation;
    struct export_result result;
    int status = relocation_begin(command, &relocation);
    if (status != EXIT_DONE)
        return status;
    if (relocation_open_any(&relocation) == -1)
        return relocation_end(&relocation, NULL, NULL);
    struct export_fence fence = { .begin = relocation.running ? daemon_begin : own_begin,
                                  .moved = relocation.running ? daemon_moved : own_moved,
                                  .undo = relocation.running ? daemon_undo : own_undo,
                                  .arg = &relocation };
    char beside[PATH_MAX + 16];
    struct bundle_keys keys = relocation_keys(command);
    struct export_options options = { .file = file,
                                      .keys = &keys,
                                      .kind = kind,
                                      .conf = &relocation.conf,
                                      .conf_path = command->conf_path,
                                      .tables = relocation_tables(&relocation, beside, sizeof beside),
                                      .fence = &fence,
                                      .again = command_has(command, OPTION_AGAIN) };
    if (export_run(relocation.ledger.db, &options, &result, &relocation.err) == -1)
        return relocation_end(&relocation, NULL, NULL);
    json_t *reply = relocation_facts(result.manifest);
    json_decref(result.manifest);
    (void)json_object_set_new(reply, "checksum", json_string(result.digest));
    if (relocation.back != NULL)
        (void)json_object_set(reply, "back", relocation.back);
    if (kind != BUNDLE_BACKUP)
        (void)json_object_set_new(reply, "host_side",
                                  worklist_make(relocation.conf.connector.node.text,
                                                relocation.conf.connector.location.text,
                                                json_object_get(reply, "links"), NULL,
                                                relocation_mail_managers(options.tables, &relocation.conf)));
    if (kind == BUNDLE_MOVE) {
        (void)json_object_set_new(reply, "state", json_string("moved: this instance takes and sends no mail any more"));
        relocation_add_next(reply, "copy the bundle to the new computer; it holds mail, so protect it");
        relocation_add_next(reply, "there: ovvm relocate import FILE; ovvm relocate activate; start ovvmd");
        relocation_add_next(reply, "here, with what activate printed: ovvm relocate done RECEIPT");
    } else if (kind == BUNDLE_REHEARSAL) {
        relocation_add_next(reply,
                            "on a computer for trying out: ovvm relocate import FILE (it can never become active)");
    } else {
        relocation_add_next(reply, "keep it safe: it holds mail. \"ovvm restore FILE\" is for when the ledger is lost");
    }
    return relocation_end(&relocation, reply, show_bundle);
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
