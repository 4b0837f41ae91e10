/* smtpload: as much mail as a server takes, from many SMTP sessions at once.
 *
 * A load generator must not be what is measured, so this is one epoll loop without threads that builds the letter once
 * and changes only its number and its stamp (tally.h), by which a receiver beyond the server knows when it was offered.
 * A letter counts when the server answered 250 to its closing dot; that reply is the promise whose price the benchmarks
 * compare. With -R letters are offered at times fixed beforehand, whatever the server does, and counted from then on: a
 * server that stalls is not spared the letters that would have come meanwhile.
 *
 * What can go wrong: the server refuses (counted, with its first words on stderr), breaks off (counted), or stops
 * answering (the limit of -t ends the run). Such letters are not offered again. Exit status: 0 all letters accepted,
 * 1 some were not, 2 usage.
 *
 * Prints one line of JSON: letters accepted, refused and failed, seconds, rate (letters/s), latency from the first byte
 * of the letter's transaction (its connect, for the first of a connection; with -R its time) to its 250 in ms, our own
 * CPU seconds.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tally.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SESSIONS_MAX = 4096,
    REPLY_SIZE = 4096, /* of replies not yet complete */
    LINE_COLUMNS = 76, /* of the letter's text */
    EVENTS_AT_ONCE = 64
};

enum step { STEP_IDLE, STEP_GREETING, STEP_EHLO, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_DOT, STEP_PARKED, STEP_QUIT };

struct load {
    struct sockaddr_in server;
    const char *sender, *recipient;
    size_t letter_size;
    int64_t letters;        /* to offer in all */
    int64_t per_connection; /* 0: no limit */
    bool pipelined;
    int64_t interval_us; /* from one letter's time to the next; 0: as fast as they are taken */
    int64_t limit_us;

    int epoll;
    int64_t begun_us;
    struct session *parked; /* that wait for the time of their next letter */
    struct buf text;        /* the letter's text, the same for all */
    int64_t offered, accepted, refused, failed;
    struct tally tally; /* of the accepted ones */
    bool told;          /* the first refusal was shown */
    unsigned busy;      /* sessions that are not idle */
};

struct session {
    struct load *load;
    struct session *next_parked;
    int fd;
    enum step step;
    bool in_letter; /* offered, and neither accepted nor given up */
    int64_t begun_us;
    int64_t done_here; /* letters on this connection */
    bool watching_out;
    struct buf out;
    size_t in_size;
    char in[REPLY_SIZE];
};

static void session_connect(struct session *session);

static void session_close(struct session *session)
{
    struct load *load = session->load;
    if (session->step == STEP_PARKED) {
        fprintf(stderr, "smtpload: the server closed an idle session\n");
        exit(1);
    }
    if (session->in_letter) {
        load->failed++;
        session->in_letter = false;
    }
    if (session->fd >= 0) {
        close(session->fd); /* a socket: nothing that close could tell us is lost */
        session->fd = -1;
    }
    session->step = STEP_IDLE;
    load->busy--;
    if (load->offered < load->letters) {
        session_connect(session);
    }
}

static void session_watch(struct session *session, bool out)
{
    struct epoll_event event = { .events = EPOLLIN | (out ? EPOLLOUT : 0U), .data.ptr = session };
    if (session->watching_out != out) {
        session->watching_out = out;
        if (epoll_ctl(session->load->epoll, EPOLL_CTL_MOD, session->fd, &event) == -1) {
            perror("smtpload: epoll_ctl");
            exit(1);
        }
    }
}

/* Writes what the socket takes; false: the connection is gone (and closed). */
static bool session_flush(struct session *session)
{
    while (session->out.size > 0) {
        ssize_t wrote = send(session->fd, session->out.at, session->out.size, MSG_NOSIGNAL);
        if (wrote == -1 && errno == EINTR) {
            continue;
        }
        if (wrote == -1 && errno == EAGAIN) {
            session_watch(session, true);
            return true;
        }
        if (wrote == -1) {
            session_close(session);
            return false;
        }
        buf_drop_front(&session->out, (size_t)wrote);
    }
    session_watch(session, false);
    return true;
}

