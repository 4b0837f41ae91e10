/* The SMTP client: so many slots, each a connection to the same relay. This file decides when slots connect; what they
 * say is slot.c's.
 *
 * What can go wrong: the relay is down, or breaks every connection (then all wait for a back-off that doubles, and one
 * slot tries; letters stay with the source meanwhile); a kick comes while a slot is being told that there is nothing
 * (then it asks again). */
#include "smtp/client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/slot.h"

#include <stdio.h>
#include <sys/un.h>

#define DEFAULT_CONNECTIONS  4
#define DEFAULT_CONNECT_US   (30 * CLOCK_SECOND)
#define DEFAULT_REPLY_US     (5 * CLOCK_MINUTE)
#define DEFAULT_DATA_US      (10 * CLOCK_MINUTE)
#define DEFAULT_KEEP_US      (30 * CLOCK_SECOND)
#define DEFAULT_RETRY_US     (1 * CLOCK_SECOND)
#define DEFAULT_RETRY_MAX_US (5 * CLOCK_MINUTE)

static struct smtp_slot *find_slot(const struct smtp_client *client, enum slot_state state)
{
    for (unsigned i = 0; i < client->options.connections; i++)
        if (client->slots[i].state == state)
            return &client->slots[i];
    return NULL;
}

/* There may be letters: one more slot looks for them, if there is one and the relay is up. */
static void wake(struct smtp_client *client)
{
    struct smtp_slot *slot = find_slot(client, SLOT_READY);
    if (client->draining)
        return;
    if (slot != NULL) {
        smtp_slot_ask(slot);
        return;
    }
    slot = find_slot(client, SLOT_OFF);
    if (slot != NULL && !client->backing_off)
        smtp_slot_connect(slot);
    else
        client->wanted = true; /* all are busy, or saying QUIT: those do not ask again by themselves */
}

void smtp_client_kick(struct smtp_client *client)
{
    bool looked_after = false; /* a slot will ask, now or when it is connected */
    for (unsigned i = 0; i < client->options.connections; i++) {
        struct smtp_slot *slot = &client->slots[i];
        bool asking = slot->state == SLOT_ASKING && !slot->has_letter;
        if (asking)
            slot->ask_again = true;
        looked_after =
            looked_after || asking || (slot->state > SLOT_OFF && slot->state < SLOT_READY && !slot->has_letter);
    }
    if (!looked_after)
        wake(client);
}

static void retry(void *arg)
{
    struct smtp_client *client = arg;
    client->backing_off = false;
    client->figures.next_try_us = 0;
    wake(client);
}

void smtp_client_connected(struct smtp_client *client)
{
    client->figures.relay_down = false;
    if (log_once_clear(&client->down))
        log_info(LOG_SMTP, 22471, "the relay %s answers again", client->options.relay);
}

void smtp_client_failed(struct smtp_client *client, const char *why)
{
    (void)snprintf(client->figures.last_error, sizeof client->figures.last_error, "%s", why);
    client->figures.relay_down = client->figures.connected == 0;
    if (log_once_raise(&client->down))
        log_warning(LOG_SMTP, err_log_number(ERR_CONNECT), "relay %s: %s; letters wait", client->options.relay, why);
    if (client->backing_off || client->draining)
        return;
    int64_t wait = loop_backoff(client->options.retry_us, client->failures++, client->options.retry_max_us);
    client->backing_off = true;
    client->figures.next_try_us = clock_now() + wait;
    loop_timer_set(&client->retry_timer, wait);
}

void smtp_client_works(struct smtp_client *client)
{
    client->failures = 0;
}

void smtp_client_idle(struct smtp_client *client)
{
    if (!client->draining && client->wanted && !client->backing_off) {
        client->wanted = false;
        loop_timer_set(&client->retry_timer, 0); /* not from here: the slot is on its way to OFF */
    }
    if (!client->draining || client->closed == NULL)
        return;
    for (unsigned i = 0; i < client->options.connections; i++)
        if (client->slots[i].state != SLOT_OFF)
            return;
    loop_timer_set(&client->drain_timer, 0); /* not from here: our caller still uses the client */
}

static void drain_over(void *arg)
{
    struct smtp_client *client = arg;
    bool off = true;
    for (unsigned i = 0; i < client->options.connections; i++) {
        smtp_slot_stop(&client->slots[i], "this connector is stopping");
        off = off && client->slots[i].state == SLOT_OFF;
    }
    if (!off) /* smtp_client_idle comes when the source has settled the last */
        return;
    loop_timer_unset(&client->drain_timer);
    void (*closed)(void *) = client->closed;
    client->closed = NULL;
    if (closed != NULL)
        closed(client->closed_arg); /* may free the client */
}

