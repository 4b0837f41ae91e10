/* Reads the listings of captured sessions for the tests. Lines that matter:
 *       RCB=99 SYSOUT stream 1  SRCB=c0 job header (NJH)
 *         0000  00 cc 00 00 …  |text|
 */
#include "nje/capture.h"

#include "nje/spoolfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void add_row(struct capture_record *record, const char *row)
{
    while (row[0] != '\0' && row[0] != '|') {
        char *end;
        unsigned long byte = strtoul(row, &end, 16);
        if (end == row)
            return;
        assert_true(record->size < CAPTURE_RECORD_SIZE);
        record->bytes[record->size++] = (uint8_t)byte;
        row = end + strspn(end, " ");
    }
}

void capture_read(const char *listing, struct capture *capture_r)
{
    char path[512], line[512];
    const char *folder = getenv("OVVM_TEST_DATA");
    assert_non_null(folder);
    (void)snprintf(path, sizeof path, "%s/nje/%s", folder, listing);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    capture_r->count = 0;
    struct capture_record *record = NULL;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned rcb, offset;
        const char *srcb = strstr(line, "SRCB=");
        int at = 0;
        if (sscanf(line, " RCB=%x", &rcb) == 1) {
            record = NULL;
            if (srcb == NULL)
                continue; /* end of the buffer */
            assert_true(capture_r->count < CAPTURE_RECORDS_MAX);
            record = &capture_r->records[capture_r->count++];
            *record = (struct capture_record){ .rcb = (uint8_t)rcb, .srcb = (uint8_t)strtoul(srcb + 5, NULL, 16) };
        } else if (strstr(line, "TTR") != NULL || strstr(line, "TTB") != NULL) {
            record = NULL;
        } else if (record != NULL && strncmp(line, "        ", 8) == 0 && sscanf(line, "%4x  %n", &offset, &at) == 1 &&
                   at > 0 && offset == record->size) {
            add_row(record, line + at);
        }
    }
    assert_int_equal(fclose(file), 0);
}

const struct capture_record *capture_find(const struct capture *capture, uint8_t rcb, uint8_t srcb, size_t n)
{
    for (size_t i = 0; i < capture->count; i++) {
        const struct capture_record *record = &capture->records[i];
        if (record->rcb == rcb && record->srcb == srcb && record->size > 0 && n-- == 0)
            return record;
    }
    fail_msg("the capture has no such record: RCB %02X SRCB %02X", rcb, srcb);
    return NULL;
}

/* Walks to the end or to the first error, decoding every header. Returns how many logical records there were, *end_r
 * what the last call said. */
static size_t walk_all(struct span file, int *end_r)
{
    struct buf scratch = { 0 };
    struct nje_logical_walk walk = { .from = reader_of(file), .scratch = &scratch, .len_counts_cc = true };
    struct nje_logical logical;
    size_t count = 0;
    int found;
    while ((found = nje_logical_next(&walk, &logical, NULL)) == 1) {
        struct nje_job job;
        struct nje_dataset dataset;
        struct nje_trailer trailer;
        if (logical.kind == NJE_SRCB_NJH)
            assert_int_equal(nje_job_decode(logical.bytes, &job, NULL), 0);
        else if (logical.kind == NJE_SRCB_DSH)
            assert_int_equal(nje_dataset_decode(logical.bytes, &dataset, NULL), 0);
        else if (logical.kind == NJE_SRCB_NJT)
            assert_int_equal(nje_trailer_decode(logical.bytes, &trailer, NULL), 0);
        count++;
    }
    buf_free(&scratch);
    *end_r = found;
    return count;
}

void capture_cut_everywhere(struct span file)
{
    int end;
    size_t all = walk_all(file, &end), clean = 0;
    assert_int_equal(end, 0);
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, file.at, size);
        size_t count = walk_all(span_of(exact, size), &end);
        assert_true(count < all);
        if (end == 0)
            clean++;
        free(exact);
    }
    assert_int_equal(clean, all); /* in front of each logical record */
}
