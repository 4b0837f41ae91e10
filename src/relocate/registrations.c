/* Foreign lists. They come from systems long gone and were edited by hand: a line that cannot be understood stops the
 * import with its number rather than being passed over, but what is only decoration is passed over. */
#include "relocate/registrations.h"

#include "relocate/csv.h"

#include <stdio.h>

enum { COLUMNS = 5, TAG_SIZE = 16 };

enum column { COLUMN_HOST, COLUMN_ADDRESS, COLUMN_NAME, COLUMN_KIND, COLUMN_MADE };

typedef int (*take)(void *arg, const struct registration *registration, struct err *err);

enum registrations_form registrations_form_find(const char *name)
{
    static const char *const names[FORMS] = { "csv", "journal", "names", "secure", "unixnje-routes" };
    int form = 0;
    while (form < FORMS && strcmp(names[form], name) != 0)
        form++;
    return (enum registrations_form)form;
}

static int at_line(size_t line, struct err *err)
{
    return err_context(err, "line %zu", line);
}

/* --- csv --- */

static bool is_one_of(struct span cell, const char *names)
{
    struct reader words = reader_of(span_text(names));
    while (!reader_at_end(&words))
        if (span_equal_nocase(cell, reader_until(&words, '|')))
            return true;
    return false;
}

/* Does the first line name its columns? */
static bool take_names(const struct csv_row *row, size_t place_r[COLUMNS])
{
    static const char *const names[COLUMNS] = {
        [COLUMN_HOST] = "host|host address|proxy|profs|node(user)",
        [COLUMN_ADDRESS] = "address|mail|e-mail|email|smtp|internet",
        [COLUMN_NAME] = "name|full name|display name",
        [COLUMN_KIND] = "kind",
        [COLUMN_MADE] = "made_us|at_us",
    };
    for (size_t column = 0; column < COLUMNS; column++) {
        place_r[column] = SIZE_MAX;
        for (size_t cell = 0; cell < row->count && place_r[column] == SIZE_MAX; cell++)
            if (is_one_of(span_trim(csv_cell(row, cell)), names[column]))
                place_r[column] = cell;
    }
    return place_r[COLUMN_ADDRESS] != SIZE_MAX;
}

static bool looks_like_host(struct span cell)
{
    return span_find(cell, '(') < cell.size || span_find(cell, '/') < cell.size;
}

static struct span cell_of(const struct csv_row *row, size_t place)
{
    return place < row->count ? span_trim(csv_cell(row, place)) : SPAN_EMPTY;
}

/* Without names: the one with an @ is the address, one with ( or / the host address, another one the name. */
static void guess(const struct csv_row *row, struct registration *registration)
{
    for (size_t i = 0; i < row->count; i++) {
        struct span cell = cell_of(row, i);
        if (span_find(cell, '@') < cell.size && registration->address.size == 0)
            registration->address = cell;
        else if (looks_like_host(cell) && registration->host.size == 0)
            registration->host = cell;
        else if (registration->name.size == 0)
            registration->name = cell;
    }
}

static int take_row(const struct csv_row *row, const size_t *place, bool named, struct registration *registration,
                    struct err *err)
{
    if (!named) {
        guess(row, registration);
    } else {
        struct span made = cell_of(row, place[COLUMN_MADE]);
        registration->host = cell_of(row, place[COLUMN_HOST]);
        registration->address = cell_of(row, place[COLUMN_ADDRESS]);
        registration->name = cell_of(row, place[COLUMN_NAME]);
        registration->kind = cell_of(row, place[COLUMN_KIND]);
        registration->retired = span_equal_nocase(registration->kind, SPAN_LITERAL("retired"));
        if (made.size > 0 && csv_int(made, &registration->at_us, err) == -1)
            return -1;
    }
    return registration->address.size > 0 ? 0 : err_set(err, ERR_BAD_CONTENT, "there is no Internet address");
}

static int read_csv(struct span text, take each, void *arg, struct err *err)
{
    struct csv_row row = { .count = 0 };
    struct reader lines = reader_of(text);
    size_t place[COLUMNS];
    bool named = false;
    size_t number = 0;
    size_t rows = 0;
    int result = 0;
    while (result == 0 && !reader_at_end(&lines)) {
        struct span line = span_trim_end(reader_until(&lines, '\n'), '\r');
        struct registration registration = { .line = ++number };
        if (number == 1 && span_starts_with(line, SPAN_LITERAL("\xEF\xBB\xBF")))
            line = span_slice(line, 3, line.size);
        if (span_trim(line).size == 0 || line.at[0] == '#' || line.at[0] == ';')
            continue;
        result = csv_split(line, &row, err);
        if (result == 0 && rows++ == 0 && (named = take_names(&row, place)))
            continue;
        if (result == 0)
            result = take_row(&row, place, named, &registration, err);
        if (result == 0)
            result = each(arg, &registration, err);
    }
    csv_row_free(&row);
    return result == 0 ? 0 : at_line(number, err);
}

