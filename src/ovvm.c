/* ovvm: the operator's command.
 *
 *     ovvm [-c FILE] VERB [--json]
 *
 * Most verbs ask the running daemon through its control socket; those that move, back up or restore also work on a
 * stopped one. Exit status: 0 done, 1 not found or nothing to do, 2 usage, 3 refused, 4 the daemon cannot be reached.
 */
#include "address/tables.h"
#include "admin/command.h"
#include "admin/show.h"
#include "base/fault.h"
#include "host/host.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONF "/etc/ovvm/ovvm.conf"

/* One verb: one or two words, then its arguments. Where `run` is NULL the daemon is asked and `show` shows the answer;
 * `argument` is then the name of the argument in the request. */
struct verb_line {
    const char *first, *second;
    int arguments;
    unsigned options;
    int (*run)(const struct command *command);
    const char *argument;
    void (*show)(const json_t *reply);
    const char *usage, *says;
    const char *further; /* the name of an argument that may be left out */
};

static int check_command(const struct command *command);
static int delete_command(const struct command *command);
static int list_command(const struct command *command);

static const struct verb_line lines[] = {
    { "status", NULL, 0, 0, NULL, NULL, show_status, "status",
      "state of this instance, links, queues, warnings with remedies", NULL },
    { "check", NULL, 0, 0, check_command, NULL, NULL, "check", "the configuration, without starting anything", NULL },
    { "queue", "list", 0, OPTION_QUEUE | OPTION_STATE, list_command, NULL, NULL,
      "queue list [--queue NAME] [--state ready|held|quarantine]", "what waits, oldest first", NULL },
    { "queue", "show", 1, 0, NULL, "id", show_item, "queue show ID",
      "one letter: where it came from, where it goes, what was tried", NULL },
    { "queue", "requeue", 1, 0, NULL, "id", show_done, "queue requeue ID",
      "out of quarantine, or tried again now, as if never tried", NULL },
    { "queue", "return", 1, 0, NULL, "id", show_done, "queue return ID", "to its sender, with a report; then gone",
      NULL },
    { "queue", "delete", 1, OPTION_YES, delete_command, NULL, NULL, "queue delete ID --yes", "gone, and nobody is told",
      NULL },
    { "queue", "hold", 1, 0, NULL, "id", show_done, "queue hold ID", "stays where it is", NULL },
    { "queue", "release", 1, 0, NULL, "id", show_done, "queue release ID", "goes on", NULL },
    { "queue", "export", 2, 0, queue_export_command, NULL, NULL, "queue export ID FILE",
      "a copy of a letter, which import takes", NULL },
    { "queue", "import", 1, 0, queue_import_command, NULL, NULL, "queue import FILE", "back into its queue, held",
      NULL },
    { "trace", NULL, 1, 0, NULL, "what", show_trace, "trace ID|ADDRESS",
      "each hop of a letter in both worlds, and what happens next", NULL },
    { "who", NULL, 1, 0, NULL, "address", show_who, "who ADDRESS",
      "who that is in both worlds, by which rule or line of a table", NULL },
    { "register", "list", 0, OPTION_AFTER | OPTION_MATCH | OPTION_KIND, NULL, NULL, show_registrations,
      "register list [--match TEXT] [--kind KIND] [--after NODE(USER)]", "host addresses and whose they are", NULL },
    { "register", "add", 1, OPTION_NAME, NULL, "address", show_registered,
      "register add ADDRESS [NODE(USER)] [--name NAME]", "gives an address, and shows it from now on", "host" },
    { "register", "remove", 1, 0, NULL, "host", show_retired, "register remove NODE(USER)",
      "mail to it is refused until its owner writes again", NULL },
    { "register", "export", 0, OPTION_MATCH | OPTION_KIND, register_export_command, NULL, NULL,
      "register export [FILE] [--match TEXT] [--kind KIND]", "the list as comma-separated values, which import takes",
      "file" },
    { "register", "import", 1, OPTION_FORMAT | OPTION_DRY_RUN, register_import_command, NULL, NULL,
      "register import FILE [--format csv|journal|names|secure|unixnje-routes] [--dry-run]",
      "registrations of before, of this or another system; all of them or none", NULL },
    { "register", "confirm", 0, 0, NULL, NULL, show_done, "register confirm",
      "after a restore: all names that were given since are brought back", NULL },
    { "people", "list", 0, OPTION_AFTER, NULL, NULL, show_people, "people list [--after NUMBER]",
      "who is in the people file and in the directory, with their host addresses", NULL },
    { "people", "check", 0, 0, NULL, NULL, show_people_check, "people check",
      "the people file and the directory: mistakes, and who would be new, changed or gone", NULL },
    { "people", "load", 0, OPTION_CONFIRM, NULL, NULL, show_people_load, "people load [--confirm]",
      "asks the directory now, and waits for it", NULL },
    { "proxy", "list", 0, OPTION_AFTER, NULL, NULL, show_proxies, "proxy list [--after NUMBER]",
      "the people of the people file, and what the rule makes of each", NULL },
    { "proxy", "generate", 0, OPTION_DRY_RUN | OPTION_RENEW, NULL, NULL, show_generated,
      "proxy generate [--dry-run] [--renew]", "addresses by rule for those who have none", NULL },
    { "tables", "show", 0, 0, NULL, NULL, show_tables, "tables show",
      "the nodes, routes and maps as they are in use, and what is wrong with newer ones", NULL },
    { "tables", "reload", 0, OPTION_CONFIRM, NULL, NULL, show_reload, "tables reload [--confirm]",
      "reads the tables and the people file anew; the directory is asked too, behind", NULL },
    { "relocate", "export", 1,
      OPTION_AGAIN | OPTION_REHEARSAL | OPTION_DRAIN | OPTION_STATE | OPTION_TABLES | OPTION_PASSPHRASE | OPTION_SIGN,
      relocate_export_command, NULL, NULL, "relocate export FILE [--rehearsal|--again] [--drain SECONDS]",
      "everything into one bundle; this instance ends", NULL },
    { "relocate", "inspect", 1, OPTION_UNSEALED | OPTION_PASSPHRASE | OPTION_VERIFY, relocate_inspect_command, NULL,
      NULL, "relocate inspect FILE|FOLDER [--unsealed]", "what a bundle holds, and whether it is whole", NULL },
    { "relocate", "import", 1,
      OPTION_UNSEALED | OPTION_FORCE | OPTION_MERGE | OPTION_STATE | OPTION_PASSPHRASE | OPTION_VERIFY,
      relocate_import_command, NULL, NULL, "relocate import FILE|FOLDER [--unsealed] [--merge] [--force]",
      "a bundle into a new state directory, or merged into a standing instance", NULL },
    { "relocate", "original", 2, 0, relocate_original_command, NULL, NULL, "relocate original FOLDER NEW-FOLDER",
      "the original product's files as a folder that import --unsealed takes", NULL },
    { "relocate", "activate", 0, OPTION_ACCEPT | OPTION_STATE, relocate_activate_command, NULL, NULL,
      "relocate activate [--accept]", "the imported instance takes over after a test; prints a receipt", NULL },
    { "relocate", "done", 1, OPTION_STATE, relocate_done_command, NULL, NULL, "relocate done RECEIPT",
      "on the old computer: the move is complete", NULL },
    { "relocate", "cancel", 1, OPTION_NEVER_ACTIVATED | OPTION_WAS_ACTIVE | OPTION_STATE, relocate_cancel_command, NULL,
      NULL, "relocate cancel BUNDLE-ID [--never-activated|--was-active]", "takes an export back", NULL },
    { "relocate", "adopt", 0, OPTION_STATE, relocate_adopt_command, NULL, NULL, "relocate adopt",
      "a copied or cloned state directory becomes this computer's", NULL },
    { "backup", NULL, 1, OPTION_STATE | OPTION_TABLES | OPTION_PASSPHRASE | OPTION_SIGN, backup_command, NULL, NULL,
      "backup FILE", "one consistent copy, while mail flows", NULL },
    { "restore", NULL, 1, OPTION_FORCE | OPTION_STATE | OPTION_PASSPHRASE | OPTION_VERIFY, restore_command, NULL, NULL,
      "restore FILE [--force]", "a backup into a new state directory, when the ledger is lost", NULL },
};