static void session_content(struct session *session)
{
    const struct load *load = session->load;
    struct buf *out = &session->out;
    uint8_t stamp[TALLY_STAMP_SIZE];
    tally_stamp(session->begun_us, false, stamp);
    /* The number is unique on this machine for as long as anybody would look for a duplicate. */
    buf_printf(out,
               "From: <%s>\r\nTo: <%s>\r\nSubject: letter %lld %.*s\r\nDate: Tue, 24 Nov 2026 14:03:11 +0000\r\n"
               "Message-ID: <%lld.%d.%lld@load.example.test>\r\n\r\n",
               load->sender, load->recipient, (long long)load->offered, TALLY_STAMP_SIZE, (const char *)stamp,
               (long long)session->begun_us, (int)getpid(), (long long)load->offered);
    buf_add_span(out, buf_span(&load->text));
    buf_add_text(out, ".\r\n");
}

static int64_t due_us(const struct load *load)
{
    return load->begun_us + load->offered * load->interval_us;
}

/* The next letter, waiting for its time, or QUIT. */
static void session_next(struct session *session)
{
    struct load *load = session->load;
    struct buf *out = &session->out;
    if (load->offered >= load->letters || (load->per_connection > 0 && session->done_here >= load->per_connection)) {
        buf_add_text(out, "QUIT\r\n");
        session->step = STEP_QUIT;
        return;
    }
    if (load->interval_us > 0 && clock_steady() < due_us(load)) {
        session->step = STEP_PARKED;
        session->next_parked = load->parked;
        load->parked = session;
        return;
    }
    if (load->interval_us > 0) {
        session->begun_us = due_us(load);
    } else if (session->done_here > 0) {
        session->begun_us = clock_steady();
    }
    load->offered++;
    session->in_letter = true;
    buf_printf(out, "MAIL FROM:<%s>\r\n", load->sender);
    if (load->pipelined) {
        buf_printf(out, "RCPT TO:<%s>\r\nDATA\r\n", load->recipient);
    }
    session->step = STEP_MAIL;
}

static void session_refused(struct session *session, const char *reply)
{
    struct load *load = session->load;
    if (!load->told) {
        load->told = true;
        fprintf(stderr, "smtpload: the server said: %s\n", reply);
    }
    if (!session->in_letter) {
        load->offered++; /* a session that is turned away costs a letter, so that the run ends */
    }
    session->in_letter = false;
    load->refused++;
    session_close(session);
}

/* One whole reply, its last line. False: the session was closed. */
static bool session_reply(struct session *session, const char *reply)
{
    struct load *load = session->load;
    static const int expected[] = { [STEP_GREETING] = 220, [STEP_EHLO] = 250, [STEP_MAIL] = 250, [STEP_RCPT] = 250,
                                    [STEP_DATA] = 354,     [STEP_DOT] = 250,  [STEP_QUIT] = 221 };
    if (strtol(reply, NULL, 10) != expected[session->step]) {
        session_refused(session, reply);
        return false;
    }
    switch (session->step) {
    case STEP_GREETING:
        buf_add_text(&session->out, "EHLO load.example.test\r\n");
        session->step = STEP_EHLO;
        break;
    case STEP_EHLO:
        session_next(session);
        break;
    case STEP_MAIL:
        if (!load->pipelined) {
            buf_printf(&session->out, "RCPT TO:<%s>\r\n", load->recipient);
        }
        session->step = STEP_RCPT;
        break;
    case STEP_RCPT:
        if (!load->pipelined) {
            buf_add_text(&session->out, "DATA\r\n");
        }
        session->step = STEP_DATA;
        break;
    case STEP_DATA:
        session_content(session);
        session->step = STEP_DOT;
        break;
    case STEP_DOT:
        load->accepted++;
        tally_add(&load->tally, session->begun_us, clock_steady());
        session->in_letter = false;
        session->done_here++;
        session_next(session);
        break;
    case STEP_PARKED: /* expected: nothing */
    case STEP_QUIT:
    case STEP_IDLE:
        session_close(session);
        return false;
    }
    return true;
}

