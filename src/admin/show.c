/* Text for people. Everything from outside passes through put_safe: a terminal must not obey a letter. */
#include "admin/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void put_safe(const char *from, int keep_newlines)
{
    for (; *from != '\0'; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte == '\r')
            continue;
        (void)putchar((byte < 0x20 && !(keep_newlines && byte == '\n')) || byte == 0x7F ? '?' : byte);
    }
}

/* "2026-11-24T14:03:11.000Z" -> how long ago, in the largest fitting unit. */
static void put_age(const char *when)
{
    struct tm tm = { .tm_isdst = 0 };
    if (strptime(when, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        (void)fputs("-", stdout);
        return;
    }
    long long seconds = (long long)(time(NULL) - timegm(&tm));
    if (seconds < 120)
        (void)printf("%llds", seconds > 0 ? seconds : 0);
    else if (seconds < 7200)
        (void)printf("%lldm", seconds / 60);
    else if (seconds < 172800)
        (void)printf("%lldh", seconds / 3600);
    else
        (void)printf("%lldd", seconds / 86400);
}

static int is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* In words: is it this one that sends mail? */
static const char *state_words(const char *state)
{
    return strcmp(state, "moved") == 0       ? "moved away"
           : strcmp(state, "done") == 0      ? "moved away for good"
           : strcmp(state, "imported") == 0  ? "imported, not active"
           : strcmp(state, "exporting") == 0 ? "being exported, closed"
                                             : state;
}

void show_status(const json_t *reply)
{
    size_t index;
    json_t *one;
    (void)printf("%s (%s): %s, generation %lld, ovvmd %s\n\n", text(reply, "node"), text(reply, "domain"),
                 state_words(text(reply, "state")), number(reply, "generation"), text(reply, "version"));
    (void)printf("%-10s %-12s %8s %6s %11s  %s\n", "queue", "", "ready", "held", "quarantine", "oldest");
    json_array_foreach(json_object_get(reply, "queues"), index, one)
    {
        (void)printf("%-10s %-12s %8lld %6lld %11lld  ", text(one, "name"), text(one, "classic"), number(one, "ready"),
                     number(one, "held"), number(one, "quarantine"));
        put_age(text(one, "oldest"));
        (void)putchar('\n');
    }
    (void)printf("\n%-9s %-11s %-22s %7s %8s %8s\n", "link", "state", "neighbour", "buffer", "in", "out");
    json_array_foreach(json_object_get(reply, "links"), index, one)(void)
        printf("%-9s %-11s %-22s %7lld %8lld %8lld\n", text(one, "node"), text(one, "state"), text(one, "peer"),
               number(one, "buffer"), number(one, "files_in"), number(one, "files_out"));
    const json_t *in = json_object_get(reply, "smtp_in");
    const json_t *out = json_object_get(reply, "smtp_out");
    if (in != NULL && out != NULL)
        (void)printf("\nmail in   %lld accepted, %lld refused, %lld sessions\nmail out  %lld accepted, %lld deferred, "
                     "%lld refused, %lld connections\n",
                     number(in, "accepted"), number(in, "refused"), number(in, "sessions"), number(out, "accepted"),
                     number(out, "deferred"), number(out, "refused"), number(out, "connected"));
    const json_t *directory = json_object_get(reply, "directory");
    if (directory != NULL) {
        (void)printf("\ndirectory  %lld people, loaded ", number(directory, "people"));
        put_age(text(directory, "loaded"));
        (void)puts(is_true(directory, "loading") ? ", being loaded" : "");
    }
    (void)printf("\nnext number for a sender: %lld\n", number(reply, "next_number"));
    json_array_foreach(json_object_get(reply, "warnings"), index, one)
    {
        (void)fputs("\nwarning: ", stdout);
        put_safe(text(one, "text"), 0);
        (void)fputs("\n         ", stdout);
        put_safe(text(one, "remedy"), 0);
        (void)putchar('\n');
    }
}

static void put_recipients(const json_t *item)
{
    size_t index;
    json_t *recipient;
    json_array_foreach(json_object_get(item, "recipients"), index, recipient)
    {
        (void)fputs(index > 0 ? ", " : "", stdout);
        put_safe(text(recipient, "address"), 0);
    }
    long long more = number(item, "recipient_count") - (long long)json_array_size(json_object_get(item, "recipients"));
    if (more > 0)
        (void)printf(" and %lld more", more);
}

void show_queue(const json_t *reply)
{
    size_t index;
    json_t *item;
    const json_t *items = json_object_get(reply, "items");
    if (json_array_size(items) == 0)
        (void)puts("the queues are empty");
    json_array_foreach(items, index, item)
    {
        (void)printf("%s  %-8s %-10s %8lld  ", text(item, "id"), text(item, "queue"), text(item, "state"),
                     number(item, "size"));
        put_age(text(item, "arrived"));
        (void)fputs("  <", stdout);
        put_safe(text(item, "sender"), 0);
        (void)fputs("> to ", stdout);
        put_recipients(item);
        if (text(item, "reason")[0] != '\0') {
            (void)fputs("\n    ", stdout);
            put_safe(text(item, "reason"), 0);
        }
        (void)putchar('\n');
    }
}

void show_item(const json_t *reply)
{
    size_t index;
    json_t *recipient;
    const json_t *item = json_object_get(reply, "item");
    (void)printf("id        %s\nletter    %s\nqueue     %s\nstate     %s\nsize      %lld\narrived   %s\ndue       "
                 "%s\nattempts  %lld\n",
                 text(item, "id"), text(item, "letter"), text(item, "queue"), text(item, "state"), number(item, "size"),
                 text(item, "arrived"), text(item, "due"), number(item, "attempts"));
    if (text(item, "link")[0] != '\0')
        (void)printf("link      %s\n", text(item, "link"));
    (void)fputs("sender    <", stdout);
    put_safe(text(item, "sender"), 0);
    (void)fputs(">\n", stdout);
    json_array_foreach(json_object_get(item, "recipients"), index, recipient)
    {
        (void)fputs("to        ", stdout);
        put_safe(text(recipient, "address"), 0);
        (void)printf(" (%s) ", text(recipient, "state"));
        put_safe(text(recipient, "reason"), 0);
        (void)putchar('\n');
    }
    if (text(item, "reason")[0] != '\0') {
        (void)fputs("reason    ", stdout);
        put_safe(text(item, "reason"), 0);
        (void)putchar('\n');
    }
    if (json_object_get(reply, "content") != NULL) {
        (void)putchar('\n');
        put_safe(text(reply, "content"), 1);
    }
}

void show_trace(const json_t *reply)
{
    size_t index;
    json_t *step;
    const char *letter = "";
    json_array_foreach(json_object_get(reply, "steps"), index, step)
    {
        if (strcmp(letter, text(step, "letter")) != 0) {
            letter = text(step, "letter");
            (void)printf("letter %s\n", letter);
        }
        (void)printf("  %s  %-10s  %s  ", text(step, "at"), text(step, "step"), text(step, "item"));
        put_safe(text(step, "address"), 0);
        if (text(step, "detail")[0] != '\0') {
            (void)fputs("  ", stdout);
            put_safe(text(step, "detail"), 0);
        }
        (void)putchar('\n');
    }
    const json_t *waiting = json_object_get(reply, "waiting");
    if (json_array_size(waiting) == 0)
        (void)puts("nothing of it waits here");
    json_array_foreach(waiting, index, step)
    {
        (void)printf("waits as %s in %s (%s), next try %s", text(step, "id"), text(step, "queue"), text(step, "state"),
                     text(step, "due"));
        if (text(step, "reason")[0] != '\0') {
            (void)fputs(": ", stdout);
            put_safe(text(step, "reason"), 0);
        }
        (void)putchar('\n');
    }
}

/* --- addresses and tables --- */

static void put_person(const json_t *person)
{
    size_t index;
    json_t *host;
    put_safe(text(person, "mail"), 0);
    if (text(person, "name")[0] != '\0') {
        (void)fputs("  ", stdout);
        put_safe(text(person, "name"), 0);
    }
    (void)printf("  (%s, person %lld)\n", text(person, "source"), number(person, "person"));
    json_array_foreach(json_object_get(person, "hosts"), index, host)
    {
        (void)printf("    %-18s  %-8s  %s\n", text(host, "host"), text(host, "kind"),
                     is_true(host, "main")                        ? "shown to host users"
                     : strcmp(text(host, "kind"), "retired") == 0 ? "mail to it is refused"
                                                                  : "accepted");
    }
}

void show_who(const json_t *reply)
{
    size_t index;
    json_t *line;
    if (json_object_get(reply, "person") != NULL)
        put_person(reply);
    json_array_foreach(json_object_get(reply, "lines"), index, line)
    {
        put_safe(json_string_value(line), 0);
        (void)putchar('\n');
    }
    if (json_object_get(reply, "person") == NULL && json_array_size(json_object_get(reply, "lines")) == 0)
        (void)puts("nobody");
}

void show_registrations(const json_t *reply)
{
    size_t index;
    json_t *one;
    const json_t *list = json_object_get(reply, "registrations");
    const char *last = "";
    json_array_foreach(list, index, one)
    {
        last = text(one, "host");
        (void)printf("%-18s  %-8s %s  ", last, text(one, "kind"),
                     is_true(one, "main")                        ? "shown   "
                     : strcmp(text(one, "kind"), "retired") == 0 ? "refused "
                                                                 : "accepted");
        put_safe(text(one, "mail"), 0);
        (void)fputs("  ", stdout);
        put_safe(text(one, "name"), 0);
        (void)putchar('\n');
    }
    if (json_array_size(list) == 0)
        (void)puts("no host addresses");
    else if (is_true(reply, "more"))
        (void)printf("more with: ovvm register list --after '%s'\n", last);
}

void show_imported(const json_t *reply)
{
    size_t index;
    json_t *one;
    json_array_foreach(json_object_get(reply, "changes"), index, one)
    {
        (void)printf("%-8s %-18s  ", text(one, "change"), text(one, "host"));
        put_safe(text(one, "mail"), 0);
        (void)putchar('\n');
    }
    (void)printf("%s%lld added, %lld retired, %lld were there already, %lld at other nodes or unknown\n",
                 is_true(reply, "dry_run") ? "an import would bring: " : "", number(reply, "added"),
                 number(reply, "retired"), number(reply, "same"), number(reply, "skipped"));
}

void show_table_lines(const json_t *reply)
{
    (void)printf("* for %s\n", text(reply, "table"));
    put_safe(text(reply, "lines"), 1);
}

void show_registered(const json_t *reply)
{
    put_safe(text(reply, "mail"), 0);
    (void)printf(" is shown to host users as %s\n", text(reply, "host"));
}

void show_retired(const json_t *reply)
{
    (void)printf("mail to %s is refused from now on, until its owner writes again\n", text(reply, "host"));
}

static void put_rule(const json_t *person)
{
    const char *made = text(person, "rule_makes");
    (void)printf("    %-18s  by the rule; shown now: %s\n", made[0] != '\0' ? made : "a number",
                 text(person, "origin"));
}

/* A page of people, each with what `more` adds (NULL: nothing); `verb` shows the next. */
static void put_people(const json_t *reply, const char *verb, void (*more)(const json_t *person))
{
    size_t index;
    json_t *person;
    const json_t *list = json_object_get(reply, "people");
    long long last = 0;
    json_array_foreach(list, index, person)
    {
        last = number(person, "person");
        put_person(person);
        if (more != NULL)
            more(person);
    }
    if (json_array_size(list) == 0)
        (void)puts("nobody is in the people file");
    else if ((long long)json_array_size(list) == number(reply, "limit"))
        (void)printf("more with: ovvm %s --after %lld\n", verb, last);
}

void show_people(const json_t *reply)
{
    put_people(reply, "people list", NULL);
}

void show_proxies(const json_t *reply)
{
    put_people(reply, "proxy list", put_rule);
}

void show_generated(const json_t *reply)
{
    size_t index;
    json_t *one;
    const json_t *list = json_object_get(reply, "generated");
    json_array_foreach(list, index, one)
    {
        (void)printf("%-18s  ", text(one, "host"));
        put_safe(text(one, "mail"), 0);
        (void)putchar('\n');
    }
    if ((long long)json_array_size(list) < number(reply, "count"))
        (void)puts("…");
    (void)printf(is_true(reply, "dry_run") ? "%lld addresses would be made\n" : "%lld addresses were made\n",
                 number(reply, "count"));
}

static void put_changes(const json_t *reply, const char *source, const char *before)
{
    const json_t *changes = json_object_get(reply, source);
    size_t index;
    json_t *one;
    if (changes == NULL)
        return;
    json_array_foreach(json_object_get(changes, "list"), index, one)
    {
        (void)printf("  %-11s  ", text(one, "kind"));
        put_safe(text(one, "text"), 0);
        (void)putchar('\n');
    }
    if (number(changes, "passed_over") > 0)
        (void)printf("%s: %lld things are wrong and are passed over\n", before, number(changes, "passed_over"));
    (void)printf("%s: %lld new people, %lld changed, %lld gone, of %lld before\n", before, number(changes, "added"),
                 number(changes, "changed"), number(changes, "removed"), number(changes, "before"));
}

void show_people_check(const json_t *reply)
{
    put_changes(reply, "people", "people file; a reload would bring");
    put_changes(reply, "directory", "directory; a load would bring");
}

void show_people_load(const json_t *reply)
{
    if (json_object_get(reply, "directory") == NULL)
        (void)puts("there is no [directory] in the configuration; ovvm tables reload reads the people file");
    put_changes(reply, "directory", "the directory's people are in use");
}

void show_reload(const json_t *reply)
{
    put_changes(reply, "people", "the tables are in use");
}

static void put_filemap(const json_t *map, const char *name)
{
    for (int is_text = 1; is_text >= 0 && json_is_array(map); is_text--) {
        size_t index;
        json_t *line;
        (void)printf("%s, %s:", name, is_text == 1 ? "text" : "binary");
        json_array_foreach(map, index, line) if (is_true(line, "text") == (is_text == 1))(void)
            printf(" %s", text(line, "filetype"));
        (void)putchar('\n');
    }
}

void show_tables(const json_t *reply)
{
    size_t index;
    json_t *one;
    (void)printf("read %s, %lld people, %lld host users\n\n", text(reply, "read"), number(reply, "people"),
                 number(reply, "host_users"));
    if (!is_true(reply, "ovdfile"))
        (void)puts("there is no Ovdfile.dat: every node that a link leads to exchanges mail");
    json_array_foreach(json_object_get(reply, "nodes"), index, one)
    {
        (void)printf("%-8s  %-8s  %-3s  %s", text(one, "node"),
                     is_true(one, "local")             ? "LOCAL"
                     : text(one, "mailman")[0] == '\0' ? "CMS"
                                                       : text(one, "mailman"),
                     text(one, "location")[0] == '\0' ? "CMS" : text(one, "location"), text(one, "host_kind"));
        if (text(one, "code_page")[0] != '\0')
            (void)printf("  code page %s", text(one, "code_page"));
        if (number(one, "max_lrecl") > 0)
            (void)printf("  records to %lld", number(one, "max_lrecl"));
        (void)printf("%s  (Ovdfile.dat line %lld)\n", is_true(one, "users_listed") ? "  users in Hostusers.csv" : "",
                     number(one, "line"));
    }
    (void)putchar('\n');
    json_array_foreach(json_object_get(reply, "routes"), index, one)
    {
        (void)printf("%-20s  link %-8s  ", text(one, "pattern"), text(one, "link"));
        if (number(one, "line") > 0)
            (void)printf("cost %lld  (Route.tbl line %lld)\n", number(one, "cost"), number(one, "line"));
        else
            (void)puts("([link] nodes)");
    }
    (void)putchar('\n');
    if (json_object_get(reply, "access") != NULL)
        (void)printf("%lld lines of Access.tbl; ovvm who NODE(USER) says what holds for a user\n",
                     number(reply, "access"));
    else
        (void)puts("there is no Access.tbl: every host user may write to the Internet");
    put_filemap(json_object_get(reply, "cmsxmap"), "Cmsxmap.tbl");
    put_filemap(json_object_get(reply, "dosxmap"), "Dosxmap.tbl");
    if (text(reply, "problem")[0] != '\0') {
        (void)fputs("\nnot in use: ", stdout);
        put_safe(text(reply, "problem"), 0);
        (void)putchar('\n');
    }
}

/* --- what was done; bundles --- */

void show_done(const json_t *reply)
{
    put_safe(text(reply, "said"), 0);
    (void)putchar('\n');
}

static void put_fact(const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    (void)printf("%-12s ", name);
    put_safe(value, 0);
    (void)putchar('\n');
}

static void put_list(const json_t *list, const char *title)
{
    size_t index;
    json_t *line;
    json_array_foreach(list, index, line)
    {
        (void)printf("%s%s", index == 0 ? title : "", index == 0 ? "\n  " : "  ");
        put_safe(json_string_value(line), 0);
        (void)putchar('\n');
    }
}

/* What is the same needs no line. */
static void put_configuration(const json_t *list)
{
    size_t index;
    json_t *key;
    long long same = 0;
    json_array_foreach(list, index, key)
    {
        if (strcmp(text(key, "is"), "same") == 0) {
            same++;
            continue;
        }
        (void)printf("%-16s [", text(key, "is"));
        put_safe(text(key, "section"), 0);
        (void)fputs("] ", stdout);
        put_safe(text(key, "key"), 0);
        (void)fputs("  there \"", stdout);
        put_safe(text(key, "before"), 0);
        (void)fputs("\", here \"", stdout);
        put_safe(text(key, "now"), 0);
        (void)puts("\"");
    }
    if (json_array_size(list) > 0)
        (void)printf("%-16s %lld further keys of the configuration\n", "same", same);
}

void show_bundle(const json_t *reply)
{
    const char *name;
    size_t index;
    json_t *value;
    put_fact("bundle", text(reply, "bundle"));
    put_fact("kind", text(reply, "kind"));
    put_fact("made", text(reply, "made"));
    put_fact("by", text(reply, "program"));
    put_fact("node", text(reply, "node"));
    put_fact("domain", text(reply, "domain"));
    (void)printf("%-12s %lld\n", "generation", number(reply, "generation"));
    put_fact("checksum", text(reply, "checksum"));
    put_fact("signature", text(reply, "signature"));
    json_object_foreach(json_object_get(reply, "counts"), name, value)
    {
        (void)printf("%12lld ", (long long)json_integer_value(value));
        put_safe(name, 0);
        (void)putchar('\n');
    }
    put_fact("state", text(reply, "state"));
    put_configuration(json_object_get(reply, "configuration"));
    json_object_foreach(json_object_get(reply, "tables"), name, value)
    {
        (void)printf("%-12s %s\n", name, json_string_value(value));
    }
    json_array_foreach(json_object_get(reply, "back"), index, value)(void)
        printf("%s %s in %s\n", index == 0 ? "\nNot finished in time, so back in their queues:\n " : " ",
               text(value, "id"), text(value, "queue"));
    if (json_object_get(reply, "addresses") != NULL)
        (void)printf("\n%lld addresses were looked up under this configuration; %lld differ\n",
                     number(reply, "addresses"), number(reply, "differences"));
    put_list(json_object_get(reply, "differ"), "Addresses that differ:");
    put_list(json_object_get(reply, "host_side"), "\nOn the host side:");
    put_list(json_object_get(reply, "next"), "\nNext:");
}
