/* filemap: Cmsxmap.tbl and Dosxmap.tbl: which files are text, by the filetype they have on the host (on the way to the
 * Internet) or by the extension they have in mail (on the way to a host).
 *
 * A line is `FILETYPE EBCDIC` or `FILETYPE BINARY` (Q230646), in any case, with anything behind it; TEXT is another
 * word for EBCDIC. Filetypes are cut to eight characters, a dot before them is dropped, and `*` stands for all that are
 * not named. Of several lines for one filetype the first is used. Lines that begin with `;`, or with `*` and have
 * neither word behind it, are comments, and so is what follows a blank and a `;`.
 */
#ifndef OVVM_ADDRESS_FILEMAP_H
#define OVVM_ADDRESS_FILEMAP_H

#include "letter/options.h"

struct filemap {
    struct options_map *lines;
    size_t count;
};

/* CONFIG: "NAME line N: ..."; NO_MEMORY. Free in every case. */
int filemap_parse(const char *name, struct span text, struct filemap *map_r, struct err *err);
void filemap_free(struct filemap *map);

#endif
