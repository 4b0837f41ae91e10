/* What is lost when these fail: a person of the site loses an address that others have in their notes, or gets one that
 * was somebody else's. */
#include "address/peopleload.h"
#include "address/userid.h"
#include "base/clock.h"
#include "store/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW INT64_C(1790000000000000)

static struct name8 branches[] = { { "BRANCH" }, { "OTHER" } };
static const struct conf_nodes also_nodes = { .at = branches, .count = 2 };
static const struct people_site site = { .node = { .text = "MICROSFT" },
                                         .also_nodes = &also_nodes,
                                         .local_domains = "example.org example.net" };

/* --- the file --- */

static void rows_are_read(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF"
                               "Address,Full name,Host addresses\r\n"
                               "# people of the head office\r\n"
                               "\r\n"
                               "alice@Example.ORG,\"Longname, Alice\",ALICE MICROSFT(AL1);AL2\r\n"
                               "\"bob@example.net\",\"Bob \"\"the\"\" B\"\n"
                               "; no more\n"
                               "\"#hash@example.org\"\n"
                               "j\xC3\xB6rg@example.org,J\xC3\xB6rg,,,JOERG";
    struct people people;
    struct err err = ERR_CLEAR;
    if (people_parse(SPAN_LITERAL(text), &site, &people, &err) == -1)
        fail_msg("%s", err.text);
    assert_int_equal(people.count, 4);
    const struct people_row *row = people_find(&people, "alice@example.org");
    assert_non_null(row);
    assert_string_equal(people_name(&people, row), "Longname, Alice");
    assert_int_equal(row->line, 4);
    assert_int_equal(row->host_count, 3);
    assert_string_equal(host_address_text(people.hosts[row->hosts]).text, "MICROSFT(ALICE)");
    assert_string_equal(host_address_text(people.hosts[row->hosts + 2]).text, "MICROSFT(AL2)");
    row = people_find(&people, "bob@example.net");
    assert_string_equal(people_name(&people, row), "Bob \"the\" B");
    assert_int_equal(row->host_count, 0);
    assert_non_null(people_find(&people, "#hash@example.org"));
    assert_int_equal(people_find(&people, "j\xC3\xB6rg@example.org")->host_count, 1);
    assert_null(people_find(&people, "carol@example.org"));
    people_free(&people);
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } all[] = {
        { "a@example.org\nalice\n", "people.csv line 2: \"alice\": the address has no @" },
        { "a@example.com\n", "people.csv line 1: a@example.com is in none of the local-domains" },
        { "a@example.org\n\"b@example.org\n", "people.csv line 2: the quote of column 1 is not closed" },
        { "a@example.org,\"A\" B\n", "people.csv line 1: column 2 goes on after its closing quote" },
        { "a@example.org,A \"B\"\n",
          "people.csv line 1: column 2 has a quote in its middle; put the whole column in quotes and double it" },
        { "a@example.org,\"A\nB\"\nb@example.org,\xFF\n",
          "people.csv line 1: the name has a control character or a line end" },
        { "a@example.org,\xFF\n", "people.csv line 1: the name is no UTF-8" },
        { "a@example.org,A,NINECHARS\n", "people.csv line 1: the user id \"NINECHARS\" is longer than 8 characters" },
        { "a@example.org,A,OAK(JIM)\n",
          "people.csv line 1: OAK(JIM) is not at a node of this connector; its people are at MICROSFT" },
        { "a@example.org,A,system\n", "people.csv line 1: SYSTEM is a reserved name; choose another" },
        { "a@example.org,A,AL\nb@example.org,B,BO al\n",
          "people.csv line 2: MICROSFT(AL) stands on line 1 already; a host address has one owner" },
        { "a@example.org\nb@example.org\na@EXAMPLE.org\n",
          "people.csv line 3: a@example.org stands on line 1 already" },
        { "a@example.org,A,BRANCH() BRANCH()\n", "people.csv line 1: BRANCH() stands twice; a rule gives one address" },
        { "a@example.org,A,OAK()\n",
          "people.csv line 1: OAK() is not at a node of this connector; its people are at MICROSFT" },
        { "a@example.org,,,,,,,,,,,,,,,,\n", "people.csv line 1: more than 16 columns" },
        { ",A\n", "people.csv line 1: \"\": the address has no @" },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct people people;
        struct err err = ERR_CLEAR;
        assert_int_equal(people_parse(span_text(all[i].text), &site, &people, &err), -1);
        assert_string_equal(err.text, all[i].said);
        assert_int_equal(err.id, ERR_CONFIG);
        assert_int_equal(people.count, 0);
    }
}

