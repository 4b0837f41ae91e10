/* Out of range is refused here, once, so that no loop further down has to ask whether a width is zero. */
#include "letter/options.h"

#include "base/mem.h"
#include "letter/pack.h"

enum options_tag {
    TAG_KIND = 1,
    TAG_PAGE,
    TAG_TO_PC,
    TAG_FROM_PC,
    TAG_PC_850,
    TAG_MARGIN,
    TAG_MAX_LRECL,
    TAG_ATTACHMENTS,
    TAG_MAP_TEXT,
    TAG_MAP_BINARY,
    TAG_OPENING
};

const struct options_map options_cms_map[] = {
    { "LISTING", true },  { "EXEC", true }, { "SCRIPT", true }, { "$SCRIPT", true }, { "OFSMCNTL", true },
    { "DIRECTRY", true }, { "BIN", false }, { "COM", false },   { "DOC", false },    { "EXE", false },
    { "PPT", false },     { "XLS", false }, { "XLW", false },   { "ZIP", false },    { "VSD", false },
    { "MDB", false },     { "*", true },
};
const size_t options_cms_map_count = sizeof options_cms_map / sizeof options_cms_map[0];

void options_pack(struct buf *to, const struct options *options)
{
    pack_number(to, TAG_KIND, options->kind);
    pack_text_if(to, TAG_PAGE, options->page);
    pack_span_if(to, TAG_TO_PC, options->to_pc);
    pack_span_if(to, TAG_FROM_PC, options->from_pc);
    pack_flag(to, TAG_PC_850, options->pc_850);
    pack_number(to, TAG_MARGIN, (int64_t)options->margin);
    pack_number(to, TAG_MAX_LRECL, (int64_t)options->max_lrecl);
    pack_flag(to, TAG_ATTACHMENTS, options->attachments);
    pack_number(to, TAG_OPENING, (int64_t)options->opening);
    for (size_t i = 0; i < options->map_count; i++)
        pack_span(to, options->map[i].text ? TAG_MAP_TEXT : TAG_MAP_BINARY, span_text(options->map[i].key));
}

static int take_range(struct span value, size_t least, size_t most, size_t otherwise, const char *what,
                      size_t *number_r, struct err *err)
{
    int64_t number = pack_number_of(value);
    if (number != 0 && (number < (int64_t)least || number > (int64_t)most))
        return err_set(err, ERR_CONFIG, "%s must be %zu to %zu", what, least, most);
    *number_r = number == 0 ? otherwise : (size_t)number;
    return 0;
}

int options_parse(struct span packed, struct options *options_r, struct err *err)
{
    *options_r = (struct options){
        .to_pc = SPAN_EMPTY, .from_pc = SPAN_EMPTY, .margin = OPTIONS_MARGIN, .max_lrecl = OPTIONS_LRECL_MAX
    };
    size_t room = pack_count(packed, TAG_MAP_TEXT) + pack_count(packed, TAG_MAP_BINARY);
    if (room > OPTIONS_MAP_MAX)
        return err_set(err, ERR_TOO_MANY, "a map of file types has more than %d lines", OPTIONS_MAP_MAX);
    struct options_map *map = room > 0 ? mem_zero(room * sizeof *map) : NULL;
    if (room > 0 && map == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for a map of file types");
    options_r->map = map;
    struct reader from = reader_of(packed);
    struct pack_field field;
    int step;
    int result = 0;
    while (result == 0 && (step = pack_next(&from, &field, err)) == 1) {
        switch ((enum options_tag)field.tag) {
        case TAG_KIND:
            options_r->kind = (enum letter_host_kind)pack_number_of(field.value);
            break;
        case TAG_PAGE:
            span_to_text(field.value, options_r->page, sizeof options_r->page);
            break;
        case TAG_TO_PC:
            options_r->to_pc = field.value;
            break;
        case TAG_FROM_PC:
            options_r->from_pc = field.value;
            break;
        case TAG_PC_850:
            options_r->pc_850 = true;
            break;
        case TAG_MARGIN:
            result = take_range(field.value, OPTIONS_MARGIN_MIN, OPTIONS_MARGIN, OPTIONS_MARGIN, "the right margin",
                                &options_r->margin, err);
            break;
        case TAG_MAX_LRECL:
            result = take_range(field.value, OPTIONS_LRECL_MIN, OPTIONS_LRECL_MAX, OPTIONS_LRECL_MAX,
                                "the greatest record length", &options_r->max_lrecl, err);
            break;
        case TAG_ATTACHMENTS:
            options_r->attachments = true;
            break;
        case TAG_OPENING:
            result = take_range(field.value, 1, OPTIONS_OPENING_MAX, 0, "what is wanted of the text",
                                &options_r->opening, err);
            break;
        case TAG_MAP_TEXT:
        case TAG_MAP_BINARY:
            map[options_r->map_count].text = field.tag == TAG_MAP_TEXT;
            span_to_text(field.value, map[options_r->map_count++].key, OPTIONS_KEY_SIZE);
            break;
        }
    }
    if (result == 0 && step == 0 && (options_r->kind < HOST_CMS || options_r->kind > HOST_MAILER))
        result = err_set(err, ERR_CONFIG, "a node of no known kind of host");
    return result != 0 ? result : step;
}

void options_release(struct options *options)
{
    mem_free((void *)(uintptr_t)options->map);
    options->map = NULL;
    options->map_count = 0;
}

static const struct options_map *find(const struct options *options, struct span key)
{
    for (size_t i = 0; i < options->map_count; i++)
        if (span_equal_nocase(span_text(options->map[i].key), span_slice(key, 0, OPTIONS_KEY_SIZE - 1)))
            return &options->map[i];
    return NULL;
}

bool options_is_text(const struct options *options, struct span key, bool otherwise)
{
    const struct options_map *entry = find(options, key);
    if (entry == NULL)
        entry = find(options, SPAN_LITERAL("*"));
    return entry != NULL ? entry->text : otherwise;
}

bool options_has(const struct options *options, struct span key)
{
    return find(options, key) != NULL;
}

int options_page(const struct options *options, struct ebcdic_page *custom, const struct ebcdic_page **page_r,
                 struct err *err)
{
    struct span name = span_text(options->page);
    if (options->to_pc.size > 0 || options->from_pc.size > 0) {
        *page_r = custom;
        return ebcdic_page_load(name, options->to_pc, options->from_pc,
                                options->pc_850 ? EBCDIC_PC_850 : EBCDIC_PC_1252, custom, err);
    }
    *page_r = name.size > 0 ? ebcdic_page_find(name) : &ebcdic_page_037;
    return *page_r != NULL ? 0 : err_set(err, ERR_CONFIG, "there is no code page %s", options->page);
}
