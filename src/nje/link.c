/* The link as its owner sees it: made, drained, started again, asked for its state. The rest is in link_connect.c,
 * session.c, session_in.c, link_in.c and link_out.c (link_private.h). What can go wrong here is a configuration that
 * cannot work, said when the link is made, and an owner that takes the link away under outstanding answers, which drain
 * waits for.
 */
#include "base/fault.h"
#include "base/mem.h"
#include "nje/link_private.h"

#include <arpa/inet.h>
#include <stdio.h>

/* Defaults of the options. */
#define RETRY_US      (2 * CLOCK_SECOND)
#define RETRY_MAX_US  (5 * CLOCK_MINUTE)
#define IDLE_PROBE_US (120 * CLOCK_SECOND)
#define SIGNON_US     (60 * CLOCK_SECOND)
#define RECORD_US     (30 * CLOCK_SECOND)

/* The usual waits; that for an answer is the kind's. */
static const struct {
    const char *name;
    size_t offset;
    int64_t usual_us;
} waits[] = {
    { "nje.answer", offsetof(struct nje_link_times, answer_us), 0 },
    { "nje.pause", offsetof(struct nje_link_times, pause_us), 30 * CLOCK_SECOND },
    { "nje.cancel", offsetof(struct nje_link_times, cancel_us), 30 * CLOCK_SECOND },
    { "nje.refused", offsetof(struct nje_link_times, refused_us), 60 * CLOCK_SECOND },
    { "nje.starved", offsetof(struct nje_link_times, starved_us), CLOCK_SECOND },
    { "nje.stall", offsetof(struct nje_link_times, stall_us), 30 * CLOCK_MINUTE },
    { "nje.hold", offsetof(struct nje_link_times, hold_us), 10 * CLOCK_MINUTE },
    { "nje.write", offsetof(struct nje_link_times, write_us), 10 * CLOCK_MINUTE },
    { "nje.probe", offsetof(struct nje_link_times, probe_us), 5 * CLOCK_SECOND },
    { "nje.collision", offsetof(struct nje_link_times, collision_us), 3 * CLOCK_SECOND },
    { "nje.stable", offsetof(struct nje_link_times, stable_us), 60 * CLOCK_SECOND },
    { "nje.rivals", offsetof(struct nje_link_times, rivals_us), 10 * CLOCK_MINUTE },
};

const char *nje_link_state_name(enum nje_link_state state)
{
    static const char *const names[] = {
        [NJE_LINK_STOPPED] = "stopped",       [NJE_LINK_WAITING] = "waiting", [NJE_LINK_CONNECTING] = "connecting",
        [NJE_LINK_SIGNING_ON] = "signing on", [NJE_LINK_UP] = "up",           [NJE_LINK_DRAINING] = "draining",
    };
    return names[state];
}

static enum nje_link_state state_now(const struct nje_link *link)
{
    if (link->stopped)
        return NJE_LINK_STOPPED;
    if (link->draining)
        return NJE_LINK_DRAINING;
    if (link->up != NULL)
        return NJE_LINK_UP;
    if (link->candidate != NULL)
        return NJE_LINK_SIGNING_ON;
    if (link->trial != NULL)
        return link->trial->step <= NJE_STEP_TLS ? NJE_LINK_CONNECTING : NJE_LINK_SIGNING_ON;
    return link->resolving != NULL ? NJE_LINK_CONNECTING : NJE_LINK_WAITING;
}

void nje_link_note_state(struct nje_link *link)
{
    enum nje_link_state state = state_now(link);
    if (state != link->state)
        link->since_us = clock_now();
    link->state = state;
    bool up = link->up != NULL;
    if (up == link->was_up || link->freeing)
        return;
    link->was_up = up;
    link->spool.state(link->spool.owner, link);
}

int64_t nje_link_look_us(const struct nje_link *link)
{
    return link->idle_probe_us < link->times.stall_us ? link->idle_probe_us : link->times.stall_us;
}

/* --- draining --- */

static void sign_off(struct nje_session *session)
{
    nje_session_buffer_begin(session, NJE_BCB_NORMAL);
    nje_sign_off_encode(&session->payload);
    buf_clear(&session->block);
    nje_block_put(&session->block, buf_span(&session->payload));
    nje_session_last_words(session);
    log_info(LOG_NJE, 23701, "link %s: signed off from %s", session->link->node.text, session->peer);
    nje_session_end(session, NULL);
}

