/* njeload: a host at the other end of the connector's link that is as fast as the link lets it be.
 *
 * It dials, signs on, takes every file at once and keeps none, and sends copies of one file, each with a stamp
 * (tally.h), a job id and an entry time of its own. NJE has one file on a stream at a time, request (90), permission
 * (A0), the file, its end, acknowledgement (C0), so nothing is put between these: the answer to a record goes out in
 * the same turn, a file and its end in one write. One thread, one socket, the wire code of src/nje.
 *
 * Nothing is kept, so the C0 of this program promises nothing: the connector in front of it is what is measured.
 *
 * Prints "up" when signed on; then a line of JSON after each N files taken (tally.h: from the stamp to the C0) and one
 * after each `send` that is through (from the due time to the C0). Exit status: 0 at the end of the standard input, 1
 * when the connection breaks, 2 usage.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "nje/block.h"
#include "nje/buffer.h"
#include "nje/control.h"
#include "nje/header.h"
#include "nje/signon.h"
#include "nje/spoolfile.h"
#include "tally.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CARD_SIZE = 80,
    READ_SIZE = 65536,
    BLOCK_SIZE = 8192,   /* what the connector takes in one block by default */
    BUFFER_SIZE = 4096,  /* that we advertise: what RSCS has at most */
    BLOCK_LIMIT = 40960, /* of a block to us */
    LINE_SIZE = 128,     /* of a command on the standard input */
    STREAM_RCB = NJE_RCB_SYSOUT1,
    EOF_SRCB = 0x80,
    JOB_ID_MAX = 9999
};
#define SIGNON_WAIT_US (20 * CLOCK_SECOND)
#define IDLE_WAIT_US   CLOCK_MINUTE

enum step { STEP_AWAIT_ACK0, STEP_AWAIT_J, STEP_UP };
enum sending { SENDING_NOTHING, SENDING_WAITS, SENDING_REQUESTED, SENDING_ENDED };

struct host {
    int fd;
    struct name8 us, connector;
    enum step step;
    size_t buffer; /* negotiated */
    uint8_t bcb_out;
    struct nje_bcb_count bcb_in;
    struct buf in, out, payload, records;
    /* taking */
    size_t report_after; /* N */
    struct buf content;  /* of the file that is coming, without record marks */
    struct tally taken;
    /* sending */
    struct name8 from, to;
    struct buf cards; /* of the file that is copied */
    size_t stamp_at;  /* in cards */
    struct buf file;  /* spool records of the copy in hand */
    enum sending sending;
    int64_t left, interval_us, due_us;
    unsigned job_id;
    int64_t entry_us;
    struct tally sent;
};

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("njeload: ", stderr);
    vfprintf(stderr, format, list);
    fputs("\n", stderr);
    va_end(list);
    exit(1);
}

/* --- what goes out --- */

static void buffer_begin(struct host *host, uint8_t kind)
{
    if (kind == NJE_BCB_RESET)
        host->bcb_out = 0;
    buf_clear(&host->payload);
    nje_buffer_head(&host->payload, (uint8_t)(kind | host->bcb_out));
    if (kind == NJE_BCB_NORMAL)
        host->bcb_out = (uint8_t)((host->bcb_out + 1) % 16);
}

static void buffer_end(struct host *host)
{
    nje_buffer_end(&host->payload);
    nje_block_put(&host->out, buf_span(&host->payload));
}

static void say(struct host *host, uint8_t rcb, uint8_t srcb)
{
    buffer_begin(host, NJE_BCB_NORMAL);
    nje_buffer_record(&host->payload, rcb, srcb, SPAN_EMPTY);
    buffer_end(host);
}

static void write_out(struct host *host)
{
    while (host->out.size > 0) {
        ssize_t wrote = send(host->fd, host->out.at, host->out.size, MSG_NOSIGNAL);
        if (wrote == -1 && errno != EINTR)
            give_up("the connection broke: %s", strerror(errno));
        if (wrote > 0)
            buf_drop_front(&host->out, (size_t)wrote);
    }
    if (host->out.failed || host->payload.failed)
        give_up("out of memory");
}

/* --- a copy of the file --- */

