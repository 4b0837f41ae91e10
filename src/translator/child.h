/* child: the translator itself. A process of the zygote's that shuts itself in and does one job after the other.
 */
#ifndef OVVM_TRANSLATOR_CHILD_H
#define OVVM_TRANSLATOR_CHILD_H

#include "translator/message.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* What a translator does. All three are called in the translator's process, by its one thread. */
struct translator_child {
    /* Once, before the sandbox is closed: the last moment at which a file can be opened. iconv handles, tables of the
     * C library, whatever is loaded on first use. NULL: nothing to do. */
    int (*init)(struct err *err);
    /* The tables and maps of the daemon, once in the life of a translator, before its first job. They stay mapped. -1
     * fails the job with this error. NULL: it uses none. */
    int (*tables)(struct span tables, struct err *err);
    /* One job. `output` is empty and unlimited; more than the job's output limit is answered with TOO_BIG, a latched
     * failure with NO_MEMORY. `input` and `options` end with the call. -1: err says what is wrong with the letter. */
    int (*run)(int op, struct span input, struct span options, struct buf *output, struct err *err);
};

/* Serves the daemon at `fd` until it is gone. */
_Noreturn void child_main(const struct translator_child *child, int fd, const struct sandbox_limits *limits);

#endif
