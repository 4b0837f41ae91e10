/* Coming together: dialling with a back-off that keeps out of step with the neighbour's, accepting, and what happens
 * when both meet. What can go wrong: both sides dial at once for ever (hence the spread back-off, and an incoming OPEN
 * wins over our own attempt, nje.md §1.5); a dead session keeps the living neighbour out (hence takeover after a
 * completed sign-on); a stranger throws the neighbour out (hence the allow-list, and the probe before a takeover from
 * another address).
 */
#include "nje/link_private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

static bool may_dial(const struct nje_link *link)
{
    return link->connect != NULL && !link->stopped && !link->draining && !link->freeing;
}

void nje_link_schedule_dial(struct nje_link *link, int64_t at_least_us)
{
    if (!may_dial(link) || link->up != NULL || link->trial != NULL || link->resolving != NULL)
        return;
    int64_t wait = loop_backoff(link->retry_us, link->failures, link->retry_max_us);
    if (wait < at_least_us)
        wait = loop_backoff(2 * at_least_us, 0, 2 * at_least_us);
    link->next_dial_us = clock_now() + wait;
    loop_timer_set(&link->dial_timer, wait);
}

static void dial_failed(struct nje_link *link, const struct err *err)
{
    bool same = strcmp(link->last_error, err->text) == 0;
    if (!same || link->failures == 0)
        log_warning(LOG_NJE, err_log_number(err->id), "link %s: cannot connect to %s: %s; trying again until it works",
                    link->node.text, link->connect, err->text);
    (void)snprintf(link->last_error, sizeof link->last_error, "%s", err->text);
    link->failures++;
    nje_link_schedule_dial(link, 0);
    nje_link_note_state(link);
}

static bool family_fits(const struct nje_link *link, const struct resolve_address *address)
{
    /* JES2 answers over IPv6 with another record (OPENNJE) */
    return link->kind != NJE_JES2 || address->address.ss_family == AF_INET;
}

static void dial_answer(struct nje_link *link, const struct resolve_answer *answer)
{
    struct err err = ERR_CLEAR;
    if (!link->allow_configured) {
        allow_free(&link->resolved);
        for (size_t i = 0; i < answer->count; i++)
            if (allow_add(&link->resolved, (const struct sockaddr *)&answer->addresses[i].address, &err) == -1)
                log_err(LOG_NJE, &err, "link %s", link->node.text);
    }
    const struct resolve_address *address = &answer->addresses[link->next_address++ % answer->count];
    if (!family_fits(link, address)) {
        (void)err_set(&err, ERR_CONFIG, "JES2 is reached over IPv4 only");
        dial_failed(link, &err);
        return;
    }
    link->trial = nje_session_dial(link, address, &err);
    if (link->trial == NULL)
        dial_failed(link, &err);
    nje_link_note_state(link);
}

static void resolved(void *arg, const struct resolve_answer *answer, const struct err *err)
{
    struct nje_link *link = arg;
    link->resolving = NULL;
    if (!may_dial(link) || link->up != NULL || link->trial != NULL)
        return;
    if (answer == NULL)
        dial_failed(link, err);
    else if (link->candidate == NULL)
        dial_answer(link, answer);
}

void nje_link_dial(void *arg)
{
    struct nje_link *link = arg;
    link->next_dial_us = 0;
    struct err err = ERR_CLEAR;
    if (link->listen != NULL && link->listener == NULL && !link->stopped && !link->freeing) {
        link->listener = nje_listen_join(link->loop, link, link->listen, &err);
        if (link->listener == NULL) {
            if (log_once_raise(&link->quiet))
                log_err(LOG_NJE, &err, "link %s", link->node.text);
            loop_timer_set(&link->dial_timer, link->retry_us);
        } else if (log_once_clear(&link->quiet)) {
            log_info(LOG_NJE, 23715, "link %s: listening on %s again", link->node.text,
                     nje_listen_text(link->listener));
        }
    }
    if (!may_dial(link) || link->up != NULL || link->trial != NULL || link->candidate != NULL ||
        link->resolving != NULL)
        return;
    struct resolve_answer answer;
    if (resolve_literal(&link->connect_name, &answer)) {
        dial_answer(link, &answer);
        return;
    }
    link->resolving = resolve_start(link->loop, &link->connect_name, link->kind == NJE_JES2 ? AF_INET : AF_UNSPEC,
                                    resolved, link, &err);
    if (link->resolving == NULL)
        dial_failed(link, &err);
}

bool nje_link_allows(const struct nje_link *link, const struct sockaddr *address)
{
    return allow_has(link->allow_configured ? &link->allow : &link->resolved, address);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    struct allow_list list = { .count = 0 };
    bool same = allow_add(&list, (const struct sockaddr *)a, NULL) == 0 && allow_has(&list, (const struct sockaddr *)b);
    allow_free(&list);
    return same;
}

/* True when another system has tried for the link again and again while its session lives. */
static bool rivalry(struct nje_link *link, const struct sockaddr_storage *from)
{
    if (link->rivals == 0 || clock_steady() - link->rivals_us > link->times.rivals_us) {
        link->rivals = 0;
        return false;
    }
    return link->rivals >= NJE_RIVALS_MAX && link->up != NULL && !same_host(from, &link->up->address);
}

