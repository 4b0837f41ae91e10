/* Sign-on records. The node name and passwords in them decide whether a stranger becomes a neighbour, so a field that
 * cannot be read never compares equal to anything. */
#include "nje/signon.h"

#include "nje/buffer.h"

enum { SIGNON_SIZE = 0x29, ALL_EVENTS = 0xFFFFFFFF };

char nje_general_letter(uint8_t srcb)
{
    switch (srcb) {
    case NJE_INITIAL:
        return 'I';
    case NJE_RESPONSE:
        return 'J';
    case NJE_RESET:
        return 'K';
    case NJE_CONCURRENCE:
        return 'L';
    case NJE_ADD:
        return 'M';
    case NJE_SUBTRACT:
        return 'N';
    case NJE_SIGN_OFF:
        return 'B';
    default:
        return '?';
    }
}

int nje_signon_decode(uint8_t srcb, struct span after_srcb, struct nje_signon *signon_r, struct err *err)
{
    *signon_r = (struct nje_signon){ .response = srcb == NJE_RESPONSE };
    char letter = nje_general_letter(srcb);
    struct reader reader = reader_of(after_srcb);
    reader_skip(&reader, 1); /* DL */
    struct span node = reader_take(&reader, NAME8_MAX);
    signon_r->qualifier = reader_u8(&reader);
    signon_r->event = reader_u32(&reader);
    signon_r->resistance = reader_u16(&reader);
    signon_r->buffer = reader_u16(&reader);
    struct span line_password = reader_take(&reader, NAME8_MAX);
    struct span node_password = reader_take(&reader, NAME8_MAX);
    signon_r->flag = reader_u8(&reader);
    if (reader.failed)
        return err_set(err, ERR_PROTOCOL, "sign-on record %c of %zu bytes, too short for its fields", letter,
                       after_srcb.size);
    if (reader.rest.size >= 4)
        signon_r->features = reader_u32(&reader);
    bool line_fits = name8_from_ebcdic(line_password, &signon_r->line_password);
    bool node_fits = name8_from_ebcdic(node_password, &signon_r->node_password);
    signon_r->passwords_bad = !line_fits || !node_fits;
    if (!name8_from_ebcdic(node, &signon_r->node) || name8_empty(signon_r->node))
        return err_set(err, ERR_PROTOCOL, "sign-on record %c with a node that is no name", letter);
    return 0;
}

static void add_name(struct buf *to, struct name8 name)
{
    uint8_t field[NAME8_MAX];
    name8_to_ebcdic(name, field);
    buf_add(to, field, sizeof field);
}

void nje_signon_encode(struct buf *to, const struct nje_signon *signon)
{
    buf_add_u8(to, NJE_RCB_GENERAL);
    buf_add_u8(to, signon->response ? NJE_RESPONSE : NJE_INITIAL);
    buf_add_u8(to, SIGNON_SIZE);
    add_name(to, signon->node);
    buf_add_u8(to, signon->qualifier);
    buf_add_u32(to, signon->event);
    buf_add_u16(to, signon->resistance);
    buf_add_u16(to, signon->buffer);
    add_name(to, signon->line_password);
    add_name(to, signon->node_password);
    buf_add_u8(to, signon->flag);
    buf_add_u32(to, signon->features);
}

struct nje_signon nje_signon_answer(const struct nje_signon *initial, const struct nje_signon *ours)
{
    struct nje_signon answer = *ours;
    answer.response = true;
    answer.event = (uint32_t)ALL_EVENTS; /* as UnixNJE and VM/370 RSCS do */
    if (initial->buffer < answer.buffer)
        answer.buffer = initial->buffer;
    answer.features = initial->features & NJE_FEATURE_COMPRESSION;
    return answer;
}

void nje_sign_off_encode(struct buf *to)
{
    buf_add_u8(to, NJE_RCB_GENERAL);
    buf_add_u8(to, NJE_SIGN_OFF);
    buf_add_u8(to, NJE_RCB_END);
}
