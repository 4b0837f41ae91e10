/* What a session's payloads say: the hand-shake and sign-on (nje.md §3, §5), then the records of each buffer (§4). A
 * neighbour whose count, names or passwords are wrong is told in its own terms (E0, B), and our operator in plain ones:
 * both sides' view, and what the other definition must say. Passwords are never shown. */
#include "nje/link_private.h"
#include "nje/nmr.h"

#include <stdio.h>

/* Puts the first bytes of what broke the connection behind the reason. */
static void end_with_bytes(struct nje_session *session, const struct err *err, struct span bytes)
{
    struct buf hex = { 0 };
    struct err whole = *err;
    struct span shown = span_slice(bytes, 0, NJE_HEX_MAX);
    for (size_t i = 0; i < shown.size; i++)
        buf_printf(&hex, "%02X", shown.at[i]);
    (void)err_set(&whole, err->id, "%s: X'%.*s'%s", err->text, (int)hex.size, hex.size > 0 ? (const char *)hex.at : "",
                  shown.size < bytes.size ? "…" : "");
    buf_free(&hex);
    nje_session_end(session, &whole);
}

static void end_protocol(struct nje_session *session, struct span bytes, const char *text)
{
    struct err err = ERR_CLEAR;
    (void)err_set(&err, ERR_PROTOCOL, "%s", text);
    end_with_bytes(session, &err, bytes);
}

/* --- sign-on --- */

static struct nje_signon our_signon(const struct nje_link *link)
{
    return (struct nje_signon){ .node = link->our_node,
                                .qualifier = 1,
                                .buffer = (uint16_t)link->buffer,
                                .line_password = link->send_line_password,
                                .node_password = link->send_node_password,
                                .features = NJE_FEATURE_COMPRESSION };
}

static void send_signon(struct nje_session *session, const struct nje_signon *signon)
{
    nje_session_buffer_begin(session, NJE_BCB_RESET);
    nje_signon_encode(&session->payload, signon);
    nje_session_buffer_send(session);
}

void nje_session_send_initial(struct nje_session *session)
{
    struct nje_signon initial = our_signon(session->link);
    session->step = NJE_STEP_AWAIT_J;
    send_signon(session, &initial);
}

/* B as the answer to a sign-on, as JES2 gives it. */
void nje_session_refuse(struct nje_session *session, const struct err *why)
{
    nje_session_buffer_begin(session, NJE_BCB_NORMAL);
    nje_sign_off_encode(&session->payload);
    buf_clear(&session->block);
    nje_block_put(&session->block, buf_span(&session->payload));
    nje_session_last_words(session);
    nje_session_end(session, why);
}

static bool password_fits(struct name8 expected, struct name8 got, bool bad)
{
    return name8_empty(expected) || (!bad && name8_equal(expected, got));
}

/* Names, passwords and size of an I or J. */
static int check_signon(const struct nje_link *link, const struct nje_signon *signon, struct err *err)
{
    const char *node = link->node.text;
    if (!name8_equal(signon->node, link->node))
        return err_set(err, ERR_PROTOCOL,
                       "it signs on as \"%s\" after it opened the connection as %s; its local node name must be %s",
                       signon->node.text, node, node);
    if ((signon->flag & NJE_SIGNON_FLAG_SECURE) != 0)
        return err_set(err, ERR_PROTOCOL,
                       "it asks for secure sign-on, which we do not have; in JES2 set NODE(…) SIGNON=COMPAT for %s",
                       link->our_node.text);
    if (!password_fits(link->expect_line_password, signon->line_password, signon->passwords_bad))
        return err_set(err, ERR_REFUSED,
                       "%s sent %s line password and we expect another one: its link %s must send (RSCS TLPASS) what "
                       "expect-line-password says here",
                       node, name8_empty(signon->line_password) ? "no" : "a", link->our_node.text);
    if (!password_fits(link->expect_node_password, signon->node_password, signon->passwords_bad))
        return err_set(err, ERR_REFUSED,
                       "%s sent %s node password and we expect another one: its link %s must send (RSCS TNPASS, JES2 "
                       "PASSWORD=(SEND=)) what expect-node-password says here",
                       node, name8_empty(signon->node_password) ? "no" : "a", link->our_node.text);
    if (signon->buffer < NJE_BUFFER_MIN)
        return err_set(err, ERR_PROTOCOL, "%s wants buffers of %u bytes; the least is %d (BUFF)", node, signon->buffer,
                       NJE_BUFFER_MIN);
    return 0;
}

static void came_up(struct nje_session *session, unsigned buffer)
{
    struct nje_link *link = session->link;
    session->buffer = buffer < link->buffer ? buffer : link->buffer;
    session->up_us = clock_steady();
    session->step = NJE_STEP_UP;
    loop_timer_set(&session->timer, nje_link_look_us(link));
    if (!nje_link_signed_on(link, session))
        return;
    nje_link_note_state(link);
    nje_out_up(link);
}

