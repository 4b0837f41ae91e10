/* Reads the configuration. Own code because the libraries for such files split long lines, take indented lines for
 * continuations, or give no line numbers, and each of those has turned a slip of the pen into lost mail somewhere. It
 * goes on after a problem, so that one run of `ovvm check` shows all of them; a section or value that had a problem
 * is left out of the checks that would need it. */
#include "base/conf.h"

#include "base/conf_check.h"
#include "base/conf_table.h"
#include "base/conf_value.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD_SHOWN = 40, WORD_MAX = 64 /* longer names are not compared */, LINKS_MAX = 1000 };

struct conf_reader {
    struct conf_reading reading;
    const struct conf_section *section; /* NULL: before the first, or in one that is skipped */
    bool before_first;
    bool carriage_returns; /* said already */
    unsigned line;
};

/* --- problems --- */

void conf_problem_add(struct conf_problems *problems, unsigned line, const char *format, ...)
{
    if (problems->count == CONF_PROBLEMS_MAX) {
        problems->beyond++;
        return;
    }
    size_t place = problems->count++;
    for (; place > 0 && problems->at[place - 1].line > line; place--)
        problems->at[place] = problems->at[place - 1];
    struct conf_problem *problem = &problems->at[place];
    problem->line = line;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
}

void conf_problems_print(const struct conf_problems *problems, const char *path, struct buf *to)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (problems->at[i].line == 0)
            buf_printf(to, "%s: %s\n", path, problems->at[i].text);
        else
            buf_printf(to, "%s:%u: %s\n", path, problems->at[i].line, problems->at[i].text);
    }
    if (problems->beyond > 0)
        buf_printf(to, "%s: %zu more problems are not shown\n", path, problems->beyond);
}

