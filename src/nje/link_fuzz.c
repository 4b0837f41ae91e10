/* A link signed on with a neighbour that then says anything. First byte 0: the rest is the byte stream itself; else the
 * rest is cut into buffers (a length byte, then so many bytes of records) that are framed and counted as they should
 * be, so that the streams behind the framing are reached. The spool keeps books: every handle is given up exactly once,
 * and nothing is committed that was abandoned. */
#include "base/log.h"
#include "base/mem.h"
#include "nje/link_private.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

enum { TURNS = 64, OUT_FILES = 2 };

struct nje_incoming {
    bool open;
};

struct books {
    struct nje_link *link;
    unsigned open, puts, handed_out, settled;
};

static const uint8_t outgoing[] = { 0, 5, 0xC0, 0, 4, 0, 0, 0, 3, 0x80, 0x50, 0xC1, 0, 5, 0xD0, 0, 4, 0, 0 };

static bool has_room(void *owner, struct nje_link *link)
{
    (void)owner;
    (void)link;
    return true;
}

static struct nje_incoming *begin(void *owner, struct nje_link *link, int stream)
{
    (void)link;
    if (stream < 1 || stream > NJE_STREAMS)
        abort();
    struct nje_incoming *file = mem_need(mem_zero(sizeof *file), "fuzz");
    file->open = true;
    ((struct books *)owner)->open++;
    return file;
}

static void give_up(struct books *books, struct nje_incoming *file)
{
    if (!file->open)
        abort();
    mem_free(file);
    books->open--;
}

static bool put(void *owner, struct nje_incoming *file, struct span piece)
{
    if (!file->open || piece.size == 0)
        abort();
    return ++((struct books *)owner)->puts % 16 != 0; /* now and then a pause, which the main loop ends */
}

static void commit(void *owner, struct nje_incoming *file, const struct nje_incoming_facts *facts)
{
    struct books *books = owner;
    int stream = facts->stream;
    if (!file->open || facts->bytes == 0)
        abort();
    give_up(books, file);
    nje_link_committed(books->link, stream, NULL);
}

static void abandon(void *owner, struct nje_incoming *file)
{
    give_up(owner, file);
}

static void confirmed(void *owner, struct nje_link *link, int stream)
{
    (void)owner;
    (void)link;
    (void)stream;
}

static void next(void *owner, struct nje_link *link, int stream)
{
    struct books *books = owner;
    struct nje_outgoing file = { .handle = books, .name = "item", .bytes = sizeof outgoing };
    bool more = books->handed_out < OUT_FILES;
    books->handed_out += more;
    nje_link_next(link, stream, more ? &file : NULL);
}

static void read_piece(void *owner, struct nje_link *link, int stream, void *handle, uint64_t offset)
{
    (void)owner;
    (void)handle;
    nje_link_piece(link, stream, span_slice(span_of(outgoing, sizeof outgoing), (size_t)offset, 7), NULL);
}

static void accepted(void *owner, struct nje_link *link, int stream, void *handle)
{
    (void)handle;
    ((struct books *)owner)->settled++;
    nje_link_removed(link, stream);
}

static void returned(void *owner, struct nje_link *link, int stream, void *handle, bool counts, const struct err *why)
{
    (void)link;
    (void)stream;
    (void)handle;
    (void)counts;
    (void)why;
    ((struct books *)owner)->settled++;
}

static void message(void *owner, struct nje_link *link, const struct nje_message *arrived)
{
    (void)owner;
    (void)link;
    if (memchr(arrived->text, '\0', sizeof arrived->text) == NULL)
        abort();
}

static void state(void *owner, struct nje_link *link)
{
    (void)owner;
    (void)link;
}

static void turn(struct loop *loop, struct nje_link *link, int fd)
{
    uint8_t drop[4096];
    (void)event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    nje_link_room(link);
    while (recv(fd, drop, sizeof drop, MSG_DONTWAIT) > 0)
        continue;
}

static void say(struct loop *loop, struct nje_link *link, int fd, struct span bytes)
{
    for (int turns = 0; bytes.size > 0 && turns < TURNS; turns++) {
        ssize_t sent = send(fd, bytes.at, bytes.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            bytes = span_slice(bytes, (size_t)sent, bytes.size);
        turn(loop, link, fd);
    }
}

static void frame(struct buf *stream, uint8_t bcb, struct span records)
{
    struct buf payload = { 0 };
    nje_buffer_head(&payload, bcb);
    buf_add_span(&payload, records);
    nje_block_put(stream, buf_span(&payload));
    buf_free(&payload);
}

static void sign_on(struct buf *stream)
{
    struct nje_signon initial = { .buffer = 1024 };
    struct buf record = { 0 };
    (void)name8_parse(SPAN_LITERAL("NODEA"), "node", &initial.node, NULL);
    nje_signon_encode(&record, &initial);
    nje_block_put(stream, nje_soh_enq);
    frame(stream, NJE_BCB_RESET, buf_span(&record));
    buf_free(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    log_set_level(LOG_NJE, LOG_NOTHING);
    struct books books = { .open = 0 };
    struct nje_spool spool = { &books, has_room,   begin,    put,      commit,  abandon, confirmed,
                               next,   read_piece, accepted, returned, message, state };
    struct nje_link_options options = {
        .kind = NJE_UNIXNJE, .connect = "127.0.0.1:1", .retry_us = CLOCK_HOUR, .retry_max_us = CLOCK_HOUR, .streams = 2
    };
    (void)name8_parse(SPAN_LITERAL("NODEB"), "node", &options.our_node, NULL);
    (void)name8_parse(SPAN_LITERAL("NODEA"), "node", &options.node, NULL);
    struct loop *loop = mem_need(loop_new(), "fuzz");
    struct nje_link *link = mem_need(nje_link_new(loop, &options, &spool, NULL), "fuzz");
    books.link = link;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1)
        abort();
    struct sockaddr_storage address = { .ss_family = AF_UNIX };
    struct nje_control open = { .type = NJE_OPEN, .rhost = options.node, .ohost = options.our_node };
    if (nje_link_opened(link, fds[0], NULL, &address, &open, NULL) != 0)
        abort();
    struct buf stream = { 0 };
    struct reader reader = reader_of(span_of(at, size));
    sign_on(&stream);
    say(loop, link, fds[1], buf_span(&stream));
    buf_clear(&stream);
    if (reader_u8(&reader) == 0) {
        say(loop, link, fds[1], reader.rest);
    } else {
        for (unsigned count = 0; !reader_at_end(&reader); count++) {
            size_t length = reader_u8(&reader);
            length = length < reader.rest.size ? length : reader.rest.size;
            frame(&stream, (uint8_t)(NJE_BCB_NORMAL | count % 16), reader_take(&reader, length));
            say(loop, link, fds[1], buf_span(&stream)); /* each is answered before the next */
            buf_clear(&stream);
        }
    }
    turn(loop, link, fds[1]);
    nje_link_free(link);
    if (books.open != 0 || books.settled != books.handed_out)
        abort();
    (void)close(fds[1]);
    buf_free(&stream);
    loop_free(loop);
    return 0;
}
