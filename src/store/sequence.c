/* Growing numbers. A crash after the commit of a reservation loses the block, never the order. */
#include "store/sequence.h"

int sequence_reserve(struct db *db, const char *name, int64_t start, int64_t count, int64_t *first_r, struct err *err)
{
    int64_t next = 0;
    int found = db_one_int(db, &next, err,
                           "INSERT INTO sequence (name, next) VALUES (?1, ?2 + ?3)"
                           " ON CONFLICT (name) DO UPDATE SET next = next + ?3 RETURNING next",
                           "tii", name, start, count);
    *first_r = next - count;
    return found == 1 ? 0 : -1;
}

int sequence_raise(struct db *db, const char *name, int64_t next, struct err *err)
{
    return db_run(db, err,
                  "INSERT INTO sequence (name, next) VALUES (?1, ?2)"
                  " ON CONFLICT (name) DO UPDATE SET next = excluded.next WHERE excluded.next > next",
                  "ti", name, next) == -1
               ? -1
               : 0;
}
