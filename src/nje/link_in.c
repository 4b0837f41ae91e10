/* Streams to us. A file is acknowledged (C0) only when the spool says it is on disk; until then the neighbour keeps it,
 * whatever happens. A file that cannot be understood is taken whole all the same and marked, because refusing one (B0)
 * holds an RSCS or JES2 transmitter until an operator acts, and VM/370 waits for ever. Back-pressure is the permission
 * (A0) withheld; in mid-file, for a short while, the socket not read.
 */
#include "base/fault.h"
#include "base/mem.h"
#include "nje/header.h"
#include "nje/link_private.h"

#include <stdio.h>

FAILPOINT_DECLARE("nje.in.before-c0");

enum {
    SEGMENT_PREFIX = 4, /* LEN(2) FLAGS(1) SEQ(1) */
    SEGMENT_MORE = 0x80,
    SEGMENT_NUMBER = 0x7F,
    SEGMENT_FIRST = 0x08,  /* of a spanned data record: SRCB ss */
    SRCB_DATA_KIND = 0xC0, /* 80 for data, C0 for headers */
    EOF_SRCB = 0x80,
    SYSOUT_TO_SYSIN = 1 /* the RCB of a SYSIN stream is one below */
};

static struct nje_in *find_in(struct nje_link *link, uint8_t rcb)
{
    bool sysin;
    int stream = nje_stream_of(rcb, &sysin);
    return stream != 0 ? &link->in[stream - 1 + (sysin ? NJE_STREAMS : 0)] : NULL;
}

void nje_in_init(struct nje_link *link)
{
    for (int i = 0; i < NJE_IN_STREAMS; i++) {
        struct nje_in *in = &link->in[i];
        in->link = link;
        in->sysin = i >= NJE_STREAMS;
        in->stream = 1 + i % NJE_STREAMS;
        in->rcb = (uint8_t)(nje_sysout_rcb(in->stream) - (in->sysin ? SYSOUT_TO_SYSIN : 0));
        in->header.limit = NJE_HEADER_MAX;
    }
}

static void forget_file(struct nje_in *in)
{
    in->file = NULL;
    in->state = NJE_IN_IDLE;
    EVP_MD_CTX_free(in->sha);
    in->sha = NULL;
    buf_free(&in->piece);
    buf_free(&in->header);
}

static void abandon(struct nje_in *in)
{
    struct nje_incoming *file = in->file;
    forget_file(in);
    if (file != NULL)
        in->link->spool.abandon(in->link->spool.owner, file);
}

void nje_in_free(struct nje_link *link)
{
    for (int i = 0; i < NJE_IN_STREAMS; i++)
        abandon(&link->in[i]);
}

void nje_in_down(struct nje_link *link)
{
    for (int i = 0; i < NJE_IN_STREAMS; i++) {
        abandon(&link->in[i]);
        link->in[i].unconfirmed = false;
        link->in[i].confirm_cancel = false;
    }
}

static bool active(const struct nje_in *in)
{
    return in->state >= NJE_IN_PERMITTED;
}

bool nje_in_busy(const struct nje_link *link)
{
    for (int i = 0; i < NJE_IN_STREAMS; i++)
        if (active(&link->in[i]))
            return true;
    return false;
}

bool nje_in_stalled(const struct nje_link *link)
{
    int64_t now = clock_steady();
    for (int i = 0; i < NJE_IN_STREAMS; i++) {
        const struct nje_in *in = &link->in[i];
        if ((in->state == NJE_IN_PERMITTED || in->state == NJE_IN_RECEIVING) &&
            now - in->progress_us > link->times.stall_us)
            return true;
    }
    return false;
}

/* --- permission --- */

static void permit(struct nje_in *in)
{
    in->state = NJE_IN_PERMITTED;
    in->facts = (struct nje_incoming_facts){ .stream = in->stream }; /* not the last file's any more */
    in->progress_us = clock_steady();
}

/* SYSIN for SYSOUT of the same number, and the reverse. */
static struct nje_in *twin_of(struct nje_in *in)
{
    return &in->link->in[in->stream - 1 + (in->sysin ? 0 : NJE_STREAMS)];
}

