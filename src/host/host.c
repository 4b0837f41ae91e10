/* The trial node: an nje_spool over a folder and an outbox, and when to stop.
 *
 * It is honest: a received file is on disk and synced before the neighbour is told so, and a file counts as sent only
 * when the neighbour acknowledged it. What can go wrong is told on stderr, and in the exit status. The folder is
 * written in the loop's thread; with one link and a person watching that is no harm.
 */
#include "host/host.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/folder.h"
#include "host/options.h"
#include "host/outbox.h"
#include "host/show.h"

#include <signal.h>
#include <stdio.h>

enum {
    FILE_SIZE_MAX = 1 << 28, /* a received file in memory */
    FAILURES_MAX = 3,        /* refusals before a file is given up */
    PIECE_SIZE = 32768
};
#define DRAIN_US (10 * CLOCK_SECOND)
#define AGAIN_US CLOCK_SECOND /* for messages that found no room in the link's queue */

static const char loopback[] = "127.0.0.0/8 ::1";

struct host {
    struct host_options options;
    struct outbox outbox;
    struct loop *loop;
    struct nje_link *link;
    struct event *signals[2];
    struct loop_timer timeout, again;
    struct loop_post chores; /* what may not be done from within a call of the link */
    bool chores_posted;
    bool draining;
    unsigned files, messages; /* received */
    enum nje_link_state shown_state;
    char shown_listening[64];
    char shown_error[ERR_TEXT_SIZE];
};

struct nje_incoming {
    struct host *host;
    struct buf bytes;
};

static void post_chores(struct host *host)
{
    if (host->chores_posted)
        return;
    host->chores_posted = true;
    loop_post(host->loop, &host->chores);
}

static void print(const struct buf *text)
{
    if (text->failed)
        (void)fputs("(no memory to show the rest)\n", stderr);
    (void)fwrite(text->at, 1, text->size, stdout);
    (void)fflush(stdout); /* a reader at the other end of a pipe sees it now */
}

/* --- receiving --- */

static bool has_room(void *owner, struct nje_link *link)
{
    (void)link;
    struct host *host = owner;
    return !host->draining;
}

static struct nje_incoming *begin(void *owner, struct nje_link *link, int stream)
{
    (void)link;
    (void)stream;
    struct nje_incoming *file = mem_zero(sizeof *file);
    if (file != NULL) {
        file->host = owner;
        file->bytes.limit = FILE_SIZE_MAX;
    }
    return file;
}

static bool put(void *owner, struct nje_incoming *file, struct span piece)
{
    (void)owner;
    buf_add_span(&file->bytes, piece);
    return true; /* a failure is latched and answers the commit */
}

static void give_up(void *owner, struct nje_incoming *file)
{
    (void)owner;
    buf_free(&file->bytes);
    mem_free(file);
}

static void commit(void *owner, struct nje_incoming *file, const struct nje_incoming_facts *facts)
{
    struct host *host = owner;
    struct err err = ERR_CLEAR;
    char name[FOLDER_NAME_SIZE];
    int result = 0;
    if (file->bytes.failed)
        result = err_set(&err, ERR_NO_MEMORY, "a file of more than %d bytes, or no memory for it", FILE_SIZE_MAX);
    else
        result = folder_store(host->options.folder, buf_span(&file->bytes), name, &err);
    if (result == -1) {
        (void)fprintf(stderr, "ovvm host: a file was not taken: %s\n", err.text);
    } else {
        struct buf text = { 0 };
        show_facts(facts, name, &text);
        if (!host->options.quiet)
            show_contents(buf_span(&file->bytes), nje_presets[host->options.kind].len_counts_cc, &text);
        print(&text);
        buf_free(&text);
        host->files++;
    }
    int stream = facts->stream;
    give_up(owner, file);
    nje_link_committed(host->link, stream, result == -1 ? &err : NULL);
    post_chores(host);
}

static void confirmed(void *owner, struct nje_link *link, int stream)
{
    (void)owner;
    (void)link;
    log_trace(LOG_NJE, 23725, "stream %d: the neighbour has our acknowledgement", stream);
}

/* --- sending --- */

