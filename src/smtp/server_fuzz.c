/* Any bytes from a client, in any cuts: the first byte of the input says which protocol and how the sink behaves, the
 * second how the rest is cut. The session must end when the client is gone, and each letter must be committed or
 * abandoned exactly once. */
#include "smtp/memory_sink.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static struct loop *loop;

static void turn(void)
{
    (void)event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static void need(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct reader in = reader_of(span_of(at, size));
    unsigned how = reader_u8(&in);
    size_t cut = reader_u8(&in) + 1U;
    struct smtp_server_options options = { .host_name = "gw", .max_size = 300, .max_recipients = 3 };
    struct memory_sink sink;
    struct smtp_server *server;
    struct err err;
    int ends[2];
    char replies[4096];
    if (loop == NULL) {
        log_set_level(LOG_SMTP, LOG_NOTHING);
        loop = loop_new();
    }
    memory_sink_init(&sink);
    sink.commit_waits = (how & 2) != 0;
    sink.room = (how & 4) != 0 ? 20 : 0;
    sink.room_at_once = (how & 8) != 0;
    sink.only_for = (how & 16) != 0 ? "a" : NULL;
    need(smtp_server_new(loop, &options, &sink.calls, &server, &err) == 0);
    need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    need(smtp_server_adopt(server, ends[0], "::1", (how & 1) != 0, &err) == 0);
    while (!reader_at_end(&in)) {
        struct span piece = reader_take(&in, cut < in.rest.size ? cut : in.rest.size);
        if (send(ends[1], piece.at, piece.size, MSG_NOSIGNAL) == -1)
            break;
        turn();
        struct memory_letter *last = sink.count > 0 ? &sink.letters[(sink.count - 1) % MEMORY_SINK_LETTERS] : NULL;
        bool open = last != NULL && !last->abandoned && !last->committed;
        if (open && sink.commit_waits && sink.committed + sink.abandoned == sink.count)
            memory_sink_commit(last, NULL);
        else if (open && sink.room != 0 && !sink.room_at_once)
            smtp_session_room(last->session);
        while (recv(ends[1], replies, sizeof replies, 0) > 0)
            ;
    }
    (void)close(ends[1]);
    turn();
    struct smtp_server_figures figures;
    smtp_server_figures(server, &figures);
    if (!sink.commit_waits && (sink.room == 0 || sink.room_at_once)) {
        need(figures.sessions == 0);
        need(sink.committed + sink.abandoned == sink.count);
    }
    smtp_server_free(server);
    memory_sink_clear(&sink);
    return 0;
}
