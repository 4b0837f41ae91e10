/* What is lost when these fail: the promise that a host address once shown to somebody leads to that person for ever.
 */
#include "address/registry.h"
#include "address/seen.h"
#include "address/userid.h"
#include "base/clock.h"
#include "base/loop.h"
#include "store/place.h"
#include "store/sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW INT64_C(1790000000000000)

static struct registry_policy numbers(void)
{
    return (struct registry_policy){ .node = { .text = "MICROSFT" }, .prefix = 'X', .on = true };
}

static struct registry_policy names(void)
{
    struct registry_policy policy = numbers();
    policy.by_name = true;
    return policy;
}

static struct registry_sender sender_of(const char *address)
{
    struct registry_sender sender = { .peer = "192.0.2.1", .now_us = NOW };
    struct err err = ERR_CLEAR;
    if (address[0] != '\0' && mailkey_of(span_text(address), &sender.key, &err) == -1)
        fail_msg("%s: %s", address, err.text);
    return sender;
}

static struct registry_answer resolve(struct db *db, struct registry_policy policy, struct registry_sender sender)
{
    struct registry_answer answer;
    struct err err = ERR_CLEAR;
    if (registry_resolve_out(db, &policy, &sender, &answer, &err) == -1)
        fail_msg("%s: %s", sender.key.text, err.text);
    return answer;
}

static void expect(struct db *db, struct registry_policy policy, const char *address, const char *user,
                   enum registry_how how)
{
    struct registry_answer answer = resolve(db, policy, sender_of(address));
    assert_string_equal(answer.host.user.text, user);
    assert_string_equal(answer.host.node.text, "MICROSFT");
    assert_int_equal(answer.how, how);
}

static struct host_address host(const char *text)
{
    struct host_address host;
    assert_int_equal(host_address_parse(span_text(text), &host, NULL), 0);
    return host;
}

static void owner_is(struct db *db, const char *text, const char *key)
{
    struct registry_owner owner;
    struct err err = ERR_CLEAR;
    if (registry_resolve_in(db, host(text), &owner, &err) == -1)
        fail_msg("%s", err.text);
    assert_string_equal(owner.person.address, key);
}

static void refused(struct db *db, const char *text)
{
    struct registry_owner owner;
    struct err err = ERR_CLEAR;
    assert_int_equal(registry_resolve_in(db, host(text), &owner, &err), -1);
    assert_int_equal(err.id, ERR_UNKNOWN_USER);
}

static void numbers_have_their_form(void **state)
{
    (void)state;
    static const struct {
        int64_t number;
        const char *text;
    } forms[] = { { 1, "X0000001" },
                  { 17, "X0000017" },
                  { 9999999, "X9999999" },
                  { 10000000, "XA000000" },
                  { 10000035, "XA00000Z" },
                  { 10000036, "XA000010" },
                  { INT64_C(10000000) + INT64_C(2176782336), "XB000000" },
                  { INT64_C(10000000) + 26 * INT64_C(2176782336) - 1, "XZZZZZZZ" } };
    struct name8 user;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_int_equal(userid_of_number('X', forms[i].number, &user), 0);
        assert_string_equal(user.text, forms[i].text);
        assert_true(userid_is_number(user, 'X'));
    }
    assert_int_equal(userid_of_number('X', 0, &user), -1);
    assert_int_equal(userid_of_number('X', INT64_C(10000000) + 26 * INT64_C(2176782336), &user), -1);
    static const char *const others[] = { "X000017", "Y0000017", "X000001A", "X", "XAVIER", "X0A00000", "XAB$0000" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(name8_parse(span_text(others[i]), "user", &user, NULL), 0);
        assert_false(userid_is_number(user, 'X'));
    }
}

static void text_is_folded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *folded;
    } all[] = { { "M\xC3\xBCller", "MULLER" },
                { "Stra\xC3\x9F"
                  "e",
                  "STRASSE" },
                { "\xC3\x86r\xC3\xB8", "AERO" },
                { "\xC5\x81ukasz", "LUKASZ" },
                { "a.b-c_d@e", "ABC_DE" },
                { "\xE6\x97\xA5\xE6\x9C\xAC", "" },
                { "na\xCC\x88h", "NAH" },
                { "\xFF"
                  "a\x80"
                  "b",
                  "AB" },
                { "O'Neil #1", "ONEIL#1" } };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct buf folded = { 0 };
        userid_fold(span_text(all[i].text), &folded);
        buf_add_u8(&folded, 0);
        assert_string_equal((const char *)folded.at, all[i].folded);
        buf_free(&folded);
    }
}