/* --- journal --- */

static size_t find(struct span whole, struct span part)
{
    size_t at = 0;
    while (at + part.size <= whole.size && !span_equal(span_slice(whole, at, part.size), part))
        at++;
    return at + part.size <= whole.size ? at : whole.size;
}

/* The value behind ` name=`, up to a blank. */
static struct span value_of(struct span line, const char *name)
{
    size_t at = find(line, span_text(name));
    if (at == line.size)
        return SPAN_EMPTY;
    struct span value = span_slice(line, at + strlen(name), SIZE_MAX);
    return span_slice(value, 0, span_find(value, ' '));
}

static int take_journal(struct span line, struct registration *registration, struct err *err)
{
    size_t given = find(line, SPAN_LITERAL("registered person="));
    size_t retired = find(line, SPAN_LITERAL("retired host="));
    if (given == line.size && retired == line.size)
        return 0;
    line = span_slice(line, given < line.size ? given : retired, SIZE_MAX);
    registration->retired = span_starts_with(line, SPAN_LITERAL("retired"));
    registration->host = value_of(line, "host=");
    if (!registration->retired) {
        size_t open = find(line, SPAN_LITERAL("address=<"));
        struct span address = span_slice(line, open + strlen("address=<"), SIZE_MAX);
        size_t close = span_find(address, '>');
        if (open == line.size || close == address.size || close == 0)
            return err_set(err, ERR_BAD_CONTENT, "the line was cut: its address=<...> is missing");
        registration->address = span_slice(address, 0, close);
        registration->kind = value_of(line, "kind=");
        if (csv_int(value_of(line, "at_us="), &registration->at_us, NULL) == -1)
            registration->at_us = 0;
    }
    return registration->host.size > 0 ? 1 : err_set(err, ERR_BAD_CONTENT, "the line has no host=");
}

static int read_journal(struct span text, take each, void *arg, struct err *err)
{
    struct reader lines = reader_of(text);
    size_t number = 0;
    int result = 0;
    while (result >= 0 && !reader_at_end(&lines)) {
        struct registration registration = { .line = ++number };
        result = take_journal(span_trim_end(reader_until(&lines, '\n'), '\r'), &registration, err);
        if (result == 1)
            result = each(arg, &registration, err);
    }
    return result >= 0 ? 0 : at_line(number, err);
}

/* --- NAMES --- */

struct entry {
    size_t line;
    struct span nick, user, node, name, address;
};

static bool is_tag(struct span text)
{
    size_t size = 1;
    while (size < text.size && size < TAG_SIZE &&
           ((text.at[size] >= 'a' && text.at[size] <= 'z') || (text.at[size] >= 'A' && text.at[size] <= 'Z')))
        size++;
    return text.size > 2 && text.at[0] == ':' && size > 1 && size < text.size && text.at[size] == '.';
}

static int end_entry(const struct entry *entry, struct name8 node, take each, void *arg, struct err *err)
{
    struct registration registration = { .line = entry->line, .address = entry->address, .name = entry->name };
    struct name8 name;
    char host[2 * NAME8_MAX + 3];
    if (entry->address.size == 0)
        return 0; /* a nickname for a host user, or a list */
    bool proxied = entry->user.size > 0 && span_equal_nocase(entry->node, span_text(node.text));
    if (name8_parse(proxied ? entry->user : entry->nick, "nickname", &name, NULL) == 0) {
        (void)snprintf(host, sizeof host, "%s(%s)", node.text, name.text);
        registration.host = span_text(host);
    }
    return each(arg, &registration, err) == 0 ? 0 : at_line(entry->line, err);
}

static void take_tag(struct entry *entry, struct span tag, struct span value)
{
    bool has_at = span_find(value, '@') < value.size;
    if (span_equal_nocase(tag, SPAN_LITERAL("name")))
        entry->name = value;
    else if (has_at && entry->address.size == 0)
        entry->address = span_slice(value, 0, span_find(value, ' '));
    else if (span_equal_nocase(tag, SPAN_LITERAL("userid")))
        entry->user = value;
    else if (span_equal_nocase(tag, SPAN_LITERAL("node")))
        entry->node = value;
}