/* Takes the complete lines out of what has arrived. */
static void session_lines(struct session *session)
{
    struct reader reader = reader_of(span_of(session->in, session->in_size));
    while (span_find(reader.rest, '\n') < reader.rest.size) {
        struct span line = span_trim_end(reader_until(&reader, '\n'), '\r');
        char text[128];
        span_to_text(line, text, sizeof text);
        if (line.size > 3 && line.at[3] == '-') {
            continue;
        }
        if (!session_reply(session, text)) {
            return;
        }
    }
    memmove(session->in, reader.rest.at, reader.rest.size);
    session->in_size = reader.rest.size;
    if (session->out.failed) {
        fprintf(stderr, "smtpload: out of memory\n");
        exit(1);
    }
    session_flush(session);
}

static void session_ready(struct session *session, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && !session_flush(session)) {
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) {
        return;
    }
    ssize_t got = recv(session->fd, &session->in[session->in_size], sizeof session->in - session->in_size, 0);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) { /* also where the reply line never ends: no room, nothing read */
        if (!session->in_letter && session->step != STEP_QUIT) {
            session->load->offered++; /* as in session_refused */
            session->in_letter = true;
        }
        session_close(session);
        return;
    }
    session->in_size += (size_t)got;
    session_lines(session);
}

static void session_connect(struct session *session)
{
    struct load *load = session->load;
    const int one = 1;
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (session->fd == -1) {
        perror("smtpload: socket");
        exit(1);
    }
    setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    session->begun_us = clock_steady();
    session->step = STEP_GREETING;
    session->done_here = 0;
    session->in_size = 0;
    session->watching_out = false;
    buf_clear(&session->out);
    load->busy++;
    if (connect(session->fd, (const struct sockaddr *)&load->server, sizeof load->server) == -1 &&
        errno != EINPROGRESS) {
        perror("smtpload: connect");
        exit(1);
    }
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = session };
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, session->fd, &event) == -1) {
        perror("smtpload: epoll_ctl");
        exit(1);
    }
}

static void report(struct load *load)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    tally_print(&load->tally);
    printf(", \"refused\": %lld, \"failed\": %lld, \"cpu_seconds\": %.3f}\n", (long long)load->refused,
           (long long)load->failed, cpu);
}

static void make_text(struct load *load)
{
    static const char words[] = "All work and no mail makes the connector a dull node. ";
    while (load->text.size < load->letter_size) {
        size_t at = load->text.size % (LINE_COLUMNS + 2);
        if (at == LINE_COLUMNS) {
            buf_add_text(&load->text, "\r\n");
        } else {
            buf_add_u8(&load->text, (uint8_t)words[load->text.size % (sizeof words - 1)]);
        }
    }
    buf_add_text(&load->text, "\r\n");
    mem_need(load->text.failed ? NULL : load->text.at, "the letter");
}

static int usage(void)
{
    fprintf(stderr, "usage: smtpload [-s sessions] [-n letters] [-k letters-per-connection] [-b bytes] [-p]\n"
                    "                [-f sender] [-r recipient] [-R letters/s] [-t seconds] port\n"
                    "Offers letters to 127.0.0.1:port. -k 0: any number on a connection; -p: MAIL, RCPT and DATA at\n"
                    "once (RFC 2920). -R: offered at this rate (with -k 0), otherwise as fast as they are taken.\n"
                    "Defaults: -s 1 -n 1000 -k 1 -b 4096 -t 120.\n");
    return 2;
}

/* A whole number of at least `least`, or -1. */
static int64_t number(const char *text, int64_t least)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && value >= least ? (int64_t)value : -1;
}

/* Lets the sessions go on whose letter is due; those for which there is none say QUIT. */
static void unpark(struct load *load)
{
    while (load->parked != NULL && (load->offered >= load->letters || clock_steady() >= due_us(load))) {
        struct session *session = load->parked;
        load->parked = session->next_parked;
        session->step = STEP_IDLE;
        session_next(session);
        session_flush(session);
    }
}

