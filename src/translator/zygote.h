/* zygote: the process that makes all translators.
 *
 * The daemon executes itself anew before it has opened anything or made a thread; what then runs has a clean heap, one
 * socket to the daemon, and nothing else. It forks a translator whenever the daemon asks, passes its socket and pidfd
 * back, and reports how each one ended. It reads nothing but the daemon's requests. It ends, and the translators with
 * it, when the daemon does (its socket, and PR_SET_PDEATHSIG).
 *
 * Without it the daemon cannot translate, and it cannot be made again later without inheriting what the daemon has
 * open: the daemon then logs that, stops with exit status 75, and is started anew by its supervisor.
 */
#ifndef OVVM_TRANSLATOR_ZYGOTE_H
#define OVVM_TRANSLATOR_ZYGOTE_H

#include "translator/child.h"

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Where the daemon holds it. All-zero: none. */
struct zygote {
    pid_t pid;
    int fd; /* does not block; packets of message.h */
};

/* Starts /proc/self/exe with one hidden argument and waits until it answers. Call it before threads, sockets and files,
 * in the process (after a fork into the background) and thread that will live as long as the daemon. BUG where it does
 * not start. */
int zygote_start(struct zygote *zygote_r, struct err *err);
/* Closes the socket and waits for the end of the process, and with it of the translators. Leaves *zygote empty. */
void zygote_end(struct zygote *zygote);

/* First thing in main: is this process meant to be the zygote? Then main returns what zygote_main returns. */
bool zygote_is_meant(int argc, char **argv);
/* Serves until the daemon is gone; returns the exit status (2 when started by hand). */
int zygote_main(const struct translator_child *child);

#endif