static void next(void *owner, struct nje_link *link, int stream)
{
    struct host *host = owner;
    struct outbox_item *item = outbox_find(&host->outbox, OUTBOX_QUEUED, false);
    if (item == NULL || host->draining) {
        nje_link_next(link, stream, NULL);
        return;
    }
    item->state = OUTBOX_SENDING;
    struct nje_outgoing file = { .handle = item, .job = item->job, .dataset = item->dataset, .bytes = item->file.size };
    (void)snprintf(file.name, sizeof file.name, "file %04u", item->job.job_id);
    nje_link_next(link, stream, &file);
}

static void read_piece(void *owner, struct nje_link *link, int stream, void *handle, uint64_t offset)
{
    (void)owner;
    const struct outbox_item *item = handle;
    nje_link_piece(link, stream, span_slice(buf_span(&item->file), (size_t)offset, PIECE_SIZE), NULL);
}

static void say_sent(const struct outbox_item *item, const char *what, const char *why)
{
    (void)printf("%s file %04u from %s(%s) to %s(%s), %s %s%s%s\n", what, item->job.job_id, item->job.origin_node.text,
                 item->job.origin_user.text, item->dataset.node.text, item->dataset.user.text, item->dataset.name,
                 item->dataset.type, why[0] != '\0' ? ": " : "", why);
    (void)fflush(stdout);
}

static void accepted(void *owner, struct nje_link *link, int stream, void *handle)
{
    struct host *host = owner;
    struct outbox_item *item = handle;
    item->state = OUTBOX_DONE;
    say_sent(item, "Sent", "");
    nje_link_removed(link, stream);
    post_chores(host);
}

static void returned(void *owner, struct nje_link *link, int stream, void *handle, bool counts, const struct err *why)
{
    (void)link;
    (void)stream;
    struct host *host = owner;
    struct outbox_item *item = handle;
    item->failures += counts;
    item->state = item->failures < FAILURES_MAX ? OUTBOX_QUEUED : OUTBOX_FAILED;
    say_sent(item, item->state == OUTBOX_FAILED ? "Gave up" : "Not yet sent:", why != NULL ? why->text : "");
    post_chores(host);
}

/* --- messages and state --- */

static void message(void *owner, struct nje_link *link, const struct nje_message *received)
{
    (void)link;
    struct host *host = owner;
    host->messages++;
    if (host->options.quiet)
        return;
    struct buf text = { 0 };
    show_message(received, &text);
    print(&text);
    buf_free(&text);
}

static void state(void *owner, struct nje_link *link)
{
    (void)link;
    post_chores(owner);
}

static void send_messages(struct host *host)
{
    struct outbox_item *item;
    while ((item = outbox_find(&host->outbox, OUTBOX_QUEUED, true)) != NULL) {
        struct nje_message made = { .to_node = item->send->to.node,
                                    .to_user = item->send->to.user,
                                    .from_node = item->send->from.node,
                                    .from_user = item->send->from.user };
        (void)snprintf(made.text, sizeof made.text, "%s", item->send->text);
        if (!nje_link_send_message(host->link, &made)) {
            loop_timer_set(&host->again, AGAIN_US); /* the link is down, or its queue full */
            return;
        }
        item->state = OUTBOX_DONE;
    }
}

static void show_state(struct host *host)
{
    struct nje_link_figures figures;
    nje_link_figures(host->link, &figures);
    if (figures.listening[0] != '\0' && strcmp(figures.listening, host->shown_listening) != 0) {
        (void)snprintf(host->shown_listening, sizeof host->shown_listening, "%s", figures.listening);
        (void)printf("Listening on %s\n", figures.listening);
        (void)fflush(stdout);
    }
    if (host->options.quiet)
        return;
    if (figures.state != host->shown_state) {
        host->shown_state = figures.state;
        (void)printf("Link %s: %s %s\n", host->options.peer.text, nje_link_state_name(figures.state), figures.peer);
    }
    if (strcmp(figures.last_error, host->shown_error) != 0) {
        (void)snprintf(host->shown_error, sizeof host->shown_error, "%s", figures.last_error);
        if (figures.last_error[0] != '\0')
            (void)printf("Link %s: %s\n", host->options.peer.text, figures.last_error);
    }
    (void)fflush(stdout);
}

static void closed(void *arg)
{
    struct host *host = arg;
    loop_stop(host->loop);
}

static void end(struct host *host)
{
    if (host->draining)
        return;
    host->draining = true;
    nje_link_drain(host->link, DRAIN_US, closed, host);
}