/* How long to wait for the sockets: to the next letter's time, or to the limit. */
static int64_t patience_us(const struct load *load)
{
    int64_t now_us = clock_steady();
    int64_t limit_us = load->begun_us + load->limit_us - now_us;
    int64_t letter_us = load->parked != NULL ? due_us(load) - now_us : limit_us;
    int64_t wait_us = letter_us < limit_us ? letter_us : limit_us;
    return limit_us <= 0 ? -1 : wait_us > 0 ? wait_us : 0;
}

static void run(struct load *load, struct session *sessions, int64_t session_count)
{
    load->begun_us = clock_steady();
    for (int64_t i = 0; i < session_count && i < load->letters; i++) {
        session_connect(&sessions[i]);
    }
    while (load->busy > 0) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int64_t wait_us = patience_us(load);
        if (wait_us < 0) {
            fprintf(stderr, "smtpload: gave up with %u sessions open\n", load->busy);
            load->failed = load->letters - load->accepted - load->refused;
            break;
        }
        /* epoll_wait counts in milliseconds, which is too coarse for -R */
        struct pollfd place = { .fd = load->epoll, .events = POLLIN };
        struct timespec wait = { .tv_sec = wait_us / CLOCK_SECOND, .tv_nsec = wait_us % CLOCK_SECOND * 1000 };
        int ready = ppoll(&place, 1, &wait, NULL) == 1 ? epoll_wait(load->epoll, events, EVENTS_AT_ONCE, 0) : 0;
        for (int i = 0; i < ready; i++) {
            session_ready(events[i].data.ptr, events[i].events);
        }
        unpark(load);
    }
    report(load);
}

int main(int argc, char **argv)
{
    struct load load = { .sender = "bench@example.net",
                         .recipient = "bench@vm.example.org",
                         .letter_size = 4096,
                         .letters = 1000,
                         .per_connection = 1 };
    int64_t session_count = 1, seconds = 120, size = 4096, rate = 0;
    int option;
    while ((option = getopt(argc, argv, "s:n:k:b:pf:r:R:t:")) != -1) {
        switch (option) {
        case 's':
            session_count = number(optarg, 1);
            break;
        case 'n':
            load.letters = number(optarg, 1);
            break;
        case 'k':
            load.per_connection = number(optarg, 0);
            break;
        case 'b':
            size = number(optarg, 1);
            break;
        case 'p':
            load.pipelined = true;
            break;
        case 'f':
            load.sender = optarg;
            break;
        case 'r':
            load.recipient = optarg;
            break;
        case 'R':
            rate = number(optarg, 1);
            break;
        case 't':
            seconds = number(optarg, 1);
            break;
        default:
            return usage();
        }
    }
    int64_t port = optind == argc - 1 ? number(argv[optind], 1) : -1;
    if (port < 1 || port > 65535 || session_count < 1 || session_count > SESSIONS_MAX || load.letters < 1 ||
        load.per_connection < 0 || size < 1 || seconds < 1 || rate < 0 || (rate > 0 && load.per_connection > 0)) {
        return usage();
    }
    load.letter_size = (size_t)size;
    load.limit_us = seconds * CLOCK_SECOND;
    load.interval_us = rate > 0 ? CLOCK_SECOND / rate : 0;
    load.server = (struct sockaddr_in){ .sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct session *sessions = mem_need(mem_zero((size_t)session_count * sizeof *sessions), "sessions");
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll == -1) {
        perror("smtpload: epoll_create1");
        return 1;
    }
    make_text(&load);
    for (int64_t i = 0; i < session_count; i++) {
        sessions[i].load = &load;
        sessions[i].fd = -1;
    }
    run(&load, sessions, session_count);
    for (int64_t i = 0; i < session_count; i++) {
        buf_free(&sessions[i].out);
    }
    mem_free(sessions);
    tally_free(&load.tally);
    buf_free(&load.text);
    close(load.epoll);
    return load.accepted == load.letters ? 0 : 1;
}