static void a_sender_has_one_address(void **state)
{
    (void)state;
    struct place place = place_new();
    expect(place.db, numbers(), "alice@example.com", "X0000001", REGISTRY_NEW);
    expect(place.db, numbers(), "bob@example.com", "X0000002", REGISTRY_NEW);
    expect(place.db, numbers(), "alice@EXAMPLE.com.", "X0000001", REGISTRY_KNOWN);
    expect(place.db, numbers(), "\"alice\"@example.com", "X0000001", REGISTRY_KNOWN);
    expect(place.db, numbers(), "Alice@example.com", "X0000003", REGISTRY_NEW); /* another mailbox, says RFC 5321 */
    owner_is(place.db, "MICROSFT(X0000001)", "alice@example.com");
    owner_is(place.db, "microsft(x0000002)", "bob@example.com");
    refused(place.db, "MICROSFT(X0000004)");
    refused(place.db, "MICROSFT(NOBODY)");
    place_remove(&place);
}

static void reports_and_the_unregistered_come_from_the_postmaster(void **state)
{
    (void)state;
    struct place place = place_new();
    struct registry_policy policy = numbers();
    struct registry_owner owner;
    int64_t rows = 0;
    expect(place.db, policy, "", "POSTMAST", REGISTRY_NO_SENDER);
    policy.on = false;
    expect(place.db, policy, "alice@example.com", "POSTMAST", REGISTRY_OFF);
    assert_int_equal(db_one_int(place.db, &rows, NULL, "SELECT count(*) FROM host_address", ""), 1);
    assert_int_equal(rows, 0);
    expect(place.db, numbers(), "alice@example.com", "X0000001", REGISTRY_NEW);
    expect(place.db, policy, "alice@example.com", "X0000001", REGISTRY_KNOWN);
    assert_int_equal(registry_resolve_in(place.db, host("MICROSFT(POSTMAST)"), &owner, NULL), 0);
    assert_true(owner.postmaster);
    place_remove(&place);
}

static void a_flood_of_senders_is_delivered_and_not_registered(void **state)
{
    (void)state;
    struct place place = place_new();
    struct registry_policy policy = numbers();
    policy.limit = 2;
    expect(place.db, policy, "a@example.com", "X0000001", REGISTRY_NEW);
    expect(place.db, policy, "b@example.com", "X0000002", REGISTRY_NEW);
    expect(place.db, policy, "c@example.com", "POSTMAST", REGISTRY_OVER_LIMIT);
    expect(place.db, policy, "a@example.com", "X0000001", REGISTRY_KNOWN);
    struct registry_sender other = sender_of("c@example.com");
    (void)snprintf(other.peer, sizeof other.peer, "192.0.2.2");
    assert_int_equal(resolve(place.db, policy, other).how, REGISTRY_NEW);
    place_close(&place); /* a restart forgets nothing */
    place_open(&place);
    expect(place.db, policy, "d@example.com", "POSTMAST", REGISTRY_OVER_LIMIT);
    struct registry_sender tomorrow = sender_of("d@example.com");
    tomorrow.now_us += CLOCK_DAY;
    assert_int_equal(resolve(place.db, policy, tomorrow).how, REGISTRY_NEW);
    place_remove(&place);
}

static void names_are_made_from_the_senders(void **state)
{
    (void)state;
    struct place place = place_new();
    expect(place.db, names(), "alice@example.com", "ALICE", REGISTRY_NEW);
    expect(place.db, names(), "alice@example.net", "ALICE2", REGISTRY_NEW);
    expect(place.db, names(), "alice@example.org", "ALICE3", REGISTRY_NEW);
    expect(place.db, names(), "longish.name@example.org", "LONGISHN", REGISTRY_NEW);
    expect(place.db, names(), "longish.name@example.net", "LONGISH2", REGISTRY_NEW);
    expect(place.db, names(), "x0000007@example.net", "X000000", REGISTRY_NEW); /* eight would be a number's */
    expect(place.db, names(), "xavierguinard@example.net", "XAVIERG", REGISTRY_NEW);
    expect(place.db, names(), "system@example.net", "SYSTEM2", REGISTRY_NEW);
    expect(place.db, names(), "postmaster@example.net", "POSTMAS2", REGISTRY_NEW);
    expect(place.db, names(), "1234bob@example.net", "BOB", REGISTRY_NEW);
    struct registry_sender sender = sender_of("\xE6\x97\xA5\xE6\x9C\xAC@example.net");
    (void)snprintf(sender.name, sizeof sender.name, "Nippon");
    assert_string_equal(resolve(place.db, names(), sender).host.user.text, "NIPPON");
    place_remove(&place);
}