/* --- the ledger --- */

static const struct registry_policy policy = { .node = { .text = "MICROSFT" }, .prefix = 'X', .on = true };

static size_t given; /* host addresses by the last load */

static enum person_source source = PERSON_LISTED;
static enum generation generation = GENERATE_MISSING;
static int64_t load_at_us = NOW;

static int load_with(struct db *db, const char *text, const char *rule_text, bool confirmed,
                     struct people_changes *changes_r, struct err *err)
{
    struct people people;
    struct rules rules;
    assert_int_equal(rules_parse(span_text(rule_text), &rules, NULL), 0);
    if (people_parse(span_text(text), &site, &people, err) == -1)
        fail_msg("%s", err->text);
    struct peopleload load = { .people = &people,
                               .source = source,
                               .rules = &rules,
                               .generation = generation,
                               .reuse_after_us = 30 * CLOCK_DAY,
                               .policy = policy,
                               .removal_percent = 10,
                               .confirmed = confirmed,
                               .now_us = load_at_us };
    struct peopleload_gifts gifts = { .at = calloc(people.count + people.host_count + 1, sizeof gifts.at[0]) };
    assert_non_null(gifts.at);
    assert_int_equal(db_begin(db, NULL), 0);
    int result = peopleload_apply(db, &load, changes_r, &gifts, err);
    given = gifts.count;
    free(gifts.at);
    if (result == 0)
        assert_int_equal(db_commit(db, NULL), 0);
    else
        db_rollback(db);
    people_free(&people);
    return result;
}

static void load(struct db *db, const char *text, size_t added, size_t changed, size_t removed)
{
    struct people_changes changes;
    struct err err = ERR_CLEAR;
    if (load_with(db, text, "MICROSFT(&m)", false, &changes, &err) == -1)
        fail_msg("%s", err.text);
    assert_int_equal(changes.added, added);
    assert_int_equal(changes.changed, changed);
    assert_int_equal(changes.removed, removed);
}

static struct registry_answer resolve(struct db *db, const char *address)
{
    struct registry_sender sender = { .now_us = NOW };
    struct registry_answer answer;
    struct err err = ERR_CLEAR;
    assert_int_equal(mailkey_of(span_text(address), &sender.key, &err), 0);
    if (registry_resolve_out(db, &policy, &sender, &answer, &err) == -1)
        fail_msg("%s", err.text);
    return answer;
}

static void shows(struct db *db, const char *address, const char *user)
{
    assert_string_equal(resolve(db, address).host.user.text, user);
}

static void owner_is(struct db *db, const char *text, const char *address)
{
    struct registry_owner owner;
    struct host_address host;
    struct err err = ERR_CLEAR;
    assert_int_equal(host_address_parse(span_text(text), &host, NULL), 0);
    if (registry_resolve_in(db, host, &owner, &err) == -1)
        fail_msg("%s", err.text);
    assert_string_equal(owner.person.address, address);
}

static void people_get_their_addresses(void **state)
{
    (void)state;
    struct place place = place_new();
    shows(place.db, "carol@example.org", "X0000001"); /* wrote before she was listed */
    load(place.db, "alice@example.org,Alice,AL ALICE\nbob@example.org,Bob\ncarol@example.org,Carol\n", 3, 0, 0);
    assert_int_equal(given, 4);
    shows(place.db, "alice@example.org", "AL");
    owner_is(place.db, "MICROSFT(ALICE)", "alice@example.org");
    shows(place.db, "bob@example.org", "BOB");
    shows(place.db, "carol@example.org", "CAROL");
    owner_is(place.db, "MICROSFT(X0000001)", "carol@example.org");
    load(place.db, "alice@example.org,Alice,AL ALICE\nbob@example.org,Bob\ncarol@example.org,Carol\n", 0, 0, 0);
    assert_int_equal(given, 0);
    /* another first address; an address that is no longer given; a new name */
    load(place.db, "alice@example.org,Alice,ALICE\nbob@example.org,Robert\ncarol@example.org,Carol\n", 0, 2, 0);
    shows(place.db, "alice@example.org", "ALICE");
    owner_is(place.db, "MICROSFT(AL)", "alice@example.org");
    shows(place.db, "bob@example.org", "BOB");
    place_remove(&place);
}

