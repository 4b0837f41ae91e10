/* fault: named places where a test may kill the process, and counted calls that a test may make fail.
 *
 * Only in builds configured with -Dfaults=true (the test build); elsewhere all of it compiles to nothing.
 *
 * FAILPOINT("name") marks a moment between two steps of the ledger's state table (store/README.md). With
 * OVVM_FAILPOINT=name[:N][,…] in the environment the process kills itself (SIGKILL) the N-th time it gets
 * there. `name=pause:MS` sleeps instead. Names are listed by `ovvmd --failpoints`.
 *
 * OVVM_FAULT=alloc:N makes the N-th allocation of the process fail, alloc:N+ that and all later ones;
 * write:N[+]:ENOSPC|EIO and sync:N[+]:… do the same to the ledger's file writes and syncs (store/faultvfs.c).
 * clock:SECONDS sets the wall clock of the process ahead, or back where there is a minus sign.
 * OVVM_TIMES=name:MS[,…] shortens a wait that FAULT_TIME("name", usual) guards, so that a test need not sit it out.
 * A fault file named in OVVM_FAULT_FILE, if set, is read again on SIGUSR2 and replaces the settings (so that
 * a test can give space back).
 * A file named in OVVM_FAULT_CALLS, if set, is mapped and holds the account, also after the process has ended:
 * eight-byte integers of the machine, how often settings were read; then for alloc, write and sync the calls counted
 * since, and those of them that failed. Calls are counted while their kind has a setting. With OVVM_FAULT_TRACE each
 * call that fails leaves a backtrace on standard error.
 */
#ifndef OVVM_BASE_FAULT_H
#define OVVM_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef OVVM_FAULTS

enum fault_kind { FAULT_ALLOC, FAULT_WRITE, FAULT_SYNC, FAULT_KINDS };

/* Reads the environment; call once, early in main, before threads. */
void fault_init(void);
/* Counts one call of this kind: 0, or the errno it shall fail with. */
int fault_check(enum fault_kind kind);
bool fault_alloc(void);
void fault_point(const char *name);
/* Microseconds: what OVVM_TIMES says for `name`, else `usual_us`. */
int64_t fault_time(const char *name, int64_t usual_us);

/* Registers itself before main so that the list of names is complete without being kept by hand. */
struct failpoint {
    const char *name;
    struct failpoint *next;
};
void fault_register(struct failpoint *point);
/* Prints every name, one a line. */
void fault_list(void);

#define FAILPOINT_JOIN2(a, b) a##b
#define FAILPOINT_JOIN(a, b)  FAILPOINT_JOIN2(a, b)
/* At file scope: declares the name. In code: the moment itself. */
#define FAILPOINT_DECLARE(name_)                                                             \
    static struct failpoint FAILPOINT_JOIN(failpoint_, __LINE__) = { .name = (name_) };      \
    __attribute__((constructor)) static void FAILPOINT_JOIN(failpoint_init_, __LINE__)(void) \
    {                                                                                        \
        fault_register(&FAILPOINT_JOIN(failpoint_, __LINE__));                               \
    }                                                                                        \
    struct failpoint /* takes the semicolon */
#define FAILPOINT(name)             fault_point(name)
#define FAULT_TIME(name_, usual_us) fault_time((name_), (usual_us))

#else

#define fault_init()             ((void)0)
#define fault_alloc()            false
#define FAILPOINT_DECLARE(name_) struct failpoint
#define FAILPOINT(name)          ((void)0)
#define FAULT_TIME(name_, us_)   ((void)(name_), (us_))

#endif
#endif
