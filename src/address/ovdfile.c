/* Ovdfile.dat. Who is listed here may send to the Internet, so a line that cannot be understood refuses the table
 * instead of being passed over. */
#include "address/ovdfile.h"

#include "address/tabletext.h"
#include "base/mem.h"
#include "codec/ebcdic.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOCATION_SIZE = 3, LRECL_LEAST = 80, LRECL_MOST = 32760 };

const char *host_system_name(enum host_system system)
{
    static const char *const names[] = { "cms", "profs", "ovvm", "tso", "nje38", "cms370", "mailer" };
    return (unsigned)system < SYSTEMS ? names[system] : "";
}

static int take_code_page(const struct tabletext *table, struct span value, struct ovdnode *node, struct err *err)
{
    char shown[64];
    span_to_text(value, shown, sizeof shown);
    if (value.size >= OVDFILE_PAGE_SIZE || ebcdic_page_find(value) == NULL)
        return tabletext_wrong(table, err, "code page %s is not known; write for example code-page=037", shown);
    span_to_text(value, node->code_page, sizeof node->code_page);
    return 0;
}

static int take_lrecl(const struct tabletext *table, struct span value, struct ovdnode *node, struct err *err)
{
    unsigned number = 0;
    for (size_t i = 0; i < value.size && number <= LRECL_MOST; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return tabletext_wrong(table, err, "max-lrecl is no number");
        number = number * 10 + (unsigned)(value.at[i] - '0');
    }
    if (number < LRECL_LEAST || number > LRECL_MOST)
        return tabletext_wrong(table, err, "max-lrecl must be from %d to %d", LRECL_LEAST, LRECL_MOST);
    node->max_lrecl = number;
    return 0;
}

static int take_system(const struct tabletext *table, struct span value, struct ovdnode *node, struct err *err)
{
    char shown[64];
    for (int i = 0; i < SYSTEMS; i++) {
        if (span_equal_nocase(value, span_text(host_system_name((enum host_system)i)))) {
            node->system = (enum host_system)i;
            return 0;
        }
    }
    span_to_text(value, shown, sizeof shown);
    return tabletext_wrong(table, err, "host-kind %s is none of cms, profs, ovvm, tso, nje38, cms370, mailer", shown);
}

static int take_users(const struct tabletext *table, struct span value, struct ovdnode *node, struct err *err)
{
    node->users_listed = span_equal_nocase(value, SPAN_LITERAL("listed"));
    if (!node->users_listed && !span_equal_nocase(value, SPAN_LITERAL("any")))
        return tabletext_wrong(table, err, "users= is listed (those of Hostusers.csv) or any");
    return 0;
}

static int take_column(const struct tabletext *table, struct span word, struct ovdnode *node, unsigned *given,
                       struct err *err)
{
    static const struct {
        const char *name;
        int (*take)(const struct tabletext *table, struct span value, struct ovdnode *node, struct err *err);
    } columns[] = { { "host-kind", take_system },
                    { "code-page", take_code_page },
                    { "max-lrecl", take_lrecl },
                    { "users", take_users } };
    struct reader reader = reader_of(word);
    struct span name = reader_until(&reader, '=');
    char shown[64];
    span_to_text(word, shown, sizeof shown);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        if (!span_equal_nocase(name, span_text(columns[i].name)))
            continue;
        if ((*given & 1U << i) != 0)
            return tabletext_wrong(table, err, "%s is given twice", columns[i].name);
        *given |= 1U << i;
        if (node->local)
            return tabletext_wrong(table, err, "%s has no meaning for a LOCAL node", shown);
        return columns[i].take(table, reader.rest, node, err);
    }
    return tabletext_wrong(table, err, "\"%s\" is none of host-kind=, code-page=, max-lrecl= and users=", shown);
}

static int take_line(const struct tabletext *table, struct ovdnode *node, struct err *err)
{
    struct name8 location;
    unsigned given = 0;
    *node = (struct ovdnode){ .line = table->line };
    if (table->count < 3)
        return tabletext_wrong(table, err, "three columns are needed, NODE MAILMAN LOCATION, for example OAK CMS CMS");
    if (name8_parse(table->words[0], "node", &node->node, err) == -1 ||
        name8_parse(table->words[1], "mailman", &node->mailman, err) == -1 ||
        name8_parse(table->words[2], "location", &location, err) == -1)
        return tabletext_context(table, err);
    if (strcmp(node->node.text, "OVCMNODE") == 0 || strcmp(node->node.text, "CMSNODE") == 0 ||
        strcmp(node->node.text, "EXCHNODE") == 0)
        return tabletext_wrong(table, err, "%s is a line of the sample; write the nodes of your own network here",
                               node->node.text);
    if (strlen(location.text) != LOCATION_SIZE)
        return tabletext_wrong(table, err, "the location %s has not three characters", location.text);
    bool mailman_cms = strcmp(node->mailman.text, "CMS") == 0;
    if (mailman_cms != (strcmp(location.text, "CMS") == 0))
        return tabletext_wrong(table, err, "a CMS node has CMS as its mailman and as its location");
    node->local = strcmp(node->mailman.text, "LOCAL") == 0;
    node->system = mailman_cms || node->local ? SYSTEM_CMS : SYSTEM_OVVM;
    if (!mailman_cms)
        (void)snprintf(node->location, sizeof node->location, "%.3s", location.text);
    if (mailman_cms || node->local)
        node->mailman = (struct name8){ .text = "" };
    for (size_t i = 3; i < table->count; i++)
        if (take_column(table, table->words[i], node, &given, err) == -1)
            return -1;
    return 0;
}

