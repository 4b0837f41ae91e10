/* What is lost when these fail: addresses run out, double or change hands in the long run, as they did in the product
 * whose articles the tests are named after.
 */
#include "address/registry.h"
#include "base/clock.h"
#include "store/correlation.h"
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

static struct place place;
static struct db *db;

static int open_ledger(void **state)
{
    (void)state;
    place = place_new();
    db = place.db;
    return db_begin(db, NULL);
}

static int close_ledger(void **state)
{
    (void)state;
    db_rollback(db);
    place_remove(&place);
    return 0;
}

static const struct registry_policy numbers = { .node = { .text = "MICROSFT" }, .prefix = 'X', .on = true };
static const struct registry_policy names = {
    .node = { .text = "MICROSFT" }, .prefix = 'X', .on = true, .by_name = true
};

static struct host_address host(const char *text)
{
    struct host_address address = { .node = { .text = "" } };
    assert_int_equal(host_address_parse(span_text(text), &address, NULL), 0);
    return address;
}

static struct mailkey key_of(const char *address)
{
    struct mailkey key;
    assert_int_equal(mailkey_of(span_text(address), &key, NULL), 0);
    return key;
}

static struct registry_answer writes(const struct registry_policy *policy, const char *address, int64_t now_us)
{
    struct registry_sender sender = { .peer = "192.0.2.1", .now_us = now_us, .key = key_of(address) };
    struct registry_answer answer;
    struct err err = ERR_CLEAR;
    if (registry_resolve_out(db, policy, &sender, &answer, &err) == -1)
        fail_msg("%s: %s", address, err.text);
    return answer;
}

static int64_t count(const char *sql)
{
    int64_t number = 0;
    assert_int_equal(db_one_int(db, &number, NULL, sql, ""), 1);
    return number;
}

static int age(int64_t before_us, size_t *aged_r)
{
    int64_t after = 0;
    size_t aged = 0;
    *aged_r = 0;
    do {
        if (registry_age(db, before_us, 2, &after, &aged, NULL) == -1)
            return -1;
        *aged_r += aged;
    } while (after != 0);
    return 0;
}

/* TP-05: there, 8,000 senders filled the table, and from then on every letter was returned. */
static void q185330_seventeen_thousand_senders_are_no_limit(void **state)
{
    (void)state;
    char address[64];
    for (int i = 0; i < 17000; i++) {
        (void)snprintf(address, sizeof address, "sender%d@example.com", i);
        assert_int_equal(writes(&numbers, address, NOW).how, REGISTRY_NEW);
    }
    assert_int_equal(count("SELECT count(*) FROM host_address"), 17000);
    assert_string_equal(writes(&numbers, "one.more@example.com", NOW).host.user.text, "X0017001");
}

/* TP-04 */
static void q253261_one_sender_has_one_row_however_written(void **state)
{
    (void)state;
    static const char *const written[] = { "a.b@example.com", "a.b@EXAMPLE.com", "a.b@Example.Com.",
                                           "\"a.b\"@example.com" };
    for (int i = 0; i < 1000; i++)
        assert_string_equal(writes(&numbers, written[i % 4], NOW).host.user.text, "X0000001");
    assert_int_equal(count("SELECT count(*) FROM person"), 1);
    assert_int_equal(count("SELECT count(*) FROM host_address"), 1);
}

/* TP-03, RL-01: a sequence that was set back never gives a number again that somebody has. */
static void q295071_an_old_sequence_gives_no_number_twice(void **state)
{
    (void)state;
    assert_string_equal(writes(&numbers, "a@example.com", NOW).host.user.text, "X0000001");
    assert_string_equal(writes(&numbers, "b@example.com", NOW).host.user.text, "X0000002");
    assert_int_equal(db_run(db, NULL, "UPDATE sequence SET next = 1 WHERE name = 'registration'", ""), 1);
    assert_string_equal(writes(&numbers, "c@example.com", NOW).host.user.text, "X0000003");
    assert_int_equal(sequence_raise(db, "registration", 1, NULL), 0); /* it only grows */
    assert_string_equal(writes(&numbers, "d@example.com", NOW).host.user.text, "X0000004");
}

