/* signon: the general control records (RCB F0) of a connection. Source: nje.md §5; SA32-0988 NCC.
 *
 * I and J, offsets from the RCB: 2 DL · 3 NODE(8) · 11 QUAL · 12 EVNT(4) · 16 REST(2) · 18 BFSZ(2) · 20 LPAS(8)
 * · 28 NPAS(8) · 36 FLG · 37 FEAT(4). UnixNJE declares a length without FEAT and sends it all the same, so what is
 * there counts, not what DL says.
 */
#ifndef OVVM_NJE_SIGNON_H
#define OVVM_NJE_SIGNON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/name8.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* SRCB of RCB F0. */
enum nje_general {
    NJE_INITIAL = 0xC9,     /* I */
    NJE_RESPONSE = 0xD1,    /* J */
    NJE_RESET = 0xD2,       /* K, path manager: ignored, as L, M and N are */
    NJE_CONCURRENCE = 0xD3, /* L */
    NJE_ADD = 0xD4,         /* M */
    NJE_SUBTRACT = 0xD5,    /* N */
    NJE_SIGN_OFF = 0xC2     /* B */
};
/* 'I', 'J', … or '?' */
char nje_general_letter(uint8_t srcb);

enum { NJE_FEATURE_COMPRESSION = 0x10000000, NJE_SIGNON_FLAG_SECURE = 0x40 };

struct nje_signon {
    bool response; /* J rather than I */
    struct name8 node;
    uint8_t qualifier;
    uint32_t event;
    uint16_t resistance;
    uint16_t buffer;            /* NCCIBFSZ */
    struct name8 line_password; /* empty: none */
    struct name8 node_password;
    bool passwords_bad; /* decoding: a password field held bytes that no password of ours can have */
    uint8_t flag;
    uint32_t features;
};

/* `after_srcb`: the record from the byte after its SRCB on. PROTOCOL where it is shorter than the fields up to FLG, or
 * its node is no name. */
int nje_signon_decode(uint8_t srcb, struct span after_srcb, struct nje_signon *signon_r, struct err *err);
/* Appends the record, RCB to FEAT (41 bytes). No end RCB follows it on the wire. */
void nje_signon_encode(struct buf *to, const struct nje_signon *signon);
/* The J that answers `initial`: the smaller buffer, compression where the I has it. `ours` gives the rest. */
struct nje_signon nje_signon_answer(const struct nje_signon *initial, const struct nje_signon *ours);
/* Appends B and the end RCB. */
void nje_sign_off_encode(struct buf *to);

#endif
