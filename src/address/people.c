/* people.csv, and what a directory gives. A row that is wrong refuses the file, which somebody can mend at once: half
 * of it would unlist the other half of the people. Directories are other people's, and of a hundred thousand entries
 * one is always wrong, so there a wrong row is passed over and said. */
#include "address/people.h"

#include "address/csvrows.h"
#include "address/mailkey.h"
#include "address/tabletext.h"
#include "address/userid.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "store/person.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- rows --- */

static const char usual_name[] = "people.csv";

struct reading {
    struct csvrows csv;
    char who[64]; /* the row's address, as far as it goes */
    const struct people_site *site;
    struct people *people;
    size_t row_room, host_room;
};

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory for the people");
}

/* Something of this row is wrong. -1: the whole is refused; 0: forgiven, and it goes on without that. */
static int wrong(struct reading *reading, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int wrong(struct reading *reading, struct err *err, const char *format, ...)
{
    char text[ERR_TEXT_SIZE];
    struct people *people = reading->people;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!reading->site->forgiving)
        return csvrows_wrong(&reading->csv, err, "%s", text);
    if (people->problem_count++ < PEOPLE_PROBLEMS_MAX)
        buf_printf(&people->problems, "%s: %s\n", reading->who, text);
    return people->problems.failed ? no_memory(err) : 0;
}

static bool is_local(const struct people_site *site, struct span domain)
{
    struct reader all = reader_of(span_text(site->local_domains));
    if (site->local_domains == NULL)
        return true;
    while (!reader_at_end(&all))
        if (span_equal(reader_until(&all, ' '), domain))
            return true;
    return false;
}

static bool is_our_node(const struct people_site *site, struct name8 node)
{
    const struct ovdnode *listed = site->ovd != NULL ? ovdfile_find(site->ovd, node) : NULL;
    return name8_equal(node, site->node) || conf_nodes_has(site->also_nodes, node) || (listed != NULL && listed->local);
}

static int keep_host(struct reading *reading, struct host_address host, struct people_row *row, struct err *err)
{
    struct people *people = reading->people;
    if (people->host_count == reading->host_room) {
        size_t room = reading->host_room * 2 + 64;
        struct host_address *hosts = mem_realloc(people->hosts, room * sizeof *hosts);
        if (hosts == NULL)
            return no_memory(err);
        people->hosts = hosts;
        reading->host_room = room;
    }
    people->hosts[people->host_count++] = host;
    row->host_count++;
    return 0;
}

static int take_host(struct reading *reading, struct span text, struct people_row *row, struct err *err)
{
    struct host_address host = { .node = reading->site->node };
    struct err why = ERR_CLEAR;
    const struct people *people = reading->people;
    bool bare = span_find(text, '(') == text.size;
    bool by_rule = text.size > 2 && text.at[text.size - 2] == '(' && text.at[text.size - 1] == ')';
    if ((by_rule ? name8_parse(span_slice(text, 0, text.size - 2), "node", &host.node, &why)
         : bare  ? name8_parse(text, "user id", &host.user, &why)
                 : host_address_parse(text, &host, &why)) == -1)
        return wrong(reading, err, "%s", why.text);
    if (!is_our_node(reading->site, host.node))
        return wrong(reading, err, "%s is not at a node of this connector; its people are at %s",
                     host_address_text(host).text, reading->site->node.text);
    for (unsigned i = 0; by_rule && i < row->host_count; i++)
        if (name8_empty(people->hosts[row->hosts + i].user) &&
            name8_equal(people->hosts[row->hosts + i].node, host.node))
            return wrong(reading, err, "%s() stands twice; a rule gives one address", host.node.text);
    if (userid_is_reserved(host.user))
        return wrong(reading, err, "%s is a reserved name; choose another", host.user.text);
    if (row->host_count == PEOPLE_HOSTS_MAX)
        return wrong(reading, err, "more than %d host addresses", PEOPLE_HOSTS_MAX);
    return keep_host(reading, host, row, err);
}

static bool separates(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == ';';
}

static int take_hosts(struct reading *reading, struct span text, struct people_row *row, struct err *err)
{
    while (text.size > 0) {
        size_t size = 0;
        while (size < text.size && !separates(text.at[size]))
            size++;
        if (size > 0 && take_host(reading, span_slice(text, 0, size), row, err) == -1)
            return -1;
        text = span_slice(text, size + 1, text.size);
    }
    return 0;
}

