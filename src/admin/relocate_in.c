/* Looking into bundles, and taking them in: import, restore, and the files of the original product. */
#include "admin/relocation.h"

#include "admin/show.h"
#include "relocate/classic.h"
#include "relocate/confkeys.h"
#include "relocate/import.h"
#include "relocate/settle.h"
#include "relocate/worklist.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* --- inspect --- */

/* Each key of the bundle's configuration beside this computer's, where there is one. */
static void compare_conf(const struct command *command, json_t *reply)
{
    struct bundle_keys keys = relocation_keys(command);
    struct err err = ERR_CLEAR;
    struct buf text = { 0 };
    struct confkeys before = { .at = NULL };
    struct confkeys now = { .at = NULL };
    if (bundle_member(command->words[2], &keys, BUNDLE_CONF, command_has(command, OPTION_UNSEALED), &text, &err) == 0 &&
        confkeys_parse(buf_span(&text), &before, &err) == 0) {
        if (confkeys_load(command->conf_path, &now, &err) == -1)
            relocation_add_next(reply, err.text);
        (void)json_object_set_new(reply, "configuration", confkeys_compare(&before, &now));
    }
    confkeys_free(&before);
    confkeys_free(&now);
    buf_free(&text);
}

int relocate_inspect_command(const struct command *command)
{
    struct bundle_reader *reader = NULL;
    struct bundle_keys keys = relocation_keys(command);
    struct err err = ERR_CLEAR;
    json_t *manifest = NULL;
    int result = bundle_open(command->words[2], &keys, &reader, &err);
    if (result == 0)
        result = bundle_verify(reader, !command_has(command, OPTION_UNSEALED), &manifest, &err);
    bool is_signed = result == 0 && bundle_is_signed(reader);
    bool is_sealed = result == 0 && bundle_is_sealed(reader);
    bundle_reader_free(reader);
    if (result == -1)
        return command_fail(command, &err);
    json_t *reply = relocation_facts(manifest);
    json_decref(manifest);
    compare_conf(command, reply);
    (void)json_object_set_new(reply, "signature",
                              json_string(!is_signed                ? "not signed"
                                          : keys.verify_key != NULL ? "right"
                                                                    : "signed; --verify-key FILE says by whom"));
    (void)json_object_set_new(reply, "encrypted", json_boolean(is_sealed));
    (void)json_object_set_new(reply, "state",
                              json_string(command_has(command, OPTION_UNSEALED)
                                              ? "readable; checksums were not compared"
                                              : "complete; every checksum is right"));
    return command_reply(command, reply, show_bundle);
}

/* --- import, restore --- */

/* The tables of the bundle that this computer does not have become its own; one that differs is never overwritten. */
static void settle_tables(const struct relocation *relocation, json_t *reply)
{
    static const char *const names[] = { "Ovdfile.dat",   "Route.tbl",   "Access.tbl",
                                         "Hostusers.csv", "Cmsxmap.tbl", "Dosxmap.tbl" };
    char beside[PATH_MAX + 16];
    char from[PATH_MAX + 64];
    const char *folder = relocation_tables(relocation, beside, sizeof beside);
    (void)snprintf(from, sizeof from, "%s/" IMPORT_FOLDER, relocation->conf.connector.state);
    json_t *list = json_object();
    settle_files(from, folder, names, sizeof names / sizeof names[0], list);
    if (json_object_size(list) > 0)
        (void)json_object_set(reply, "tables", list);
    json_decref(list);
}

/* After an import: compares, and says what has to be done. An error here is part of the answer: what was imported is
 * there, and `activate` compares again. */
static void say_comparison(struct relocation *relocation, json_t *reply)
{
    struct compare_result result;
    char text[ERR_TEXT_SIZE + 100];
    relocation->err = ERR_CLEAR;
    if (relocation_open(relocation, LEDGER_READ) == 0 &&
        relocation_compare(relocation, relocation->ledger.db, &result) == 0) {
        relocation_add_comparison(reply, &result);
        if (result.differences == 0)
            return;
        (void)snprintf(text, sizeof text,
                       "%lld addresses do not mean what they meant: correct the configuration or the tables, or say "
                       "\"ovvm relocate activate --accept\"",
                       (long long)result.differences);
    } else {
        (void)snprintf(text, sizeof text, "the addresses could not be compared (%s): activate tries it again",
                       relocation->err.text);
    }
    relocation_add_next(reply, text);
}

static int proposal_of(const struct command *command, const char *path, struct buf *proposal, struct err *err)
{
    struct buf text = { 0 };
    struct bundle_keys keys = relocation_keys(command);
    struct confkeys proposed = { .at = NULL };
    int result = bundle_member(path, &keys, BUNDLE_CONF, command_has(command, OPTION_UNSEALED), &text, err);
    if (result == 0)
        result = confkeys_parse(buf_span(&text), &proposed, err);
    if (result == 0)
        confkeys_proposal(&proposed, proposal);
    confkeys_free(&proposed);
    buf_free(&text);
    return result;
}

