/* log: one line per thing an operator may want to know, to the journal or to stderr.
 *
 * On stderr a line is `YYYY/MM/DD hh:mm:ss- NAME(tid) L nnnnn:text >> file(line)` (LG-01), L = 1 error,
 * 2 warning, 3 info, 4 trace; in the journal the same as structured fields. Thread-safe. Never blocks mail:
 * a line that cannot be written is counted and dropped (LG-03). Texts from outside are arguments, never the
 * format, and their control characters are replaced.
 */
#ifndef OVVM_BASE_LOG_H
#define OVVM_BASE_LOG_H

#include "base/err.h"

#include <stdbool.h>

enum log_level { LOG_NOTHING = 0, LOG_ERROR = 1, LOG_WARNING = 2, LOG_INFO = 3, LOG_TRACE = 4 };

enum log_category {
    LOG_CORE,
    LOG_STORE,
    LOG_NJE,
    LOG_SMTP,
    LOG_GATEWAY,
    LOG_ADDRESS,
    LOG_RELOCATE,
    LOG_ADMIN,
    LOG_CATEGORIES
};

enum log_target { LOG_TO_AUTO, LOG_TO_JOURNAL, LOG_TO_STDERR };

/* `name` is the process name in the line. AUTO: the journal where stderr is connected to it, else stderr. */
void log_open(const char *name, enum log_target target);
/* Changeable at run time, from any thread (LG-04). All start at LOG_INFO. */
void log_set_level(enum log_category category, enum log_level level);
enum log_level log_get_level(enum log_category category);
/* "core", "store", … and back; log_category_find returns LOG_CATEGORIES where there is no such name. */
const char *log_category_name(enum log_category category);
enum log_category log_category_find(const char *name);

/* Lines that found no room since the start. */
unsigned long long log_dropped(void);
/* Tests only: another socket in the place of the journal's. */
void log_test_journal(const char *path);

bool log_wants(enum log_category category, enum log_level level);
void log_write(enum log_category category, enum log_level level, int number, const char *file, int line,
               const char *format, ...) __attribute__((format(printf, 6, 7)));

#define log_at(category, level, number, ...)                                                     \
    do {                                                                                         \
        if (log_wants((category), (level)))                                                      \
            log_write((category), (level), (number), __FILE_NAME_ONLY__, __LINE__, __VA_ARGS__); \
    } while (0)
#define log_error(category, number, ...)   log_at(category, LOG_ERROR, number, __VA_ARGS__)
#define log_warning(category, number, ...) log_at(category, LOG_WARNING, number, __VA_ARGS__)
#define log_info(category, number, ...)    log_at(category, LOG_INFO, number, __VA_ARGS__)
#define log_trace(category, number, ...)   log_at(category, LOG_TRACE, number, __VA_ARGS__)
/* An err, with its own number and its family's level (temporary: warning; permanent: info; bug: error). */
#define log_err(category, err, ...) log_err_at((category), (err), __FILE_NAME_ONLY__, __LINE__, __VA_ARGS__)
void log_err_at(enum log_category category, const struct err *err, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* A fault that lasts (disk full, link down) is logged once when it begins and once when it ends. */
struct log_once {
    bool raised;
};
/* True the first time; then false until log_once_clear returned true. */
bool log_once_raise(struct log_once *once);
bool log_once_clear(struct log_once *once);

#define __FILE_NAME_ONLY__ (__builtin_strrchr(__FILE__, '/') ? __builtin_strrchr(__FILE__, '/') + 1 : __FILE__)

#endif
