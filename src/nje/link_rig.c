/* The other end for the tests of the link. Everything is loopback and in one loop; waits end by events, and a guard
 * ends a test that would wait for ever. */
#include "nje/link_rig.h"

#include "base/clock.h"
#include "nje/header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { RIG_BLOCK_MAX = 65535, RIG_GUARD_S = 10 };

/* --- the spool --- */

static bool has_room(void *owner, struct nje_link *link)
{
    (void)link;
    return !((struct rig *)owner)->full;
}

static struct nje_incoming *begin(void *owner, struct nje_link *link, int stream)
{
    (void)link;
    struct rig *rig = owner;
    assert_true(rig->begun < RIG_FILES_MAX);
    struct nje_incoming *file = &rig->in[rig->begun++];
    file->open = true;
    file->stream = stream;
    return file;
}

static bool put(void *owner, struct nje_incoming *file, struct span piece)
{
    struct rig *rig = owner;
    assert_true(file->open);
    buf_add_span(&file->bytes, piece);
    return !rig->choke;
}

static void commit(void *owner, struct nje_incoming *file, const struct nje_incoming_facts *facts)
{
    struct rig *rig = owner;
    assert_true(file->open);
    file->facts = *facts;
    file->committed = true;
    rig->committed++;
    if (rig->commit_fails) {
        struct err err = ERR_CLEAR;
        (void)err_set(&err, ERR_DISK_FULL, "no room on the disk");
        file->committed = false;
        nje_link_committed(rig->link, file->stream, &err);
    } else if (!rig->hold_commit) {
        file->open = false;
        nje_link_committed(rig->link, file->stream, NULL);
    }
}

static void abandon(void *owner, struct nje_incoming *file)
{
    assert_true(file->open);
    file->open = false;
    ((struct rig *)owner)->abandoned++;
}

static void confirmed(void *owner, struct nje_link *link, int stream)
{
    (void)link;
    (void)stream;
    ((struct rig *)owner)->confirmed++;
}

static void next(void *owner, struct nje_link *link, int stream)
{
    struct rig *rig = owner;
    rig->asked++;
    bool none = rig->out_next == rig->out_count;
    if (none || rig->out[rig->out_next].size > nje_link_file_limit(link, stream)) {
        nje_link_next(link, stream, NULL);
        return;
    }
    struct nje_outgoing file = { .handle = &rig->out[rig->out_next], .bytes = rig->out[rig->out_next].size };
    (void)snprintf(file.name, sizeof file.name, "item%u", rig->out_next);
    rig->out_next++;
    nje_link_next(link, stream, &file);
}

static void read_piece(void *owner, struct nje_link *link, int stream, void *handle, uint64_t offset)
{
    struct rig *rig = owner;
    rig->reads++;
    if (rig->hold_read)
        return;
    const struct span *bytes = handle;
    nje_link_piece(link, stream, span_slice(*bytes, (size_t)offset, RIG_PIECE), NULL);
}

static void accepted(void *owner, struct nje_link *link, int stream, void *handle)
{
    (void)handle;
    struct rig *rig = owner;
    rig->accepted++;
    if (!rig->hold_record)
        nje_link_removed(link, stream);
}

static void returned(void *owner, struct nje_link *link, int stream, void *handle, bool counts, const struct err *why)
{
    (void)link;
    (void)stream;
    (void)handle;
    struct rig *rig = owner;
    rig->returned++;
    rig->counted += counts;
    rig->why = *why;
}

static void message(void *owner, struct nje_link *link, const struct nje_message *arrived)
{
    (void)link;
    struct rig *rig = owner;
    assert_true(rig->message_count < RIG_FILES_MAX);
    rig->messages[rig->message_count++] = *arrived;
}

static void state(void *owner, struct nje_link *link)
{
    (void)link;
    ((struct rig *)owner)->state_changes++;
}

/* --- the neighbour --- */

static void guard(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    (void)fprintf(stderr, "nothing more happens\n");
    abort();
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct rig *rig = arg;
    uint8_t bytes[4096];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got > 0) {
        buf_add(&rig->got, bytes, (size_t)got);
        return;
    }
    rig->closed = true;
    (void)event_del(rig->readable);
}

void rig_turn(struct rig *rig)
{
    (void)event_base_loop(loop_base(rig->loop), EVLOOP_ONCE);
}

