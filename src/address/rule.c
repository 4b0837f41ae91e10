/* Address rules. A rule is used once for a person, when the people file is loaded, and never backwards: what it gave is
 * in the registry, and only that is asked when a host user writes. */
#include "address/rule.h"

#include "address/userid.h"
#include "base/utf8.h"

enum { COUNT_MAX = 99, WORDS_MAX = 16 };

/* --- reading a rule --- */

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

static unsigned take_count(struct reader *reader)
{
    unsigned count = 0;
    while (reader->rest.size > 0 && reader->rest.at[0] >= '0' && reader->rest.at[0] <= '9') {
        unsigned digit = reader_u8(reader) - (unsigned)'0';
        count = count * 10 + digit <= COUNT_MAX ? count * 10 + digit : COUNT_MAX;
    }
    return count;
}

static int take_variable(struct reader *reader, uint8_t mark, struct rule_part *part_r, struct err *err)
{
    uint8_t kind = lower(reader_u8(reader));
    *part_r = (struct rule_part){ .kind = (char)kind };
    if (reader->failed)
        return err_set(err, ERR_CONFIG, "the rule ends in %c; a variable is one of m g s i d r", mark);
    if (kind == mark) {
        *part_r = (struct rule_part){ .kind = 0, .x = mark };
    } else if (kind == 'r') {
        part_r->x = reader_u8(reader);
        part_r->y = reader_u8(reader);
        if (reader->failed)
            return err_set(err, ERR_CONFIG, "%cr in the rule needs two characters: %crXY replaces X by Y", mark, mark);
    } else if (kind == 'm' || kind == 'g' || kind == 's' || kind == 'i' || kind == 'd') {
        unsigned before = reader->rest.size > 0 ? reader->rest.at[0] : 0;
        part_r->count = take_count(reader);
        if (part_r->count == 0 && before == '0')
            return err_set(err, ERR_CONFIG, "%c%c0 in the rule takes no character at all", mark, kind);
    } else {
        return err_set(err, ERR_CONFIG, "%c%c in the rule is no variable; there are m g s i d, and rXY", mark,
                       kind >= 0x20 && kind < 0x7F ? kind : '?');
    }
    return 0;
}

int rule_parse(struct span text, struct rule *rule_r, struct err *err)
{
    struct span whole = span_trim(text);
    if (span_equal_nocase(span_slice(whole, 0, 6), SPAN_LITERAL("PROFS:")))
        whole = span_slice(whole, 6, whole.size);
    struct reader outside = reader_of(whole);
    struct span node = span_trim(reader_until(&outside, '('));
    struct span inside = span_trim(outside.rest);
    *rule_r = (struct rule){ .count = 0 };
    if (inside.size < 2 || inside.at[inside.size - 1] != ')')
        return err_set(err, ERR_CONFIG, "the rule is not of the form NODE(pattern), for example MICROSFT(&m)");
    if (name8_parse(node, "node", &rule_r->node, err) == -1) {
        if (err != NULL)
            err->id = ERR_CONFIG;
        return -1;
    }
    struct reader reader = reader_of(span_slice(inside, 0, inside.size - 1));
    while (!reader_at_end(&reader)) {
        struct rule_part part = { .x = reader_u8(&reader) };
        if ((part.x == '&' || part.x == '%') && take_variable(&reader, part.x, &part, err) == -1)
            return -1;
        if (rule_r->count == RULE_PARTS_MAX)
            return err_set(err, ERR_CONFIG, "the rule has more than %d parts", RULE_PARTS_MAX);
        rule_r->parts[rule_r->count++] = part;
    }
    return 0;
}

int rules_parse(struct span text, struct rules *rules_r, struct err *err)
{
    struct span rest = span_trim(text);
    *rules_r = (struct rules){ .count = 0 };
    do {
        size_t end = span_find(rest, ')');
        struct span one = span_slice(rest, 0, end < rest.size ? end + 1 : end);
        if (rules_r->count == RULES_MAX)
            return err_set(err, ERR_CONFIG, "there are more than %d rules", RULES_MAX);
        struct rule *rule = &rules_r->at[rules_r->count];
        if (rule_parse(one, rule, err) == -1)
            return -1;
        for (size_t i = 0; i < rules_r->count; i++)
            if (name8_equal(rules_r->at[i].node, rule->node))
                return err_set(err, ERR_CONFIG, "there are two rules for the node %s", rule->node.text);
        rules_r->count++;
        rest = span_trim(span_slice(rest, one.size, rest.size));
    } while (rest.size > 0);
    return 0;
}

