/* Folders for tests under /tmp, removed file by file: a file that a test did not expect to be there is a failure. */
#include "store/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct place place_empty(void)
{
    struct place place = { .state = "/tmp/ovvm-ledger-XXXXXX" };
    assert_non_null(mkdtemp(place.state));
    (void)snprintf(place.url, sizeof place.url, "sqlite:%s/ovvm.db", place.state);
    return place;
}

void place_open(struct place *place)
{
    struct err err = ERR_CLEAR;
    struct store_options options = { .url = place->url, .state = place->state, .create = true };
    if (store_open(&options, &place->store, &err) == -1)
        fail_msg("%s", err.text);
    place->db = store_db(place->store);
}

struct place place_new(void)
{
    struct place place = place_empty();
    place_open(&place);
    return place;
}

void place_close(struct place *place)
{
    store_close(place->store);
    place->store = NULL;
    place->db = NULL;
}

void place_remove(struct place *place)
{
    static const char *const names[] = { "ovvm.db", "ovvm.db-wal", "ovvm.db-shm" };
    if (place->store != NULL)
        place_close(place);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", place->state, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(place->state), 0);
}
