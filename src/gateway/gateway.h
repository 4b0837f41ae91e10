/* gateway: the four steps a letter takes, between the two doors and through the ledger.
 *
 *     host -> host_in -> (translate) -> mail_out -> relay          relay -> mail_in -> (translate) -> host_out -> host
 *
 * All in the loop's thread. What is durable at each step, and what a crash leaves: store/README.md.
 */
#ifndef OVVM_GATEWAY_GATEWAY_H
#define OVVM_GATEWAY_GATEWAY_H

#include "address/border.h"
#include "base/conf.h"
#include "base/loop.h"
#include "nje/link.h"
#include "smtp/client.h"
#include "smtp/server.h"
#include "store/instance.h"
#include "store/store.h"
#include "translator/zygote.h"

struct gateway;

/* Opens the doors (not where the instance is not active: then only the ledger can be looked at). Keeps pointers to all.
 */
struct gateway_options {
    struct loop *loop;
    struct store *store;
    const struct conf *conf;
    const struct tables *tables;
    struct registry *registry;
    struct zygote *zygote;
    const struct instance *instance;
};
int gateway_new(const struct gateway_options *options, struct gateway **gateway_r, struct err *err);
/* Takes no more letters, finishes what is in hand within `wait_us`, then calls `closed`. */
void gateway_drain(struct gateway *gateway, int64_t wait_us, void (*closed)(void *arg), void *arg);
/* Gives up what was not finished in time; before the ledger is closed. */
void gateway_halt(struct gateway *gateway);
/* After `closed` and gateway_halt. */
void gateway_free(struct gateway *gateway);

/* It stopped the loop because it cannot go on; to be started anew. */
bool gateway_failed(const struct gateway *gateway);

/* For status. */
size_t gateway_link_count(const struct gateway *gateway);
struct name8 gateway_link(const struct gateway *gateway, size_t index, struct nje_link_figures *figures_r);
bool gateway_smtp(const struct gateway *gateway, struct smtp_server_figures *server_r,
                  struct smtp_client_figures *client_r);

#endif