static bool ignores_refusal(const struct nje_link *link)
{
    return link->kind == NJE_VM370 || link->kind == NJE_NJE38; /* B0 means nothing to them */
}

void nje_in_request(struct nje_session *session, uint8_t rcb, bool fast_open)
{
    struct nje_link *link = session->link;
    struct nje_in *in = find_in(link, rcb);
    if (in == NULL) {
        log_info(LOG_NJE, err_log_number(ERR_PROTOCOL), "link %s: a request for stream X'%02X', which there is not",
                 link->node.text, rcb);
        return;
    }
    if (in->state == NJE_IN_WITHHELD)
        return;
    if (active(in)) {
        if (ignores_refusal(link))
            return;
        nje_session_reply(session, NJE_RCB_NEGATIVE, rcb);
        return;
    }
    if (in->unconfirmed) {
        in->unconfirmed = false;
        link->spool.confirmed(link->spool.owner, link, in->stream);
    }
    in->state = NJE_IN_WITHHELD;
    if (!fast_open)
        return; /* the pump permits it where there is room */
    if (active(twin_of(in))) {
        /* its data cannot be put off, and the spool, which knows streams by number, would take one for the other */
        struct err err = ERR_CLEAR;
        (void)err_set(&err, ERR_PROTOCOL, "FAST OPEN on stream %d while a file of the other kind is on it", in->stream);
        nje_session_end(session, &err);
        return;
    }
    permit(in); /* its data follow without waiting, and no A0 may be sent */
}

void nje_in_permit(struct nje_session *session)
{
    struct nje_link *link = session->link;
    unsigned busy = 0;
    for (int i = 0; i < NJE_IN_STREAMS; i++)
        busy += active(&link->in[i]) ? 1U : 0U;
    /* each stream in its turn, beginning behind the one that had the last one */
    for (int i = 1; i <= NJE_IN_STREAMS && busy < link->streams && !link->draining; i++) {
        int at = (link->last_permitted + i) % NJE_IN_STREAMS;
        struct nje_in *in = &link->in[at];
        if (in->state != NJE_IN_WITHHELD || active(twin_of(in))) /* the spool knows streams by their number only */
            continue;
        if (!link->spool.has_room(link->spool.owner, link))
            return;
        link->last_permitted = at;
        busy++;
        permit(in);
        nje_session_reply(session, NJE_RCB_PERMISSION, in->rcb);
        if (session->step != NJE_STEP_UP)
            return;
    }
}

/* --- a file --- */

