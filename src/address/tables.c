/* Loading tables. The order is: read and check every file, bring the people into the ledger in one job, then put the
 * new set in the place of the old one. Whatever fails on the way leaves the old set, the ledger's people, and the
 * reason. */
#include "address/tables.h"

#include "address/tabletext.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/instance.h"

#include <stdio.h>

enum { PATH_SIZE = 4096 };

/* What was read and is not yet in use. */
struct candidate {
    struct table_set *set;
    struct people people;
    bool has_people;
};

struct tables {
    struct tables_options options;
    struct table_set *owned;
    const struct table_set *current; /* the same, as others see it */
    struct people_changes changes;
    char problem[ERR_TEXT_SIZE];
    /* the reload under way */
    bool loading;
    struct candidate candidate;
    struct rules rules; /* of the configuration, which does not change */
    struct peopleload load;
    bool taken_back; /* what was generated to be looked at */
    struct people_changes found;
    struct peopleload_gifts gifts;
    struct tables_reload reload;
    struct store_job job;
};

static void set_free(struct table_set *set)
{
    if (set == NULL)
        return;
    ovdfile_free(&set->ovdfile);
    hostusers_free(&set->hostusers);
    routes_free(&set->routes);
    filemap_free(&set->cmsxmap);
    filemap_free(&set->dosxmap);
    access_free(&set->access);
    mem_free(set);
}

static void candidate_free(struct candidate *candidate)
{
    set_free(candidate->set);
    people_free(&candidate->people);
    *candidate = (struct candidate){ .set = NULL };
}

/* --- reading --- */

/* A file of the tables folder: 0; 1 where there is none. */
static int read_table(const struct conf *conf, const char *name, size_t most, struct buf *text, struct err *err)
{
    char path[PATH_SIZE];
    if (conf->connector.tables == NULL)
        return 1;
    (void)snprintf(path, sizeof path, "%s/%s", conf->connector.tables, name);
    return tabletext_read(path, most, text, err);
}

static int read_ovdfile(const struct conf *conf, struct table_set *set, struct err *err)
{
    struct buf text = { 0 };
    int result = read_table(conf, "Ovdfile.dat", TABLETEXT_FILE_MAX, &text, err);
    set->has_ovdfile = result == 0;
    if (result == 0)
        result = ovdfile_parse(buf_span(&text), conf->connector.node, conf->connector.location,
                               &conf->connector.also_nodes, &set->ovdfile, err);
    buf_free(&text);
    return result == -1 ? -1 : 0;
}

/* Where users must be listed, there must be a list: without one all mail would be refused. */
static int check_hostusers(const struct table_set *set, struct err *err)
{
    for (size_t i = 0; i < set->ovdfile.count; i++)
        if (set->ovdfile.nodes[i].users_listed)
            return err_set(err, ERR_CONFIG, "Ovdfile.dat line %u: users=listed needs Hostusers.csv in the same folder",
                           set->ovdfile.nodes[i].line);
    return 0;
}

static int read_hostusers(const struct conf *conf, struct table_set *set, struct err *err)
{
    struct buf text = { 0 };
    int result = read_table(conf, "Hostusers.csv", HOSTUSERS_FILE_MAX, &text, err);
    if (result == 0)
        result = hostusers_parse(buf_span(&text), &set->hostusers, err);
    else if (result == 1)
        result = check_hostusers(set, err);
    buf_free(&text);
    return result;
}

static int read_routes(const struct conf *conf, struct table_set *set, struct err *err)
{
    struct buf text = { 0 };
    int result = read_table(conf, "Route.tbl", TABLETEXT_FILE_MAX, &text, err);
    if (result != -1)
        result = routes_parse(buf_span(&text), conf->links, conf->link_count, &set->routes, err);
    for (size_t i = 0; i < set->routes.count; i++)
        set->route_lines += set->routes.at[i].line != 0;
    buf_free(&text);
    return result;
}

