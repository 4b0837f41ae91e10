/* Reading the corpus. Spool file: text lines to `END:`, then u16 length (SRCB included), SRCB, record. */
#include "codec/test_corpus.h"

#include "codec/ebcdic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/sha.h>

static void corpus_path(const char *name, char *path_r, size_t room)
{
    const char *folder = getenv("OVVM_CORPUS");
    if (folder == NULL)
        fail_msg("OVVM_CORPUS is not set");
    (void)snprintf(path_r, room, "%s/%s", folder, name);
}

void corpus_read(const char *name, struct buf *to)
{
    char path[4096];
    corpus_path(name, path, sizeof path);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    uint8_t block[8192];
    size_t size;
    while ((size = fread(block, 1, sizeof block, file)) > 0)
        buf_add(to, block, size);
    assert_int_equal(fclose(file), 0);
    assert_false(to->failed);
}

json_t *corpus_json(const char *name)
{
    char path[4096];
    corpus_path(name, path, sizeof path);
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL)
        fail_msg("%s is no JSON", path);
    return root;
}

void corpus_cards(const char *name, struct records *cards)
{
    struct buf file = { 0 };
    corpus_read(name, &file);
    struct reader reader = reader_of(buf_span(&file));
    while (!reader_at_end(&reader) && !span_starts_with(reader_until(&reader, '\n'), SPAN_LITERAL("END:"))) {
    }
    while (!reader_at_end(&reader)) {
        size_t size = reader_u16(&reader);
        assert_true(size > 1);
        uint8_t srcb = reader_u8(&reader);
        struct span record = reader_take(&reader, size - 1);
        if ((srcb & 0xC0) != 0x80)
            continue;
        uint8_t stated = record.at[0];
        record = span_slice(record, 1, SIZE_MAX);
        records_add_padded(cards, record, stated, EBCDIC_BLANK);
    }
    assert_false(reader.failed);
    buf_free(&file);
}

void corpus_sha256(struct span bytes, char hex_r[65])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    assert_non_null(SHA256(bytes.at, bytes.size, digest));
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(hex_r + 2 * i, 3, "%02x", digest[i]);
}

void corpus_add_text(struct records *records, const char *text)
{
    struct buf record = { 0 };
    utf8_to_ebcdic(&ebcdic_page_037, span_text(text), &record, NULL);
    records_add(records, buf_span(&record));
    buf_free(&record);
}

void corpus_add_hex(struct buf *to, const char *hex)
{
    int high = -1;
    for (; *hex != '\0'; hex++) {
        static const char digits[] = "0123456789ABCDEF";
        const char *found = strchr(digits, *hex);
        if (found == NULL)
            continue;
        int digit = (int)(found - digits);
        if (high >= 0)
            buf_add_u8(to, (uint8_t)(high << 4 | digit));
        high = high >= 0 ? -1 : digit;
    }
    assert_int_equal(high, -1);
}

void corpus_assert_record(struct span record, const char *text)
{
    struct buf utf8 = { 0 };
    (void)ebcdic_to_utf8(&ebcdic_page_037, record, &utf8);
    buf_add_u8(&utf8, '\0');
    assert_string_equal((const char *)utf8.at, text);
    buf_free(&utf8);
}
