/* options: how letters of one node are translated; the same for facts and encoding, in both directions.
 *
 * Made from the configuration and Ovdfile.dat (design §4.1: a node's setting wins over its link's). Packed (pack.h) to
 * cross to the translator.
 */
#ifndef OVVM_LETTER_OPTIONS_H
#define OVVM_LETTER_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/ebcdic.h"

enum {
    OPTIONS_MARGIN = 78,
    OPTIONS_MARGIN_MIN = 40,
    OPTIONS_LRECL_MAX = 32760,
    OPTIONS_LRECL_MIN = 80,
    OPTIONS_MAP_MAX = 1000,
    OPTIONS_KEY_SIZE = 9,
    OPTIONS_OPENING_MAX = 64 * 1024
};

/* Ovdfile.dat host-kind= (host-users.md §0) */
enum letter_host_kind { HOST_CMS = 1, HOST_PROFS, HOST_TSO, HOST_NJE38, HOST_CMS370, HOST_MAILER };

/* Cmsxmap.tbl (by filetype) or Dosxmap.tbl (by extension): `LISTING EBCDIC`, `ZIP BINARY`, `*` is the default. */
struct options_map {
    char key[OPTIONS_KEY_SIZE]; /* upper case */
    bool text;                  /* EBCDIC; else BINARY */
};

struct options {
    enum letter_host_kind kind;
    char page[EBCDIC_NAME_SIZE]; /* code page of the text: a number, or the name of the custom page below */
    struct span to_pc, from_pc;  /* a custom page: its .csm tables, 256 bytes each; else empty */
    bool pc_850;                 /* they are to code page 850, not 1252 */
    size_t margin;               /* columns of a note's text; 0: 78 */
    size_t max_lrecl;            /* of files to this node; 0: 32760 */
    bool attachments;            /* send them (sendattach=); else the note says which were kept back */
    size_t opening;              /* facts of a host letter: so many bytes of its text go along (letter_head) */
    size_t map_count;
    const struct options_map *map; /* host to mail: by filetype; mail to host: by extension */
};

/* What Q230646 corrected Cmsxmap.tbl to: what applies where the node has no table of its own. */
extern const struct options_map options_cms_map[];
extern const size_t options_cms_map_count;

void options_pack(struct buf *to, const struct options *options);
/* ERR_BAD_CONTENT, ERR_NO_MEMORY, ERR_CONFIG (a number out of range). Release in every case; `packed` must outlive
 * *options_r. */
int options_parse(struct span packed, struct options *options_r, struct err *err);
/* Of options_parse only. */
void options_release(struct options *options);

/* True: text, false: binary; the entry of `key` (any case), else of `*`, else `otherwise`. */
bool options_is_text(const struct options *options, struct span key, bool otherwise);
/* Like it, without the `*` entry: is there an entry of its own? */
bool options_has(const struct options *options, struct span key);
/* The code page of the options: one compiled in, or *custom where it was made from the tables. ERR_CONFIG. */
int options_page(const struct options *options, struct ebcdic_page *custom, const struct ebcdic_page **page_r,
                 struct err *err);

#endif
