/* Mail is the most hostile thing this program reads. So: no tree is built, nothing is modified, every loop moves on in
 * its input, fields are cut before a library sees them. iconv_open needs files, which a sandboxed child has not: one
 * handle for each charset stays open from mime_init on, and glibc opens a charset again without files as long as its
 * module is loaded, which keeps GMime's own conversions (encoded words) working too. */
#include "codec/mime.h"

#include "base/utf8.h"
#include "codec/ebcdic.h"

#include <ctype.h>
#include <errno.h>
#include <gmime/gmime.h>
#include <iconv.h>
#include <stdio.h>

enum { STEP = 16 * 1024, REPLACEMENT = 0xFFFD };

struct charset {
    const char *name;
    iconv_t handle;
};

static struct charset charsets[MIME_CHARSETS];
static size_t charset_count;

static const char *const charset_names[] = {
    "utf-8",        "us-ascii",     "iso-8859-1",   "iso-8859-2",   "iso-8859-3",   "iso-8859-4",   "iso-8859-5",
    "iso-8859-6",   "iso-8859-7",   "iso-8859-8",   "iso-8859-9",   "iso-8859-10",  "iso-8859-11",  "iso-8859-13",
    "iso-8859-14",  "iso-8859-15",  "iso-8859-16",  "windows-1250", "windows-1251", "windows-1252", "windows-1253",
    "windows-1254", "windows-1255", "windows-1256", "windows-1257", "windows-1258", "windows-874",  "cp437",
    "cp850",        "cp852",        "cp866",        "koi8-r",       "koi8-u",       "macintosh",    "tis-620",
    "gb2312",       "gbk",          "gb18030",      "big5",         "big5-hkscs",   "euc-jp",       "iso-2022-jp",
    "shift_jis",    "cp932",        "euc-kr",       "cp949",        "iso-2022-kr",  "utf-7",        "utf-16",
    "utf-16le",     "utf-16be",
};

int mime_init(struct err *err)
{
    _Static_assert(sizeof charset_names / sizeof charset_names[0] <= MIME_CHARSETS, "room for every charset");
    if (charset_count > 0)
        return 0;
    g_mime_init();
    for (size_t i = 0; i < sizeof charset_names / sizeof charset_names[0]; i++) {
        iconv_t handle = iconv_open("UTF-8", charset_names[i]);
        if (handle != (iconv_t)-1)
            charsets[charset_count++] = (struct charset){ .name = charset_names[i], .handle = handle };
    }
    if (charset_count == 0)
        return err_set(err, ERR_CONFIG, "iconv knows no charset of mail, not even UTF-8");
    return 0;
}

/* --- header --- */

void mime_split(struct span entity, struct span *header_r, struct span *body_r)
{
    struct reader lines = reader_of(entity);
    size_t header = 0;
    while (!reader_at_end(&lines)) {
        struct span line = span_trim_end(reader_until(&lines, '\n'), '\r');
        if (line.size == 0)
            break;
        header = entity.size - lines.rest.size;
    }
    *header_r = span_slice(entity, 0, header);
    *body_r = lines.rest;
}

bool mime_field_next(struct reader *header, struct span *name_r, struct span *value_r)
{
    while (!reader_at_end(header)) {
        struct span start = header->rest;
        struct span line = span_trim_end(reader_until(header, '\n'), '\r');
        size_t colon = span_find(line, ':');
        bool field = colon > 0 && colon < line.size && line.at[0] != ' ' && line.at[0] != '\t';
        while (!reader_at_end(header) && (header->rest.at[0] == ' ' || header->rest.at[0] == '\t'))
            (void)reader_until(header, '\n');
        if (!field)
            continue;
        *name_r = span_trim(span_slice(line, 0, colon));
        *value_r = span_slice(start, colon + 1, start.size - header->rest.size - colon - 1);
        return true;
    }
    return false;
}

bool mime_find(struct span header, const char *name, struct span *value_r)
{
    struct reader fields = reader_of(header);
    struct span found;
    while (mime_field_next(&fields, &found, value_r))
        if (span_equal_nocase(found, span_text(name)))
            return true;
    *value_r = SPAN_EMPTY;
    return false;
}

/* --- text of one line --- */

/* Control characters to blanks; malformed UTF-8 to U+FFFD. */
static void add_clean(struct span text, struct buf *to)
{
    while (text.size > 0) {
        uint32_t code = utf8_next(&text);
        if (utf8_is_control(code))
            buf_add_u8(to, ' ');
        else
            utf8_add(to, code);
    }
}

