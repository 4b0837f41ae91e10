/* Counts of the day. They may be a little behind: letters are counted in the commit that hands them on, so those that
 * are translated at the same moment all see the count before them. */
#include "store/hostuse.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@#$_-" /* name8.h */

enum { ADDRESS_SIZE = 512, NAME_SIZE = 9 };

int hostuse_load(struct db *db, int64_t day, const char *host, struct hostuse *use_r, struct err *err)
{
    struct db_rows rows;
    *use_r = (struct hostuse){ .letters = 0 };
    int found =
        db_query(db, &rows, err, "SELECT letters, registrations, answers FROM host_use WHERE day = ?1 AND host = ?2",
                 "it", day, host);
    if (found == 0 && (found = db_next(&rows, err)) == 1)
        *use_r = (struct hostuse){ .letters = db_int(&rows, 0),
                                   .registrations = db_int(&rows, 1),
                                   .answers = db_int(&rows, 2) };
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

int hostuse_add(struct db *db, int64_t day, const char *host, const struct hostuse *more, struct err *err)
{
    if (db_run(db, err,
               "INSERT INTO host_use (day, host, letters, registrations, answers) VALUES (?1, ?2, ?3, ?4, ?5)"
               " ON CONFLICT (day, host) DO UPDATE SET letters = host_use.letters + ?3,"
               " registrations = host_use.registrations + ?4, answers = host_use.answers + ?5",
               "itiii", day, host, more->letters, more->registrations, more->answers) == -1)
        return -1;
    return db_run(db, err, "DELETE FROM host_use WHERE day < ?1 - 1", "i", day) == -1 ? -1 : 0;
}

int hostuse_introduce(struct db *db, const char *host, int64_t person, int64_t now_us, struct err *err)
{
    return db_run(db, err,
                  "INSERT INTO introduced (host, person, at_us) VALUES (?1, ?2, ?3) ON CONFLICT (host, person) DO "
                  "NOTHING",
                  "tii", host, person, now_us) == -1
               ? -1
               : 0;
}

int hostuse_known(struct db *db, const char *host, size_t limit,
                  bool (*each)(void *arg, const char *node, const char *user, const char *address), void *arg,
                  struct err *err)
{
    struct db_rows rows;
    bool more = true;
    int found = db_query(db, &rows, err,
                         "SELECT h.node, h.user_id, p.address, max(k.at_us) AS newest FROM"
                         " (SELECT person, at_us FROM introduced WHERE host = ?1"
                         "  UNION ALL SELECT a.person, c.at_us FROM correlation c JOIN host_address a"
                         "  ON a.node = substr(c.proxy, 1, length(c.proxy) - length(ltrim(c.proxy, ?3)))"
                         "  AND a.user_id = rtrim(substr(ltrim(c.proxy, ?3), 2), ')') WHERE c.host = ?1) AS k"
                         " JOIN host_address h ON h.person = k.person AND h.main = 1"
                         " JOIN person p ON p.key = k.person"
                         " GROUP BY h.node, h.user_id, p.address ORDER BY newest DESC LIMIT ?2",
                         "tit", host, (int64_t)limit, NAME_CHARACTERS);
    while (found >= 0 && more && (found = db_next(&rows, err)) == 1) {
        char node[NAME_SIZE];
        char user[NAME_SIZE];
        char address[ADDRESS_SIZE];
        db_text(&rows, 0, node, sizeof node);
        db_text(&rows, 1, user, sizeof user);
        db_text(&rows, 2, address, sizeof address);
        more = each(arg, node, user, address);
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}
