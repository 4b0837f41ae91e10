/* Streams from us. A file stays the spool's until the neighbour's C0 says it has it on disk; on every other end it goes
 * back. What can go wrong: the neighbour refuses (B0), cancels, or, as VM/370 does with a file it does not like, says
 * nothing at all: then the file is counted and held, and the link is opened anew.
 */
#include "base/fault.h"
#include "nje/link_private.h"

FAILPOINT_DECLARE("nje.out.c0-received");

enum {
    SPOOL_LENGTH = 2,   /* the length before a record; it counts SRCB and bytes */
    SRCB_HEADER = 0xC0, /* NJH and, below, DSH and NJT: each alone in its buffer */
    EOF_SRCB = 0x80,
    BUFFER_ENDS = 1, /* RCB 00 */
    STARVED_MAX = 10 /* seconds that a neighbour is kept waiting in mid-file */
};

static struct nje_out *find_out(struct nje_link *link, uint8_t rcb)
{
    bool sysin;
    int stream = nje_stream_of(rcb, &sysin);
    return stream != 0 && !sysin ? &link->out[stream - 1] : NULL;
}

static void out_timeout(void *arg);

int nje_out_init(struct nje_link *link)
{
    for (int i = 0; i < NJE_STREAMS; i++) {
        struct nje_out *out = &link->out[i];
        out->link = link;
        out->stream = i + 1;
        if (loop_timer_init(&out->timer, link->loop, out_timeout, out) == -1)
            return -1;
    }
    return 0;
}

bool nje_out_idle(const struct nje_link *link, int stream)
{
    enum nje_out_state state = link->out[stream - 1].state;
    return state != NJE_OUT_REQUESTED && state != NJE_OUT_SENDING && state != NJE_OUT_AWAITING_ACK &&
           state != NJE_OUT_CANCELLING;
}

bool nje_out_busy(const struct nje_link *link)
{
    for (int stream = 1; stream <= NJE_STREAMS; stream++)
        if (!nje_out_idle(link, stream))
            return true;
    return false;
}

bool nje_out_outstanding(const struct nje_link *link)
{
    for (int i = 0; i < NJE_STREAMS; i++) {
        const struct nje_out *out = &link->out[i];
        if (out->state == NJE_OUT_ASKING || out->recording > 0 || out->reading)
            return true;
    }
    return false;
}

/* --- the end of a file that was not acknowledged --- */

/* A stream that was told there is nothing may have been told so because of its limit. */
static void ask_again(struct nje_link *link)
{
    for (unsigned i = 0; i < link->streams; i++)
        link->out[i].dry = link->out[i].dry && link->streams == 1;
}

/* Not while a piece is outstanding: then with its answer. */
static void give_back(struct nje_out *out, bool counts, const struct err *why)
{
    struct nje_link *link = out->link;
    loop_timer_unset(&out->timer);
    out->state = NJE_OUT_IDLE;
    ask_again(link);
    buf_free(&out->pending);
    out->pending_at = 0;
    if (out->reading) {
        out->owed = true;
        out->owed_counts = counts;
        out->owed_why = *why;
        return;
    }
    link->spool.returned(link->spool.owner, link, out->stream, out->file.handle, counts, why);
}

static void rest(struct nje_out *out)
{
    out->resting = true;
    loop_timer_set(&out->timer, out->link->times.refused_us);
}

/* Ends what goes out on the stream: transmitter cancel, then EOF, C0, B0 or silence from the neighbour. */
static void cancel(struct nje_out *out, const struct err *why)
{
    struct nje_link *link = out->link;
    log_warning(LOG_NJE, err_log_number(why->id), "link %s: file %s on stream %d is not delivered: %s", link->node.text,
                out->file.name, out->stream, why->text);
    give_back(out, true, why);
    if (link->up == NULL)
        return;
    out->state = NJE_OUT_CANCELLING;
    loop_timer_set(&out->timer, link->times.cancel_us);
    nje_session_reply(link->up, nje_sysout_rcb(out->stream), NJE_SRCB_CANCEL);
}

/* No memory, or the ledger cannot be read just now: nothing of the file is lost, and the neighbour can wait for the
 * rest. A cancel would cost the stream refused_us, and as long again where the neighbour does not answer one. */
