/* NJE files seen and sent. `unsure` rows are few: one a stream and link, in ordinary times. */
#include "store/njefiles.h"

#include "store/sequence.h"

#include <stdio.h>

enum { JOB_ID_MAX = 9999 };

int njefile_take(struct db *db, const struct njefile_seen *seen, struct ulid item, int64_t now_us,
                 struct ulid *copy_of_r, struct err *err)
{
    if (seen->can_repeat) {
        struct db_rows rows;
        int found =
            db_query(db, &rows, err,
                     "SELECT item FROM nje_seen WHERE link = ?1 AND job = ?2 AND unsure = 1 AND sha256 = ?3 LIMIT 1",
                     "ttb", seen->link, seen->job, seen->sha256);
        if (found == 0)
            found = db_next(&rows, err);
        if (found == 1)
            db_text(&rows, 0, copy_of_r->text, sizeof copy_of_r->text);
        db_end(&rows);
        if (found != 0)
            return found;
    }
    return db_run(db, err,
                  "INSERT INTO nje_seen (link, job, sha256, item, unsure, at_us) VALUES (?1, ?2, ?3, ?4, 1, ?5)",
                  "ttbti", seen->link, seen->job, seen->sha256, item.text, now_us) == -1
               ? -1
               : 0;
}

int njefile_confirm(struct db *db, struct ulid item, struct err *err)
{
    return db_run(db, err, "UPDATE nje_seen SET unsure = 0 WHERE item = ?1", "t", item.text) == -1 ? -1 : 0;
}

int njefile_sent(struct db *db, const struct njefile_sent *sent, int64_t now_us, struct err *err)
{
    return db_run(db, err,
                  "INSERT INTO nje_sent (node, job_id, link, item, letter, origin, destination, sender, at_us)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                  "titttttbi", sent->node, (int64_t)sent->job_id, sent->link, sent->item.text, sent->letter.text,
                  sent->origin, sent->destination, sent->sender, now_us) == -1
               ? -1
               : 0;
}

/* 1: *job_id_r is nobody's. 0: a file with that id still waits. */
static int try_job_id(struct db *db, const char *node, unsigned *job_id_r, struct err *err)
{
    char name[32];
    int64_t number = 0;
    int64_t held = 0;
    (void)snprintf(name, sizeof name, "job:%s", node);
    if (sequence_reserve(db, name, 0, 1, &number, err) == -1)
        return -1;
    *job_id_r = (unsigned)(number % JOB_ID_MAX) + 1;
    if (db_one_int(db, &held, err,
                   "SELECT count(*) FROM nje_sent s JOIN item i ON i.id = s.item"
                   " WHERE s.node = ?1 AND s.job_id = ?2 AND i.queue <> 0",
                   "ti", node, (int64_t)*job_id_r) == -1)
        return -1;
    return held == 0;
}

int njefile_job_ids(struct db *db, const char *node, size_t count, unsigned *job_ids_r, size_t *count_r,
                    struct err *err)
{
    *count_r = 0;
    for (int tries = 0; tries < JOB_ID_MAX && *count_r < count; tries++) { /* once round: none of them twice */
        int is_free = try_job_id(db, node, &job_ids_r[*count_r], err);
        if (is_free == -1)
            return -1;
        *count_r += is_free == 1 ? 1 : 0;
    }
    return *count_r > 0
               ? 0
               : err_set(err, ERR_BUSY, "all %d job ids of node %s belong to files that still wait", JOB_ID_MAX, node);
}

int64_t njefile_purge(struct db *db, int64_t before_us, size_t limit, struct err *err)
{
    int64_t seen =
        db_run(db, err, "DELETE FROM nje_seen WHERE key IN (SELECT key FROM nje_seen WHERE at_us < ?1 LIMIT ?2)", "ii",
               before_us, (int64_t)limit);
    if (seen == -1)
        return -1;
    int64_t sent =
        db_run(db, err, "DELETE FROM nje_sent WHERE key IN (SELECT key FROM nje_sent WHERE at_us < ?1 LIMIT ?2)", "ii",
               before_us, (int64_t)limit);
    return sent == -1 ? -1 : seen + sent;
}