static void take_signon(struct nje_session *session, const struct nje_record *record, struct span bytes)
{
    struct nje_link *link = session->link;
    uint8_t due = session->step == NJE_STEP_AWAIT_I ? NJE_INITIAL : NJE_RESPONSE;
    struct nje_signon signon;
    struct err err = ERR_CLEAR;
    if (record->rcb != NJE_RCB_GENERAL) {
        end_protocol(session, bytes, "a record other than a sign-on record before sign-on");
        return;
    }
    if (record->srcb == NJE_SIGN_OFF) {
        (void)err_set(
            &err, ERR_REFUSED,
            "the neighbour refuses our sign-on (B). We signed on as %s with %s line and %s node password; its "
            "link %s must expect just that",
            link->our_node.text, name8_empty(link->send_line_password) ? "no" : "a",
            name8_empty(link->send_node_password) ? "no" : "a", link->our_node.text);
        nje_session_end(session, &err);
        return;
    }
    if (record->srcb != due) {
        (void)err_set(&err, ERR_PROTOCOL, "sign-on record %c where %c is due", nje_general_letter(record->srcb),
                      nje_general_letter(due));
        end_with_bytes(session, &err, bytes);
        return;
    }
    if (nje_signon_decode(record->srcb, record->bytes, &signon, &err) == -1) {
        end_with_bytes(session, &err, bytes);
        return;
    }
    if (check_signon(link, &signon, &err) == -1) {
        nje_session_refuse(session, &err);
        return;
    }
    session->signon = signon;
    switch (nje_link_admission(link, session, &err)) {
    case NJE_ADMIT_NOW:
        nje_session_admit(session);
        break;
    case NJE_ADMIT_NEVER:
        nje_session_refuse(session, &err);
        break;
    case NJE_ADMIT_LATER: /* says nothing more and hears nothing until then */
        session->step = NJE_STEP_PROBING;
        session->paused = true;
        (void)bufferevent_disable(session->event, EV_READ);
        break;
    }
}

void nje_session_admit(struct nje_session *session)
{
    struct nje_link *link = session->link;
    bool waited = session->step == NJE_STEP_PROBING;
    nje_session_hold(session);
    if (session->signon.response) {
        nje_session_send(session, nje_ack0);
    } else {
        struct nje_signon ours = our_signon(link);
        struct nje_signon response = nje_signon_answer(&session->signon, &ours);
        send_signon(session, &response);
    }
    if (session->step != NJE_STEP_DEAD)
        came_up(session, session->signon.buffer);
    if (waited && session->step != NJE_STEP_DEAD)
        nje_session_resume(session);
    nje_session_release(session);
}

static void primary(struct nje_session *session)
{
    session->step = NJE_STEP_AWAIT_ACK0;
    nje_session_send(session, nje_soh_enq);
}

/* A control sequence (not a buffer). In the hand-shake a NAK starts it again; when up, DLE ACK0 is legal noise. */
static void control_sequence(struct nje_session *session, enum nje_payload_kind kind, struct span bytes)
{
    enum nje_step step = session->step;
    if (step == NJE_STEP_UP) {
        if (kind == NJE_PAYLOAD_SOH_ENQ || kind == NJE_PAYLOAD_SYN_NAK)
            end_protocol(session, bytes, "the neighbour starts its sign-on again: it was restarted");
        return;
    }
    if (kind == NJE_PAYLOAD_NAK) {
        if (++session->naks > NJE_NAKS_MAX)
            end_protocol(session, bytes, "the neighbour answers every sign-on with NAK");
        else if (step == NJE_STEP_AWAIT_ACK0 || step == NJE_STEP_AWAIT_J)
            primary(session);
        else
            session->step = NJE_STEP_AWAIT_ENQ;
        return;
    }
    if (kind == NJE_PAYLOAD_SOH_ENQ && (step == NJE_STEP_AWAIT_ENQ || step == NJE_STEP_AWAIT_I)) {
        session->step = NJE_STEP_AWAIT_I;
        nje_session_send(session, nje_ack0);
    } else if (kind == NJE_PAYLOAD_SYN_NAK && step == NJE_STEP_AWAIT_ENQ) {
        primary(session); /* the opener wishes to be secondary */
    } else if (kind == NJE_PAYLOAD_ACK0 && step == NJE_STEP_AWAIT_ACK0) {
        nje_session_send_initial(session);
    } else if (kind != NJE_PAYLOAD_ACK0 || step != NJE_STEP_AWAIT_J) {
        end_protocol(session, bytes, "a control sequence that is not due in the hand-shake");
    }
}

/* --- records --- */

static void wrong_count(struct nje_session *session, uint8_t bcb, struct span bytes)
{
    struct err err = ERR_CLEAR;
    uint8_t expected = session->bcb_in.expected;
    buf_clear(&session->payload);
    nje_buffer_head(&session->payload, (uint8_t)(NJE_BCB_BYPASS | (bcb & 0x0F)));
    nje_buffer_record(&session->payload, NJE_RCB_BCB_ERROR, (uint8_t)(NJE_BCB_NORMAL | expected), SPAN_EMPTY);
    nje_buffer_end(&session->payload);
    buf_clear(&session->block);
    nje_block_put(&session->block, buf_span(&session->payload));
    nje_session_last_words(session);
    (void)err_set(&err, ERR_PROTOCOL, "buffer number (BCB) X'%02X' where X'%02X' is due", bcb,
                  NJE_BCB_NORMAL | expected);
    end_with_bytes(session, &err, bytes);
}