static void who_is_gone_keeps_the_addresses(void **state)
{
    (void)state;
    struct place place = place_new();
    load(place.db, "alice@example.org,Alice\nbob@example.org,Bob,BOSS\n", 2, 0, 0);
    load(place.db, "bob@example.org,Bob,BOSS\nalice@example.net,Another Alice\n", 1, 0, 1);
    owner_is(place.db, "MICROSFT(ALICE)", "alice@example.org");
    shows(place.db, "alice@example.org", "ALICE");
    shows(place.db, "alice@example.net", "ALICE2"); /* PX-09 */
    load(place.db, "bob@example.org,Bob,BOSS\nalice@example.net,Another Alice\n", 0, 0, 0);
    load(place.db, "alice@example.org,Alice\nbob@example.org,Bob,BOSS\nalice@example.net,Another Alice\n", 1, 0, 0);
    shows(place.db, "alice@example.org", "ALICE");
    place_remove(&place);
}

static void another_rule_changes_nobody(void **state)
{
    (void)state;
    struct place place = place_new();
    struct people_changes changes;
    struct err err = ERR_CLEAR;
    load(place.db, "alice@example.org,Alice Longname\n", 1, 0, 0);
    assert_int_equal(load_with(place.db, "alice@example.org,Alice Longname\nbob@example.org,Bob Short\n",
                               "MICROSFT(&s&g1)", false, &changes, &err),
                     0);
    shows(place.db, "alice@example.org", "ALICE");
    shows(place.db, "bob@example.org", "SHORTB");
    place_remove(&place);
}

static void an_address_of_somebody_else_refuses_the_file(void **state)
{
    (void)state;
    struct place place = place_new();
    struct people_changes changes;
    struct err err = ERR_CLEAR;
    int64_t people = 0;
    load(place.db, "alice@example.org,Alice,AL\n", 1, 0, 0);
    shows(place.db, "outsider@example.com", "X0000001");
    assert_int_equal(load_with(place.db, "alice@example.org,Alice,AL\nbob@example.org,Bob,X0000001\n", "MICROSFT(&m)",
                               false, &changes, &err),
                     -1);
    assert_int_equal(err.id, ERR_REFUSED);
    assert_string_equal(err.text,
                        "people.csv line 2: MICROSFT(X0000001) is the address of outsider@example.com; no host "
                        "address ever changes hands");
    assert_int_equal(load_with(place.db,
                               "carol@example.org\nalice@example.org,Alice,AL\nbob@example.org,Bob,X0000002\n",
                               "MICROSFT(&m)", false, &changes, &err),
                     -1);
    assert_int_equal(err.id, ERR_REFUSED);
    assert_int_equal(db_one_int(place.db, &people, NULL, "SELECT count(*) FROM person", ""), 1);
    assert_int_equal(people, 2); /* carol is not half in */
    place_remove(&place);
}

static void a_file_cut_short_unlists_nobody(void **state)
{
    (void)state;
    struct place place = place_new();
    struct people_changes changes;
    struct err err = ERR_CLEAR;
    struct buf all = { 0 };
    for (int i = 0; i < 100; i++)
        buf_printf(&all, "person%d@example.org,Person %d\n", i, i);
    buf_add_u8(&all, 0);
    load(place.db, (const char *)all.at, 100, 0, 0);
    assert_int_equal(load_with(place.db, "person0@example.org,Person 0\n", "MICROSFT(&m)", false, &changes, &err), -1);
    assert_int_equal(err.id, ERR_REFUSED);
    assert_int_equal(changes.removed, 99);
    load(place.db, (const char *)all.at, 0, 0, 0);
    assert_int_equal(load_with(place.db, "person0@example.org,Person 0\n", "MICROSFT(&m)", true, &changes, &err), 0);
    assert_int_equal(changes.removed, 99);
    assert_int_equal(load_with(place.db, "person0@example.org,Person 0\n", "MICROSFT(&m)", false, &changes, &err), 0);
    assert_int_equal(changes.removed, 0);
    buf_free(&all);
    place_remove(&place);
}

