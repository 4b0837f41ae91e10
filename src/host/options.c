/* The command line of the trial node. Options have one, two or more operands, so they are described by a table; every
 * mistake is said with the option's own pattern, before anything is opened. */
#include "host/options.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

enum { TIMEOUT_SECONDS_MAX = 7 * 24 * 3600, EXPECT_MAX = 1000000 };

const char host_usage[] =
    "usage: ovvm host --node NAME --peer NAME (--connect HOST:PORT | --listen ADDRESS:PORT) [OPTION]...\n"
    "\n"
    "A small NJE node for trying a link out. It signs on to one neighbour, sends what is named below, shows what\n"
    "arrives, and runs until it is stopped.\n"
    "\n"
    "  --node NAME              our node name, 1 to 8 characters\n"
    "  --peer NAME              the neighbour's node name\n"
    "  --connect HOST:PORT      dial the neighbour there\n"
    "  --listen ADDRESS:PORT    accept the neighbour there (both may be given)\n"
    "  --kind KIND              what the neighbour is: rscs (default), vm370, nje38, jes2, unixnje\n"
    "  --allow ADDRESSES        from where the neighbour may come: addresses and networks with blanks between them;\n"
    "                           default: those of --connect, without it this machine\n"
    "  --folder DIR             where received files go, as NAME.spool (default: the current folder)\n"
    "\n"
    "  --send-note FROM TO FILE           a note: FILE is its text in UTF-8 (- is standard input); a first line\n"
    "                                     \"Subject: ...\" becomes the note's subject\n"
    "  --send-file FROM TO FILE FN.FT     a text file as cards of 80 columns, named FN FT on the other side\n"
    "  --send-message FROM TO TEXT        a message to a user's screen\n"
    "  --replay FILE.spool                an NJE file as it once came, with its own headers; text lines up to END: at\n"
    "                                     its beginning are skipped\n"
    "  --to USER@NODE                     the file of the --replay before it goes to this user instead\n"
    "                           FROM and TO are USER@NODE, or USER of our node and of the neighbour's\n"
    "  --netdata                notes and files go as NETDATA, as CMS NOTE and SENDFILE send them; else as plain "
    "cards\n"
    "\n"
    "  --once                   exit when everything was sent and acknowledged\n"
    "  --expect N               exit when everything was sent and acknowledged and N files were received\n"
    "  --timeout SECONDS        exit after this time at the latest\n"
    "  --quiet                  one line a file; no contents, no messages, no states of the link\n"
    "  --help                   show this\n"
    "\n"
    "exit status: 0 done; 1 something was not sent and acknowledged, or nothing (less than N files) was received;\n"
    "             2 the command or an input file is wrong\n";

enum option_id {
    OPTION_NODE,
    OPTION_PEER,
    OPTION_CONNECT,
    OPTION_LISTEN,
    OPTION_KIND,
    OPTION_ALLOW,
    OPTION_FOLDER,
    OPTION_SEND_NOTE,
    OPTION_SEND_FILE,
    OPTION_SEND_MESSAGE,
    OPTION_REPLAY,
    OPTION_TO,
    OPTION_NETDATA,
    OPTION_ONCE,
    OPTION_EXPECT,
    OPTION_TIMEOUT,
    OPTION_QUIET,
    OPTION_HELP,
    OPTIONS
};

static const struct option_row {
    const char *name;
    int operands;
    const char *pattern;
} rows[OPTIONS] = {
    [OPTION_NODE] = { "--node", 1, "NAME" },
    [OPTION_PEER] = { "--peer", 1, "NAME" },
    [OPTION_CONNECT] = { "--connect", 1, "HOST:PORT" },
    [OPTION_LISTEN] = { "--listen", 1, "ADDRESS:PORT" },
    [OPTION_KIND] = { "--kind", 1, "KIND" },
    [OPTION_ALLOW] = { "--allow", 1, "ADDRESSES" },
    [OPTION_FOLDER] = { "--folder", 1, "DIR" },
    [OPTION_SEND_NOTE] = { "--send-note", 3, "FROM TO FILE" },
    [OPTION_SEND_FILE] = { "--send-file", 4, "FROM TO FILE FN.FT" },
    [OPTION_SEND_MESSAGE] = { "--send-message", 3, "FROM TO TEXT" },
    [OPTION_REPLAY] = { "--replay", 1, "FILE.spool" },
    [OPTION_TO] = { "--to", 1, "USER@NODE" },
    [OPTION_NETDATA] = { "--netdata", 0, "" },
    [OPTION_ONCE] = { "--once", 0, "" },
    [OPTION_EXPECT] = { "--expect", 1, "N" },
    [OPTION_TIMEOUT] = { "--timeout", 1, "SECONDS" },
    [OPTION_QUIET] = { "--quiet", 0, "" },
    [OPTION_HELP] = { "--help", 0, "" },
};