void rig_open(struct rig *rig)
{
    *rig = (struct rig){ .fd = -1 };
    rig->loop = loop_new();
    assert_non_null(rig->loop);
    rig->spool = (struct nje_spool){ .owner = rig,
                                     .has_room = has_room,
                                     .begin = begin,
                                     .put = put,
                                     .commit = commit,
                                     .abandon = abandon,
                                     .confirmed = confirmed,
                                     .next = next,
                                     .read = read_piece,
                                     .accepted = accepted,
                                     .returned = returned,
                                     .message = message,
                                     .state = state };
    rig->guard = event_new(loop_base(rig->loop), -1, 0, guard, NULL);
    const struct timeval limit = { .tv_sec = RIG_GUARD_S };
    (void)event_add(rig->guard, &limit);
    rig->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof local;
    assert_int_equal(bind(rig->listening, (const struct sockaddr *)&local, size), 0);
    assert_int_equal(listen(rig->listening, 8), 0);
    assert_int_equal(getsockname(rig->listening, (struct sockaddr *)&local, &size), 0);
    (void)snprintf(rig->address, sizeof rig->address, "127.0.0.1:%u", (unsigned)ntohs(local.sin_port));
}

void rig_hang_up(struct rig *rig)
{
    if (rig->readable != NULL)
        event_free(rig->readable);
    rig->readable = NULL;
    if (rig->fd != -1)
        (void)close(rig->fd);
    rig->fd = -1;
    buf_clear(&rig->got);
    rig->taken = 0;
    rig->closed = false;
}

void rig_close(struct rig *rig)
{
    rig_hang_up(rig);
    nje_link_free(rig->link);
    (void)close(rig->listening);
    buf_free(&rig->got);
    for (unsigned i = 0; i < rig->begun; i++) {
        assert_false(rig->in[i].open); /* the link gave up every handle */
        buf_free(&rig->in[i].bytes);
    }
    event_free(rig->guard);
    loop_free(rig->loop);
}

static struct name8 name_of(const char *text)
{
    struct name8 name;
    assert_int_equal(name8_parse(span_text(text), "node", &name, NULL), 0);
    return name;
}

struct nje_link_options rig_options(void)
{
    return (struct nje_link_options){ .our_node = name_of("NODEB"),
                                      .node = name_of("NODEA"),
                                      .kind = NJE_UNIXNJE,
                                      .buffer = 8192,
                                      .rip = "127.0.1.2",
                                      .oip = "127.0.1.1",
                                      .retry_us = 10 * 1000,
                                      .retry_max_us = 20 * 1000 };
}

void rig_link(struct rig *rig, const struct nje_link_options *options)
{
    struct err err = ERR_CLEAR;
    rig->link = nje_link_new(rig->loop, options, &rig->spool, &err);
    assert_string_equal(err.text, "");
    assert_non_null(rig->link);
}

static void listen_to(struct rig *rig)
{
    const int now = 1; /* each piece at once, as the tests say it */
    (void)setsockopt(rig->fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
    rig->bcb = 0;
    rig->bcb_ours = (struct nje_bcb_count){ .expected = 0 };
    rig->readable = event_new(loop_base(rig->loop), rig->fd, EV_READ | EV_PERSIST, readable, rig);
    (void)event_add(rig->readable, NULL);
}

static void connected(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    *(int *)arg = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
}

void rig_accept(struct rig *rig)
{
    rig_hang_up(rig);
    struct event *event = event_new(loop_base(rig->loop), rig->listening, EV_READ, connected, &rig->fd);
    (void)event_add(event, NULL);
    rig_wait(rig, rig->fd != -1);
    event_free(event);
    listen_to(rig);
}

void rig_dial(struct rig *rig)
{
    rig_hang_up(rig);
    struct nje_link_figures figures;
    nje_link_figures(rig->link, &figures);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)strtoul(strrchr(figures.listening, ':') + 1, NULL, 10));
    rig->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = { .sin_family = AF_INET };
    if (rig->from != NULL) {
        assert_int_equal(inet_pton(AF_INET, rig->from, &from.sin_addr), 1);
        assert_int_equal(bind(rig->fd, (const struct sockaddr *)&from, sizeof from), 0);
    }
    assert_int_equal(connect(rig->fd, (const struct sockaddr *)&to, sizeof to), 0);
    listen_to(rig);
}

void rig_say(struct rig *rig, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(rig->fd, bytes.at, bytes.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            bytes = span_slice(bytes, (size_t)sent, bytes.size);
        else if (errno == EAGAIN)
            rig_turn(rig);
        else
            return; /* closed: the test sees that */
    }
}

