/* People and host addresses: the statements on `person`, `host_address` and `registered`. That nobody's address is ever
 * given to another rests on the primary key of host_address: an insert that meets a row changes nothing and says so.
 */
#include "store/person.h"

#define PERSON_COLUMNS "key, address, name, source, made_us, used_us"
#define HOST_COLUMNS   "node, user_id, person, kind, main, made_us, kind_us"

const char *person_source_name(enum person_source source)
{
    static const char *const names[] = {
        "", "sender", "people file", "operator", "no longer in the people file", "directory", "host user"
    };
    return (unsigned)source < sizeof names / sizeof names[0] ? names[source] : "";
}

const char *host_kind_name(enum host_kind kind)
{
    static const char *const names[] = { "", "rule", "number", "name", "operator", "reserved", "retired" };
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "";
}

enum host_kind host_kind_find(struct span name)
{
    int kind = HOST_RETIRED;
    while (kind > 0 && !span_equal(name, span_text(host_kind_name((enum host_kind)kind))))
        kind--;
    return (enum host_kind)kind;
}

/* --- rows --- */

static void read_person(const struct db_rows *rows, struct person *person_r)
{
    person_r->key = db_int(rows, 0);
    db_text(rows, 1, person_r->address, sizeof person_r->address);
    db_text(rows, 2, person_r->name, sizeof person_r->name);
    person_r->source = (enum person_source)db_int(rows, 3);
    person_r->made_us = db_int(rows, 4);
    person_r->used_us = db_int(rows, 5);
}

static void read_host(const struct db_rows *rows, struct person_host *host_r)
{
    db_text(rows, 0, host_r->node.text, sizeof host_r->node.text);
    db_text(rows, 1, host_r->user.text, sizeof host_r->user.text);
    host_r->person = db_int(rows, 2);
    host_r->kind = (enum host_kind)db_int(rows, 3);
    host_r->main = db_int(rows, 4) != 0;
    host_r->made_us = db_int(rows, 5);
    host_r->kind_us = db_int(rows, 6);
}

static int one_person(struct db_rows *rows, int found, struct person *person_r, struct err *err)
{
    *person_r = (struct person){ .key = 0 };
    if (found == 0 && (found = db_next(rows, err)) == 1)
        read_person(rows, person_r);
    db_end(rows);
    return found;
}

static int one_host(struct db_rows *rows, int found, struct person_host *host_r, struct err *err)
{
    *host_r = (struct person_host){ .person = 0 };
    if (found == 0 && (found = db_next(rows, err)) == 1)
        read_host(rows, host_r);
    db_end(rows);
    return found;
}

int person_find(struct db *db, const char *address, struct person *person_r, struct err *err)
{
    struct db_rows rows;
    int begun =
        db_query(db, &rows, err, "SELECT " PERSON_COLUMNS " FROM person WHERE address = ?1", "b", span_text(address));
    return one_person(&rows, begun, person_r, err);
}

int person_load(struct db *db, int64_t key, struct person *person_r, struct err *err)
{
    struct db_rows rows;
    int begun = db_query(db, &rows, err, "SELECT " PERSON_COLUMNS " FROM person WHERE key = ?1", "i", key);
    return one_person(&rows, begun, person_r, err);
}

int person_main(struct db *db, int64_t person, struct person_host *host_r, struct err *err)
{
    struct db_rows rows;
    int begun = db_query(db, &rows, err, "SELECT " HOST_COLUMNS " FROM host_address WHERE person = ?1 AND main = 1",
                         "i", person);
    return one_host(&rows, begun, host_r, err);
}

int person_has(struct db *db, int64_t person, unsigned kinds, struct person_host *host_r, struct err *err)
{
    struct db_rows rows;
    int begun = db_query(db, &rows, err,
                         "SELECT " HOST_COLUMNS " FROM host_address WHERE person = ?1 AND ((?2 >> kind) & 1) = 1"
                         " ORDER BY made_us, node, user_id LIMIT 1",
                         "ii", person, (int64_t)kinds);
    return one_host(&rows, begun, host_r, err);
}

int person_host_find(struct db *db, struct name8 node, struct name8 user, struct person_host *host_r, struct err *err)
{
    struct db_rows rows;
    int begun = db_query(db, &rows, err, "SELECT " HOST_COLUMNS " FROM host_address WHERE node = ?1 AND user_id = ?2",
                         "tt", node.text, user.text);
    return one_host(&rows, begun, host_r, err);
}

/* --- changes --- */

int person_add(struct db *db, const char *address, const char *name, enum person_source source, int64_t now_us,
               int64_t *key_r, struct err *err)
{
    int found = db_one_int(db, key_r, err,
                           "INSERT INTO person (" PERSON_COLUMNS ")"
                           " VALUES ((SELECT coalesce(max(key), 0) + 1 FROM person), ?1, ?2, ?3, ?4, ?4) RETURNING key",
                           "bbii", span_text(address), span_text(name), (int64_t)source, now_us);
    return found == 1 ? 0 : -1;
}

int person_set(struct db *db, int64_t key, const char *name, enum person_source source, struct err *err)
{
    return db_run(db, err, "UPDATE person SET name = ?2, source = ?3 WHERE key = ?1", "ibi", key, span_text(name),
                  (int64_t)source) == -1
               ? -1
               : 0;
}

int person_touch(struct db *db, int64_t key, int64_t now_us, struct err *err)
{
    return db_run(db, err, "UPDATE person SET used_us = ?2 WHERE key = ?1", "ii", key, now_us) == -1 ? -1 : 0;
}

