/* What is lost when these fail: mail with PROFS and OfficeVision users, and the receipts that answer ours. */
#include "codec/profs.h"

#include "codec/test_corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOV_24_2026_14_03_11 INT64_C(1795528991000000)

static void assert_span(struct span span, const char *text)
{
    struct buf copy = { 0 };
    buf_add_span(&copy, span);
    buf_add_u8(&copy, '\0');
    assert_string_equal((const char *)copy.at, text);
    buf_free(&copy);
}

static void assert_address(struct note_address address, const char *user, const char *node)
{
    assert_string_equal(address.user.text, user);
    assert_string_equal(address.node.text, node);
}

/* A card: mark bytes in hex, then text; filled up with blanks, `last` in column 80. */
static void add_card(struct records *cards, const char *hex, const char *text, uint8_t last)
{
    struct buf card = { 0 };
    corpus_add_hex(&card, hex);
    utf8_to_ebcdic(&ebcdic_page_037, span_text(text), &card, NULL);
    assert_true(card.size < CARD_COLUMNS);
    buf_add_fill(&card, EBCDIC_BLANK, CARD_COLUMNS - 1 - card.size);
    buf_add_u8(&card, last);
    records_add(cards, buf_span(&card));
    buf_free(&card);
}

static void assert_next(struct reader *walk, struct profs_note *note)
{
    struct err err = ERR_CLEAR;
    if (profs_next(walk, &ebcdic_page_037, note, &err) != 1)
        fail_msg("%s", err.text);
}

static void our_note_is_that_of_the_example(void **state)
{
    (void)state;
    struct profs_letter letter = { .time_us = NOV_24_2026_14_03_11,
                                   .from = { { "X0000017" }, { "MICROSFT" } },
                                   .to = { { "GEORGEB" }, { "MAPLEC1" } },
                                   .ack_wanted = true,
                                   .subject = SPAN_LITERAL("Quarterly numbers"),
                                   .name = SPAN_LITERAL("Alice Longname"),
                                   .to_name = SPAN_LITERAL("Barnes, George"),
                                   .address = SPAN_LITERAL("alice.longname@example.com"),
                                   .text = SPAN_LITERAL("The numbers are in the file that follows.\n") };
    struct buf expected = { 0 };
    corpus_add_hex(&expected, "FED4E2C77AC6D9D6D47A40E7F0F0F0F0F0F1F76060D4C9C3D9D6E2C6E340E3D67A40C7C5D6D9C7C5C2406060"
                              "D4C1D7D3C5C3F14040404040404040404040F1F161F2F461F2F640F1F47AF0F37AF1F101");
    static const char *const lines[] = { " To: GEORGEB --MAPLEC1 Barnes, George",
                                         " From: Alice Longname <alice.longname@example.com>",
                                         " Subject: Quarterly numbers", " ",
                                         " The numbers are in the file that follows." };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        size_t begin = expected.size;
        utf8_to_ebcdic(&ebcdic_page_037, span_text(lines[i]), &expected, NULL);
        buf_add_fill(&expected, EBCDIC_BLANK, begin + CARD_COLUMNS - expected.size);
    }
    corpus_add_hex(&expected, "FFFF00000011D8A48199A3859993A84095A494828599A2");
    buf_add_fill(&expected, EBCDIC_BLANK, 6 * CARD_COLUMNS + 71 - expected.size);
    buf_add_fill(&expected, 0x00, 9);

    struct records cards = { .count = 0 };
    struct buf made = { 0 };
    profs_build(&letter, &ebcdic_page_037, &cards, NULL);
    assert_int_equal(cards.count, 7);
    records_join(&cards, &made);
    assert_int_equal(made.size, expected.size);
    assert_memory_equal(made.at, expected.at, expected.size);
    struct reader walk = records_walk(&cards);
    struct profs_note note;
    assert_next(&walk, &note);
    assert_address(note.from, "X0000017", "MICROSFT");
    assert_address(note.to, "GEORGEB", "MAPLEC1");
    assert_int_equal(note.date.us, NOV_24_2026_14_03_11);
    assert_true(note.ack_wanted);
    assert_false(note.is_ack);
    assert_true(note.understood);
    assert_span(note.subject, "Quarterly numbers");
    assert_span(note.from_text, "Alice Longname <alice.longname@example.com>");
    assert_span(note.body, "The numbers are in the file that follows.");
    profs_release(&note);
    assert_int_equal(profs_next(&walk, &ebcdic_page_037, &note, NULL), 0);
    records_free(&cards);
    buf_free(&made);
    buf_free(&expected);
}

