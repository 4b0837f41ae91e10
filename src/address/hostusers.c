/* Hostusers.csv. Half a list would refuse mail to the other half, so a line that is wrong refuses the table. */
#include "address/hostusers.h"

#include "address/csvrows.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory for Hostusers.csv");
}

static bool is_name(struct span name)
{
    while (name.size > 0) {
        uint32_t code = 0;
        size_t size = utf8_first(name, &code);
        if (size == 0 || utf8_is_control(code))
            return false;
        name = span_slice(name, size, name.size);
    }
    return true;
}

static int take_row(const struct csvrows *csv, struct hostusers *users, size_t *room, struct err *err)
{
    struct hostuser user = { .name = users->texts.size, .line = csv->row_line };
    struct span name = csvrows_field(csv, 1);
    struct err why = ERR_CLEAR;
    if (host_address_parse(csvrows_field(csv, 0), &user.host, &why) == -1)
        return csvrows_wrong(csv, err, "%s", why.text);
    if (csv->count > 2)
        return csvrows_wrong(csv, err, "there are two columns, NODE(USER) and the full name");
    if (name.size > HOSTUSERS_NAME_MAX || !is_name(name))
        return csvrows_wrong(csv, err, "the name is longer than %d octets, no UTF-8, or has control characters",
                             HOSTUSERS_NAME_MAX);
    if (users->count == HOSTUSERS_MAX)
        return csvrows_wrong(csv, err, "more than %d users", HOSTUSERS_MAX);
    if (users->count == *room) {
        struct hostuser *at = mem_realloc(users->at, (*room * 2 + 64) * sizeof *at);
        if (at == NULL)
            return no_memory(err);
        users->at = at;
        *room = *room * 2 + 64;
    }
    buf_add_span(&users->texts, name);
    buf_add_u8(&users->texts, 0);
    users->at[users->count++] = user;
    return users->texts.failed ? no_memory(err) : 0;
}

static int by_host(const void *a_, const void *b_)
{
    const struct hostuser *a = a_;
    const struct hostuser *b = b_;
    int node = strcmp(a->host.node.text, b->host.node.text);
    return node != 0 ? node : strcmp(a->host.user.text, b->host.user.text);
}

static int sort(struct hostusers *users, struct err *err)
{
    if (users->count > 0)
        qsort(users->at, users->count, sizeof users->at[0], by_host);
    for (size_t i = 1; i < users->count; i++) {
        unsigned a = users->at[i - 1].line;
        unsigned b = users->at[i].line;
        if (by_host(&users->at[i - 1], &users->at[i]) == 0)
            return err_set(err, ERR_CONFIG, "Hostusers.csv line %u: %s stands on line %u already", a > b ? a : b,
                           host_address_text(users->at[i].host).text, a > b ? b : a);
    }
    return 0;
}

int hostusers_parse(struct span text, struct hostusers *users_r, struct err *err)
{
    struct csvrows csv = csvrows_of("Hostusers.csv", text);
    size_t room = 0;
    bool first = true;
    int more;
    *users_r = (struct hostusers){ .count = 0 };
    while ((more = csvrows_next(&csv, err)) == 1) {
        bool header = first && span_equal_nocase(csvrows_field(&csv, 0), SPAN_LITERAL("host address"));
        first = false;
        if (!header && (more = take_row(&csv, users_r, &room, err)) == -1)
            break;
    }
    csvrows_free(&csv);
    if (more == 0)
        more = sort(users_r, err);
    if (more == -1)
        hostusers_free(users_r);
    return more;
}

void hostusers_free(struct hostusers *users)
{
    mem_free(users->at);
    buf_free(&users->texts);
    *users = (struct hostusers){ .count = 0 };
}

const char *hostusers_find(const struct hostusers *users, struct host_address host)
{
    struct hostuser wanted = { .host = host };
    const struct hostuser *found =
        users->count > 0 ? bsearch(&wanted, users->at, users->count, sizeof wanted, by_host) : NULL;
    return found != NULL ? (const char *)span_slice(buf_span(&users->texts), found->name, users->texts.size).at : NULL;
}
