/* text: the short texts of NJE headers and messages, code page 037 <-> ASCII.
 *
 * Names, forms, tags and message texts are held as C strings of ASCII; what ASCII cannot say becomes '?'. (File
 * contents are another matter: codec/ebcdic.h.) */
#ifndef OVVM_NJE_TEXT_H
#define OVVM_NJE_TEXT_H

#include "base/buf.h"
#include "base/span.h"

/* Without trailing blanks and X'00'; what does not fit in `room` is cut. */
void nje_text_decode(struct span ebcdic, char *to_r, size_t room);
/* Appends `text` in `width` bytes, cut or blank-padded. Control characters and bytes beyond ASCII become '?'. */
void nje_text_encode(struct buf *to, const char *text, size_t width);

#endif
