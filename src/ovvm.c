/* ovvm: the operator's command.
 *
 *     ovvm [-c FILE] VERB [--json]
 *
 * Most verbs ask the running daemon through its control socket. Exit status: 0 done, 1 not found or nothing to do, 2
 * usage, 3 refused, 4 the daemon cannot be reached.
 */
#include "address/tables.h"
#include "admin/ask.h"
#include "admin/show.h"
#include "base/conf.h"
#include "host/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONF "/etc/ovvm/ovvm.conf"

enum { EXIT_DONE = 0, EXIT_NOTHING = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };

static void usage(FILE *to)
{
    (void)fputs("usage: ovvm [-c FILE] VERB\n"
                "  status                    state of this instance, links, queues, warnings with remedies\n"
                "  check                     the configuration, without starting anything\n"
                "  queue list [--queue NAME] [--state ready|held|quarantine]\n"
                "  queue show ID             one letter: where it came from, where it goes, what was tried\n"
                "  trace ID|ADDRESS          each hop of a letter in both worlds, and what happens next\n"
                "  who ADDRESS               who that is in both worlds, by which rule or line of a table\n"
                "  register list [--after NODE(USER)]             host addresses and whose they are\n"
                "  register add ADDRESS [NODE(USER)] [--name NAME]  gives an address, and shows it from now on\n"
                "  register remove NODE(USER)  refuses mail to it until its owner writes again\n"
                "  people list [--after NUMBER]  who is in the people file, with their host addresses\n"
                "  people check              the people file: its mistakes, or what a reload would change\n"
                "  tables show               Ovdfile.dat and Route.tbl as they are in use\n"
                "  tables reload [--confirm] reads the tables and the people file anew\n"
                "  host …                    a small NJE node for trying things out (ovvm host --help)\n"
                "Every verb but host takes --json. See ovvm(1).\n",
                to);
}

struct command {
    const char *conf_path;
    bool json, confirm;
    const char *queue, *state, *name, *after;
    const char *words[4];
    int count;
};

/* Options may stand anywhere. -1: usage. */
static int parse(int argc, char **argv, struct command *command_r)
{
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "-c") == 0        ? &command_r->conf_path
                             : strcmp(argv[i], "--queue") == 0 ? &command_r->queue
                             : strcmp(argv[i], "--state") == 0 ? &command_r->state
                             : strcmp(argv[i], "--name") == 0  ? &command_r->name
                             : strcmp(argv[i], "--after") == 0 ? &command_r->after
                                                               : NULL;
        if (value != NULL) {
            if (i + 1 == argc)
                return -1;
            *value = argv[++i];
        } else if (strcmp(argv[i], "--json") == 0) {
            command_r->json = true;
        } else if (strcmp(argv[i], "--confirm") == 0) {
            command_r->confirm = true;
        } else if (argv[i][0] == '-' ||
                   command_r->count == (int)(sizeof command_r->words / sizeof command_r->words[0])) {
            return -1;
        } else {
            command_r->words[command_r->count++] = argv[i];
        }
    }
    return command_r->count > 0 ? 0 : -1;
}