/* USER@NODE or USER; a name may itself hold an @, so the last one counts. `node_missing`: for USER alone. */
static int parse_address(const char *text, struct name8 node_missing, struct host_address *address_r, struct err *err)
{
    struct span whole = span_text(text), user = whole;
    address_r->node = node_missing;
    for (size_t at = whole.size; at > 0; at--) {
        if (whole.at[at - 1] != '@')
            continue;
        user = span_slice(whole, 0, at - 1);
        if (name8_parse(span_slice(whole, at, whole.size), "node", &address_r->node, err) == -1)
            return -1;
        break;
    }
    return name8_parse(user, "user id", &address_r->user, err);
}

/* FN.FT */
static int parse_file_name(const char *text, struct host_send *send_r, struct err *err)
{
    struct span whole = span_text(text);
    size_t dot = span_find(whole, '.');
    if (dot == whole.size)
        return err_set(err, ERR_CONFIG, "\"%s\" is not of the form FN.FT", text);
    if (name8_parse(span_slice(whole, 0, dot), "file name", &send_r->name, err) == -1)
        return -1;
    return name8_parse(span_slice(whole, dot + 1, whole.size), "file type", &send_r->type, err);
}

static int parse_number(const char *text, unsigned most, unsigned *number_r, struct err *err)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number == 0 || number > most)
        return err_set(err, ERR_CONFIG, "\"%s\" is not a number from 1 to %u", text, most);
    *number_r = (unsigned)number;
    return 0;
}

static int parse_kind(const char *text, enum nje_kind *kind_r, struct err *err)
{
    for (size_t i = 0; i < NJE_KINDS; i++) {
        if (strcmp(text, nje_presets[i].name) == 0) {
            *kind_r = (enum nje_kind)i;
            return 0;
        }
    }
    return err_set(err, ERR_CONFIG, "\"%s\" is none of rscs, vm370, nje38, jes2, unixnje", text);
}

static struct host_send *add_send(struct host_options *options, enum host_send_kind kind)
{
    struct host_send *send = &options->sends[options->send_count++];
    *send = (struct host_send){ .kind = kind };
    return send;
}

static int take_sending(enum option_id id, char **operands, struct host_options *options_r, struct err *err)
{
    static const enum host_send_kind kinds[OPTIONS] = { [OPTION_SEND_NOTE] = HOST_SEND_NOTE,
                                                        [OPTION_SEND_FILE] = HOST_SEND_FILE,
                                                        [OPTION_SEND_MESSAGE] = HOST_SEND_MESSAGE };
    struct host_send *send = add_send(options_r, kinds[id]);
    if (parse_address(operands[0], options_r->node, &send->from, err) == -1 ||
        parse_address(operands[1], options_r->peer, &send->to, err) == -1)
        return -1;
    if (id == OPTION_SEND_MESSAGE)
        send->text = operands[2];
    else
        send->path = operands[2];
    return id == OPTION_SEND_FILE ? parse_file_name(operands[3], send, err) : 0;
}

static int take_to(const char *text, struct host_options *options_r, struct err *err)
{
    struct host_send *last = options_r->send_count > 0 ? &options_r->sends[options_r->send_count - 1] : NULL;
    if (last == NULL || last->kind != HOST_SEND_REPLAY)
        return err_set(err, ERR_CONFIG, "it belongs behind the --replay that it changes");
    return parse_address(text, options_r->peer, &last->to, err);
}