/* --- nearest name --- */

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Letters to insert, delete or replace (Levenshtein), case aside. */
static size_t edit_distance(struct span a, struct span b)
{
    size_t row[WORD_MAX + 1];
    if (a.size > WORD_MAX || b.size > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 0; i < a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.size; j++) {
            bool same = span_equal_nocase(span_slice(a, i, 1), span_slice(b, j, 1));
            size_t next = least_of(row[j + 1] + 1, row[j] + 1, diagonal + (same ? 0 : 1));
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    return row[b.size];
}

/* Keeps the nearer of two names, as long as one is near at all: a third of its letters may differ. */
static void nearer(struct span word, const char *name, size_t *distance, const char **nearest)
{
    size_t found = edit_distance(word, span_text(name));
    if (found < *distance && found <= 1 + strlen(name) / 3) {
        *distance = found;
        *nearest = name;
    }
}

/* --- sections --- */

static const struct conf_section *find_section(struct span name)
{
    for (size_t i = 0; i < CONF_SECTIONS; i++)
        if (span_equal(name, span_text(conf_sections[i].name)))
            return &conf_sections[i];
    return NULL;
}

static void unknown_section(struct conf_reader *reader, struct span name)
{
    char shown[WORD_SHOWN];
    size_t distance = SIZE_MAX;
    const char *nearest = NULL;
    struct buf all = { 0 };
    span_to_text(name, shown, sizeof shown);
    for (size_t i = 0; i < CONF_SECTIONS; i++) {
        nearer(name, conf_sections[i].name, &distance, &nearest);
        buf_printf(&all, "%s[%s]", i == 0 ? "" : " ", conf_sections[i].name);
    }
    if (nearest != NULL)
        conf_problem_add(reader->reading.problems, reader->line, "unknown section [%s]; did you mean [%s]?", shown,
                         nearest);
    else
        conf_problem_add(reader->reading.problems, reader->line, "unknown section [%s]; there are %.*s", shown,
                         (int)all.size, (const char *)all.at);
    buf_free(&all);
}

static void out_of_memory(struct conf_reader *reader)
{
    conf_problem_add(reader->reading.problems, reader->line, "out of memory");
}

/* A new [link NAME]; false where it is skipped, and the problem is said. */
static bool begin_link(struct conf_reader *reader, struct span name)
{
    struct conf_reading *reading = &reader->reading;
    struct conf *conf = reading->conf;
    struct name8 node;
    struct err err = ERR_CLEAR;
    if (name8_parse(name, "node", &node, &err) == -1) {
        conf_problem_add(reading->problems, reader->line, "[link]: %s; write the neighbour's node, for example %s",
                         name.size == 0 ? "the node is missing" : err.text, "[link MAPLEC1]");
        return false;
    }
    for (size_t i = 0; i < conf->link_count; i++) {
        if (!name8_equal(conf->links[i].node, node))
            continue;
        conf_problem_add(reading->problems, reader->line,
                         "[link %s] was given on line %u already; there is one section for a neighbour", node.text,
                         reading->links[i].line);
        return false;
    }
    if (conf->link_count == LINKS_MAX) {
        conf_problem_add(reading->problems, reader->line, "[link %s] is one link too many (%d)", node.text, LINKS_MAX);
        return false;
    }
    struct conf_link *links = mem_realloc(conf->links, (conf->link_count + 1) * sizeof *links);
    if (links != NULL)
        conf->links = links;
    struct conf_place *places = mem_realloc(reading->links, (conf->link_count + 1) * sizeof *places);
    if (places != NULL)
        reading->links = places;
    if (links == NULL || places == NULL) {
        out_of_memory(reader);
        return false;
    }
    links[conf->link_count] = (struct conf_link){ .node = node };
    places[conf->link_count] = (struct conf_place){ .line = reader->line };
    conf->link_count++;
    return true;
}

static bool begin_plain(struct conf_reader *reader, const struct conf_section *section, struct span argument)
{
    struct conf_place *place = &reader->reading.places[section - conf_sections];
    if (argument.size > 0) {
        conf_problem_add(reader->reading.problems, reader->line, "[%s] takes no name; write [%s]", section->name,
                         section->name);
        return false;
    }
    if (place->line != 0) {
        conf_problem_add(reader->reading.problems, reader->line,
                         "[%s] was given on line %u already; put its keys there", section->name, place->line);
        return false;
    }
    place->line = reader->line;
    return true;
}

/* `text` begins with the bracket and is without its comment. */
static void take_header(struct conf_reader *reader, struct span text)
{
    size_t end = span_find(text, ']');
    struct span inside = span_trim(span_slice(text, 1, end - 1));
    size_t blank = 0;
    while (blank < inside.size && inside.at[blank] != ' ' && inside.at[blank] != '\t')
        blank++;
    struct span name = span_slice(inside, 0, blank);
    struct span argument = span_trim(span_slice(inside, blank, inside.size));
    reader->before_first = false;
    reader->section = NULL;
    if (end + 1 != text.size) {
        conf_problem_add(reader->reading.problems, reader->line,
                         end == text.size
                             ? "the section has no closing bracket; write for example [connector]"
                             : "there is more after the closing bracket of the section; put it on a line of its own");
        reader->reading.routes_unsure = true;
        return;
    }
    const struct conf_section *section = find_section(name);
    if (section == NULL) {
        unknown_section(reader, name);
        reader->reading.routes_unsure = true; /* it may have been meant for a link */
        return;
    }
    bool begun = section->argument != NULL ? begin_link(reader, argument) : begin_plain(reader, section, argument);
    if (begun)
        reader->section = section;
    else if (section->argument != NULL)
        reader->reading.routes_unsure = true;
}

/* --- keys --- */

static void unknown_key(struct conf_reader *reader, struct span name)
{
    const struct conf_section *section = reader->section;
    char shown[WORD_SHOWN];
    size_t distance = SIZE_MAX;
    const char *nearest = NULL;
    struct buf all = { 0 };
    span_to_text(name, shown, sizeof shown);
    for (size_t i = 0; i < CONF_SECTIONS; i++)
        for (size_t k = 0; k < conf_sections[i].key_count; k++)
            if (span_equal(name, span_text(conf_sections[i].keys[k].name)))
                buf_printf(&all, " [%s]", conf_sections[i].name);
    if (all.size > 0) {
        conf_problem_add(reader->reading.problems, reader->line, "unknown key \"%s\" in [%s]; it belongs in%.*s", shown,
                         section->name, (int)all.size, (const char *)all.at);
        buf_free(&all);
        return;
    }
    for (size_t k = 0; k < section->key_count; k++) {
        nearer(name, section->keys[k].name, &distance, &nearest);
        buf_printf(&all, "%s%s", k == 0 ? "" : ", ", section->keys[k].name);
    }
    if (nearest != NULL)
        conf_problem_add(reader->reading.problems, reader->line, "unknown key \"%s\" in [%s]; did you mean \"%s\"?",
                         shown, section->name, nearest);
    else
        conf_problem_add(reader->reading.problems, reader->line, "unknown key \"%s\" in [%s]; its keys are %.*s", shown,
                         section->name, (int)all.size, (const char *)all.at);
    buf_free(&all);
}

/* Where the section's structure begins; for a link, the one begun last. */
static void *section_base(struct conf *conf, const struct conf_section *section)
{
    if (section->argument != NULL)
        return &conf->links[conf->link_count - 1];
    return (char *)conf + section->offset;
}

static struct conf_place *section_place(struct conf_reading *reading, const struct conf_section *section)
{
    if (section->argument != NULL)
        return &reading->links[reading->conf->link_count - 1];
    return &reading->places[section - conf_sections];
}

static void section_title(const struct conf_section *section, const void *base, char *to_r, size_t room)
{
    if (section->argument != NULL)
        (void)snprintf(to_r, room, "[%s %s]", section->name, ((const struct conf_link *)base)->node.text);
    else
        (void)snprintf(to_r, room, "[%s]", section->name);
}

size_t conf_key_index(enum conf_section_id id, const char *name)
{
    const struct conf_section *section = &conf_sections[id];
    size_t k = 0;
    while (k < section->key_count - 1 && strcmp(section->keys[k].name, name) != 0)
        k++;
    return k;
}

static void set_key(struct conf_reading *reading, const struct conf_section *section, size_t k, void *base,
                    struct conf_place *place, unsigned line, struct span value)
{
    const struct conf_key *key = &section->keys[k];
    void *to = (char *)base + key->offset;
    struct err err = ERR_CLEAR;
    char title[WORD_SHOWN];
    place->sound[k] = conf_value_set(key, value, to, &err) == 0;
    if (place->sound[k])
        return;
    conf_value_free(key, to);
    section_title(section, base, title, sizeof title);
    conf_problem_add(reading->problems, line, "%s %s: %s", title, key->name, err.text);
    if (key->type == CONF_NODES)
        reading->routes_unsure = true;
}

/* By its name, or by one that the classic product had for it. */
static bool is_key(const struct conf_key *key, struct span name)
{
    struct reader also = reader_of(span_text(key->also));
    bool found = span_equal(name, span_text(key->name));
    while (!found && !reader_at_end(&also))
        found = span_equal_nocase(name, reader_until(&also, ' '));
    return found;
}

static void take_key(struct conf_reader *reader, struct span name, struct span value)
{
    struct conf_reading *reading = &reader->reading;
    const struct conf_section *section = reader->section;
    size_t k = 0;
    while (k < section->key_count && !is_key(&section->keys[k], name))
        k++;
    if (k == section->key_count) {
        unknown_key(reader, name);
        return;
    }
    void *base = section_base(reading->conf, section);
    struct conf_place *place = section_place(reading, section);
    char title[WORD_SHOWN];
    if (place->key_lines[k] != 0) {
        section_title(section, base, title, sizeof title);
        conf_problem_add(reading->problems, reader->line, "%s %s was given on line %u already; remove one of the two",
                         title, section->keys[k].name, place->key_lines[k]);
        return;
    }
    place->key_lines[k] = reader->line;
    set_key(reading, section, k, base, place, reader->line, value);
}

/* --- lines --- */

/* Without the comment: from ; or # at the start or after a blank, outside quotes. */
struct span conf_strip_comment(struct span line)
{
    bool quoted = false, after_blank = true;
    for (size_t i = 0; i < line.size; i++) {
        uint8_t byte = line.at[i];
        if (quoted && byte == '\\')
            i++;
        else if (byte == '"')
            quoted = !quoted;
        else if (!quoted && after_blank && (byte == ';' || byte == '#'))
            return span_slice(line, 0, i);
        after_blank = byte == ' ' || byte == '\t';
    }
    return line;
}

/* Takes quotes off into `room`, which has room for `value`. NULL, or what is wrong. */
static const char *unquote(struct span value, uint8_t *room, struct span *value_r)
{
    *value_r = value;
    if (value.size == 0 || value.at[0] != '"')
        return span_find(value, '"') == value.size
                   ? NULL
                   : "a quote stands inside the value; put the whole value in quotes, with \\\" for a quote in it";
    size_t size = 0;
    for (size_t i = 1; i < value.size; i++) {
        uint8_t byte = value.at[i];
        if (byte == '"') {
            *value_r = span_of(room, size);
            return i + 1 == value.size ? NULL : "there is more after the closing quote; remove it";
        }
        if (byte == '\\') {
            i++;
            if (i == value.size || (value.at[i] != '"' && value.at[i] != '\\'))
                return "a backslash in quotes must be followed by a quote or a backslash; write \\\" or \\\\";
            byte = value.at[i];
        }
        room[size++] = byte;
    }
    return "the closing quote is missing; end the value with a quote";
}

/* NULL, or what is wrong with the line's bytes. */
static const char *bytes_wrong(struct span line)
{
    if (line.size > CONF_LINE_MAX)
        return "the line is longer than 4096 octets; split the value or shorten the comment";
    for (struct span rest = line; rest.size > 0;) {
        uint32_t code;
        size_t size = utf8_first(rest, &code);
        if (size == 0)
            return "the line is not UTF-8; save the file as UTF-8";
        if (code == 0)
            return "the line has a NUL octet; this is no text file, or it is damaged";
        if (utf8_is_control(code) && code != '\t')
            return "the line has a control character; remove it";
        rest = span_slice(rest, size, rest.size);
    }
    return NULL;
}

static bool key_name_ok(struct span name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.at[i] <= ' ' || name.at[i] >= 0x7F || name.at[i] == '"' || name.at[i] == '[')
            return false;
    return name.size > 0;
}

