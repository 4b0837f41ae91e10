/* The schema as a list of migrations: number n brings version n-1 to n, and is never changed once released.
 *
 * Words that a driver for another database replaces: INTEGER (64 bits), BLOB, and WITHOUT ROWID (dropped). Addresses
 * and texts that came from outside are BLOB. Times are microseconds, UTC. Keys are handed out by the program (item.c).
 */
#include "store/schema.h"

static const char *const migrations[] = {
    /* 1 */
    /* Whose ledger this is and in which state the instance is (doc/architecture.md "Moving house"). One row. */
    "CREATE TABLE instance ("
    " one INTEGER PRIMARY KEY CHECK (one = 1), schema_version INTEGER NOT NULL,"
    " lineage TEXT NOT NULL, generation INTEGER NOT NULL, state TEXT NOT NULL, bundle TEXT,"
    " machine TEXT NOT NULL, path TEXT NOT NULL, made_us INTEGER NOT NULL);"
    "INSERT INTO instance VALUES (1, 1, '', 1, 'new', NULL, '', '', 0);" /* instance.c fills it in */
    /* Letters in the queues. queue: 1 host_in, 2 mail_out, 3 mail_in, 4 host_out, 0 gone (content being deleted);
     * state: 0 ready, 1 held, 2 quarantine, 3 still being written. */
    "CREATE TABLE item ("
    " key INTEGER PRIMARY KEY, id TEXT NOT NULL, letter TEXT NOT NULL, queue INTEGER NOT NULL, state INTEGER NOT NULL,"
    " door TEXT NOT NULL, arrived_us INTEGER NOT NULL, due_us INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " size INTEGER NOT NULL, flags INTEGER NOT NULL, sender BLOB NOT NULL, reason BLOB,"
    " peer TEXT NOT NULL);"
    "CREATE UNIQUE INDEX item_id ON item (id);"
    "CREATE INDEX item_due ON item (queue, state, door, due_us, key);"
    "CREATE TABLE recipient ("
    " item INTEGER NOT NULL, n INTEGER NOT NULL, address BLOB NOT NULL, state INTEGER NOT NULL, reason BLOB,"
    " PRIMARY KEY (item, n)) WITHOUT ROWID;"
    /* chunk = item key * 65536 + n */
    "CREATE TABLE content (chunk INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE track ("
    " key INTEGER PRIMARY KEY, letter TEXT NOT NULL, item TEXT NOT NULL, at_us INTEGER NOT NULL, step INTEGER NOT NULL,"
    " address BLOB NOT NULL, detail BLOB NOT NULL);"
    "CREATE INDEX track_letter ON track (letter);"
    "CREATE INDEX track_address ON track (address, at_us);"
    /* Who is who (store/person.h has the numbers of source and kind). One row for every person, and one for every host
     * address that was ever given to somebody; rows are never deleted. `main` is the address that is shown for the
     * person; the others are accepted. `kind_us`: since when it is of its kind. */
    "CREATE TABLE person ("
    " key INTEGER PRIMARY KEY, address BLOB NOT NULL, name BLOB NOT NULL, source INTEGER NOT NULL,"
    " made_us INTEGER NOT NULL, used_us INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX person_address ON person (address);"
    "CREATE INDEX person_source ON person (source, key);"
    "CREATE TABLE host_address ("
    " node TEXT NOT NULL, user_id TEXT NOT NULL, person INTEGER, kind INTEGER NOT NULL, main INTEGER NOT NULL,"
    " made_us INTEGER NOT NULL, kind_us INTEGER NOT NULL, PRIMARY KEY (node, user_id)) WITHOUT ROWID;"
    "CREATE INDEX host_address_person ON host_address (person);"
    "CREATE UNIQUE INDEX host_address_main ON host_address (person) WHERE main = 1;"
    /* When people were last read from a directory, and how many there were. One row, once that was. */
    "CREATE TABLE directory ("
    " name TEXT PRIMARY KEY, loaded_us INTEGER NOT NULL, people INTEGER NOT NULL) WITHOUT ROWID;"
    /* How many senders a peer brought on a day (since 1970), for registration-limit. */
    "CREATE TABLE registered ("
    " day INTEGER NOT NULL, peer BLOB NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (day, peer)) WITHOUT ROWID;"
    /* What each host user had of the connector on a day, for the limits of Access.tbl; whom he introduced. */
    "CREATE TABLE host_use ("
    " day INTEGER NOT NULL, host TEXT NOT NULL, letters INTEGER NOT NULL, registrations INTEGER NOT NULL,"
    " answers INTEGER NOT NULL, PRIMARY KEY (day, host)) WITHOUT ROWID;"
    "CREATE TABLE introduced ("
    " host TEXT NOT NULL, person INTEGER NOT NULL, at_us INTEGER NOT NULL, PRIMARY KEY (host, person)) WITHOUT ROWID;"
    "CREATE TABLE sequence (name TEXT PRIMARY KEY, next INTEGER NOT NULL);"
    /* Which letter answers which. `stamp` is the host's own time as it came (never converted). */
    "CREATE TABLE correlation ("
    " key INTEGER PRIMARY KEY, letter TEXT NOT NULL, host TEXT NOT NULL, proxy TEXT NOT NULL, direction INTEGER NOT "
    "NULL,"
    " message_id BLOB NOT NULL, refs BLOB NOT NULL, reply_to BLOB NOT NULL, subject BLOB NOT NULL, stamp BLOB NOT NULL,"
    " at_us INTEGER NOT NULL);"
    "CREATE INDEX correlation_pair ON correlation (proxy, host, at_us);"
    "CREATE INDEX correlation_proxy ON correlation (proxy);"
    "CREATE INDEX correlation_message ON correlation (message_id);"
    "CREATE INDEX correlation_at ON correlation (at_us);"
    /* NJE files we sent, so that a message about one becomes a report. */
    "CREATE TABLE nje_sent ("
    " key INTEGER PRIMARY KEY, node TEXT NOT NULL, job_id INTEGER NOT NULL, link TEXT NOT NULL, item TEXT NOT NULL,"
    " letter TEXT NOT NULL, origin TEXT NOT NULL, destination TEXT NOT NULL, sender BLOB NOT NULL, at_us INTEGER NOT "
    "NULL);"
    "CREATE INDEX nje_sent_job ON nje_sent (node, job_id, at_us);"
    "CREATE INDEX nje_sent_at ON nje_sent (at_us);"
    /* NJE files we took. `unsure`: our acknowledgement may have been lost, so the same file may come again. */
    "CREATE TABLE nje_seen ("
    " key INTEGER PRIMARY KEY, link TEXT NOT NULL, job TEXT NOT NULL, sha256 BLOB NOT NULL,"
    " item TEXT NOT NULL, unsure INTEGER NOT NULL, at_us INTEGER NOT NULL);"
    "CREATE INDEX nje_seen_job ON nje_seen (link, job);"
    "CREATE INDEX nje_seen_item ON nje_seen (item);"
    "CREATE INDEX nje_seen_at ON nje_seen (at_us);"
    "CREATE TABLE audit ("
    " key INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, who BLOB NOT NULL, what TEXT NOT NULL, detail BLOB NOT NULL);",
};

