/* What is lost when these fail: a node's mail goes out in a form it cannot read, or a node that nobody listed sends. */
#include "address/ovdfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct name8 name(const char *text)
{
    struct name8 name = { .text = "" };
    if (text[0] != '\0')
        assert_int_equal(name8_parse(span_text(text), "name", &name, NULL), 0);
    return name;
}

static void lines_are_read(void **state)
{
    (void)state;
    static const char text[] = "* our network\r\n"
                               "; node  mailman loc\r\n"
                               "\r\n"
                               "MAPLEC1\tDVMAIL   MC1 code-page=1148 max-lrecl=255 ; the head office\r\n"
                               "  oak   cms cms host-kind=cms370\n"
                               "ELM CMS CMS HOST-KIND=TSO\n"
                               "MICROSFT LOCAL MSX\n"
                               "BRANCH LOCAL MSB"; /* no line end */
    struct ovdfile file;
    struct err err = ERR_CLEAR;
    if (ovdfile_parse(SPAN_LITERAL(text), name("MICROSFT"), name("MSX"), NULL, &file, &err) == -1)
        fail_msg("%s", err.text);
    assert_int_equal(file.count, 5);
    const struct ovdnode *node = ovdfile_find(&file, name("MAPLEC1"));
    assert_non_null(node);
    assert_string_equal(node->mailman.text, "DVMAIL");
    assert_string_equal(node->location, "MC1");
    assert_int_equal(node->system, SYSTEM_OVVM);
    assert_string_equal(node->code_page, "1148");
    assert_int_equal(node->max_lrecl, 255);
    assert_int_equal(node->line, 4);
    assert_false(node->local);
    node = ovdfile_find(&file, name("OAK"));
    assert_string_equal(node->mailman.text, "");
    assert_string_equal(node->location, "");
    assert_int_equal(node->system, SYSTEM_CMS370);
    assert_int_equal(ovdfile_find(&file, name("ELM"))->system, SYSTEM_TSO);
    assert_true(ovdfile_find(&file, name("BRANCH"))->local);
    assert_null(ovdfile_find(&file, name("ASH")));
    ovdfile_free(&file);
}

/* DF-05 */
static void each_node_of_ours_must_be_listed(void **state)
{
    (void)state;
    struct name8 branches[] = { name("BRANCH") };
    struct conf_nodes also = { .at = branches, .count = 1 };
    struct ovdfile file;
    struct err err = ERR_CLEAR;
    assert_int_equal(ovdfile_parse(SPAN_LITERAL("MICROSFT LOCAL MSX\nBRANCH LOCAL MSB\n"), name("MICROSFT"), name(""),
                                   &also, &file, &err),
                     0);
    ovdfile_free(&file);
    assert_int_equal(
        ovdfile_parse(SPAN_LITERAL("MICROSFT LOCAL MSX\n"), name("MICROSFT"), name(""), &also, &file, &err), -1);
    assert_string_equal(err.text,
                        "Ovdfile.dat has no LOCAL line for BRANCH, which is one of [connector] also-nodes; add "
                        "\"BRANCH LOCAL\" and its location");
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } all[] = {
        { "MICROSFT LOCAL MSX\nOAK CMS\n",
          "Ovdfile.dat line 2: three columns are needed, NODE MAILMAN LOCATION, for example OAK CMS CMS" },
        { "MICROSFT LOCAL MSX\nOAK CMS CMS\nOAK CMS CMS\n",
          "Ovdfile.dat line 3: the node OAK stands on line 2 already" },
        { "OAK MAIL AAA\nELM MAIL AAA\nMICROSFT LOCAL MSX\n",
          "Ovdfile.dat line 2: the location AAA is that of OAK (line 1) already; it is unique in the host network" },
        { "MICROSFT LOCAL MSX\nOAK MAIL AAAA\n", "Ovdfile.dat line 2: the location AAAA has not three characters" },
        { "MICROSFT LOCAL MSX\nOAK CMS AAA\n",
          "Ovdfile.dat line 2: a CMS node has CMS as its mailman and as its location" },
        { "MICROSFT LOCAL MSX\nNINECHARS CMS CMS\n",
          "Ovdfile.dat line 2: the node \"NINECHARS\" is longer than 8 characters" },
        { "MICROSFT LOCAL MSX\nOAK CMS CMS colour=red\n",
          "Ovdfile.dat line 2: \"colour=red\" is none of host-kind=, code-page=, max-lrecl= and users=" },
        { "MICROSFT LOCAL MSX\nOAK CMS CMS host-kind=mvs\n",
          "Ovdfile.dat line 2: host-kind mvs is none of cms, profs, ovvm, tso, nje38, cms370, mailer" },
        { "MICROSFT LOCAL MSX\nOAK CMS CMS code-page=9999\n",
          "Ovdfile.dat line 2: code page 9999 is not known; write for example code-page=037" },
        { "MICROSFT LOCAL MSX\nOAK CMS CMS max-lrecl=79\n", "Ovdfile.dat line 2: max-lrecl must be from 80 to 32760" },
        { "MICROSFT LOCAL MSX\nOAK CMS CMS host-kind=tso host-kind=tso\n",
          "Ovdfile.dat line 2: host-kind is given twice" },
        { "MICROSFT LOCAL MSX\nO\x01K CMS CMS\n",
          "Ovdfile.dat line 2: a character that is not printable ASCII (X'01')" },
        { "OAK CMS CMS\n", "Ovdfile.dat has no LOCAL line for this connector; add \"MICROSFT LOCAL MSX\"" },
        { "", "Ovdfile.dat has no LOCAL line for this connector; add \"MICROSFT LOCAL MSX\"" },
        { "MICROSFT CMS CMS\n", "Ovdfile.dat has no LOCAL line for this connector; add \"MICROSFT LOCAL MSX\"" },
        { "MICROSFT LOCAL LME\n",
          "Ovdfile.dat line 1: the location of MICROSFT is LME, and MSX in [connector] location" },
        /* the sample, as it was shipped */
        { "OVCMNODE MAILMAN LOC\nCMSNODE CMS CMS\nEXCHNODE LOCAL LME\n",
          "Ovdfile.dat line 1: OVCMNODE is a line of the sample; write the nodes of your own network here" },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct ovdfile file;
        struct err err = ERR_CLEAR;
        assert_int_equal(ovdfile_parse(span_text(all[i].text), name("MICROSFT"), name("MSX"), NULL, &file, &err), -1);
        assert_string_equal(err.text, all[i].said);
        assert_int_equal(err.id, ERR_CONFIG);
        assert_int_equal(file.count, 0);
        assert_null(file.nodes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(each_node_of_ours_must_be_listed),
        cmocka_unit_test(mistakes_name_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
