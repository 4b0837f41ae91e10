/* netdata: the stream that SENDFILE, NOTE and TRANSMIT make, taken apart.
 *
 * Input is the plain byte stream: cards first go through records_add_padded (X'40' to their stated 80 columns) and
 * records_join, because trailing blanks are data here. Two layers: netdata_next walks records, netdata_decode collects
 * what a letter needs. Source: Palmer & O'Hara "Netdata" 1981, SA32-0976 ch. 39, and real files (netdata.md §1).
 *
 * Liberal: control records and text units in any order or absent, unknown ones skipped, numbers of 1 to 8 bytes, junk
 * (a :READ card) before INMR01, a record-number segment X'F0'. Not liberal: a stream that ends before INMR06, a segment
 * or text unit that does not fit, limits.
 */
#ifndef OVVM_CODEC_NETDATA_H
#define OVVM_CODEC_NETDATA_H

#include "base/name8.h"
#include "codec/records.h"

enum {
    NETDATA_RECORD_MAX = 1 << 20, /* one joined record */
    NETDATA_JUNK_MAX = 4096,      /* bytes before INMR01 */
    NETDATA_FILES_MAX = 64,       /* data sets in one transmission */
    NETDATA_QUALIFIERS_MAX = 22,  /* of INMDSNAM (44 characters) */
    NETDATA_QUALIFIER_SIZE = 45,
    NETDATA_UTILITIES_MAX = 4, /* INMR02 for one file */
    NETDATA_TEXT_SIZE = 65,
    NETDATA_ACK_ID_MAX = 64
};

enum netdata_key {
    INMDDNAM = 0x0001,
    INMDSNAM = 0x0002,
    INMMEMBR = 0x0003,
    INMSECND = 0x000B,
    INMDIR = 0x000C,
    INMEXPDT = 0x0022,
    INMTERM = 0x0028,
    INMBLKSZ = 0x0030,
    INMDSORG = 0x003C,
    INMLRECL = 0x0042,
    INMRECFM = 0x0049,
    INMTNODE = 0x1001,
    INMTUID = 0x1002,
    INMFNODE = 0x1011,
    INMFUID = 0x1012,
    INMLREF = 0x1020,
    INMLCHG = 0x1021,
    INMCREAT = 0x1022,
    INMFVERS = 0x1023,
    INMFTIME = 0x1024,
    INMTTIME = 0x1025,
    INMFACK = 0x1026,
    INMERRCD = 0x1027,
    INMUTILN = 0x1028,
    INMUSERP = 0x1029,
    INMRECCT = 0x102A,
    INMSIZE = 0x102C,
    INMFFM = 0x102D,
    INMNUMF = 0x102F,
    INMTYPE = 0x8012,
    INMLSIZE = 0x8018,
    INMEATTR = 0x8028
};

enum netdata_dsorg { NETDATA_VSAM = 0x0008, NETDATA_PARTITIONED = 0x0200, NETDATA_SEQUENTIAL = 0x4000 };

/* INMRECFM: mask, never compare whole. */
enum netdata_recfm {
    NETDATA_FORM = 0xC000, /* the two bits that say F, V or U */
    NETDATA_F = 0x8000,
    NETDATA_V = 0x4000,
    NETDATA_U = 0xC000,
    NETDATA_BLOCKED = 0x1000,
    NETDATA_SPANNED = 0x0800,
    NETDATA_ASA = 0x0400,
    NETDATA_MACHINE = 0x0200,
    NETDATA_SHORTENED = 0x0001,
    NETDATA_WITHOUT_RDW = 0x0002,
    NETDATA_PACKED = 0x0004,
    NETDATA_HUFFMAN = 0x0008
};

/* --- layer one: records --- */
struct netdata_record {
    bool control;
    unsigned number;   /* control: 1-7 of INMR0n, 0 for an id we do not know */
    uint32_t file;     /* INMR02: the file number before its text units */
    size_t offset;     /* of its first segment in the stream */
    struct span bytes; /* control: the text units; else the data. Valid until the next call */
};