static int read_names(struct span text, struct name8 node, take each, void *arg, struct err *err)
{
    struct entry entry = { .line = 0 };
    size_t line = 1;
    size_t at = 0;
    int result = 0;
    while (at < text.size && result == 0) {
        struct span rest = span_slice(text, at, SIZE_MAX);
        if (text.at[at] == '\n')
            line++;
        bool first = at == 0 || text.at[at - 1] == '\n' || text.at[at - 1] == ' ' || text.at[at - 1] == '\t';
        if (first && text.at[at] == '*' && (at == 0 || text.at[at - 1] == '\n')) {
            at += span_find(rest, '\n');
            continue;
        }
        if (!first || !is_tag(rest)) {
            at++;
            continue;
        }
        struct reader reader = reader_of(rest);
        reader_skip(&reader, 1);
        struct span tag = reader_until(&reader, '.');
        size_t size = span_find(reader.rest, '\n');
        struct span value = span_slice(reader.rest, 0, size);
        for (size_t i = 1; i < value.size; i++) /* the next tag on the same line */
            if ((value.at[i - 1] == ' ' || value.at[i - 1] == '\t') && is_tag(span_slice(value, i, SIZE_MAX)))
                value = span_slice(value, 0, i);
        at += 1 + tag.size + 1 + value.size;
        value = span_trim(span_trim_end(value, '\r'));
        if (span_equal_nocase(tag, SPAN_LITERAL("nick"))) {
            result = end_entry(&entry, node, each, arg, err);
            entry = (struct entry){ .line = line, .nick = value };
        } else {
            entry.line = entry.line != 0 ? entry.line : line; /* of an entry without a nickname */
            take_tag(&entry, tag, value);
        }
    }
    return result == 0 ? end_entry(&entry, node, each, arg, err) : -1;
}

int registrations_read(struct span text, enum registrations_form form, struct name8 node, take each, void *arg,
                       struct err *err)
{
    switch (form) {
    case FORM_CSV:
        return read_csv(text, each, arg, err);
    case FORM_JOURNAL:
        return read_journal(text, each, arg, err);
    case FORM_NAMES:
        return read_names(text, node, each, arg, err);
    case FORM_SECURE:
    case FORM_UNIXNJE_ROUTES:
    case FORMS:
        break;
    }
    return err_set(err, ERR_BUG, "that form holds no registrations");
}

/* --- tables --- */

static struct span word_of(struct reader *line)
{
    line->rest = span_trim(line->rest);
    size_t size = 0;
    while (size < line->rest.size && line->rest.at[size] != ' ' && line->rest.at[size] != '\t')
        size++;
    return reader_take(line, size);
}

/* USERID NODE, and perhaps a nickname by which the user gets mail: that is for the people of the mail system to know.
 */
static int secure_line(struct span line, struct buf *to, struct err *err)
{
    struct reader words = reader_of(line);
    struct name8 user;
    struct name8 node;
    struct span first = word_of(&words);
    if (name8_parse(first, "user id", &user, err) == -1 || name8_parse(word_of(&words), "node", &node, err) == -1)
        return -1;
    struct span nickname = word_of(&words);
    buf_printf(to, "%s(%s) allow", node.text, user.text);
    if (nickname.size > 0)
        buf_printf(to, " ; had the nickname %.*s", (int)nickname.size, (const char *)nickname.at);
    buf_add_u8(to, '\n');
    return 0;
}

/* ROUTE NODE LINK CODE TRANSLATION, and the header ROUTE NODE LOCAL CODE. */
static int route_line(struct span line, struct buf *to, struct err *err)
{
    struct reader words = reader_of(line);
    struct name8 node;
    struct name8 link;
    if (!span_equal_nocase(word_of(&words), SPAN_LITERAL("ROUTE")))
        return err_set(err, ERR_BAD_CONTENT, "it does not begin with ROUTE");
    if (name8_parse(word_of(&words), "node", &node, err) == -1 ||
        name8_parse(word_of(&words), "link", &link, err) == -1)
        return -1;
    if (strcmp(link.text, "LOCAL") == 0)
        buf_printf(to, "* %s was this node itself\n", node.text);
    else
        buf_printf(to, "%s(*) %s\n", node.text, link.text);
    return 0;
}

int registrations_tables(struct span text, enum registrations_form form, struct buf *to, struct err *err)
{
    struct reader lines = reader_of(text);
    size_t number = 0;
    while (!reader_at_end(&lines)) {
        struct span line = span_trim(span_trim_end(reader_until(&lines, '\n'), '\r'));
        number++;
        if (line.size == 0 || line.at[0] == '*' || line.at[0] == '#' || line.at[0] == ';')
            continue;
        if ((form == FORM_SECURE ? secure_line(line, to, err) : route_line(line, to, err)) == -1) {
            if (err != NULL)
                err->id = ERR_BAD_CONTENT;
            return at_line(number, err);
        }
    }
    return to->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for the lines") : 0;
}