/* PX-05: the 21st of a name had no address at all. */
static void q176871_the_twenty_first_of_a_name_has_an_address(void **state)
{
    (void)state;
    char address[64];
    for (int i = 1; i <= 25; i++) {
        (void)snprintf(address, sizeof address, "john.doe@example%d.com", i);
        assert_int_equal(writes(&names, address, NOW).how, REGISTRY_NEW);
    }
    assert_int_equal(count("SELECT count(DISTINCT user_id) FROM host_address WHERE main = 1"), 25);
}

/* TP-09: only what nobody uses is retired, and it is its owner's again when he writes. */
static void only_unused_addresses_are_aged(void **state)
{
    (void)state;
    size_t aged = 0;
    struct err err = ERR_CLEAR;
    struct registry_answer kept = writes(&numbers, "answered@example.com", NOW);
    struct registry_answer old = writes(&numbers, "old@example.com", NOW);
    struct registry_answer written = writes(&numbers, "written.to@example.com", NOW);
    (void)writes(&numbers, "recent@example.com", NOW + 100 * CLOCK_DAY);
    struct mailkey alice = key_of("alice@example.com");
    struct registry_answer answer;
    assert_int_equal(registry_enter(db, &numbers, &alice, "", host("MICROSFT(ALICE)"), NOW, &answer, &err), 0);
    struct host_address_text proxy = host_address_text(kept.host);
    struct correlation row = { .letter = ulid_new(), .host = "MAPLEC1(GEORGEB)", .proxy = proxy.text, .at_us = NOW };
    row.message_id = row.references = row.reply_to = row.subject = row.stamp = SPAN_EMPTY;
    assert_int_equal(correlation_add(db, &row, &err), 0);
    assert_int_equal(registry_touch(db, written.person, NOW + 90 * CLOCK_DAY, &err), 0);
    assert_int_equal(age(NOW + 50 * CLOCK_DAY, &aged), 0);
    assert_int_equal(aged, 1);
    struct registry_owner owner;
    assert_int_equal(registry_resolve_in(db, old.host, &owner, &err), -1);
    assert_int_equal(registry_resolve_in(db, kept.host, &owner, &err), 0);
    assert_int_equal(registry_resolve_in(db, written.host, &owner, &err), 0);
    assert_int_equal(registry_resolve_in(db, host("MICROSFT(ALICE)"), &owner, &err), 0);
    assert_string_equal(writes(&numbers, "old@example.com", NOW + 101 * CLOCK_DAY).host.user.text, old.host.user.text);
    assert_int_equal(registry_resolve_in(db, old.host, &owner, &err), 0);
}

/* RL-01 for names: what was given after the backup is not known, so no name is made until it is confirmed. */
static void after_a_restore_no_names_are_made_until_confirmed(void **state)
{
    (void)state;
    int64_t first = 0;
    bool paused = true;
    struct err err = ERR_CLEAR;
    struct registry_answer answer;
    struct mailkey carol = key_of("carol@example.com");
    struct name8 wanted = { .text = "CAROL" };
    assert_string_equal(writes(&names, "alice@example.com", NOW).host.user.text, "ALICE");
    assert_int_equal(sequence_reserve(db, "names-lost", 1, 1, &first, &err), 0);
    assert_string_equal(writes(&names, "bob@example.com", NOW).host.user.text, "X0000001");
    assert_int_equal(registry_introduce(db, &names, &carol, wanted, NOW, &answer, &err), -1);
    assert_int_equal(err.id, ERR_BUSY);
    assert_int_equal(registry_confirm_names(db, &err), 0);
    assert_int_equal(registry_names_paused(db, &paused, &err), 0);
    assert_false(paused);
    assert_int_equal(registry_introduce(db, &names, &carol, wanted, NOW, &answer, &err), 0);
    assert_string_equal(answer.host.user.text, "CAROL");
    assert_int_equal(registry_confirm_names(db, &err), -1);
}

