/* show: received files and messages in words, for the one who sits in front of the trial node. */
#ifndef OVVM_HOST_SHOW_H
#define OVVM_HOST_SHOW_H

#include "base/buf.h"
#include "nje/link.h"

/* Appends one line that says what was received and where it is kept. */
void show_facts(const struct nje_incoming_facts *facts, const char *name, struct buf *to);
/* Appends the text of a spool file, two blanks before each line; further data set headers and what cannot be read are
 * said between. A NETDATA stream is shown as what it holds. Code page 037 to UTF-8; control characters become dots. */
void show_contents(struct span file, bool len_counts_cc, struct buf *to);
void show_message(const struct nje_message *message, struct buf *to);

#endif