void rig_say_control(struct rig *rig, enum nje_control_type type, const char *rhost, const char *ohost, uint8_t reason)
{
    struct nje_control control = { .type = type, .rhost = name_of(rhost), .ohost = name_of(ohost), .reason = reason };
    uint8_t record[NJE_CONTROL_SIZE];
    nje_control_encode(&control, record);
    rig_say(rig, span_of(record, sizeof record));
}

void rig_say_payload(struct rig *rig, struct span payload)
{
    struct buf block = { 0 };
    nje_block_put(&block, payload);
    rig_say(rig, buf_span(&block));
    buf_free(&block);
}

void rig_say_buffer(struct rig *rig, struct span records)
{
    struct buf payload = { 0 };
    nje_buffer_head(&payload, (uint8_t)(NJE_BCB_NORMAL | rig->bcb));
    rig->bcb = (uint8_t)((rig->bcb + 1) % 16);
    buf_add_span(&payload, records);
    nje_buffer_end(&payload);
    rig_say_payload(rig, buf_span(&payload));
    buf_free(&payload);
}

void rig_say_signon(struct rig *rig, uint8_t srcb, const char *node, unsigned buffer, const char *line_password)
{
    struct nje_signon signon = { .response = srcb == NJE_RESPONSE, .node = name_of(node), .buffer = (uint16_t)buffer };
    if (line_password != NULL)
        signon.line_password = name_of(line_password);
    struct buf payload = { 0 };
    nje_buffer_head(&payload, NJE_BCB_RESET);
    nje_signon_encode(&payload, &signon);
    rig_say_payload(rig, buf_span(&payload));
    buf_free(&payload);
}

void rig_say_file_on(struct rig *rig, uint8_t rcb, unsigned records, bool trailer)
{
    struct nje_job job = { .job_id = 7, .origin_node = name_of("NODEA"), .origin_user = name_of("ALICE") };
    struct nje_dataset dataset = { .node = name_of("NODEB"), .user = name_of("BOB"), .name = "TEST", .type = "NOTE" };
    struct nje_trailer last = { .punch_records = records };
    struct buf spool = { 0 }, buffer = { 0 };
    nje_job_encode(&spool, &job);
    nje_dataset_encode(&spool, &dataset);
    for (unsigned i = 0; i < records; i++)
        nje_data_encode(&spool, SPAN_LITERAL("\xC8\xC5\xD3\xD3\xD6"), 80);
    if (trailer)
        nje_trailer_encode(&spool, &last);
    struct reader reader = reader_of(buf_span(&spool));
    struct nje_spool_record record;
    while (nje_spool_next(&reader, &record, NULL) == 1)
        nje_buffer_record(&buffer, rcb, record.srcb, record.bytes);
    rig_say_buffer(rig, buf_span(&buffer));
    buf_clear(&buffer);
    nje_buffer_record(&buffer, rcb, NJE_SRCB_DATA, SPAN_EMPTY); /* EOF */
    rig_say_buffer(rig, buf_span(&buffer));
    buf_free(&spool);
    buf_free(&buffer);
}

void rig_say_file(struct rig *rig, unsigned records, bool trailer)
{
    rig_say_file_on(rig, NJE_RCB_SYSOUT1, records, trailer);
}

struct span rig_spool_file(struct buf *spool, unsigned records)
{
    struct nje_job job = { .job_id = 9, .origin_user = name_of("BOB") };
    struct nje_dataset dataset = { .number = 1 };
    struct nje_trailer trailer = { .punch_records = records };
    nje_job_encode(spool, &job);
    nje_dataset_encode(spool, &dataset);
    for (unsigned i = 0; i < records; i++) {
        uint8_t card[80];
        memset(card, 0x40, sizeof card);
        for (size_t at = 0; at < sizeof card - 9; at++)
            card[at] = (uint8_t)(0xC1 + (i + at * 7) % 9);
        nje_data_encode(spool, span_of(card, sizeof card), 80);
    }
    nje_trailer_encode(spool, &trailer);
    return buf_span(spool);
}

