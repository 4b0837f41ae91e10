/* control: the daemon's ear for `ovvm`. A Unix socket; each connection brings one request, a JSON object on one line
 * with a "verb", and gets one JSON object on one line back: {"ok": true, …} or {"ok": false, "error": …, "status": exit
 * status}. A verb that takes bytes answers {"send": SIZE} first and reads so many. */
#ifndef OVVM_ADMIN_CONTROL_H
#define OVVM_ADMIN_CONTROL_H

#include "gateway/gateway.h"

enum {
    CONTROL_REQUEST_MAX = 9 * 1024 * 1024 /* the facts of a letter with many recipients */,
    CONTROL_REPLY_MAX = 64 * 1024 * 1024
};

struct control;

struct control_options {
    struct loop *loop;
    struct store *store;
    struct gateway *gateway;
    struct tables *tables;
    struct people_directory *directory;
    struct registry *registry;
    const struct conf *conf;
    struct instance *instance; /* changes when the instance moves */
};

/* Binds conf->admin.socket (mode 0660); a socket that nobody answers on is replaced. Keeps pointers to all. */
int control_new(const struct control_options *options, struct control **control_r, struct err *err);
/* Takes no more requests and gives up those that still take bytes: before the ledger closes. */
void control_stop(struct control *control);
/* After the ledger is closed. */
void control_free(struct control *control);
/* Only takes the socket's name away: for a process that ends without waiting for the ledger. NULL: nothing. */
void control_unlink(const struct control *control);

#endif
