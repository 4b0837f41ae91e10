/* How long a look-up and a new registration take in a small ledger and in a large one:
 *
 *     registrations fill FOLDER COUNT       makes a ledger with so many senders
 *     registrations measure SMALL LARGE     measures both in one run, in turns, and prints the ratios
 *
 * Each measured operation goes the way the gateway goes: a job of the ledger's threads, and for a new sender its commit
 * on the disk. What it can tell is how the indexes grow; the absolute times are those of this disk and processor. */
#include "address/registry.h"
#include "address/userid.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "store/db.h"
#include "store/sequence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SAMPLES = 2000, ROUNDS = 3, FILL_BATCH = 100000, REGISTERED = 200, WARM_UP = 5000 };

static const struct registry_policy policy = { .node = { .text = "MICROSFT" }, .prefix = 'X', .on = true };

struct place {
    char state[256], url[300];
    struct loop *loop;
    struct store *store;
    struct registry *registry;
    int64_t count; /* senders it was filled with */
    int64_t next;  /* new ones are told apart by this */
    /* the operation under way */
    bool done;
    struct registry_request request;
    struct registry_lookup lookup;
};

static _Noreturn void give_up(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "registrations: %s: %s\n", what, err->text);
    exit(1);
}

/* --- filling --- */

/* The nth of the ledger; a later one (`between`) falls anywhere among them. */
static void address_of(int64_t n, int64_t between, struct mailkey *key_r)
{
    *key_r = (struct mailkey){ .text = "" };
    if (between == 0)
        (void)snprintf(key_r->text, sizeof key_r->text, "sender%09lld@example.com", (long long)n);
    else
        (void)snprintf(key_r->text, sizeof key_r->text, "sender%09lld.%lld@example.com", (long long)n,
                       (long long)between);
}

static void open_store(struct place *place, struct loop *loop)
{
    struct err err = ERR_CLEAR;
    struct store_options options = { .url = place->url, .state = place->state, .create = true, .loop = loop };
    if (store_open(&options, &place->store, &err) == -1)
        give_up("ledger", &err);
}

/* As registrations leave them, but many at a time. */
static void fill_rows(struct db *db, int64_t from, int64_t to)
{
    struct err err = ERR_CLEAR;
    int64_t now_us = clock_now();
    if (db_begin(db, &err) == -1 ||
        db_run(db, &err,
               "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"
               " INSERT INTO person (key, address, name, source, made_us, used_us)"
               " SELECT i, CAST(printf('sender%09d@example.com', i) AS BLOB), X'', 1, ?3, ?3 FROM n",
               "iii", from, to, now_us) == -1 ||
        db_run(db, &err,
               "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"
               " INSERT INTO host_address (node, user_id, person, kind, main, made_us, kind_us)"
               " SELECT 'MICROSFT', printf('X%07d', i), i, 2, 1, ?3, ?3 FROM n",
               "iii", from, to, now_us) == -1 ||
        sequence_raise(db, REGISTRY_SEQUENCE, to + 1, &err) == -1 || db_commit(db, &err) == -1 ||
        db_checkpoint(db, true, &err) == -1)
        give_up("filling", &err);
}

/* The last ones by registration, so that their numbers are seen to go on; with 10,000,100 also from X9999999 to
 * XA000000. */
static void fill_registered(struct place *place, struct db *db, int64_t to)
{
    struct err err = ERR_CLEAR;
    if (db_begin(db, &err) == -1)
        give_up("begin", &err);
    while (place->count < to) {
        struct registry_sender sender = { .now_us = clock_now() };
        struct registry_answer answer;
        struct name8 wanted;
        address_of(++place->count, 0, &sender.key);
        if (registry_resolve_out(db, &policy, &sender, &answer, &err) == -1 ||
            userid_of_number('X', place->count, &wanted) == -1)
            give_up("registration", &err);
        if (!name8_equal(wanted, answer.host.user)) {
            (void)fprintf(stderr, "registrations: number %lld is %s instead of %s\n", (long long)place->count,
                          answer.host.user.text, wanted.text);
            exit(1);
        }
    }
    if (sequence_raise(db, "filled", to, &err) == -1 || db_commit(db, &err) == -1 ||
        db_checkpoint(db, true, &err) == -1)
        give_up("commit", &err);
}

static void fill(struct place *place, int64_t to)
{
    int64_t begun = clock_steady();
    open_store(place, NULL);
    while (place->count < to - REGISTERED) {
        int64_t next = place->count + FILL_BATCH < to - REGISTERED ? place->count + FILL_BATCH : to - REGISTERED;
        fill_rows(store_db(place->store), place->count + 1, next);
        place->count = next;
    }
    fill_registered(place, store_db(place->store), to);
    store_close(place->store);
    struct name8 last;
    (void)userid_of_number('X', to, &last);
    printf("%s: %lld senders, the last one %s, in %.0f s\n", place->state, (long long)to, last.text,
           (double)(clock_steady() - begun) / (double)CLOCK_SECOND);
}

/* --- measuring --- */

static void done(void *arg, const struct err *err)
{
    struct place *place = arg;
    if (err != NULL)
        give_up("job", err);
    place->done = true;
    loop_stop(place->loop);
}

static void wait_done(struct place *place)
{
    while (!place->done)
        loop_run(place->loop);
}

