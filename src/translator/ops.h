/* ops: the operations of a translator, by number.
 *
 * Each is one function of letter/translate.h; what its input and output are is said there. The options of a job hold
 * what such a function takes besides its input.
 */
#ifndef OVVM_TRANSLATOR_OPS_H
#define OVVM_TRANSLATOR_OPS_H

#include "translator/child.h"

enum translator_op {
    OP_HOST_FACTS = 1, /* hostfile, options -> facts */
    OP_HOST_TO_MAIL,   /* hostfile, options, mail_resolution -> message */
    OP_HOST_ACK,       /* hostfile, options, ack_resolution -> list of one hostfile */
    OP_MAIL_FACTS,     /* message -> facts */
    OP_MAIL_TO_HOST    /* message, options, host_resolution -> list of hostfiles */
};

/* For translator_job.options: what options_pack made, and one of resolution.h packed (empty where the operation takes
 * none). Appends to `to`; look at to->failed. OP_MAIL_FACTS takes neither, its options may be empty altogether. */
void ops_options(struct span options, struct span resolution, struct buf *to);

/* What the daemon's zygote is to run. */
extern const struct translator_child ops_child;

#endif
