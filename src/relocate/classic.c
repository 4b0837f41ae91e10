/* Taking over from the original product. Its files come from a machine that nobody wants to start again, in any mixture
 * of letter case; everything found is named in what is said, and nothing of it is ever changed. */
#include "relocate/classic.h"

#include "address/hostaddress.h"
#include "address/mailkey.h"
#include "address/ovdfile.h"
#include "address/route.h"
#include "base/clock.h"
#include "base/mem.h"
#include "relocate/bundle.h"
#include "relocate/classicini.h"
#include "relocate/csv.h"
#include "relocate/registrations.h"
#include "relocate/transition.h"
#include "store/person.h"
#include "store/schema.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REGISTRATIONS_MAX = 10000000 };

struct owned {
    char *address, *name;
    struct host_address host;
    size_t line;
};

struct converting {
    const char *from, *to;
    struct classic_result *result;
    struct classicini ini;
    struct buf ovdfile, nodes; /* nodes: the others, a blank before each */
    struct owned *at;
    size_t count, room;
};

/* --- files --- */

/* The file of that name, in whatever letter case, in the product's folder or its Tables folder. */
static bool find(const struct converting *converting, const char *name, char path_r[PATH_MAX])
{
    static const char *const folders[] = { "", "/Tables", "/tables", "/TABLES" };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char folder[PATH_MAX];
        (void)snprintf(folder, sizeof folder, "%s%s", converting->from, folders[i]);
        DIR *open_folder = opendir(folder);
        bool found = false;
        for (const struct dirent *entry; open_folder != NULL && !found && (entry = readdir(open_folder)) != NULL;)
            if (strcasecmp(entry->d_name, name) == 0)
                found = snprintf(path_r, PATH_MAX, "%s/%s", folder, entry->d_name) < PATH_MAX;
        if (open_folder != NULL)
            (void)closedir(open_folder);
        if (found)
            return true;
    }
    return false;
}

static int read_whole(const char *path, struct buf *to, struct err *err)
{
    uint8_t piece[16 * 1024];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1)
        return err_set(err, ERR_REFUSED, "%.180s: %m", path);
    to->limit = BUNDLE_LIST_MAX;
    while ((got = read(fd, piece, sizeof piece)) > 0)
        buf_add(to, piece, (size_t)got);
    (void)close(fd);
    return got == 0 && !to->failed ? 0 : err_set(err, ERR_REFUSED, "%.180s cannot be read, or is too large", path);
}

static int write_whole(const struct converting *converting, const char *name, struct span bytes, struct err *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", converting->to, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;
    bool fine = file != NULL && fwrite(bytes.at, 1, bytes.size, file) == bytes.size;
    fine = file != NULL && fclose(file) == 0 && fine;
    return fine ? 0 : err_set(err, ERR_REFUSED, "%.180s: %m", path);
}

static void say(struct converting *converting, const char *name, const char *what)
{
    buf_printf(&converting->result->says, "%s: %s\n", name, what);
}

/* 1 carried, 0 there is none. */
static int carry(struct converting *converting, const char *name, const char *as, const char *what, struct err *err)
{
    char path[PATH_MAX];
    char member[BUNDLE_NAME_MAX];
    struct stat status;
    struct buf bytes = { 0 };
    if (!find(converting, name, path))
        return 0;
    if (stat(path, &status) == 0 && status.st_size > BUNDLE_SMALL_MAX) {
        say(converting, name, "is too large to be carried along; keep it");
        return 1;
    }
    (void)snprintf(member, sizeof member, "Tables/%s", as);
    int result = read_whole(path, &bytes, err);
    if (result == 0)
        result = write_whole(converting, member, buf_span(&bytes), err);
    if (result == 0)
        say(converting, name, what);
    buf_free(&bytes);
    return result == 0 ? 1 : -1;
}

/* --- tables --- */

static int take_ini(struct converting *converting, struct err *err)
{
    static const char *const names[] = { "Exchconn.ini", "Linkage.ini" };
    char path[PATH_MAX];
    struct buf text = { 0 };
    struct buf conf = { 0 };
    size_t i = 0;
    while (i < 2 && !find(converting, names[i], path))
        i++;
    int result = i < 2 ? read_whole(path, &text, err) : 0;
    if (i == 2)
        say(converting, "Exchconn.ini", "there is none; the proposed configuration has only blanks");
    if (result == 0)
        result = classicini_translate(buf_span(&text), buf_span(&converting->nodes), &conf, &converting->result->says,
                                      &converting->ini, err);
    if (result == 0)
        result = write_whole(converting, BUNDLE_CONF, buf_span(&conf), err);
    buf_free(&text);
    buf_free(&conf);
    return result;
}