static int read_access(const struct conf *conf, struct table_set *set, struct err *err)
{
    struct buf text = { 0 };
    int result = read_table(conf, "Access.tbl", TABLETEXT_FILE_MAX, &text, err);
    if (result == 0)
        result = access_parse(buf_span(&text), &set->access, err);
    buf_free(&text);
    return result == -1 ? -1 : 0;
}

static int read_filemap(const struct conf *conf, const char *name, struct filemap *map, bool *there_r, struct err *err)
{
    struct buf text = { 0 };
    int result = read_table(conf, name, TABLETEXT_FILE_MAX, &text, err);
    *there_r = result == 0;
    if (result == 0)
        result = filemap_parse(name, buf_span(&text), map, err);
    buf_free(&text);
    return result == -1 ? -1 : 0;
}

static int read_filemaps(const struct conf *conf, struct table_set *set, struct err *err)
{
    return read_filemap(conf, "Cmsxmap.tbl", &set->cmsxmap, &set->has_cmsxmap, err) == -1
               ? -1
               : read_filemap(conf, "Dosxmap.tbl", &set->dosxmap, &set->has_dosxmap, err);
}

/* A rule for a node that is not ours would give addresses that nothing reaches. */
static int read_rules(const struct conf *conf, const struct table_set *set, struct rules *rules_r, struct err *err)
{
    *rules_r = (struct rules){ .count = 0 };
    if (conf->connector.proxy_rule == NULL)
        return 0;
    if (rules_parse(span_text(conf->connector.proxy_rule), rules_r, err) == -1)
        return err_context(err, "[connector] proxy-rule");
    for (size_t i = 0; i < rules_r->count; i++) {
        struct name8 node = rules_r->at[i].node;
        const struct ovdnode *listed = ovdfile_find(&set->ovdfile, node);
        bool listed_ours = listed != NULL && listed->local;
        if (!listed_ours && !name8_equal(node, conf->connector.node) &&
            !conf_nodes_has(&conf->connector.also_nodes, node))
            return err_set(err, ERR_CONFIG, "[connector] proxy-rule: %s is no node of this connector; write %s(&m)",
                           node.text, conf->connector.node.text);
    }
    return 0;
}

static int read_people(const struct conf *conf, struct candidate *candidate, struct err *err)
{
    struct buf text = { 0 };
    struct people_site site = { .node = conf->connector.node,
                                .also_nodes = &conf->connector.also_nodes,
                                .ovd = &candidate->set->ovdfile,
                                .local_domains = conf->connector.local_domains };
    if (conf->connector.people == NULL)
        return 0;
    int result = tabletext_read(conf->connector.people, PEOPLE_FILE_MAX, &text, err);
    if (result == 1)
        result = err_set(err, ERR_CONFIG, "[connector] people: there is no file %.150s", conf->connector.people);
    if (result == 0)
        result = people_parse(buf_span(&text), &site, &candidate->people, err);
    candidate->has_people = result == 0;
    candidate->set->people = candidate->people.count;
    buf_free(&text);
    return result;
}