static void drain_check(struct nje_link *link)
{
    struct nje_session *session = link->up;
    if (!link->draining || link->drain_phase == NJE_DRAIN_DONE)
        return;
    if (session != NULL) {
        bool busy =
            nje_in_busy(link) || nje_out_busy(link) || session->control_count > 0 || nje_session_output(session) > 0;
        if (busy && link->drain_phase == NJE_DRAIN_FILES)
            return;
        sign_off(session);
    }
    if (nje_out_outstanding(link)) {
        if (link->drain_phase == NJE_DRAIN_FILES)
            loop_timer_set(&link->drain_timer, link->drain_wait_us);
        link->drain_phase = NJE_DRAIN_ANSWERS;
        return;
    }
    link->drain_phase = NJE_DRAIN_DONE;
    loop_timer_set(&link->drain_timer, 0); /* `closed` comes from the loop, never from within a call of the owner */
}

static void drain_late(void *arg)
{
    struct nje_link *link = arg;
    if (!link->draining)
        return;
    if (link->drain_phase == NJE_DRAIN_FILES) {
        link->drain_phase = NJE_DRAIN_ANSWERS;
        loop_timer_set(&link->drain_timer, link->drain_wait_us);
        drain_check(link);
        return;
    }
    link->draining = false;
    link->stopped = true;
    nje_link_note_state(link);
    if (link->drained != NULL)
        link->drained(link->drained_arg);
}

static void close_doors(struct nje_link *link)
{
    loop_timer_unset(&link->dial_timer);
    link->next_dial_us = 0;
    if (link->resolving != NULL)
        resolve_cancel(link->resolving);
    link->resolving = NULL;
    if (link->listener != NULL)
        nje_listen_leave(link->listener, link);
    link->listener = NULL;
    if (link->trial != NULL)
        nje_session_end(link->trial, NULL);
    if (link->candidate != NULL)
        nje_session_end(link->candidate, NULL);
}

void nje_link_drain(struct nje_link *link, int64_t wait_us, void (*closed)(void *arg), void *arg)
{
    link->draining = true;
    link->drain_phase = NJE_DRAIN_FILES;
    link->drain_wait_us = wait_us;
    link->drained = closed;
    link->drained_arg = arg;
    close_doors(link);
    loop_timer_set(&link->drain_timer, wait_us);
    nje_link_note_state(link);
    nje_link_pump(link);
}

/* --- sending what may go --- */

void nje_link_pump(struct nje_link *link)
{
    if (link->pumping) { /* called from within a call of the spool */
        link->pump_again = true;
        return;
    }
    link->pumping = true;
    do {
        struct nje_session *session = link->up;
        link->pump_again = false;
        if (session == NULL)
            break;
        nje_session_hold(session);
        nje_in_permit(session);
        if (session->step == NJE_STEP_UP)
            nje_in_confirm_cancels(session);
        nje_session_send_replies(session);
        nje_session_send_messages(session);
        nje_out_pump(link);
        nje_session_send_replies(session);
        nje_session_release(session);
    } while (link->pump_again);
    link->pumping = false;
    drain_check(link);
}

bool nje_link_send_message(struct nje_link *link, const struct nje_message *message)
{
    if (link->up == NULL || link->draining || link->message_count == NJE_MESSAGES_MAX)
        return false;
    link->messages[(link->message_first + link->message_count++) % NJE_MESSAGES_MAX] = *message;
    nje_link_pump(link);
    return true;
}

static void pause_late(void *arg)
{
    struct nje_link *link = arg;
    struct err why = ERR_CLEAR;
    if (link->up == NULL)
        return;
    (void)err_set(&why, ERR_DISK_FULL,
                  "there is no room in mid-file, for too long; the neighbour keeps its file and gets no "
                  "permission until there is");
    nje_session_end(link->up, &why);
}

/* --- making and ending --- */

static int take_name(const char *text, const char *what, struct name8 *name_r, struct err *err)
{
    *name_r = (struct name8){ .text = "" };
    if (text == NULL || text[0] == '\0')
        return 0;
    struct err hidden = ERR_CLEAR; /* it shows the text, and these are secrets */
    if (name8_parse(span_text(text), what, name_r, &hidden) == -1)
        return err_set(err, ERR_CONFIG, "the %s must be 1 to 8 of the characters A-Z 0-9 @ # $ _ -", what);
    return 0;
}

static int take_ipv4(const char *text, const char *what, bool *set_r, uint8_t four_r[4], struct err *err)
{
    *set_r = text != NULL;
    if (text != NULL && inet_pton(AF_INET, text, four_r) != 1)
        return err_set(err, ERR_CONFIG, "%s \"%s\" is no IPv4 address", what, text);
    return 0;
}