/* Names first: FROM and TO of a later option may leave the node out, wherever --node and --peer stand. */
static int take(enum option_id id, char **operands, bool names, struct host_options *options_r, struct err *err)
{
    unsigned seconds = 0;
    if (names != (id == OPTION_NODE || id == OPTION_PEER))
        return 0;
    switch (id) {
    case OPTION_NODE:
        return name8_parse(span_text(operands[0]), "node", &options_r->node, err);
    case OPTION_PEER:
        return name8_parse(span_text(operands[0]), "node", &options_r->peer, err);
    case OPTION_CONNECT:
        options_r->connect = operands[0];
        return 0;
    case OPTION_LISTEN:
        options_r->listen = operands[0];
        return 0;
    case OPTION_KIND:
        return parse_kind(operands[0], &options_r->kind, err);
    case OPTION_ALLOW:
        options_r->allow = operands[0];
        return 0;
    case OPTION_FOLDER:
        options_r->folder = operands[0];
        return 0;
    case OPTION_SEND_NOTE:
    case OPTION_SEND_FILE:
    case OPTION_SEND_MESSAGE:
        return take_sending(id, operands, options_r, err);
    case OPTION_REPLAY:
        add_send(options_r, HOST_SEND_REPLAY)->path = operands[0];
        return 0;
    case OPTION_TO:
        return take_to(operands[0], options_r, err);
    case OPTION_NETDATA:
        options_r->netdata = true;
        return 0;
    case OPTION_ONCE:
        options_r->once = true;
        return 0;
    case OPTION_EXPECT:
        return parse_number(operands[0], EXPECT_MAX, &options_r->expect, err);
    case OPTION_TIMEOUT:
        if (parse_number(operands[0], TIMEOUT_SECONDS_MAX, &seconds, err) == -1)
            return -1;
        options_r->timeout_us = seconds * CLOCK_SECOND;
        return 0;
    case OPTION_QUIET:
        options_r->quiet = true;
        return 0;
    case OPTION_HELP:
        options_r->help = true;
        return 0;
    case OPTIONS:
        break;
    }
    return err_set(err, ERR_BUG, "an option without an effect");
}

static int take_all(int argc, char **argv, bool names, struct host_options *options_r, struct err *err)
{
    for (int i = 1; i < argc;) {
        size_t id = 0;
        while (id < OPTIONS && strcmp(argv[i], rows[id].name) != 0)
            id++;
        if (id == OPTIONS)
            return err_set(err, ERR_CONFIG, "there is no option \"%s\"", argv[i]);
        if (argc - i - 1 < rows[id].operands)
            return err_set(err, ERR_CONFIG, "%s needs %s behind it", rows[id].name, rows[id].pattern);
        if (take((enum option_id)id, &argv[i + 1], names, options_r, err) == -1)
            return err_context(err, "%s", rows[id].name);
        i += 1 + rows[id].operands;
    }
    return 0;
}

int host_options_parse(int argc, char **argv, struct host_options *options_r, struct err *err)
{
    *options_r = (struct host_options){ .kind = NJE_RSCS, .folder = "." };
    options_r->sends = mem_zero((size_t)(argc > 0 ? argc : 1) * sizeof *options_r->sends);
    if (options_r->sends == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for the options");
    if (take_all(argc, argv, true, options_r, err) == -1 || take_all(argc, argv, false, options_r, err) == -1)
        return -1;
    if (options_r->help)
        return 0;
    for (size_t i = 0; i < options_r->send_count; i++)
        options_r->sends[i].netdata = options_r->netdata;
    if (name8_empty(options_r->node) || name8_empty(options_r->peer))
        return err_set(err, ERR_CONFIG, "--node and --peer are needed: our node name and the neighbour's");
    if (options_r->connect == NULL && options_r->listen == NULL)
        return err_set(err, ERR_CONFIG, "one of --connect HOST:PORT and --listen ADDRESS:PORT is needed");
    return 0;
}

void host_options_free(struct host_options *options)
{
    mem_free(options->sends);
    *options = (struct host_options){ .folder = NULL };
}