int person_host_add(struct db *db, struct name8 node, struct name8 user, int64_t person, enum host_kind kind,
                    int64_t now_us, struct err *err)
{
    return (int)db_run(db, err,
                       "INSERT INTO host_address (" HOST_COLUMNS ") VALUES (?1, ?2, nullif(?3, 0), ?4, 0, ?5, ?5)"
                       " ON CONFLICT (node, user_id) DO NOTHING",
                       "ttiii", node.text, user.text, person, (int64_t)kind, now_us);
}

int person_host_set_kind(struct db *db, struct name8 node, struct name8 user, enum host_kind kind, int64_t now_us,
                         struct err *err)
{
    return db_run(db, err, "UPDATE host_address SET kind = ?3, kind_us = ?4 WHERE node = ?1 AND user_id = ?2", "ttii",
                  node.text, user.text, (int64_t)kind, now_us) == -1
               ? -1
               : 0;
}

int person_set_main(struct db *db, int64_t person, struct name8 node, struct name8 user, struct err *err)
{
    if (db_run(db, err,
               "UPDATE host_address SET main = 0 WHERE person = ?1 AND main = 1 AND NOT (node = ?2 AND user_id = ?3)",
               "itt", person, node.text, user.text) == -1)
        return -1;
    return db_run(db, err,
                  "UPDATE host_address SET main = 1 WHERE person = ?1 AND main = 0 AND node = ?2 AND user_id = ?3",
                  "itt", person, node.text, user.text) == -1
               ? -1
               : 0;
}

/* --- lists --- */

int person_list(struct db *db, enum person_source source, int64_t after, size_t limit,
                bool (*each)(void *arg, const struct person *person), void *arg, struct err *err)
{
    struct db_rows rows;
    struct person person;
    bool more = true;
    int found = db_query(db, &rows, err,
                         "SELECT " PERSON_COLUMNS " FROM person WHERE source = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
                         "iii", (int64_t)source, after, (int64_t)limit);
    while (found >= 0 && more && (found = db_next(&rows, err)) == 1) {
        read_person(&rows, &person);
        more = each(arg, &person);
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

int person_hosts(struct db *db, int64_t person, bool (*each)(void *arg, const struct person_host *host), void *arg,
                 struct err *err)
{
    struct db_rows rows;
    struct person_host host;
    bool more = true;
    int found = db_query(db, &rows, err,
                         "SELECT " HOST_COLUMNS " FROM host_address WHERE person = ?1"
                         " ORDER BY main DESC, made_us, node, user_id",
                         "i", person);
    while (found >= 0 && more && (found = db_next(&rows, err)) == 1) {
        read_host(&rows, &host);
        more = each(arg, &host);
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

int person_host_list(struct db *db, struct name8 node, struct name8 user, size_t limit,
                     bool (*each)(void *arg, const struct person_host *host, const char *address, const char *name),
                     void *arg, struct err *err)
{
    struct db_rows rows;
    bool more = true;
    int found = db_query(db, &rows, err,
                         "SELECT h.node, h.user_id, h.person, h.kind, h.main, h.made_us, h.kind_us,"
                         " p.address, p.name"
                         " FROM host_address h LEFT JOIN person p ON p.key = h.person"
                         " WHERE h.node > ?1 OR (h.node = ?1 AND h.user_id > ?2) ORDER BY h.node, h.user_id LIMIT ?3",
                         "tti", node.text, user.text, (int64_t)limit);
    while (found >= 0 && more && (found = db_next(&rows, err)) == 1) {
        struct person_host host;
        char address[PERSON_ADDRESS_SIZE];
        char name[PERSON_NAME_SIZE];
        read_host(&rows, &host);
        db_text(&rows, 7, address, sizeof address);
        db_text(&rows, 8, name, sizeof name);
        more = each(arg, &host, address, name);
    }
    db_end(&rows);
    return found == -1 ? -1 : 0;
}

/* --- how many --- */

int person_count_registration(struct db *db, int64_t day, const char *peer, int64_t *count_r, struct err *err)
{
    int found = db_one_int(db, count_r, err,
                           "INSERT INTO registered (day, peer, count) VALUES (?1, ?2, 1)"
                           " ON CONFLICT (day, peer) DO UPDATE SET count = registered.count + 1 RETURNING count",
                           "ib", day, span_text(peer));
    if (found == 1 && *count_r == 1 && db_run(db, err, "DELETE FROM registered WHERE day < ?1 - 1", "i", day) == -1)
        return -1;
    return found == 1 ? 0 : -1;
}

int person_registrations(struct db *db, int64_t day, const char *peer, int64_t *count_r, struct err *err)
{
    *count_r = 0;
    return db_one_int(db, count_r, err, "SELECT count FROM registered WHERE day = ?1 AND peer = ?2", "ib", day,
                      span_text(peer)) == -1
               ? -1
               : 0;
}

/* --- the directory --- */

int person_directory_loaded(struct db *db, int64_t *loaded_us_r, int64_t *people_r, struct err *err)
{
    struct db_rows rows;
    *loaded_us_r = *people_r = 0;
    int found = db_query(db, &rows, err, "SELECT loaded_us, people FROM directory WHERE name = 'people'", "");
    if (found >= 0 && (found = db_next(&rows, err)) == 1) {
        *loaded_us_r = db_int(&rows, 0);
        *people_r = db_int(&rows, 1);
    }
    db_end(&rows);
    return found;
}

int person_directory_set_loaded(struct db *db, int64_t loaded_us, int64_t people, struct err *err)
{
    return db_run(db, err,
                  "INSERT INTO directory (name, loaded_us, people) VALUES ('people', ?1, ?2)"
                  " ON CONFLICT (name) DO UPDATE SET loaded_us = excluded.loaded_us, people = excluded.people",
                  "ii", loaded_us, people) == -1
               ? -1
               : 0;
}