void mime_unfold(struct span value, struct buf *to)
{
    struct buf line = { 0 };
    struct reader lines = reader_of(span_slice(value, 0, MIME_FIELD_MAX));
    while (!reader_at_end(&lines)) {
        struct span part = span_trim_end(reader_until(&lines, '\n'), '\r');
        buf_add_span(&line, part);
    }
    add_clean(span_trim(buf_span(&line)), to);
    to->failed |= line.failed;
    buf_free(&line);
}

/* As a C string for GMime; NULs become blanks, so that they hide nothing. The caller frees the buf. */
static const char *c_string(struct span text, struct buf *to)
{
    text = span_slice(text, 0, MIME_FIELD_MAX);
    for (size_t i = 0; i < text.size; i++)
        buf_add_u8(to, text.at[i] == '\0' ? ' ' : text.at[i]);
    buf_add_u8(to, '\0');
    return to->failed ? "" : (const char *)to->at;
}

void mime_value(struct span value, struct buf *to)
{
    struct buf raw = { 0 };
    struct buf flat = { 0 };
    struct reader lines = reader_of(span_slice(value, 0, MIME_FIELD_MAX));
    while (!reader_at_end(&lines))
        buf_add_span(&flat, span_trim_end(reader_until(&lines, '\n'), '\r'));
    char *decoded = g_mime_utils_header_decode_text(NULL, c_string(span_trim(buf_span(&flat)), &raw));
    add_clean(span_trim(span_text(decoded)), to);
    g_free(decoded);
    to->failed |= raw.failed || flat.failed;
    buf_free(&flat);
    buf_free(&raw);
}

bool mime_name_fit(struct span *name)
{
    struct span text = span_trim(*name);
    if (text.size >= 2 && text.at[0] == '\'' && text.at[text.size - 1] == '\'')
        text = span_trim(span_slice(text, 1, text.size - 2));
    *name = text;
    bool shown = false;
    while (text.size > 0) {
        uint32_t code = utf8_next(&text);
        if (utf8_is_control(code) || code == '%' || code == '"' || code == REPLACEMENT)
            return false;
        shown |= code != ' ' && code != 0xA0;
    }
    return shown;
}

static void give_mailbox(InternetAddress *address, mime_mailbox *each, void *arg)
{
    if (!INTERNET_ADDRESS_IS_MAILBOX(address))
        return;
    struct span name = span_text(internet_address_get_name(address));
    struct span mailbox = span_text(internet_address_mailbox_get_addr((InternetAddressMailbox *)address));
    for (size_t i = 0; i < mailbox.size; i++)
        if (mailbox.at[i] < 0x20 || mailbox.at[i] == 0x7F)
            return; /* nobody has such an address, and it would break a line */
    if (mailbox.size > 0)
        each(arg, name, mailbox);
}

static void give_list(InternetAddressList *list, bool nested, mime_mailbox *each, void *arg)
{
    int count = internet_address_list_length(list);
    for (int i = 0; i < count; i++) {
        InternetAddress *address = internet_address_list_get_address(list, i);
        if (!INTERNET_ADDRESS_IS_GROUP(address))
            give_mailbox(address, each, arg);
        else if (!nested)
            give_list(internet_address_group_get_members((InternetAddressGroup *)address), true, each, arg);
    }
}

void mime_addresses(struct span value, mime_mailbox *each, void *arg)
{
    struct buf raw = { 0 };
    InternetAddressList *list = internet_address_list_parse(NULL, c_string(value, &raw));
    if (list != NULL) {
        give_list(list, false, each, arg);
        g_object_unref(list);
    }
    buf_free(&raw);
}

static bool is_id(struct span id)
{
    for (size_t i = 0; i < id.size; i++)
        if (id.at[i] <= 0x20 || id.at[i] >= 0x7F || id.at[i] == '<')
            return false;
    return id.size > 0;
}

bool mime_id_next(struct reader *value, struct span *id_r)
{
    while (!reader_at_end(value)) {
        size_t start = span_find(value->rest, '<');
        struct span rest = span_slice(value->rest, start, SIZE_MAX);
        size_t end = span_find(rest, '>');
        reader_skip(value, end < rest.size ? start + end + 1 : value->rest.size);
        if (end < rest.size && is_id(span_slice(rest, 1, end - 1))) {
            *id_r = span_slice(rest, 0, end + 1);
            return true;
        }
    }
    *id_r = SPAN_EMPTY;
    return false;
}