static void a_taken_number_is_skipped(void **state)
{
    (void)state;
    struct place place = place_new();
    int64_t key = 0;
    assert_int_equal(person_add(place.db, "old@example.com", "", PERSON_SENDER, NOW, &key, NULL), 0);
    for (int i = 1; i <= 3; i++) {
        struct name8 user;
        assert_int_equal(userid_of_number('X', i, &user), 0);
        assert_int_equal(person_host_add(place.db, host("MICROSFT(A)").node, user, key, HOST_BY_NUMBER, NOW, NULL), 1);
    }
    expect(place.db, numbers(), "new@example.com", "X0000004", REGISTRY_NEW);
    assert_int_equal(sequence_raise(place.db, "registration", 10000000, NULL), 0);
    expect(place.db, numbers(), "later@example.com", "XA000000", REGISTRY_NEW);
    place_remove(&place);
}

static void the_ten_millionth_sender_is_registered_like_any_other(void **state)
{
    (void)state;
    struct place place = place_new();
    assert_int_equal(sequence_raise(place.db, "registration", 9999999, NULL), 0);
    expect(place.db, numbers(), "last.plain@example.com", "X9999999", REGISTRY_NEW);
    expect(place.db, numbers(), "first.of.many@example.com", "XA000000", REGISTRY_NEW);
    expect(place.db, numbers(), "second.of.many@example.com", "XA000001", REGISTRY_NEW);
    expect(place.db, numbers(), "last.plain@example.com", "X9999999", REGISTRY_KNOWN);
    owner_is(place.db, "MICROSFT(X9999999)", "last.plain@example.com");
    owner_is(place.db, "MICROSFT(XA000000)", "first.of.many@example.com");
    place_remove(&place);
}

static void operators_give_and_take(void **state)
{
    (void)state;
    struct place place = place_new();
    struct registry_policy policy = numbers();
    struct registry_answer answer;
    struct err err = ERR_CLEAR;
    struct mailkey alice = sender_of("alice@example.com").key;
    struct mailkey bob = sender_of("bob@example.com").key;
    expect(place.db, policy, "alice@example.com", "X0000001", REGISTRY_NEW);
    assert_int_equal(registry_enter(place.db, &policy, &alice, "Alice", host("MICROSFT(ALICE)"), NOW, &answer, &err),
                     0);
    expect(place.db, policy, "alice@example.com", "ALICE", REGISTRY_KNOWN);
    owner_is(place.db, "MICROSFT(X0000001)", "alice@example.com"); /* the old one is answered to */
    static const char *const never[] = { "MICROSFT(ALICE)",    "MICROSFT(X0000001)", "MICROSFT(X0000099)",
                                         "MICROSFT(XABCDEFG)", "MICROSFT(SYSTEM)",   "MICROSFT(POSTMAST)" };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        assert_int_equal(registry_enter(place.db, &policy, &bob, "", host(never[i]), NOW, &answer, &err), -1);
        assert_int_equal(err.id, ERR_REFUSED);
    }
    assert_int_equal(registry_retire(place.db, host("MICROSFT(ALICE)"), NOW, &err), 0);
    refused(place.db, "MICROSFT(ALICE)");
    expect(place.db, policy, "alice@example.com", "X0000001", REGISTRY_KNOWN);
    assert_int_equal(registry_retire(place.db, host("MICROSFT(X0000001)"), NOW, &err), 0);
    refused(place.db, "MICROSFT(X0000001)");
    assert_int_equal(registry_enter(place.db, &policy, &bob, "", host("MICROSFT(ALICE)"), NOW, &answer, &err), -1);
    expect(place.db, policy, "bob@example.com", "X0000002", REGISTRY_NEW);
    struct registry_answer back = resolve(place.db, policy, sender_of("alice@example.com"));
    owner_is(place.db, host_address_text(back.host).text, "alice@example.com"); /* writes again: in use again */
    assert_int_equal(registry_retire(place.db, host("MICROSFT(NEVER)"), NOW, &err), -1);
    assert_int_equal(err.id, ERR_NOT_FOUND);
    place_remove(&place);
}