/* NULL: a name that can be shown. */
static const char *name_wrong(struct span name)
{
    if (name.size >= PERSON_NAME_SIZE)
        return "the name is longer than 255 octets";
    while (name.size > 0) {
        uint32_t code = 0;
        size_t size = utf8_first(name, &code);
        if (size == 0)
            return "the name is no UTF-8";
        if (utf8_is_control(code))
            return "the name has a control character or a line end";
        name = span_slice(name, size, name.size);
    }
    return NULL;
}
_Static_assert(PERSON_NAME_SIZE == 256, "name_wrong names the limit");

static int keep_row(struct reading *reading, const struct mailkey *key, struct span name, struct people_row *row,
                    struct err *err)
{
    struct people *people = reading->people;
    if (people->count == PEOPLE_MAX) /* also of a directory: what is beyond would be taken for gone */
        return csvrows_wrong(&reading->csv, err, "more than %d people", PEOPLE_MAX);
    if (people->count == reading->row_room) {
        size_t room = reading->row_room * 2 + 64;
        struct people_row *rows = mem_realloc(people->rows, room * sizeof *rows);
        if (rows == NULL)
            return no_memory(err);
        people->rows = rows;
        reading->row_room = room;
    }
    row->address = people->texts.size;
    buf_add(&people->texts, key->text, strlen(key->text) + 1);
    row->name = people->texts.size;
    buf_add_span(&people->texts, name);
    buf_add_u8(&people->texts, 0);
    people->rows[people->count++] = *row;
    return people->texts.failed ? no_memory(err) : 0;
}

static int take_row(struct reading *reading, struct err *err)
{
    struct csvrows *csv = &reading->csv;
    struct people_row row = { .line = csv->row_line, .hosts = reading->people->host_count };
    struct span name = csvrows_field(csv, 1);
    struct mailkey key;
    struct err why = ERR_CLEAR;
    span_to_text(csvrows_field(csv, 0), reading->who, sizeof reading->who);
    if (mailkey_of(csvrows_field(csv, 0), &key, &why) == -1 && why.id == ERR_NO_MEMORY)
        return no_memory(err);
    if (why.id != ERR_NONE)
        return wrong(reading, err, "\"%s\": %s", reading->who, why.text);
    if (!is_local(reading->site, mailkey_domain(&key)))
        return wrong(reading, err, "%.100s is in none of the local-domains", key.text);
    const char *ugly = name_wrong(name);
    if (ugly != NULL && wrong(reading, err, "%s", ugly) == -1)
        return -1;
    for (size_t i = 2; i < csv->count; i++) {
        if (take_hosts(reading, csvrows_field(csv, i), &row, err) == -1)
            return -1;
        row.first_is_shown |= row.host_count > 0 && (i == 2 || !reading->site->forgiving);
    }
    return keep_row(reading, &key, ugly == NULL ? name : SPAN_EMPTY, &row, err);
}

/* --- twice --- */

/* The row `second` has something that the row `first`, of an earlier line, has already. */
static int twice(struct reading *reading, const struct people_row *first, const struct people_row *second,
                 const char *what, const char *remedy, struct err *err)
{
    reading->csv.row_line = second->line;
    span_to_text(span_text(people_address(reading->people, second)), reading->who, sizeof reading->who);
    if (reading->site->forgiving)
        return wrong(reading, err, "%.100s stands twice%s", what, remedy);
    return wrong(reading, err, "%.100s stands on line %u already%s", what, first->line, remedy);
}

static int by_address(const void *a, const void *b, void *people)
{
    const struct people_row *const *first = a;
    const struct people_row *const *second = b;
    int order = strcmp(people_address(people, *first), people_address(people, *second));
    return order != 0 ? order : ((*first)->line > (*second)->line) - ((*first)->line < (*second)->line);
}

static int sort_rows(struct people *people, struct err *err)
{
    mem_free(people->sorted);
    people->sorted = mem_zero((people->count + 1) * sizeof people->sorted[0]);
    if (people->sorted == NULL)
        return no_memory(err);
    for (size_t i = 0; i < people->count; i++)
        people->sorted[i] = &people->rows[i];
    qsort_r(people->sorted, people->count, sizeof people->sorted[0], by_address, people);
    return 0;
}

static void drop_marked(struct people *people)
{
    size_t kept = 0;
    for (size_t i = 0; i < people->count; i++)
        if (!people->rows[i].dropped)
            people->rows[kept++] = people->rows[i];
    people->count = kept;
}

