/* confkeys: a configuration as a list of keys, to be carried, compared and proposed without being put in force. */
#ifndef OVVM_RELOCATE_CONFKEYS_H
#define OVVM_RELOCATE_CONFKEYS_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

enum confkey_kind {
    CONFKEY_PLAIN,   /* belongs to the site: the same on every computer */
    CONFKEY_MACHINE, /* belongs to one computer: paths, sockets, addresses to listen at, dial or allow */
    CONFKEY_SECRET,  /* where a secret lies */
    CONFKEY_UNKNOWN  /* no key of this release */
};
/* `section` without the name behind it ("link"), `key` as in ovvm.conf(5). */
enum confkey_kind confkey_kind_of(struct span section, struct span key);

struct confkey {
    struct span section; /* as between the brackets, "link MAPLEC1" */
    struct span name, value;
};
struct confkeys {
    struct buf text; /* what the spans point into */
    struct confkey *at;
    size_t count, room;
};
enum { CONFKEYS_MAX = 10000 };

/* Takes over a copy of `text`. Lines that are neither section nor assignment are passed over. NO_MEMORY, TOO_BIG. */
int confkeys_parse(struct span text, struct confkeys *keys_r, struct err *err);
/* NOT_FOUND, REFUSED. */
int confkeys_load(const char *path, struct confkeys *keys_r, struct err *err);
void confkeys_free(struct confkeys *keys);
/* NULL: not set. */
const struct confkey *confkeys_find(const struct confkeys *keys, struct span section, struct span name);

/* For reference: every key, without comments; of secrets only that they were set. */
void confkeys_reference(const struct confkeys *keys, struct buf *to);
/* A proposal for another computer: machine-specific keys and secrets are blank, with what they were in a comment. */
void confkeys_proposal(const struct confkeys *keys, struct buf *to);
/* An array of {"section", "key", "is": same|differs|machine-specific|missing|new, "before", "now"}, one for each key of
 * either. Secrets are never shown. */
json_t *confkeys_compare(const struct confkeys *before, const struct confkeys *now);

#endif
