/* The operator's lines. Mail must never wait for them: the journal is written with its native protocol (systemd.io
 * JOURNAL_NATIVE_PROTOCOL) on a socket that does not block, because sd_journal_sendv waits while the journal's queue
 * is full; stderr is written only while it has room. A line that finds no room is dropped and counted, and the
 * next one that gets through is preceded by the count. */
#include "base/log.h"

#include "base/clock.h"
#include "base/span.h"
#include "base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_NAME_MAX = 32,
    LOG_TEXT_MAX = 2048,
    LOG_LINE_MAX = LOG_TEXT_MAX + 512, /* below PIPE_BUF: a pipe that has room takes it whole */
};

struct log_line {
    enum log_category category;
    enum log_level level;
    int number;
    const char *file;
    int line;
    char text[LOG_TEXT_MAX];
};

static const char *const category_names[LOG_CATEGORIES] = {
    "core", "store", "nje", "smtp", "gateway", "address", "relocate", "admin",
};

static _Atomic int levels[LOG_CATEGORIES] = { LOG_INFO, LOG_INFO, LOG_INFO, LOG_INFO,
                                              LOG_INFO, LOG_INFO, LOG_INFO, LOG_INFO };
static atomic_ullong dropped;

/* All below is under the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char process_name[LOG_NAME_MAX] = "ovvm";
static bool to_journal;
static int journal_fd = -1;
static struct sockaddr_un journal = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
static unsigned long long dropped_unsaid;

/* systemd.exec(5), JOURNAL_STREAM: device and inode of what stdout or stderr was connected to. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}

void log_open(const char *name, enum log_target target)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(process_name, sizeof process_name, "%s", name);
    to_journal = target == LOG_TO_JOURNAL || (target == LOG_TO_AUTO && stderr_is_journal());
    if (to_journal && journal_fd == -1)
        journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)pthread_mutex_unlock(&lock);
}

void log_test_journal(const char *path)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(journal.sun_path, sizeof journal.sun_path, "%s", path);
    (void)pthread_mutex_unlock(&lock);
}

void log_set_level(enum log_category category, enum log_level level)
{
    atomic_store_explicit(&levels[category], (int)level, memory_order_relaxed);
}

enum log_level log_get_level(enum log_category category)
{
    return (enum log_level)atomic_load_explicit(&levels[category], memory_order_relaxed);
}

const char *log_category_name(enum log_category category)
{
    return category < LOG_CATEGORIES ? category_names[category] : "";
}

enum log_category log_category_find(const char *name)
{
    for (size_t i = 0; i < LOG_CATEGORIES; i++)
        if (strcmp(category_names[i], name) == 0)
            return (enum log_category)i;
    return LOG_CATEGORIES;
}

bool log_wants(enum log_category category, enum log_level level)
{
    return level != LOG_NOTHING && level <= log_get_level(category);
}

unsigned long long log_dropped(void)
{
    return atomic_load(&dropped);
}

/* What a terminal or a reader of lines would obey, and what is no UTF-8, becomes '?'. Never grows. */
static void clean(char *text)
{
    struct span rest = span_text(text);
    char *to = text;
    while (rest.size > 0) {
        uint32_t code;
        size_t size = utf8_first(rest, &code);
        if (size == 0 || utf8_is_control(code)) {
            *to++ = '?';
            size = size == 0 ? 1 : size;
        } else {
            memmove(to, rest.at, size);
            to += size;
        }
        rest = span_slice(rest, size, rest.size);
    }
    *to = '\0';
}

/* True where the line was taken whole. */
static bool write_stderr(const struct log_line *line)
{
    char stamp[32], whole[LOG_LINE_MAX];
    time_t seconds = (time_t)(clock_now() / CLOCK_SECOND);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL || strftime(stamp, sizeof stamp, "%Y/%m/%d %H:%M:%S", &utc) == 0)
        stamp[0] = '\0';
    int size = snprintf(whole, sizeof whole, "%s- %s(%d) %d %05d:%s >> %.64s(%d)\n", stamp, process_name, (int)gettid(),
                        (int)line->level, line->number, line->text, line->file, line->line);
    if (size < 0 || (size_t)size >= sizeof whole)
        return false;
    struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
    if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0)
        return false;
    return write(STDERR_FILENO, whole, (size_t)size) == size;
}

