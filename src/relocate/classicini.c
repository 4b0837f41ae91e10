/* The old configuration is kept for reference and never copied: half of it is about SNA and Exchange, and the rest
 * holds paths of another machine. But nobody should have to look up what a key was for, so each gets its answer. */
#include "relocate/classicini.h"

#include "base/conf_table.h"
#include "relocate/confkeys.h"

#include <stdio.h>
#include <string.h>

enum form { AS_IT_IS, NAME, ON_OFF, MACHINE, NONE };

/* `section` and `key` of ours; where this release has no such key, or for NONE, `why` says it. */
static const struct row {
    const char *ini, *section, *key;
    enum form form;
    const char *why;
} rows[] = {
    { "LOCALNODE", "connector", "node", NAME, NULL },
    { "PARTNERNODE", "connector", "default-node", NAME, NULL },
    { "LOCID", "connector", "location", NAME, NULL },
    { "autoregistration", "addressing", "registration", ON_OFF, NULL },
    { "ADHOCID", "addressing", "in-body-id", NAME, "addresses in the text are not read by this release" },
    { "LASTMSGHEADER", "addressing", "in-body-keyword", AS_IT_IS,
      "addresses in the text are not read by this release" },
    { "LASTMSGHEADERLINE", "addressing", "in-body-keyword", AS_IT_IS,
      "addresses in the text are not read by this release" },
    { "PROFS_DummyAddr", "addressing", "dummy-address", AS_IT_IS,
      "AT and CT names are not translated by this release" },
    { "AllowUnresolvedAddresses", "addressing", "allow-unresolved", ON_OFF,
      "who may write where stands in Ovdfile.dat and in the mail system" },
    { "maxnumhops", "limits", "max-hops", AS_IT_IS, NULL },
    { "maxhopcount", "limits", "max-hops", AS_IT_IS, NULL },
    { "qdepththreshold", "limits", "queue-depth", AS_IT_IS, NULL },
    { "AlwaysReturnACK", "receipts", "always-ack", ON_OFF, "receipts are sent where they are asked for" },
    { "CTKEEPDAYS", "receipts", "correlation-days", AS_IT_IS,
      "answers are threaded for two years, and addresses are kept for ever" },
    { "QROOT", "connector", "state", MACHINE, NULL },
    { "ctfilename", NULL, NULL, NONE, "correlation is in the ledger" },
    { "ctcompressmaxdelay", NULL, NULL, NONE, "correlation is in the ledger and needs no compaction" },
    { "autoregfilename", NULL, NULL, NONE, "registrations are in the ledger" },
    { "CTCLEANUP", NULL, NULL, NONE, "old rows go by themselves, beside the mail flow" },
    { "DISABLETRACECHECKEX", NULL, NULL, NONE, "loops are always detected, by max-hops" },
    { "MtgRequestSupport", NULL, NULL, NONE, "meeting requests go as letters" },
    { "title", NULL, NULL, NONE, "a name that was shown in Exchange" },
    { "tasks", NULL, NULL, NONE, "there are no stages to choose" },
    { "executable", NULL, NULL, NONE, "there are no stages to choose" },
    { "params", NULL, NULL, NONE, "there are no stages to choose" },
    { "inputq", NULL, NULL, NONE, "the four queues are always there" },
    { "outputq", NULL, NULL, NONE, "the four queues are always there" },
    { "addresstype", NULL, NULL, NONE, "host addresses have one form, NODE(USER)" },
    { "LOCALLU", NULL, NULL, NONE, "NJE runs over TCP/IP: there are no LUs" },
    { "PARTNERLU", NULL, NULL, NONE, "NJE runs over TCP/IP: there are no LUs" },
    { "MODENAME", NULL, NULL, NONE, "NJE runs over TCP/IP: there is no log mode" },
    { "SEPARATEDISTRIBUTIONS", NULL, NULL, NONE, "every host user gets a file of his own" },
    { "language", NULL, NULL, NONE, "meeting requests go as letters" },
    { "CalendarDateFormat", NULL, NULL, NONE, "meeting requests go as letters" },
    { "CalendarTimeFormat", NULL, NULL, NONE, "meeting requests go as letters" },
    { "CalendarDateSeparator", NULL, NULL, NONE, "meeting requests go as letters" },
    { "debug", NULL, NULL, NONE, "\"ovvm capture\" keeps what a link receives, where this release has it" },
    { "dbgdir", NULL, NULL, NONE, "captures lie in the state directory" },
    { "hostnoterightmargin", NULL, NULL, NONE, "notes have at most 78 columns" },
    { "lastline", NULL, NULL, NONE, "the layout of notes is that of the host's own programs" },
    { "sendattach", NULL, NULL, NONE, "attachments always go along" },
    { "FinalDocInBody", NULL, NULL, NONE, "the text of a letter is always its body" },
    { "NumAttempts", "limits", "lifetime", NONE, "letters are tried for [limits] lifetime" },
    { "TimeOut", "limits", "retry", NONE, "[limits] retry and retry-max are the waits between tries" },
    { "FST", NULL, NULL, NONE, "there is no directory exchange" },
    { "quickscan", NULL, NULL, NONE, "queues need no scan" },
    { "pollinterval", NULL, NULL, NONE, "queues need no polling" },
    { "version", NULL, NULL, NONE, "the ledger knows its own version" },
    { "maxretrycount", "limits", "lifetime", NONE, "letters are tried for [limits] lifetime" },
    { "baditemthreshold", NULL, NULL, NONE, "\"ovvm status\" warns of letters in quarantine" },
    { "itemagethreshold", NULL, NULL, NONE, "\"ovvm status\" shows the oldest letter of each queue" },
    { "qspacethreshold", NULL, NULL, NONE, "the doors slow down by themselves when the disk is full" },
    { "rcsaccess", NULL, NULL, NONE, "who may use the control socket is a matter of its file mode" },
    { "level", "log", "level", NONE, "[log] level has other words: none, error, warning, info, trace" },
};