static void ten_thousand_senders_thrice(void **state)
{
    (void)state;
    struct place place = place_new();
    int64_t rows = 0;
    assert_int_equal(db_begin(place.db, NULL), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10000; i++) {
            char address[64], user[16];
            (void)snprintf(address, sizeof address, "sender%d@%s", i, round == 1 ? "EXAMPLE.com" : "example.com");
            (void)snprintf(user, sizeof user, "X%07d", i + 1);
            expect(place.db, numbers(), address, user, round == 0 ? REGISTRY_NEW : REGISTRY_KNOWN);
        }
    }
    assert_int_equal(db_commit(place.db, NULL), 0);
    assert_int_equal(db_one_int(place.db, &rows, NULL, "SELECT count(*) FROM person", ""), 1);
    assert_int_equal(rows, 10000);
    assert_int_equal(db_one_int(place.db, &rows, NULL, "SELECT count(*) FROM host_address", ""), 1);
    assert_int_equal(rows, 10000);
    place_remove(&place);
}

static void five_thousand_people_of_one_name(void **state)
{
    (void)state;
    struct place place = place_new();
    assert_int_equal(db_begin(place.db, NULL), 0);
    for (int i = 0; i < 5000; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "johndoe@host%d.example", i);
        struct registry_answer answer = resolve(place.db, names(), sender_of(address));
        assert_int_equal(answer.how, REGISTRY_NEW);
        assert_int_equal(answer.kind, HOST_BY_NAME);
        assert_memory_equal(answer.host.user.text, "JOH", 3);
        assert_false(userid_is_number(answer.host.user, 'X'));
    }
    assert_int_equal(db_commit(place.db, NULL), 0);
    place_remove(&place);
}

/* Random senders in random order and style, a job in four rolled back, the ledger closed and opened in between: the
 * same key keeps its first address, and no address is seen with two keys. */
static void whatever_happens_nobody_gets_the_address_of_another(void **state)
{
    (void)state;
    enum { KEYS = 300, STEPS = 6000 };
    static struct host_address given[KEYS];
    struct place place = place_new();
    memset(given, 0, sizeof given);
    clock_test_set(NOW, 4711);
    for (int step = 0; step < STEPS; step++) {
        char address[64];
        int key = (int)clock_random_below(KEYS);
        bool rolled_back = clock_random_below(4) == 0;
        (void)snprintf(address, sizeof address, "%s%d@d%d.example", key % 3 == 0 ? "johndoe" : "x00000", key / 7,
                       key % 7);
        assert_int_equal(db_begin(place.db, NULL), 0);
        struct registry_answer answer =
            resolve(place.db, clock_random_below(2) == 0 ? names() : numbers(), sender_of(address));
        if (rolled_back) {
            db_rollback(place.db);
        } else {
            assert_int_equal(db_commit(place.db, NULL), 0);
            if (name8_empty(given[key].user))
                given[key] = answer.host;
            assert_string_equal(given[key].user.text, answer.host.user.text);
            owner_is(place.db, host_address_text(answer.host).text, address);
        }
        if (clock_random_below(500) == 0) {
            place_close(&place);
            place_open(&place);
        }
    }
    for (int a = 0; a < KEYS; a++)
        for (int b = 0; b < a; b++)
            assert_true(name8_empty(given[a].user) || !name8_equal(given[a].user, given[b].user));
    place_remove(&place);
}

/* --- in the loop --- */

struct asking {
    struct loop *loop;
    struct registry_request request;
    int answers;
};

static void asked(void *arg, const struct err *err)
{
    struct asking *asking = arg;
    assert_null(err);
    asking->answers++;
    loop_stop(asking->loop);
}

static void ask(struct registry *registry, struct asking *asking, const char *address)
{
    asking->request.sender = sender_of(address);
    asking->request.done = asked;
    asking->request.arg = asking;
    if (!registry_ask(registry, &asking->request))
        loop_run(asking->loop);
}

