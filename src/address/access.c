/* Rights, sorted once so that the first that fits is the right one. A word that is not understood makes the whole file
 * wrong: a limit that is silently left out would open a door. */
#include "address/access.h"

#include "address/tabletext.h"
#include "base/mem.h"

#include <stdlib.h>

static int take_number(struct span text, unsigned *number_r, struct err *err)
{
    unsigned number = 0;
    for (size_t i = 0; i < text.size && number <= ACCESS_NUMBER_MAX; i++)
        number = text.at[i] >= '0' && text.at[i] <= '9' ? number * 10 + (unsigned)(text.at[i] - '0')
                                                        : (unsigned)ACCESS_NUMBER_MAX + 1;
    if (text.size == 0 || number > ACCESS_NUMBER_MAX)
        return err_set(err, ERR_CONFIG, "what follows the = is no number from 0 to %d", ACCESS_NUMBER_MAX);
    *number_r = number;
    return 0;
}

static int take_option(struct span word, struct access_right *right, struct err *err)
{
    struct reader reader = reader_of(word);
    struct span name = reader_until(&reader, '=');
    struct span value = reader.rest;
    if (span_equal_nocase(name, SPAN_LITERAL("letters")))
        return take_number(value, &right->letters, err);
    if (span_equal_nocase(name, SPAN_LITERAL("register")))
        return take_number(value, &right->registrations, err);
    if (span_equal_nocase(name, SPAN_LITERAL("in-body")) &&
        (span_equal_nocase(value, SPAN_LITERAL("yes")) || span_equal_nocase(value, SPAN_LITERAL("no")))) {
        right->in_body = span_equal_nocase(value, SPAN_LITERAL("yes"));
        return 0;
    }
    char shown[40];
    span_to_text(word, shown, sizeof shown);
    return err_set(err, ERR_CONFIG, "\"%s\" is none of letters=N, register=N and in-body=yes or no", shown);
}

static int take_line(const struct tabletext *table, struct access_right *right_r, struct err *err)
{
    *right_r = (struct access_right){ .line = table->line, .registrations = ACCESS_REGISTRATIONS };
    right_r->allow = table->count > 1 && span_equal_nocase(table->words[1], SPAN_LITERAL("allow"));
    if (table->count < 2 || (!right_r->allow && !span_equal_nocase(table->words[1], SPAN_LITERAL("deny"))))
        return err_set(err, ERR_CONFIG, "NODE(USER) and allow or deny are needed, for example MAPLEC1(*) allow");
    if (!right_r->allow && table->count > 2)
        return err_set(err, ERR_CONFIG, "nothing can follow deny");
    if (!right_r->allow)
        right_r->registrations = 0;
    for (size_t i = 2; i < table->count; i++)
        if (take_option(table->words[i], right_r, err) == -1)
            return -1;
    return route_pattern_parse(table->words[0], &right_r->pattern, err);
}

static int better_first(const void *a_, const void *b_)
{
    const struct access_right *a = a_;
    const struct access_right *b = b_;
    if (a->pattern.specific != b->pattern.specific)
        return a->pattern.specific > b->pattern.specific ? -1 : 1;
    return a->line < b->line ? -1 : 1;
}

static int add(struct access *access, size_t *room, const struct access_right *right, struct err *err)
{
    if (access->count == ACCESS_LINES_MAX)
        return err_set(err, ERR_CONFIG, "more than %d lines", ACCESS_LINES_MAX);
    if (access->count == *room) {
        struct access_right *at = mem_realloc(access->at, (*room * 2 + 16) * sizeof *at);
        if (at == NULL)
            return err_set(err, ERR_NO_MEMORY, "out of memory for Access.tbl");
        access->at = at;
        *room = *room * 2 + 16;
    }
    access->at[access->count++] = *right;
    return 0;
}

int access_parse(struct span text, struct access *access_r, struct err *err)
{
    struct tabletext table = tabletext_of("Access.tbl", text);
    struct err failure = ERR_CLEAR;
    size_t room = 0;
    int more = 0;
    table.patterns = true;
    *access_r = (struct access){ .listed = true };
    while ((more = tabletext_next(&table, &failure)) == 1) {
        struct access_right right;
        if (take_line(&table, &right, &failure) == -1 || add(access_r, &room, &right, &failure) == -1) {
            more = tabletext_context(&table, &failure);
            break;
        }
    }
    if (more == 0 && access_r->count > 0)
        qsort(access_r->at, access_r->count, sizeof access_r->at[0], better_first);
    if (more == -1) {
        access_free(access_r);
        if (err != NULL)
            *err = failure;
    }
    return more;
}

void access_free(struct access *access)
{
    mem_free(access->at);
    *access = (struct access){ .count = 0 };
}

struct access_right access_of(const struct access *access, struct host_address user)
{
    for (size_t i = 0; i < access->count; i++)
        if (route_pattern_fits(&access->at[i].pattern, user))
            return access->at[i];
    bool open = !access->listed;
    return (struct access_right){ .allow = open, .in_body = open, .registrations = open ? ACCESS_REGISTRATIONS : 0 };
}