static void a_chosen_name_changes_nothing_for_others(void **state)
{
    (void)state;
    struct err err = ERR_CLEAR;
    struct registry_answer answer;
    struct registry_policy policy = numbers;
    struct name8 wanted = { .text = "ALICE" };
    struct mailkey alice = key_of("alice@example.com");
    struct mailkey bob = key_of("bob@example.com");
    (void)snprintf(policy.own[0].text, sizeof policy.own[0].text, "REGISTER");
    assert_string_equal(writes(&policy, "alice@example.com", NOW).host.user.text, "X0000001");
    assert_int_equal(registry_introduce(db, &policy, &alice, wanted, NOW, &answer, &err), 0);
    assert_int_equal(answer.how, REGISTRY_KNOWN);
    assert_string_equal(answer.host.user.text, "ALICE");
    assert_string_equal(writes(&policy, "alice@example.com", NOW).host.user.text, "X0000001");
    assert_int_equal(registry_introduce(db, &policy, &bob, wanted, NOW, &answer, &err), -1);
    assert_int_equal(err.id, ERR_REFUSED);
    (void)snprintf(wanted.text, sizeof wanted.text, "REGISTER");
    assert_int_equal(registry_introduce(db, &policy, &bob, wanted, NOW, &answer, &err), -1);
    assert_int_equal(count("SELECT count(*) FROM person"), 1);
}

static void a_registration_of_before_comes_back(void **state)
{
    (void)state;
    struct err err = ERR_CLEAR;
    struct mailkey alice = key_of("alice@example.com");
    struct mailkey bob = key_of("bob@example.com");
    assert_int_equal(
        registry_restore(db, &numbers, &alice, "Alice", host("MICROSFT(X0000123)"), HOST_BY_NUMBER, NOW, &err), 1);
    assert_int_equal(
        registry_restore(db, &numbers, &alice, "Alice", host("MICROSFT(X0000123)"), HOST_BY_NUMBER, NOW, &err), 0);
    assert_int_equal(registry_restore(db, &numbers, &bob, "", host("MICROSFT(X0000123)"), HOST_BY_NUMBER, NOW, &err),
                     -1);
    assert_int_equal(err.id, ERR_REFUSED);
    assert_int_equal(registry_restore(db, &numbers, &bob, "", host("MICROSFT(SYSTEM)"), HOST_BY_OPERATOR, NOW, &err),
                     -1);
    assert_string_equal(writes(&numbers, "alice@example.com", NOW).host.user.text, "X0000123");
}

/* AD-02, AD-03, Q232318, Q151518 */
static void the_written_forms_of_old_address_books(void **state)
{
    (void)state;
    static const char *const forms[] = { "NODE1(USER1)",         "[PROFS:NODE1(USER1)]",
                                         "PROFS:NODE1(USER1)",   "[profs:gw/node1/user1]",
                                         "[PROFS:/NODE1/USER1]", "[PROFS:MSPROFS/NODE1/USER1]",
                                         "node1/user1" };
    static const char *const none[] = { "",           "NODE1",   "[PROFS:]", "[PROFS:a/b/c/d]",
                                        "NODE1(",     "NODE1()", "//",       "[PROFS:gw/NODETOOLONG/USER]",
                                        "[PROFS:gw/]" };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct host_address address = { .node = { .text = "" } };
        assert_int_equal(host_address_parse_any(span_text(forms[i]), &address, NULL), 0);
        assert_string_equal(host_address_text(address).text, "NODE1(USER1)");
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct host_address address = { .node = { .text = "" } };
        assert_int_equal(host_address_parse_any(span_text(none[i]), &address, NULL), -1);
    }
}

#define LIFE_TEST(name) cmocka_unit_test_setup_teardown(name, open_ledger, close_ledger)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIFE_TEST(q185330_seventeen_thousand_senders_are_no_limit),
        LIFE_TEST(q253261_one_sender_has_one_row_however_written),
        LIFE_TEST(q295071_an_old_sequence_gives_no_number_twice),
        LIFE_TEST(q176871_the_twenty_first_of_a_name_has_an_address),
        LIFE_TEST(only_unused_addresses_are_aged),
        LIFE_TEST(after_a_restore_no_names_are_made_until_confirmed),
        LIFE_TEST(a_chosen_name_changes_nothing_for_others),
        LIFE_TEST(a_registration_of_before_comes_back),
        cmocka_unit_test(the_written_forms_of_old_address_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
