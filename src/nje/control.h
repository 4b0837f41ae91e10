/* control: the 33-byte record that opens an NJE connection over TCP, before any framing. Source: nje.md §1.2-§1.5.
 *
 *   0 TYPE(8)  8 RHOST(8)  16 RIP(4)  20 OHOST(8)  28 OIP(4)  32 R(1)      names EBCDIC, blank padded
 *
 * RHOST is the sender of the record, OHOST the node it believes it is talking to.
 */
#ifndef OVVM_NJE_CONTROL_H
#define OVVM_NJE_CONTROL_H

#include "base/err.h"
#include "base/name8.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { NJE_CONTROL_SIZE = 33 };

enum nje_control_type {
    NJE_OPEN,
    NJE_ACK,
    NJE_NAK,
    NJE_OPEN_SSL /* TLS is to follow the ACK */
};

/* R of a NAK. Other values are seen and only shown. */
enum nje_nak {
    NJE_NAK_NO_LINK = 1,   /* names unknown */
    NJE_NAK_ACTIVE = 2,    /* the link is active already; the sender may drop its old session as well */
    NJE_NAK_COLLISION = 3, /* the sender is dialling us at this moment */
    NJE_NAK_TEMPORARY = 4
};

struct nje_control {
    enum nje_control_type type;
    struct name8 rhost, ohost; /* empty where the field held no name */
    uint8_t rip[4], oip[4];    /* network order */
    uint8_t reason;            /* R */
};

/* `record` must be NJE_CONTROL_SIZE bytes. PROTOCOL for any other TYPE (with its remedy for the IPv6 records of JES2);
 * names that are no names are left empty, the caller finds no link by them. */
int nje_control_decode(struct span record, struct nje_control *control_r, struct err *err);
void nje_control_encode(const struct nje_control *control, uint8_t to_r[NJE_CONTROL_SIZE]);
/* The answer to `open`: names and addresses swapped; `reason` 0 for ACK. */
struct nje_control nje_control_answer(const struct nje_control *open, enum nje_control_type type, uint8_t reason);
/* What R says, for the log. */
const char *nje_nak_text(uint8_t reason);

#endif
