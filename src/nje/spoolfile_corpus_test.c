/* What is lost when this fails: mail that real hosts (VM RSCS, MVS JES, LISTSERV) send. Their files lie in
 * $OVVM_CORPUS/spool with golden.json, which says what is in each. */
#include "nje/capture.h"
#include "nje/spoolfile.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *header_text(json_t *sample, const char *key)
{
    static char value[256];
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(sample, "header"), i, line)
    {
        const char *text = json_string_value(line);
        if (strncmp(text, key, strlen(key)) != 0)
            continue;
        struct span trimmed = span_slice(span_text(text), strlen(key) + 1, SIZE_MAX);
        while (trimmed.size > 0 && trimmed.at[0] == ' ')
            trimmed = span_slice(trimmed, 1, SIZE_MAX);
        span_to_text(span_trim_end(trimmed, ' '), value, sizeof value);
        return value;
    }
    return NULL;
}

static void assert_fact(json_t *sample, const char *key, const char *found)
{
    const char *expected = header_text(sample, key);
    if (expected != NULL && strcmp(expected, found) != 0)
        fail_msg("%s: %s is \"%s\", not \"%s\"", json_string_value(json_object_get(sample, "file")), key, found,
                 expected);
}

static void check_job(json_t *sample, struct span sections)
{
    struct nje_job job;
    assert_int_equal(nje_job_decode(sections, &job, NULL), 0);
    char text[32];
    (void)snprintf(text, sizeof text, "%s@%s", job.origin_user.text, job.origin_node.text);
    assert_fact(sample, "FRM:", text);
    (void)snprintf(text, sizeof text, "%04u", job.job_id);
    assert_fact(sample, "FID:", text);
    assert_fact(sample, "JNM:", job.job_name);
    assert_true(job.entry_us > INT64_C(631152000000000) && job.entry_us < INT64_C(788918400000000)); /* 1990-1994 */
}

static void check_dataset(json_t *sample, struct span sections)
{
    struct nje_dataset dataset;
    assert_int_equal(nje_dataset_decode(sections, &dataset, NULL), 0);
    char text[32];
    (void)snprintf(text, sizeof text, "%s@%s", dataset.user.text, dataset.node.text);
    assert_fact(sample, "TOA:", text);
    (void)snprintf(text, sizeof text, "%c", dataset.klass);
    assert_fact(sample, "CLS:", text);
    assert_fact(sample, "FNM:", dataset.name);
    assert_fact(sample, "EXT:", dataset.type);
    assert_fact(sample, "FOR:", dataset.form);
    assert_fact(sample, "DIS:", dataset.dist);
    if (dataset.tag[0] != '\0')
        assert_fact(sample, "TAG:", dataset.tag);
    const char *type = header_text(sample, "TYP:");
    if (type != NULL && (strcmp(type, "PRINT") == 0 || strcmp(type, "PASA") == 0))
        assert_true(dataset.print);
    if (type != NULL && strcmp(type, "PUNCH") == 0)
        assert_false(dataset.print);
}

static struct buf file_read(const char *folder, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/spool/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct buf bytes = { 0 };
    char piece[4096];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(&bytes, piece, size);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

static void check_sample(const char *folder, json_t *sample)
{
    const char *name = json_string_value(json_object_get(sample, "file"));
    struct buf bytes = file_read(folder, name), scratch = { 0 }, cards = { 0 };
    assert_int_equal(bytes.size, json_integer_value(json_object_get(sample, "size")));
    struct span file;
    assert_int_equal(nje_spool_skip_text(buf_span(&bytes), &file, NULL), 0);

    json_t *srcbs = json_object_get(sample, "srcb");
    struct reader reader = reader_of(file);
    struct nje_spool_record record;
    size_t wire = 0;
    int found;
    while ((found = nje_spool_next(&reader, &record, NULL)) == 1) {
        if (wire < json_array_size(srcbs))
            assert_int_equal(record.srcb, strtoul(json_string_value(json_array_get(srcbs, wire)), NULL, 16));
        wire++;
    }
    assert_int_equal(found, 0);

    struct nje_logical_walk walk = { .from = reader_of(file), .scratch = &scratch, .len_counts_cc = true };
    struct nje_logical logical;
    unsigned jobs = 0, datasets = 0, trailers = 0, lines = 0;
    struct nje_trailer trailer = { 0 };
    while ((found = nje_logical_next(&walk, &logical, NULL)) == 1) {
        if (logical.kind == NJE_SRCB_NJH && ++jobs)
            check_job(sample, logical.bytes);
        else if (logical.kind == NJE_SRCB_DSH && datasets++ == 0)
            check_dataset(sample, logical.bytes);
        else if (logical.kind == NJE_SRCB_NJT && ++trailers)
            assert_int_equal(nje_trailer_decode(logical.bytes, &trailer, NULL), 0);
        if (logical.kind != NJE_SRCB_DATA)
            continue;
        lines++;
        if (logical.carriage != 0)
            buf_add_u8(&cards, logical.control);
        buf_add_span(&cards, logical.bytes);
        buf_add_fill(&cards, 0x40, logical.lrecl - logical.bytes.size);
    }
    assert_int_equal(found, 0);
    assert_int_equal(jobs, 1);
    assert_int_equal(trailers, 1);
    assert_true(lines > 0);

    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_size;
    assert_int_equal(EVP_Digest(cards.at, cards.size, digest, &digest_size, EVP_sha256(), NULL), 1);
    char hex[2 * 32 + 1];
    for (unsigned i = 0; i < digest_size; i++)
        (void)snprintf(&hex[2 * i], 3, "%02x", digest[i]);
    assert_string_equal(hex, json_string_value(json_object_get(sample, "cards_sha256")));
    capture_cut_everywhere(file);
    print_message("# %s: %zu records, %u data set headers, %u lines\n", name, wire, datasets, lines);
    buf_free(&cards);
    buf_free(&scratch);
    buf_free(&bytes);
}

static void files_of_real_hosts(void **state)
{
    (void)state;
    const char *folder = getenv("OVVM_CORPUS");
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/spool/golden.json", folder);
    json_t *golden = json_load_file(path, 0, NULL);
    assert_non_null(golden);
    size_t i;
    json_t *sample;
    json_array_foreach(golden, i, sample) check_sample(folder, sample);
    assert_true(json_array_size(golden) > 0);
    json_decref(golden);
}

int main(void)
{
    if (getenv("OVVM_CORPUS") == NULL) {
        (void)printf("1..0 # SKIP OVVM_CORPUS is not set: the files of real hosts are not read\n");
        return 0;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(files_of_real_hosts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