static void starve(struct nje_out *out, const struct err *why)
{
    if (err_family(why->id) != ERR_FAMILY_TEMPORARY || out->starved == STARVED_MAX) {
        cancel(out, why);
        return;
    }
    if (out->starved++ == 0)
        log_warning(LOG_NJE, err_log_number(why->id), "link %s: file %s on stream %d waits: %s", out->link->node.text,
                    out->file.name, out->stream, why->text);
    out->starving = true;
    loop_timer_set(&out->timer, out->link->times.starved_us);
}

static void cancel_over(struct nje_out *out)
{
    out->state = NJE_OUT_IDLE;
    rest(out);
}

bool nje_out_cancel_confirmed(struct nje_link *link, int stream)
{
    struct nje_out *out = &link->out[stream - 1];
    for (int i = 0; i < NJE_STREAMS && out->state != NJE_OUT_CANCELLING; i++)
        if (stream == 1) /* UnixNJE's RCB is always that of stream 1 */
            out = &link->out[i];
    if (out->state != NJE_OUT_CANCELLING)
        return false;
    cancel_over(out);
    return true;
}

void nje_out_down(struct nje_link *link, const struct err *why)
{
    for (int i = 0; i < NJE_STREAMS; i++) {
        struct nje_out *out = &link->out[i];
        if (out->state == NJE_OUT_ASKING)
            continue;
        bool held = out->state == NJE_OUT_READY || out->state == NJE_OUT_REQUESTED || out->state == NJE_OUT_SENDING ||
                    out->state == NJE_OUT_AWAITING_ACK;
        loop_timer_unset(&out->timer);
        out->resting = false;
        if (held)
            give_back(out, false, why);
        out->state = NJE_OUT_IDLE;
    }
}

void nje_out_free(struct nje_link *link)
{
    static const struct err why = { .id = ERR_SHUTTING_DOWN, .text = "the link is removed" };
    for (int i = 0; i < NJE_STREAMS; i++) {
        struct nje_out *out = &link->out[i];
        bool owed = out->owed;
        out->reading = out->owed = false;
        if (owed)
            link->spool.returned(link->spool.owner, link, out->stream, out->file.handle, out->owed_counts,
                                 &out->owed_why);
    }
    nje_out_down(link, &why);
    for (int i = 0; i < NJE_STREAMS; i++)
        loop_timer_free(&link->out[i].timer);
}

static void out_timeout(void *arg)
{
    struct nje_out *out = arg;
    struct nje_link *link = out->link;
    struct nje_session *session = link->up;
    struct err why = ERR_CLEAR;
    if (session == NULL)
        return;
    switch (out->state) {
    case NJE_OUT_REQUESTED:
        if (nje_in_busy(link)) { /* it is alive: let its file end */
            loop_timer_set(&out->timer, link->times.answer_us);
            return;
        }
        (void)err_set(&why, ERR_TIMEOUT, "the neighbour gives no permission (A0) for stream %d", out->stream);
        break;
    case NJE_OUT_SENDING:
        if (out->starving) {
            out->starving = false;
            loop_timer_set(&out->timer, link->times.answer_us);
            nje_link_pump(link);
            return;
        }
        (void)err_set(&why, ERR_TIMEOUT, "the neighbour holds stream %d, or file %s cannot be read on", out->stream,
                      out->file.name);
        break;
    case NJE_OUT_AWAITING_ACK:
        (void)err_set(
            &why, ERR_TIMEOUT,
            "no acknowledgement (C0) of file %s; VM/370 RSCS and NJE38 reject files that way, see messages 938 "
            "and 939 on their console",
            out->file.name);
        give_back(out, true, &why);
        break;
    case NJE_OUT_CANCELLING:
        cancel_over(out);
        return;
    default:
        out->resting = false;
        out->dry = false;
        nje_link_pump(link);
        return;
    }
    nje_session_end(session, &why);
}

/* --- sending --- */

/* 1: a whole record is there; 0: not yet; -1: its length cannot be. *size_r counts it whole. */
static int whole_record(struct span rest, size_t *size_r)
{
    struct reader reader = reader_of(rest);
    size_t length = reader_u16(&reader);
    *size_r = SPOOL_LENGTH + length;
    if (reader.failed)
        return 0;
    if (length < 1 || length > 1 + NJE_RECORD_SEND_MAX)
        return -1;
    return rest.size >= *size_r ? 1 : 0;
}