/* --- entity --- */

static void take_word(const char *value, bool fold, char *to_r, size_t room)
{
    span_to_text(span_text(value), to_r, room);
    for (size_t i = 0; fold && to_r[i] != '\0'; i++)
        to_r[i] = (char)tolower((unsigned char)to_r[i]);
}

/* A file name without control characters, cut between characters. */
static void take_name(const char *value, char to_r[MIME_NAME_SIZE])
{
    struct buf clean = { 0 };
    add_clean(span_text(value), &clean);
    struct span rest = span_trim(buf_span(&clean));
    size_t size = 0;
    uint32_t code;
    size_t length;
    while ((length = utf8_first(rest, &code)) > 0 && size + length < MIME_NAME_SIZE) {
        memcpy(to_r + size, rest.at, length);
        size += length;
        rest = span_slice(rest, length, SIZE_MAX);
    }
    to_r[size] = '\0';
    buf_free(&clean);
}

static const char *parameter(GMimeParamList *list, const char *name)
{
    GMimeParam *param = list != NULL ? g_mime_param_list_get_parameter(list, name) : NULL;
    return param != NULL ? g_mime_param_get_value(param) : NULL;
}

static void open_type(struct mime_entity *entity, bool digest)
{
    struct span value;
    struct buf raw = { 0 };
    take_word(digest ? "message" : "text", false, entity->type, MIME_WORD_SIZE);
    take_word(digest ? "rfc822" : "plain", false, entity->subtype, MIME_WORD_SIZE);
    if (!mime_find(entity->header, "Content-Type", &value) || span_trim(value).size == 0)
        return;
    GMimeContentType *type = g_mime_content_type_parse(NULL, c_string(value, &raw));
    buf_free(&raw);
    if (type == NULL)
        return;
    GMimeParamList *list = g_mime_content_type_get_parameters(type);
    const char *flow = parameter(list, "format");
    const char *delsp = parameter(list, "delsp");
    take_word(g_mime_content_type_get_media_type(type), true, entity->type, MIME_WORD_SIZE);
    take_word(g_mime_content_type_get_media_subtype(type), true, entity->subtype, MIME_WORD_SIZE);
    take_word(parameter(list, "charset"), true, entity->charset, MIME_WORD_SIZE);
    take_word(parameter(list, "boundary"), false, entity->boundary, MIME_BOUNDARY_SIZE);
    take_word(parameter(list, "report-type"), true, entity->report_type, MIME_WORD_SIZE);
    take_name(parameter(list, "name"), entity->name);
    entity->flowed = flow != NULL && g_ascii_strcasecmp(flow, "flowed") == 0;
    entity->delete_space = delsp != NULL && g_ascii_strcasecmp(delsp, "yes") == 0;
    g_object_unref(type);
}

static void open_disposition(struct mime_entity *entity)
{
    struct span value;
    struct buf raw = { 0 };
    if (!mime_find(entity->header, "Content-Disposition", &value))
        return;
    GMimeContentDisposition *disposition = g_mime_content_disposition_parse(NULL, c_string(value, &raw));
    buf_free(&raw);
    if (disposition == NULL)
        return;
    GMimeParamList *list = g_mime_content_disposition_get_parameters(disposition);
    const char *name = parameter(list, "filename");
    if (name != NULL && *name != '\0')
        take_name(name, entity->name);
    take_word(parameter(list, "modification-date"), false, entity->changed, MIME_WORD_SIZE);
    entity->attachment = g_mime_content_disposition_is_attachment(disposition);
    g_object_unref(disposition);
}

void mime_open(struct span bytes, bool digest, struct mime_entity *entity_r)
{
    struct span value;
    *entity_r = (struct mime_entity){ .flowed = false };
    mime_split(bytes, &entity_r->header, &entity_r->body);
    open_type(entity_r, digest);
    open_disposition(entity_r);
    entity_r->has_content_id = mime_find(entity_r->header, "Content-ID", &value);
    if (mime_find(entity_r->header, "Content-Transfer-Encoding", &value)) {
        struct buf word = { 0 };
        mime_unfold(value, &word);
        buf_add_u8(&word, '\0');
        take_word(word.failed ? "" : (const char *)word.at, true, entity_r->encoding, MIME_WORD_SIZE);
        buf_free(&word);
    }
}

