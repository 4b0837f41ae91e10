/* What is lost when these fail: somebody known for years becomes a stranger when the site changes systems. */
#include "relocate/registrations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static char got[4000];

static int add(void *arg, const struct registration *one, struct err *err)
{
    (void)err;
    size_t *size = arg;
    *size += (size_t)snprintf(got + *size, sizeof got - *size, "%zu%s %.*s|%.*s|%.*s\n", one->line,
                              one->retired ? " retired" : "", (int)one->host.size, (const char *)one->host.at,
                              (int)one->address.size, (const char *)one->address.at, (int)one->name.size,
                              (const char *)one->name.at);
    return 0;
}

static void same(enum registrations_form form, const char *text, const char *expected)
{
    size_t size = 0;
    struct err err = ERR_CLEAR;
    struct name8 node = { .text = "MICROSFT" };
    got[0] = '\0';
    assert_int_equal(registrations_read(span_text(text), form, node, add, &size, &err), 0);
    assert_string_equal(got, expected);
}

static void wrong(enum registrations_form form, const char *text, const char *expected)
{
    size_t size = 0;
    struct err err = ERR_CLEAR;
    struct name8 node = { .text = "MICROSFT" };
    assert_int_equal(registrations_read(span_text(text), form, node, add, &size, &err), -1);
    assert_int_equal(strncmp(err.text, expected, strlen(expected)), 0);
}

static void csv_with_and_without_names(void **state)
{
    (void)state;
    same(FORM_CSV,
         "# ours\nhost,address,name,kind,made_us\nMICROSFT(ALICE),alice@example.com,\"Longname, Alice\",name,12\n"
         "MICROSFT(X0000001),b@example.com,,retired,\n",
         "3 MICROSFT(ALICE)|alice@example.com|Longname, Alice\n4 retired MICROSFT(X0000001)|b@example.com|\n");
    same(FORM_CSV, "[PROFS:gate/MICROSFT/AL],al@example.com\r\nBob Short,bob@example.com,[PROFS:MICROSFT(BOB)]\r\n",
         "1 [PROFS:gate/MICROSFT/AL]|al@example.com|\n2 [PROFS:MICROSFT(BOB)]|bob@example.com|Bob Short\n");
    wrong(FORM_CSV, "host,address\nMICROSFT(A),a@example.com\n\nMICROSFT(B),\n", "line 4: ");
}

static void the_log_gives_back_what_was_registered(void **state)
{
    (void)state;
    same(FORM_JOURNAL,
         "2026/11/24 14:03:11- ovvmd(1) 3 32495:registered person=7 host=MICROSFT(X0000007) kind=number at_us=179 "
         "source=192.0.2.1 address=<alice@example.com> >> registry.c(527)\n"
         "Nov 24 14:03:12 gw ovvmd[1]: letter 01 received\n"
         "Nov 24 14:03:13 gw ovvmd[1]: retired host=MICROSFT(X0000003) source=operator\n",
         "1 MICROSFT(X0000007)|alice@example.com|\n3 retired MICROSFT(X0000003)||\n");
    wrong(FORM_JOURNAL, "x\nregistered person=7 host=MICROSFT(X0000007) kind=num\n", "line 2: the line was cut");
}

static void nicknames_of_outsiders(void **state)
{
    (void)state;
    same(FORM_NAMES,
         "* my names\n:nick.ALICE    :userid.X0000017 :node.MICROSFT\n               :name.Alice Longname\n"
         "               :email.alice@example.com\n:nick.GEORGE :userid.GEORGEB :node.MAPLEC1 :name.George\n"
         ":nick.BOB :name.Bob :internet.bob@example.net\n:nick.TEAM :list.ALICE BOB\n",
         "2 MICROSFT(X0000017)|alice@example.com|Alice Longname\n6 MICROSFT(BOB)|bob@example.net|Bob\n");
}

static void tables_of_other_systems_become_ours(void **state)
{
    (void)state;
    struct buf to = { 0 };
    struct err err = ERR_CLEAR;
    assert_int_equal(
        registrations_tables(SPAN_LITERAL("* who may\nJDOE     ALMADEN\nGEORGEB  MAPLEC1  GEORGE.B  Y Y\n"),
                             FORM_SECURE, &to, &err),
        0);
    assert_int_equal(registrations_tables(SPAN_LITERAL("ROUTE UXA LOCAL ASCII\nROUTE OTHER MAILGW ETHNET CH\n"),
                                          FORM_UNIXNJE_ROUTES, &to, &err),
                     0);
    buf_add_u8(&to, '\0');
    assert_string_equal((const char *)to.at, "ALMADEN(JDOE) allow\n"
                                             "MAPLEC1(GEORGEB) allow ; had the nickname GEORGE.B\n"
                                             "* UXA was this node itself\nOTHER(*) MAILGW\n");
    buf_free(&to);
    assert_int_equal(registrations_tables(SPAN_LITERAL("A B\nTOOLONGUSERID B\n"), FORM_SECURE, &to, &err), -1);
    assert_int_equal(strncmp(err.text, "line 2: ", 8), 0);
    buf_free(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_with_and_without_names),
        cmocka_unit_test(the_log_gives_back_what_was_registered),
        cmocka_unit_test(nicknames_of_outsiders),
        cmocka_unit_test(tables_of_other_systems_become_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