static int64_t some(const struct place *place)
{
    return 1 + ((int64_t)clock_random_below(UINT32_MAX) * place->count) / (int64_t)UINT32_MAX;
}

/* A letter of a sender who wrote before, but is not remembered. */
static void known(struct place *place)
{
    place->request = (struct registry_request){ .sender = { .now_us = clock_now() }, .done = done, .arg = place };
    address_of(some(place), 0, &place->request.sender.key);
    registry_forget(place->registry);
    place->done = registry_ask(place->registry, &place->request);
    wait_done(place);
}

/* A note to a registered address. */
static void answered(struct place *place)
{
    place->lookup = (struct registry_lookup){ .host = { .node = policy.node }, .done = done, .arg = place };
    (void)userid_of_number('X', some(place), &place->lookup.host.user);
    place->done = false;
    registry_look_up(place->registry, &place->lookup);
    wait_done(place);
}

/* A letter of a new sender: until it is on the disk. */
static void new_sender(struct place *place)
{
    place->request = (struct registry_request){ .sender = { .now_us = clock_now() }, .done = done, .arg = place };
    address_of(some(place), ++place->next, &place->request.sender.key);
    place->done = registry_ask(place->registry, &place->request);
    wait_done(place);
}

/* --- the figures --- */

struct series {
    int64_t times[ROUNDS * SAMPLES];
    size_t count;
};

static int by_time(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a;
    int64_t second = *(const int64_t *)b;
    return (first > second) - (first < second);
}

static void measure(struct place *place, void (*operation)(struct place *place), struct series *series)
{
    for (int i = 0; i < WARM_UP; i++)
        operation(place);
    for (int i = 0; i < SAMPLES; i++) {
        int64_t begun = clock_steady();
        operation(place);
        series->times[series->count++] = clock_steady() - begun;
    }
}

static const struct {
    const char *name;
    void (*run)(struct place *place);
} operations[] = { { "known", known }, { "answered", answered }, { "new", new_sender } };
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static void open_place(struct place *place, const char *folder)
{
    struct err err = ERR_CLEAR;
    (void)snprintf(place->state, sizeof place->state, "%s", folder);
    (void)snprintf(place->url, sizeof place->url, "sqlite:%s/ovvm.db", folder);
    open_store(place, NULL);
    if (db_one_int(store_db(place->store), &place->count, &err, "SELECT next FROM sequence WHERE name = 'filled'",
                   "") != 1)
        give_up(folder, &err);
    if (db_one_int(store_db(place->store), &place->next, &err, "SELECT max(key) FROM person", "") != 1)
        give_up(folder, &err);
    store_close(place->store);
    place->loop = loop_new();
    if (place->loop == NULL)
        exit(1);
    open_store(place, place->loop);
    place->registry = registry_new(place->store, policy);
    if (place->registry == NULL)
        exit(1);
}

static double percentile(struct series *series, size_t percent)
{
    return (double)series->times[series->count * percent / 100];
}

static int measure_both(const char *const folders[2])
{
    static struct series series[2][OPERATIONS];
    static struct place places[2];
    for (int p = 0; p < 2; p++)
        open_place(&places[p], folders[p]);
    for (int round = 0; round < ROUNDS; round++)
        for (int o = 0; o < OPERATIONS; o++)
            for (int p = 0; p < 2; p++)
                measure(&places[p], operations[o].run, &series[p][o]);
    printf("operation      senders    p50 us    p99 us      senders    p50 us    p99 us   ratio of p99\n");
    for (int o = 0; o < OPERATIONS; o++) {
        for (int p = 0; p < 2; p++)
            qsort(series[p][o].times, series[p][o].count, sizeof series[p][o].times[0], by_time);
        printf("%-9s %12lld  %8.0f  %8.0f %12lld  %8.0f  %8.0f   %12.2f\n", operations[o].name,
               (long long)places[0].count, percentile(&series[0][o], 50), percentile(&series[0][o], 99),
               (long long)places[1].count, percentile(&series[1][o], 50), percentile(&series[1][o], 99),
               percentile(&series[1][o], 99) / percentile(&series[0][o], 99));
    }
    for (int p = 0; p < 2; p++) {
        store_close(places[p].store);
        registry_free(places[p].registry);
        loop_free(places[p].loop);
    }
    return 0;
}

int main(int argc, char **argv)
{
    log_set_level(LOG_ADDRESS, LOG_WARNING);
    if (argc == 4 && strcmp(argv[1], "measure") == 0)
        return measure_both((const char *const[]){ argv[2], argv[3] });
    int64_t count = argc == 4 ? strtoll(argv[3], NULL, 10) : 0;
    if (argc != 4 || strcmp(argv[1], "fill") != 0 || count <= REGISTERED) {
        (void)fputs("usage: registrations fill FOLDER COUNT\n       registrations measure SMALL LARGE\n", stderr);
        return 2;
    }
    static struct place place;
    if (mkdir(argv[2], 0700) == -1) {
        perror(argv[2]);
        return 1;
    }
    (void)snprintf(place.state, sizeof place.state, "%s", argv[2]);
    (void)snprintf(place.url, sizeof place.url, "sqlite:%s/ovvm.db", argv[2]);
    fill(&place, count);
    return 0;
}
