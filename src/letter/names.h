/* names: what an attachment is called on a host.
 *
 * Eight and eight characters (filename and filetype of CMS, the last two qualifiers of MVS), made from the name it has
 * in mail: always the same from the same list of names, and never twice in one letter (AT-05).
 */
#ifndef OVVM_LETTER_NAMES_H
#define OVVM_LETTER_NAMES_H

#include "base/name8.h"
#include "base/span.h"

struct host_name {
    struct name8 name, type;
};

/* `mvs`: qualifiers begin with a letter or # @ $, and have no `_` or `-`. `type_otherwise` where there is no extension.
 * `taken`: the names made so far for this letter. */
void host_name_make(struct span name, bool mvs, const char *type_otherwise, const struct host_name *taken,
                    size_t taken_count, struct host_name *name_r);

/* The extension of a mail name, without the dot; empty where there is none. */
struct span name_extension(struct span name);

#endif