static void make_file(struct host *host)
{
    struct buf *file = &host->file;
    size_t count = host->cards.size / CARD_SIZE;
    int64_t now_us = clock_now();
    host->job_id = host->job_id % JOB_ID_MAX + 1;
    host->entry_us = now_us > host->entry_us ? now_us : host->entry_us + 1;
    tally_stamp(host->due_us, true, host->cards.at + host->stamp_at);
    buf_clear(file);
    nje_job_encode(file, &(struct nje_job){ .job_id = host->job_id,
                                            .origin_node = host->us,
                                            .origin_user = host->from,
                                            .entry_time = nje_stck(host->entry_us),
                                            .records = (uint32_t)count });
    nje_dataset_encode(file, &(struct nje_dataset){ .node = host->connector,
                                                    .user = host->to,
                                                    .name = "LOAD",
                                                    .type = "NOTE",
                                                    .klass = 'A',
                                                    .number = 1,
                                                    .records = (uint32_t)count });
    struct reader cards = reader_of(buf_span(&host->cards));
    while (!reader_at_end(&cards))
        nje_data_encode(file, reader_take(&cards, CARD_SIZE), CARD_SIZE);
    nje_trailer_encode(file, &(struct nje_trailer){ .punch_records = (uint32_t)count });
}

/* Puts the records gathered so far into a block of their own. */
static void flush_records(struct host *host)
{
    if (host->records.size == 0)
        return;
    buffer_begin(host, NJE_BCB_NORMAL);
    buf_add_span(&host->payload, buf_span(&host->records));
    buffer_end(host);
    buf_clear(&host->records);
}

/* The whole file and its end; headers each alone in a buffer, as RSCS sends them. */
static void send_file(struct host *host)
{
    struct reader reader = reader_of(buf_span(&host->file));
    struct nje_spool_record record;
    struct err err = ERR_CLEAR;
    int next;
    size_t limit = host->buffer < BLOCK_SIZE - NJE_BLOCK_OVERHEAD ? host->buffer : BLOCK_SIZE - NJE_BLOCK_OVERHEAD;
    limit -= NJE_BUFFER_HEAD + 1;
    while ((next = nje_spool_next(&reader, &record, &err)) == 1) {
        bool header = record.srcb >= NJE_SRCB_NJH;
        size_t most = record.bytes.size + record.bytes.size / 63 + 4;
        if (header || host->records.size + most > limit)
            flush_records(host);
        nje_buffer_record(&host->records, STREAM_RCB, record.srcb, record.bytes);
        if (header)
            flush_records(host);
    }
    if (next == -1 || host->file.failed || host->records.failed)
        give_up("the file cannot be made: %s", err.text);
    flush_records(host);
    say(host, STREAM_RCB, EOF_SRCB);
    host->sending = SENDING_ENDED;
}

/* Asks for the permission of the next file, where one is due. */
static void send_next(struct host *host)
{
    if (host->sending != SENDING_WAITS)
        return;
    int64_t now_us = clock_steady();
    if (host->interval_us == 0)
        host->due_us = now_us;
    if (now_us < host->due_us)
        return;
    host->sending = SENDING_REQUESTED;
    say(host, NJE_RCB_REQUEST, STREAM_RCB);
    make_file(host); /* while the other side thinks */
}

static void acknowledged(struct host *host)
{
    if (host->sending != SENDING_ENDED)
        give_up("an acknowledgement of nothing");
    tally_add(&host->sent, host->due_us, clock_steady());
    host->due_us += host->interval_us;
    host->sending = SENDING_WAITS;
    if (--host->left > 0) {
        send_next(host);
        return;
    }
    host->sending = SENDING_NOTHING;
    tally_print(&host->sent);
    printf("}\n");
    fflush(stdout);
    tally_clear(&host->sent);
}

/* --- what comes in --- */

static void taken(struct host *host)
{
    int64_t stamp_us;
    int64_t now_us = clock_steady();
    say(host, NJE_RCB_COMPLETE, STREAM_RCB);
    if (!tally_find(buf_span(&host->content), true, &stamp_us, NULL))
        give_up("a file of %zu bytes without a stamp", host->content.size);
    buf_clear(&host->content);
    tally_add(&host->taken, stamp_us, now_us);
    if (host->taken.count < host->report_after)
        return;
    tally_print(&host->taken);
    printf("}\n");
    fflush(stdout);
    tally_clear(&host->taken);
}

static void signed_on(struct host *host, const struct nje_record *record)
{
    struct nje_signon signon;
    struct err err = ERR_CLEAR;
    if (record->rcb != NJE_RCB_GENERAL || record->srcb != NJE_RESPONSE ||
        nje_signon_decode(record->srcb, record->bytes, &signon, &err) == -1)
        give_up("the sign-on was refused: %s", err.text);
    host->buffer = signon.buffer < BUFFER_SIZE ? signon.buffer : BUFFER_SIZE;
    host->step = STEP_UP;
    nje_block_put(&host->out, nje_ack0);
    printf("up\n");
    fflush(stdout);
}