static void five_thousand_people_with_one_alias(void **state)
{
    (void)state;
    struct place place = place_new();
    struct buf all = { 0 };
    int64_t count = 0;
    for (int i = 0; i < 5000; i++)
        buf_printf(&all, "john.%d@example.org,John Doe\n", i);
    buf_add_u8(&all, 0);
    struct people_changes changes;
    struct err err = ERR_CLEAR;
    if (load_with(place.db, (const char *)all.at, "MICROSFT(&g&s)", false, &changes, &err) == -1)
        fail_msg("%s", err.text);
    assert_int_equal(changes.added, 5000);
    assert_int_equal(db_one_int(place.db, &count, NULL,
                                "SELECT count(*) FROM host_address WHERE kind = 1 AND main = 1 AND user_id LIKE 'J%'",
                                ""),
                     1);
    assert_int_equal(count, 5000);
    shows(place.db, "john.0@example.org", "JOHNDOE");
    shows(place.db, "john.1@example.org", "JOHNDOE2");
    buf_free(&all);
    place_remove(&place);
}

static void fail_unless_loaded(struct db *db, const char *text, const char *rule)
{
    struct people_changes changes;
    struct err err = ERR_CLEAR;
    if (load_with(db, text, rule, false, &changes, &err) == -1)
        fail_msg("%s", err.text);
}

/* PX-07 */
static void another_rule_makes_new_addresses_where_that_is_asked_for(void **state)
{
    (void)state;
    struct place place = place_new();
    static const char text[] = "alice@example.org,Alice Longname\nbob@example.org,Bob Short,BOSS\n";
    fail_unless_loaded(place.db, text, "MICROSFT(&m)");
    generation = GENERATE_RENEW;
    fail_unless_loaded(place.db, text, "MICROSFT(&s&g1)");
    assert_int_equal(given, 1);
    shows(place.db, "alice@example.org", "LONGNAME");
    owner_is(place.db, "MICROSFT(ALICE)", "alice@example.org"); /* what host users have noted still arrives */
    shows(place.db, "bob@example.org", "BOSS");                 /* an operator's word stands */
    fail_unless_loaded(place.db, text, "MICROSFT(&s&g1)");
    assert_int_equal(given, 0);
    fail_unless_loaded(place.db, text, "MICROSFT(&m)"); /* back: the old one again, no third */
    assert_int_equal(given, 0);
    shows(place.db, "alice@example.org", "ALICE");
    generation = GENERATE_MISSING;
    fail_unless_loaded(place.db, text, "MICROSFT(&g3)");
    shows(place.db, "alice@example.org", "ALICE");
    place_remove(&place);
}

/* PX-06, PX-10: people come without addresses, and a later run gives them theirs. */
static void a_later_run_catches_up(void **state)
{
    (void)state;
    struct place place = place_new();
    struct buf all = { 0 };
    int64_t count = 0;
    for (int i = 0; i < 100; i++)
        buf_printf(&all, "p%d@example.org,Person %d\n", i, i);
    buf_add_u8(&all, 0);
    generation = GENERATE_NONE;
    load(place.db, (const char *)all.at, 100, 0, 0);
    assert_int_equal(given, 0);
    load(place.db, (const char *)all.at, 0, 0, 0); /* nothing is missing that should be there */
    shows(place.db, "p7@example.org", "X0000001"); /* wrote meanwhile */
    generation = GENERATE_MISSING;
    load(place.db, (const char *)all.at, 0, 100, 0);
    assert_int_equal(given, 100);
    assert_int_equal(
        db_one_int(place.db, &count, NULL, "SELECT count(*) FROM host_address WHERE kind = 1 AND main = 1", ""), 1);
    assert_int_equal(count, 100);
    shows(place.db, "p7@example.org", "P7");
    owner_is(place.db, "MICROSFT(X0000001)", "p7@example.org");
    buf_free(&all);
    place_remove(&place);
}

/* PX-08 */
static void each_node_has_its_rule(void **state)
{
    (void)state;
    struct place place = place_new();
    static const char rules[] = "MICROSFT(&m) BRANCH(&s&g1)";
    static const char text[] = "alice@example.org,Alice Longname,BRANCH()\n"
                               "bob@example.org,Bob Short\n"
                               "carol@example.org,Carol Quick,MICROSFT() BRANCH() OTHER()\n"
                               "--@example.org,,BRANCH()\n";
    fail_unless_loaded(place.db, text, rules);
    assert_int_equal(given, 6);
    struct registry_answer alice = resolve(place.db, "alice@example.org");
    assert_string_equal(host_address_text(alice.host).text, "BRANCH(LONGNAME)");
    shows(place.db, "bob@example.org", "BOB");
    shows(place.db, "carol@example.org", "CAROL");
    owner_is(place.db, "BRANCH(QUICKC)", "carol@example.org");
    owner_is(place.db, "OTHER(CAROL)", "carol@example.org"); /* a node without a rule has (&m) */
    owner_is(place.db, "BRANCH(X0000001)", "--@example.org");
    shows(place.db, "outsider@example.com", "X0000001"); /* numbers of its own */
    load(place.db, text, 0, 0, 0);
    assert_int_equal(given, 0);
    place_remove(&place);
}

