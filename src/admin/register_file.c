/* `ovvm register export` and `import`: the operator's files, read and written as the operator. What was read goes to
 * the daemon as one request, so that an import is whole or not at all. */
#include "admin/command.h"

#include "address/tabletext.h"
#include "admin/ask.h"
#include "admin/control.h"
#include "admin/show.h"
#include "relocate/csv.h"
#include "relocate/registrations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMPORT_ROWS_MAX = 30000, IMPORT_FILE_MAX = 64 * 1024 * 1024 };

/* --- export --- */

static void add_cell(struct buf *to, const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    csv_add_text(to, span_text(text));
}

static int put_page(FILE *file, const json_t *reply, struct err *err)
{
    size_t index;
    json_t *row;
    struct buf lines = { 0 };
    json_array_foreach(json_object_get(reply, "registrations"), index, row)
    {
        if (json_string_length(json_object_get(row, "mail")) == 0)
            continue; /* reserved */
        add_cell(&lines, row, "host");
        buf_add_u8(&lines, ',');
        add_cell(&lines, row, "mail");
        buf_add_u8(&lines, ',');
        add_cell(&lines, row, "name");
        buf_add_u8(&lines, ',');
        add_cell(&lines, row, "kind");
        buf_add_u8(&lines, ',');
        csv_add_int(&lines, json_integer_value(json_object_get(row, "made_us")));
        buf_add_u8(&lines, '\n');
    }
    int result = lines.failed                                          ? err_set(err, ERR_NO_MEMORY, "out of memory")
                 : fwrite(lines.at, 1, lines.size, file) != lines.size ? err_set(err, ERR_STORE_IO, "the file: %m")
                                                                       : 0;
    buf_free(&lines);
    return result;
}

/* Page by page. The exit status; ERR_NONE in *err where the daemon's answer was shown. */
static int export_to(const struct command *command, const struct conf *conf, FILE *file, struct err *err)
{
    char next[64] = "";
    bool more = true;
    (void)fputs("host,address,name,kind,made_us\n", file);
    while (more) {
        json_t *reply = NULL;
        json_t *request = json_pack("{s:s, s:s*, s:s*, s:s*}", "verb", "register list", "after",
                                    next[0] != '\0' ? next : NULL, "match", command->match, "kind", command->kind);
        struct ask question = { .path = conf->admin.socket, .request = request };
        int status = ask(&question, &reply);
        json_decref(request);
        if (status == EXIT_DONE && put_page(file, reply, err) == -1)
            status = EXIT_REFUSED;
        else if (status != EXIT_DONE && reply != NULL)
            (void)fprintf(stderr, "ovvm: %s\n", json_string_value(json_object_get(reply, "error")));
        const char *after = json_string_value(json_object_get(reply, "next"));
        more = status == EXIT_DONE && after != NULL;
        (void)snprintf(next, sizeof next, "%s", after != NULL ? after : "");
        json_decref(reply);
        if (status != EXIT_DONE)
            return status;
    }
    if (fflush(file) != 0 || (file != stdout && fsync(fileno(file)) == -1)) {
        (void)err_set(err, ERR_STORE_IO, "the file: %m");
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

int register_export_command(const struct command *command)
{
    struct conf conf;
    struct err err = ERR_CLEAR;
    const char *path = command->count > 2 ? command->words[2] : NULL;
    if (command_conf(command, &conf) != EXIT_DONE)
        return EXIT_REFUSED;
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    FILE *file = path == NULL ? stdout : fd != -1 ? fdopen(fd, "w") : NULL;
    if (file == NULL)
        (void)err_set(&err, ERR_REFUSED, "%.200s cannot be made: %m", path);
    int status = file != NULL ? export_to(command, &conf, file, &err) : EXIT_REFUSED;
    if (file != NULL && file != stdout && fclose(file) != 0 && status == EXIT_DONE) {
        (void)err_set(&err, ERR_STORE_IO, "%.200s: %m", path);
        status = EXIT_REFUSED;
    }
    if (status != EXIT_DONE && path != NULL && fd != -1)
        (void)unlink(path);
    conf_free(&conf);
    return err.id != ERR_NONE ? command_fail(command, &err) : status;
}

/* --- import --- */

static int add_row(void *arg, const struct registration *one, struct err *err)
{
    json_t *rows = arg;
    const struct {
        const char *key;
        struct span text;
    } texts[] = { { "host", one->host }, { "address", one->address }, { "name", one->name }, { "kind", one->kind } };
    json_t *row = json_pack("{s:I, s:I, s:b}", "line", (json_int_t)one->line, "at_us", (json_int_t)one->at_us,
                            "retired", one->retired ? 1 : 0);
    if (json_array_size(rows) == IMPORT_ROWS_MAX) {
        json_decref(row);
        return err_set(err, ERR_TOO_BIG, "more than %d registrations at a time; import the file in parts",
                       IMPORT_ROWS_MAX);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *text = json_stringn((const char *)span_of(texts[i].text.at, texts[i].text.size).at, texts[i].text.size);
        if (text == NULL) {
            json_decref(row);
            return err_set(err, ERR_BAD_CONTENT, "the %s is not UTF-8", texts[i].key);
        }
        (void)json_object_set_new(row, texts[i].key, text);
    }
    (void)json_array_append_new(rows, row);
    return 0;
}

/* The lines are for a table of ours, which is the operator's to edit. */
static int show_table(const struct command *command, struct span text, enum registrations_form form)
{
    struct buf lines = { 0 };
    struct err err = ERR_CLEAR;
    if (registrations_tables(text, form, &lines, &err) == -1) {
        buf_free(&lines);
        return command_fail(command, &err);
    }
    buf_add_u8(&lines, '\0');
    json_t *reply = json_pack("{s:s, s:s}", "table", form == FORM_SECURE ? "Access.tbl" : "Route.tbl", "lines",
                              lines.failed ? "" : (const char *)lines.at);
    buf_free(&lines);
    return reply != NULL ? command_reply(command, reply, show_table_lines) : EXIT_REFUSED;
}

static int import_list(const struct command *command, const struct conf *conf, struct span text,
                       enum registrations_form form)
{
    struct err err = ERR_CLEAR;
    json_t *rows = json_array();
    if (registrations_read(text, form, conf->connector.node, add_row, rows, &err) == -1) {
        json_decref(rows);
        return command_fail(command, &err);
    }
    return command_ask(command,
                       json_pack("{s:s, s:o, s:b}", "verb", "register import", "rows", rows, "dry_run",
                                 command_has(command, OPTION_DRY_RUN) ? 1 : 0),
                       NULL, show_imported);
}

int register_import_command(const struct command *command)
{
    struct conf conf;
    struct err err = ERR_CLEAR;
    struct buf text = { 0 };
    const char *path = command->words[2];
    enum registrations_form form = command->format != NULL ? registrations_form_find(command->format) : FORM_CSV;
    if (form == FORMS) {
        (void)err_set(&err, ERR_REFUSED,
                      "there is no such format; the formats are csv, journal, names, secure and unixnje-routes");
        return command_fail(command, &err);
    }
    if (command_conf(command, &conf) != EXIT_DONE)
        return EXIT_REFUSED;
    int read = tabletext_read(path, IMPORT_FILE_MAX, &text, &err);
    if (read == 1)
        (void)err_set(&err, ERR_NOT_FOUND, "there is no file %.200s", path);
    int status = read != 0                           ? command_fail(command, &err)
                 : registrations_form_is_table(form) ? show_table(command, buf_span(&text), form)
                                                     : import_list(command, &conf, buf_span(&text), form);
    buf_free(&text);
    conf_free(&conf);
    return status;
}
