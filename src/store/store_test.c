/* What is lost when these fail: letters. */
#include "base/clock.h"
#include "base/loop.h"
#include "store/instance.h"
#include "store/item.h"
#include "store/njefiles.h"
#include "store/place.h"
#include "store/schema.h"
#include "store/sequence.h"
#include "store/store.h"
#include "store/track.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct store *open_tool(struct place place)
{
    struct store *store = NULL;
    struct err err = ERR_CLEAR;
    struct store_options options = { .url = place.url, .state = place.state, .create = true };
    if (store_open(&options, &store, &err) == -1)
        fail_msg("%s", err.text);
    return store;
}

static struct item an_item(enum queue queue, const char *sender)
{
    struct item item = { .key = item_key_new(), .id = ulid_new(), .queue = queue, .sender = span_text(sender) };
    item.letter = item.id;
    item.arrived_us = item.due_us = clock_now();
    return item;
}

static void an_item_comes_back_whole(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct db *db = store_db(store);
    struct err err = ERR_CLEAR;
    struct item_recipient to[2] = { { .address = SPAN_LITERAL("georgeb@maplec1.vm.example.org") },
                                    { .address = SPAN_LITERAL("a,\"b\"@vm.example.org") } };
    struct item item = an_item(QUEUE_MAIL_IN, "alice@example.com");
    item.recipients = to;
    item.recipient_count = 2;
    item.size = 5;
    assert_int_equal(item_insert(db, &item, SPAN_LITERAL("hello"), 0, &err), 0);
    struct item back;
    assert_int_equal(item_load(db, item.key, &back, &err), 1);
    assert_true(span_equal(back.sender, item.sender));
    assert_int_equal(back.recipient_count, 2);
    assert_true(span_equal(back.recipients[1].address, to[1].address));
    assert_string_equal(back.id.text, item.id.text);
    struct buf content = { 0 };
    assert_int_equal(item_content_read(db, item.key, 1, 100, &content, &err), 0);
    assert_true(span_equal(buf_span(&content), SPAN_LITERAL("ello")));
    item_free(&back);
    assert_int_equal(item_remove(db, item.key, &err), 0);
    assert_int_equal(item_load(db, item.key, &back, &err), 0);
    assert_int_equal(item_remove(db, item.key, &err), -1);
    buf_free(&content);
    store_close(store);
    place_remove(&place);
}

static void a_large_content_is_read_across_chunks_and_purged(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct db *db = store_db(store);
    struct err err = ERR_CLEAR;
    struct item item = an_item(QUEUE_HOST_OUT, "X0000001@MICROSFT");
    enum { CHUNKS = 20 };
    struct buf chunk = { 0 };
    assert_int_equal(item_write_begin(db, item.key, item.id, &err), 0);
    struct item nothing;
    assert_int_equal(item_load(db, item.key, &nothing, &err), 0); /* invisible until it is complete */
    for (unsigned i = 0; i < CHUNKS; i++) {
        buf_clear(&chunk);
        buf_add_fill(&chunk, (uint8_t)i, ITEM_CHUNK_SIZE);
        assert_int_equal(item_chunk_write(db, item.key, i, buf_span(&chunk), &err), 0);
    }
    item.size = CHUNKS * (uint64_t)ITEM_CHUNK_SIZE;
    assert_int_equal(item_write_end(db, &item, &err), 0);
    struct buf content = { 0 };
    assert_int_equal(item_content_read(db, item.key, ITEM_CHUNK_SIZE - 1, ITEM_CHUNK_SIZE + 2, &content, &err), 0);
    assert_int_equal(content.size, ITEM_CHUNK_SIZE + 2);
    assert_int_equal(content.at[0], 0);
    assert_int_equal(content.at[1], 1);
    assert_int_equal(content.at[content.size - 1], 2);
    assert_int_equal(item_remove(db, item.key, &err), 0);
    int more = 1;
    int rounds = 0;
    while (more == 1) {
        more = item_purge(db, &err);
        rounds++;
    }
    assert_int_equal(more, 0);
    assert_int_equal(rounds, 3); /* 16 chunks, 4 chunks, none */
    int64_t left = -1;
    assert_int_equal(db_one_int(db, &left, &err, "SELECT count(*) FROM content", ""), 1);
    assert_int_equal(left, 0);
    buf_free(&chunk);
    buf_free(&content);
    store_close(store);
    place_remove(&place);
}