/* Names of the other nodes. The table itself is checked when it is put in use: here only its first column counts. */
static int take_ovdfile(struct converting *converting, struct err *err)
{
    char path[PATH_MAX];
    if (!find(converting, "Ovdfile.dat", path)) {
        say(converting, "Ovdfile.dat", "there is none: every node that a link leads to will exchange mail");
        return 0;
    }
    if (read_whole(path, &converting->ovdfile, err) == -1)
        return -1;
    struct reader lines = reader_of(buf_span(&converting->ovdfile));
    while (!reader_at_end(&lines)) {
        struct span line = span_trim(span_trim_end(reader_until(&lines, '\n'), '\r'));
        struct span word = span_slice(line, 0, span_find(line, ' '));
        struct span rest = span_trim(span_slice(line, word.size, line.size));
        struct name8 node;
        bool local = span_equal_nocase(span_slice(rest, 0, 5), SPAN_LITERAL("LOCAL"));
        if (line.size > 0 && line.at[0] != '*' && line.at[0] != '#' && line.at[0] != ';' && !local &&
            name8_parse(word, "node", &node, NULL) == 0)
            buf_printf(&converting->nodes, " %s", node.text);
    }
    return carry(converting, "Ovdfile.dat", "Ovdfile.dat", "taken as it is", err) == -1 ? -1 : 0;
}

/* Its syntax in the original product was never published; ours is in ovvm-tables(5). */
static int take_route(struct converting *converting, struct err *err)
{
    char path[PATH_MAX];
    struct buf text = { 0 };
    struct routes routes;
    if (!find(converting, "Route.tbl", path))
        return 0;
    int result = read_whole(path, &text, err);
    bool empty = true;
    struct reader lines = reader_of(buf_span(&text));
    while (!reader_at_end(&lines)) {
        struct span line = span_trim(span_trim_end(reader_until(&lines, '\n'), '\r'));
        empty = empty && (line.size == 0 || line.at[0] == ';' || line.at[0] == '#' || line.at[0] == '*');
    }
    struct conf_link link = { .node = converting->ini.partner };
    bool ours = result == 0 && !empty && routes_parse(buf_span(&text), &link, 1, &routes, NULL) == 0;
    if (ours)
        routes_free(&routes);
    buf_free(&text);
    if (result == 0)
        result =
            carry(converting, "Route.tbl", ours || empty ? "Route.tbl" : "Route.tbl.original",
                  ours || empty ? "taken as it is"
                                : "has a form that this program does not know: kept as Route.tbl.original, nothing "
                                  "reads it; the nodes of Ovdfile.dat are proposed for the link instead",
                  err);
    return result == -1 ? -1 : 0;
}

