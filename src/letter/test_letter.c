/* One place that knows how the pieces are packed, so that the tests read as what goes in and what comes out. */
#include "letter/test_letter.h"

#include "codec/ebcdic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int test_letter_init(void **state)
{
    (void)state;
    return translate_init(NULL);
}

void test_mail_read(const char *name, struct buf *to)
{
    char path[1024];
    char bytes[4096];
    size_t size;
    const char *folder = getenv("OVVM_TEST_DATA");
    (void)snprintf(path, sizeof path, "%s/mail/%s", folder != NULL ? folder : "tests/data", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    while ((size = fread(bytes, 1, sizeof bytes, file)) > 0)
        buf_add(to, bytes, size);
    (void)fclose(file);
}

struct name8 test_name(const char *text)
{
    struct name8 name;
    assert_int_equal(name8_parse(span_text(text), "name", &name, NULL), 0);
    return name;
}

void test_options(enum letter_host_kind kind, struct buf *to)
{
    struct options options = { .kind = kind,
                               .page = "037",
                               .to_pc = SPAN_EMPTY,
                               .from_pc = SPAN_EMPTY,
                               .attachments = true,
                               .map_count = options_cms_map_count,
                               .map = options_cms_map };
    options_pack(to, &options);
}

void test_host_resolution(const char *node, const char *user, bool receipt, struct buf *to)
{
    struct host_resolution resolution = { .from_node = test_name("MICROSFT"),
                                          .from_user = test_name("X0000017"),
                                          .to_node = test_name(node),
                                          .to_user = test_name(user),
                                          .from = SPAN_EMPTY,
                                          .from_name = SPAN_EMPTY,
                                          .entry_us = NOV_24_2026_14_03_11,
                                          .receipt = receipt };
    host_resolution_pack(to, &resolution);
}

void test_to_host(struct span mail, const struct buf *options, const struct buf *resolution, struct test_files *files)
{
    struct buf packed = { 0 };
    struct err err = ERR_CLEAR;
    *files = (struct test_files){ .count = 0 };
    if (translate_mail_to_host(mail, buf_span(options), buf_span(resolution), &packed, &err) != 0)
        fail_msg("%s", err.text);
    struct reader list = reader_of(buf_span(&packed));
    int step = 1;
    while (files->count < sizeof files->file / sizeof files->file[0] &&
           (step = hostfile_next(&list, &files->file[files->count], &err)) == 1)
        files->count++;
    assert_int_equal(step, 0);
    buf_free(&packed);
}

void test_files_release(struct test_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        hostfile_release(&files->file[i]);
}

void test_stream(const struct hostfile *file, struct buf *to)
{
    records_join(&file->records, to);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void test_hex(struct buf *to, const char *hex)
{
    for (; hex[0] != '\0'; hex += 2) {
        assert_true(digit(hex[0]) >= 0 && digit(hex[1]) >= 0);
        buf_add_u8(to, (uint8_t)(digit(hex[0]) * 16 + digit(hex[1])));
    }
}

static void add_ebcdic(struct buf *to, const char *text)
{
    for (; *text != '\0'; text++)
        buf_add_u8(to, latin1_to_ebcdic_037[(uint8_t)*text]);
}

void test_line(struct buf *to, const char *text)
{
    buf_add_u8(to, (uint8_t)(strlen(text) + 2));
    buf_add_u8(to, 0xC0);
    add_ebcdic(to, text);
}

void test_pad(struct buf *to)
{
    buf_add_fill(to, 0, (CARD_COLUMNS - to->size % CARD_COLUMNS) % CARD_COLUMNS);
}

void test_assert_bytes(struct span found, struct span expected)
{
    for (size_t i = 0; i < found.size && i < expected.size; i++)
        if (found.at[i] != expected.at[i])
            fail_msg("byte %zu is X'%02X', should be X'%02X'", i, found.at[i], expected.at[i]);
    assert_int_equal(found.size, expected.size);
}

struct hostfile test_host_file(void)
{
    return (struct hostfile){ .from_node = test_name("ALIJKU11"),
                              .from_user = test_name("CMS1"),
                              .to_node = test_name("MICROSFT"),
                              .to_user = test_name("MEA"),
                              .entry_us = NOV_24_2026_14_03_11,
                              .klass = 'A' };
}

void test_card(struct hostfile *file, const char *text)
{
    struct buf card = { 0 };
    add_ebcdic(&card, text);
    records_add_padded(&file->records, buf_span(&card), CARD_COLUMNS, EBCDIC_BLANK);
    buf_free(&card);
}

void test_host_facts(const struct hostfile *file, enum letter_host_kind kind, struct buf *packed, struct facts *facts_r)
{
    struct buf input = { 0 };
    struct buf options = { 0 };
    struct err err = ERR_CLEAR;
    hostfile_pack(&input, file);
    test_options(kind, &options);
    if (translate_host_facts(buf_span(&input), buf_span(&options), packed, &err) != 0 ||
        facts_parse(buf_span(packed), facts_r, &err) != 0)
        fail_msg("%s", err.text);
    buf_free(&input);
    buf_free(&options);
}

const char *test_to_mail(const struct hostfile *file, enum letter_host_kind kind, size_t letter, struct buf *mail)
{
    struct buf input = { 0 };
    struct buf options = { 0 };
    struct buf packed = { 0 };
    struct err err = ERR_CLEAR;
    struct resolved pair = { .node = test_name("ALIJKU11"),
                             .user = test_name("CMS3"),
                             .address = SPAN_LITERAL("cms3@alijku11.vm.example.org"),
                             .name = SPAN_EMPTY };
    struct mail_resolution resolution = { .letter = letter,
                                          .from = SPAN_LITERAL("cms1@alijku11.vm.example.org"),
                                          .from_name = SPAN_EMPTY,
                                          .to = SPAN_LITERAL("mea@example.com"),
                                          .to_name = SPAN_EMPTY,
                                          .reply_to = SPAN_EMPTY,
                                          .pair_count = 1,
                                          .pairs = &pair,
                                          .message_id = SPAN_LITERAL("<01ARZ3@alijku11.vm.example.org>"),
                                          .in_reply_to = SPAN_EMPTY };
    hostfile_pack(&input, file);
    test_options(kind, &options);
    mail_resolution_pack(&packed, &resolution);
    if (translate_host_to_mail(buf_span(&input), buf_span(&options), buf_span(&packed), mail, &err) != 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < mail->size; i++)
        assert_true(mail->at[i] < 0x80 && mail->at[i] != 0);
    buf_add_u8(mail, '\0');
    buf_free(&input);
    buf_free(&options);
    buf_free(&packed);
    return (const char *)mail->at;
}

void test_assert_has(const char *mail, const char *text)
{
    if (strstr(mail, text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, mail);
}

void test_assert_span(struct span span, const char *text)
{
    if (!span_equal(span, span_text(text)))
        fail_msg("\"%.*s\" should be \"%s\"", (int)span.size, (const char *)span.at, text);
}
