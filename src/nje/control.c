/* OPEN, ACK, NAK. The first bytes a stranger can send us, so nothing here trusts them: wrong types are an error with
 * the bytes shown, wrong names stay empty and match no link. */
#include "nje/control.h"

#include <string.h>

static const uint8_t types[][NAME8_MAX] = {
    [NJE_OPEN] = { 0xD6, 0xD7, 0xC5, 0xD5, 0x40, 0x40, 0x40, 0x40 },
    [NJE_ACK] = { 0xC1, 0xC3, 0xD2, 0x40, 0x40, 0x40, 0x40, 0x40 },
    [NJE_NAK] = { 0xD5, 0xC1, 0xD2, 0x40, 0x40, 0x40, 0x40, 0x40 },
    [NJE_OPEN_SSL] = { 0xD6, 0xD7, 0xC5, 0xD5, 0x40, 0xE2, 0xE2, 0xD3 },
};
/* The IPv6 forms of JES2 and JES3 have a layout of their own (IAZ0535I). */
static const uint8_t open_nje[NAME8_MAX] = { 0xD6, 0xD7, 0xC5, 0xD5, 0xD5, 0xD1, 0xC5, 0x40 };
static const uint8_t ack_nje[NAME8_MAX] = { 0xC1, 0xC3, 0xD2, 0xD5, 0xD1, 0xC5, 0x40, 0x40 };

int nje_control_decode(struct span record, struct nje_control *control_r, struct err *err)
{
    *control_r = (struct nje_control){ .type = NJE_OPEN };
    struct reader reader = reader_of(record);
    struct span type = reader_take(&reader, NAME8_MAX);
    struct span rhost = reader_take(&reader, NAME8_MAX);
    struct span rip = reader_take(&reader, sizeof control_r->rip);
    struct span ohost = reader_take(&reader, NAME8_MAX);
    struct span oip = reader_take(&reader, sizeof control_r->oip);
    control_r->reason = reader_u8(&reader);
    if (reader.failed)
        return err_set(err, ERR_PROTOCOL, "the connection record has %zu bytes instead of %d", record.size,
                       NJE_CONTROL_SIZE);
    size_t at = 0;
    while (at < sizeof types / sizeof types[0] && memcmp(type.at, types[at], NAME8_MAX) != 0)
        at++;
    if (memcmp(type.at, open_nje, NAME8_MAX) == 0 || memcmp(type.at, ack_nje, NAME8_MAX) == 0)
        return err_set(err, ERR_PROTOCOL,
                       "the neighbour opens in the form for IPv6 (OPENNJE), which is not supported; "
                       "let it use our IPv4 address");
    if (at == sizeof types / sizeof types[0])
        return err_set(err, ERR_PROTOCOL, "not an NJE connection record: TYPE X'%02X%02X%02X%02X%02X%02X%02X%02X'",
                       type.at[0], type.at[1], type.at[2], type.at[3], type.at[4], type.at[5], type.at[6], type.at[7]);
    control_r->type = (enum nje_control_type)at;
    (void)name8_from_ebcdic(rhost, &control_r->rhost);
    (void)name8_from_ebcdic(ohost, &control_r->ohost);
    memcpy(control_r->rip, rip.at, sizeof control_r->rip);
    memcpy(control_r->oip, oip.at, sizeof control_r->oip);
    return 0;
}

void nje_control_encode(const struct nje_control *control, uint8_t to_r[NJE_CONTROL_SIZE])
{
    memcpy(to_r, types[control->type], NAME8_MAX);
    name8_to_ebcdic(control->rhost, to_r + 8);
    memcpy(to_r + 16, control->rip, sizeof control->rip);
    name8_to_ebcdic(control->ohost, to_r + 20);
    memcpy(to_r + 28, control->oip, sizeof control->oip);
    to_r[32] = control->reason;
}

struct nje_control nje_control_answer(const struct nje_control *open, enum nje_control_type type, uint8_t reason)
{
    struct nje_control answer = { .type = type, .rhost = open->ohost, .ohost = open->rhost, .reason = reason };
    memcpy(answer.rip, open->oip, sizeof answer.rip);
    memcpy(answer.oip, open->rip, sizeof answer.oip);
    return answer;
}

const char *nje_nak_text(uint8_t reason)
{
    switch (reason) {
    case NJE_NAK_NO_LINK:
        return "it knows no such link";
    case NJE_NAK_ACTIVE:
        return "it holds the link for active";
    case NJE_NAK_COLLISION:
        return "it is dialling us itself";
    case NJE_NAK_TEMPORARY:
        return "temporary failure; JES2 says this for an unknown node too";
    default:
        return "a reason we do not know";
    }
}