/* The configuration is sound; a file it names is not. */
static int report_table(const struct command *command, const struct err *err)
{
    if (!command->json) {
        (void)puts(err->text);
        return EXIT_REFUSED;
    }
    json_t *reply = json_pack("{s:b, s:[{s:i, s:s}]}", "ok", 0, "problems", "line", 0, "text", err->text);
    (void)json_dumpf(reply, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(reply);
    return EXIT_REFUSED;
}

static int check(const struct command *command)
{
    static struct conf_problems problems;
    struct conf conf;
    if (conf_load(command->conf_path, &conf, &problems) == 0) {
        struct err err = ERR_CLEAR;
        if (tables_check(&conf, &err) == -1) {
            conf_free(&conf);
            return report_table(command, &err);
        }
        (void)printf(command->json ? "{\"ok\":true,\"problems\":[]}\n" : "%s: no problems found\n", command->conf_path);
        conf_free(&conf);
        return EXIT_DONE;
    }
    if (command->json) {
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

/* The verbs about addresses; NULL: none of them. */
static json_t *address_request(const struct command *command, void (**show_r)(const json_t *reply))
{
    const char *const *words = command->words;
    char verb[32] = "";
    if (strcmp(words[0], "who") == 0 && command->count == 2) {
        *show_r = show_who;
        return json_pack("{s:s, s:s}", "verb", "who", "address", words[1]);
    }
    if (command->count < 2)
        return NULL;
    (void)snprintf(verb, sizeof verb, "%s %s", words[0], words[1]);
    if (strcmp(verb, "register list") == 0 && command->count == 2) {
        *show_r = show_registrations;
        return json_pack("{s:s, s:s*}", "verb", verb, "after", command->after);
    }
    if (strcmp(verb, "register add") == 0 && command->count >= 3) {
        *show_r = show_registered;
        return json_pack("{s:s, s:s, s:s*, s:s*}", "verb", verb, "address", words[2], "host",
                         command->count > 3 ? words[3] : NULL, "name", command->name);
    }
    if (strcmp(verb, "register remove") == 0 && command->count == 3) {
        *show_r = show_retired;
        return json_pack("{s:s, s:s}", "verb", verb, "host", words[2]);
    }
    if (strcmp(verb, "people list") == 0 && command->count == 2) {
        *show_r = show_people;
        return json_pack("{s:s, s:I}", "verb", verb, "after_person",
                         (json_int_t)(command->after != NULL ? strtoll(command->after, NULL, 10) : 0));
    }
    if ((strcmp(verb, "people check") == 0 || strcmp(verb, "tables reload") == 0) && command->count == 2) {
        *show_r = strcmp(verb, "people check") == 0 ? show_people_check : show_reload;
        return json_pack("{s:s, s:b}", "verb", verb, "confirm", command->confirm ? 1 : 0);
    }
    if (strcmp(verb, "tables show") == 0 && command->count == 2) {
        *show_r = show_tables;
        return json_pack("{s:s}", "verb", verb);
    }
    return NULL;
}

static json_t *request_of(const struct command *command, void (**show_r)(const json_t *reply))
{
    const char *word = command->words[0];
    const char *second = command->count > 1 ? command->words[1] : "";
    if (strcmp(word, "status") == 0 && command->count == 1) {
        *show_r = show_status;
        return json_pack("{s:s}", "verb", "status");
    }
    if (strcmp(word, "queue") == 0 && strcmp(second, "list") == 0 && command->count == 2) {
        *show_r = show_queue;
        return json_pack("{s:s, s:s*, s:s*}", "verb", "queue list", "queue", command->queue, "state", command->state);
    }
    if (strcmp(word, "queue") == 0 && strcmp(second, "show") == 0 && command->count == 3) {
        *show_r = show_item;
        return json_pack("{s:s, s:s}", "verb", "queue show", "id", command->words[2]);
    }
    if (strcmp(word, "trace") == 0 && command->count == 2) {
        *show_r = show_trace;
        return json_pack("{s:s, s:s}", "verb", "trace", "what", second);
    }
    return address_request(command, show_r);
}

static int run(const struct command *command, json_t *request, void (*show)(const json_t *reply))
{
    static struct conf_problems problems;
    struct conf conf;
    if (conf_load(command->conf_path, &conf, &problems) == -1) {
        (void)fprintf(stderr, "%s: line %u: %s\n", command->conf_path, problems.at[0].line, problems.at[0].text);
        return EXIT_REFUSED;
    }
    json_t *reply = NULL;
    int status = ask(conf.admin.socket, request, &reply);
    if (reply != NULL && command->json) {
        (void)json_dumpf(reply, stdout, JSON_COMPACT);
        (void)putchar('\n');
    } else if (reply != NULL && status == EXIT_DONE) {
        show(reply);
    } else if (reply != NULL) {
        (void)fprintf(stderr, "ovvm: %s\n", json_string_value(json_object_get(reply, "error")));
    }
    json_decref(reply);
    conf_free(&conf);
    return status;
}

int main(int argc, char **argv)
{
    struct command command = { .conf_path = DEFAULT_CONF };
    void (*show)(const json_t *reply) = NULL;
    if (argc > 1 && strcmp(argv[1], "host") == 0)
        return host_main(argc - 1, argv + 1);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return EXIT_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("ovvm %s\n", OVVM_VERSION);
        return EXIT_DONE;
    }
    if (parse(argc, argv, &command) == -1) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(command.words[0], "check") == 0 && command.count == 1)
        return check(&command);
    json_t *request = request_of(&command, &show);
    if (request == NULL) {
        (void)fprintf(stderr, "ovvm: \"%s\" is not a complete verb\n", command.words[0]);
        usage(stderr);
        return EXIT_USAGE;
    }
    int status = run(&command, request, show);
    json_decref(request);
    return status;
}
