/* The table of the configuration in words: the manual page in mdoc, and the sample configuration. So that a key
 * cannot exist without its page, nor a page without its key. */
#include "base/conf.h"
#include "base/conf_table.h"
#include "base/conf_value.h"

#include <string.h>

enum { SAMPLE_WIDTH = 100 };

static const char manual_head[] =
    ".\\\" Made from src/base/conf_table.c; change it there.\n"
    ".Dd November 24, 2026\n"
    ".Dt OVVM.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm ovvm.conf\n"
    ".Nd configuration of the Connector for OfficeVision/VM\n"
    ".Sh DESCRIPTION\n"
    "This file tells\n"
    ".Xr ovvmd 8\n"
    "and\n"
    ".Xr ovvm 1\n"
    "who the connector is, which NJE neighbours it has, and where Internet mail comes from and goes to.\n"
    ".Pp\n"
    "It is UTF-8 text of at most 1 MiB, with lines of at most 4096 octets.\n"
    "A line is a section,\n"
    ".Li [name]\n"
    "or\n"
    ".Li [link NODE] ,\n"
    "or a key of the section above it,\n"
    ".Li key = value .\n"
    "A\n"
    ".Ql \\&;\n"
    "or\n"
    ".Ql #\n"
    "at the start of a line or after a blank begins a comment.\n"
    "A value that contains one of them after a blank, or a quote, stands in double quotes, with\n"
    ".Li \\e\\(dq\n"
    "for a quote and\n"
    ".Li \\e\\e\n"
    "for a backslash.\n"
    "A line cannot be continued on the next, and none is indented.\n"
    "Sections may come in any order; a section and a key stand once, and only\n"
    ".Li [link]\n"
    "may be repeated, for different nodes.\n"
    ".Pp\n"
    "A size is a number of octets, or a number followed by K, M or G.\n"
    "A time is a number followed by s, m, h or d.\n"
    "Passwords are never written here, only the paths of the files that hold them.\n"
    ".Pp\n"
    "Nothing starts with a file that has a problem.\n"
    ".Ic ovvm check\n"
    "lists all of them, each with its line and its remedy.\n";

static const char manual_tail[] = ".Sh FILES\n"
                                  ".Bl -tag -width Ds\n"
                                  ".It Pa /etc/ovvm/ovvm.conf\n"
                                  "The file that is read where none is named.\n"
                                  ".El\n"
                                  ".Sh EXAMPLES\n"
                                  "The least that works:\n"
                                  ".Bd -literal -offset indent\n"
                                  "[connector]\n"
                                  "node = MICROSFT\n"
                                  "domain = vm.example.org\n"
                                  "postmaster = postmaster@example.org\n"
                                  "\n"
                                  "[link MAPLEC1]\n"
                                  "connect = rscs.example.org:175\n"
                                  "\n"
                                  "[smtp-out]\n"
                                  "relay = 127.0.0.1:25\n"
                                  ".Ed\n"
                                  ".Sh SEE ALSO\n"
                                  ".Xr ovvm 1 ,\n"
                                  ".Xr ovvm-tables 5 ,\n"
                                  ".Xr ovvmd 8\n";

/* Text for mdoc: each sentence on a line of its own, nothing taken for a request. */
static void add_sentences(struct buf *to, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool line_start = at == text || (at[-1] == ' ' && at >= text + 2 && at[-2] == '.');
        if (line_start && (*at == '.' || *at == '\''))
            buf_add_text(to, "\\&");
        if (*at == '\\')
            buf_add_text(to, "\\e");
        else if (*at == ' ' && at > text && at[-1] == '.')
            buf_add_u8(to, '\n');
        else
            buf_add_u8(to, (uint8_t)*at);
    }
    buf_add_u8(to, '\n');
}

static void manual_key(const struct conf_key *key, struct buf *to)
{
    char wanted[128];
    conf_value_wanted(key, wanted, sizeof wanted);
    buf_printf(to, ".It Cm %s No = Ar %s\n", key->name, key->type == CONF_CHOICE ? "word" : "value");
    add_sentences(to, key->doc);
    buf_printf(to, "Write %s.\n", wanted);
    if (key->also != NULL)
        buf_printf(to, "Also taken under the names of the classic product:\n.Li %s .\n", key->also);
    if (key->required)
        buf_add_text(to, "Required.\n");
    if (key->fallback != NULL && strcmp(key->fallback, "<name>") == 0)
        buf_add_text(to, "Default: the link's own name.\n");
    else if (key->fallback != NULL && strcmp(key->fallback, "<level>") == 0)
        buf_add_text(to, "Default: what\n.Cm level\nsays.\n");
    else if (key->fallback != NULL)
        buf_printf(to, "Default:\n.Li %s\n", key->fallback);
}

static void manual(struct buf *to)
{
    buf_add_text(to, manual_head);
    buf_add_text(to, ".Sh SECTIONS AND KEYS\nIn defaults,\n.Li <state>\nis the value of\n.Cm state .\n");
    for (size_t i = 0; i < CONF_SECTIONS; i++) {
        const struct conf_section *section = &conf_sections[i];
        buf_printf(to, ".Ss [%s%s%s]\n", section->name, section->argument != NULL ? " " : "",
                   section->argument != NULL ? section->argument : "");
        add_sentences(to, section->doc);
        buf_add_text(to, ".Bl -tag -width Ds\n");
        for (size_t k = 0; k < section->key_count; k++)
            manual_key(&section->keys[k], to);
        buf_add_text(to, ".El\n");
    }
    buf_add_text(to, manual_tail);
}

/* As a comment, broken at words. */
static void add_comment(struct buf *to, const char *text)
{
    size_t column = 1;
    buf_add_text(to, "#");
    struct reader words = reader_of(span_text(text));
    while (!reader_at_end(&words)) {
        struct span word = reader_until(&words, ' ');
        if (column + 1 + word.size > SAMPLE_WIDTH) {
            buf_add_text(to, "\n#");
            column = 1;
        }
        buf_printf(to, " %.*s", (int)word.size, (const char *)word.at);
        column += 1 + word.size;
    }
    buf_add_u8(to, '\n');
}

/* A default with a placeholder is shown as its example, which is what it comes to in the sample. */
static const char *sample_value(const struct conf_key *key)
{
    return key->fallback != NULL && strchr(key->fallback, '<') == NULL ? key->fallback : key->example;
}

static void sample(struct buf *to)
{
    add_comment(to, "Configuration of the Connector for OfficeVision/VM; see ovvm.conf(5). The keys that begin with a "
                    "semicolon show their defaults, or an example where there is no default. Check changes with: ovvm "
                    "check");
    for (size_t i = 0; i < CONF_SECTIONS; i++) {
        const struct conf_section *section = &conf_sections[i];
        buf_add_u8(to, '\n');
        add_comment(to, section->doc);
        if (section->argument != NULL)
            buf_printf(to, "[%s %s]\n", section->name, section->argument_example);
        else
            buf_printf(to, "[%s]\n", section->name);
        for (size_t k = 0; k < section->key_count; k++) {
            const struct conf_key *key = &section->keys[k];
            /* the link's only door has to be open for the sample to be sound */
            bool live = key->required || key->type == CONF_PEER;
            buf_add_u8(to, '\n');
            add_comment(to, key->doc);
            buf_printf(to, "%s%s = %s\n", live ? "" : ";", key->name, sample_value(key));
        }
    }
}

void conf_describe(enum conf_form form, struct buf *to)
{
    if (form == CONF_MANUAL)
        manual(to);
    else
        sample(to);
}