/* PX-09 */
static void a_retired_address_comes_back_to_its_person_alone_and_not_at_once(void **state)
{
    (void)state;
    struct place place = place_new();
    static const char text[] = "alice@example.org,Alice\n";
    static const char both[] = "alice@example.org,Alice\nalice@example.net,Alice\n";
    struct host_address host;
    assert_int_equal(host_address_parse(SPAN_LITERAL("MICROSFT(ALICE)"), &host, NULL), 0);
    load(place.db, text, 1, 0, 0);
    assert_int_equal(registry_retire(place.db, host, NOW, NULL), 0);
    load_at_us = NOW + 30 * CLOCK_DAY - 1;
    fail_unless_loaded(place.db, both, "MICROSFT(&m)");
    shows(place.db, "alice@example.org", "ALICE2");
    shows(place.db, "alice@example.net", "ALICE3");
    assert_int_equal(host_address_parse(SPAN_LITERAL("MICROSFT(ALICE2)"), &host, NULL), 0);
    assert_int_equal(registry_retire(place.db, host, load_at_us, NULL), 0);
    load_at_us++;
    fail_unless_loaded(place.db, both, "MICROSFT(&m)");
    shows(place.db, "alice@example.org", "ALICE");
    shows(place.db, "alice@example.net", "ALICE3");
    load_at_us = NOW;
    place_remove(&place);
}

/* Random files, senders, operators, rollbacks and restarts: whoever owned an address once owns it at the end. */
static void whatever_is_loaded_no_address_changes_hands(void **state)
{
    (void)state;
    enum { PERSONS = 40, STEPS = 400, OWNED_MAX = 4000 };
    static struct {
        char user[16], address[64];
    } owned[OWNED_MAX];
    size_t owned_count = 0;
    struct place place = place_new();
    clock_test_set(NOW, 99);
    for (int step = 0; step < STEPS; step++) {
        struct buf text = { 0 };
        struct people_changes changes;
        struct err err = ERR_CLEAR;
        for (int i = 0; i < PERSONS; i++) {
            uint32_t dice = clock_random_below(8);
            if (dice < 3)
                continue;
            buf_printf(&text, "p%d@example.%s,%s Doe%d", i, i % 2 == 0 ? "org" : "net", i % 3 == 0 ? "John" : "Jane",
                       i % 5);
            if (dice == 7)
                buf_printf(&text, ",H%u", clock_random_below(PERSONS) + (unsigned)i * 7);
            buf_add_text(&text, "\n");
        }
        buf_add_u8(&text, 0);
        struct people parsed;
        if (people_parse(span_text((const char *)text.at), &site, &parsed, &err) == 0) {
            people_free(&parsed);
            (void)load_with(place.db, (const char *)text.at,
                            clock_random_below(2) == 0 ? "MICROSFT(&s)" : "MICROSFT(&g)", true, &changes,
                            &err); /* refused where a host address is another's */
        }
        buf_free(&text);
        char sender[64];
        uint32_t who = clock_random_below(2 * PERSONS);
        (void)snprintf(sender, sizeof sender, "p%u@example.%s", who, who % 2 == 0 ? "org" : "net");
        struct registry_answer answer = resolve(place.db, sender);
        owner_is(place.db, host_address_text(answer.host).text, sender);
        size_t at = 0;
        while (at < owned_count && strcmp(owned[at].user, answer.host.user.text) != 0)
            at++;
        if (at == owned_count && owned_count < OWNED_MAX) {
            (void)snprintf(owned[owned_count].user, sizeof owned[0].user, "%s", answer.host.user.text);
            (void)snprintf(owned[owned_count++].address, sizeof owned[0].address, "%s", sender);
        }
        assert_string_equal(owned[at].address, sender);
        if (clock_random_below(40) == 0) {
            place_close(&place);
            place_open(&place);
        }
    }
    for (size_t i = 0; i < owned_count; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "MICROSFT(%.8s)", owned[i].user);
        owner_is(place.db, text, owned[i].address);
    }
    assert_true(owned_count > PERSONS);
    place_remove(&place);
}

