/* smtpsink: an SMTP server that takes every letter and keeps none, as the next hop of relay benchmarks.
 *
 * It promises nothing, touches no disk and does no more for a letter than look for its closing dot, so that the relay
 * in front of it is what is measured. Where a letter has a stamp (tally.h) it is counted from then on, else from its
 * DATA. One epoll loop; knows PIPELINING, and only what relays send.
 *
 * Usage: smtpsink [N]. Prints "port P" once it listens, then one line of JSON (tally.h) after each N letters. Ends with
 * its standard input; without N the line comes then.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tally.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 65536, EVENTS_AT_ONCE = 64, BACKLOG = 1024 };

struct sink {
    int epoll, listener;
    size_t report_after; /* N; 0: only at the end */
    struct tally tally;
};

struct session {
    int fd;
    bool in_content;
    bool stamped;
    int64_t offered_us; /* the stamp, until it is found DATA */
    struct buf in;      /* what has arrived and holds no whole line yet */
    struct buf out;     /* replies */
};

static void session_free(struct session *session)
{
    close(session->fd); /* a socket: nothing that close could tell us is lost */
    buf_free(&session->in);
    buf_free(&session->out);
    mem_free(session);
}

static bool starts(struct span line, const char *verb)
{
    return span_equal_nocase(span_slice(line, 0, strlen(verb)), span_text(verb));
}

static void report(struct sink *sink)
{
    tally_print(&sink->tally);
    printf("}\n");
    fflush(stdout);
    tally_clear(&sink->tally);
}

static void content_line(struct sink *sink, struct session *session, struct span line)
{
    if (line.size != 1 || line.at[0] != '.') {
        session->stamped = session->stamped || tally_find(line, false, &session->offered_us, NULL);
        return;
    }
    session->in_content = false;
    tally_add(&sink->tally, session->offered_us, clock_steady());
    buf_add_text(&session->out, "250 2.0.0 taken\r\n");
    if (sink->tally.count == sink->report_after) {
        report(sink);
    }
}

/* False: the session is over. */
static bool command_line(struct session *session, struct span line)
{
    if (starts(line, "EHLO") || starts(line, "LHLO")) {
        buf_add_text(&session->out,
                     "250-sink.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000000\r\n");
    } else if (starts(line, "DATA")) {
        session->in_content = true;
        session->stamped = false;
        session->offered_us = clock_steady();
        buf_add_text(&session->out, "354 go on\r\n");
    } else if (starts(line, "QUIT")) {
        buf_add_text(&session->out, "221 2.0.0 bye\r\n");
        return false;
    } else {
        buf_add_text(&session->out, "250 2.0.0 ok\r\n");
    }
    return true;
}

/* False: the session is over. */
static bool session_lines(struct sink *sink, struct session *session)
{
    struct reader reader = reader_of(buf_span(&session->in));
    bool goes_on = true;
    while (goes_on && span_find(reader.rest, '\n') < reader.rest.size) {
        struct span line = span_trim_end(reader_until(&reader, '\n'), '\r');
        if (session->in_content) {
            content_line(sink, session, line);
        } else {
            goes_on = command_line(session, line);
        }
    }
    buf_drop_front(&session->in, session->in.size - reader.rest.size);
    /* Replies are few and short: a peer that does not read them is not worth waiting for. */
    if (session->out.size > 0 &&
        send(session->fd, session->out.at, session->out.size, MSG_NOSIGNAL) != (ssize_t)session->out.size) {
        goes_on = false;
    }
    buf_clear(&session->out);
    return goes_on;
}

static void session_ready(struct sink *sink, struct session *session)
{
    static uint8_t bytes[READ_SIZE];
    ssize_t got = recv(session->fd, bytes, sizeof bytes, 0);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0) {
        buf_add(&session->in, bytes, (size_t)got);
    }
    if (got <= 0 || session->in.failed || !session_lines(sink, session)) {
        session_free(session);
    }
}

static void watch(const struct sink *sink, int fd, void *what)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };
    if (epoll_ctl(sink->epoll, EPOLL_CTL_ADD, fd, &event) == -1) {
        perror("smtpsink: epoll_ctl");
        exit(1);
    }
}

static void accept_all(const struct sink *sink)
{
    static const char greeting[] = "220 sink.example.test ESMTP\r\n";
    const int one = 1;
    int fd;
    while ((fd = accept4(sink->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
        struct session *session = mem_need(mem_zero(sizeof *session), "a session");
        session->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(sink, fd, session);
        if (send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL) == -1) {
            session_free(session);
        }
    }
}

static int listen_somewhere(struct sink *sink)
{
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof place;
    sink->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sink->listener == -1 || bind(sink->listener, (struct sockaddr *)&place, size) == -1 ||
        listen(sink->listener, BACKLOG) == -1 || getsockname(sink->listener, (struct sockaddr *)&place, &size) == -1) {
        perror("smtpsink: listen");
        return -1;
    }
    printf("port %d\n", ntohs(place.sin_port));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    struct sink sink = { .listener = -1, .report_after = argc > 1 ? strtoul(argv[1], NULL, 10) : 0 };
    sink.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (sink.epoll == -1 || listen_somewhere(&sink) != 0) {
        return 1;
    }
    int input = STDIN_FILENO;
    watch(&sink, sink.listener, &sink.listener);
    watch(&sink, input, &input);
    for (;;) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int ready = epoll_wait(sink.epoll, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &sink.listener) {
                accept_all(&sink);
            } else if (events[i].data.ptr == &input) {
                char ignored[64];
                ssize_t got = read(input, ignored, sizeof ignored);
                if (got == 0 || (got == -1 && errno != EINTR)) {
                    if (sink.report_after == 0) {
                        report(&sink);
                    }
                    tally_free(&sink.tally);
                    return 0;
                }
            } else {
                session_ready(&sink, events[i].data.ptr);
            }
        }
    }
}
