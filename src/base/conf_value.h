/* conf_value: one value of the configuration, from text to its C type. */
#ifndef OVVM_BASE_CONF_VALUE_H
#define OVVM_BASE_CONF_VALUE_H

#include "base/conf_table.h"
#include "base/err.h"
#include "base/span.h"

/* Checks `text` and puts it into *to, which must hold nothing yet. CONFIG errors say what is wrong, what is wanted
 * and an example; NO_MEMORY. */
int conf_value_set(const struct conf_key *key, struct span text, void *to, struct err *err);
/* Frees what *to owns and leaves it empty; overwrites a secret first. */
void conf_value_free(const struct conf_key *key, void *to);
/* What may be written, in words: "a number from 1 to 64", "one of auto, journal, stderr". */
void conf_value_wanted(const struct conf_key *key, char *to_r, size_t room);
/* Is this a DNS name of letters, digits and hyphens (RFC 1123 §2.1)? `why_r` says what is wrong. */
bool conf_domain_ok(struct span text, const char **why_r);

#endif
