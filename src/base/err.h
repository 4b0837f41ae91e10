/* err: what went wrong, said once where it happened.
 *
 * A function that can fail returns 0, or -1 with *err filled (design rule 4). The id picks a row of the one
 * table (err_table.h), which gives the family, the SMTP enhanced status, the text for host users and the
 * number in the log; `text` names the input, the place and the remedy. Never put a byte from outside into a
 * format string; pass it through span_to_text.
 */
#ifndef OVVM_BASE_ERR_H
#define OVVM_BASE_ERR_H

enum err_family {
    ERR_FAMILY_NONE,
    ERR_FAMILY_TEMPORARY, /* try again */
    ERR_FAMILY_PERMANENT, /* report to the sender */
    ERR_FAMILY_BUG        /* quarantine, keep going */
};

enum err_id {
#define ERR_ROW(id, family, smtp, enhanced, log_number, host_text) ERR_##id,
#include "base/err_table.h"
#undef ERR_ROW
    ERR_IDS
};

enum { ERR_TEXT_SIZE = 256 };

struct err {
    enum err_id id; /* ERR_NONE: no error */
    char text[ERR_TEXT_SIZE];
};

#define ERR_CLEAR ((struct err){ .id = ERR_NONE })

/* Fills *err (which may be NULL) and returns -1, so that `return err_set(…)` reads well. */
int err_set(struct err *err, enum err_id id, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the text that is there; returns -1. */
int err_context(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum err_family err_family(enum err_id id);
/* SMTP reply code (e.g. 452) and enhanced status (e.g. "4.3.1") for this error. */
int err_smtp_code(enum err_id id);
const char *err_smtp_enhanced(enum err_id id);
/* One line a host user can read. */
const char *err_host_text(enum err_id id);
/* The number of the log message (behaviours of the classic product: five digits). */
int err_log_number(enum err_id id);

#endif