static void take_record(struct host *host, const struct nje_record *record)
{
    if (record->rcb == NJE_RCB_REQUEST) {
        if (record->srcb != STREAM_RCB)
            give_up("a request for stream X'%02X'", record->srcb);
        say(host, NJE_RCB_PERMISSION, STREAM_RCB);
    } else if (record->rcb == NJE_RCB_PERMISSION) {
        if (host->sending != SENDING_REQUESTED)
            give_up("a permission that was not asked for");
        send_file(host);
    } else if (record->rcb == NJE_RCB_COMPLETE) {
        acknowledged(host);
    } else if (record->rcb == STREAM_RCB && record->null) {
        taken(host);
    } else if (record->rcb == STREAM_RCB && !record->cancel) {
        bool data = record->srcb < NJE_SRCB_NJH;
        if (data) /* without its length */
            buf_add_span(&host->content, span_slice(record->bytes, 1, record->bytes.size));
    } else if (record->rcb != NJE_RCB_NMR) {
        give_up("a record of RCB X'%02X' SRCB X'%02X', which is not expected", record->rcb, record->srcb);
    }
}

static void take_payload(struct host *host, struct span bytes)
{
    struct nje_payload payload;
    struct nje_record record;
    struct err err = ERR_CLEAR;
    if (nje_payload_decode(bytes, &payload, &err) == -1)
        give_up("%s", err.text);
    if (payload.kind == NJE_PAYLOAD_ACK0 && host->step == STEP_AWAIT_ACK0) {
        struct nje_signon initial = {
            .node = host->us, .qualifier = 1, .buffer = BUFFER_SIZE, .features = NJE_FEATURE_COMPRESSION
        };
        buffer_begin(host, NJE_BCB_RESET);
        nje_signon_encode(&host->payload, &initial);
        nje_block_put(&host->out, buf_span(&host->payload));
        host->step = STEP_AWAIT_J;
    }
    if (payload.kind != NJE_PAYLOAD_BUFFER)
        return;
    if (nje_bcb_arrived(&host->bcb_in, payload.bcb) != NJE_BCB_TAKE)
        give_up("buffer number X'%02X' is not due", payload.bcb);
    struct nje_record_walk walk;
    nje_record_walk_init(&walk, payload.records);
    int next;
    while ((next = nje_record_next(&walk, &record, &err)) == 1) {
        if (host->step == STEP_UP)
            take_record(host, &record);
        else
            signed_on(host, &record);
    }
    if (next == -1)
        give_up("%s", err.text);
}