bool mime_is(const struct mime_entity *entity, const char *type, const char *subtype)
{
    return strcmp(entity->type, type) == 0 && (subtype == NULL || strcmp(entity->subtype, subtype) == 0);
}

/* --- parts --- */

struct mime_parts mime_parts_of(const struct mime_entity *entity)
{
    return (struct mime_parts){ .lines = reader_of(entity->body), .boundary = entity->boundary };
}

/* 0: no boundary; 1: one; 2: the last one. */
static int boundary_of(const struct mime_parts *parts, struct span line)
{
    struct span word = span_text(parts->boundary);
    if (line.size < word.size + 2 || line.at[0] != '-' || line.at[1] != '-' ||
        !span_starts_with(span_slice(line, 2, SIZE_MAX), word))
        return 0;
    struct span rest = span_trim(span_trim_end(span_slice(line, 2 + word.size, SIZE_MAX), '\r'));
    if (rest.size == 0)
        return 1;
    return span_equal(rest, SPAN_LITERAL("--")) ? 2 : 0;
}

/* Takes lines up to a boundary; what is before it, without its last line end. */
static struct span until_boundary(struct mime_parts *parts, int *boundary_r)
{
    struct span start = parts->lines.rest;
    size_t size = 0;
    *boundary_r = 0;
    while (!reader_at_end(&parts->lines)) {
        struct span line = reader_until(&parts->lines, '\n');
        *boundary_r = boundary_of(parts, line);
        if (*boundary_r > 0)
            break;
        size = start.size - parts->lines.rest.size;
    }
    struct span before = span_slice(start, 0, size);
    if (*boundary_r > 0 && before.size > 0 && before.at[before.size - 1] == '\n') {
        before.size--;
        if (before.size > 0 && before.at[before.size - 1] == '\r')
            before.size--;
    }
    return before;
}

bool mime_part_next(struct mime_parts *parts, struct span *entity_r)
{
    int boundary = 0;
    *entity_r = SPAN_EMPTY;
    if (parts->boundary[0] == '\0')
        return false;
    if (!parts->inside) {
        (void)until_boundary(parts, &boundary);
        if (boundary != 1)
            return false;
        parts->inside = true;
    }
    if (reader_at_end(&parts->lines))
        return false;
    *entity_r = until_boundary(parts, &boundary);
    if (boundary == 2)
        parts->lines = reader_of(SPAN_EMPTY);
    return true;
}

/* --- content --- */

void mime_content(const struct mime_entity *entity, struct buf *to)
{
    GMimeContentEncoding kind = g_mime_content_encoding_from_string(entity->encoding);
    if (kind != GMIME_CONTENT_ENCODING_BASE64 && kind != GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE &&
        kind != GMIME_CONTENT_ENCODING_UUENCODE) {
        buf_add_span(to, entity->body);
        return;
    }
    GMimeEncoding state;
    g_mime_encoding_init_decode(&state, kind);
    for (struct span rest = entity->body; rest.size > 0 && !to->failed;) {
        struct span piece = span_slice(rest, 0, STEP);
        rest = span_slice(rest, piece.size, SIZE_MAX);
        if (!buf_reserve(to, g_mime_encoding_outlen(&state, piece.size)))
            return;
        to->size += g_mime_encoding_step(&state, (const char *)piece.at, piece.size, (char *)to->at + to->size);
    }
}

static iconv_t find_handle(const char *charset)
{
    for (size_t i = 0; i < charset_count; i++)
        if (g_ascii_strcasecmp(charsets[i].name, charset) == 0)
            return charsets[i].handle;
    /* the many other names of the same */
    const char *known = g_mime_charset_canon_name(charset);
    for (size_t i = 0; known != NULL && i < charset_count; i++)
        if (g_ascii_strcasecmp(charsets[i].name, known) == 0)
            return charsets[i].handle;
    return (iconv_t)-1;
}

static bool is_utf8(struct span bytes)
{
    uint32_t code;
    for (;;) {
        bytes = span_slice(bytes, utf8_ascii(bytes), SIZE_MAX);
        if (bytes.size == 0)
            return true;
        size_t length = utf8_first(bytes, &code);
        if (length == 0)
            return false;
        bytes = span_slice(bytes, length, SIZE_MAX);
    }
}