/* The tables and the rules; the people follow, since what is wrong with them stops nothing at the start. */
static int read_tables(const struct conf *conf, struct candidate *candidate_r, struct err *err)
{
    *candidate_r = (struct candidate){ .set = mem_zero(sizeof *candidate_r->set) };
    if (candidate_r->set == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for the tables");
    candidate_r->set->read_us = clock_now();
    if (read_ovdfile(conf, candidate_r->set, err) == -1 || read_hostusers(conf, candidate_r->set, err) == -1 ||
        read_routes(conf, candidate_r->set, err) == -1 || read_access(conf, candidate_r->set, err) == -1 ||
        read_filemaps(conf, candidate_r->set, err) == -1 ||
        read_rules(conf, candidate_r->set, &candidate_r->set->rules, err) == -1) {
        candidate_free(candidate_r);
        return -1;
    }
    return 0;
}

int tables_check(const struct conf *conf, struct err *err)
{
    struct candidate candidate;
    if (read_tables(conf, &candidate, err) == -1)
        return -1;
    int result = read_people(conf, &candidate, err);
    candidate_free(&candidate);
    return result;
}

/* --- taking over --- */

static void take_over(struct tables *tables)
{
    set_free(tables->owned);
    tables->current = tables->owned = tables->candidate.set;
    tables->candidate.set = NULL;
}

static void report_people(const struct people_changes *changes, size_t rows)
{
    log_info(LOG_ADDRESS, 32497,
             "people.csv: %zu people, %zu of them new, %zu changed; %zu are gone and keep their "
             "addresses",
             rows, changes->added, changes->changed, changes->removed);
}

/* From these lines they can be entered again where a ledger was lost. */
static void log_gifts(const struct tables *tables)
{
    for (size_t i = 0; i < tables->gifts.count; i++) {
        const struct peopleload_gift *gift = &tables->gifts.at[i];
        struct mailkey key;
        (void)snprintf(key.text, sizeof key.text, "%s", people_address(&tables->candidate.people, gift->row));
        registry_log(&gift->answer, &key, "people");
    }
}

static void finish(struct tables *tables, const struct err *err)
{
    const struct tables_reload reload = tables->reload;
    if (err != NULL && !reload.only_look) {
        (void)snprintf(tables->problem, sizeof tables->problem, "%s", err->text);
        log_error(LOG_ADDRESS, err_log_number(err->id), "the tables stay as they were: %s", err->text);
    } else if (!reload.only_look) {
        size_t rows = tables->candidate.set->people;
        tables->problem[0] = '\0';
        tables->changes = tables->found;
        log_gifts(tables);
        if (tables->candidate.has_people)
            report_people(&tables->found, rows);
        take_over(tables);
        registry_forget(tables->options.registry);
        log_info(LOG_ADDRESS, 32498, "tables read: %zu nodes in Ovdfile.dat, %zu routes in Route.tbl, %zu people",
                 tables->current->ovdfile.count, tables->current->route_lines, rows);
    }
    for (size_t i = 0; err == NULL && reload.each != NULL && i < tables->gifts.count; i++)
        reload.each(reload.arg, people_address(&tables->candidate.people, tables->gifts.at[i].row),
                    &tables->gifts.at[i].answer);
    struct people_changes found = tables->found;
    candidate_free(&tables->candidate);
    mem_free(tables->gifts.at);
    tables->gifts = (struct peopleload_gifts){ .count = 0 };
    tables->loading = false;
    if (reload.done != NULL)
        reload.done(reload.arg, &found, err);
}

static int load_work(struct db *db, void *arg, struct err *err)
{
    struct tables *tables = arg;
    if (tables->reload.only_look && !tables->reload.generate)
        return peopleload_compare(db, &tables->load, &tables->found, err);
    tables->taken_back = false;
    if (instance_check_active(db, err) == -1 ||
        peopleload_apply(db, &tables->load, &tables->found, &tables->gifts, err) == -1)
        return -1;
    if (!tables->reload.only_look)
        return 0;
    tables->taken_back = true; /* a job that fails leaves no trace */
    return err_set(err, ERR_REFUSED, "this was only to be looked at");
}

static void load_done(void *arg, const struct err *err)
{
    struct tables *tables = arg;
    finish(tables, tables->taken_back ? NULL : err);
}

/* The candidate is read; its people go into the ledger. */
static void load_people(struct tables *tables)
{
    const struct conf *conf = tables->options.conf;
    enum generation usual =
        conf->addressing.proxy_generation == CONF_GENERATION_AUTO ? GENERATE_MISSING : GENERATE_NONE;
    tables->taken_back = false;
    tables->load = (struct peopleload){ .people = &tables->candidate.people,
                                        .source = PERSON_LISTED,
                                        .rules = &tables->candidate.set->rules,
                                        .generation = tables->reload.renew      ? GENERATE_RENEW
                                                      : tables->reload.generate ? GENERATE_MISSING
                                                                                : usual,
                                        .reuse_after_us = conf->addressing.reuse_after_us,
                                        .policy = *registry_policy(tables->options.registry),
                                        .removal_percent = conf->addressing.people_removal_limit,
                                        .confirmed = tables->reload.confirmed,
                                        .now_us = clock_now() };
    tables->job = (struct store_job){ .work = load_work, .done = load_done, .arg = tables };
    const struct people *people = &tables->candidate.people;
    size_t room = people->count + people->host_count + 1;
    struct err err = ERR_CLEAR;
    if (!tables->candidate.has_people || !tables->options.active) {
        finish(tables, NULL);
        return;
    }
    tables->gifts.at = mem_zero(room * sizeof tables->gifts.at[0]);
    if (tables->gifts.at == NULL) {
        (void)err_set(&err, ERR_NO_MEMORY, "out of memory for the people");
        finish(tables, &err);
    } else if (tables->reload.only_look && !tables->reload.generate) {
        store_read(tables->options.store, &tables->job);
    } else {
        store_write(tables->options.store, &tables->job);
    }
}

void tables_reload(struct tables *tables, const struct tables_reload *reload)
{
    struct err err = ERR_CLEAR;
    struct people_changes none = { .added = 0 };
    if (tables->loading) {
        (void)err_set(&err, ERR_BUSY, "the tables are being read already; try again");
        log_err(LOG_ADDRESS, &err, "reload");
        if (reload->done != NULL)
            reload->done(reload->arg, &none, &err);
        return;
    }
    tables->loading = true;
    tables->reload = *reload;
    tables->found = none;
    if (read_tables(tables->options.conf, &tables->candidate, &err) == -1 ||
        read_people(tables->options.conf, &tables->candidate, &err) == -1)
        finish(tables, &err);
    else
        load_people(tables);
}

/* --- the start --- */

struct starting {
    struct loop *loop;
    bool done, waits;
    struct err err;
};

static void started(void *arg, const struct people_changes *changes, const struct err *err)
{
    (void)changes;
    struct starting *starting = arg;
    starting->err = err != NULL ? *err : ERR_CLEAR;
    starting->done = true;
    if (starting->waits)
        loop_stop(starting->loop);
}

int tables_new(const struct tables_options *options, struct tables **tables_r, struct err *err)
{
    *tables_r = NULL;
    struct candidate first;
    struct tables *tables = mem_zero(sizeof *tables);
    if (tables == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for the tables");
    tables->options = *options;
    if (read_tables(options->conf, &first, err) == -1) {
        mem_free(tables);
        return -1;
    }
    tables->rules = first.set->rules;
    tables->current = tables->owned = first.set; /* in use whatever becomes of the people */
    struct starting starting = { .loop = options->loop };
    tables_reload(tables, &(struct tables_reload){ .done = started, .arg = &starting });
    starting.waits = true;
    while (!starting.done)
        loop_run(options->loop);
    if (err_family(starting.err.id) == ERR_FAMILY_TEMPORARY) { /* letters to people who are listed would be returned */
        *err = starting.err;
        tables_free(tables);
        return err_context(err, "people");
    }
    if (!tables->current->has_ovdfile)
        log_warning(LOG_ADDRESS, 32499,
                    "there is no Ovdfile.dat: every node that a link leads to may send mail to the Internet");
    *tables_r = tables;
    return 0;
}

void tables_free(struct tables *tables)
{
    if (tables == NULL)
        return;
    candidate_free(&tables->candidate);
    mem_free(tables->gifts.at);
    set_free(tables->owned);
    mem_free(tables);
}

const struct table_set *const *tables_current(const struct tables *tables)
{
    return &tables->current;
}

const char *tables_problem(const struct tables *tables)
{
    return tables->problem[0] != '\0' ? tables->problem : NULL;
}

const struct rules *tables_rules(const struct tables *tables)
{
    return &tables->rules;
}

struct people_changes tables_changes(const struct tables *tables)
{
    return tables->changes;
}