static int take_allow(struct nje_link *link, const struct nje_link_options *options, struct err *err)
{
    link->allow_configured = options->allow != NULL && options->allow[0] != '\0';
    if (link->allow_configured)
        return allow_parse(span_text(options->allow), &link->allow, err);
    if (options->listen != NULL && options->connect == NULL)
        return err_set(err, ERR_CONFIG, "it listens and nobody may connect: set allow to the neighbour's address");
    return 0;
}

static void take_times(struct nje_link *link, const struct nje_link_times *times)
{
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        int64_t given, wait = waits[i].usual_us != 0 ? waits[i].usual_us : link->preset->ack_timeout_us;
        memcpy(&given, (const uint8_t *)times + waits[i].offset, sizeof given);
        if (given == 0)
            given = FAULT_TIME(waits[i].name, wait);
        memcpy((uint8_t *)&link->times + waits[i].offset, &given, sizeof given);
    }
}

static int take_tls(struct nje_link *link, const struct nje_link_options *options, struct err *err)
{
    const struct tls_options files = { .ca = options->ca, .cert = options->cert, .key = options->key };
    link->tls = options->tls;
    if (link->tls == NJE_TLS_OFF)
        return 0;
    if (options->listen != NULL && (options->cert == NULL || options->key == NULL))
        return err_set(err, ERR_CONFIG, "tls where it listens needs cert and key");
    if (options->tls_name != NULL && (link->tls_name = mem_strdup(options->tls_name)) == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory");
    link->tls_context = tls_new(&files, err);
    return link->tls_context != NULL ? 0 : -1;
}

static int take_numbers(struct nje_link *link, const struct nje_link_options *options, struct err *err)
{
    const struct nje_preset *preset = link->preset;
    link->buffer = options->buffer != 0 ? options->buffer : preset->buffer;
    link->tcp_block = options->tcp_block != 0 ? options->tcp_block : NJE_BLOCK_DEFAULT;
    if (options->tcp_block == 0 && link->tcp_block < link->buffer + NJE_BLOCK_OVERHEAD)
        link->tcp_block = link->buffer + NJE_BLOCK_OVERHEAD;
    link->streams = options->streams != 0 ? options->streams : 1;
    link->retry_us = options->retry_us != 0 ? options->retry_us : RETRY_US;
    link->retry_max_us = options->retry_max_us != 0 ? options->retry_max_us : RETRY_MAX_US;
    link->idle_probe_us = options->idle_probe_us != 0 ? options->idle_probe_us : IDLE_PROBE_US;
    link->signon_us = options->signon_us != 0 ? options->signon_us : SIGNON_US;
    link->record_us = options->record_us != 0 ? options->record_us : RECORD_US;
    unsigned most = preset->buffer_max < NJE_BUFFER_TOP ? preset->buffer_max : NJE_BUFFER_TOP;
    if (link->buffer < NJE_BUFFER_MIN || link->buffer > most)
        return err_set(err, ERR_CONFIG, "buffer %u: for kind %s it is %d to %u", link->buffer, preset->name,
                       NJE_BUFFER_MIN, most);
    if (link->tcp_block < NJE_BUFFER_MIN + NJE_BLOCK_OVERHEAD || link->tcp_block > NJE_BLOCK_ACCEPT_MAX)
        return err_set(err, ERR_CONFIG, "tcp-block %u: it is %d to %d", link->tcp_block,
                       NJE_BUFFER_MIN + NJE_BLOCK_OVERHEAD, NJE_BLOCK_ACCEPT_MAX);
    if (link->streams > preset->streams_max)
        return err_set(err, ERR_CONFIG, "streams %u: for kind %s it is 1 to %u", link->streams, preset->name,
                       preset->streams_max);
    return 0;
}

static int take_options(struct nje_link *link, const struct nje_link_options *options, struct err *err)
{
    link->our_node = options->our_node;
    link->node = options->node;
    link->kind = options->kind;
    link->preset = &nje_presets[options->kind];
    if (name8_empty(options->our_node) || name8_empty(options->node))
        return err_set(err, ERR_CONFIG, "it needs our node name and the neighbour's");
    if (options->connect == NULL && options->listen == NULL)
        return err_set(err, ERR_CONFIG, "it needs connect, listen or both");
    if (options->connect != NULL && resolve_parse(options->connect, &link->connect_name, err) == -1)
        return -1;
    if (take_name(options->send_line_password, "line password to send", &link->send_line_password, err) == -1 ||
        take_name(options->expect_line_password, "line password to expect", &link->expect_line_password, err) == -1 ||
        take_name(options->send_node_password, "node password to send", &link->send_node_password, err) == -1 ||
        take_name(options->expect_node_password, "node password to expect", &link->expect_node_password, err) == -1 ||
        take_ipv4(options->rip, "rip", &link->rip_set, link->rip, err) == -1 ||
        take_ipv4(options->oip, "oip", &link->oip_set, link->oip, err) == -1 || take_allow(link, options, err) == -1 ||
        take_numbers(link, options, err) == -1 || take_tls(link, options, err) == -1)
        return -1;
    take_times(link, &options->times);
    struct resolve_answer answer;
    if (options->connect != NULL && !link->allow_configured && resolve_literal(&link->connect_name, &answer) &&
        allow_add(&link->resolved, (const struct sockaddr *)&answer.addresses[0].address, err) == -1)
        return -1;
    link->connect = options->connect != NULL ? mem_strdup(options->connect) : NULL;
    link->listen = options->listen != NULL ? mem_strdup(options->listen) : NULL;
    if ((options->connect != NULL && link->connect == NULL) || (options->listen != NULL && link->listen == NULL))
        return err_set(err, ERR_NO_MEMORY, "no memory");
    return 0;
}

static int link_open(struct nje_link *link, const struct nje_link_options *options, struct err *err)
{
    nje_in_init(link);
    if (nje_out_init(link) == -1 || loop_timer_init(&link->dial_timer, link->loop, nje_link_dial, link) == -1 ||
        loop_timer_init(&link->drain_timer, link->loop, drain_late, link) == -1 ||
        loop_timer_init(&link->probe_timer, link->loop, nje_link_probe_look, link) == -1 ||
        loop_timer_init(&link->pause_timer, link->loop, pause_late, link) == -1)
        return err_set(err, ERR_NO_MEMORY, "no memory");
    if (take_options(link, options, err) == -1)
        return -1;
    if (link->listen != NULL && (link->listener = nje_listen_join(link->loop, link, link->listen, err)) == NULL)
        return -1;
    return 0;
}

struct nje_link *nje_link_new(struct loop *loop, const struct nje_link_options *options, const struct nje_spool *spool,
                              struct err *err)
{
    struct nje_link *link = mem_zero(sizeof *link);
    if (link == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "no memory for link %s", options->node.text);
        return NULL;
    }
    link->loop = loop;
    link->spool = *spool;
    link->state = NJE_LINK_WAITING;
    link->since_us = clock_now();
    if (link_open(link, options, err) == -1) {
        if (err != NULL)
            (void)err_context(err, "link %s", options->node.text);
        nje_link_free(link);
        return NULL;
    }
    if (link->connect != NULL)
        loop_timer_set(&link->dial_timer, 0);
    return link;
}