/* Through an open handle; what the charset has not becomes U+FFFD. */
static size_t convert(iconv_t handle, struct span bytes, struct buf *to)
{
    size_t bad = 0;
    char *in = (char *)(uintptr_t)bytes.at;
    size_t in_left = bytes.size;
    (void)iconv(handle, NULL, NULL, NULL, NULL);
    while (in_left > 0 && buf_reserve(to, STEP)) {
        char *out = (char *)to->at + to->size;
        size_t out_left = STEP;
        size_t result = iconv(handle, &in, &in_left, &out, &out_left);
        int why = errno;
        to->size += STEP - out_left;
        if (result != (size_t)-1 || why == E2BIG)
            continue;
        bad++;
        utf8_add(to, REPLACEMENT);
        if (why == EINVAL)
            break; /* the last character is cut off */
        in++;
        in_left--;
    }
    return bad;
}

/* CRLF and CR to LF, no NUL, no byte order mark. */
static void add_lines(struct span text, struct buf *to)
{
    if (span_starts_with(text, SPAN_LITERAL("\xEF\xBB\xBF")))
        text = span_slice(text, 3, SIZE_MAX);
    struct reader lines = reader_of(text);
    while (!reader_at_end(&lines)) {
        size_t size = lines.rest.size;
        struct span line = reader_until(&lines, '\r');
        for (struct reader runs = reader_of(line); !reader_at_end(&runs);)
            buf_add_span(to, reader_until(&runs, '\0'));
        bool ended = line.size < size; /* by a CR */
        if (ended && (lines.rest.size == 0 || lines.rest.at[0] != '\n'))
            buf_add_u8(to, '\n');
    }
}

void mime_text(const char *charset, struct span bytes, struct buf *to, size_t *bad_r)
{
    struct buf text = { 0 };
    bool utf8 = is_utf8(bytes);
    bool said = charset[0] != '\0' && g_ascii_strcasecmp(charset, "us-ascii") != 0;
    iconv_t handle = said ? find_handle(charset) : (iconv_t)-1;
    bool says_utf8 = g_ascii_strcasecmp(charset, "utf-8") == 0 || g_ascii_strcasecmp(charset, "utf8") == 0;
    size_t bad = 0;
    *bad_r = 0;
    if (utf8 && (says_utf8 || handle == (iconv_t)-1)) {
        add_lines(bytes, to);
        return;
    }
    if (!says_utf8 && handle == (iconv_t)-1)
        handle = find_handle("windows-1252"); /* what unlabelled 8-bit mail mostly is */
    if (!says_utf8 && handle != (iconv_t)-1) {
        bad = convert(handle, bytes, &text);
    } else {
        while (bytes.size > 0) {
            uint32_t code;
            bad += utf8_first(bytes, &code) == 0;
            utf8_add(&text, utf8_next(&bytes));
        }
    }
    add_lines(buf_span(&text), to);
    to->failed |= text.failed;
    *bad_r = bad;
    buf_free(&text);
}

static size_t quote_depth(struct span line)
{
    size_t depth = 0;
    while (depth < line.size && line.at[depth] == '>')
        depth++;
    return depth;
}

void mime_unflow(struct span text, bool delete_space, struct buf *to)
{
    struct reader lines = reader_of(text);
    bool flowing = false; /* the line before goes on here */
    size_t depth_before = 0;
    while (!reader_at_end(&lines)) {
        struct span line = reader_until(&lines, '\n');
        size_t depth = quote_depth(line);
        struct span words = span_slice(line, depth, SIZE_MAX);
        if (words.size > 0 && words.at[0] == ' ')
            words = span_slice(words, 1, SIZE_MAX); /* space-stuffing */
        bool signature = span_equal(words, SPAN_LITERAL("-- "));
        if (flowing && (depth != depth_before || signature)) {
            buf_add_u8(to, '\n');
            flowing = false;
        }
        if (!flowing) {
            buf_add_fill(to, '>', depth);
            if (depth > 0)
                buf_add_u8(to, ' ');
        }
        flowing = !signature && words.size > 0 && words.at[words.size - 1] == ' ' && !reader_at_end(&lines);
        if (flowing && delete_space)
            words.size--;
        buf_add_span(to, words);
        if (!flowing)
            buf_add_u8(to, '\n');
        depth_before = depth;
    }
}