static void take_assignment(struct conf_reader *reader, struct span text)
{
    uint8_t room[CONF_LINE_MAX];
    size_t equals = span_find(text, '=');
    struct span name = span_trim(span_slice(text, 0, equals));
    struct span value = span_trim(span_slice(text, equals + 1, text.size));
    struct conf_problems *problems = reader->reading.problems;
    if (equals == text.size || !key_name_ok(name)) {
        char shown[WORD_SHOWN];
        span_to_text(text, shown, sizeof shown);
        conf_problem_add(problems, reader->line, "\"%s\" is neither [section] nor key = value", shown);
        return;
    }
    if (reader->before_first) {
        conf_problem_add(problems, reader->line, "a key stands before the first section; begin with [connector]");
        return;
    }
    if (reader->section == NULL)
        return; /* in a section that is skipped; its own problem was said */
    const char *why = unquote(value, room, &value);
    if (why != NULL) {
        char shown[WORD_SHOWN];
        span_to_text(name, shown, sizeof shown);
        conf_problem_add(problems, reader->line, "%s: %s", shown, why);
        return;
    }
    take_key(reader, name, value);
}

static void take_line(struct conf_reader *reader, struct span line)
{
    struct conf_problems *problems = reader->reading.problems;
    if (line.size > 0 && line.at[line.size - 1] == '\r') {
        line.size--;
        if (!reader->carriage_returns)
            conf_problem_add(problems, reader->line,
                             "lines end with CR LF; convert the file, for example with sed -i 's/\\r$//'");
        reader->carriage_returns = true;
    }
    const char *why = bytes_wrong(line);
    if (why != NULL) {
        conf_problem_add(problems, reader->line, "%s", why);
        return;
    }
    line = conf_strip_comment(line);
    struct span text = span_trim(line);
    if (text.size == 0)
        return;
    if (text.at != line.at)
        conf_problem_add(problems, reader->line,
                         "the line is indented; there are no continuation lines, begin it at the margin");
    else if (text.at[0] == '[')
        take_header(reader, text);
    else
        take_assignment(reader, text);
}

