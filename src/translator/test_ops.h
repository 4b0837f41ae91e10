/* test_ops: a translator that misbehaves on request. For the tests and the benchmark of the pool only. */
#ifndef OVVM_TRANSLATOR_TEST_OPS_H
#define OVVM_TRANSLATOR_TEST_OPS_H

#include "translator/child.h"

/* Set in the environment of the zygote: no translator gets ready. */
#define TEST_OPS_UNFIT "OVVM_TEST_TRANSLATOR_UNFIT"

enum test_op {
    TEST_ECHO,    /* the input */
    TEST_OPTIONS, /* the options */
    TEST_TABLES,  /* the tables */
    TEST_PID,     /* process id as an int */
    TEST_REFUSE,  /* ERR_BAD_CONTENT with control characters in its text */
    TEST_LATCH,   /* success, with an output that ran out of memory */
    /* faults */
    TEST_CRASH,
    TEST_ABORT,
    TEST_EXIT, /* status 7 */
    TEST_HANG,
    TEST_MUTE,    /* closes its socket and hangs */
    TEST_EAT,     /* memory, until there is none: ERR_NO_MEMORY */
    TEST_HUGE,    /* 8 MiB of output */
    TEST_OPEN,    /* a file for reading */
    TEST_CHARSET, /* an iconv handle that needs a file */
    /* what the sandbox forbids */
    TEST_CREATE, /* a file */
    TEST_SOCKET,
    TEST_EXEC,
    TEST_FORK,
    TEST_SIGNAL,
    TEST_CODE, /* memory that can be executed */
    TEST_TRACE,
    /* answers that are not to be believed; the serial expected is 2, the generation 0 */
    TEST_LIE_SERIAL,
    TEST_LIE_SIZE, /* larger than what is passed */
    TEST_LIE_LIMIT,
    TEST_LIE_UNSEALED,
    TEST_LIE_HALF_SEALED, /* all seals but the one against writing */
    TEST_LIE_SOCKET,      /* its socket in the place of the output */
    TEST_LIE_NO_OUTPUT,
    TEST_LIE_MANY, /* more descriptors than any packet has */
    TEST_LIE_KIND,
    TEST_LIE_BLAME, /* reports that it died */
    TEST_LIE_SHORT, /* half a packet */
    TEST_LIE_LONG,
    TEST_LIE_TWICE, /* a right answer, and another */
    TEST_OPS
};

extern const struct translator_child test_ops;

#endif