static int sort_people(struct reading *reading, struct err *err)
{
    struct people *people = reading->people;
    bool dropped = false;
    if (sort_rows(people, err) == -1)
        return -1;
    for (size_t i = 1; i < people->count; i++) {
        struct people_row *row = people->sorted[i];
        const char *address = people_address(people, row);
        if (strcmp(people_address(people, people->sorted[i - 1]), address) != 0)
            continue;
        if (twice(reading, people->sorted[i - 1], row, address, "", err) == -1)
            return -1;
        row->dropped = dropped = true;
    }
    if (!dropped)
        return 0;
    drop_marked(people);
    return sort_rows(people, err);
}

struct host_line {
    struct host_address host;
    struct people_row *row;
};

static int by_host(const void *a_, const void *b_)
{
    const struct host_line *a = a_;
    const struct host_line *b = b_;
    int node = strcmp(a->host.node.text, b->host.node.text);
    int user = node != 0 ? node : strcmp(a->host.user.text, b->host.user.text);
    return user != 0 ? user : (a->row->line > b->row->line) - (a->row->line < b->row->line);
}

/* Takes one address away from a row. */
static void drop_host(struct people *people, struct people_row *row, struct host_address host)
{
    unsigned n = 0;
    while (n < row->host_count && (!name8_equal(people->hosts[row->hosts + n].user, host.user) ||
                                   !name8_equal(people->hosts[row->hosts + n].node, host.node)))
        n++;
    if (n == row->host_count)
        return;
    if (n == 0)
        row->first_is_shown = false;
    for (row->host_count--; n < row->host_count; n++)
        people->hosts[row->hosts + n] = people->hosts[row->hosts + n + 1];
}

static int check_hosts(struct reading *reading, struct err *err)
{
    struct people *people = reading->people;
    struct host_line *all = mem_zero((people->host_count + 1) * sizeof all[0]);
    size_t count = 0;
    int result = 0;
    if (all == NULL)
        return no_memory(err);
    for (size_t i = 0; i < people->count; i++)
        for (unsigned n = 0; n < people->rows[i].host_count; n++)
            if (!name8_empty(people->hosts[people->rows[i].hosts + n].user))
                all[count++] =
                    (struct host_line){ .host = people->hosts[people->rows[i].hosts + n], .row = &people->rows[i] };
    qsort(all, count, sizeof all[0], by_host);
    for (size_t i = 1; i < count && result == 0; i++)
        if (name8_equal(all[i].host.node, all[i - 1].host.node) &&
            name8_equal(all[i].host.user, all[i - 1].host.user)) {
            result = twice(reading, all[i - 1].row, all[i].row, host_address_text(all[i].host).text,
                           "; a host address has one owner", err);
            drop_host(people, all[i].row, all[i].host);
        }
    mem_free(all);
    return result;
}

/* --- the whole --- */

static int read_rows(struct reading *reading, struct err *err)
{
    int more = 0;
    bool first = true;
    while ((more = csvrows_next(&reading->csv, err)) == 1) {
        bool header = first && span_equal_nocase(csvrows_field(&reading->csv, 0), SPAN_LITERAL("address"));
        first = false;
        if (!header && take_row(reading, err) == -1)
            return -1;
    }
    return more;
}

int people_parse(struct span text, const struct people_site *site, struct people *people_r, struct err *err)
{
    struct reading reading = { .csv = csvrows_of(site->name != NULL ? site->name : usual_name, text),
                               .site = site,
                               .people = people_r };
    *people_r = (struct people){ .count = 0 };
    int result = read_rows(&reading, err);
    if (result == 0)
        result = sort_people(&reading, err);
    if (result == 0)
        result = check_hosts(&reading, err);
    csvrows_free(&reading.csv);
    if (result == -1)
        people_free(people_r);
    return result;
}

void people_free(struct people *people)
{
    buf_free(&people->texts);
    buf_free(&people->problems);
    mem_free(people->rows);
    mem_free(people->hosts);
    mem_free(people->sorted);
    *people = (struct people){ .count = 0 };
}

static const char *text_at(const struct people *people, size_t offset)
{
    return (const char *)span_slice(buf_span(&people->texts), offset, people->texts.size).at;
}

const char *people_address(const struct people *people, const struct people_row *row)
{
    return text_at(people, row->address);
}

const char *people_name(const struct people *people, const struct people_row *row)
{
    return text_at(people, row->name);
}

const struct people_row *people_find(const struct people *people, const char *address)
{
    size_t low = 0;
    size_t high = people->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(people_address(people, people->sorted[middle]), address);
        if (order == 0)
            return people->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
