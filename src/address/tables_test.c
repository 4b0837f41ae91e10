/* What is lost when these fail: a slip in a table stops mail that flowed before it. */
#include "address/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char folder[64], url[128], people[128];
    struct name8 nodes[1];
    struct conf_link link;
    struct conf conf;
    struct loop *loop;
    struct store *store;
    struct registry *registry;
    struct tables *tables;
    /* of the last reload */
    bool failed, done;
    struct err err;
    struct people_changes changes;
};

static const char *const files[] = { "Ovdfile.dat", "Route.tbl", "Cmsxmap.tbl", "Dosxmap.tbl",
                                     "people.csv",  "ovvm.db",   "ovvm.db-wal", "ovvm.db-shm" };

static void put(const struct place *place, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", place->folder, name);
    if (text == NULL) {
        (void)unlink(path);
        return;
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void place_make(struct place *place)
{
    struct err err = ERR_CLEAR;
    *place = (struct place){ .folder = "/tmp/ovvm-tables-XXXXXX" };
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->url, sizeof place->url, "sqlite:%s/ovvm.db", place->folder);
    (void)snprintf(place->people, sizeof place->people, "%s/people.csv", place->folder);
    place->nodes[0] = (struct name8){ .text = "MAPLEC1" };
    place->link = (struct conf_link){ .node = place->nodes[0], .nodes = { .at = place->nodes, .count = 1 } };
    place->conf.connector = (struct conf_connector){ .node = { .text = "MICROSFT" },
                                                     .registration_prefix = { .text = "X" },
                                                     .tables = place->folder,
                                                     .people = place->people };
    place->conf.addressing.registration = CONF_REGISTRATION_AUTO;
    place->conf.addressing.people_removal_limit = 10;
    place->conf.addressing.allow_unresolved = CONF_YES;
    place->conf.links = &place->link;
    place->conf.link_count = 1;
    place->loop = loop_new();
    struct store_options options = { .url = place->url, .state = place->folder, .loop = place->loop, .create = true };
    if (store_open(&options, &place->store, &err) == -1)
        fail_msg("%s", err.text);
    place->registry = registry_new(place->store, registry_policy_of(&place->conf));
    assert_non_null(place->registry);
    put(place, "people.csv", "alice@example.org,Alice\n");
}

static int start(struct place *place)
{
    struct tables_options options = {
        .loop = place->loop, .store = place->store, .registry = place->registry, .conf = &place->conf, .active = true
    };
    place->err = ERR_CLEAR;
    return tables_new(&options, &place->tables, &place->err);
}

static void place_unmake(struct place *place)
{
    store_close(place->store);
    tables_free(place->tables);
    registry_free(place->registry);
    loop_free(place->loop);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put(place, files[i], NULL);
    assert_int_equal(rmdir(place->folder), 0);
}

static void reloaded(void *arg, const struct people_changes *changes, const struct err *err)
{
    struct place *place = arg;
    place->done = true;
    place->failed = err != NULL;
    place->err = err != NULL ? *err : ERR_CLEAR;
    place->changes = *changes;
    loop_stop(place->loop);
}

static void reload(struct place *place, bool only_look)
{
    struct tables_reload reload = { .only_look = only_look, .done = reloaded, .arg = place };
    place->done = false;
    tables_reload(place->tables, &reload);
    if (!place->done)
        loop_run(place->loop);
}

struct asked {
    struct place *place;
    struct registry_request request;
};

static void answered(void *arg, const struct err *err)
{
    struct asked *asked = arg;
    assert_null(err);
    loop_stop(asked->place->loop);
}

static void shows(struct place *place, const char *address, const char *user)
{
    struct asked asked = { .place = place, .request = { .done = answered, .sender = { .now_us = 1 } } };
    asked.request.arg = &asked;
    assert_int_equal(mailkey_of(span_text(address), &asked.request.sender.key, NULL), 0);
    if (!registry_ask(place->registry, &asked.request))
        loop_run(place->loop);
    assert_string_equal(asked.request.answer.host.user.text, user);
}

static void a_wrong_reload_keeps_what_is_in_use(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    put(&place, "Ovdfile.dat", "MICROSFT LOCAL MSX\nMAPLEC1 CMS CMS\n");
    put(&place, "Route.tbl", "OAK(*) MAPLEC1\n");
    put(&place, "Cmsxmap.tbl", "ZIP BINARY\n");
    if (start(&place) == -1)
        fail_msg("%s", place.err.text);
    const struct table_set *const *current = tables_current(place.tables);
    const struct table_set *first = *current;
    assert_null(tables_problem(place.tables));
    assert_true(first->has_ovdfile);
    assert_int_equal(first->route_lines, 1);
    assert_true(first->has_cmsxmap);
    assert_false(first->has_dosxmap);
    assert_int_equal(first->cmsxmap.count, 1);
    shows(&place, "alice@example.org", "ALICE");
    static const struct {
        const char *name, *good, *bad, *said;
    } slips[] = {
        { "Ovdfile.dat", "MICROSFT LOCAL MSX\nMAPLEC1 CMS CMS\n", "MICROSFT LOCAL MSX\nMAPLEC1 CMS\n",
          "Ovdfile.dat line 2: three columns are needed, NODE MAILMAN LOCATION, for example OAK CMS CMS" },
        { "Route.tbl", "OAK(*) MAPLEC1\n", "OAK(*) ELM\n",
          "Route.tbl line 1: there is no section [link ELM] in the configuration" },
        { "Cmsxmap.tbl", "ZIP BINARY\n", "ZIP BINARY\nTXT ASCII85\n",
          "Cmsxmap.tbl line 2: behind the filetype stands EBCDIC or BINARY" },
        { "Dosxmap.tbl", NULL, "ZIP\n", "Dosxmap.tbl line 1: behind the filetype stands EBCDIC or BINARY" },
        { "people.csv", "alice@example.org,Alice\n", "alice@example.org,Alice\nbob\n",
          "people.csv line 2: \"bob\": the address has no @" },
    };
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        put(&place, slips[i].name, slips[i].bad);
        reload(&place, false);
        assert_true(place.failed);
        assert_string_equal(place.err.text, slips[i].said);
        assert_string_equal(tables_problem(place.tables), slips[i].said);
        assert_ptr_equal(*current, first);
        put(&place, slips[i].name, slips[i].good);
    }
    put(&place, "people.csv", "alice@example.org,Alice,BOSS\nbob@example.org,Bob\n");
    reload(&place, true); /* only looks */
    assert_false(place.failed);
    assert_int_equal(place.changes.added, 1);
    assert_int_equal(place.changes.changed, 1);
    shows(&place, "alice@example.org", "ALICE");
    reload(&place, false);
    assert_false(place.failed);
    assert_null(tables_problem(place.tables));
    assert_int_equal((*current)->people, 2);
    shows(&place, "alice@example.org", "BOSS"); /* not from memory */
    shows(&place, "bob@example.org", "BOB");
    place_unmake(&place);
}

static void nothing_starts_with_a_wrong_table(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    put(&place, "Ovdfile.dat", "OVCMNODE MAILMAN LOC\nCMSNODE CMS CMS\nEXCHNODE LOCAL LME\n");
    assert_int_equal(start(&place), -1);
    assert_int_equal(place.err.id, ERR_CONFIG);
    assert_int_equal(tables_check(&place.conf, &place.err), -1);
    put(&place, "Ovdfile.dat", NULL);
    put(&place, "people.csv", "bob\n"); /* but with wrong people the others go on */
    assert_int_equal(start(&place), 0);
    assert_string_equal(tables_problem(place.tables), "people.csv line 1: \"bob\": the address has no @");
    assert_false((*tables_current(place.tables))->has_ovdfile);
    place_unmake(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_reload_keeps_what_is_in_use),
        cmocka_unit_test(nothing_starts_with_a_wrong_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
