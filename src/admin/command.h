/* command: one call of `ovvm`: its words and options, and how it answers. */
#ifndef OVVM_ADMIN_COMMAND_H
#define OVVM_ADMIN_COMMAND_H

#include "base/conf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_NOTHING = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };

enum command_option {
    OPTION_JSON = 1 << 0,
    OPTION_YES = 1 << 1,
    OPTION_AGAIN = 1 << 2,
    OPTION_REHEARSAL = 1 << 3,
    OPTION_FORCE = 1 << 4,
    OPTION_UNSEALED = 1 << 5,
    OPTION_NEVER_ACTIVATED = 1 << 6,
    /* with a value */
    OPTION_QUEUE = 1 << 7,
    OPTION_STATE = 1 << 8,
    OPTION_DRAIN = 1 << 9,
    OPTION_TABLES = 1 << 10,
    OPTION_NAME = 1 << 11,
    OPTION_AFTER = 1 << 12,
    /* without */
    OPTION_CONFIRM = 1 << 13,
    OPTION_HELP = 1 << 14,
    OPTION_VERSION = 1 << 15,
    OPTION_DRY_RUN = 1 << 16,
    OPTION_RENEW = 1 << 17,
    OPTION_MERGE = 1 << 18,
    OPTION_WAS_ACTIVE = 1 << 19,
    OPTION_ACCEPT = 1 << 20,
    /* with a value */
    OPTION_MATCH = 1 << 21,
    OPTION_KIND = 1 << 22,
    OPTION_FORMAT = 1 << 23,
    OPTION_PASSPHRASE = 1 << 24,
    OPTION_SIGN = 1 << 25,
    OPTION_VERIFY = 1 << 26
};

enum { COMMAND_WORDS_MAX = 4 };

struct command {
    const char *conf_path;
    unsigned options; /* those that were given */
    const char *queue, *state, *drain, *tables, *name, *after, *match, *kind, *format;
    const char *passphrase_file, *sign_key, *verify_key;
    const char *words[COMMAND_WORDS_MAX];
    int count;
};

/* -1: an option that there is not, one without its value, too many words, none where neither help nor the version is
 * asked for; said on stderr. */
int command_parse(int argc, char **argv, struct command *command_r);
static inline bool command_has(const struct command *command, enum command_option option)
{
    return (command->options & (unsigned)option) != 0;
}

/* 0, or EXIT_REFUSED after saying what is wrong with the configuration. */
int command_conf(const struct command *command, struct conf *conf_r);
/* Asks the daemon, shows the answer (`show`, or the JSON) or the error; exit status. Takes over `request`. */
int command_ask(const struct command *command, json_t *request, FILE *content, void (*show)(const json_t *reply));
/* The same for a request whose answer comes in pages: "next" is the `after` of the next one. As JSON all of `list` is
 * one array; else each page is shown as it comes. */
int command_ask_pages(const struct command *command, json_t *request, const char *list,
                      void (*show)(const json_t *reply));
/* Shows an error in the form that was asked for; exit status. */
int command_fail(const struct command *command, const struct err *err);
/* Shows `reply` (with "ok" added) as JSON, or through `show`. Takes over `reply`; EXIT_DONE. */
int command_reply(const struct command *command, json_t *reply, void (*show)(const json_t *reply));
/* Who runs this command, for the audit. */
void command_who(char *who_r, size_t room);

/* queue_file.c: letters as files. */
int queue_export_command(const struct command *command);
int queue_import_command(const struct command *command);

/* register_file.c: registrations as files. */
int register_export_command(const struct command *command);
int register_import_command(const struct command *command);

/* relocate_out.c, relocate_in.c, relocate_state.c */
int relocate_export_command(const struct command *command);
int relocate_inspect_command(const struct command *command);
int relocate_import_command(const struct command *command);
int relocate_original_command(const struct command *command);
int relocate_activate_command(const struct command *command);
int relocate_done_command(const struct command *command);
int relocate_cancel_command(const struct command *command);
int relocate_adopt_command(const struct command *command);
int backup_command(const struct command *command);
int restore_command(const struct command *command);

#endif
