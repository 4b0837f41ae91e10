/* fetch: asks the directory through a process of its own, and waits for the answer in the loop.
 *
 * The process is this program once more (`ovvmd --directory`), with a pipe for the request and one for the answer and
 * nothing else of the daemon's: libldap may crash, hang or leak there. It is ended at its time limit.
 */
#ifndef OVVM_DIRECTORY_FETCH_H
#define OVVM_DIRECTORY_FETCH_H

#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"

#define DIRECTORY_ARGUMENT "--directory"

struct directory_fetch;

struct directory_fetch_options {
    struct loop *loop;
    const struct conf_directory *directory;
    const char *program; /* NULL: /proc/self/exe */
    /* Once, in the loop's thread, not within the start: the rows of a whole answer (answer.h), which are gone after
     * the call, and their count; or *err. The fetch is no more then. */
    void (*done)(void *arg, struct span rows, size_t count, const struct err *err);
    void *arg;
};

/* NO_MEMORY: no process or no pipe. */
int directory_fetch_start(const struct directory_fetch_options *options, struct directory_fetch **fetch_r,
                          struct err *err);
/* Ends the process and frees; `done` is not called. NULL: nothing. */
void directory_fetch_stop(struct directory_fetch *fetch);

#endif