static void run_chores(void *arg)
{
    struct host *host = arg;
    host->chores_posted = false;
    show_state(host);
    send_messages(host);
    if (!host->draining && outbox_find(&host->outbox, OUTBOX_QUEUED, false) != NULL)
        nje_link_kick(host->link);
    bool wanted = host->options.once || host->options.expect > 0;
    if (wanted && outbox_settled(&host->outbox) && host->files >= host->options.expect)
        end(host);
}

static void on_again(void *arg)
{
    post_chores(arg);
}

static void on_timeout(void *arg)
{
    end(arg);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct host *host = arg;
    if (host->draining)
        loop_stop(host->loop); /* asked twice */
    else
        end(host);
}

/* --- from start to end --- */

static int start(struct host *host, struct err *err)
{
    static const int numbers[2] = { SIGINT, SIGTERM };
    host->loop = loop_new();
    if (host->loop == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory or descriptors for the event loop");
    for (size_t i = 0; i < 2; i++) {
        host->signals[i] = evsignal_new(loop_base(host->loop), numbers[i], on_signal, host);
        if (host->signals[i] == NULL || event_add(host->signals[i], NULL) == -1)
            return err_set(err, ERR_NO_MEMORY, "no memory for signals");
    }
    if (loop_timer_init(&host->timeout, host->loop, on_timeout, host) == -1 ||
        loop_timer_init(&host->again, host->loop, on_again, host) == -1)
        return err_set(err, ERR_NO_MEMORY, "no memory for a timer");
    host->chores = (struct loop_post){ .run = run_chores, .arg = host };
    const struct nje_spool spool = { .owner = host,
                                     .has_room = has_room,
                                     .begin = begin,
                                     .put = put,
                                     .commit = commit,
                                     .abandon = give_up,
                                     .confirmed = confirmed,
                                     .next = next,
                                     .read = read_piece,
                                     .accepted = accepted,
                                     .returned = returned,
                                     .message = message,
                                     .state = state };
    const struct host_options *options = &host->options;
    struct nje_link_options link = { .our_node = options->node,
                                     .node = options->peer,
                                     .kind = options->kind,
                                     .connect = options->connect,
                                     .listen = options->listen,
                                     .allow = options->allow };
    if (link.allow == NULL && link.connect == NULL)
        link.allow = loopback;
    host->link = nje_link_new(host->loop, &link, &spool, err);
    if (host->link == NULL)
        return -1;
    if (options->timeout_us > 0)
        loop_timer_set(&host->timeout, options->timeout_us);
    post_chores(host);
    return 0;
}

static void stop(struct host *host)
{
    if (host->link != NULL)
        nje_link_free(host->link);
    for (size_t i = 0; i < 2; i++)
        if (host->signals[i] != NULL)
            event_free(host->signals[i]);
    loop_timer_free(&host->again);
    loop_timer_free(&host->timeout);
    loop_free(host->loop);
}

static int status(const struct host *host)
{
    bool sent = outbox_settled(&host->outbox) && outbox_find(&host->outbox, OUTBOX_FAILED, false) == NULL;
    bool only_listened = host->outbox.count == 0 && host->options.expect == 0 && !host->options.once;
    bool received = host->files >= host->options.expect && (!only_listened || host->files + host->messages > 0);
    return sent && received ? HOST_DONE : HOST_LACKS;
}

int host_main(int argc, char **argv)
{
    struct host host = { .shown_state = NJE_LINK_STOPPED };
    struct err err = ERR_CLEAR;
    int result = HOST_USAGE;
    (void)signal(SIGPIPE, SIG_IGN); /* a neighbour that goes is an error of write */
    log_open("ovvm host", LOG_TO_STDERR);
    log_set_level(LOG_NJE, LOG_WARNING);
    if (host_options_parse(argc, argv, &host.options, &err) == -1) {
        (void)fprintf(stderr, "ovvm host: %s\n\n%s", err.text, host_usage);
    } else if (host.options.help) {
        (void)fputs(host_usage, stdout);
        result = HOST_DONE;
    } else if (folder_check(host.options.folder, &err) == -1 || outbox_fill(&host.options, &host.outbox, &err) == -1 ||
               start(&host, &err) == -1) {
        (void)fprintf(stderr, "ovvm host: %s\n", err.text);
    } else {
        loop_run(host.loop);
        result = status(&host);
    }
    stop(&host);
    outbox_free(&host.outbox);
    host_options_free(&host.options);
    return result;
}