static bool is_header(uint8_t srcb)
{
    return srcb >= SRCB_HEADER;
}

/* Builds the next buffer in the session's scratch. 1: built; 0: more bytes are needed first, or there are none; -1: the
 * spool file is not one. */
static int build(struct nje_session *session, struct nje_out *out, size_t limit, size_t *taken_r, struct err *err)
{
    struct span all = span_slice(buf_span(&out->pending), out->pending_at, out->pending.size);
    struct buf record = { 0 };
    size_t taken = 0;
    int got;
    bool full = false;
    size_t size = 0;
    buf_clear(&session->payload);
    while (!full && (got = whole_record(span_slice(all, taken, all.size), &size)) == 1) {
        struct span bytes = span_slice(all, taken + SPOOL_LENGTH, size - SPOOL_LENGTH);
        uint8_t srcb = bytes.at[0];
        if (is_header(srcb) && taken > 0) {
            full = true;
            break;
        }
        buf_clear(&record);
        nje_buffer_record(&record, nje_sysout_rcb(out->stream), srcb, span_slice(bytes, 1, bytes.size));
        if (record.failed || NJE_BUFFER_HEAD + session->payload.size + record.size + BUFFER_ENDS > limit) {
            full = true;
            break;
        }
        buf_add_span(&session->payload, buf_span(&record));
        if (session->payload.failed) /* the record is not in it */
            break;
        taken += size;
        full = is_header(srcb);
    }
    int result = 1;
    if (record.failed || session->payload.failed)
        result = err_set(err, ERR_NO_MEMORY, "no memory to send");
    else if (!full && got == -1)
        result = err_set(err, ERR_BUG, "a record of %zu bytes in the spool file cannot be sent", size - SPOOL_LENGTH);
    else if (full && taken == 0)
        result = err_set(err, ERR_BUG, "a record of %zu bytes does not fit a buffer of %zu", size, limit);
    else if (!full && !out->ended)
        result = 0;
    else if (taken == 0)
        result = 0;
    buf_free(&record);
    *taken_r = taken;
    return result;
}

static int send_one(struct nje_session *session, struct nje_out *out, struct err *err)
{
    struct nje_link *link = out->link;
    size_t limit = session->buffer;
    if (limit > link->tcp_block - NJE_BLOCK_OVERHEAD)
        limit = link->tcp_block - NJE_BLOCK_OVERHEAD;
    size_t taken;
    int built = build(session, out, limit, &taken, err);
    if (built != 1)
        return built;
    struct buf records = session->payload; /* the head goes before what was built */
    session->payload = (struct buf){ 0 };
    nje_session_buffer_begin(session, NJE_BCB_NORMAL);
    buf_add_span(&session->payload, buf_span(&records));
    nje_buffer_end(&session->payload);
    buf_free(&records);
    nje_session_buffer_send(session);
    out->pending_at += taken;
    return 1;
}

static void send_end(struct nje_session *session, struct nje_out *out)
{
    nje_session_buffer_begin(session, NJE_BCB_NORMAL);
    nje_buffer_record(&session->payload, nje_sysout_rcb(out->stream), EOF_SRCB, SPAN_EMPTY);
    nje_buffer_end(&session->payload);
    out->state = NJE_OUT_AWAITING_ACK;
    session->eof_on_its_way = true;
    loop_timer_set(&out->timer, out->link->times.answer_us);
    nje_session_buffer_send(session);
}

/* One turn of a stream: a buffer, or what must be done for there to be one. True when a buffer went. */
static bool take_turn(struct nje_session *session, struct nje_out *out)
{
    struct nje_link *link = out->link;
    struct err err = ERR_CLEAR;
    if (out->state != NJE_OUT_SENDING || out->reading || out->starving || !nje_fcs_sysout(session->fcs, out->stream))
        return false;
    int sent = send_one(session, out, &err);
    if (sent == 1) {
        out->starved = 0;
        loop_timer_set(&out->timer, link->times.answer_us);
        return true;
    }
    if (sent == 0 && out->ended && out->pending_at < out->pending.size)
        sent = err_set(&err, ERR_BUG, "its spool file ends within a record");
    if (sent == -1) {
        starve(out, &err);
    } else if (out->ended) {
        send_end(session, out);
    } else {
        out->reading = true;
        link->spool.read(link->spool.owner, link, out->stream, out->file.handle, out->offset);
    }
    return false;
}