static void a_sender_seen_before_needs_no_job(void **state)
{
    (void)state;
    struct place place = place_new();
    struct err err = ERR_CLEAR;
    place_close(&place);
    struct asking asking = { .loop = loop_new() };
    struct store_options options = { .url = place.url, .state = place.state, .loop = asking.loop };
    assert_int_equal(store_open(&options, &place.store, &err), 0);
    struct registry *registry = registry_new(place.store, numbers());
    assert_non_null(registry);
    ask(registry, &asking, "alice@example.com");
    assert_int_equal(asking.request.answer.how, REGISTRY_NEW);
    assert_int_equal(asking.answers, 1);
    ask(registry, &asking, "alice@example.com");
    assert_int_equal(asking.answers, 1);
    assert_string_equal(asking.request.answer.host.user.text, "X0000001");
    ask(registry, &asking, "");
    assert_int_equal(asking.answers, 1);
    assert_string_equal(asking.request.answer.host.user.text, "POSTMAST");
    registry_forget(registry);
    ask(registry, &asking, "alice@example.com");
    assert_int_equal(asking.answers, 2);
    assert_int_equal(asking.request.answer.how, REGISTRY_KNOWN);
    struct registry_figures figures = registry_figures(registry);
    assert_int_equal(figures.asked, 4);
    assert_int_equal(figures.from_memory, 1);
    assert_int_equal(figures.registered, 1);
    place_close(&place);
    registry_free(registry);
    loop_free(asking.loop);
    place_open(&place);
    place_remove(&place);
}

struct looking {
    struct loop *loop;
    struct registry_lookup lookup;
    enum err_id id;
};

static void looked_up(void *arg, const struct err *err)
{
    struct looking *looking = arg;
    looking->id = err != NULL ? err->id : ERR_NONE;
    loop_stop(looking->loop);
}

static void an_answer_finds_its_way(void **state)
{
    (void)state;
    struct place place = place_new();
    struct err err = ERR_CLEAR;
    expect(place.db, numbers(), "alice@example.com", "X0000001", REGISTRY_NEW);
    place_close(&place);
    struct looking looking = { .loop = loop_new(), .lookup = { .done = looked_up, .arg = &looking } };
    struct store_options options = { .url = place.url, .state = place.state, .loop = looking.loop };
    assert_int_equal(store_open(&options, &place.store, &err), 0);
    struct registry *registry = registry_new(place.store, numbers());
    looking.lookup.host = host("MICROSFT(X0000001)");
    registry_look_up(registry, &looking.lookup);
    loop_run(looking.loop);
    assert_int_equal(looking.id, ERR_NONE);
    assert_string_equal(looking.lookup.owner.person.address, "alice@example.com");
    looking.lookup.host = host("MICROSFT(X0000002)");
    registry_look_up(registry, &looking.lookup);
    loop_run(looking.loop);
    assert_int_equal(looking.id, ERR_UNKNOWN_USER);
    place_close(&place);
    registry_free(registry);
    loop_free(looking.loop);
    place_open(&place);
    place_remove(&place);
}

static void memory_is_bounded_and_keeps_the_latest(void **state)
{
    (void)state;
    struct seen *seen = seen_new(100);
    struct seen_one one = { .host = host("MICROSFT(X0000001)") };
    char key[32];
    assert_non_null(seen);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(key, sizeof key, "k%d@example.com", i);
            one.person = i;
            seen_keep(seen, key, &one);
            assert_true(seen_find(seen, "k0@example.com", &one)); /* used all the time: stays */
            assert_int_equal(one.person, 0);
        }
        assert_int_equal(seen_count(seen), 100);
        assert_true(seen_find(seen, "k999@example.com", &one));
        assert_int_equal(one.person, 999);
        assert_false(seen_find(seen, "k500@example.com", &one));
        seen_clear(seen);
        assert_false(seen_find(seen, "k0@example.com", &one));
    }
    seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_their_form),
        cmocka_unit_test(text_is_folded),
        cmocka_unit_test(a_sender_has_one_address),
        cmocka_unit_test(reports_and_the_unregistered_come_from_the_postmaster),
        cmocka_unit_test(a_flood_of_senders_is_delivered_and_not_registered),
        cmocka_unit_test(names_are_made_from_the_senders),
        cmocka_unit_test(a_taken_number_is_skipped),
        cmocka_unit_test(the_ten_millionth_sender_is_registered_like_any_other),
        cmocka_unit_test(operators_give_and_take),
        cmocka_unit_test(ten_thousand_senders_thrice),
        cmocka_unit_test(five_thousand_people_of_one_name),
        cmocka_unit_test(a_sender_seen_before_needs_no_job),
        cmocka_unit_test(an_answer_finds_its_way),
        cmocka_unit_test(memory_is_bounded_and_keeps_the_latest),
        cmocka_unit_test(whatever_happens_nobody_gets_the_address_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
