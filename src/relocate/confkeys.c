/* The configuration is saved for reference and never copied over: it holds what belongs to one computer. Here is which
 * keys those are (by the type of their value), so that the operator of the new computer edits those and no others. */
#include "relocate/confkeys.h"

#include "base/conf.h"
#include "base/conf_table.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- kinds --- */

static enum confkey_kind kind_of_type(enum conf_type type)
{
    switch (type) {
    case CONF_SECRET:
        return CONFKEY_SECRET;
    case CONF_URL:
    case CONF_PATH:
    case CONF_SOCKET:
    case CONF_PEER:
    case CONF_LISTEN:
    case CONF_LISTENS:
    case CONF_NETWORKS:
    case CONF_RELAY:
    case CONF_IPV4:
        return CONFKEY_MACHINE;
    default:
        return CONFKEY_PLAIN;
    }
}

enum confkey_kind confkey_kind_of(struct span section, struct span key)
{
    struct span word = span_slice(section, 0, span_find(section, ' '));
    for (int i = 0; i < CONF_SECTIONS; i++) {
        if (!span_equal_nocase(word, span_text(conf_sections[i].name)))
            continue;
        for (size_t j = 0; j < conf_sections[i].key_count; j++)
            if (span_equal_nocase(key, span_text(conf_sections[i].keys[j].name)))
                return kind_of_type(conf_sections[i].keys[j].type);
    }
    return CONFKEY_UNKNOWN;
}

/* --- reading --- */

static int add(struct confkeys *keys, struct confkey key, struct err *err)
{
    if (keys->count == CONFKEYS_MAX)
        return err_set(err, ERR_TOO_BIG, "a configuration has at most %d keys", CONFKEYS_MAX);
    if (keys->count == keys->room) {
        size_t room = keys->room * 2 + 32;
        struct confkey *at = mem_realloc(keys->at, room * sizeof at[0]);
        if (at == NULL)
            return err_set(err, ERR_NO_MEMORY, "out of memory for a configuration");
        keys->at = at;
        keys->room = room;
    }
    keys->at[keys->count++] = key;
    return 0;
}

int confkeys_parse(struct span text, struct confkeys *keys_r, struct err *err)
{
    *keys_r = (struct confkeys){ .at = NULL };
    buf_add_span(&keys_r->text, text);
    int result = keys_r->text.failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a configuration") : 0;
    struct reader lines = reader_of(buf_span(&keys_r->text));
    struct span section = SPAN_EMPTY;
    while (result == 0 && !reader_at_end(&lines)) {
        struct span line = span_trim(conf_strip_comment(span_trim_end(reader_until(&lines, '\n'), '\r')));
        size_t equals = span_find(line, '=');
        if (span_starts_with(line, SPAN_LITERAL("[")))
            section = span_trim(span_slice(line, 1, span_find(line, ']') - 1));
        else if (equals < line.size)
            result = add(keys_r,
                         (struct confkey){ .section = section,
                                           .name = span_trim(span_slice(line, 0, equals)),
                                           .value = span_trim(span_slice(line, equals + 1, line.size)) },
                         err);
    }
    if (result == -1)
        confkeys_free(keys_r);
    return result;
}

int confkeys_load(const char *path, struct confkeys *keys_r, struct err *err)
{
    struct buf text = { .limit = CONF_FILE_MAX };
    uint8_t piece[4096];
    *keys_r = (struct confkeys){ .at = NULL };
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_REFUSED,
                       "the configuration %.150s cannot be read: %m", path);
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
        buf_add(&text, piece, got);
    int result = ferror(file) != 0 ? err_set(err, ERR_REFUSED, "the configuration %.150s: %m", path)
                 : text.failed     ? err_set(err, ERR_TOO_BIG, "the configuration %.150s is larger than %d bytes", path,
                                             CONF_FILE_MAX)
                                   : confkeys_parse(buf_span(&text), keys_r, err);
    (void)fclose(file);
    buf_free(&text);
    return result;
}

void confkeys_free(struct confkeys *keys)
{
    mem_free(keys->at);
    buf_free(&keys->text);
    *keys = (struct confkeys){ .at = NULL };
}

