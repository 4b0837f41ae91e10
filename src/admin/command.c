/* What the verbs of `ovvm` have in common. */
#include "admin/command.h"

#include "admin/ask.h"
#include "base/buf.h"
#include "base/clock.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

enum { DIRECTORY_SLACK_S = 120 /* for the ledger, after a directory has answered at its last moment */ };

static const struct {
    const char *name;
    enum command_option option;
} options[] = {
    { "--json", OPTION_JSON },       { "--yes", OPTION_YES },
    { "--again", OPTION_AGAIN },     { "--rehearsal", OPTION_REHEARSAL },
    { "--force", OPTION_FORCE },     { "--unsealed", OPTION_UNSEALED },
    { "--confirm", OPTION_CONFIRM }, { "--never-activated", OPTION_NEVER_ACTIVATED },
    { "--queue", OPTION_QUEUE },     { "--state", OPTION_STATE },
    { "--drain", OPTION_DRAIN },     { "--tables", OPTION_TABLES },
    { "--merge", OPTION_MERGE },     { "--was-active", OPTION_WAS_ACTIVE },
    { "--accept", OPTION_ACCEPT },   { "--passphrase-file", OPTION_PASSPHRASE },
    { "--sign-key", OPTION_SIGN },   { "--verify-key", OPTION_VERIFY },
    { "--name", OPTION_NAME },       { "--after", OPTION_AFTER },
    { "--help", OPTION_HELP },       { "-h", OPTION_HELP },
    { "--version", OPTION_VERSION }, { "--dry-run", OPTION_DRY_RUN },
    { "--renew", OPTION_RENEW },     { "--match", OPTION_MATCH },
    { "--kind", OPTION_KIND },       { "--format", OPTION_FORMAT },
};

static const char **value_of(struct command *command, enum command_option option)
{
    switch (option) {
    case OPTION_QUEUE:
        return &command->queue;
    case OPTION_STATE:
        return &command->state;
    case OPTION_DRAIN:
        return &command->drain;
    case OPTION_TABLES:
        return &command->tables;
    case OPTION_NAME:
        return &command->name;
    case OPTION_AFTER:
        return &command->after;
    case OPTION_MATCH:
        return &command->match;
    case OPTION_KIND:
        return &command->kind;
    case OPTION_FORMAT:
        return &command->format;
    case OPTION_PASSPHRASE:
        return &command->passphrase_file;
    case OPTION_SIGN:
        return &command->sign_key;
    case OPTION_VERIFY:
        return &command->verify_key;
    default:
        return NULL;
    }
}

static int take_option(struct command *command, const char *name, const char *next, bool *took_next_r)
{
    size_t i = 0;
    while (i < sizeof options / sizeof options[0] && strcmp(options[i].name, name) != 0)
        i++;
    bool file = strcmp(name, "-c") == 0;
    if (i == sizeof options / sizeof options[0] && !file) {
        (void)fprintf(stderr, "ovvm: there is no option %s\n", name);
        return -1;
    }
    const char **value = file ? &command->conf_path : value_of(command, options[i].option);
    if (!file)
        command->options |= (unsigned)options[i].option;
    *took_next_r = value != NULL;
    if (value == NULL)
        return 0;
    *value = next;
    if (next == NULL)
        (void)fprintf(stderr, "ovvm: option %s wants a value\n", name);
    return next != NULL ? 0 : -1;
}

int command_parse(int argc, char **argv, struct command *command_r)
{
    for (int i = 1; i < argc; i++) {
        bool took_next = false;
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (take_option(command_r, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &took_next) == -1)
                return -1;
            i += took_next ? 1 : 0;
        } else if (command_r->count == COMMAND_WORDS_MAX) {
            (void)fprintf(stderr, "ovvm: \"%s\" is a word too many\n", argv[i]);
            return -1;
        } else {
            command_r->words[command_r->count++] = argv[i];
        }
    }
    return command_r->count > 0 || command_has(command_r, OPTION_HELP) || command_has(command_r, OPTION_VERSION) ? 0
                                                                                                                 : -1;
}

int command_conf(const struct command *command, struct conf *conf_r)
{
    static struct conf_problems problems;
    if (conf_load(command->conf_path, conf_r, &problems) == 0)
        return EXIT_DONE;
    struct buf text = { 0 };
    conf_problems_print(&problems, command->conf_path, &text);
    (void)fwrite(text.at, 1, text.size, stderr);
    buf_free(&text);
    return EXIT_REFUSED;
}

