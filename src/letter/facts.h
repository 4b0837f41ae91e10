/* facts: what a translator tells the daemon of an input before it is encoded.
 *
 * The heads of the letters that an input holds (one, but for BSMTP), packed (pack.h). The daemon resolves the
 * addresses in them, decides, and asks for the encoding of letter n with a resolution (resolution.h). Parsing trusts
 * nothing: the other side may have been taken over.
 */
#ifndef OVVM_LETTER_FACTS_H
#define OVVM_LETTER_FACTS_H

#include "letter/letter.h"

enum { FACTS_LETTERS_MAX = 1000 };

struct facts {
    size_t letter_count;
    struct letter_head *letters; /* all spans lie in what was parsed */
    /* behind the letters that are whole: why the rest of the input is not (BSMTP that ends early); id ERR_NONE if all
     * of it was understood. The letters before it are good. */
    struct err rest;
};

/* Appends the head of one letter. Look at to->failed. */
void facts_add(struct buf *to, const struct letter_head *head);
/* Appends why what follows the letters cannot be understood. */
void facts_add_rest(struct buf *to, const struct err *why);
/* ERR_BAD_CONTENT, ERR_TOO_MANY, ERR_NO_MEMORY. `packed` must outlive *facts_r; release in every case. */
int facts_parse(struct span packed, struct facts *facts_r, struct err *err);
void facts_release(struct facts *facts);

#endif