uint8_t nje_link_opened(struct nje_link *link, int fd, struct bufferevent *tls, const struct sockaddr_storage *address,
                        const struct nje_control *open, struct err *err)
{
    if (link->stopped || link->draining) {
        (void)err_set(err, ERR_NOT_ACTIVE, "link %s is stopped", link->node.text);
        return NJE_NAK_TEMPORARY;
    }
    if (rivalry(link, address)) {
        (void)err_set(
            err, ERR_NOT_ALLOWED,
            "another system signs on as %s: %u times lately while %s has the link; it is not heard for a while",
            link->node.text, link->rivals, link->up->peer);
        return NJE_NAK_ACTIVE;
    }
    struct nje_session *candidate = nje_session_accept(link, fd, tls, address, open, err);
    if (candidate == NULL)
        return NJE_NAK_TEMPORARY;
    if (link->candidate != NULL) /* the neighbour opened again before its sign-on: the older one is dead over there */
        nje_session_end(link->candidate, NULL);
    if (link->trial != NULL && link->trial->step <= NJE_STEP_AWAIT_ACK) {
        log_info(LOG_NJE, 23716, "link %s: the neighbour is dialling too; its connection is taken and ours dropped",
                 link->node.text);
        nje_session_end(link->trial, NULL);
    }
    link->candidate = candidate;
    loop_timer_unset(&link->dial_timer);
    link->next_dial_us = 0;
    nje_link_note_state(link);
    return 0;
}

/* --- taking over --- */

#define PROBE_LOOK_US (50 * INT64_C(1000))

/* The neighbour itself, at the same address, knows best: its new sign-on counts. From elsewhere it may be an impostor,
 * or the neighbour after it moved: the session that has the link is probed, and only a dead one makes room. */
enum nje_admission nje_link_admission(struct nje_link *link, struct nje_session *session, struct err *why_r)
{
    if (link->up == NULL || same_host(&session->address, &link->up->address))
        return NJE_ADMIT_NOW;
    if (rivalry(link, &session->address)) { /* it had been opened before */
        (void)err_set(why_r, ERR_NOT_ALLOWED, "another system signs on as %s, again", link->node.text);
        return NJE_ADMIT_NEVER;
    }
    if (link->rivals == 0)
        link->rivals_us = clock_steady();
    if (++link->rivals == NJE_RIVALS_MAX)
        log_error(
            LOG_NJE, err_log_number(ERR_NOT_ALLOWED),
            "link %s: another system signs on as %s: %s now, while %s has the link; further ones are refused for a "
            "while",
            link->node.text, link->node.text, session->peer, link->up->peer);
    link->probe_began_us = clock_steady();
    nje_session_probe(link->up);
    if (link->up == NULL)
        return NJE_ADMIT_NOW;
    loop_timer_set(&link->probe_timer, PROBE_LOOK_US);
    return NJE_ADMIT_LATER;
}

static struct nje_session *probing(const struct nje_link *link)
{
    if (link->candidate != NULL && link->candidate->step == NJE_STEP_PROBING)
        return link->candidate;
    return link->trial != NULL && link->trial->step == NJE_STEP_PROBING ? link->trial : NULL;
}

void nje_link_probe_look(void *arg)
{
    struct nje_link *link = arg;
    struct nje_session *session = probing(link);
    struct err why = ERR_CLEAR;
    if (session == NULL)
        return;
    if (link->up == NULL) {
        nje_session_admit(session);
    } else if (nje_session_lives(link->up, link->probe_began_us)) {
        (void)err_set(
            &why, ERR_NOT_ALLOWED,
            "another system signs on as %s, while %s has the link and lives; it is refused. Only one system may "
            "have this node name, or allow must not name the other",
            link->node.text, link->up->peer);
        nje_session_refuse(session, &why);
    } else if (clock_steady() - link->probe_began_us >= link->times.probe_us) {
        (void)err_set(&why, ERR_LINK_DOWN, "no sign of life, and the neighbour signs on anew from %s", session->peer);
        nje_session_hold(session);
        nje_session_end(link->up, &why);
        if (session->step == NJE_STEP_PROBING)
            nje_session_admit(session);
        nje_session_release(session);
    } else {
        loop_timer_set(&link->probe_timer, PROBE_LOOK_US);
    }
}

static void take_over(struct nje_link *link, struct nje_session *session)
{
    struct err why = ERR_CLEAR;
    (void)err_set(&why, ERR_LINK_DOWN, "the neighbour signed on again from %s, which replaces this connection",
                  session->peer);
    nje_session_end(link->up, &why);
}

bool nje_link_signed_on(struct nje_link *link, struct nje_session *session)
{
    if (link->trial == session)
        link->trial = NULL;
    if (link->candidate == session)
        link->candidate = NULL;
    link->failures++; /* forgotten when the session proves stable */
    nje_session_hold(session);
    if (link->up != NULL)
        take_over(link, session);
    if (link->trial != NULL)
        nje_session_end(link->trial, NULL);
    if (link->candidate != NULL)
        nje_session_end(link->candidate, NULL);
    link->up = session;
    loop_timer_unset(&link->dial_timer);
    link->next_dial_us = 0;
    link->last_error[0] = '\0';
    bool alive = session->step != NJE_STEP_DEAD;
    nje_session_release(session);
    if (!alive)
        return false;
    log_info(LOG_NJE, 23700, "link %s: signed on with %s (%s), buffer size %u", link->node.text, session->peer,
             session->dialled ? "we dialled" : "it dialled", session->buffer);
    return true;
}
