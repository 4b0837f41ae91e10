/* Message tracking. Rows are only added and, after `track-days`, deleted in small batches. */
#include "store/track.h"

static const char *const step_names[TRACK_STEPS] = {
    [TRACK_RECEIVED] = "received",      [TRACK_ADDRESSED] = "to",
    [TRACK_TRANSLATED] = "translated",  [TRACK_SENT] = "sent",
    [TRACK_DEFERRED] = "deferred",      [TRACK_RETURNED] = "returned",
    [TRACK_QUARANTINED] = "quarantine", [TRACK_DUPLICATE] = "duplicate",
    [TRACK_OPERATOR] = "operator",
};

const char *track_step_name(enum track_step step)
{
    return step > 0 && step < TRACK_STEPS ? step_names[step] : "unknown";
}

int track_add(struct db *db, const struct track *track, struct err *err)
{
    return db_run(db, err,
                  "INSERT INTO track (letter, item, at_us, step, address, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                  "ttiibb", track->letter.text, track->item.text, track->at_us, (int64_t)track->step, track->address,
                  track->detail) == -1
               ? -1
               : 0;
}

static void read_row(const struct db_rows *rows, struct track *track_r)
{
    db_text(rows, 0, track_r->letter.text, sizeof track_r->letter.text);
    db_text(rows, 1, track_r->item.text, sizeof track_r->item.text);
    track_r->at_us = db_int(rows, 2);
    track_r->step = (enum track_step)db_int(rows, 3);
    track_r->address = db_bytes(rows, 4);
    track_r->detail = db_bytes(rows, 5);
}

int track_letter(struct db *db, const char *id, bool (*take)(void *arg, const struct track *track), void *arg,
                 struct err *err)
{
    struct db_rows rows;
    /* an item's id leads to its letter: through the queue it is in, or the row in which it was made */
    int found = db_query(db, &rows, err,
                         "SELECT letter, item, at_us, step, address, detail FROM track WHERE letter = coalesce("
                         " (SELECT letter FROM item WHERE id = ?1), ?1) ORDER BY key",
                         "t", id);
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        struct track track;
        read_row(&rows, &track);
        if (!take(arg, &track))
            break;
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

int track_address(struct db *db, struct span address, size_t limit,
                  bool (*take)(void *arg, const char *letter, int64_t at_us), void *arg, struct err *err)
{
    struct db_rows rows;
    int found =
        db_query(db, &rows, err,
                 "SELECT letter, max(at_us) FROM track WHERE address = ?1 GROUP BY letter ORDER BY 2 DESC LIMIT ?2",
                 "bi", address, (int64_t)limit);
    while (found >= 0 && (found = db_next(&rows, err)) == 1) {
        char letter[ULID_LENGTH + 1];
        db_text(&rows, 0, letter, sizeof letter);
        if (!take(arg, letter, db_int(&rows, 1)))
            break;
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

int64_t track_purge(struct db *db, int64_t before_us, size_t limit, struct err *err)
{
    /* keys rise with time, so the oldest rows are the first ones */
    return db_run(db, err,
                  "DELETE FROM track WHERE key IN (SELECT key FROM track ORDER BY key LIMIT ?2) AND at_us < ?1", "ii",
                  before_us, (int64_t)limit);
}