/* There is no configuration here: the bundle's becomes a proposal beside it (it is never put in force by itself). */
static int propose(const struct command *command, const char *path)
{
    struct err err = ERR_CLEAR;
    struct buf proposal = { 0 };
    char to[PATH_MAX];
    (void)snprintf(to, sizeof to, "%s.proposed", command->conf_path);
    int result = proposal_of(command, path, &proposal, &err);
    FILE *file = result == 0 ? fopen(to, "wxe") : NULL;
    if (result == 0 && file == NULL)
        result =
            err_set(&err, ERR_REFUSED, "there is no %.150s, and %.150s cannot be made: %m", command->conf_path, to);
    if (file != NULL && (fwrite(proposal.at, 1, proposal.size, file) != proposal.size || fclose(file) != 0))
        result = err_set(&err, ERR_REFUSED, "%.150s: %m", to);
    if (result == 0)
        (void)err_set(
            &err, ERR_REFUSED,
            "there is no configuration yet. A proposal is at %.150s: fill in the keys that are blank, save it as "
            "%.150s, and import again",
            to, command->conf_path);
    buf_free(&proposal);
    return command_fail(command, &err);
}

static int read_in(const struct command *command, const char *path, bool restore)
{
    struct relocation relocation;
    struct import_result result;
    char text[200];
    if (access(command->conf_path, F_OK) == -1 && errno == ENOENT)
        return propose(command, path);
    int status = relocation_begin(command, &relocation);
    if (status != EXIT_DONE)
        return status;
    struct bundle_keys keys = relocation_keys(command);
    struct import_options options = { .path = path,
                                      .keys = &keys,
                                      .conf = &relocation.conf,
                                      .unsealed = command_has(command, OPTION_UNSEALED),
                                      .force = command_has(command, OPTION_FORCE),
                                      .merge = command_has(command, OPTION_MERGE),
                                      .restore = restore,
                                      .who = relocation.who };
    if (import_run(&options, &result, &relocation.err) == -1) {
        relocation_show_lines(command, result.conflicts);
        json_decref(result.conflicts);
        return relocation_end(&relocation, NULL, NULL);
    }
    char beside[PATH_MAX + 16];
    json_t *reply = relocation_facts(result.manifest);
    (void)json_object_set_new(reply, "generation", json_integer(result.generation));
    (void)json_object_set_new(reply, "state", json_string(result.state));
    (void)json_object_set_new(
        reply, "host_side",
        worklist_make(
            relocation.conf.connector.node.text, relocation.conf.connector.location.text,
            json_object_get(result.manifest, "links"), &relocation.conf,
            relocation_mail_managers(relocation_tables(&relocation, beside, sizeof beside), &relocation.conf)));
    json_decref(result.manifest);
    settle_tables(&relocation, reply);
    say_comparison(&relocation, reply);
    if (result.replaced)
        relocation_add_next(
            reply, "the ledger that was here before is kept beside the new one, as .replaced; nothing reads it");
    if (result.files > 0) {
        (void)snprintf(text, sizeof text,
                       "compare what is in %.100s/" IMPORT_FOLDER " (files: %u) with yours; nothing reads it there",
                       relocation.conf.connector.state, result.files);
        relocation_add_next(reply, text);
    }
    if (restore) {
        (void)json_object_set_new(reply, "held", json_integer(result.lossy.held));
        (void)json_object_set_new(reply, "next_number", json_integer(result.lossy.next));
        (void)snprintf(text, sizeof text,
                       "numbers for senders go on at %lld: %lld were skipped, some may have been given out since",
                       (long long)result.lossy.next, (long long)result.lossy.jump);
        relocation_add_next(reply, text);
        (void)snprintf(text, sizeof text,
                       "%lld letters are held, they may have been delivered since: ovvm queue list, release or delete",
                       (long long)result.lossy.held);
        relocation_add_next(reply, text);
        relocation_add_next(reply, "make sure that the old instance never starts again, then start ovvmd");
        relocation_add_next(reply, "names that were given since: ovvm register import FILE --format journal, then ovvm "
                                   "register confirm");
    } else if (strcmp(result.state, "rehearsal") == 0) {
        relocation_add_next(reply, "start ovvmd and look around: its doors stay closed");
    } else {
        relocation_add_next(reply, "ovvm relocate activate, then start ovvmd");
    }
    return relocation_end(&relocation, reply, show_bundle);
}

int relocate_import_command(const struct command *command)
{
    return read_in(command, command->words[2], false);
}

int restore_command(const struct command *command)
{
    return read_in(command, command->words[1], true);
}

/* --- from the original product --- */

static void show_original(const json_t *reply)
{
    size_t index;
    json_t *line;
    json_array_foreach(json_object_get(reply, "says"), index, line)(void) printf("%s\n", json_string_value(line));
    long long count = (long long)json_integer_value(json_object_get(reply, "registrations"));
    (void)printf("\n%lld registrations\n", count);
    if (count == 0)
        (void)puts(
            "WARNING: no registration was found. Host users' replies to letters of before will reach nobody, unless\n"
            "         the registrations are exported as PROFSreg.csv or Profs.csv and this is done again.");
    (void)printf("\nNext:\n  look at %s; then: ovvm relocate import --unsealed %s\n", relocation_fact(reply, "folder"),
                 relocation_fact(reply, "folder"));
}

int relocate_original_command(const struct command *command)
{
    struct classic_result result;
    struct err err = ERR_CLEAR;
    if (classic_convert(command->words[2], command->words[3], &result, &err) == -1)
        return command_fail(command, &err);
    json_t *says = json_array();
    struct reader lines = reader_of(buf_span(&result.says));
    while (!reader_at_end(&lines)) {
        char line[400];
        span_to_text(reader_until(&lines, '\n'), line, sizeof line);
        (void)json_array_append_new(says, json_string(line));
    }
    buf_free(&result.says);
    json_t *reply = json_pack("{s:I, s:o, s:s}", "registrations", (json_int_t)result.registrations, "says", says,
                              "folder", command->words[3]);
    return command_reply(command, reply, show_original);
}
