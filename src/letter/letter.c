/* A letter's texts come from many buffers that die sooner than it; each is copied into a block of its own, and the
 * blocks go when the letter goes. Memory that ends is latched, as in a buf: the one who made the letter looks once. */
#include "letter/letter.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_ROOM = 8, SENTENCE_SIZE = 400 };

struct letter_block {
    struct letter_block *next;
    struct buf taken; /* bytes that came as a buf; else they lie behind the block */
    uint8_t bytes[];
};

void letter_release(struct letter *letter)
{
    while (letter->blocks != NULL) {
        struct letter_block *next = letter->blocks->next;
        buf_free(&letter->blocks->taken);
        mem_free(letter->blocks);
        letter->blocks = next;
    }
    mem_free(letter->head.addresses);
    mem_free(letter->head.references);
    mem_free(letter->parts);
    buf_free(&letter->losses);
    *letter = (struct letter){ .failed = false };
}

static struct letter_block *add_block(struct letter *letter, size_t size)
{
    struct letter_block *block = size < SIZE_MAX - sizeof *block ? mem_zero(sizeof *block + size) : NULL;
    if (block == NULL) {
        letter->failed = true;
        return NULL;
    }
    block->next = letter->blocks;
    letter->blocks = block;
    return block;
}

struct span letter_keep(struct letter *letter, struct span bytes)
{
    if (bytes.size == 0)
        return SPAN_EMPTY;
    struct letter_block *block = add_block(letter, bytes.size);
    if (block == NULL)
        return SPAN_EMPTY;
    memcpy(block->bytes, bytes.at, bytes.size);
    return span_of(block->bytes, bytes.size);
}

struct span letter_take(struct letter *letter, struct buf *from)
{
    struct letter_block *block = from->failed || from->size == 0 ? NULL : add_block(letter, 0);
    letter->failed |= from->failed;
    if (block == NULL) {
        buf_free(from);
        *from = (struct buf){ .limit = from->limit };
        return SPAN_EMPTY;
    }
    block->taken = *from;
    *from = (struct buf){ .limit = from->limit };
    return buf_span(&block->taken);
}

/* Room for one more in a list that doubles; false where memory ended. */
static bool one_more(struct letter *letter, void **list, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room == 0 ? FIRST_ROOM : 2 * *room;
    void *longer = mem_realloc(*list, more * size);
    if (longer == NULL) {
        letter->failed = true;
        return false;
    }
    *list = longer;
    *room = more;
    return true;
}

void letter_add_address(struct letter *letter, const struct letter_address *address)
{
    struct letter_head *head = &letter->head;
    if (head->address_count == LETTER_ADDRESSES_MAX) {
        letter_lost(letter, "More than %d addresses: the others are left out.", LETTER_ADDRESSES_MAX);
        return;
    }
    if (!one_more(letter, (void **)&head->addresses, head->address_count, &letter->address_room,
                  sizeof *head->addresses))
        return;
    struct letter_address copy = *address;
    copy.name = letter_keep(letter, address->name);
    copy.address = letter_keep(letter, address->address);
    head->addresses[head->address_count++] = copy;
}

void letter_add_reference(struct letter *letter, struct span id)
{
    struct letter_head *head = &letter->head;
    if (head->reference_count == LETTER_REFERENCES_MAX) {
        /* the first one names the thread; the newest are what readers look for */
        memmove(&head->references[1], &head->references[2], (head->reference_count - 2) * sizeof head->references[0]);
        head->reference_count--;
    }
    if (one_more(letter, (void **)&head->references, head->reference_count, &letter->reference_room,
                 sizeof *head->references))
        head->references[head->reference_count++] = letter_keep(letter, id);
}

void letter_add_part(struct letter *letter, const struct letter_part *part)
{
    struct letter_head *head = &letter->head;
    if (head->part_count == LETTER_PARTS_MAX) {
        letter_lost(letter, "More than %d attachments: the others are left out.", LETTER_PARTS_MAX);
        return;
    }
    if (!one_more(letter, (void **)&letter->parts, head->part_count, &letter->part_room, sizeof *letter->parts))
        return;
    struct letter_part copy = *part;
    copy.name = letter_keep(letter, part->name);
    copy.type = letter_keep(letter, part->type);
    copy.charset = letter_keep(letter, part->charset);
    letter->parts[head->part_count++] = copy;
}

void letter_lost(struct letter *letter, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    struct reader said = reader_of(buf_span(&letter->losses));
    while (!reader_at_end(&said))
        if (span_equal(reader_until(&said, '\n'), span_text(sentence)))
            return;
    if (letter->losses.size + strlen(sentence) < LETTER_LOSSES_MAX) {
        buf_add_text(&letter->losses, sentence);
        buf_add_u8(&letter->losses, '\n');
    }
    letter->failed |= letter->losses.failed;
    letter->head.losses = buf_span(&letter->losses);
}

const struct letter_address *letter_first(const struct letter_head *head, enum letter_role role)
{
    for (size_t i = 0; i < head->address_count; i++)
        if (head->addresses[i].role == role)
            return &head->addresses[i];
    return NULL;
}

int letter_check(const struct letter *letter, struct err *err)
{
    return letter->failed ? err_set(err, ERR_NO_MEMORY, "no memory for a letter") : 0;
}