/* `first` NULL: all verbs; else those that begin with it, so that the mistake is not buried, and all if there are none.
 */
static void usage(FILE *to, const char *first)
{
    bool some = false;
    for (size_t i = 0; first != NULL && i < sizeof lines / sizeof lines[0]; i++)
        some = some || strcmp(lines[i].first, first) == 0;
    (void)fputs("usage: ovvm [-c FILE] VERB [--json]\n", to);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!some || strcmp(lines[i].first, first) == 0)
            (void)fprintf(to, "  %s\n        %s\n", lines[i].usage, lines[i].says);
    if (some)
        return;
    (void)fputs("  --help, --version\n  host …\n        a small NJE node for trying things out (ovvm host --help)\n"
                "The verbs that move, back up and restore take --state FOLDER too; those that write a bundle\n"
                "--passphrase-file FILE and --sign-key FILE, those that read one --passphrase-file FILE and\n"
                "--verify-key FILE. See ovvm(1).\n",
                to);
}

/* The configuration is sound; a file it names is not. */
static int report_table(bool as_json, const struct err *err)
{
    if (!as_json) {
        (void)puts(err->text);
        return EXIT_REFUSED;
    }
    json_t *reply = json_pack("{s:b, s:[{s:i, s:s}]}", "ok", 0, "problems", "line", 0, "text", err->text);
    (void)json_dumpf(reply, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(reply);
    return EXIT_REFUSED;
}

static int check_command(const struct command *command)
{
    static struct conf_problems problems;
    struct conf conf;
    bool as_json = command_has(command, OPTION_JSON);
    if (conf_load(command->conf_path, &conf, &problems) == 0) {
        struct err err = ERR_CLEAR;
        if (tables_check(&conf, &err) == -1) {
            conf_free(&conf);
            return report_table(as_json, &err);
        }
        (void)printf(as_json ? "{\"ok\":true,\"problems\":[]}\n" : "%s: no problems found\n", command->conf_path);
        conf_free(&conf);
        return EXIT_DONE;
    }
    if (as_json) {
        json_t *list = json_array();
        for (size_t i = 0; i < problems.count; i++)
            (void)json_array_append_new(
                list, json_pack("{s:i, s:s}", "line", (int)problems.at[i].line, "text", problems.at[i].text));
        json_t *reply = json_pack("{s:b, s:o}", "ok", 0, "problems", list);
        (void)json_dumpf(reply, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(reply);
        return EXIT_REFUSED;
    }
    struct buf text = { 0 };
    conf_problems_print(&problems, command->conf_path, &text);
    (void)fwrite(text.at, 1, text.size, stdout);
    buf_free(&text);
    return EXIT_REFUSED;
}

/* Nobody is told of a deletion, and it cannot be taken back: so it takes a word. */
static int delete_command(const struct command *command)
{
    const char *id = command->words[2];
    struct err err = ERR_CLEAR;
    if (!command_has(command, OPTION_YES)) {
        (void)err_set(
            &err, ERR_REFUSED,
            "nobody would be told, and it cannot be taken back: \"ovvm queue delete %.40s --yes\", after \"ovvm "
            "queue export %.40s FILE\" perhaps",
            id, id);
        return command_fail(command, &err);
    }
    return command_ask(command, json_pack("{s:s, s:s}", "verb", "queue delete", "id", id), NULL, show_done);
}

static int list_command(const struct command *command)
{
    json_t *request =
        json_pack("{s:s, s:s*, s:s*}", "verb", "queue list", "queue", command->queue, "state", command->state);
    return command_ask_pages(command, request, "items", show_queue);
}

static const struct verb_line *find_line(const struct command *command)
{
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct verb_line *line = &lines[i];
        int words = line->second != NULL ? 2 : 1;
        int arguments = command->count - words;
        if (strcmp(command->words[0], line->first) == 0 && arguments >= line->arguments &&
            arguments <= line->arguments + (line->further != NULL ? 1 : 0) &&
            (line->second == NULL || strcmp(command->words[1], line->second) == 0))
            return line;
    }
    return NULL;
}

/* What a verb that only asks the daemon sends. */
static json_t *request_of(const struct command *command, const struct verb_line *line)
{
    char verb[40];
    (void)snprintf(verb, sizeof verb, "%s%s%s", line->first, line->second != NULL ? " " : "",
                   line->second != NULL ? line->second : "");
    int at = line->second != NULL ? 2 : 1;
    json_t *request = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "verb", verb, "queue", command->queue, "state",
                                command->state, "after", command->after, "name", command->name);
    if (command->match != NULL)
        (void)json_object_set_new(request, "match", json_string(command->match));
    if (command->kind != NULL)
        (void)json_object_set_new(request, "kind", json_string(command->kind));
    if (command_has(command, OPTION_CONFIRM))
        (void)json_object_set_new(request, "confirm", json_true());
    if (command_has(command, OPTION_DRY_RUN))
        (void)json_object_set_new(request, "dry_run", json_true());
    if (command_has(command, OPTION_RENEW))
        (void)json_object_set_new(request, "renew", json_true());
    if (line->argument != NULL)
        (void)json_object_set_new(request, line->argument, json_string(command->words[at]));
    if (command->count > at + line->arguments)
        (void)json_object_set_new(request, line->further, json_string(command->words[at + line->arguments]));
    return request;
}

