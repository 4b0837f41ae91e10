/* Errors as values. The text is built once, where the thing went wrong, and only ever gains context. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
    enum err_family family;
    int smtp;
    const char *enhanced;
    int log_number;
    const char *host_text;
};

static const struct err_row rows[ERR_IDS] = {
#define ERR_ROW(id, family, smtp, enhanced, log_number, host_text) \
    [ERR_##id] = { ERR_FAMILY_##family, smtp, enhanced, log_number, host_text },
#include "base/err_table.h"
#undef ERR_ROW
};

int err_set(struct err *err, enum err_id id, const char *format, ...)
{
    if (err == NULL)
        return -1;
    err->id = id;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    return -1;
}

int err_context(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return -1;
    char context[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    char text[ERR_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%.120s: %.132s", context, err->text);
    memcpy(err->text, text, sizeof err->text);
    return -1;
}

enum err_family err_family(enum err_id id)
{
    return rows[id].family;
}

int err_smtp_code(enum err_id id)
{
    return rows[id].smtp;
}

const char *err_smtp_enhanced(enum err_id id)
{
    return rows[id].enhanced;
}

const char *err_host_text(enum err_id id)
{
    return rows[id].host_text;
}

int err_log_number(enum err_id id)
{
    return rows[id].log_number;
}