void rig_go_dead(struct rig *rig, int fd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = { .len = 1, .filter = &drop };
    int unacknowledged = 1; /* it would be sent again and again, and that is a sign of life */
    while (unacknowledged > 0 && ioctl(fd, SIOCOUTQ, &unacknowledged) == 0)
        (void)event_base_loop(loop_base(rig->loop), EVLOOP_NONBLOCK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

struct nje_control rig_hear_control(struct rig *rig)
{
    struct nje_control control;
    rig_wait(rig, rig->got.size - rig->taken >= NJE_CONTROL_SIZE);
    assert_int_equal(nje_control_decode(span_slice(buf_span(&rig->got), rig->taken, NJE_CONTROL_SIZE), &control, NULL),
                     0);
    rig->taken += NJE_CONTROL_SIZE;
    return control;
}

struct span rig_hear_payload(struct rig *rig)
{
    size_t size = 0;
    struct span rest = SPAN_EMPTY;
    for (;;) {
        rest = span_slice(buf_span(&rig->got), rig->taken, rig->got.size);
        int found = nje_block_find(rest, RIG_BLOCK_MAX, &size, NULL);
        assert_int_not_equal(found, -1);
        if (found == 1)
            break;
        if (rig->closed)
            fail_msg("the link closed the connection: %s", rig_last_error(rig));
        rig_turn(rig);
    }
    rig->taken += size;
    struct nje_block_walk walk = nje_block_walk(span_slice(rest, 0, size));
    struct nje_ttr ttr;
    (void)nje_block_next(&walk, &ttr, NULL);
    return ttr.data;
}

void rig_expect(struct rig *rig, struct span payload)
{
    struct span heard = rig_hear_payload(rig);
    assert_int_equal(heard.size, payload.size);
    assert_memory_equal(heard.at, payload.at, payload.size);
}

void rig_expect_record(struct rig *rig, uint8_t rcb, uint8_t srcb)
{
    struct span heard = rig_hear_payload(rig);
    const uint8_t expected[] = { rcb, srcb, 0, 0 };
    struct nje_payload payload;
    assert_int_equal(nje_payload_decode(heard, &payload, NULL), 0);
    assert_int_equal(payload.kind, NJE_PAYLOAD_BUFFER);
    assert_int_equal(nje_bcb_arrived(&rig->bcb_ours, payload.bcb), NJE_BCB_TAKE);
    assert_int_equal(payload.records.size, sizeof expected);
    assert_memory_equal(payload.records.at, expected, sizeof expected);
}

void rig_sign_on(struct rig *rig)
{
    rig_accept(rig);
    struct nje_control open = rig_hear_control(rig);
    assert_int_equal(open.type, NJE_OPEN);
    rig_say_control(rig, NJE_ACK, "NODEA", "NODEB", 0);
    rig_expect_bytes(rig, "\x01\x2D");
    rig_say_payload(rig, SPAN_LITERAL("\x10\x70"));
    struct span initial = rig_hear_payload(rig);
    assert_int_equal(initial.at[NJE_BUFFER_HEAD + 1], NJE_INITIAL);
    rig_say_signon(rig, NJE_RESPONSE, "NODEA", 1024, NULL);
    rig_expect_bytes(rig, "\x10\x70");
    rig_wait(rig, rig_state(rig) == NJE_LINK_UP);
}

void rig_dial_open(struct rig *rig)
{
    rig_dial(rig);
    rig_say_control(rig, NJE_OPEN, "NODEA", "NODEB", 0);
    assert_int_equal(rig_hear_control(rig).type, NJE_ACK);
    rig_say_payload(rig, SPAN_LITERAL("\x01\x2D"));
    rig_expect_bytes(rig, "\x10\x70");
    rig_say_signon(rig, NJE_INITIAL, "NODEA", 0x8000, NULL); /* NJElib's buffer size */
}

void rig_dial_sign_on(struct rig *rig)
{
    rig_dial_open(rig);
    assert_int_equal(rig_hear_payload(rig).at[NJE_BUFFER_HEAD + 1], NJE_RESPONSE);
    rig_wait(rig, rig_state(rig) == NJE_LINK_UP);
}

enum nje_link_state rig_state(const struct rig *rig)
{
    struct nje_link_figures figures;
    nje_link_figures(rig->link, &figures);
    return figures.state;
}

const char *rig_last_error(struct rig *rig)
{
    static struct nje_link_figures figures;
    nje_link_figures(rig->link, &figures);
    return figures.last_error;
}

/* --- set-up of a test --- */

int rig_set_up(void **state)
{
    static struct rig rig; /* one test at a time */
    rig_open(&rig);
    *state = &rig;
    return 0;
}

int rig_set_up_signed_on(void **state)
{
    (void)rig_set_up(state);
    struct rig *rig = *state;
    struct nje_link_options options = rig_options();
    options.connect = rig->address;
    rig_link(rig, &options);
    rig_sign_on(rig);
    return 0;
}

int rig_tear_down(void **state)
{
    rig_close(*state);
    return 0;
}
