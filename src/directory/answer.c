/* Both ends of the answer. The process that writes it talks to strangers and may die, hang or be taken over at any
 * moment, so the daemon believes nothing but a whole answer, and checks each line of that as it would a file. */
#include "directory/answer.h"

#include <inttypes.h>
#include <stdlib.h>

static const char end_word[] = "#end ";
static const char failed_word[] = "#failed ";

/* --- writing --- */

static void put_value(struct span value, struct buf *to)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] == '"')
            buf_add_u8(to, '"');
        buf_add_u8(to, value.at[i] < 0x20 || value.at[i] == 0x7F ? ' ' : value.at[i]);
    }
}

static void put_column(struct span value, struct buf *to)
{
    buf_add_u8(to, '"');
    put_value(value, to);
    buf_add_text(to, "\"");
}

/* What is to be taken of a host value: empty, where it is another system's address. */
static struct span host_of(struct span value, bool *shown_r)
{
    struct reader reader = reader_of(span_trim(value));
    *shown_r = false;
    if (span_find(reader.rest, ':') == reader.rest.size)
        return reader.rest;
    struct span type = reader_until(&reader, ':');
    *shown_r = span_equal(type, SPAN_LITERAL("PROFS"));
    return span_equal_nocase(type, SPAN_LITERAL("PROFS")) ? span_trim(reader.rest) : SPAN_EMPTY;
}

/* The host address that is marked as the one to be shown; host_count: none is. */
static size_t find_shown(const struct directory_entry *entry)
{
    bool shown = false;
    for (size_t i = 0; i < entry->host_count; i++)
        if (host_of(entry->hosts[i], &shown).size > 0 && shown)
            return i;
    return entry->host_count;
}

bool directory_entry_write(const struct directory_entry *entry, struct buf *to)
{
    struct span mail = span_trim(entry->mail);
    bool marked = false;
    size_t left = DIRECTORY_VALUE_MAX;
    if (mail.size == 0 || mail.size > DIRECTORY_VALUE_MAX)
        return false;
    put_column(mail, to);
    buf_add_u8(to, ',');
    put_column(entry->name.size <= DIRECTORY_VALUE_MAX ? span_trim(entry->name) : SPAN_EMPTY, to);
    buf_add_u8(to, ',');
    size_t shown = find_shown(entry);
    struct span first = shown < entry->host_count ? host_of(entry->hosts[shown], &marked) : SPAN_EMPTY;
    put_column(first.size <= DIRECTORY_VALUE_MAX ? first : SPAN_EMPTY, to);
    buf_add_text(to, ",\"");
    for (size_t i = 0; i < entry->host_count; i++) {
        struct span host = host_of(entry->hosts[i], &marked);
        if (i == shown || host.size == 0 || host.size + 1 > left)
            continue;
        left -= host.size + 1;
        put_value(host, to);
        buf_add_u8(to, ' ');
    }
    buf_add_text(to, "\"\n");
    return true;
}

static int by_bytes(const void *a_, const void *b_)
{
    const struct span *a = a_;
    const struct span *b = b_;
    int order = memcmp(a->at, b->at, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

void directory_values_sort(struct span *values, size_t count)
{
    if (count > 0)
        qsort(values, count, sizeof values[0], by_bytes);
}

void directory_end_write(size_t count, struct buf *to)
{
    buf_printf(to, "%s%zu\n", end_word, count);
}

void directory_failure_write(const char *reason, struct buf *to)
{
    buf_add_text(to, failed_word);
    put_value(span_text(reason), to);
    buf_add_u8(to, '\n');
}

/* --- reading --- */

static int not_whole(struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "the process that asks the directory ended without a whole answer");
}

static bool is_count(struct span digits, size_t count)
{
    size_t number = 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9' || i == 9)
            return false;
        number = number * 10 + (size_t)(digits.at[i] - '0');
    }
    return digits.size > 0 && number == count;
}

int directory_answer_parse(struct span answer, struct span *rows_r, size_t *count_r, struct err *err)
{
    *rows_r = SPAN_EMPTY;
    *count_r = 0;
    if (answer.size == 0 || answer.at[answer.size - 1] != '\n')
        return not_whole(err);
    size_t start = answer.size - 1;
    while (start > 0 && answer.at[start - 1] != '\n')
        start--;
    struct span last = span_slice(answer, start, answer.size - 1 - start);
    if (span_starts_with(last, SPAN_LITERAL("#failed "))) {
        char reason[ERR_TEXT_SIZE];
        span_to_text(span_slice(last, sizeof failed_word - 1, last.size), reason, sizeof reason);
        return err_set(err, ERR_CONNECT, "%s", reason);
    }
    for (size_t i = 0; i < start; i++)
        *count_r += answer.at[i] == '\n';
    if (!span_starts_with(last, SPAN_LITERAL("#end ")) ||
        !is_count(span_slice(last, sizeof end_word - 1, last.size), *count_r)) {
        *count_r = 0;
        return not_whole(err);
    }
    *rows_r = span_slice(answer, 0, start);
    return 0;
}