static void take_text(struct conf_reader *reader, struct span text)
{
    struct span mark = SPAN_LITERAL("\xEF\xBB\xBF");
    if (text.size > CONF_FILE_MAX) {
        conf_problem_add(reader->reading.problems, 0, "the file is larger than 1 MiB; this is no configuration");
        return;
    }
    if (span_starts_with(text, mark)) {
        conf_problem_add(reader->reading.problems, 1,
                         "the file begins with a byte order mark; save it as UTF-8 without one");
        text = span_slice(text, mark.size, text.size);
    }
    struct reader lines = reader_of(text);
    while (!reader_at_end(&lines)) {
        reader->line++;
        take_line(reader, reader_until(&lines, '\n'));
    }
}

/* --- defaults --- */

/* Puts what <state>, <name> and <level> stand for in their place. False: something a placeholder needs had a problem
 * of its own. */
static bool expand(const struct conf_reading *reading, const char *fallback, const void *base, struct buf *to)
{
    const struct conf *conf = reading->conf;
    struct reader parts = reader_of(span_text(fallback));
    while (!reader_at_end(&parts)) {
        buf_add_span(to, reader_until(&parts, '<'));
        if (reader_at_end(&parts))
            break;
        struct span name = reader_until(&parts, '>');
        const char *stands_for;
        if (span_equal(name, SPAN_LITERAL("state")))
            stands_for = conf->connector.state;
        else if (span_equal(name, SPAN_LITERAL("name")))
            stands_for = ((const struct conf_link *)base)->node.text;
        else
            stands_for = conf_sections[CONF_LOG].keys[conf_key_index(CONF_LOG, "level")].choices[conf->log.level];
        if (stands_for == NULL)
            return false;
        buf_add_text(to, stands_for);
    }
    return true;
}