struct rule rules_of(const struct rules *rules, struct name8 node)
{
    for (size_t i = 0; i < rules->count; i++)
        if (name8_equal(rules->at[i].node, node))
            return rules->at[i];
    return (struct rule){ .node = node, .parts = { { .kind = 'm' } }, .count = 1 };
}

/* --- names --- */

struct names {
    struct span words[WORDS_MAX]; /* given names first, the surname last */
    size_t count;
    struct span surname; /* several words where the name was "Last, First" */
};

static void add_words(struct names *names, struct span text)
{
    struct reader reader = reader_of(text);
    while (!reader_at_end(&reader)) {
        struct span word = span_trim(reader_until(&reader, ' '));
        if (word.size > 0 && names->count < WORDS_MAX)
            names->words[names->count++] = word;
    }
}

static struct names names_of(struct span name)
{
    struct names names = { .count = 0 };
    size_t comma = span_find(name, ',');
    struct span last = span_trim(span_slice(name, 0, comma));
    if (comma < name.size && last.size > 0) {
        add_words(&names, span_slice(name, comma + 1, name.size));
        names.surname = last;
        add_words(&names, last);
    } else {
        add_words(&names, name);
        names.surname = names.count > 0 ? names.words[names.count - 1] : SPAN_EMPTY;
    }
    return names;
}

/* --- using a rule --- */

static void add_value(const struct names *names, struct span local, char kind, struct buf *to)
{
    switch (kind) {
    case 'm':
        buf_add_span(to, local);
        break;
    case 'g':
        if (names->count > 1)
            buf_add_span(to, names->words[0]);
        break;
    case 's':
        buf_add_span(to, names->surname);
        break;
    case 'i':
        for (size_t i = 0; i < names->count; i++) {
            uint32_t code = 0;
            buf_add_span(to, span_slice(names->words[i], 0, utf8_first(names->words[i], &code)));
        }
        break;
    default:
        for (size_t i = 0; i < names->count; i++)
            buf_add_span(to, names->words[i]);
        break;
    }
}

/* The replacements before `end`, in their order. */
static void replace(const struct rule *rule, size_t end, const struct buf *value, struct buf *to)
{
    for (size_t i = 0; i < value->size; i++) {
        uint8_t byte = value->at[i];
        bool gone = false;
        for (size_t p = 0; p < end && !gone; p++) {
            const struct rule_part *part = &rule->parts[p];
            if (part->kind != 'r' || lower(byte) != lower(part->x))
                continue;
            gone = lower(part->x) == lower(part->y);
            byte = part->y;
        }
        if (!gone)
            buf_add_u8(to, byte);
    }
}

void rule_apply(const struct rule *rule, struct span local, struct span name, struct buf *to)
{
    struct names names = names_of(name);
    struct buf value = { 0 };
    struct buf replaced = { 0 };
    struct buf folded = { 0 };
    size_t before = to->size;
    for (size_t p = 0; p < rule->count; p++) {
        const struct rule_part *part = &rule->parts[p];
        buf_clear(&value);
        buf_clear(&replaced);
        buf_clear(&folded);
        if (part->kind == 'r')
            continue;
        if (part->kind == 0) {
            userid_fold(span_of(&part->x, 1), to);
            continue;
        }
        add_value(&names, local, part->kind, &value);
        replace(rule, p, &value, &replaced);
        userid_fold(buf_span(&replaced), &folded);
        size_t size = part->count > 0 && part->count < folded.size ? part->count : folded.size;
        buf_add_span(to, span_slice(buf_span(&folded), 0, size));
        to->failed = to->failed || value.failed || replaced.failed || folded.failed;
    }
    if (to->size == before)
        userid_fold(local, to);
    buf_free(&value);
    buf_free(&replaced);
    buf_free(&folded);
}
