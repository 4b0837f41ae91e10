/* ebcdic_tables: the constant tables behind ebcdic.h, as scripts/make-ebcdic-tables.py writes them.
 * Only ebcdic.c and its test include this. All arrays are sorted by their first field. */
#ifndef OVVM_CODEC_EBCDIC_TABLES_H
#define OVVM_CODEC_EBCDIC_TABLES_H

#include "codec/ebcdic.h"

enum { EBCDIC_PAGES = 31 };

/* A character that a page may lack, and 1 to 3 ASCII characters that say nearly the same. */
struct ebcdic_substitute {
    uint16_t code;
    char text[4];
};

/* A letter and the combining mark after it, and the one Latin-1 character that they make together. */
struct ebcdic_composition {
    uint16_t letter;
    uint16_t mark;
    uint16_t code;
};

struct ebcdic_range {
    uint16_t first;
    uint16_t last;
};

extern const struct ebcdic_page *const ebcdic_pages[EBCDIC_PAGES];
extern const uint16_t ebcdic_cp1252_to_unicode[256];
extern const uint16_t ebcdic_cp850_to_unicode[256];
extern const struct ebcdic_substitute ebcdic_substitutes[];
extern const size_t ebcdic_substitute_count;
extern const struct ebcdic_composition ebcdic_compositions[];
extern const size_t ebcdic_composition_count;
/* Characters that take no column: combining marks, joiners, variation selectors, direction marks. */
extern const struct ebcdic_range ebcdic_marks[];
extern const size_t ebcdic_mark_count;

#endif
