/* itemfile: one letter as a file: its facts, then its content as it is.
 *
 *     OVVM-ITEM 1
 *     {"id": "01J…", "queue": "mail_out", … "size": 1234, "sha256": "…"}
 *     content, `size` bytes
 *
 * The second line is one JSON object; bytes that are not UTF-8 stand in it as in csv.h. The members of Queue/ and
 * Quarantine/ in a bundle are such files, and so is what `ovvm queue export` writes.
 */
#ifndef OVVM_RELOCATE_ITEMFILE_H
#define OVVM_RELOCATE_ITEMFILE_H

#include "store/item.h"

#include <jansson.h>

#define ITEMFILE_FIRST_LINE "OVVM-ITEM 1"
enum { ITEMFILE_FACTS_MAX = 8 * 1024 * 1024, ITEMFILE_SHA256 = 32 };

typedef int (*itemfile_put)(void *arg, struct span bytes, struct err *err);

/* Writes the item with this key through `put`. 1 written, 0 there is no such item. */
int itemfile_export(struct db *db, int64_t key, itemfile_put put, void *arg, struct err *err);

/* The facts of the second line. *item_r is the caller's (item_free); key is 0. BAD_CONTENT says which fact is wrong. */
int itemfile_facts(const json_t *facts, struct item *item_r, uint8_t sha256_r[ITEMFILE_SHA256], struct err *err);

/* Reading a whole file in pieces, into the ledger, in the caller's transaction: begin, pieces, end. */
struct itemfile_reader {
    struct db *db;
    int64_t key;
    bool hold; /* ready items come up held */
    int part;  /* 0 first line, 1 facts, 2 content */
    struct buf line, chunk;
    struct item item;
    uint8_t sha256[ITEMFILE_SHA256];
    void *digest; /* EVP_MD_CTX */
    unsigned chunks;
    uint64_t size;
};
void itemfile_read_begin(struct itemfile_reader *reader, struct db *db, int64_t key, bool hold);
int itemfile_read(struct itemfile_reader *reader, struct span bytes, struct err *err);
/* Checks size and digest, and adds the item. */
int itemfile_read_end(struct itemfile_reader *reader, struct err *err);
void itemfile_read_free(struct itemfile_reader *reader);

#endif
