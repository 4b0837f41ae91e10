/* pack: fields with their lengths, one after the other.
 *
 * What goes between the daemon and its translators: each field is a tag (u8), a length (u32, big-endian) and bytes; a
 * value may be fields again. Tags belong to the list they stand in (facts.h, hostfile.h, resolution.h name theirs). A
 * reader skips tags it does not know. Both sides are the same program: this is no file format and has no version.
 */
#ifndef OVVM_LETTER_PACK_H
#define OVVM_LETTER_PACK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/name8.h"

void pack_span(struct buf *to, unsigned tag, struct span value);
/* The same, but nothing where the value is empty. */
void pack_span_if(struct buf *to, unsigned tag, struct span value);
void pack_text_if(struct buf *to, unsigned tag, const char *value);
void pack_number(struct buf *to, unsigned tag, int64_t value); /* 8 bytes, big-endian */
/* Nothing where it is false. */
void pack_flag(struct buf *to, unsigned tag, bool value);
/* A value made of fields: what is added between begin and end. */
size_t pack_begin(struct buf *to, unsigned tag);
void pack_end(struct buf *to, size_t begun);

struct pack_field {
    unsigned tag;
    struct span value; /* lies in what is read */
};
/* 1: a field; 0: no more; -1: ERR_BAD_CONTENT, the rest does not fit. */
int pack_next(struct reader *from, struct pack_field *field_r, struct err *err);
/* How many fields of this tag there are; stops where one does not fit. */
size_t pack_count(struct span fields, unsigned tag);
/* 0 where the value has another size. */
int64_t pack_number_of(struct span value);
/* Empty where the value is no name. */
struct name8 pack_name_of(struct span value);

#endif