enum journal_answer { JOURNAL_TOOK, JOURNAL_FULL, JOURNAL_GONE };

static enum journal_answer write_journal(const struct log_line *line)
{
    /* syslog(3) priorities: error 3, warning 4, info 6, debug 7 */
    static const int priorities[] = { [LOG_ERROR] = 3, [LOG_WARNING] = 4, [LOG_INFO] = 6, [LOG_TRACE] = 7 };
    char whole[LOG_LINE_MAX];
    int size = snprintf(whole, sizeof whole,
                        "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nOVVM_NUMBER=%05d\nOVVM_CATEGORY=%s\n"
                        "CODE_FILE=%.64s\nCODE_LINE=%d\nTID=%d\n",
                        line->text, priorities[line->level], process_name, line->number,
                        log_category_name(line->category), line->file, line->line, (int)gettid());
    if (size < 0 || (size_t)size >= sizeof whole)
        return JOURNAL_FULL;
    ssize_t sent = sendto(journal_fd, whole, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *)&journal, sizeof journal);
    if (sent == size)
        return JOURNAL_TOOK;
    return errno == EAGAIN || errno == ENOBUFS ? JOURNAL_FULL : JOURNAL_GONE;
}

static bool put_line(const struct log_line *line)
{
    enum journal_answer answer = to_journal ? write_journal(line) : JOURNAL_GONE;
    return answer == JOURNAL_TOOK || (answer == JOURNAL_GONE && write_stderr(line));
}

static void put(const struct log_line *line)
{
    int kept = errno; /* callers log before they look at errno */
    (void)pthread_mutex_lock(&lock);
    if (dropped_unsaid > 0) {
        struct log_line notice = { LOG_CORE, LOG_WARNING, 56120, "log.c", __LINE__, "" };
        (void)snprintf(notice.text, sizeof notice.text, "%llu lines found no room in the log and were dropped",
                       dropped_unsaid);
        if (put_line(&notice))
            dropped_unsaid = 0;
    }
    if (!put_line(line)) {
        dropped_unsaid++;
        atomic_fetch_add(&dropped, 1);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = kept;
}

static void end_line(struct log_line *line, int wanted)
{
    static const char mark[] = "...";
    if (wanted >= (int)sizeof line->text)
        memcpy(line->text + sizeof line->text - sizeof mark, mark, sizeof mark);
    clean(line->text);
}

void log_write(enum log_category category, enum log_level level, int number, const char *file, int line,
               const char *format, ...)
{
    struct log_line whole = { category, level, number, file, line, "" };
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(whole.text, sizeof whole.text, format, arguments);
    va_end(arguments);
    end_line(&whole, wanted);
    put(&whole);
}

void log_err_at(enum log_category category, const struct err *err, const char *file, int line, const char *format, ...)
{
    static const enum log_level family_levels[] = { [ERR_FAMILY_NONE] = LOG_INFO,
                                                    [ERR_FAMILY_TEMPORARY] = LOG_WARNING,
                                                    [ERR_FAMILY_PERMANENT] = LOG_INFO,
                                                    [ERR_FAMILY_BUG] = LOG_ERROR };
    enum log_level level = family_levels[err_family(err->id)];
    if (!log_wants(category, level))
        return;
    struct log_line whole = { category, level, err_log_number(err->id), file, line, "" };
    char context[LOG_TEXT_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    end_line(&whole, snprintf(whole.text, sizeof whole.text, "%s: %s", context, err->text));
    put(&whole);
}

bool log_once_raise(struct log_once *once)
{
    bool first = !once->raised;
    once->raised = true;
    return first;
}

bool log_once_clear(struct log_once *once)
{
    bool last = once->raised;
    once->raised = false;
    return last;
}
