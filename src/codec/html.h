/* html: what a reader sees of an HTML letter, as text.
 *
 * Host users read plain text (NT-04). Blocks become lines, list items `* ` or `1. `, quotations `> `, cells of a row
 * stand beside each other, a link is its text and <its address>; scripts, styles and comments are left out. Any bytes
 * give some text; the output is bounded by the input.
 */
#ifndef OVVM_CODEC_HTML_H
#define OVVM_CODEC_HTML_H

#include "base/buf.h"

enum { HTML_LIST_DEPTH = 8, HTML_QUOTE_DEPTH = 5, HTML_ADDRESS_MAX = 1000 };

/* Appends UTF-8 text, lines ended by LF, at most one empty line between two others. `html` is UTF-8. */
void html_to_text(struct span html, struct buf *to);

#endif
