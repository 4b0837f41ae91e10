/* wrap: mail text as lines that a host can show.
 *
 * Lines of any length become EBCDIC records no wider than the host's screen, cut at words; what is quoted keeps its
 * line breaks; nothing is left out.
 */
#ifndef OVVM_CODEC_WRAP_H
#define OVVM_CODEC_WRAP_H

#include "codec/ebcdic.h"
#include "codec/records.h"

enum {
    WRAP_WIDTH = 78,
    WRAP_TAB = 8,
    WRAP_QUOTE_MAX = 20,
    WRAP_EQUALS = 72,
    WRAP_HYPHENS = 70,
    WRAP_HYPHENS_KEPT = 60
};

struct wrap {
    const struct ebcdic_page *page;
    size_t width;        /* columns of a line, more than WRAP_QUOTE_MAX */
    size_t quoted_width; /* columns a line that begins with '>' may have before it is cut; >= width */
    uint8_t indent;      /* blanks before every line (PROFS: 1), not counted in width */
    bool break_equals;   /* a line of 72 '=' would end an entry in a CMS notebook: put a blank before it */
    bool cut_hyphens;    /* a line of 70 '-' would end an entry in a TSO log: make it 60 */
};

/* The columns a note's text has: `margin`, or 78 where it is 0 or more than that. */
static inline size_t wrap_margin(size_t margin)
{
    return margin == 0 || margin > WRAP_WIDTH ? WRAP_WIDTH : margin;
}

/* Appends `utf8` (lines ended by LF or CRLF) to `to`. An empty line becomes one X'40'; text without any line gives no
 * record. Tabs go to the next column of 8, other control characters become blanks. *substituted_r as in
 * utf8_to_ebcdic, may be NULL. */
void wrap_text(const struct wrap *wrap, struct span utf8, struct records *to, size_t *substituted_r);

/* One line without its control characters in the page, for a header: tabs and line ends become one blank each. */
void wrap_line(const struct ebcdic_page *page, struct span utf8, struct buf *to, size_t *substituted_r);

#endif