void nje_link_start(struct nje_link *link)
{
    link->stopped = false;
    link->draining = false;
    loop_timer_unset(&link->drain_timer);
    link->failures = 0;
    nje_link_note_state(link);
    loop_timer_set(&link->dial_timer, 0); /* listens again as well */
}

void nje_link_free(struct nje_link *link)
{
    if (link == NULL)
        return;
    link->freeing = true;
    close_doors(link);
    if (link->up != NULL)
        nje_session_end(link->up, NULL);
    nje_in_free(link);
    nje_out_free(link);
    loop_timer_free(&link->dial_timer);
    loop_timer_free(&link->drain_timer);
    loop_timer_free(&link->pause_timer);
    loop_timer_free(&link->probe_timer);
    tls_free(link->tls_context);
    mem_free(link->tls_name);
    allow_free(&link->allow);
    allow_free(&link->resolved);
    mem_free(link->connect);
    mem_free(link->listen);
    mem_free(link);
}

/* --- asking --- */

void nje_link_figures(const struct nje_link *link, struct nje_link_figures *figures_r)
{
    const struct nje_session *session = link->up != NULL ? link->up : link->candidate;
    if (session == NULL)
        session = link->trial;
    *figures_r = (struct nje_link_figures){ .state = state_now(link),
                                            .buffer = link->up != NULL ? link->up->buffer : 0,
                                            .tls = link->up != NULL && link->up->tls,
                                            .since_us = link->since_us,
                                            .next_dial_us = link->next_dial_us,
                                            .files_in = link->files_in,
                                            .files_out = link->files_out,
                                            .bytes_in = link->bytes_in,
                                            .bytes_out = link->bytes_out,
                                            .messages_in = link->messages_in,
                                            .messages_out = link->messages_out };
    if (session != NULL)
        (void)snprintf(figures_r->peer, sizeof figures_r->peer, "%s", session->peer);
    if (link->listener != NULL)
        (void)snprintf(figures_r->listening, sizeof figures_r->listening, "%s", nje_listen_text(link->listener));
    (void)snprintf(figures_r->last_error, sizeof figures_r->last_error, "%s", link->last_error);
}

struct name8 nje_link_node(const struct nje_link *link)
{
    return link->node;
}