const struct confkey *confkeys_find(const struct confkeys *keys, struct span section, struct span name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (span_equal_nocase(keys->at[i].section, section) && span_equal_nocase(keys->at[i].name, name))
            return &keys->at[i];
    return NULL;
}

/* --- writing --- */

static void put_section(const struct confkeys *keys, size_t i, struct buf *to)
{
    if (i > 0 && span_equal(keys->at[i].section, keys->at[i - 1].section))
        return;
    buf_add_text(to, "\n[");
    buf_add_span(to, keys->at[i].section);
    buf_add_text(to, "]\n");
}

static void put_key(const struct confkey *key, struct span value, struct buf *to)
{
    buf_add_span(to, key->name);
    buf_add_text(to, value.size > 0 ? " = " : " =");
    buf_add_span(to, value);
    buf_add_u8(to, '\n');
}

void confkeys_reference(const struct confkeys *keys, struct buf *to)
{
    buf_add_text(to, "; For reference: the configuration that this bundle was made with, without comments and "
                     "secrets.\n");
    for (size_t i = 0; i < keys->count; i++) {
        const struct confkey *key = &keys->at[i];
        put_section(keys, i, to);
        if (confkey_kind_of(key->section, key->name) != CONFKEY_SECRET) {
            put_key(key, key->value, to);
            continue;
        }
        buf_add_text(to, "; ");
        buf_add_span(to, key->name);
        buf_add_text(to, " was set\n");
    }
}

void confkeys_proposal(const struct confkeys *keys, struct buf *to)
{
    buf_add_text(
        to, "; A proposal for this computer, made from the configuration of the other one. Fill in the keys that are\n"
            "; blank (they belong to one computer) or remove them; look at the others; then save it as the\n"
            "; configuration. Nothing reads it here.\n");
    for (size_t i = 0; i < keys->count; i++) {
        const struct confkey *key = &keys->at[i];
        enum confkey_kind kind = confkey_kind_of(key->section, key->name);
        put_section(keys, i, to);
        if (kind == CONFKEY_MACHINE || kind == CONFKEY_SECRET) {
            buf_add_text(to, "; it was ");
            buf_add_span(to, kind == CONFKEY_SECRET ? SPAN_LITERAL("set") : key->value);
            buf_add_u8(to, '\n');
            put_key(key, SPAN_EMPTY, to);
        } else if (kind == CONFKEY_UNKNOWN) {
            buf_add_text(to, "; this release has no such key: ");
            put_key(key, key->value, to);
        } else {
            put_key(key, key->value, to);
        }
    }
}

/* --- comparing --- */

static json_t *text_of(struct span value)
{
    char text[300];
    span_to_text(value, text, sizeof text);
    return json_string(text);
}

static void put_difference(json_t *list, const struct confkey *key, const struct confkey *now, const char *is)
{
    enum confkey_kind kind = confkey_kind_of(key->section, key->name);
    json_t *one = json_pack("{s:o, s:o, s:s}", "section", text_of(key->section), "key", text_of(key->name), "is", is);
    if (one == NULL)
        return;
    if (kind != CONFKEY_SECRET && now != key)
        (void)json_object_set_new(one, "before", text_of(key->value));
    if (kind != CONFKEY_SECRET && now != NULL)
        (void)json_object_set_new(one, "now", text_of(now->value));
    (void)json_array_append_new(list, one);
}

json_t *confkeys_compare(const struct confkeys *before, const struct confkeys *now)
{
    json_t *list = json_array();
    for (size_t i = 0; i < before->count; i++) {
        const struct confkey *key = &before->at[i];
        const struct confkey *other = confkeys_find(now, key->section, key->name);
        enum confkey_kind kind = confkey_kind_of(key->section, key->name);
        put_difference(list, key, other,
                       other == NULL                                       ? "missing"
                       : span_equal(key->value, other->value)              ? "same"
                       : kind == CONFKEY_MACHINE || kind == CONFKEY_SECRET ? "machine-specific"
                                                                           : "differs");
    }
    for (size_t i = 0; i < now->count; i++)
        if (confkeys_find(before, now->at[i].section, now->at[i].name) == NULL)
            put_difference(list, &now->at[i], &now->at[i], "new");
    return list;
}
