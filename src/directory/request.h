/* request: what the daemon tells the process that asks the directory, through its standard input.
 *
 * The texts of [directory] and the daemon's process id, each with its NUL, in one order; an empty text stands for none.
 * Both ends are one program, so the order is no format: it may change with every release.
 */
#ifndef OVVM_DIRECTORY_REQUEST_H
#define OVVM_DIRECTORY_REQUEST_H

#include "base/buf.h"
#include "base/conf.h"

enum { DIRECTORY_REQUEST_MAX = 64 * 1024, DIRECTORY_ATTRIBUTES_MAX = 16 };

struct directory_request {
    struct conf_directory directory; /* the texts lie in `bytes` */
    int64_t parent;                  /* the daemon's process id */
};

void directory_request_write(const struct conf_directory *directory, int64_t parent, struct buf *to);
/* Takes `bytes` apart, which stay where they are. false: that is no request. */
bool directory_request_read(struct buf *bytes, struct directory_request *request_r);

#endif
