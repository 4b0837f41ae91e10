/* A bundle carries rows, and what they mean depends on the configuration around them: which nodes are ours, which link
 * leads to a host user, how he is written in mail. A wrong key would show only weeks later, in a reply that reaches
 * nobody; so everything is looked up twice before mail flows. */
#include "relocate/compare.h"

#include "address/border.h"
#include "base/mem.h"
#include "relocate/bundle.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

struct side {
    struct conf conf;
    bool own_conf; /* is to be freed */
    struct table_set set;
    const struct table_set *current; /* &set, as border.h wants it */
    struct border border;
};

/* --- reading a side --- */

/* Empty where there is no such file. */
static int read_file(const char *folder, const char *name, struct buf *to, bool *found_r, struct err *err)
{
    char path[PATH_MAX];
    uint8_t piece[4096];
    *found_r = false;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_set(err, ERR_CONFIG, "%.180s: %m", path);
    *found_r = true;
    to->limit = BUNDLE_SMALL_MAX;
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
        buf_add(to, piece, got);
    bool failed = ferror(file) != 0 || to->failed;
    (void)fclose(file);
    return failed ? err_set(err, ERR_CONFIG, "%.180s cannot be read", path) : 0;
}

static int read_tables(struct side *side, const char *folder, struct err *err)
{
    struct buf ovdfile = { 0 };
    struct buf routes = { 0 };
    bool has_routes = false;
    int result = 0;
    if (folder != NULL)
        result = read_file(folder, "Ovdfile.dat", &ovdfile, &side->set.has_ovdfile, err);
    if (folder != NULL && result == 0)
        result = read_file(folder, "Route.tbl", &routes, &has_routes, err);
    if (result == 0 && side->set.has_ovdfile &&
        ovdfile_parse(buf_span(&ovdfile), side->conf.connector.node, side->conf.connector.location,
                      &side->conf.connector.also_nodes, &side->set.ovdfile, err) == -1)
        result = err_context(err, "%.100s/Ovdfile.dat", folder);
    if (result == 0 &&
        routes_parse(buf_span(&routes), side->conf.links, side->conf.link_count, &side->set.routes, err) == -1)
        result = err_context(err, "%.100s/Route.tbl", folder != NULL ? folder : "");
    buf_free(&ovdfile);
    buf_free(&routes);
    side->current = &side->set;
    side->border = border_of(&side->conf, &side->current);
    return result;
}

static void side_free(struct side *side)
{
    ovdfile_free(&side->set.ovdfile);
    routes_free(&side->set.routes);
    if (side->own_conf)
        conf_free(&side->conf);
}

/* What the import laid out. False: it is not there, or this release cannot read it. */
static bool read_before(struct side *side, const char *folder)
{
    struct err ignored = ERR_CLEAR;
    static struct conf_problems problems;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/" BUNDLE_CONF, folder);
    if (conf_load(path, &side->conf, &problems) == -1)
        return false;
    side->own_conf = true;
    return read_tables(side, side->conf.connector.tables != NULL ? folder : NULL, &ignored) == 0;
}

/* --- comparing --- */

struct comparing {
    struct side before, now;
    struct compare_result *result;
};

__attribute__((format(printf, 2, 3))) static void differ(struct comparing *comparing, const char *format, ...)
{
    char text[400];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (comparing->result->differences++ < COMPARE_SHOWN_MAX)
        (void)json_array_append_new(comparing->result->shown, json_string(text));
}

/* Host addresses of people: each is accepted where its node is ours. */
static int compare_ours(struct db *db, struct comparing *comparing, struct err *err)
{
    struct db_rows rows;
    int found =
        db_query(db, &rows, err,
                 "SELECT h.node, h.user_id, p.address FROM host_address h LEFT JOIN person p ON p.key = h.person"
                 " WHERE h.kind <> 5 ORDER BY h.node, h.user_id",
                 "");
    struct name8 node = { .text = "" };
    bool before = true;
    bool now = true;
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        struct name8 here;
        comparing->result->addresses++;
        if (name8_parse(db_bytes(&rows, 0), "node", &here, NULL) == -1)
            continue;
        if (!name8_equal(here, node)) {
            node = here;
            before = !comparing->result->known_before || border_is_ours(&comparing->before.border, node);
            now = border_is_ours(&comparing->now.border, node);
        }
        char user[12];
        char address[100];
        db_text(&rows, 1, user, sizeof user);
        span_to_text(db_bytes(&rows, 2), address, sizeof address);
        if (before && !now)
            differ(comparing, "%s(%s) is %s; now %s is no node of this connector, and replies to it reach nobody",
                   here.text, user, address, here.text);
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

static const char *way(const struct side *side, struct host_address host)
{
    const struct conf_link *link = border_route(&side->border, host);
    return link != NULL ? link->node.text : "none";
}

static void compare_host(struct comparing *comparing, struct span text)
{
    struct host_address host;
    if (host_address_parse(text, &host, NULL) == -1)
        return;
    struct buf mail[2] = { { 0 }, { 0 } };
    const char *now = way(&comparing->now, host);
    const char *before = comparing->result->known_before ? way(&comparing->before, host) : now;
    comparing->result->addresses++;
    border_to_mail(&comparing->now.border, host, &mail[1]);
    border_to_mail(comparing->result->known_before ? &comparing->before.border : &comparing->now.border, host,
                   &mail[0]);
    buf_add_u8(&mail[0], 0);
    buf_add_u8(&mail[1], 0);
    struct host_address_text shown = host_address_text(host);
    if (strcmp(before, now) != 0 || (!comparing->result->known_before && strcmp(now, "none") == 0))
        differ(comparing, "%s was reached over link %s, and now over %s", shown.text, before, now);
    else if (!span_equal(buf_span(&mail[0]), buf_span(&mail[1])))
        differ(comparing, "%s was %.100s in mail, and is now %.100s", shown.text,
               mail[0].failed ? "" : (const char *)mail[0].at, mail[1].failed ? "" : (const char *)mail[1].at);
    buf_free(&mail[0]);
    buf_free(&mail[1]);
}

/* Host users who wrote, were written to, or whose letters wait. */
static int compare_hosts(struct db *db, struct comparing *comparing, struct err *err)
{
    struct db_rows rows;
    int found = db_query(db, &rows, err,
                         "SELECT DISTINCT host FROM correlation UNION SELECT DISTINCT r.address FROM recipient r JOIN"
                         " item i ON i.key = r.item WHERE i.queue = 4",
                         "");
    while (found >= 0 && (found = db_next(&rows, err)) == 1)
        compare_host(comparing, db_bytes(&rows, 0));
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

int compare_addresses(struct db *db, const char *folder, const struct conf *conf, struct compare_result *result_r,
                      struct err *err)
{
    struct comparing *comparing = mem_zero(sizeof *comparing);
    *result_r = (struct compare_result){ .shown = json_array() };
    if (comparing == NULL || result_r->shown == NULL) {
        mem_free(comparing);
        return err_set(err, ERR_NO_MEMORY, "out of memory for comparing addresses");
    }
    comparing->result = result_r;
    comparing->now.conf = *conf; /* its owner keeps it */
    result_r->known_before = read_before(&comparing->before, folder);
    int result = read_tables(&comparing->now, conf->connector.tables, err);
    if (result == 0 && (compare_ours(db, comparing, err) == -1 || compare_hosts(db, comparing, err) == -1))
        result = -1;
    side_free(&comparing->before);
    side_free(&comparing->now);
    mem_free(comparing);
    if (result == -1) {
        json_decref(result_r->shown);
        result_r->shown = NULL;
    }
    return result;
}
