/* Loading people from a directory: ask it; read and compare the answer in a ledger's reading thread, which stops
 * nobody; write what changed, in one job; tell.
 *
 * What can go wrong: anything with the directory, and then the reason is kept until an answer was good. An answer that
 * would unlist too many people, or all, is not taken without an operator's word: directories are emptied by accident.
 */
#include "address/peopledirectory.h"

#include "directory/fetch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/instance.h"

#include <stdio.h>

enum { RETRY_US = 60000000 /* after a first failure; then twice as long each time, up to the interval */ };

struct people_directory {
    struct people_directory_options options;
    struct loop_timer timer;
    struct directory_fetch *fetch; /* while the directory is asked */
    bool at_ledger;                /* while its answer is at the ledger */
    struct tables_reload how;      /* of the load under way */
    /* the load under way: a ledger thread's while at_ledger */
    struct buf rows;
    struct ovdfile own; /* only our nodes: the tables may be read anew meanwhile */
    struct rules rules;
    struct people people;
    struct peopleload load;
    struct people_changes found;
    struct peopleload_gifts gifts;
    struct store_job job;
    /* what is shown */
    int64_t loaded_us, tried_us, next_us, people_loaded;
    unsigned failures;
    char problem[ERR_TEXT_SIZE];
    struct people_changes changes;
};

static const struct conf_directory *settings(const struct people_directory *directory)
{
    return &directory->options.conf->directory;
}

static bool is_configured(const struct people_directory *directory)
{
    return settings(directory)->url != NULL;
}

static void release(struct people_directory *directory)
{
    buf_free(&directory->rows);
    ovdfile_free(&directory->own);
    people_free(&directory->people);
    mem_free(directory->gifts.at);
    directory->gifts = (struct peopleload_gifts){ .count = 0 };
}

/* --- the end of a load --- */

static void set_timer(struct people_directory *directory)
{
    int64_t wait = settings(directory)->interval_us;
    if (!directory->options.active)
        return;
    if (directory->failures > 0)
        wait = loop_backoff(RETRY_US < wait ? RETRY_US : wait, directory->failures - 1, wait);
    directory->next_us = clock_now() + wait;
    loop_timer_set(&directory->timer, wait);
}

/* `before`: how much was passed over the last time. */
static void log_load(const struct people_directory *directory, size_t before)
{
    const struct people_changes *found = &directory->found;
    for (size_t i = 0; i < directory->gifts.count; i++) {
        const struct peopleload_gift *gift = &directory->gifts.at[i];
        struct mailkey key;
        (void)snprintf(key.text, sizeof key.text, "%s", people_address(&directory->people, gift->row));
        registry_log(&gift->answer, &key, "directory");
    }
    log_info(LOG_ADDRESS, 32497,
             "directory: %zu people, %zu of them new, %zu changed; %zu are gone and keep their addresses",
             directory->people.count, found->added, found->changed, found->removed);
    if (found->forgiven > 0 && found->forgiven != before)
        log_warning(LOG_ADDRESS, 32492,
                    "directory: %zu things are wrong and were passed over; ovvm people check shows them",
                    found->forgiven);
}

static void keep_problem(struct people_directory *directory, const struct err *err)
{
    directory->failures++;
    if (strcmp(directory->problem, err->text) != 0)
        log_error(LOG_ADDRESS, err_log_number(err->id), "the people of the directory stay as they were: %s", err->text);
    (void)snprintf(directory->problem, sizeof directory->problem, "%s", err->text);
}

static void finish(struct people_directory *directory, const struct err *err)
{
    const struct tables_reload how = directory->how;
    struct people_changes found = directory->found;
    directory->at_ledger = false;
    directory->how = (struct tables_reload){ .done = NULL };
    if (!how.only_look && err != NULL) {
        keep_problem(directory, err);
    } else if (!how.only_look) {
        directory->failures = 0;
        directory->problem[0] = '\0';
        directory->loaded_us = directory->load.now_us;
        directory->people_loaded = (int64_t)directory->people.count;
        log_load(directory, directory->changes.forgiven);
        directory->changes = found;
        registry_forget(directory->options.registry);
    }
    release(directory);
    set_timer(directory);
    if (how.done != NULL)
        how.done(how.arg, &found, err);
}

