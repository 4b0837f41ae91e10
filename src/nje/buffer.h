/* buffer: the NJE buffer inside a block, its records and their compression. Source: nje.md §3, §4; SA32-0988 BCB, FCS,
 * RCB, SRCB, SCB.
 *
 *   10 02 BCB FCS FCS   RCB SRCB SCB… 00   [RCB SRCB SCB… 00]   00
 */
#ifndef OVVM_NJE_BUFFER_H
#define OVVM_NJE_BUFFER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum nje_rcb {
    NJE_RCB_END = 0x00,
    NJE_RCB_REQUEST = 0x90,    /* request to initiate a stream; SRCB of these five is the stream's RCB */
    NJE_RCB_PERMISSION = 0xA0, /* permission to initiate */
    NJE_RCB_NEGATIVE = 0xB0,   /* negative permission, receiver cancel */
    NJE_RCB_COMPLETE = 0xC0,   /* transmission complete: the file is on the receiver's disk */
    NJE_RCB_READY = 0xD0,      /* ready to receive; ignored */
    NJE_RCB_BCB_ERROR = 0xE0,
    NJE_RCB_GENERAL = 0xF0, /* general control, not compressed: sign-on.h */
    NJE_RCB_NMR = 0x9A,
    NJE_RCB_SYSIN1 = 0x98, /* + 0x10 for each further stream, up to 7 */
    NJE_RCB_SYSOUT1 = 0x99
};
enum {
    NJE_STREAMS = 7,            /* of each kind and direction */
    NJE_SRCB_CANCEL = 0x40,     /* transmitter cancel */
    NJE_SRCB_SEGMENT = 0x0C,    /* of a data record: 00 whole, 08 first, 04 middle, 0C last segment */
    NJE_BUFFER_HEAD = 5,        /* DLE STX BCB FCS FCS */
    NJE_BUFFER_MIN = 300,       /* smallest NCCIBFSZ in use: RSCS BUFF, NJE38 BUFF */
    NJE_BUFFER_TOP = 32767,     /* largest we may advertise: UnixNJE keeps it in a signed short */
    NJE_RECORD_SEND_MAX = 256,  /* expanded; what VM/370 RSCS and UnixNJE take */
    NJE_RECORD_ACCEPT_MAX = 512 /* expanded; more than any record of the format can have */
};

/* Stream number 1-7 of a SYSIN or SYSOUT RCB, else 0. */
int nje_stream_of(uint8_t rcb, bool *sysin_r);
uint8_t nje_sysout_rcb(int stream);

/* --- what a TTR carries --- */
enum nje_payload_kind {
    NJE_PAYLOAD_SOH_ENQ,
    NJE_PAYLOAD_ACK0,
    NJE_PAYLOAD_NAK,
    NJE_PAYLOAD_SYN_NAK, /* the opener wishes to be secondary */
    NJE_PAYLOAD_BUFFER
};
struct nje_payload {
    enum nje_payload_kind kind;
    uint8_t bcb;         /* the rest: BUFFER */
    uint16_t fcs;        /* first byte in the high half */
    struct span records; /* what follows the head; empty or a lone 00 in a null buffer */
};
/* Leading SYNs are dropped, a trailing PAD after two-byte forms is taken. PROTOCOL for anything else. */
int nje_payload_decode(struct span payload, struct nje_payload *payload_r, struct err *err);
extern const struct span nje_soh_enq, nje_ack0;

/* --- BCB: the count of buffers of one direction --- */
enum nje_bcb_verdict { NJE_BCB_TAKE, NJE_BCB_DUPLICATE, NJE_BCB_WRONG };
enum {
    NJE_BCB_NORMAL = 0x80,
    NJE_BCB_BYPASS = 0x90,
    NJE_BCB_RESET = 0xA0,
    NJE_BCB_DUPLICATES_MAX = 8 /* in a row; then the count is wrong */
};
struct nje_bcb_count {
    uint8_t expected; /* 0-15 */
    unsigned duplicates;
};
/* Judges an arriving BCB and moves the count. A reset or bypass buffer carries data to be taken. */
enum nje_bcb_verdict nje_bcb_arrived(struct nje_bcb_count *count, uint8_t bcb);

/* --- FCS: what the neighbour lets us send --- */
enum { NJE_FCS_NORMAL = 0x8FCF };
bool nje_fcs_wait(uint16_t fcs);               /* wait-a-bit: nothing at all */
bool nje_fcs_sysout(uint16_t fcs, int stream); /* data of SYSOUT stream 1-7 may go */
bool nje_fcs_console(uint16_t fcs);            /* NMRs may go */

/* --- records --- */
struct nje_record {
    uint8_t rcb, srcb;
    bool null;         /* its first SCB is 00: in a stream, end of file */
    bool cancel;       /* SRCB 40, or SCB 40: transmitter cancel */
    struct span bytes; /* expanded, in the walk's room, until the next call; of F0 the bytes as they came */
};
struct nje_record_walk {
    struct reader rest;
    uint8_t room[NJE_RECORD_ACCEPT_MAX];
};
void nje_record_walk_init(struct nje_record_walk *walk, struct span records);
/* 1: a record; 0: end of the buffer (RCB 00, or its last byte); -1 PROTOCOL: cut short, too long, an SCB that is none.
 * A record of RCB F0 takes all the rest of its buffer. What follows an X'C2' after a receiver cancel is not read. */
int nje_record_next(struct nje_record_walk *walk, struct nje_record *record_r, struct err *err);

/* Appends the SCBs of one record, X'00' included: runs of two or more blanks and of three or more other bytes are
 * compressed. Never longer than bytes + bytes/63 + 2. */
void nje_scb_compress(struct buf *to, struct span bytes);

/* Appends the head of a buffer, a compressed record, the end. */
void nje_buffer_head(struct buf *to, uint8_t bcb);
void nje_buffer_record(struct buf *to, uint8_t rcb, uint8_t srcb, struct span bytes);
void nje_buffer_end(struct buf *to);

#endif
