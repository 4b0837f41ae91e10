/* Card decks. A header is taken for one only on the first card, or after a first one: a note in which somebody quotes
 * `:READ` must not fall apart into files. */
#include "codec/punch.h"

#include "codec/ebcdic.h"

/* ":READ " */
static const uint8_t header_mark[] = { 0x7A, 0xD9, 0xC5, 0xC1, 0xC4, 0x40 };
static const uint8_t disk_dump_mark[] = { 0x02, 0xC3, 0xD4, 0xE2 };

enum { EBCDIC_SLASH = 0x61, EBCDIC_COLON = 0x7A };

/* Columns counted from 0 (netdata.md §2) */
enum { NAME_COLUMN = 7, TYPE_COLUMN = 16, MODE_COLUMN = 25, REST_COLUMN = 28, NAME_COLUMNS = 8, MODE_COLUMNS = 2 };

static void to_ascii(struct span field, char *to_r, size_t room)
{
    field = span_trim_end(field, EBCDIC_BLANK);
    size_t size = field.size < room - 1 ? field.size : room - 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t letter = ebcdic_037_to_latin1[field.at[i]];
        to_r[i] = letter > 0x20 && letter < 0x7F ? (char)letter : '?';
    }
    to_r[size] = '\0';
}

bool punch_is_header(struct span card)
{
    return span_starts_with(card, span_of(header_mark, sizeof header_mark)) && card.size > NAME_COLUMN &&
           card.at[NAME_COLUMN] != EBCDIC_BLANK && card.at[NAME_COLUMN - 1] == EBCDIC_BLANK;
}

bool punch_is_disk_dump(struct span first_card)
{
    return span_starts_with(first_card, span_of(disk_dump_mark, sizeof disk_dump_mark));
}

struct punch_walk punch_walk_of(const struct records *cards)
{
    struct punch_walk walk = { .from = records_walk(cards) };
    struct reader look = walk.from;
    struct span first;
    walk.named = records_next(&look, &first) && punch_is_header(first);
    return walk;
}

/* Digits and colons; a real header card ended in X'00'. */
static struct span take_time(struct reader *rest)
{
    while (!reader_at_end(rest) && rest->rest.at[0] == EBCDIC_BLANK)
        reader_skip(rest, 1);
    size_t size = 0;
    while (size < rest->rest.size &&
           ((rest->rest.at[size] >= 0xF0 && rest->rest.at[size] <= 0xF9) || rest->rest.at[size] == EBCDIC_COLON))
        size++;
    return reader_take(rest, size);
}

static void parse_header(struct span card, struct punch_file *file)
{
    file->named = true;
    to_ascii(span_slice(card, NAME_COLUMN, NAME_COLUMNS), file->name, sizeof file->name);
    to_ascii(span_slice(card, TYPE_COLUMN, NAME_COLUMNS), file->type, sizeof file->type);
    to_ascii(span_slice(card, MODE_COLUMN, MODE_COLUMNS), file->mode, sizeof file->mode);
    /* volid, date and time move by a column between levels: by tokens, the date being the one with a slash */
    struct reader rest = reader_of(span_slice(card, REST_COLUMN, SIZE_MAX));
    while (!reader_at_end(&rest)) {
        struct span token = reader_until(&rest, EBCDIC_BLANK);
        if (span_find(token, EBCDIC_SLASH) == token.size)
            continue;
        to_ascii(token, file->date, PUNCH_DATE_SIZE / 2);
        struct span time = take_time(&rest);
        size_t size = strlen(file->date);
        if (time.size > 0) {
            file->date[size] = ' ';
            to_ascii(time, file->date + size + 1, PUNCH_DATE_SIZE - size - 1);
        }
        return;
    }
}

bool punch_next_file(struct punch_walk *walk, struct punch_file *file_r)
{
    *file_r = (struct punch_file){ .named = false };
    struct span card;
    while (walk->begun && punch_next_card(walk, &card)) {
    }
    if (!walk->named) {
        bool more = !walk->begun && !reader_at_end(&walk->from);
        walk->begun = true;
        return more;
    }
    if (!walk->begun)
        walk->has_ahead = records_next(&walk->from, &walk->ahead);
    walk->begun = true;
    if (!walk->has_ahead)
        return false;
    parse_header(walk->ahead, file_r);
    walk->has_ahead = false;
    return true;
}

bool punch_next_card(struct punch_walk *walk, struct span *card_r)
{
    *card_r = SPAN_EMPTY;
    if (walk->has_ahead || !records_next(&walk->from, card_r))
        return false;
    if (walk->named && punch_is_header(*card_r)) {
        walk->ahead = *card_r;
        walk->has_ahead = true;
        *card_r = SPAN_EMPTY;
        return false;
    }
    *card_r = span_trim_end(*card_r, EBCDIC_BLANK);
    return true;
}

size_t punch_add_line(struct records *cards, struct span line)
{
    size_t before = cards->count;
    if (line.size == 0)
        records_add_padded(cards, line, CARD_COLUMNS, EBCDIC_BLANK);
    records_cut(cards, line, CARD_COLUMNS, EBCDIC_BLANK);
    return cards->count - before;
}