static const struct row *row_of(struct span name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (span_equal_nocase(name, span_text(rows[i].ini)))
            return &rows[i];
    return NULL;
}

static bool have_key(const struct row *row)
{
    return row->section != NULL && confkey_kind_of(span_text(row->section), span_text(row->key)) != CONFKEY_UNKNOWN;
}

static bool yes(struct span value)
{
    return span_equal_nocase(value, SPAN_LITERAL("yes")) || span_equal(value, SPAN_LITERAL("1"));
}

/* What became of it, for people. */
static void say(struct buf *says, const struct confkey *key, const char *what, struct span value)
{
    char section[40];
    char name[60];
    char shown[120];
    span_to_text(key->section, section, sizeof section);
    span_to_text(key->name, name, sizeof name);
    span_to_text(value, shown, sizeof shown);
    buf_printf(says, "[%s] %s: %s%s\n", section, name, what, shown);
}

/* The first one wins: a site with several stages has the same value in each, or says the special ones first. */
static const struct confkey *first_of(const struct confkeys *keys, const char *name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (span_equal_nocase(keys->at[i].name, span_text(name)))
            return &keys->at[i];
    return NULL;
}

static struct name8 name_of(const struct confkeys *keys, const char *ini)
{
    struct name8 name = { .text = "" };
    const struct confkey *key = first_of(keys, ini);
    if (key == NULL || name8_parse(key->value, ini, &name, NULL) == -1)
        return (struct name8){ .text = "" };
    return name;
}

static void put_value(const struct confkey *key, const struct row *row, struct buf *conf)
{
    buf_printf(conf, "%s = ", row->key);
    if (row->form == ON_OFF && strcmp(row->key, "registration") == 0)
        buf_add_text(conf, yes(key->value) ? "auto" : "off");
    else if (row->form == ON_OFF)
        buf_add_text(conf, yes(key->value) ? "yes" : "no");
    else
        buf_add_span(conf, key->value);
    buf_add_u8(conf, '\n');
}

/* One section of ours, from whatever section the key stood in. */
static void put_section(const struct confkeys *keys, const char *section, struct buf *conf)
{
    bool begun = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        const struct confkey *key = first_of(keys, row->ini);
        bool earlier = false; /* another key of the ini means the same */
        for (size_t j = 0; j < i; j++)
            earlier = earlier || (rows[j].key != NULL && row->key != NULL && strcmp(rows[j].key, row->key) == 0 &&
                                  strcmp(rows[j].section, row->section) == 0 && first_of(keys, rows[j].ini) != NULL);
        if (key == NULL || earlier || row->form == NONE || row->form == MACHINE || !have_key(row) ||
            strcmp(row->section, section) != 0)
            continue;
        if (!begun)
            buf_printf(conf, "\n[%s]\n", section);
        begun = true;
        put_value(key, row, conf);
    }
}

static void put_conf(const struct confkeys *keys, const struct classicini *ini, struct span nodes, struct buf *conf)
{
    put_section(keys, "connector", conf);
    if (name8_empty(ini->node))
        buf_add_text(conf, "\n[connector]\nnode =\n");
    buf_add_text(conf, "domain =\npostmaster =\nstate =\ntables =\n");
    const char *partner = name8_empty(ini->partner) ? "NODE" : ini->partner.text;
    buf_printf(conf, "\n[link %s]\nkind = rscs\nconnect =\nnodes = %s", partner, partner);
    for (struct reader rest = reader_of(nodes); !reader_at_end(&rest);) {
        struct span node = reader_until(&rest, ' ');
        if (node.size == 0 || span_equal(node, span_text(partner)))
            continue;
        buf_add_u8(conf, ' ');
        buf_add_span(conf, node);
    }
    buf_add_text(conf, "\n\n[smtp-out]\nrelay =\n");
    put_section(keys, "addressing", conf);
    put_section(keys, "receipts", conf);
    put_section(keys, "limits", conf);
}

int classicini_translate(struct span text, struct span nodes, struct buf *conf, struct buf *says,
                         struct classicini *result_r, struct err *err)
{
    struct confkeys keys;
    *result_r = (struct classicini){ .taken = 0 };
    if (confkeys_parse(text, &keys, err) == -1)
        return -1;
    result_r->node = name_of(&keys, "LOCALNODE");
    result_r->partner = name_of(&keys, "PARTNERNODE");
    for (size_t i = 0; i < keys.count; i++) {
        const struct confkey *key = &keys.at[i];
        const struct row *row = row_of(key->name);
        char what[120];
        bool taken = row != NULL && row->form != NONE && have_key(row);
        if (taken && row->form == MACHINE)
            (void)snprintf(what, sizeof what, "[%s] %s, left blank; it was ", row->section, row->key);
        else if (taken)
            (void)snprintf(what, sizeof what, "[%s] %s, from ", row->section, row->key);
        else
            (void)snprintf(what, sizeof what, "no counterpart: %s; it was ",
                           row != NULL && row->why != NULL ? row->why : "nothing here is like it");
        say(says, key, what, key->value);
        *(taken ? &result_r->taken : &result_r->left) += 1;
    }
    put_conf(&keys, result_r, nodes, conf);
    confkeys_free(&keys);
    return conf->failed || says->failed ? err_set(err, ERR_NO_MEMORY, "out of memory for a configuration") : 0;
}
