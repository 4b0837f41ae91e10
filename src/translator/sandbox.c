/* The filter is a list of what is allowed; the default is to end the process. What can go wrong: a library asks for a
 * call that is not in the list. It must then be asked for before the sandbox is entered (the init function of a
 * translator), or be added here with its reason. A system without seccomp has no sandbox, and then nothing is parsed.
 */
#include "translator/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef OVVM_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

enum { FILES_MAX = 16 /* the socket, those of one job, its output */ };

void sandbox_before_exec(void)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    /* capabilities(7): with NOROOT, exec gives root none. Not capset, which a service's own filter may punish. */
    if (geteuid() == 0)
        (void)prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0);
}

void sandbox_leave_network(void)
{
    (void)unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

/* Pages of address space in use (proc(5) statm); 0 where /proc does not say. */
static uint64_t space_in_use(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &pages) != 1)
        pages = 0;
    (void)fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int limit(__rlimit_resource_t resource, uint64_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) == -1)
        return -1;
    rlim_t wanted = now.rlim_max < value ? now.rlim_max : value;
    return setrlimit(resource, &(struct rlimit){ .rlim_cur = wanted, .rlim_max = wanted });
}

static int set_limits(const struct sandbox_limits *limits)
{
    if (limit(RLIMIT_AS, space_in_use() + limits->memory) == -1 || limit(RLIMIT_FSIZE, limits->file_size) == -1 ||
        limit(RLIMIT_CPU, limits->cpu_seconds) == -1 || limit(RLIMIT_NOFILE, FILES_MAX) == -1)
        return -1;
    return limit(RLIMIT_CORE, 0);
}

/* Calls without a condition. A name that this machine's kernel does not have is passed over. */
static const char *const allowed[] = {
    "read",
    "write",
    "writev",
    "recvmsg",
    "sendmsg",
    "close",
    "lseek",
    "fstat",
    "ftruncate",
    /* memory */
    "munmap",
    "mremap",
    "brk",
    "madvise",
    "getrandom",
    /* time, locks, the end; the last six are what abort(3) and a handler's return need */
    "futex",
    "sched_yield",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "exit",
    "exit_group",
    "restart_syscall",
    "rt_sigreturn",
    "rt_sigprocmask",
    "getpid",
    "gettid",
#ifdef OVVM_SANITIZED
    "sigaltstack",
    "rt_sigaction",
    "sigaction",
    "prctl",
    "sched_getaffinity",
    "getrlimit",
    "prlimit64",
    "getuid",
    "getppid",
    "set_robust_list",
    "rseq",
    "nanosleep",
    "clock_nanosleep",
    "sysinfo",
#endif
};

/* What libraries ask about files and the terminal, and can go without: to look for a file (iconv_open of a charset that
 * nobody has asked for before), to print a warning (g_log). Also what the sanitizers' runtimes try while they report.
 */
static const char *const refused[] = {
    "stat",     "lstat",      "newfstatat", "statx",       "access",      "faccessat", "faccessat2",
    "readlink", "readlinkat", "ioctl",      "getsockname", "getpeername", "uname",
#ifdef OVVM_SANITIZED
    "open",     "openat",     "pipe",       "pipe2",       "fork",        "vfork",     "clone",
    "clone3",   "ptrace",     "socketpair", "wait4",
#endif
};

/* A filter that is being built; the first step that failed is kept. */
struct filter {
    scmp_filter_ctx context;
    int failed; /* 0, or a negative errno */
};

static void add(struct filter *filter, uint32_t action, const char *name, unsigned count,
                const struct scmp_arg_cmp *conditions)
{
    int number = seccomp_syscall_resolve_name(name);
    if (filter->failed == 0 && number >= 0) /* else not on this machine */
        filter->failed = seccomp_rule_add_array(filter->context, action, number, count, conditions);
}

static void allow_where(struct filter *filter, const char *name, struct scmp_arg_cmp condition)
{
    add(filter, SCMP_ACT_ALLOW, name, 1, &condition);
}

static void add_rules(struct filter *filter)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        add(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
        /* data only, no code */
#ifdef __s390__ /* mmap's arguments are in memory there, where a filter cannot look */
    add(filter, SCMP_ACT_ALLOW, "mmap", 0, NULL);
#else
    allow_where(filter, "mmap", SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
#endif
    allow_where(filter, "mprotect", SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    allow_where(filter, "memfd_create", SCMP_A1_64(SCMP_CMP_EQ, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    allow_where(filter, "fcntl", SCMP_A1_64(SCMP_CMP_EQ, F_ADD_SEALS));
    allow_where(filter, "fcntl", SCMP_A1_64(SCMP_CMP_EQ, F_GET_SEALS));
    /* for reading only: whoever wants to write a file is ended */
    add(filter, SCMP_ACT_ERRNO(EACCES), "openat", 1,
        &SCMP_A2_64(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
    /* itself only, for abort(3) */
    allow_where(filter, "tgkill", SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0, NULL);
}

static int load_filter(struct err *err)
{
    struct filter filter = { .context = seccomp_init(SCMP_ACT_KILL_PROCESS) };
    if (filter.context == NULL)
        return err_set(err, ERR_BUG, "the sandbox cannot be made: libseccomp has no filter for this kernel");
    filter.failed = seccomp_attr_set(filter.context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    add_rules(&filter);
    if (filter.failed == 0)
        filter.failed = seccomp_load(filter.context);
    seccomp_release(filter.context);
    return filter.failed == 0 ? 0 : err_set(err, ERR_BUG, "the sandbox cannot be closed: %s", strerror(-filter.failed));
}

int sandbox_enter(const struct sandbox_limits *limits, struct err *err)
{
#ifdef OVVM_SANITIZED
    __sanitizer_sandbox_on_notify(NULL);
#endif
    if (set_limits(limits) == -1)
        return err_set(err, ERR_BUG, "the limits of a translator cannot be set: %m");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        return err_set(err, ERR_BUG, "the rights of a translator cannot be dropped: %m");
    return load_filter(err);
}
