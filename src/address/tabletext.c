/* Lines of words. A line that is damaged is an error of the whole file: half a table would send letters astray. */
#include "address/tabletext.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct tabletext tabletext_of(const char *name, struct span text)
{
    return (struct tabletext){ .name = name, .rest = text };
}

int tabletext_wrong(const struct tabletext *table, struct err *err, const char *format, ...)
{
    char text[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return err_set(err, ERR_CONFIG, "%s line %u: %s", table->name, table->line, text);
}

int tabletext_context(const struct tabletext *table, struct err *err)
{
    if (err != NULL && err->id != ERR_NO_MEMORY)
        err->id = ERR_CONFIG;
    return err_context(err, "%s line %u", table->name, table->line);
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_comment(const struct tabletext *table, struct span line)
{
    if (line.at[0] != '*' || table->stars)
        return line.at[0] == ';';
    return !table->patterns || line.size == 1 || is_blank(line.at[1]) || line.at[1] == '*';
}

static int split(struct tabletext *table, struct span line, struct err *err)
{
    size_t at = 0;
    table->count = 0;
    while (at < line.size) {
        while (at < line.size && is_blank(line.at[at]))
            at++;
        if (at == line.size || line.at[at] == ';' || (at == 0 && is_comment(table, line)))
            return 0;
        size_t end = at;
        while (end < line.size && !is_blank(line.at[end])) {
            if (line.at[end] < 0x20 || line.at[end] >= 0x7F)
                return tabletext_wrong(table, err, "a character that is not printable ASCII (X'%02X')", line.at[end]);
            end++;
        }
        if (table->count == TABLETEXT_WORDS_MAX)
            return tabletext_wrong(table, err, "more than %d words", TABLETEXT_WORDS_MAX);
        table->words[table->count++] = span_slice(line, at, end - at);
        at = end;
    }
    return 0;
}

int tabletext_next(struct tabletext *table, struct err *err)
{
    table->count = 0;
    while (table->rest.size > 0) {
        size_t end = span_find(table->rest, '\n');
        struct span line = span_slice(table->rest, 0, end);
        table->rest = span_slice(table->rest, end + 1, table->rest.size);
        table->line++;
        if (line.size > 0 && line.at[line.size - 1] == '\r')
            line.size--;
        if (line.size > TABLETEXT_LINE_MAX)
            return tabletext_wrong(table, err, "longer than %d octets", TABLETEXT_LINE_MAX);
        if (split(table, line, err) == -1)
            return -1;
        if (table->count > 0)
            return 1;
    }
    return 0;
}

static int read_all(int fd, const char *path, size_t most, struct buf *to, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode))
        return err_set(err, ERR_CONFIG, "%.150s is not a plain file", path);
    for (;;) {
        uint8_t piece[16384];
        ssize_t size = read(fd, piece, sizeof piece);
        if (size == -1 && errno == EINTR)
            continue;
        if (size == -1)
            return err_set(err, ERR_CONFIG, "%.150s cannot be read: %m", path);
        if (size == 0)
            return 0;
        if (to->size + (size_t)size > most)
            return err_set(err, ERR_CONFIG, "%.150s is larger than %zu octets", path, most);
        buf_add(to, piece, (size_t)size);
        if (to->failed)
            return err_set(err, ERR_NO_MEMORY, "out of memory for %.150s", path);
    }
}

int tabletext_read(const char *path, size_t most, struct buf *to, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1 && errno == ENOENT)
        return 1;
    if (fd == -1)
        return err_set(err, ERR_CONFIG, "%.150s cannot be opened: %m", path);
    int result = read_all(fd, path, most, to, err);
    (void)close(fd); /* only read */
    return result;
}