static void general(struct nje_session *session, const struct nje_record *record, struct span bytes)
{
    char letter = nje_general_letter(record->srcb);
    if (record->srcb == NJE_SIGN_OFF) {
        log_info(LOG_NJE, 23702, "link %s: the neighbour at %s signed off", session->link->node.text, session->peer);
        nje_session_end(session, NULL);
    } else if (record->srcb == NJE_INITIAL || record->srcb == NJE_RESPONSE) {
        end_protocol(session, bytes, "a sign-on record after sign-on");
    } else {
        /* path manager records, of JES2 only */
        log_trace(LOG_NJE, 23724, "link %s: general record %c (X'%02X') ignored", session->link->node.text, letter,
                  record->srcb);
    }
}

static void message(struct nje_session *session, struct span record)
{
    struct nje_link *link = session->link;
    struct nje_message decoded;
    struct err err = ERR_CLEAR;
    if (nje_message_decode(record, &decoded, &err) == -1) {
        log_info(LOG_NJE, err_log_number(err.id), "link %s: a message is dropped: %s", link->node.text, err.text);
        return;
    }
    link->messages_in++;
    link->spool.message(link->spool.owner, link, &decoded);
}

static void take_record(struct nje_session *session, const struct nje_record *record, bool fast_open, struct span bytes)
{
    struct err err = ERR_CLEAR;
    bool sysin;
    int failed = 0;
    switch (record->rcb) {
    case NJE_RCB_GENERAL:
        general(session, record, bytes);
        break;
    case NJE_RCB_REQUEST:
        nje_in_request(session, record->srcb, fast_open);
        break;
    case NJE_RCB_PERMISSION:
        nje_out_permitted(session, record->srcb);
        break;
    case NJE_RCB_NEGATIVE:
        nje_out_refused(session, record->srcb);
        break;
    case NJE_RCB_COMPLETE:
        failed = nje_out_acknowledged(session, record->srcb, &err);
        break;
    case NJE_RCB_READY:
        break;
    case NJE_RCB_BCB_ERROR:
        failed = err_set(&err, ERR_PROTOCOL, "the neighbour missed a buffer of ours: it expects number X'%02X'",
                         record->srcb);
        break;
    case NJE_RCB_NMR:
        message(session, record->bytes);
        break;
    default:
        failed = nje_stream_of(record->rcb, &sysin) != 0
                     ? nje_in_record(session, record, &err)
                     : err_set(&err, ERR_PROTOCOL, "a record of RCB X'%02X', which there is not", record->rcb);
        break;
    }
    if (failed == -1)
        end_with_bytes(session, &err, bytes);
}

static void take_buffer(struct nje_session *session, const struct nje_payload *payload, const struct nje_ttr *ttr)
{
    struct nje_record_walk walk;
    struct nje_record record;
    struct err err = ERR_CLEAR;
    switch (nje_bcb_arrived(&session->bcb_in, payload->bcb)) {
    case NJE_BCB_DUPLICATE:
        return;
    case NJE_BCB_WRONG:
        wrong_count(session, payload->bcb, ttr->data);
        return;
    case NJE_BCB_TAKE:
        break;
    }
    nje_session_fcs(session, payload->fcs);
    nje_record_walk_init(&walk, payload->records);
    int next = 0;
    while (session->step != NJE_STEP_DEAD && (next = nje_record_next(&walk, &record, &err)) == 1) {
        if (session->step == NJE_STEP_UP) {
            take_record(session, &record, (ttr->flags & NJE_TTR_FAST_OPEN) != 0, ttr->data);
        } else {
            take_signon(session, &record, ttr->data);
            return; /* the sole record of its buffer */
        }
    }
    if (session->step == NJE_STEP_DEAD)
        return;
    if (next == -1 || nje_in_flush(session, &err) == -1)
        end_with_bytes(session, &err, ttr->data);
}

void nje_session_payload(struct nje_session *session, const struct nje_ttr *ttr)
{
    struct nje_payload payload;
    struct err err = ERR_CLEAR;
    if (nje_payload_decode(ttr->data, &payload, &err) == -1)
        end_with_bytes(session, &err, ttr->data);
    else if (payload.kind != NJE_PAYLOAD_BUFFER)
        control_sequence(session, payload.kind, ttr->data);
    else if (session->step == NJE_STEP_UP || session->step == NJE_STEP_AWAIT_I || session->step == NJE_STEP_AWAIT_J)
        take_buffer(session, &payload, ttr);
    else
        end_protocol(session, ttr->data, "a buffer before the hand-shake is through");
}