static void an_acknowledgement_is_known_by_its_three_records(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    add_card(&cards, "FE", "MSG:FROM: GEORGEB --MAPLEC1  TO: X0000017--MICROSFT          11/24/26 15:30:00", 0x40);
    add_card(&cards, "", " Your note was opened", 0x40);
    add_card(&cards, "FFFF00000011", "Quarterly numbers", 0x00);
    struct reader walk = records_walk(&cards);
    struct profs_note note;
    assert_next(&walk, &note);
    assert_true(note.is_ack);
    assert_address(note.from, "GEORGEB", "MAPLEC1");
    assert_address(note.to, "X0000017", "MICROSFT");
    assert_span(note.subject, "Quarterly numbers");
    assert_span(note.body, "Your note was opened");
    profs_release(&note);
    records_clear(&cards);
    /* three records that are a short note */
    add_card(&cards, "FE", "MSG:FROM: GEORGEB --MAPLEC1  TO: X0000017--MICROSFT          11/24/26 15:30:00", 0x40);
    add_card(&cards, "", " To: X0000017--MICROSFT", 0x40);
    add_card(&cards, "FFFF00000011", "Short", 0x00);
    walk = records_walk(&cards);
    assert_next(&walk, &note);
    assert_false(note.is_ack);
    profs_release(&note);
    /* and ours */
    records_clear(&cards);
    struct profs_letter letter = { .from = { { "X0000017" }, { "MICROSFT" } },
                                   .to = { { "GEORGEB" }, { "MAPLEC1" } },
                                   .subject = SPAN_LITERAL("Lunch"),
                                   .text = SPAN_LITERAL("Displayed") };
    profs_build_ack(&letter, &ebcdic_page_037, &cards);
    assert_int_equal(cards.count, 3);
    walk = records_walk(&cards);
    assert_next(&walk, &note);
    assert_true(note.is_ack);
    assert_span(note.subject, "Lunch");
    profs_release(&note);
    records_free(&cards);
}

static void the_layouts_of_other_writers_are_read(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    struct profs_note note;
    /* as a gateway saw it in 1993 (Q107105): mark became a blank, blank lines among the top lines */
    add_card(&cards, "40", "MSG:FROM: JOHNDOE --VMSP6    TO: ADMIN   --PROFS30  05/13/93  22:27:06", 0x40);
    add_card(&cards, "", " To: ADMIN   --PROFS30", 0x40);
    add_card(&cards, "", "", 0x40);
    add_card(&cards, "", " FROM:", 0x40);
    add_card(&cards, "", " Subject: Testing rdr file", 0x40);
    add_card(&cards, "", " This is ...", 0x40);
    add_card(&cards, "", " [VMSP6 something", 0x40);
    add_card(&cards, "FFFF40404040", "Testing rdr file", 0x00);
    /* a second note in the same file: RSCSMail's trailer, PROFS of 1986 */
    add_card(&cards, "FE", "MSG FROM: NSOLN --CPUA  TO: NSRCM --CPUA  02/27/86 20:22:10", 0x40);
    add_card(&cards, "", " *** Reply to note of 02/27/86 19:08", 0x40);
    add_card(&cards, "", " NOTE FROM: OLIVER NORTH", 0x40);
    add_card(&cards, "", " SUBJECT: Exchanges", 0x40);
    add_card(&cards, "", " Text", 0x40);
    add_card(&cards, "FFFF02430009", "Exchanges", 0x40);
    struct reader walk = records_walk(&cards);
    assert_next(&walk, &note);
    assert_address(note.from, "JOHNDOE", "VMSP6");
    assert_true(note.has_date);
    assert_int_equal(note.date.us, INT64_C(737332026000000));
    assert_int_equal(note.to_count, 1);
    assert_span(note.subject, "Testing rdr file");
    assert_span(note.body, "This is ...");
    profs_release(&note);
    assert_next(&walk, &note);
    assert_address(note.from, "NSOLN", "CPUA");
    assert_true(note.is_reply);
    assert_int_equal(note.reply_date.us, INT64_C(509915280000000));
    assert_span(note.subject, "Exchanges");
    assert_span(note.body, "*** Reply to note of 02/27/86 19:08\nNOTE FROM: OLIVER NORTH\nSUBJECT: Exchanges\nText");
    profs_release(&note);
    assert_int_equal(profs_next(&walk, &ebcdic_page_037, &note, NULL), 0);
    records_clear(&cards);
    /* the gateway to PROFS 3.4 (Q115457), without a trailer; a line that is not understood keeps the block */
    add_card(&cards, "", "From: ADMIN   --PCNODE   Date and Time   08-24-93 19:15:20", 0x40);
    add_card(&cards, "", "To: MARKEEF   -VMNODE", 0x40);
    add_card(&cards, "", "From: Full Name", 0x40);
    add_card(&cards, "", "To: SURNAME, FIRST", 0x40);
    add_card(&cards, "", "Subject: S", 0x40);
    add_card(&cards, "", "Text", 0x40);
    walk = records_walk(&cards);
    assert_next(&walk, &note);
    assert_address(note.from, "ADMIN", "PCNODE");
    assert_int_equal(note.date.us, INT64_C(746219720000000));
    assert_false(note.has_trailer);
    assert_false(note.understood);
    assert_span(note.subject, "S");
    assert_span(note.body, "To: MARKEEF   -VMNODE\nFrom: Full Name\nTo: SURNAME, FIRST\nSubject: S\nText");
    profs_release(&note);
    records_free(&cards);
}