static int begin(struct nje_in *in, struct err *err)
{
    struct nje_link *link = in->link;
    in->facts = (struct nje_incoming_facts){ .link = link->node, .stream = in->stream, .sysin = in->sysin };
    in->job_seen = in->trailer_seen = false;
    in->header_srcb = 0;
    in->sha = EVP_MD_CTX_new();
    if (in->sha == NULL || EVP_DigestInit_ex(in->sha, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_NO_MEMORY, "no memory for the checksum of a file");
    in->file = link->spool.begin(link->spool.owner, link, in->stream);
    if (in->file == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory to receive a file");
    in->state = NJE_IN_RECEIVING;
    return 0;
}

static void bad_header(struct nje_in *in, const char *why)
{
    if (!in->facts.headers_bad)
        (void)snprintf(in->facts.why_bad, sizeof in->facts.why_bad, "%s", why);
    in->facts.headers_bad = true;
}

static void joined_header(struct nje_in *in)
{
    struct err err = ERR_CLEAR;
    struct nje_dataset dataset;
    struct nje_trailer trailer;
    int failed = 0;
    if (in->header_srcb == NJE_SRCB_NJH) {
        failed = nje_job_decode(buf_span(&in->header), &in->facts.job, &err);
    } else if (in->header_srcb == NJE_SRCB_DSH) {
        failed = nje_dataset_decode(buf_span(&in->header), &dataset, &err);
        if (failed == 0 && in->facts.datasets == 1)
            in->facts.first = dataset;
    } else {
        failed = nje_trailer_decode(buf_span(&in->header), &trailer, &err);
    }
    if (failed == -1)
        bad_header(in, err.text);
    in->header_srcb = 0;
}

/* One header segment: SRCB C0, E0 or D0. */
static void header_segment(struct nje_in *in, const struct nje_record *record)
{
    struct reader reader = reader_of(record->bytes);
    size_t length = reader_u16(&reader);
    reader_skip(&reader, 1);
    uint8_t sequence = reader_u8(&reader);
    bool first = (sequence & SEGMENT_NUMBER) == 0;
    if (first) {
        if (in->header_srcb != 0)
            bad_header(in, "a header is not complete");
        if (record->srcb == NJE_SRCB_NJH) {
            if (in->job_seen)
                bad_header(in, "a second job header");
            in->job_seen = true;
        } else if (!in->job_seen) {
            bad_header(in, "no job header first");
        }
        in->facts.datasets += record->srcb == NJE_SRCB_DSH;
        in->trailer_seen = in->trailer_seen || record->srcb == NJE_SRCB_NJT;
        buf_clear(&in->header);
        in->header_srcb = record->srcb;
    }
    if (reader.failed || length != record->bytes.size) {
        bad_header(in, "the stated length of a header segment is not its length");
        in->header_srcb = 0;
        return;
    }
    if (in->header_srcb != record->srcb) {
        bad_header(in, "a header segment without its first one");
        return;
    }
    buf_add_span(&in->header, reader.rest);
    if (in->header.failed)
        bad_header(in, "a header is longer than any can be");
    else if ((sequence & SEGMENT_MORE) == 0)
        joined_header(in);
}

static void data_record(struct nje_in *in, uint8_t srcb)
{
    uint8_t segment = srcb & NJE_SRCB_SEGMENT;
    if ((srcb & SRCB_DATA_KIND) != NJE_SRCB_DATA)
        bad_header(in, "a record of an unknown kind (SRCB)");
    else if (in->facts.datasets == 0 && !in->sysin) /* a job's cards follow its header */
        bad_header(in, "data before a data set header");
    if (segment == 0 || segment == SEGMENT_FIRST)
        in->facts.records++;
}

static int flush(struct nje_session *session, struct nje_in *in, struct err *err)
{
    struct nje_link *link = in->link;
    if (in->piece.failed)
        return err_set(err, ERR_NO_MEMORY, "no memory to receive a file");
    if (in->piece.size == 0)
        return 0;
    if (EVP_DigestUpdate(in->sha, in->piece.at, in->piece.size) != 1)
        return err_set(err, ERR_BUG, "the checksum of a file cannot be made");
    in->facts.bytes += in->piece.size;
    if (!link->spool.put(link->spool.owner, in->file, buf_span(&in->piece)) && !session->paused) {
        session->paused = true;
        (void)bufferevent_disable(session->event, EV_READ);
        loop_timer_set(&link->pause_timer, link->times.pause_us);
    }
    buf_clear(&in->piece);
    return 0;
}

int nje_in_flush(struct nje_session *session, struct err *err)
{
    for (int i = 0; i < NJE_IN_STREAMS; i++) {
        struct nje_in *in = &session->link->in[i];
        if (in->state == NJE_IN_RECEIVING && flush(session, in, err) == -1)
            return -1;
    }
    return 0;
}

static int commit(struct nje_session *session, struct nje_in *in, struct err *err)
{
    struct nje_link *link = in->link;
    if (in->header_srcb != 0)
        bad_header(in, "a header is not complete");
    if (flush(session, in, err) == -1)
        return -1;
    unsigned size = 0;
    if (EVP_DigestFinal_ex(in->sha, in->facts.sha256, &size) != 1 || size != sizeof in->facts.sha256)
        return err_set(err, ERR_BUG, "the checksum of a file cannot be made");
    in->state = NJE_IN_COMMITTING;
    log_info(LOG_NJE, 23712, "link %s: received job %u %s from %s(%s), %u records, stream %d%s%s", link->node.text,
             in->facts.job.job_id, in->facts.job.job_name, in->facts.job.origin_node.text,
             in->facts.job.origin_user.text, in->facts.records, in->stream,
             in->facts.headers_bad ? "; its headers cannot be understood: " : "", in->facts.why_bad);
    link->spool.commit(link->spool.owner, in->file, &in->facts);
    return 0;
}

/* A record on a stream that has no file. */
static int stray(struct nje_in *in, const struct nje_record *record, struct err *err)
{
    if (record->null || record->cancel) {
        /* UnixNJE confirms our cancel on RCB 99 whatever the stream was */
        (void)nje_out_cancel_confirmed(in->link, in->stream);
        return 0;
    }
    return err_set(err, ERR_PROTOCOL, "data on stream %d%s, which was not started", in->stream,
                   in->sysin ? " (SYSIN)" : "");
}

static void given_up(struct nje_in *in, const char *how)
{
    log_info(LOG_NJE, 23714,
             "link %s: the neighbour gave up job %u from %s(%s) on stream %d (%s); it will send it again",
             in->link->node.text, in->facts.job.job_id, in->facts.job.origin_node.text, in->facts.job.origin_user.text,
             in->stream, how);
    abandon(in);
}

int nje_in_record(struct nje_session *session, const struct nje_record *record, struct err *err)
{
    struct nje_in *in = find_in(session->link, record->rcb);
    bool sysin;
    if (!active(in) || in->state == NJE_IN_COMMITTING)
        return stray(in, record, err);
    if (record->null && nje_stream_of(record->srcb, &sysin) != 0 &&
        nje_out_cancel_confirmed(session->link, nje_stream_of(record->srcb, &sysin)))
        return 0; /* the stream in the SRCB: UnixNJE's confirmation, not the end of this file */
    if (record->cancel) {
        given_up(in, "transmitter cancel");
        in->confirm_cancel = true;
        in->confirm_until_us = clock_steady() + in->link->times.cancel_us;
        return 0;
    }
    if (record->null && (in->state == NJE_IN_PERMITTED || !in->trailer_seen)) {
        given_up(in, "end of file without a trailer");
        return 0;
    }
    if (in->state == NJE_IN_PERMITTED && !record->null && begin(in, err) == -1)
        return -1;
    if (record->null)
        return commit(session, in, err);
    in->progress_us = clock_steady();
    nje_spool_put(&in->piece, record->srcb, record->bytes);
    if (record->srcb == NJE_SRCB_NJH || record->srcb == NJE_SRCB_DSH || record->srcb == NJE_SRCB_NJT)
        header_segment(in, record);
    else
        data_record(in, record->srcb);
    return in->piece.size >= NJE_PIECE_FLUSH ? flush(session, in, err) : 0;
}

/* The EOF that confirms a transmitter cancel goes on a stream that is ours as well: only while nothing of ours is on
 * it, or it would end our file without a trailer. */
void nje_in_confirm_cancels(struct nje_session *session)
{
    for (int i = 0; i < NJE_IN_STREAMS; i++) {
        struct nje_in *in = &session->link->in[i];
        if (!in->confirm_cancel)
            continue;
        bool late = clock_steady() > in->confirm_until_us;
        if (!late && !nje_out_idle(session->link, in->stream))
            continue;
        in->confirm_cancel = false;
        if (!late && session->step == NJE_STEP_UP)
            nje_session_reply(session, in->rcb, EOF_SRCB);
    }
}

void nje_link_committed(struct nje_link *link, int stream, const struct err *err)
{
    struct nje_in *in = NULL;
    for (int i = 0; i < NJE_IN_STREAMS; i++)
        if (link->in[i].stream == stream && link->in[i].state == NJE_IN_COMMITTING)
            in = &link->in[i];
    if (in == NULL || link->up == NULL)
        return; /* abandoned meanwhile */
    if (err != NULL) {
        struct err why = *err;
        (void)err_context(&why, "a file cannot be stored; the neighbour keeps it");
        nje_session_end(link->up, &why);
        return;
    }
    link->files_in++;
    link->bytes_in += in->facts.bytes;
    forget_file(in);
    in->unconfirmed = true;
    twin_of(in)->unconfirmed = false; /* the spool knows the last file of a number only; the twin's stays unconfirmed */
    FAILPOINT("nje.in.before-c0");
    nje_session_reply(link->up, NJE_RCB_COMPLETE, in->rcb);
    nje_link_pump(link);
}

void nje_link_room(struct nje_link *link)
{
    if (link->up == NULL)
        return;
    if (link->up->paused)
        nje_session_resume(link->up);
    else
        nje_link_pump(link);
}