/* Buffer by buffer in turn, so that a small file is through soon beside a large one. */
static void take_turns(struct nje_session *session)
{
    struct nje_link *link = session->link;
    unsigned without = 0; /* streams in a row that had nothing */
    while (without < NJE_STREAMS && session->step == NJE_STEP_UP && nje_session_output(session) < NJE_OUTPUT_HIGH) {
        struct nje_out *out = &link->out[link->next_out];
        link->next_out = (link->next_out + 1) % NJE_STREAMS;
        without = take_turn(session, out) ? 0 : without + 1;
    }
}

static void start_one(struct nje_session *session, struct nje_out *out)
{
    struct nje_link *link = out->link;
    if (out->state == NJE_OUT_IDLE && !out->dry && !out->resting && !out->reading && !link->draining &&
        out->recording < NJE_RECORDING_MAX) {
        out->state = NJE_OUT_ASKING;
        out->kicked = false;
        link->spool.next(link->spool.owner, link, out->stream);
    }
    if (session->step != NJE_STEP_UP || out->state != NJE_OUT_READY)
        return;
    out->state = NJE_OUT_REQUESTED;
    loop_timer_set(&out->timer, link->times.answer_us);
    nje_session_reply(session, NJE_RCB_REQUEST, nje_sysout_rcb(out->stream));
}

void nje_out_pump(struct nje_link *link)
{
    for (unsigned i = 0; i < link->streams && link->up != NULL; i++)
        start_one(link->up, &link->out[i]);
    if (link->up != NULL)
        take_turns(link->up);
}

/* A stream that holds, or may be about to get, a file that is not small. */
static bool may_be_large(const struct nje_out *out)
{
    switch (out->state) {
    case NJE_OUT_IDLE:
    case NJE_OUT_CANCELLING:
        return false;
    case NJE_OUT_ASKING:
        return true;
    default:
        return out->file.bytes > NJE_SMALL_FILE;
    }
}

uint64_t nje_link_file_limit(const struct nje_link *link, int stream)
{
    bool free = link->streams == 1; /* where it is the only one there is nothing to keep */
    for (unsigned i = 0; i < link->streams; i++)
        if ((int)i != stream - 1 && !may_be_large(&link->out[i]))
            free = true;
    return free ? UINT64_MAX : NJE_SMALL_FILE;
}

void nje_out_up(struct nje_link *link)
{
    for (int i = 0; i < NJE_STREAMS; i++)
        link->out[i].dry = false;
    nje_link_pump(link);
}

/* --- what the neighbour says --- */

void nje_out_permitted(struct nje_session *session, uint8_t rcb)
{
    struct nje_out *out = find_out(session->link, rcb);
    if (out == NULL || out->state != NJE_OUT_REQUESTED)
        return;
    out->state = NJE_OUT_SENDING;
    out->offset = 0;
    out->ended = false;
    out->starving = false;
    out->starved = 0;
    out->pending_at = 0;
    buf_clear(&out->pending);
    loop_timer_set(&out->timer, session->link->times.answer_us);
}

void nje_out_refused(struct nje_session *session, uint8_t rcb)
{
    struct nje_link *link = session->link;
    struct nje_out *out = find_out(link, rcb);
    struct err why = ERR_CLEAR;
    if (out == NULL)
        return;
    switch (out->state) {
    case NJE_OUT_REQUESTED:
        (void)err_set(&why, ERR_PEER_TEMPORARY, "the neighbour does not permit it (B0)");
        log_warning(LOG_NJE, err_log_number(why.id), "link %s: file %s on stream %d: %s", link->node.text,
                    out->file.name, out->stream, why.text);
        give_back(out, true, &why);
        rest(out);
        break;
    case NJE_OUT_SENDING:
    case NJE_OUT_AWAITING_ACK:
        /* RSCS takes nothing more on the stream until it has its answer (DMT956E) */
        (void)err_set(&why, ERR_PEER_PERMANENT, "the neighbour cancelled it (B0)");
        cancel(out, &why);
        break;
    case NJE_OUT_CANCELLING:
        cancel_over(out);
        break;
    default:
        log_trace(LOG_NJE, 23721, "link %s: B0 for stream %d, on which nothing goes", link->node.text, out->stream);
        break;
    }
}