static void put_json(const json_t *reply)
{
    (void)json_dumpf(reply, stdout, JSON_COMPACT);
    (void)putchar('\n');
}

/* How long an answer may take: people load and check wait for the directory. 0: as long as ask.h says. */
static unsigned wait_for(const json_t *request, const struct conf *conf)
{
    const char *verb = json_string_value(json_object_get(request, "verb"));
    bool asks = verb != NULL && conf->directory.url != NULL &&
                (strcmp(verb, "people load") == 0 || strcmp(verb, "people check") == 0);
    return asks ? DIRECTORY_SLACK_S + (unsigned)(conf->directory.timeout_us / CLOCK_SECOND) : 0;
}

static void put_error(const json_t *reply)
{
    (void)fprintf(stderr, "ovvm: %s\n", json_string_value(json_object_get(reply, "error")));
}

int command_ask(const struct command *command, json_t *request, FILE *content, void (*show)(const json_t *reply))
{
    struct conf conf;
    json_t *reply = NULL;
    int status = command_conf(command, &conf);
    if (status == EXIT_DONE) {
        struct ask question = {
            .path = conf.admin.socket, .request = request, .content = content, .wait_s = wait_for(request, &conf)
        };
        status = ask(&question, &reply);
        conf_free(&conf);
    }
    if (reply != NULL && command_has(command, OPTION_JSON))
        put_json(reply);
    else if (reply != NULL && status == EXIT_DONE)
        show(reply);
    else if (reply != NULL)
        put_error(reply);
    json_decref(reply);
    json_decref(request);
    return status;
}

int command_ask_pages(const struct command *command, json_t *request, const char *list,
                      void (*show)(const json_t *reply))
{
    struct conf conf;
    json_t *all = json_array();
    bool as_json = command_has(command, OPTION_JSON);
    int status = command_conf(command, &conf);
    bool known = status == EXIT_DONE;
    bool more = known;
    while (more) {
        json_t *reply = NULL;
        struct ask question = { .path = conf.admin.socket, .request = request };
        status = ask(&question, &reply);
        more = status == EXIT_DONE && json_object_get(reply, "next") != NULL;
        (void)json_object_set(request, "after", json_object_get(reply, "next"));
        (void)json_array_extend(all, json_object_get(reply, list));
        if (status == EXIT_DONE && as_json && !more) {
            (void)json_object_set(reply, list, all);
            put_json(reply);
        } else if (status == EXIT_DONE && !as_json) {
            show(reply);
            (void)json_array_clear(all);
        } else if (status != EXIT_DONE && reply != NULL) {
            (void)(as_json ? put_json(reply) : put_error(reply));
        }
        json_decref(reply);
    }
    if (known)
        conf_free(&conf);
    json_decref(all);
    json_decref(request);
    return status;
}

int command_fail(const struct command *command, const struct err *err)
{
    int status = err->id == ERR_NOT_FOUND ? EXIT_NOTHING : EXIT_REFUSED;
    if (!command_has(command, OPTION_JSON)) {
        (void)fprintf(stderr, "ovvm: %s\n", err->text);
        return status;
    }
    struct buf text = { 0 }; /* a path may be no UTF-8 */
    for (const char *at = err->text; *at != '\0'; at++)
        buf_add_u8(&text, (uint8_t)((unsigned char)*at < 0x80 ? *at : '?'));
    buf_add_u8(&text, 0);
    json_t *reply =
        json_pack("{s:b, s:s, s:i}", "ok", 0, "error", text.failed ? "" : (const char *)text.at, "status", status);
    put_json(reply);
    json_decref(reply);
    buf_free(&text);
    return status;
}

int command_reply(const struct command *command, json_t *reply, void (*show)(const json_t *reply))
{
    (void)json_object_set_new(reply, "ok", json_true());
    if (command_has(command, OPTION_JSON))
        put_json(reply);
    else
        show(reply);
    json_decref(reply);
    return EXIT_DONE;
}

void command_who(char *who_r, size_t room)
{
    const struct passwd *entry = getpwuid(geteuid());
    if (entry != NULL)
        (void)snprintf(who_r, room, "%s", entry->pw_name);
    else
        (void)snprintf(who_r, room, "uid %u", (unsigned)geteuid());
}