static void read_in(struct host *host)
{
    static uint8_t bytes[READ_SIZE];
    ssize_t got = recv(host->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        give_up("the connector closed the connection");
    buf_add(&host->in, bytes, (size_t)got);
    if (host->in.failed || host->content.failed)
        give_up("out of memory");
    struct err err = ERR_CLEAR;
    size_t used = 0, size;
    int found;
    while ((found = nje_block_find(span_slice(buf_span(&host->in), used, host->in.size), BLOCK_LIMIT, &size, &err)) ==
           1) {
        struct nje_block_walk walk = nje_block_walk(span_slice(buf_span(&host->in), used, used + size));
        struct nje_ttr ttr;
        while ((found = nje_block_next(&walk, &ttr, &err)) == 1)
            take_payload(host, ttr.data);
        if (found == -1)
            break;
        used += size;
    }
    if (found == -1)
        give_up("%s", err.text);
    buf_drop_front(&host->in, used);
}

/* --- the connection --- */

static void dial(struct host *host, int port)
{
    struct sockaddr_in place = { .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int one = 1;
    host->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (host->fd == -1 || connect(host->fd, (const struct sockaddr *)&place, sizeof place) == -1)
        give_up("no connection: %s", strerror(errno));
    setsockopt(host->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct nje_control open = {
        .type = NJE_OPEN, .rhost = host->us, .ohost = host->connector, .rip = { 127, 0, 0, 1 }, .oip = { 127, 0, 0, 1 }
    };
    uint8_t record[NJE_CONTROL_SIZE];
    nje_control_encode(&open, record);
    buf_add(&host->out, record, sizeof record);
    write_out(host);
    struct pollfd answer = { .fd = host->fd, .events = POLLIN };
    struct nje_control ack;
    struct err err = ERR_CLEAR;
    if (poll(&answer, 1, (int)(SIGNON_WAIT_US / 1000)) != 1 ||
        recv(host->fd, record, sizeof record, MSG_WAITALL) != (ssize_t)sizeof record ||
        nje_control_decode(span_of(record, sizeof record), &ack, &err) == -1 || ack.type != NJE_ACK)
        give_up("the connector does not take the connection: %s", err.text);
    nje_block_put(&host->out, nje_soh_enq);
}

/* A line of the standard input. False: it has ended. */
static bool command(struct host *host)
{
    char line[LINE_SIZE];
    long long count;
    double rate;
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    if (sscanf(line, "send %lld %lf", &count, &rate) != 2 || count < 1 || rate < 0 ||
        host->sending != SENDING_NOTHING || host->cards.size == 0)
        give_up("not a command that can be followed now: %s", line);
    host->left = count;
    host->interval_us = rate > 0 ? (int64_t)(1e6 / rate) : 0;
    host->due_us = clock_steady();
    host->sending = SENDING_WAITS;
    return true;
}

static int64_t patience_us(const struct host *host)
{
    if (host->step != STEP_UP || host->sending == SENDING_NOTHING)
        return host->step == STEP_UP ? IDLE_WAIT_US : SIGNON_WAIT_US;
    int64_t left_us = host->sending == SENDING_WAITS ? host->due_us - clock_steady() : IDLE_WAIT_US;
    return left_us > 0 ? left_us : 0;
}

static void run(struct host *host)
{
    for (;;) {
        /* commands only when signed on */
        struct pollfd places[2] = { { .fd = host->fd, .events = POLLIN },
                                    { .fd = host->step == STEP_UP ? STDIN_FILENO : -1, .events = POLLIN } };
        write_out(host);
        int64_t wait_us = patience_us(host);
        struct timespec wait = { .tv_sec = wait_us / CLOCK_SECOND, .tv_nsec = wait_us % CLOCK_SECOND * 1000 };
        int ready = ppoll(places, 2, &wait, NULL);
        if (ready == -1)
            give_up("poll: %s", strerror(errno));
        if (ready == 0 && host->step != STEP_UP)
            give_up("no sign-on within %lld s", (long long)(SIGNON_WAIT_US / CLOCK_SECOND));
        if (places[1].revents != 0 && !command(host))
            return;
        if (places[0].revents != 0)
            read_in(host);
        send_next(host);
    }
}

static void read_cards(struct host *host, const char *path)
{
    uint8_t bytes[READ_SIZE];
    ssize_t got;
    int64_t ignored;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        give_up("%s: %s", path, strerror(errno));
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        buf_add(&host->cards, bytes, (size_t)got);
    close(fd);
    if (got == -1 || host->cards.failed || host->cards.size % CARD_SIZE != 0 ||
        !tally_find(buf_span(&host->cards), true, &ignored, &host->stamp_at))
        give_up("%s is no deck of cards with a stamp", path);
}

static int usage(void)
{
    fprintf(stderr,
            "usage: njeload [-n files] [-u our-node] [-c connector] [-f user] [-r user] [-s cards] port\n"
            "A host that dials 127.0.0.1:port. -n: report after each so many files taken; -s: 80-byte cards of\n"
            "the file that is sent, with a stamp in EBCDIC; then \"send COUNT RATE\" on the standard input\n"
            "sends so many (files/s, 0: as fast as they go). Defaults: -n 1000 -u MAPLEC1 -c MICROSFT\n"
            "-f GEORGEB -r ALICE.\n");
    return 2;
}

static struct name8 name(const char *text)
{
    struct name8 parsed;
    struct err err = ERR_CLEAR;
    if (name8_parse(span_text(text), "a name", &parsed, &err) == -1)
        give_up("%s", err.text);
    return parsed;
}

int main(int argc, char **argv)
{
    struct host host = { .us = name("MAPLEC1"),
                         .connector = name("MICROSFT"),
                         .from = name("GEORGEB"),
                         .to = name("ALICE"),
                         .report_after = 1000 };
    int option;
    while ((option = getopt(argc, argv, "n:u:c:f:r:s:")) != -1) {
        switch (option) {
        case 'n':
            host.report_after = strtoul(optarg, NULL, 10);
            break;
        case 'u':
            host.us = name(optarg);
            break;
        case 'c':
            host.connector = name(optarg);
            break;
        case 'f':
            host.from = name(optarg);
            break;
        case 'r':
            host.to = name(optarg);
            break;
        case 's':
            read_cards(&host, optarg);
            break;
        default:
            return usage();
        }
    }
    int port = optind == argc - 1 ? atoi(argv[optind]) : 0;
    if (port < 1 || port > 65535 || host.report_after < 1)
        return usage();
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* poll sees what is not in a buffer */
    dial(&host, port);
    run(&host);
    close(host.fd); /* a socket: nothing that close could tell us is lost */
    struct buf *all[] = { &host.in, &host.out, &host.payload, &host.records, &host.content, &host.cards, &host.file };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_free(all[i]);
    tally_free(&host.taken);
    tally_free(&host.sent);
    return 0;
}