_Static_assert(sizeof migrations / sizeof migrations[0] == SCHEMA_VERSION, "one migration for each version");

int schema_version(struct db *db, int64_t *version_r, struct err *err)
{
    int64_t tables = 0;
    *version_r = 0;
    if (db_one_int(db, &tables, err, "SELECT count(*) FROM sqlite_master WHERE name = 'instance'", "") == -1)
        return -1;
    if (tables == 0)
        return 0;
    return db_one_int(db, version_r, err, "SELECT schema_version FROM instance", "") == -1 ? -1 : 0;
}

int schema_migrate(struct db *db, struct err *err)
{
    int64_t version = 0;
    if (schema_version(db, &version, err) == -1)
        return -1;
    if (version > SCHEMA_VERSION)
        return err_set(
            err, ERR_CONFIG,
            "the ledger has schema %d and this program knows up to %d: it was used by a newer release; install that "
            "release, or restore a backup made with this one",
            (int)version, SCHEMA_VERSION);
    for (; version < SCHEMA_VERSION; version++) {
        if (db_begin(db, err) == -1)
            return -1;
        if (db_script(db, migrations[version], err) == -1 ||
            db_run(db, err, "UPDATE instance SET schema_version = ?1", "i", version + 1) == -1 ||
            db_commit(db, err) == -1) {
            db_rollback(db);
            return err_context(err, "bringing the ledger to schema %d", (int)version + 1);
        }
    }
    return 0;
}