static int take_texts(struct converting *converting, struct err *err)
{
    static const char *const names[] = { "Cmsxmap.tbl", "Dosxmap.tbl", "Extmap.tbl" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (carry(converting, names[i], names[i], "taken as it is", err) == -1)
            return -1;
    return 0;
}

/* Custom code pages and message texts, which the classic list forgot. */
static int take_pages(struct converting *converting, struct err *err)
{
    DIR *folder = opendir(converting->from);
    int result = 0;
    for (const struct dirent *entry; folder != NULL && result == 0 && (entry = readdir(folder)) != NULL;) {
        char member[BUNDLE_NAME_MAX + 1];
        size_t size = strlen(entry->d_name);
        bool page = size > 4 && (strcasecmp(entry->d_name + size - 4, ".csm") == 0 ||
                                 strcasecmp(entry->d_name + size - 4, ".msg") == 0);
        if (page && snprintf(member, sizeof member, "Tables/%s", entry->d_name) < (int)sizeof member &&
            bundle_name_ok(member))
            result = carry(converting, entry->d_name, entry->d_name, "taken as it is", err) == -1 ? -1 : 0;
    }
    if (folder != NULL)
        (void)closedir(folder);
    return result;
}

static int take_unopened(struct converting *converting, struct err *err)
{
    static const struct {
        const char *name, *what;
    } files[] = {
        { "Ct2.dat", "carried unopened: its layout was never published. Answers to letters of the last days are not "
                     "threaded, but reach their people" },
        { "Ct2.idx", "carried unopened, as Ct2.dat" },
        { "PROFSreg.dat",
          "carried unopened: its layout was never published. Export the registrations as PROFSreg.csv" },
        { "PROFSreg.idx", "carried unopened, as PROFSreg.dat" },
        { "Profs.pab", "carried unopened: an address book of MAPI. Export it as Profs.csv, with Outlook or with "
                       "pffexport of libpff" },
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (carry(converting, files[i].name, files[i].name, files[i].what, err) == -1)
            return -1;
    return 0;
}

/* --- registrations --- */

static int take_registration(void *arg, const struct registration *registration, struct err *err)
{
    struct converting *converting = arg;
    struct mailkey key;
    char name[PERSON_NAME_SIZE];
    if (registration->retired || registration->host.size == 0)
        return err_set(err, ERR_BAD_CONTENT, "a registration has a host address and a mail address");
    if (converting->count == REGISTRATIONS_MAX)
        return err_set(err, ERR_TOO_MANY, "there are more than %d registrations", REGISTRATIONS_MAX);
    if (converting->count == converting->room) {
        size_t room = converting->room * 2 + 1024;
        struct owned *at = mem_realloc(converting->at, room * sizeof at[0]);
        if (at == NULL)
            return err_set(err, ERR_NO_MEMORY, "out of memory for the registrations");
        converting->at = at;
        converting->room = room;
    }
    struct owned *owned = &converting->at[converting->count];
    *owned = (struct owned){ .line = registration->line };
    if (mailkey_of(registration->address, &key, err) == -1 ||
        host_address_parse(registration->host, &owned->host, err) == -1)
        return -1;
    span_to_text(registration->name, name, sizeof name);
    owned->address = mem_strdup(key.text);
    owned->name = mem_strdup(name);
    converting->count++;
    return owned->address != NULL && owned->name != NULL
               ? 0
               : err_set(err, ERR_NO_MEMORY, "out of memory for the registrations");
}

static int take_list(struct converting *converting, const char *name, struct err *err)
{
    char path[PATH_MAX];
    struct buf text = { 0 };
    if (!find(converting, name, path))
        return 0;
    size_t before = converting->count;
    int result = read_whole(path, &text, err);
    if (result == 0 &&
        registrations_read(buf_span(&text), FORM_CSV, converting->ini.node, take_registration, converting, err) == -1)
        result = err_context(err, "%s", name);
    if (result == 0)
        buf_printf(&converting->result->says, "%s: %lld registrations\n", name,
                   (long long)(converting->count - before));
    buf_free(&text);
    return result;
}

static int by_host(const void *a, const void *b)
{
    const struct owned *one = a;
    const struct owned *other = b;
    int order = strcmp(one->host.node.text, other->host.node.text);
    return order != 0 ? order : strcmp(one->host.user.text, other->host.user.text);
}

static int by_person(const void *a, const void *b)
{
    const struct owned *one = a;
    const struct owned *other = b;
    int order = strcmp(one->address, other->address);
    return order != 0 ? order : by_host(a, b);
}

/* One owner for each host address; the same row twice counts once. */
static int drop_twins(struct converting *converting, struct err *err)
{
    size_t kept = 0;
    if (converting->count > 1)
        qsort(converting->at, converting->count, sizeof converting->at[0], by_host);
    for (size_t i = 0; i < converting->count; i++) {
        struct owned *one = &converting->at[i];
        const struct owned *last = kept > 0 ? &converting->at[kept - 1] : NULL;
        if (last == NULL || by_host(last, one) != 0) {
            converting->at[kept++] = *one;
            continue;
        }
        if (strcmp(last->address, one->address) != 0)
            return err_set(err, ERR_BAD_CONTENT, "lines %zu and %zu give %s to two people", last->line, one->line,
                           host_address_text(one->host).text);
        buf_printf(&converting->result->says, "line %zu: %s is there twice; it counts once\n", one->line,
                   host_address_text(one->host).text);
        mem_free(one->address);
        mem_free(one->name);
    }
    converting->count = kept;
    return 0;
}

/* The lists as our own tables. A person with several host addresses is shown under the first. */
static void put_rows(const struct converting *converting, struct buf *persons, struct buf *hosts, int64_t *highest_r)
{
    long long person = 0;
    *highest_r = 0;
    buf_add_text(persons, "key,address,name,source,made_us,used_us\n");
    buf_add_text(hosts, "node,user_id,person,kind,main,made_us,kind_us\n");
    for (size_t i = 0; i < converting->count; i++) {
        const struct owned *one = &converting->at[i];
        int64_t number = 0;
        bool numbered = transition_number(one->host.user.text, &number);
        bool another = i == 0 || strcmp(one->address, converting->at[i - 1].address) != 0;
        if (numbered && number > *highest_r)
            *highest_r = number;
        if (another) {
            buf_printf(persons, "%lld,", ++person);
            csv_add_text(persons, span_text(one->address));
            buf_add_u8(persons, ',');
            csv_add_text(persons, span_text(one->name));
            buf_printf(persons, ",%d,0,0\n", PERSON_SENDER);
        }
        buf_printf(hosts, "%s,", one->host.node.text);
        csv_add_text(hosts, span_text(one->host.user.text));
        buf_printf(hosts, ",%lld,%d,%d,0,0\n", person, numbered ? HOST_BY_NUMBER : HOST_BY_OPERATOR, another ? 1 : 0);
    }
}

static int take_registrations(struct converting *converting, struct err *err)
{
    struct buf persons = { 0 };
    struct buf hosts = { 0 };
    struct buf sequence = { 0 };
    int64_t highest = 0;
    if (take_list(converting, "PROFSreg.csv", err) == -1 || take_list(converting, "Profs.csv", err) == -1 ||
        drop_twins(converting, err) == -1)
        return -1;
    if (converting->count > 1)
        qsort(converting->at, converting->count, sizeof converting->at[0], by_person);
    put_rows(converting, &persons, &hosts, &highest);
    buf_printf(&sequence, "name,next\nregistration,%lld\n", (long long)highest + 1);
    int result = persons.failed || hosts.failed || sequence.failed
                     ? err_set(err, ERR_NO_MEMORY, "out of memory for the registrations")
                     : 0;
    if (result == 0 && (write_whole(converting, "Tables/Profs.csv", buf_span(&persons), err) == -1 ||
                        write_whole(converting, "Tables/PROFSreg.csv", buf_span(&hosts), err) == -1 ||
                        write_whole(converting, "Tables/Lmetprox.seq", buf_span(&sequence), err) == -1))
        result = -1;
    converting->result->registrations = (int64_t)converting->count;
    buf_free(&persons);
    buf_free(&hosts);
    buf_free(&sequence);
    return result;
}

/* --- the whole --- */

static int put_manifest(struct converting *converting, struct err *err)
{
    char lineage[TRANSITION_ID_SIZE];
    char bundle[TRANSITION_ID_SIZE];
    transition_new_id(lineage);
    transition_new_id(bundle);
    json_t *facts =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:s, s:i, s:i, s:s, s:s}", "format", "ovvm-bundle", "format_version",
                  BUNDLE_FORMAT, "program", "the original product, converted by ovvm " OVVM_VERSION, "bundle", bundle,
                  "kind", "move", "made_us", (json_int_t)clock_now(), "lineage", lineage, "generation", 1, "schema",
                  SCHEMA_VERSION, "node", converting->ini.node.text, "domain", "");
    char *text = json_dumps(facts, JSON_INDENT(1));
    int result = text != NULL ? write_whole(converting, BUNDLE_MANIFEST, span_text(text), err)
                              : err_set(err, ERR_NO_MEMORY, "out of memory for the manifest");
    free(text);
    json_decref(facts);
    return result;
}