/* Of a hundred thousand entries one is always wrong; the others must not wait for it. */
static void a_directory_is_forgiven(void **state)
{
    (void)state;
    static const char text[] = "\"alice@example.org\",\"Alice\",\"\",\"AL ALICE \"\n"
                               "\"no address\",\"X\",\"\",\"\"\n"
                               "\"far@elsewhere.example\",\"Far\",\"\",\"\"\n"
                               "\"bob@example.org\",\"B\xFF\",\"BOB\",\"TOOLONGNAME SYSTEM BOBBY AL\"\n"
                               "\"alice@EXAMPLE.org\",\"Again\",\"TWICE\",\"\"\n"
                               "\"carol@example.org\",\"Carol\",\"BOB\",\"CAROL\"\n";
    struct people_site forgiving = site;
    struct people people;
    struct err err = ERR_CLEAR;
    forgiving.forgiving = true;
    if (people_parse(SPAN_LITERAL(text), &forgiving, &people, &err) == -1)
        fail_msg("%s", err.text);
    assert_int_equal(people.count, 3);
    assert_int_equal(people.problem_count, 8);
    const struct people_row *alice = people_find(&people, "alice@example.org");
    const struct people_row *bob = people_find(&people, "bob@example.org");
    const struct people_row *carol = people_find(&people, "carol@example.org");
    assert_true(alice != NULL && bob != NULL && carol != NULL);
    assert_string_equal(people_name(&people, alice), "Alice");
    assert_int_equal(alice->host_count, 2);
    assert_false(alice->first_is_shown);
    assert_string_equal(people_name(&people, bob), "");
    assert_int_equal(bob->host_count, 2);
    assert_true(bob->first_is_shown);
    assert_string_equal(people.hosts[bob->hosts + 1].user.text, "BOBBY");
    assert_int_equal(carol->host_count, 1);
    assert_false(carol->first_is_shown);
    assert_string_equal(people.hosts[carol->hosts].user.text, "CAROL");
    people_free(&people);
}

/* Two sources, of which neither unlists the other's people; the file has the last word. */
static void the_file_and_the_directory(void **state)
{
    (void)state;
    struct err err = ERR_CLEAR;
    struct person person;
    struct place place = place_new();
    load(place.db, "alice@example.org,Alice,ALICE\n", 1, 0, 0);
    source = PERSON_DIRECTORY;
    load(place.db, "alice@example.org,Other,OTHER\nbob@example.org,Bob\ncarol@example.org,Carol,ALICE\n", 2, 0, 0);
    assert_int_equal(person_find(place.db, "alice@example.org", &person, &err), 1);
    assert_string_equal(person.name, "Alice");
    assert_int_equal(person.source, PERSON_LISTED);
    assert_int_equal(person_find(place.db, "bob@example.org", &person, &err), 1);
    assert_int_equal(person.source, PERSON_DIRECTORY);
    load(place.db, "alice@example.org,Other,OTHER\nbob@example.org,Bob\ncarol@example.org,Carol,ALICE\n", 0, 0, 0);
    source = PERSON_LISTED;
    load(place.db, "alice@example.org,Alice,ALICE\n", 0, 0, 0);
    load(place.db, "alice@example.org,Alice,ALICE\nbob@example.org,Robert\n", 0, 1, 0);
    source = PERSON_DIRECTORY;
    load(place.db, "carol@example.org,Carol,ALICE\n", 0, 0, 0);
    source = PERSON_LISTED;
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(people_get_their_addresses),
        cmocka_unit_test(who_is_gone_keeps_the_addresses),
        cmocka_unit_test(another_rule_changes_nobody),
        cmocka_unit_test(an_address_of_somebody_else_refuses_the_file),
        cmocka_unit_test(a_file_cut_short_unlists_nobody),
        cmocka_unit_test(five_thousand_people_with_one_alias),
        cmocka_unit_test(another_rule_makes_new_addresses_where_that_is_asked_for),
        cmocka_unit_test(a_later_run_catches_up),
        cmocka_unit_test(each_node_has_its_rule),
        cmocka_unit_test(a_retired_address_comes_back_to_its_person_alone_and_not_at_once),
        cmocka_unit_test(whatever_is_loaded_no_address_changes_hands),
        cmocka_unit_test(a_directory_is_forgiven),
        cmocka_unit_test(the_file_and_the_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