void smtp_client_drain(struct smtp_client *client, int64_t wait_us, void (*closed)(void *arg), void *arg)
{
    client->draining = true;
    client->closed = closed;
    client->closed_arg = arg;
    loop_timer_unset(&client->retry_timer);
    loop_timer_set(&client->drain_timer, wait_us);
    for (unsigned i = 0; i < client->options.connections; i++)
        smtp_slot_quit(&client->slots[i]);
    smtp_client_idle(client);
}

void smtp_client_next(struct smtp_client *client, unsigned slot, const struct smtp_outgoing *letter)
{
    bool kicked = client->slots[slot].ask_again;
    smtp_slot_letter(&client->slots[slot], letter);
    bool lost_it = kicked && client->slots[slot].state == SLOT_OFF; /* the connection went while the source looked */
    if (letter != NULL || lost_it)
        wake(client); /* where there is one letter, there may be more */
}

void smtp_client_piece(struct smtp_client *client, unsigned slot, struct span piece, const struct err *err)
{
    smtp_slot_piece(&client->slots[slot], piece, err);
}

void smtp_client_settled(struct smtp_client *client, unsigned slot)
{
    smtp_slot_settled(&client->slots[slot]);
    if (client->slots[slot].state == SLOT_OFF)
        wake(client);
}

void smtp_client_figures(const struct smtp_client *client, struct smtp_client_figures *figures_r)
{
    *figures_r = client->figures;
}

/* --- making --- */

static int64_t or_default(int64_t value, int64_t standard)
{
    return value != 0 ? value : standard;
}

static int parse_relay(struct smtp_client *client, const char *relay, struct err *err)
{
    static const char lmtp[] = "lmtp:";
    if (strncmp(relay, lmtp, sizeof lmtp - 1) != 0)
        return resolve_parse(relay, &client->relay, err);
    const char *path = relay + sizeof lmtp - 1;
    if (path[0] != '/' || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return err_set(err, ERR_CONFIG, "\"%s\": lmtp: wants a path of at most %zu characters, as lmtp:/run/x/lmtp",
                       relay, sizeof((struct sockaddr_un *)0)->sun_path - 1);
    client->lmtp_path = mem_strdup(path);
    return client->lmtp_path != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for the SMTP client");
}

static int make_slots(struct smtp_client *client)
{
    client->slots = mem_zero(client->options.connections * sizeof *client->slots);
    if (client->slots == NULL)
        return -1;
    int result = 0;
    for (unsigned i = 0; i < client->options.connections; i++)
        if (smtp_slot_init(&client->slots[i], client, i) == -1)
            result = -1;
    return result;
}

int smtp_client_new(struct loop *loop, const struct smtp_client_options *options, const struct smtp_source *source,
                    struct smtp_client **client_r, struct err *err)
{
    *client_r = NULL;
    struct smtp_client *client = mem_zero(sizeof *client);
    if (client == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for the SMTP client");
    client->loop = loop;
    client->source = *source;
    client->host_name = mem_strdup(options->host_name);
    char *relay = mem_strdup(options->relay);
    client->options = (struct smtp_client_options){
        .relay = relay,
        .host_name = client->host_name,
        .connections = options->connections != 0 ? options->connections : DEFAULT_CONNECTIONS,
        .connect_us = or_default(options->connect_us, DEFAULT_CONNECT_US),
        .reply_us = or_default(options->reply_us, DEFAULT_REPLY_US),
        .data_us = or_default(options->data_us, DEFAULT_DATA_US),
        .keep_us = or_default(options->keep_us, DEFAULT_KEEP_US),
        .retry_us = or_default(options->retry_us, DEFAULT_RETRY_US),
        .retry_max_us = or_default(options->retry_max_us, DEFAULT_RETRY_MAX_US),
    };
    int result = 0;
    if (relay == NULL || client->host_name == NULL ||
        loop_timer_init(&client->retry_timer, loop, retry, client) == -1 ||
        loop_timer_init(&client->drain_timer, loop, drain_over, client) == -1 || make_slots(client) == -1)
        result = err_set(err, ERR_NO_MEMORY, "no memory for the SMTP client");
    if (result == 0)
        result = parse_relay(client, relay, err);
    if (result == -1) {
        smtp_client_free(client);
        return -1;
    }
    loop_timer_set(&client->retry_timer, 0); /* the first look, when the source knows us */
    *client_r = client;
    return 0;
}

void smtp_client_free(struct smtp_client *client)
{
    if (client == NULL)
        return;
    for (unsigned i = 0; client->slots != NULL && i < client->options.connections; i++)
        smtp_slot_free(&client->slots[i]);
    loop_timer_free(&client->retry_timer);
    loop_timer_free(&client->drain_timer);
    mem_free(client->slots);
    mem_free(client->lmtp_path);
    mem_free(client->host_name);
    mem_free((char *)client->options.relay);
    mem_free(client);
}
