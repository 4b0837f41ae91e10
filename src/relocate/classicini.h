/* classicini: Exchconn.ini of the original product (before 5.5 Linkage.ini), key by key, as a configuration of ours.
 *
 * Sections and keys: Q231992, Q183706, Q199958, Q174694, Q233319 and the others that classicini.c names. Lines that
 * start with ; are comments; names are case-insensitive; a stage's section wins over the connector's, that over [LME].
 */
#ifndef OVVM_RELOCATE_CLASSICINI_H
#define OVVM_RELOCATE_CLASSICINI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/name8.h"

struct classicini {
    struct name8 node, partner; /* LOCALNODE, PARTNERNODE; empty: not given */
    size_t taken, left;         /* keys with and without a counterpart */
};

/* Appends a proposed configuration to `conf`, in which what the ini does not know or what belongs to one computer is
 * blank, and to `says` one line for every key: what became of it, or why nothing did. `nodes`: the other nodes of
 * Ovdfile.dat with a blank before each, for the link; may be empty. */
int classicini_translate(struct span text, struct span nodes, struct buf *conf, struct buf *says,
                         struct classicini *result_r, struct err *err);

#endif