static void due_items_come_oldest_first_and_only_for_their_door(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct db *db = store_db(store);
    struct err err = ERR_CLEAR;
    int64_t keys[3];
    for (int i = 0; i < 3; i++) {
        struct item item = an_item(QUEUE_HOST_OUT, "A(B)");
        (void)snprintf(item.door, sizeof item.door, "%s", i == 1 ? "OTHER" : "MAPLEC1");
        item.due_us = 1000 - i;
        keys[i] = item.key;
        assert_int_equal(item_insert(db, &item, SPAN_EMPTY, 0, &err), 0);
    }
    struct item_due due[8];
    size_t count = 0;
    int64_t next_us = 0;
    assert_int_equal(item_due_list(db, QUEUE_HOST_OUT, "MAPLEC1", 2000, 0, 0, due, 8, &count, &next_us, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(due[0].key, keys[2]);
    assert_int_equal(due[1].key, keys[0]);
    assert_int_equal(
        item_due_list(db, QUEUE_HOST_OUT, "MAPLEC1", 2000, due[0].due_us, due[0].key, due, 8, &count, &next_us, &err),
        0);
    assert_int_equal(count, 1);
    assert_int_equal(item_defer(db, keys[0], 5000, "later", &err), 0);
    assert_int_equal(item_set_state(db, keys[2], ITEM_QUARANTINED, "bad", &err), 0);
    assert_int_equal(item_due_list(db, QUEUE_HOST_OUT, "MAPLEC1", 2000, 0, 0, due, 8, &count, &next_us, &err), 0);
    assert_int_equal(count, 0);
    assert_int_equal(next_us, 5000);
    struct queue_depth depths[QUEUES];
    assert_int_equal(queue_depths(db, depths, &err), 0);
    assert_int_equal(depths[QUEUE_HOST_OUT].count[ITEM_READY], 2);
    assert_int_equal(depths[QUEUE_HOST_OUT].count[ITEM_QUARANTINED], 1);
    store_close(store);
    place_remove(&place);
}

static void sequences_only_grow(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct db *db = store_db(store);
    struct err err = ERR_CLEAR;
    int64_t first = 0;
    assert_int_equal(sequence_reserve(db, "registration", 1, 100, &first, &err), 0);
    assert_int_equal(first, 1);
    assert_int_equal(sequence_reserve(db, "registration", 1, 1, &first, &err), 0);
    assert_int_equal(first, 101);
    assert_int_equal(sequence_raise(db, "registration", 50, &err), 0);
    assert_int_equal(sequence_reserve(db, "registration", 1, 1, &first, &err), 0);
    assert_int_equal(first, 102);
    assert_int_equal(sequence_raise(db, "registration", 5000, &err), 0);
    assert_int_equal(sequence_reserve(db, "registration", 1, 1, &first, &err), 0);
    assert_int_equal(first, 5000);
    store_close(store);
    place_remove(&place);
}

static void a_copy_is_known_only_while_its_acknowledgement_is_unsure(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct db *db = store_db(store);
    struct err err = ERR_CLEAR;
    struct njefile_seen seen = {
        .link = "MAPLEC1", .job = "A(B) 17 …", .sha256 = SPAN_LITERAL("0123"), .can_repeat = true
    };
    struct ulid first = ulid_new();
    struct ulid second = ulid_new();
    struct ulid copy_of;
    assert_int_equal(njefile_take(db, &seen, first, 1, &copy_of, &err), 0);
    assert_int_equal(njefile_take(db, &seen, second, 2, &copy_of, &err), 1);
    assert_string_equal(copy_of.text, first.text);
    seen.sha256 = SPAN_LITERAL("0124"); /* another content: another file */
    assert_int_equal(njefile_take(db, &seen, second, 2, &copy_of, &err), 0);
    seen.sha256 = SPAN_LITERAL("0123");
    seen.can_repeat = false; /* zero entry time: never a copy */
    assert_int_equal(njefile_take(db, &seen, ulid_new(), 2, &copy_of, &err), 0);
    seen.can_repeat = true;
    assert_int_equal(njefile_confirm(db, first, &err), 0);
    assert_int_equal(db_run(db, &err, "UPDATE nje_seen SET unsure = 0", ""), 3);
    assert_int_equal(njefile_take(db, &seen, ulid_new(), 3, &copy_of, &err), 0);
    store_close(store);
    place_remove(&place);
}

static void job_ids_cycle_and_skip_those_in_use(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct db *db = store_db(store);
    struct err err = ERR_CLEAR;
    unsigned job_id = 0;
    size_t count = 0;
    assert_int_equal(njefile_job_ids(db, "MICROSFT", 1, &job_id, &count, &err), 0);
    assert_int_equal(job_id, 1);
    struct item waiting = an_item(QUEUE_HOST_OUT, "MICROSFT(X0000001)");
    assert_int_equal(item_insert(db, &waiting, SPAN_EMPTY, 0, &err), 0);
    struct njefile_sent sent = { .node = "MICROSFT",
                                 .job_id = 2,
                                 .link = "M",
                                 .origin = "",
                                 .destination = "",
                                 .item = waiting.id,
                                 .letter = waiting.id,
                                 .sender = SPAN_EMPTY };
    assert_int_equal(njefile_sent(db, &sent, 1, &err), 0);
    assert_int_equal(njefile_job_ids(db, "MICROSFT", 1, &job_id, &count, &err), 0);
    assert_int_equal(job_id, 3);
    assert_int_equal(sequence_raise(db, "job:MICROSFT", 9998, &err), 0);
    assert_int_equal(njefile_job_ids(db, "MICROSFT", 1, &job_id, &count, &err), 0);
    assert_int_equal(job_id, 9999);
    assert_int_equal(njefile_job_ids(db, "MICROSFT", 1, &job_id, &count, &err), 0);
    assert_int_equal(job_id, 1);
    store_close(store);
    place_remove(&place);
}

static void two_files_that_wait_never_share_a_job_id(void **state)
{
    enum { IDS = 9999, FREE = 2, WANTED = 5 };
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct db *db = store_db(store);
    struct err err = ERR_CLEAR;
    unsigned job_ids[WANTED];
    size_t count = 0;
    struct item waiting = an_item(QUEUE_HOST_OUT, "MICROSFT(X0000001)");
    assert_int_equal(item_insert(db, &waiting, SPAN_EMPTY, 0, &err), 0);
    struct njefile_sent sent = { .node = "MICROSFT",
                                 .link = "M",
                                 .origin = "",
                                 .destination = "",
                                 .item = waiting.id,
                                 .letter = waiting.id,
                                 .sender = SPAN_EMPTY };
    assert_int_equal(db_begin(db, &err), 0);
    for (sent.job_id = 1; sent.job_id <= IDS - FREE; sent.job_id++)
        assert_int_equal(njefile_sent(db, &sent, 1, &err), 0);
    assert_int_equal(njefile_job_ids(db, "MICROSFT", WANTED, job_ids, &count, &err), 0);
    assert_int_equal(count, FREE);
    assert_int_equal(job_ids[0], IDS - 1);
    assert_int_equal(job_ids[1], IDS);
    for (; sent.job_id <= IDS; sent.job_id++)
        assert_int_equal(njefile_sent(db, &sent, 1, &err), 0);
    assert_int_equal(njefile_job_ids(db, "MICROSFT", WANTED, job_ids, &count, &err), -1);
    assert_int_equal(err.id, ERR_BUSY);
    assert_int_equal(db_commit(db, &err), 0);
    store_close(store);
    place_remove(&place);
}

static void a_moved_or_newer_ledger_is_refused(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct store *store = open_tool(place);
    struct err err = ERR_CLEAR;
    assert_true(db_run(store_db(store), &err, "UPDATE instance SET path = '/somewhere/else'", "") == 1);
    store_close(store);
    struct store_options options = { .url = place.url, .state = place.state };
    assert_int_equal(store_open(&options, &store, &err), -1);
    assert_int_equal(err.id, ERR_REFUSED);
    assert_non_null(strstr(err.text, "ovvm relocate adopt"));
    struct db *db = NULL;
    assert_int_equal(db_open(&(struct db_options){ .path = place.url + strlen("sqlite:") }, &db, &err), 0);
    assert_true(db_run(db, &err, "UPDATE instance SET schema_version = 1000", "") == 1);
    db_close(db);
    assert_int_equal(store_open(&options, &store, &err), -1);
    assert_int_equal(err.id, ERR_CONFIG);
    place_remove(&place);
}

/* --- jobs --- */

struct bench {
    struct loop *loop;
    struct store *store;
    int left;
    int failures;
    bool closing;
};

struct letter_job {
    struct store_job job;
    struct bench *bench;
    struct item item;
    bool bad;
};

static int insert_work(struct db *db, void *arg, struct err *err)
{
    struct letter_job *letter = arg;
    if (item_insert(db, &letter->item, SPAN_LITERAL("text"), 0, err) == -1)
        return -1;
    return letter->bad ? err_set(err, ERR_BUG, "this one is bad") : 0;
}

static void insert_done(void *arg, const struct err *err)
{
    struct letter_job *letter = arg;
    letter->bench->failures += err != NULL ? 1 : 0;
    if (--letter->bench->left == 0)
        loop_stop(letter->bench->loop);
}

static void one_bad_letter_fails_alone_and_commits_are_shared(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct bench bench = { .loop = loop_new() };
    struct err err = ERR_CLEAR;
    struct store_options options = { .url = place.url, .state = place.state, .create = true, .loop = bench.loop };
    assert_int_equal(store_open(&options, &bench.store, &err), 0);
    enum { LETTERS = 200 };
    struct letter_job letters[LETTERS];
    bench.left = LETTERS;
    for (int i = 0; i < LETTERS; i++) {
        letters[i] = (struct letter_job){ .bench = &bench, .item = an_item(QUEUE_MAIL_IN, "a@b"), .bad = i % 10 == 3 };
        letters[i].job = (struct store_job){ .work = insert_work, .done = insert_done, .arg = &letters[i] };
        store_write(bench.store, &letters[i].job);
    }
    loop_run(bench.loop);
    assert_int_equal(bench.failures, LETTERS / 10);
    struct store_figures figures = store_figures(bench.store);
    assert_int_equal(figures.jobs, LETTERS);
    assert_true(figures.commits < LETTERS / 2);
    store_close(bench.store);
    struct store *tool = open_tool(place);
    int64_t count = 0;
    assert_int_equal(db_one_int(store_db(tool), &count, &err, "SELECT count(*) FROM item", ""), 1);
    assert_int_equal(count, LETTERS - LETTERS / 10);
    store_close(tool);
    loop_free(bench.loop);
    place_remove(&place);
}

static void only_one_daemon_has_the_ledger(void **state)
{
    (void)state;
    struct place place = place_empty();
    struct loop *loop = loop_new();
    struct err err = ERR_CLEAR;
    struct store *first = NULL;
    struct store *second = NULL;
    struct store_options options = { .url = place.url, .state = place.state, .create = true, .loop = loop };
    assert_int_equal(store_open(&options, &first, &err), 0);
    assert_int_equal(store_open(&options, &second, &err), -1);
    assert_int_equal(err.id, ERR_REFUSED);
    store_close(first);
    loop_free(loop);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_comes_back_whole),
        cmocka_unit_test(a_large_content_is_read_across_chunks_and_purged),
        cmocka_unit_test(due_items_come_oldest_first_and_only_for_their_door),
        cmocka_unit_test(sequences_only_grow),
        cmocka_unit_test(a_copy_is_known_only_while_its_acknowledgement_is_unsure),
        cmocka_unit_test(job_ids_cycle_and_skip_those_in_use),
        cmocka_unit_test(two_files_that_wait_never_share_a_job_id),
        cmocka_unit_test(a_moved_or_newer_ledger_is_refused),
        cmocka_unit_test(one_bad_letter_fails_alone_and_commits_are_shared),
        cmocka_unit_test(only_one_daemon_has_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
