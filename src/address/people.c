/* people.csv. A row that is wrong refuses the file: half a directory would unlist the other half of the people. */
#include "address/people.h"

#include "address/mailkey.h"
#include "address/tabletext.h"
#include "address/userid.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "store/person.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char file_name[] = "people.csv";

struct csv {
    struct reader reader;
    unsigned line;     /* where the reader is */
    unsigned row_line; /* where the row began */
    struct buf fields[PEOPLE_COLUMNS_MAX];
    size_t count;
};

static int wrong(const struct csv *csv, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int wrong(const struct csv *csv, struct err *err, const char *format, ...)
{
    char text[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return err_set(err, ERR_CONFIG, "%s line %u: %s", file_name, csv->row_line, text);
}

/* --- CSV --- */

static int peek(const struct csv *csv)
{
    return csv->reader.rest.size > 0 ? csv->reader.rest.at[0] : -1;
}

static void skip_line_end(struct csv *csv)
{
    if (peek(csv) == '\r')
        reader_skip(&csv->reader, 1);
    if (peek(csv) == '\n')
        reader_skip(&csv->reader, 1);
    csv->line++;
}

static bool at_line_end(const struct csv *csv)
{
    struct span rest = csv->reader.rest;
    return rest.size == 0 || rest.at[0] == '\n' || (rest.at[0] == '\r' && (rest.size == 1 || rest.at[1] == '\n'));
}

static int put(struct csv *csv, struct buf *field, uint8_t byte, struct err *err)
{
    if (field->size == PEOPLE_FIELD_MAX)
        return wrong(csv, err, "column %zu is longer than %d octets", csv->count, PEOPLE_FIELD_MAX);
    buf_add_u8(field, byte);
    return field->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for %s", file_name) : 0;
}

/* After the opening quote, to after the closing one. */
static int take_quoted(struct csv *csv, struct buf *field, struct err *err)
{
    for (;;) {
        if (reader_at_end(&csv->reader))
            return wrong(csv, err, "the quote of column %zu is not closed", csv->count);
        uint8_t byte = reader_u8(&csv->reader);
        if (byte == '\n')
            csv->line++;
        if (byte == '"') {
            if (peek(csv) != '"')
                return 0;
            reader_skip(&csv->reader, 1);
        }
        if (put(csv, field, byte, err) == -1)
            return -1;
    }
}

static int take_field(struct csv *csv, struct err *err)
{
    if (csv->count == PEOPLE_COLUMNS_MAX)
        return wrong(csv, err, "more than %d columns", PEOPLE_COLUMNS_MAX);
    struct buf *field = &csv->fields[csv->count++];
    buf_clear(field);
    if (peek(csv) == '"') {
        reader_skip(&csv->reader, 1);
        if (take_quoted(csv, field, err) == -1)
            return -1;
        if (!at_line_end(csv) && peek(csv) != ',')
            return wrong(csv, err, "column %zu goes on after its closing quote", csv->count);
        return 0;
    }
    while (!at_line_end(csv) && peek(csv) != ',') {
        uint8_t byte = reader_u8(&csv->reader);
        if (byte == '"')
            return wrong(csv, err, "column %zu has a quote in its middle; put the whole column in quotes and double it",
                         csv->count);
        if (put(csv, field, byte, err) == -1)
            return -1;
    }
    return 0;
}

/* The next row that holds something: 1; the end: 0. */
static int csv_next(struct csv *csv, struct err *err)
{
    while (!reader_at_end(&csv->reader)) {
        csv->row_line = csv->line;
        csv->count = 0;
        if (peek(csv) == '#' || peek(csv) == ';') {
            while (!at_line_end(csv))
                reader_skip(&csv->reader, 1);
            skip_line_end(csv);
            continue;
        }
        for (;;) {
            if (take_field(csv, err) == -1)
                return -1;
            if (peek(csv) != ',')
                break;
            reader_skip(&csv->reader, 1);
        }
        skip_line_end(csv);
        if (csv->count > 1 || span_trim(buf_span(&csv->fields[0])).size > 0)
            return 1;
    }
    return 0;
}

/* --- rows --- */

struct reading {
    struct csv csv;
    const struct people_site *site;
    struct people *people;
    size_t row_room, host_room;
};

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory for %s", file_name);
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
    return name8_equal(node, site->node) || (listed != NULL && listed->local);
}

static int take_host(struct reading *reading, struct span text, struct people_row *row, struct err *err)
{
    struct csv *csv = &reading->csv;
    struct people *people = reading->people;
    struct host_address host = { .node = reading->site->node };
    struct err why = ERR_CLEAR;
    bool bare = span_find(text, '(') == text.size;
    if ((bare ? name8_parse(text, "user id", &host.user, &why) : host_address_parse(text, &host, &why)) == -1)
        return wrong(csv, err, "%s", why.text);
    if (!is_our_node(reading->site, host.node))
        return wrong(csv, err, "%s is not at a node of this connector; its people are at %s",
                     host_address_text(host).text, reading->site->node.text);
    if (userid_is_reserved(host.user))
        return wrong(csv, err, "%s is a reserved name; choose another", host.user.text);
    if (row->host_count == PEOPLE_HOSTS_MAX)
        return wrong(csv, err, "more than %d host addresses", PEOPLE_HOSTS_MAX);
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

static int check_name(const struct csv *csv, struct span name, struct err *err)
{
    if (name.size >= PERSON_NAME_SIZE)
        return wrong(csv, err, "the name is longer than %d octets", PERSON_NAME_SIZE - 1);
    while (name.size > 0) {
        uint32_t code = 0;
        size_t size = utf8_first(name, &code);
        if (size == 0)
            return wrong(csv, err, "the name is no UTF-8");
        if (utf8_is_control(code))
            return wrong(csv, err, "the name has a control character or a line end");
        name = span_slice(name, size, name.size);
    }
    return 0;
}

static int take_row(struct reading *reading, struct err *err)
{
    struct csv *csv = &reading->csv;
    struct people *people = reading->people;
    struct people_row row = { .line = csv->row_line, .hosts = people->host_count };
    struct span address = span_trim(buf_span(&csv->fields[0]));
    struct span name = csv->count > 1 ? span_trim(buf_span(&csv->fields[1])) : SPAN_EMPTY;
    struct mailkey key;
    struct err why = ERR_CLEAR;
    if (mailkey_of(address, &key, &why) == -1 && why.id == ERR_NO_MEMORY)
        return no_memory(err);
    if (why.id != ERR_NONE) {
        char shown[64];
        span_to_text(address, shown, sizeof shown);
        return wrong(csv, err, "\"%s\": %s", shown, why.text);
    }
    if (!is_local(reading->site, mailkey_domain(&key)))
        return wrong(csv, err, "%.100s is in none of the local-domains", key.text);
    if (check_name(csv, name, err) == -1)
        return -1;
    for (size_t i = 2; i < csv->count; i++)
        if (take_hosts(reading, buf_span(&csv->fields[i]), &row, err) == -1)
            return -1;
    if (people->count == PEOPLE_MAX)
        return wrong(csv, err, "more than %d people", PEOPLE_MAX);
    if (people->count == reading->row_room) {
        size_t room = reading->row_room * 2 + 64;
        struct people_row *rows = mem_realloc(people->rows, room * sizeof *rows);
        if (rows == NULL)
            return no_memory(err);
        people->rows = rows;
        reading->row_room = room;
    }
    row.address = people->texts.size;
    buf_add(&people->texts, key.text, strlen(key.text) + 1);
    row.name = people->texts.size;
    buf_add_span(&people->texts, name);
    buf_add_u8(&people->texts, 0);
    people->rows[people->count++] = row;
    return people->texts.failed ? no_memory(err) : 0;
}

/* --- twice --- */

static int by_address(const void *a, const void *b, void *people)
{
    const struct people_row *const *first = a;
    const struct people_row *const *second = b;
    return strcmp(people_address(people, *first), people_address(people, *second));
}

static int sort_people(struct people *people, struct err *err)
{
    people->sorted = mem_zero((people->count + 1) * sizeof people->sorted[0]);
    if (people->sorted == NULL)
        return no_memory(err);
    for (size_t i = 0; i < people->count; i++)
        people->sorted[i] = &people->rows[i];
    qsort_r(people->sorted, people->count, sizeof people->sorted[0], by_address, people);
    for (size_t i = 1; i < people->count; i++) {
        unsigned a = people->sorted[i - 1]->line;
        unsigned b = people->sorted[i]->line;
        const char *address = people_address(people, people->sorted[i]);
        if (strcmp(people_address(people, people->sorted[i - 1]), address) == 0)
            return err_set(err, ERR_CONFIG, "%s line %u: %.100s stands on line %u already", file_name, a > b ? a : b,
                           address, a > b ? b : a);
    }
    return 0;
}

struct host_line {
    struct host_address host;
    unsigned line;
};

static int by_host(const void *a_, const void *b_)
{
    const struct host_line *a = a_;
    const struct host_line *b = b_;
    int node = strcmp(a->host.node.text, b->host.node.text);
    int user = node != 0 ? node : strcmp(a->host.user.text, b->host.user.text);
    return user != 0 ? user : (a->line > b->line) - (a->line < b->line);
}

static int check_hosts(const struct people *people, struct err *err)
{
    struct host_line *all = mem_zero((people->host_count + 1) * sizeof all[0]);
    size_t count = 0;
    int result = 0;
    if (all == NULL)
        return no_memory(err);
    for (size_t i = 0; i < people->count; i++)
        for (unsigned n = 0; n < people->rows[i].host_count; n++)
            all[count++] =
                (struct host_line){ .host = people->hosts[people->rows[i].hosts + n], .line = people->rows[i].line };
    qsort(all, count, sizeof all[0], by_host);
    for (size_t i = 1; i < count && result == 0; i++)
        if (name8_equal(all[i].host.node, all[i - 1].host.node) && name8_equal(all[i].host.user, all[i - 1].host.user))
            result = err_set(err, ERR_CONFIG, "%s line %u: %s stands on line %u already; a host address has one owner",
                             file_name, all[i].line, host_address_text(all[i].host).text, all[i - 1].line);
    mem_free(all);
    return result;
}

/* --- the whole --- */

static bool is_header(const struct csv *csv)
{
    return span_equal_nocase(span_trim(buf_span(&csv->fields[0])), SPAN_LITERAL("address"));
}

static int read_rows(struct reading *reading, struct err *err)
{
    int more = 0;
    bool first = true;
    while ((more = csv_next(&reading->csv, err)) == 1) {
        bool header = first && is_header(&reading->csv);
        first = false;
        if (!header && take_row(reading, err) == -1)
            return -1;
    }
    return more;
}

int people_parse(struct span text, const struct people_site *site, struct people *people_r, struct err *err)
{
    struct reading reading = { .site = site, .people = people_r };
    *people_r = (struct people){ .count = 0 };
    if (span_starts_with(text, SPAN_LITERAL("\xEF\xBB\xBF"))) /* a byte order mark, of a spreadsheet */
        text = span_slice(text, 3, text.size);
    reading.csv.reader = reader_of(text);
    reading.csv.line = 1;
    int result = read_rows(&reading, err);
    if (result == 0)
        result = sort_people(people_r, err);
    if (result == 0)
        result = check_hosts(people_r, err);
    for (size_t i = 0; i < PEOPLE_COLUMNS_MAX; i++)
        buf_free(&reading.csv.fields[i]);
    if (result == -1)
        people_free(people_r);
    return result;
}

void people_free(struct people *people)
{
    buf_free(&people->texts);
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
