/* netdata_send: the NETDATA streams that we send, in the dialect of the host they go to.
 *
 * Each is byte for byte what that host's own programs make or take (host-users.md §6): receivers differ in the text
 * units, the order and the record formats that they accept. Records are EBCDIC, already wrapped for the host; the
 * stream goes out as cards (netdata_cards). One recipient a stream: INMR01 holds one (Q233319). INMFNODE and INMFUID
 * must be those of the NJE header, or some receivers refuse the file (Q128468).
 */
#ifndef OVVM_CODEC_NETDATA_SEND_H
#define OVVM_CODEC_NETDATA_SEND_H

#include "codec/netdata.h"

enum {
    NETDATA_NOTE_LRECL = 132,   /* CMS NOTE */
    NETDATA_MESSAGE_LRECL = 251 /* TSO message */
};

enum netdata_dialect {
    NETDATA_CMS,  /* a note or a file */
    NETDATA_CE,   /* VM/370 CE: a file; INMR03 tells the truth */
    NETDATA_TSO,  /* a message, a data set, or both in one stream */
    NETDATA_NJE38 /* a data set; never INMTERM */
};

struct netdata_route {
    struct name8 from_node, from_user, to_node, to_user;
    int64_t time_us; /* INMFTIME */
    bool ack_wanted; /* INMFACK; not for NJE38, which never acknowledges */
};

/* A file or data set. CMS and CE: `name` `type` are filename and filetype (disk letter A); TSO and NJE38: the data set
 * is FROMUSER.NAME.TYPE. `lrecl` 0: the longest record. RECFM F: shorter records are filled up with X'40', so give
 * binary records in full. */
struct netdata_item {
    struct name8 name, type;
    bool fixed;
    size_t lrecl;
    int64_t changed_us; /* INMLCHG, CMS and CE */
    const struct records *records;
};

/* Appends the stream. `message` (note or message lines) or `item` may be NULL, not both; a dialect that cannot carry
 * what is asked for is ERR_BUG, as are an empty name and a record longer than a fixed LRECL. An empty line becomes one
 * X'40', which CMS and CE need. After -1 `to` may hold half a stream. */
int netdata_encode(enum netdata_dialect dialect, const struct netdata_route *route, const struct records *message,
                   const struct netdata_item *item, struct buf *to, struct err *err);

/* The acknowledgement of what came as `original` (INMR01, INMR07, INMR06; host-users.md example 5): names exchanged,
 * INMFTIME of the original byte for byte, INMTERM or INMDSNAM and INMFFM, its INMFACK id. `error_text` is INMERRCD
 * (NULL: stored). An acknowledgement is never acknowledged: ERR_BUG. An original without INMFNODE and INMFUID:
 * ERR_BAD_CONTENT. */
int netdata_encode_ack(const struct netdata_stream *original, int64_t time_us, const char *error_text, struct buf *to,
                       struct err *err);

/* Cuts a stream into 80-byte cards, the last one filled up with X'00'. */
void netdata_cards(struct span stream, struct records *cards);

#endif
