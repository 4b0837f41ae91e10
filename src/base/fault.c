/* Fault injection for the test build: see fault.h. Counting is atomic, because the ledger's threads come here
 * too; a name that was given but never declared is a mistake in the test and ends the process at once. */
#include "base/fault.h"

#ifdef OVVM_FAULTS

#include "base/clock.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { FAULT_POINTS_MAX = 16, FAULT_NAME_MAX = 64, FAULT_LINE_MAX = 1024, FAULT_FRAMES = 24 };

struct armed_point {
    char name[FAULT_NAME_MAX];
    long at;       /* fires on this pass */
    long pause_ms; /* 0: kill */
    atomic_long passes;
};

struct armed_fault {
    atomic_long at; /* 0: off */
    atomic_bool onwards;
    atomic_int error;
};

/* The layout of the file of OVVM_FAULT_CALLS. */
struct fault_account {
    atomic_llong settings;
    struct {
        atomic_llong calls;
        atomic_llong failed;
    } of[FAULT_KINDS];
};

static struct failpoint *declared;
static struct armed_point points[FAULT_POINTS_MAX];
static int point_count;
static struct armed_fault faults[FAULT_KINDS];
static struct fault_account own_account;
static struct fault_account *account = &own_account;
static bool tracing;

void fault_register(struct failpoint *point)
{
    point->next = declared;
    declared = point;
}

void fault_list(void)
{
    for (const struct failpoint *point = declared; point != NULL; point = point->next)
        (void)puts(point->name);
}

static void mistake(const char *what)
{
    (void)fprintf(stderr, "fault injection: cannot understand \"%s\"\n", what);
    exit(2);
}

static void arm_point(char *text)
{
    if (point_count == FAULT_POINTS_MAX)
        mistake(text);
    struct armed_point *point = &points[point_count++];
    point->at = 1;
    char *pause = strstr(text, "=pause:");
    if (pause != NULL) {
        point->pause_ms = strtol(pause + strlen("=pause:"), NULL, 10);
        *pause = '\0';
    }
    char *count = strrchr(text, ':');
    if (count != NULL) {
        point->at = strtol(count + 1, NULL, 10);
        *count = '\0';
    }
    (void)snprintf(point->name, sizeof point->name, "%s", text);
    for (const struct failpoint *known = declared; known != NULL; known = known->next)
        if (strcmp(known->name, point->name) == 0)
            return;
    mistake(text);
}

static void arm_fault(const char *text)
{
    static const char *const names[FAULT_KINDS] = { "alloc", "write", "sync" };
    char kind[16];
    char error[16] = "ENOSPC";
    char plus = '\0';
    long at = 0;
    int fields = sscanf(text, "%15[a-z]:%ld%c:%15s", kind, &at, &plus, error);
    if (fields == 3 && plus == ':')
        fields = sscanf(text, "%15[a-z]:%ld:%15s", kind, &at, error);
    if (fields < 2)
        mistake(text);
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (strcmp(kind, names[i]) != 0)
            continue;
        atomic_store(&account->of[i].calls, 0);
        atomic_store(&account->of[i].failed, 0);
        atomic_store(&faults[i].onwards, plus == '+');
        atomic_store(&faults[i].error, strcmp(error, "EIO") == 0 ? EIO : ENOSPC);
        atomic_store(&faults[i].at, at);
        return;
    }
    mistake(text);
}

static void each_word(const char *text, void (*take)(char *word))
{
    char copy[FAULT_LINE_MAX];
    (void)snprintf(copy, sizeof copy, "%s", text);
    char *rest = NULL;
    for (char *word = strtok_r(copy, ", \n", &rest); word != NULL; word = strtok_r(NULL, ", \n", &rest))
        take(word);
}

static void arm_fault_word(char *word)
{
    if (strncmp(word, "clock:", strlen("clock:")) == 0)
        clock_test_shift(strtol(word + strlen("clock:"), NULL, 10) * CLOCK_SECOND);
    else
        arm_fault(word);
}

static void reread(int signal)
{
    (void)signal;
    /* Nothing that takes memory: the handler may have interrupted malloc. */
    const char *name = getenv("OVVM_FAULT_FILE");
    char line[FAULT_LINE_MAX];
    int fd = name != NULL ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t size = fd != -1 ? read(fd, line, sizeof line - 1) : 0;
    for (int i = 0; i < FAULT_KINDS; i++)
        atomic_store(&faults[i].at, 0);
    clock_test_shift(0);
    line[size > 0 ? size : 0] = '\0';
    each_word(line, arm_fault_word);
    if (fd != -1)
        (void)close(fd);
    atomic_fetch_add(&account->settings, 1);
}

static void map_account(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1 || ftruncate(fd, sizeof *account) == -1)
        mistake(name);
    void *at = mmap(NULL, sizeof *account, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        mistake(name);
    (void)close(fd);
    account = at;
    memset(account, 0, sizeof *account);
}

void fault_init(void)
{
    const char *names = getenv("OVVM_FAILPOINT");
    if (names != NULL)
        each_word(names, arm_point);
    const char *calls = getenv("OVVM_FAULT_CALLS");
    if (calls != NULL)
        map_account(calls);
    tracing = getenv("OVVM_FAULT_TRACE") != NULL;
    if (tracing)
        (void)backtrace((void *[1]){ NULL }, 1); /* what it loads at its first use */
    const char *wanted = getenv("OVVM_FAULT");
    if (wanted != NULL)
        each_word(wanted, arm_fault_word);
    (void)signal(SIGUSR2, reread);
}

/* addr2line(1) has the lines that belong to it. */
static void trace(void)
{
    void *frames[FAULT_FRAMES];
    int count = backtrace(frames, FAULT_FRAMES);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

int fault_check(enum fault_kind kind)
{
    struct armed_fault *fault = &faults[kind];
    long at = atomic_load(&fault->at);
    if (at == 0)
        return 0;
    long long call = atomic_fetch_add(&account->of[kind].calls, 1) + 1;
    if (call != at && (call < at || !atomic_load(&fault->onwards)))
        return 0;
    atomic_fetch_add(&account->of[kind].failed, 1);
    if (tracing)
        trace();
    return atomic_load(&fault->error);
}

bool fault_alloc(void)
{
    if (fault_check(FAULT_ALLOC) == 0)
        return false;
    errno = ENOMEM; /* as malloc says it */
    return true;
}

void fault_point(const char *name)
{
    for (int i = 0; i < point_count; i++) {
        struct armed_point *point = &points[i];
        if (strcmp(point->name, name) != 0 || atomic_fetch_add(&point->passes, 1) + 1 != point->at)
            continue;
        if (point->pause_ms == 0)
            (void)kill(getpid(), SIGKILL);
        struct timespec pause = { .tv_sec = point->pause_ms / 1000, .tv_nsec = point->pause_ms % 1000 * 1000000 };
        (void)nanosleep(&pause, NULL);
    }
}

int64_t fault_time(const char *name, int64_t usual_us)
{
    const char *text = getenv("OVVM_TIMES");
    size_t length = strlen(name);
    while (text != NULL && *text != '\0') {
        if (strncmp(text, name, length) == 0 && text[length] == ':')
            return strtol(text + length + 1, NULL, 10) * INT64_C(1000);
        text = strchr(text, ',');
        text = text != NULL ? text + 1 : NULL;
    }
    return usual_us;
}

#else
typedef int fault_not_in_this_build;
#endif
