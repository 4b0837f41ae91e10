/* Any bytes from a relay, in any cuts: the first byte of the input says SMTP or LMTP and how the source behaves, the
 * second how the rest is cut. Each letter must get its results at most once and only after it was given, and nobody may
 * be taken for accepted whose relay has not said so. */
#include "smtp/client.h"

#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

enum { LETTERS = 3, RECIPIENTS = 3 };

static struct loop *loop;
static int listeners[2]; /* SMTP, LMTP */
static char relays[2][128];
static unsigned given, over;
static bool fails;

static void need(bool holds)
{
    if (!holds)
        abort();
}

static void source_next(void *owner, struct smtp_client *client, unsigned slot)
{
    static const char *const recipients[RECIPIENTS] = { "a@b", "c\r@d", "e@f" };
    struct smtp_outgoing letter = { .handle = owner,
                                    .name = "x",
                                    .sender = "",
                                    .recipients = recipients,
                                    .recipient_count = RECIPIENTS,
                                    .size = 10,
                                    .body_8bit = true };
    need(given == over);
    smtp_client_next(client, slot, given < LETTERS && ++given > 0 ? &letter : NULL);
}

static void source_read(void *owner, struct smtp_client *client, unsigned slot, void *handle, uint64_t offset)
{
    (void)owner;
    (void)handle;
    struct span content = SPAN_LITERAL("Subject: x\r\n\r\n.dot\r\n");
    struct err err = ERR_CLEAR;
    if (fails && offset > 0)
        (void)err_set(&err, ERR_STORE_IO, "as the input wanted");
    need(given == over + 1);
    smtp_client_piece(client, slot, span_slice(content, (size_t)offset, 7), err.id != ERR_NONE ? &err : NULL);
}

static void source_result(void *owner, struct smtp_client *client, unsigned slot, void *handle,
                          const struct smtp_result *results)
{
    (void)owner;
    (void)handle;
    need(given == ++over);
    for (size_t i = 0; i < RECIPIENTS; i++) {
        need(results[i].outcome != SMTP_ACCEPTED || results[i].code / 100 == 2);
        need(results[i].enhanced[0] != '\0');
    }
    need(results[1].outcome == SMTP_PERMANENT);
    smtp_client_settled(client, slot);
}

static void set_up(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    socklen_t size = sizeof address;
    log_set_level(LOG_SMTP, LOG_NOTHING);
    loop = loop_new();
    listeners[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    need(bind(listeners[0], (struct sockaddr *)&address, sizeof address) == 0 && listen(listeners[0], 16) == 0);
    need(getsockname(listeners[0], (struct sockaddr *)&address, &size) == 0);
    (void)snprintf(relays[0], sizeof relays[0], "127.0.0.1:%u", ntohs(address.sin_port));
    (void)snprintf(path.sun_path, sizeof path.sun_path, P_tmpdir "/smtp-client-fuzz-%d", getpid());
    (void)unlink(path.sun_path);
    (void)snprintf(relays[1], sizeof relays[1], "lmtp:%s", path.sun_path);
    listeners[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    need(bind(listeners[1], (struct sockaddr *)&path, sizeof path) == 0 && listen(listeners[1], 16) == 0);
}

static void tear_down(void) __attribute__((destructor));
static void tear_down(void)
{
    if (relays[1][0] != '\0')
        (void)unlink(relays[1] + strlen("lmtp:"));
    loop_free(loop);
}

static void turn(int relay)
{
    char words[4096];
    for (int i = 0; i < 3; i++) {
        (void)event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
        while (relay != -1 && recv(relay, words, sizeof words, 0) > 0)
            ;
    }
}

static int accept_client(int listener)
{
    struct pollfd wait = { .fd = listener, .events = POLLIN };
    turn(-1); /* the client connects */
    (void)poll(&wait, 1, 100);
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct reader in = reader_of(span_of(at, size));
    unsigned how = reader_u8(&in);
    size_t cut = reader_u8(&in) + 1U;
    if (loop == NULL)
        set_up();
    given = 0;
    over = 0;
    fails = (how & 2) != 0;
    struct smtp_source source = { .next = source_next, .read = source_read, .result = source_result };
    struct smtp_client_options options = { .relay = relays[how & 1],
                                           .host_name = "gw",
                                           .connections = 1,
                                           .retry_us = CLOCK_HOUR,
                                           .retry_max_us = CLOCK_HOUR };
    struct smtp_client *client;
    struct err err = ERR_CLEAR;
    need(smtp_client_new(loop, &options, &source, &client, &err) == 0);
    int relay = accept_client(listeners[how & 1]);
    while (relay != -1 && !reader_at_end(&in)) {
        struct span piece = reader_take(&in, cut < in.rest.size ? cut : in.rest.size);
        if (send(relay, piece.at, piece.size, MSG_NOSIGNAL) == -1)
            break;
        turn(relay);
    }
    if (relay != -1)
        (void)close(relay);
    turn(-1);
    need(given - over <= 1);
    smtp_client_free(client);
    while ((relay = accept4(listeners[how & 1], NULL, NULL, SOCK_NONBLOCK)) != -1)
        (void)close(relay);
    return 0;
}
