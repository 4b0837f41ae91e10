/* sandbox: the walls around a process that reads hostile bytes.
 *
 * Once entered, a process can compute, use memory up to its limit, read and write descriptors it has, and make sealed
 * memory files. It cannot open a file, make a socket or a process, signal anybody, map code, or get new rights; trying
 * ends it with SIGSYS (seccomp(2), SECCOMP_RET_KILL_PROCESS). Opening a file for reading is answered with EACCES
 * instead, because libraries try that and go on without (iconv_open of a rare charset must not cost a letter). Programs
 * built with sanitizers have a profile of their own: what their runtimes ask for is let through or answered with
 * EACCES, and files are among it, so that a finding is printed and not cut off by the sandbox.
 */
#ifndef OVVM_TRANSLATOR_SANDBOX_H
#define OVVM_TRANSLATOR_SANDBOX_H

#include "translator/message.h"

#include "base/err.h"

#include <stdbool.h>

/* Before exec: what the new program shall not have. No new privileges, no capabilities after exec, also as root. */
void sandbox_before_exec(void);
/* A network of its own with nothing in it, where the system permits that; the sandbox does not depend on it. */
void sandbox_leave_network(void);
/* Limits, no core, not readable by others of the same user (PR_SET_DUMPABLE), and the filter. BUG where the system
 * refuses one of them: then nothing may be parsed here. Cannot be left. */
int sandbox_enter(const struct sandbox_limits *limits, struct err *err);

#endif