static void what_is_no_note_is_said(void **state)
{
    (void)state;
    struct records cards = { .count = 0 };
    struct profs_note note;
    struct err err = ERR_CLEAR;
    struct reader walk = records_walk(&cards);
    assert_int_equal(profs_next(&walk, &ebcdic_page_037, &note, &err), 0);
    add_card(&cards, "", " Just a text", 0x40);
    walk = records_walk(&cards);
    assert_int_equal(profs_next(&walk, &ebcdic_page_037, &note, &err), -1);
    assert_int_equal(err.id, ERR_BAD_CONTENT);
    profs_release(&note);
    /* a user that the host emptied; a header alone */
    records_clear(&cards);
    add_card(&cards, "FE", "MSG:FROM: GEORGEB --MAPLEC1  TO:         --MICROSFT          11/24/26 14:03:11", 0x40);
    walk = records_walk(&cards);
    assert_next(&walk, &note);
    assert_true(name8_empty(note.to.user));
    assert_int_equal(note.date.us, NOV_24_2026_14_03_11);
    assert_int_equal(note.body.size, 0);
    profs_release(&note);
    records_free(&cards);
}

static void add_line(struct records *cards, uint8_t first, const char *text)
{
    struct buf card = { 0 };
    buf_add_u8(&card, first);
    for (; *text != '\0'; text++)
        buf_add_u8(&card, latin1_to_ebcdic_037[(uint8_t)*text]);
    records_add_padded(cards, buf_span(&card), CARD_COLUMNS, EBCDIC_BLANK);
    buf_free(&card);
}

static void is_text(struct span got, const char *expected)
{
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.at, expected, got.size);
}

/* Q236335: .AT and .CT put names there that have no address; Q214763: others have the name behind the address. */
static void names_without_an_address(void **state)
{
    (void)state;
    struct records cards = { 0 };
    struct profs_note note;
    struct err err = ERR_CLEAR;
    add_line(&cards, 0xFE, "MSG:FROM: GEORGEB --MAPLEC1  TO: EURO11  --MICROSFT          11/24/26 14:03:11");
    add_line(&cards, 0x40, "To: EURO11  --MICROSFT European Clown 11  JIMMYC  --EFONSC5");
    add_line(&cards, 0x40, "cc: SURNAME, FIRST");
    add_line(&cards, 0x40, "Subject: Fun");
    add_line(&cards, 0x40, "text");
    struct reader walk = records_walk(&cards);
    assert_int_equal(profs_next(&walk, &ebcdic_page_037, &note, &err), 1);
    assert_int_equal(note.to_count, 2);
    assert_string_equal(note.text_to[1].user.text, "JIMMYC");
    assert_int_equal(note.name_count, 1);
    is_text(note.names[0].name, "SURNAME, FIRST");
    assert_true(note.names[0].cc);
    assert_true(span_starts_with(note.body, SPAN_LITERAL("To: "))); /* and all of it is in the text */
    profs_release(&note);
    records_free(&cards);
}

/* Q97084: some systems route by the name. */
static void the_recipient_is_named(void **state)
{
    (void)state;
    struct records cards = { 0 };
    struct records expected = { 0 };
    struct profs_letter letter = { .from = { { "X0000017" }, { "MICROSFT" } },
                                   .to = { { "GEORGEB" }, { "MAPLEC1" } },
                                   .to_name = SPAN_LITERAL("George Bush"),
                                   .subject = SPAN_EMPTY,
                                   .name = SPAN_EMPTY,
                                   .address = SPAN_EMPTY,
                                   .text = SPAN_EMPTY };
    profs_build(&letter, &ebcdic_page_037, &cards, NULL);
    add_line(&expected, 0x40, "To: GEORGEB --MAPLEC1 George Bush");
    struct reader walk = records_walk(&cards);
    struct reader wanted = records_walk(&expected);
    struct span card = SPAN_EMPTY;
    struct span want = SPAN_EMPTY;
    assert_true(records_next(&walk, &card) && records_next(&walk, &card) && records_next(&wanted, &want));
    assert_true(span_equal(card, want));
    records_free(&cards);
    records_free(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_note_is_that_of_the_example),
        cmocka_unit_test(an_acknowledgement_is_known_by_its_three_records),
        cmocka_unit_test(the_layouts_of_other_writers_are_read),
        cmocka_unit_test(what_is_no_note_is_said),
        cmocka_unit_test(names_without_an_address),
        cmocka_unit_test(the_recipient_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
