/* options: the command line of `ovvm host`. */
#ifndef OVVM_HOST_OPTIONS_H
#define OVVM_HOST_OPTIONS_H

#include "base/err.h"
#include "base/name8.h"
#include "nje/link.h"

enum host_send_kind { HOST_SEND_NOTE, HOST_SEND_FILE, HOST_SEND_MESSAGE, HOST_SEND_REPLAY };

struct host_address {
    struct name8 node, user;
};

/* One thing to send, in the order of the command line. */
struct host_send {
    enum host_send_kind kind;
    struct host_address from, to; /* replay: `to` has an empty node where the file's own destination stays */
    const char *path;             /* note, file, replay; "-" is standard input (not for replay) */
    struct name8 name, type;      /* file */
    bool netdata;                 /* note, file: as NETDATA instead of plain cards */
    const char *text;             /* message */
};

/* Strings belong to argv. */
struct host_options {
    struct name8 node, peer;
    enum nje_kind kind;
    const char *connect, *listen, *allow; /* NULL: not given */
    const char *folder;
    struct host_send *sends;
    size_t send_count;
    bool netdata, once, quiet, help;
    unsigned expect;
    int64_t timeout_us; /* 0: none */
};

extern const char host_usage[];

/* `argv[0]` is not looked at. ERR_CONFIG with the option and the remedy. Release with host_options_free either way. */
int host_options_parse(int argc, char **argv, struct host_options *options_r, struct err *err);
void host_options_free(struct host_options *options);

#endif