int main(int argc, char **argv)
{
    struct command command = { .conf_path = DEFAULT_CONF };
    if (argc > 1 && strcmp(argv[1], "host") == 0)
        return host_main(argc - 1, argv + 1);
#ifdef OVVM_FAULTS
    if (argc == 2 && strcmp(argv[1], "--failpoints") == 0) {
        fault_list();
        return EXIT_DONE;
    }
#endif
    fault_init();
    if (command_parse(argc, argv, &command) == -1) {
        usage(stderr, NULL);
        return EXIT_USAGE;
    }
    if (command_has(&command, OPTION_HELP)) {
        usage(stdout, command.count > 0 ? command.words[0] : NULL);
        return EXIT_DONE;
    }
    if (command_has(&command, OPTION_VERSION)) {
        (void)printf("ovvm %s\n", OVVM_VERSION);
        return EXIT_DONE;
    }
    const struct verb_line *line = find_line(&command);
    if (line == NULL) {
        (void)fprintf(stderr, "ovvm: \"%s%s%s\" is not a complete verb\n", command.words[0],
                      command.count > 1 ? " " : "", command.count > 1 ? command.words[1] : "");
        usage(stderr, command.words[0]);
        return EXIT_USAGE;
    }
    if ((command.options & ~(line->options | OPTION_JSON)) != 0) {
        (void)fprintf(stderr, "ovvm: that is no option of this verb: ovvm %s\n", line->usage);
        return EXIT_USAGE;
    }
    return line->run != NULL ? line->run(&command)
                             : command_ask(&command, request_of(&command, line), NULL, line->show);
}