static void fill_defaults(struct conf_reading *reading, const struct conf_section *section, void *base,
                          struct conf_place *place)
{
    for (size_t k = 0; k < section->key_count; k++) {
        const struct conf_key *key = &section->keys[k];
        char title[WORD_SHOWN];
        if (place->key_lines[k] != 0)
            continue;
        if (key->required) {
            section_title(section, base, title, sizeof title);
            conf_problem_add(reading->problems, place->line, "%s %s is missing; add for example %s = %s", title,
                             key->name, key->name, key->example);
        }
        struct buf value = { 0 };
        bool known = key->fallback != NULL && expand(reading, key->fallback, base, &value);
        if (value.failed)
            conf_problem_add(reading->problems, place->line, "out of memory");
        else if (known)
            set_key(reading, section, k, base, place, place->line, buf_span(&value));
        buf_free(&value);
    }
}

static void finish(struct conf_reading *reading)
{
    struct conf *conf = reading->conf;
    for (size_t i = 0; i < CONF_SECTIONS; i++)
        if (conf_sections[i].argument == NULL)
            fill_defaults(reading, &conf_sections[i], section_base(conf, &conf_sections[i]), &reading->places[i]);
    for (size_t i = 0; i < conf->link_count; i++)
        fill_defaults(reading, &conf_sections[CONF_LINK], &conf->links[i], &reading->links[i]);
    size_t k = conf_key_index(CONF_CONNECTOR, "default-node");
    if (conf->link_count == 1 && reading->places[CONF_CONNECTOR].key_lines[k] == 0)
        conf->connector.default_node = conf->links[0].node;
    conf_check(reading);
}

/* --- the whole --- */

int conf_parse(struct span text, struct conf *conf_r, struct conf_problems *problems_r)
{
    *conf_r = (struct conf){ 0 };
    problems_r->count = problems_r->beyond = 0;
    struct conf_reader reader = { .reading = { .conf = conf_r, .problems = problems_r }, .before_first = true };
    take_text(&reader, text);
    if (text.size <= CONF_FILE_MAX)
        finish(&reader.reading);
    mem_free(reader.reading.links);
    if (problems_r->count == 0)
        return 0;
    conf_free(conf_r);
    return -1;
}

/* One byte more than allowed is read, so that conf_parse sees a file that is too large. */
static int read_file(const char *path, struct buf *to, struct conf_problems *problems)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        conf_problem_add(problems, 0, "cannot be opened: %s%s", strerror(errno),
                         errno == ENOENT ? "; give another path with -c, or copy the sample there" : "");
        return -1;
    }
    ssize_t got = -1;
    if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode))
        conf_problem_add(problems, 0, "is no regular file");
    else if (!buf_reserve(to, CONF_FILE_MAX + 1))
        conf_problem_add(problems, 0, "out of memory");
    else
        do {
            got = read(fd, to->at + to->size, CONF_FILE_MAX + 1 - to->size);
            if (got == -1)
                conf_problem_add(problems, 0, "cannot be read: %s", strerror(errno));
            else
                to->size += (size_t)got;
        } while (got > 0 && to->size <= CONF_FILE_MAX);
    (void)close(fd); /* only read */
    return got == -1 ? -1 : 0;
}

int conf_load(const char *path, struct conf *conf_r, struct conf_problems *problems_r)
{
    struct buf text = { 0 };
    *conf_r = (struct conf){ 0 };
    problems_r->count = problems_r->beyond = 0;
    int result = read_file(path, &text, problems_r);
    if (result == 0)
        result = conf_parse(buf_span(&text), conf_r, problems_r);
    buf_free(&text);
    return result;
}

static void free_section(const struct conf_section *section, void *base)
{
    for (size_t k = 0; k < section->key_count; k++)
        conf_value_free(&section->keys[k], (char *)base + section->keys[k].offset);
}

void conf_free(struct conf *conf)
{
    for (size_t i = 0; i < CONF_SECTIONS; i++)
        if (conf_sections[i].argument == NULL)
            free_section(&conf_sections[i], section_base(conf, &conf_sections[i]));
    for (size_t i = 0; i < conf->link_count; i++)
        free_section(&conf_sections[CONF_LINK], &conf->links[i]);
    mem_free(conf->links);
    *conf = (struct conf){ 0 };
}

bool conf_nodes_has(const struct conf_nodes *nodes, struct name8 node)
{
    for (size_t i = 0; nodes != NULL && i < nodes->count; i++)
        if (name8_equal(nodes->at[i], node))
            return true;
    return false;
}