int nje_out_acknowledged(struct nje_session *session, uint8_t rcb, struct err *err)
{
    struct nje_link *link = session->link;
    struct nje_out *out = find_out(link, rcb);
    if (out == NULL)
        return 0;
    switch (out->state) {
    case NJE_OUT_AWAITING_ACK:
        break;
    case NJE_OUT_CANCELLING: /* never as the acceptance of a file */
        cancel_over(out);
        return 0;
    case NJE_OUT_REQUESTED:
    case NJE_OUT_SENDING:
        return err_set(err, ERR_PROTOCOL, "the neighbour acknowledges file %s before its end", out->file.name);
    default:
        log_trace(LOG_NJE, 23722, "link %s: C0 for stream %d, on which nothing went", link->node.text, out->stream);
        return 0;
    }
    FAILPOINT("nje.out.c0-received");
    loop_timer_unset(&out->timer);
    log_info(LOG_NJE, 23723, "link %s: sent file %s, job %u from %s(%s) to %s(%s)", link->node.text, out->file.name,
             out->file.job.job_id, out->file.job.origin_node.text, out->file.job.origin_user.text,
             out->file.dataset.node.text, out->file.dataset.user.text);
    link->files_out++;
    link->bytes_out += out->offset;
    buf_free(&out->pending);
    out->state = NJE_OUT_IDLE;
    if (out->file.bytes > NJE_SMALL_FILE)
        ask_again(link);
    out->recording++;
    link->spool.accepted(link->spool.owner, link, out->stream, out->file.handle);
    return 0;
}

/* --- what the spool answers --- */

static struct nje_out *stream_out(struct nje_link *link, int stream)
{
    return stream >= 1 && stream <= NJE_STREAMS ? &link->out[stream - 1] : NULL;
}

void nje_link_next(struct nje_link *link, int stream, const struct nje_outgoing *file)
{
    static const struct err down = { .id = ERR_LINK_DOWN, .text = "the link is down" };
    struct nje_out *out = stream_out(link, stream);
    if (out == NULL || out->state != NJE_OUT_ASKING)
        return;
    out->state = NJE_OUT_IDLE;
    if (file == NULL) {
        out->dry = !out->kicked;
    } else {
        out->file = *file;
        out->state = NJE_OUT_READY;
        if (link->up == NULL || link->draining)
            give_back(out, false, &down);
    }
    nje_link_pump(link);
}

void nje_link_piece(struct nje_link *link, int stream, struct span piece, const struct err *err)
{
    struct nje_out *out = stream_out(link, stream);
    if (out == NULL || !out->reading)
        return;
    out->reading = false;
    if (out->owed) {
        out->owed = false;
        link->spool.returned(link->spool.owner, link, stream, out->file.handle, out->owed_counts, &out->owed_why);
    } else if (out->state == NJE_OUT_SENDING && err != NULL) {
        starve(out, err);
    } else if (out->state == NJE_OUT_SENDING) {
        buf_drop_front(&out->pending, out->pending_at);
        out->pending_at = 0;
        buf_add_span(&out->pending, piece);
        if (out->pending.failed) { /* what it holds is whole; the piece is asked for again */
            struct err why = ERR_CLEAR;
            out->pending.failed = false;
            (void)err_set(&why, ERR_NO_MEMORY, "no memory to send");
            starve(out, &why);
        } else {
            out->offset += piece.size;
            out->ended = piece.size == 0;
        }
    }
    nje_link_pump(link);
}

void nje_link_removed(struct nje_link *link, int stream)
{
    struct nje_out *out = stream_out(link, stream);
    if (out == NULL || out->recording == 0)
        return;
    out->recording--;
    nje_link_pump(link);
}

void nje_link_kick(struct nje_link *link)
{
    for (int i = 0; i < NJE_STREAMS; i++) {
        link->out[i].dry = false;
        link->out[i].kicked = true;
    }
    nje_link_pump(link);
}