static int by_node(const void *a, const void *b)
{
    return strcmp(((const struct ovdnode *)a)->node.text, ((const struct ovdnode *)b)->node.text);
}

static int by_location(const void *a, const void *b)
{
    return strcmp((*(const struct ovdnode *const *)a)->location, (*(const struct ovdnode *const *)b)->location);
}

static int check_locations(const struct ovdfile *file, const char *name, struct err *err)
{
    const struct ovdnode **all = mem_zero((file->count + 1) * sizeof all[0]);
    int result = 0;
    if (all == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for %s", name);
    for (size_t i = 0; i < file->count; i++)
        all[i] = &file->nodes[i];
    qsort(all, file->count, sizeof all[0], by_location);
    for (size_t i = 1; i < file->count && result == 0; i++)
        if (all[i]->location[0] != '\0' && strcmp(all[i - 1]->location, all[i]->location) == 0)
            result = err_set(err, ERR_CONFIG,
                             "%s line %u: the location %s is that of %s (line %u) already; it is "
                             "unique in the host network",
                             name, all[i]->line > all[i - 1]->line ? all[i]->line : all[i - 1]->line, all[i]->location,
                             all[i]->line > all[i - 1]->line ? all[i - 1]->node.text : all[i]->node.text,
                             all[i]->line > all[i - 1]->line ? all[i - 1]->line : all[i]->line);
    mem_free(all);
    return result;
}

static int check(const struct ovdfile *file, const char *name, struct name8 own, struct name8 location, struct err *err)
{
    for (size_t i = 1; i < file->count; i++) {
        unsigned a = file->nodes[i - 1].line;
        unsigned b = file->nodes[i].line;
        if (name8_equal(file->nodes[i].node, file->nodes[i - 1].node))
            return err_set(err, ERR_CONFIG, "%s line %u: the node %s stands on line %u already", name, a > b ? a : b,
                           file->nodes[i].node.text, a > b ? b : a);
    }
    const struct ovdnode *ours = ovdfile_find(file, own);
    if (ours == NULL || !ours->local)
        return err_set(err, ERR_CONFIG, "%s has no LOCAL line for this connector; add \"%s LOCAL %s\"", name, own.text,
                       name8_empty(location) ? "MSX" : location.text);
    if (!name8_empty(location) && strcmp(ours->location, location.text) != 0)
        return err_set(err, ERR_CONFIG, "%s line %u: the location of %s is %s, and %s in [connector] location", name,
                       ours->line, own.text, ours->location, location.text);
    return check_locations(file, name, err);
}

/* DF-05: hosts look here which nodes they may write to. */
static int check_also(const struct ovdfile *file, const char *name, const struct conf_nodes *also, struct err *err)
{
    for (size_t i = 0; also != NULL && i < also->count; i++) {
        const struct ovdnode *listed = ovdfile_find(file, also->at[i]);
        if (listed == NULL || !listed->local)
            return err_set(
                err, ERR_CONFIG,
                "%s has no LOCAL line for %s, which is one of [connector] also-nodes; add \"%s LOCAL\" and its "
                "location",
                name, also->at[i].text, also->at[i].text);
    }
    return 0;
}

static int add(struct ovdfile *file, size_t *room, const struct tabletext *table, struct err *err)
{
    if (file->count == OVDFILE_NODES_MAX)
        return tabletext_wrong(table, err, "more than %d nodes", OVDFILE_NODES_MAX);
    if (file->count == *room) {
        struct ovdnode *nodes = mem_realloc(file->nodes, (*room * 2 + 16) * sizeof *nodes);
        if (nodes == NULL)
            return err_set(err, ERR_NO_MEMORY, "out of memory for %s", table->name);
        file->nodes = nodes;
        *room = *room * 2 + 16;
    }
    return take_line(table, &file->nodes[file->count++], err);
}

int ovdfile_parse(struct span text, struct name8 own, struct name8 location, const struct conf_nodes *also,
                  struct ovdfile *file_r, struct err *err)
{
    struct tabletext table = tabletext_of("Ovdfile.dat", text);
    struct err failure = ERR_CLEAR;
    size_t room = 0;
    int more = 0;
    *file_r = (struct ovdfile){ .count = 0 };
    while ((more = tabletext_next(&table, &failure)) == 1)
        if ((more = add(file_r, &room, &table, &failure)) == -1)
            break;
    if (more == 0 && file_r->count > 0)
        qsort(file_r->nodes, file_r->count, sizeof file_r->nodes[0], by_node);
    if (more == 0)
        more = check(file_r, table.name, own, location, &failure);
    if (more == 0)
        more = check_also(file_r, table.name, also, &failure);
    if (more == -1) {
        ovdfile_free(file_r);
        if (err != NULL)
            *err = failure;
    }
    return more;
}

void ovdfile_free(struct ovdfile *file)
{
    mem_free(file->nodes);
    *file = (struct ovdfile){ .count = 0 };
}

const struct ovdnode *ovdfile_find(const struct ovdfile *file, struct name8 node)
{
    struct ovdnode wanted = { .node = node };
    return file->count > 0 ? bsearch(&wanted, file->nodes, file->count, sizeof wanted, by_node) : NULL;
}