struct netdata {
    struct reader from;
    size_t size;
    struct buf joined; /* a record of several segments */
    bool ended;        /* INMR06 was seen */
};

/* True where INMR01 (or, at the very start, another INMR0n) begins within the first NETDATA_JUNK_MAX bytes. */
bool netdata_detect(struct span stream);
/* ERR_BAD_CONTENT where this is no NETDATA. netdata_close in every case. */
int netdata_open(struct netdata *netdata, struct span stream, struct err *err);
void netdata_close(struct netdata *netdata);
/* 1: a record; 0: INMR06 was the last one; -1: ERR_BAD_CONTENT (ended too early, does not fit), ERR_NO_MEMORY. */
int netdata_next(struct netdata *netdata, struct netdata_record *record_r, struct err *err);

struct netdata_unit {
    uint16_t key;
    uint16_t count;
    struct reader values; /* u16 length, bytes; `count` times, checked */
};
/* 1, 0 at the end, -1 where a unit does not fit. */
int netdata_unit_next(struct reader *units, struct netdata_unit *unit_r, struct err *err);
/* The next value, false where there is none. */
bool netdata_value_next(struct netdata_unit *unit, struct span *value_r);
/* A number of 1 to 8 bytes; false (0) for other sizes. */
bool netdata_number(struct span value, uint64_t *number_r);

/* --- layer two: what was sent --- */
struct netdata_file {
    uint32_t number;
    bool message;     /* INMTERM: a note or message, for the eyes and not for the disk */
    bool encrypted;   /* AMSCIPHR or AMSREPRO: attach as it came */
    bool partitioned; /* the records are an IEBCOPY unload (iebcopy.h) */
    size_t utilities;
    char utility[NETDATA_UTILITIES_MAX][NAME8_MAX + 1]; /* in stream order: the first is RECEIVE's last step */
    size_t qualifiers; /* CMS: mode letter, filename, filetype; MVS: the qualifiers of the data set */
    char qualifier[NETDATA_QUALIFIERS_MAX][NETDATA_QUALIFIER_SIZE];
    char member[NAME8_MAX + 1];      /* the first of INMMEMBR */
    char mode_number;                /* INMFFM, or 0 */
    char changed[NETDATA_TEXT_SIZE]; /* INMLCHG as it came */
    /* from the file's first INMR02: the data set itself */
    unsigned dsorg;
    unsigned recfm;
    uint64_t lrecl;
    uint64_t block_size;
    uint64_t stated_size;
    /* from the last INMR02: what the records are */
    unsigned data_recfm;
    uint64_t data_lrecl;
    size_t short_records; /* RECFM F: how many came shorter than LRECL; they were not filled up */
    struct records records;
};

struct netdata_stream {
    struct name8 from_node, from_user, to_node, to_user; /* empty where absent or no name */
    bool names_bad;                                      /* one of them had bytes that are no name */
    char time[NETDATA_TEXT_SIZE];                        /* INMFTIME as it came */
    int64_t time_us;                                     /* the same, GMT; 0 where absent or unreadable */
    uint64_t version;
    uint64_t stated_files; /* INMNUMF; 0 where absent */
    bool ack_wanted;
    uint8_t ack_id[NETDATA_ACK_ID_MAX]; /* to be given back in the acknowledgement */
    size_t ack_id_size;
    bool is_ack;                      /* there was an INMR07 */
    struct netdata_file about;        /* ack: what it speaks of (message, qualifiers, mode_number) */
    char ack_time[NETDATA_TEXT_SIZE]; /* ack: INMFTIME of the original, as it came back */
    char ack_text[NETDATA_TEXT_SIZE]; /* ack: INMERRCD, empty for "stored" */
    struct netdata_file *files;
    size_t file_count;
    size_t unknown_records; /* control records we do not know, skipped */
};

/* Records of RECFM F that are a multiple of LRECL long are split. On -1 *stream_r holds what came before the damage,
 * and must be released all the same. */
int netdata_decode(struct span stream, struct netdata_stream *stream_r, struct err *err);
void netdata_release(struct netdata_stream *stream);

#endif