int classic_convert(const char *from, const char *to, struct classic_result *result_r, struct err *err)
{
    struct converting converting = { .from = from, .to = to, .result = result_r };
    char tables_folder[PATH_MAX];
    char ignored[PATH_MAX];
    *result_r = (struct classic_result){ .registrations = 0 };
    (void)snprintf(tables_folder, sizeof tables_folder, "%s/Tables", to);
    if (!find(&converting, "Exchconn.ini", ignored) && !find(&converting, "Linkage.ini", ignored) &&
        !find(&converting, "Ovdfile.dat", ignored))
        return err_set(err, ERR_NOT_FOUND, "there is neither Exchconn.ini nor Ovdfile.dat in %.150s", from);
    if (mkdir(to, 0700) == -1 || mkdir(tables_folder, 0700) == -1)
        return err_set(err, ERR_REFUSED, "%.180s: %m", to);
    int result = 0;
    if (take_ovdfile(&converting, err) == -1 || take_ini(&converting, err) == -1 ||
        take_route(&converting, err) == -1 || take_texts(&converting, err) == -1 ||
        take_pages(&converting, err) == -1 || take_unopened(&converting, err) == -1 ||
        take_registrations(&converting, err) == -1 || put_manifest(&converting, err) == -1 ||
        write_whole(&converting, BUNDLE_FILES, buf_span(&result_r->says), err) == -1)
        result = -1;
    for (size_t i = 0; i < converting.count; i++) {
        mem_free(converting.at[i].address);
        mem_free(converting.at[i].name);
    }
    mem_free(converting.at);
    buf_free(&converting.ovdfile);
    buf_free(&converting.nodes);
    if (result == -1)
        buf_free(&result_r->says);
    return result;
}