/* --- at the ledger --- */

static int apply_work(struct db *db, void *arg, struct err *err)
{
    struct people_directory *directory = arg;
    const struct people_changes *found = &directory->found;
    if (instance_check_active(db, err) == -1)
        return -1;
    if (found->added + found->changed + found->removed > 0 &&
        peopleload_apply(db, &directory->load, &directory->found, &directory->gifts, err) == -1)
        return -1;
    return person_directory_set_loaded(db, directory->load.now_us, (int64_t)directory->people.count, err);
}

static void applied(void *arg, const struct err *err)
{
    finish(arg, err);
}

static int compare_work(struct db *db, void *arg, struct err *err)
{
    struct people_directory *directory = arg;
    const struct conf_connector *connector = &directory->options.conf->connector;
    struct people_site site = { .node = connector->node,
                                .also_nodes = &connector->also_nodes,
                                .ovd = &directory->own,
                                .local_domains = connector->local_domains,
                                .name = "the directory's answer",
                                .forgiving = true };
    people_free(&directory->people);
    if (people_parse(buf_span(&directory->rows), &site, &directory->people, err) == -1)
        return -1;
    if (directory->people.count == 0 && !directory->load.confirmed)
        return err_set(err, ERR_REFUSED,
                       "the directory has nobody whom [directory] filter finds and who can have an address; if that is "
                       "meant: ovvm people load --confirm");
    return peopleload_compare(db, &directory->load, &directory->found, err);
}

static void compared(void *arg, const struct err *err)
{
    struct people_directory *directory = arg;
    size_t room = directory->people.count + directory->people.host_count + 1;
    struct err failure = ERR_CLEAR;
    if (err != NULL || directory->how.only_look) {
        finish(directory, err);
        return;
    }
    directory->gifts.at = mem_zero(room * sizeof directory->gifts.at[0]);
    if (directory->gifts.at == NULL) {
        (void)err_set(&failure, ERR_NO_MEMORY, "out of memory for the people");
        finish(directory, &failure);
        return;
    }
    directory->job = (struct store_job){ .work = apply_work, .done = applied, .arg = directory };
    store_write(directory->options.store, &directory->job);
}

/* Our nodes out of Ovdfile.dat. */
static int copy_nodes(struct people_directory *directory)
{
    const struct ovdfile *all = &(*directory->options.tables)->ovdfile;
    directory->own.nodes = mem_zero((all->count + 1) * sizeof directory->own.nodes[0]);
    if (directory->own.nodes == NULL)
        return -1;
    for (size_t i = 0; i < all->count; i++)
        if (all->nodes[i].local)
            directory->own.nodes[directory->own.count++] = all->nodes[i];
    return 0;
}

/* --- asking --- */

static void fetched(void *arg, struct span rows, size_t count, const struct err *err)
{
    struct people_directory *directory = arg;
    struct err failure = ERR_CLEAR;
    (void)count;
    directory->fetch = NULL;
    if (err != NULL) {
        finish(directory, err);
        return;
    }
    buf_add_span(&directory->rows, rows);
    if (directory->rows.failed || copy_nodes(directory) == -1) {
        (void)err_set(&failure, ERR_NO_MEMORY, "out of memory for the directory's answer");
        finish(directory, &failure);
        return;
    }
    directory->rules = (*directory->options.tables)->rules;
    directory->load = (struct peopleload){ .people = &directory->people,
                                           .source = PERSON_DIRECTORY,
                                           .rules = &directory->rules,
                                           .generation = GENERATE_MISSING,
                                           .reuse_after_us = directory->options.conf->addressing.reuse_after_us,
                                           .policy = *registry_policy(directory->options.registry),
                                           .removal_percent = directory->options.conf->addressing.people_removal_limit,
                                           .confirmed = directory->how.confirmed,
                                           .now_us = clock_now() };
    directory->at_ledger = true;
    directory->job = (struct store_job){ .work = compare_work, .done = compared, .arg = directory };
    store_read(directory->options.store, &directory->job);
}

