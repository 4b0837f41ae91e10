/* host: the trial node behind `ovvm host`, a small NJE node that sends and receives notes, files and messages.
 *
 * It is what an operator puts on the other end of a link to see whether the link works, and what the tests use for a
 * host. It keeps files in a folder instead of a spool, and shows in words what arrives.
 */
#ifndef OVVM_HOST_HOST_H
#define OVVM_HOST_HOST_H

enum host_exit {
    HOST_DONE = 0,  /* everything was sent and acknowledged, everything expected arrived */
    HOST_LACKS = 1, /* something was not: nothing received, not acknowledged */
    HOST_USAGE = 2  /* the command cannot be understood, or an input file cannot be used */
};

/* `argv[0]` is the verb ("host"), the rest its options (host/options.h). Returns an enum host_exit. */
int host_main(int argc, char **argv);

#endif
