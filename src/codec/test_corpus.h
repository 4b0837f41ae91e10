/* test_corpus: real host files for the codec tests, read in place from the folder that OVVM_CORPUS names.
 * They belong to others and are not part of the project: corpus_test skips where they are absent. */
#ifndef OVVM_CODEC_TEST_CORPUS_H
#define OVVM_CODEC_TEST_CORPUS_H

#include "codec/records.h"

#include <jansson.h>

/* Fails the running test where OVVM_CORPUS is unset or has no such file. The buf is the caller's. */
void corpus_read(const char *name, struct buf *to);
/* The caller gives it back with json_decref. */
json_t *corpus_json(const char *name);
/* The data records of a spool file: each padded to its stated length; with carriage control, the control byte first. */
void corpus_cards(const char *name, struct records *cards);
/* Hex of the SHA-256. */
void corpus_sha256(struct span bytes, char hex_r[65]);
/* A record of ASCII text in code page 037. */
void corpus_add_text(struct records *records, const char *text);
/* Bytes from hex digits; other characters between them are skipped. */
void corpus_add_hex(struct buf *to, const char *hex);
/* Fails with both texts where they differ. `utf8` is the record in code page 037. */
void corpus_assert_record(struct span record, const char *text);

#endif