static void tell_busy(const struct tables_reload *how, const char *text)
{
    struct people_changes none = { .added = 0 };
    struct err err = ERR_CLEAR;
    (void)err_set(&err, ERR_BUSY, "%s", text);
    if (how->done != NULL)
        how->done(how->arg, &none, &err);
}

void people_directory_load(struct people_directory *directory, const struct tables_reload *how)
{
    struct err err = ERR_CLEAR;
    struct people_changes none = { .added = 0 };
    if (!is_configured(directory)) {
        if (how->done != NULL)
            how->done(how->arg, &none, NULL);
        return;
    }
    if (directory->at_ledger) {
        tell_busy(how, "the people of the directory are being loaded already; try again");
        return;
    }
    if (directory->fetch != NULL) {
        const struct tables_reload before = directory->how;
        directory_fetch_stop(directory->fetch);
        directory->fetch = NULL;
        tell_busy(&before, "another load of the directory was asked for meanwhile");
    }
    loop_timer_unset(&directory->timer);
    directory->next_us = 0;
    directory->how = *how;
    directory->found = none;
    directory->tried_us = clock_now();
    struct directory_fetch_options options = {
        .loop = directory->options.loop, .directory = settings(directory), .done = fetched, .arg = directory
    };
    if (directory_fetch_start(&options, &directory->fetch, &err) == -1)
        finish(directory, &err);
}

static void on_timer(void *arg)
{
    people_directory_load(arg, &(struct tables_reload){ .done = NULL });
}

/* --- the start --- */

struct starting {
    struct people_directory *directory;
    struct store_job job;
    bool done;
    struct err err;
};

static int read_work(struct db *db, void *arg, struct err *err)
{
    struct starting *starting = arg;
    struct people_directory *directory = starting->directory;
    return person_directory_loaded(db, &directory->loaded_us, &directory->people_loaded, err) == -1 ? -1 : 0;
}

static void read_done(void *arg, const struct err *err)
{
    struct starting *starting = arg;
    starting->err = err != NULL ? *err : ERR_CLEAR;
    starting->done = true;
    loop_stop(starting->directory->options.loop);
}

int people_directory_new(const struct people_directory_options *options, struct people_directory **directory_r,
                         struct err *err)
{
    *directory_r = NULL;
    struct people_directory *directory = mem_zero(sizeof *directory);
    if (directory == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory for the directory");
    directory->options = *options;
    if (loop_timer_init(&directory->timer, options->loop, on_timer, directory) == -1) {
        mem_free(directory);
        return err_set(err, ERR_NO_MEMORY, "out of memory for the directory");
    }
    struct starting starting = { .directory = directory };
    starting.job = (struct store_job){ .work = read_work, .done = read_done, .arg = &starting };
    store_read(options->store, &starting.job);
    while (!starting.done)
        loop_run(options->loop);
    if (starting.err.id != ERR_NONE) {
        *err = starting.err;
        people_directory_free(directory);
        return -1;
    }
    if (options->active && is_configured(directory))
        on_timer(directory);
    *directory_r = directory;
    return 0;
}

void people_directory_free(struct people_directory *directory)
{
    if (directory == NULL)
        return;
    directory_fetch_stop(directory->fetch);
    loop_timer_free(&directory->timer);
    release(directory);
    mem_free(directory);
}

struct people_directory_status people_directory_status(const struct people_directory *directory)
{
    return (struct people_directory_status){ .configured = is_configured(directory),
                                             .loading = directory->fetch != NULL || directory->at_ledger,
                                             .loaded_us = directory->loaded_us,
                                             .tried_us = directory->tried_us,
                                             .next_us = directory->next_us,
                                             .people = (size_t)directory->people_loaded,
                                             .problem = directory->problem[0] != '\0' ? directory->problem : NULL,
                                             .forgiven = directory->changes.forgiven,
                                             .changes = &directory->changes };
}
