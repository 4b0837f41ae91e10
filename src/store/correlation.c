/* Correlation rows. A lost or wrong row costs threading, never a letter: whoever looks here goes on without. */
#include "store/correlation.h"

#include "base/clock.h"

enum { CANDIDATES = 200 }; /* letters of one pair that are looked at, newest first */

int correlation_add(struct db *db, const struct correlation *correlation, struct err *err)
{
    return db_run(db, err,
                  "INSERT INTO correlation (letter, host, proxy, direction, message_id, refs, reply_to, subject, "
                  "stamp, at_us)"
                  " VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9)",
                  "tttbbbbbi", correlation->letter.text, correlation->host, correlation->proxy, correlation->message_id,
                  correlation->references, correlation->reply_to, correlation->subject, correlation->stamp,
                  correlation->at_us) == -1
               ? -1
               : 0;
}

/* Copies what the row holds into `texts` and points there. */
static void keep(const struct db_rows *rows, struct correlation *correlation_r, struct buf *texts)
{
    struct span parts[] = { db_bytes(rows, 1), db_bytes(rows, 2), db_bytes(rows, 3), db_bytes(rows, 4),
                            db_bytes(rows, 5) };
    buf_clear(texts);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        buf_add_span(texts, parts[i]);
    struct reader reader = reader_of(buf_span(texts));
    db_text(rows, 0, correlation_r->letter.text, sizeof correlation_r->letter.text);
    correlation_r->message_id = reader_take(&reader, parts[0].size);
    correlation_r->references = reader_take(&reader, parts[1].size);
    correlation_r->reply_to = reader_take(&reader, parts[2].size);
    correlation_r->subject = reader_take(&reader, parts[3].size);
    correlation_r->stamp = reader_take(&reader, parts[4].size);
    correlation_r->at_us = db_int(rows, 6);
}

int correlation_find(struct db *db, const char *host, const char *proxy, struct span stamp, struct span subject,
                     struct correlation *correlation_r, struct buf *texts, struct err *err)
{
    struct db_rows rows;
    int best = 0; /* 1: the subject fits, 2: the stamp, 3: both */
    *correlation_r = (struct correlation){ .host = host, .proxy = proxy };
    int found = db_query(db, &rows, err,
                         "SELECT letter, message_id, refs, reply_to, subject, stamp, at_us FROM correlation"
                         " WHERE host = ?1 AND proxy = ?2 ORDER BY at_us DESC LIMIT ?3",
                         "tti", host, proxy, (int64_t)CANDIDATES);
    while (found >= 0 && best < 3 && (found = db_next(&rows, err)) == 1) {
        int fit = (stamp.size > 0 && span_equal(db_bytes(&rows, 5), stamp) ? 2 : 0) +
                  (subject.size > 0 && span_equal(db_bytes(&rows, 4), subject) ? 1 : 0);
        if (fit <= best)
            continue;
        best = fit;
        keep(&rows, correlation_r, texts);
    }
    db_end(&rows);
    if (found == -1)
        return -1;
    return best > 0 && !texts->failed ? 1 : 0;
}

/* "Re: RE: Fwd: The  Numbers " -> "the numbers" */
void correlation_subject(struct span subject, struct buf *to)
{
    static const struct span prefixes[] = { SPAN_LITERAL("re:"), SPAN_LITERAL("fw:"), SPAN_LITERAL("fwd:"),
                                            SPAN_LITERAL("aw:"), SPAN_LITERAL("sv:"), SPAN_LITERAL("antw:") };
    bool cut = true;
    subject = span_trim(subject);
    while (cut) {
        cut = false;
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
            if (!span_equal_nocase(span_slice(subject, 0, prefixes[i].size), prefixes[i]))
                continue;
            subject = span_trim(span_slice(subject, prefixes[i].size, SIZE_MAX));
            cut = true;
        }
    }
    bool blank = false;
    for (size_t i = 0; i < subject.size; i++) {
        uint8_t byte = subject.at[i];
        bool is_blank = byte <= ' ';
        if (!(is_blank && blank))
            buf_add_u8(to, is_blank ? ' ' : byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte);
        blank = is_blank;
    }
}

void correlation_stamp(int64_t us, struct buf *to)
{
    if (us != 0)
        buf_printf(to, "%lld", (long long)(us / CLOCK_MINUTE));
}

int64_t correlation_purge(struct db *db, int64_t before_us, size_t limit, struct err *err)
{
    return db_run(db, err,
                  "DELETE FROM correlation WHERE key IN (SELECT key FROM correlation WHERE at_us < ?1 LIMIT ?2)", "ii",
                  before_us, (int64_t)limit);
}
