/* Checks between values. Each value is sound by itself here, or its own problem was reported already, and then no
 * check that needs it says a second thing about it. */
#include "base/conf_check.h"

#include <stdio.h>
#include <string.h>

/* AD-11: names of gateways that stand for routes or stages in host mail. */
static const char *const reserved_names[] = { "VMGATE", "PROFS", "OV",   "SNADS", "DISOSS",
                                              "SMTP",   "MHS",   "X400", "FAX",   "EMS" };

enum {
    TCP_BLOCK_OVERHEAD = 16, /* TTB 8, TTR 4, last TTR 4 */
    LOCATION_SIZE = 3        /* DF-06 */
};

static bool is_reserved(struct name8 name)
{
    for (size_t i = 0; i < sizeof reserved_names / sizeof reserved_names[0]; i++)
        if (strcmp(reserved_names[i], name.text) == 0)
            return true;
    return false;
}

static bool sound(const struct conf_place *place, enum conf_section_id section, const char *key)
{
    return place->sound[conf_key_index(section, key)];
}

/* The line of the key, or of its section where it was not given. */
static unsigned line_of(const struct conf_place *place, enum conf_section_id section, const char *key)
{
    unsigned line = place->key_lines[conf_key_index(section, key)];
    return line != 0 ? line : place->line;
}

static void check_reserved(struct conf_reading *reading, unsigned line, const char *what, struct name8 name)
{
    if (is_reserved(name))
        conf_problem_add(reading->problems, line,
                         "%s \"%s\" is a reserved name: host mail uses it for a gateway; choose another node name",
                         what, name.text);
}

static bool given(const struct conf_place *place, const char *key)
{
    return place->key_lines[conf_key_index(CONF_LINK, key)] != 0;
}

static void check_doors(struct conf_reading *reading, size_t i)
{
    const struct conf_place *place = &reading->links[i];
    const char *node = reading->conf->links[i].node.text;
    if (!given(place, "connect") && !given(place, "listen"))
        conf_problem_add(reading->problems, place->line,
                         "[link %s] has neither connect nor listen; give at least one, for example connect = "
                         "rscs.example.org:175",
                         node);
    else if (!given(place, "connect") && !given(place, "allow"))
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "listen"),
                         "[link %s] listen without connect needs allow, the addresses the neighbour may call from, for "
                         "example allow = 192.0.2.20",
                         node);
    else if (given(place, "allow") && !given(place, "listen"))
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "allow"),
                         "[link %s] allow has no use without listen; give listen as well, or remove allow", node);
}

static void check_link_numbers(struct conf_reading *reading, size_t i)
{
    const struct conf_place *place = &reading->links[i];
    const struct conf_link *link = &reading->conf->links[i];
    if (sound(place, CONF_LINK, "retry") && sound(place, CONF_LINK, "retry-max") && link->retry_us > link->retry_max_us)
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "retry"),
                         "[link %s] retry is longer than retry-max; make retry-max at least as long", link->node.text);
    if (sound(place, CONF_LINK, "streams") && sound(place, CONF_LINK, "kind") && link->streams > 1 &&
        (link->kind == CONF_VM370 || link->kind == CONF_NJE38))
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "streams"),
                         "[link %s] streams %u: kinds vm370 and nje38 have one stream; remove it", link->node.text,
                         link->streams);
    if (sound(place, CONF_LINK, "buffer") && sound(place, CONF_LINK, "tcp-block") && link->tcp_block != 0 &&
        link->tcp_block < link->buffer + TCP_BLOCK_OVERHEAD)
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "tcp-block"),
                         "[link %s] tcp-block %u is too small for buffer %u; make it %u or more", link->node.text,
                         link->tcp_block, link->buffer, link->buffer + TCP_BLOCK_OVERHEAD);
}

static void check_link_tls(struct conf_reading *reading, size_t i)
{
    static const char *const keys[] = { "ca", "cert", "key", "tls-name" };
    const struct conf_place *place = &reading->links[i];
    const struct conf_link *link = &reading->conf->links[i];
    if (!sound(place, CONF_LINK, "tls"))
        return;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        if (link->tls == CONF_LINK_TLS_OFF && given(place, keys[k]))
            conf_problem_add(reading->problems, line_of(place, CONF_LINK, keys[k]),
                             "[link %s] %s has no use with tls = off; set tls, or remove it", link->node.text, keys[k]);
    if (link->tls == CONF_LINK_TLS_OFF)
        return;
    if (given(place, "listen") && (!given(place, "cert") || !given(place, "key")))
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "tls"),
                         "[link %s] tls with listen needs cert and key, for example cert = /etc/ovvm/tls/ovvm.pem",
                         link->node.text);
    else if (given(place, "cert") != given(place, "key"))
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "tls"),
                         "[link %s] cert and key belong together; give both or neither", link->node.text);
    if (given(place, "tls-name") && !given(place, "connect") && !given(place, "ca"))
        conf_problem_add(reading->problems, line_of(place, CONF_LINK, "tls-name"),
                         "[link %s] tls-name needs ca: without it no certificate is asked for", link->node.text);
}

/* Each node by one way: a node listed for two links, or twice for one, is a mistake that would show as lost mail. */
static void check_routes(struct conf_reading *reading, size_t i)
{
    const struct conf *conf = reading->conf;
    const struct conf_link *link = &conf->links[i];
    unsigned line = line_of(&reading->links[i], CONF_LINK, "nodes");
    char what[32];
    (void)snprintf(what, sizeof what, "[link %s] nodes:", link->node.text);
    for (size_t n = 0; n < link->nodes.count; n++) {
        struct name8 name = link->nodes.at[n];
        if (!name8_equal(name, link->node)) /* that one was looked at as the section's name */
            check_reserved(reading, line, what, name);
        if (name8_equal(name, conf->connector.node) && !name8_equal(name, link->node))
            conf_problem_add(reading->problems, line,
                             "[link %s] nodes: \"%s\" is the connector's own node; remove it here", link->node.text,
                             name.text);
        for (size_t other = 0; other <= i; other++) {
            const struct conf_nodes *nodes = &conf->links[other].nodes;
            for (size_t m = 0; m < (other == i ? n : nodes->count); m++)
                if (name8_equal(nodes->at[m], name))
                    conf_problem_add(reading->problems, line,
                                     "[link %s] nodes: \"%s\" stands in [link %s] (line %u) already; a node is reached "
                                     "through one link",
                                     link->node.text, name.text, conf->links[other].node.text,
                                     line_of(&reading->links[other], CONF_LINK, "nodes"));
        }
    }
    for (size_t other = 0; other < i; other++)
        if (link->nodes.others && conf->links[other].nodes.others)
            conf_problem_add(reading->problems, line,
                             "[link %s] nodes: * stands in [link %s] (line %u) already; one link can be the way to all "
                             "other nodes",
                             link->node.text, conf->links[other].node.text,
                             line_of(&reading->links[other], CONF_LINK, "nodes"));
}

static void check_link(struct conf_reading *reading, size_t i)
{
    const struct conf *conf = reading->conf;
    const struct conf_link *link = &conf->links[i];
    const struct conf_place *place = &reading->links[i];
    check_reserved(reading, place->line, "[link]", link->node);
    if (name8_equal(link->node, conf->connector.node))
        conf_problem_add(reading->problems, place->line,
                         "[link %s] is named like the connector's own node; a link is named by the neighbour's node",
                         link->node.text);
    check_doors(reading, i);
    check_link_numbers(reading, i);
    check_link_tls(reading, i);
    check_routes(reading, i);
}

static bool reachable(const struct conf *conf, struct name8 node)
{
    for (size_t i = 0; i < conf->link_count; i++) {
        const struct conf_nodes *nodes = &conf->links[i].nodes;
        if (nodes->others)
            return true;
        for (size_t n = 0; n < nodes->count; n++)
            if (name8_equal(nodes->at[n], node))
                return true;
    }
    return false;
}

/* Where it was left out with one link, it is that link's node (conf.c). */
static void check_default_node(struct conf_reading *reading)
{
    const struct conf *conf = reading->conf;
    const struct conf_place *place = &reading->places[CONF_CONNECTOR];
    struct name8 node = conf->connector.default_node;
    unsigned line = line_of(place, CONF_CONNECTOR, "default-node");
    if ((conf->link_count == 0 && !reading->routes_unsure) ||
        (line != place->line && !sound(place, CONF_CONNECTOR, "default-node")))
        return;
    if (name8_empty(node) && conf->link_count > 1)
        conf_problem_add(reading->problems, line,
                         "[connector] default-node is missing: with %zu links it cannot be guessed; add default-node = "
                         "%s or another node",
                         conf->link_count, conf->links[0].node.text);
    else if (line == place->line)
        return; /* not given: it is the one link's */
    else if (name8_equal(node, conf->connector.node) || conf_nodes_has(&conf->connector.also_nodes, node))
        conf_problem_add(reading->problems, line,
                         "[connector] default-node is the connector's own node; name the node of the host users");
    else if (!reading->routes_unsure && !reachable(conf, node))
        conf_problem_add(reading->problems, line,
                         "[connector] default-node \"%s\" is reached through no link; add it to the nodes of one",
                         node.text);
}

/* A listen of the links against those of [smtp-in]: two protocols cannot share a port. */
static void check_ports(struct conf_reading *reading)
{
    const struct conf *conf = reading->conf;
    for (size_t i = 0; i < conf->link_count; i++) {
        if (conf->links[i].listen == NULL || conf->smtp_in.listen == NULL)
            continue;
        struct reader all = reader_of(span_text(conf->smtp_in.listen));
        while (!reader_at_end(&all))
            if (span_equal(reader_until(&all, ' '), span_text(conf->links[i].listen)))
                conf_problem_add(reading->problems, line_of(&reading->links[i], CONF_LINK, "listen"),
                                 "[link %s] listen: %s is where [smtp-in] listens; choose another port",
                                 conf->links[i].node.text, conf->links[i].listen);
    }
}

/* Mail for the connector's own postmaster goes there: under the connector's domain it would only come back. */
static void check_postmaster(struct conf_reading *reading)
{
    const struct conf_connector *connector = &reading->conf->connector;
    const struct conf_place *place = &reading->places[CONF_CONNECTOR];
    if (!sound(place, CONF_CONNECTOR, "postmaster") || !sound(place, CONF_CONNECTOR, "domain"))
        return;
    struct span address = span_text(connector->postmaster);
    struct span name = SPAN_LITERAL("postmaster@");
    size_t domain = strlen(connector->domain);
    struct span end = span_slice(address, address.size > domain ? address.size - domain : 0, domain);
    bool ours = address.size > domain && span_equal_nocase(end, span_text(connector->domain)) &&
                (address.at[address.size - domain - 1] == '@' || address.at[address.size - domain - 1] == '.');
    if (ours && span_equal_nocase(span_slice(address, 0, name.size), name))
        conf_problem_add(
            reading->problems, line_of(place, CONF_CONNECTOR, "postmaster"),
            "[connector] postmaster \"%s\" is the connector itself, so that nobody would read his mail; give "
            "the mailbox of a person",
            connector->postmaster);
}

/* PX-08: a node is ours or reached through a link, never both. */
static void check_also_nodes(struct conf_reading *reading)
{
    const struct conf *conf = reading->conf;
    const struct conf_nodes *also = &conf->connector.also_nodes;
    unsigned line = line_of(&reading->places[CONF_CONNECTOR], CONF_CONNECTOR, "also-nodes");
    if (also->others)
        conf_problem_add(reading->problems, line, "[connector] also-nodes: * has no meaning here; name each node");
    for (size_t i = 0; i < also->count; i++) {
        check_reserved(reading, line, "[connector] also-nodes:", also->at[i]);
        if (name8_equal(also->at[i], conf->connector.node))
            conf_problem_add(reading->problems, line, "[connector] also-nodes: \"%s\" is [connector] node already",
                             also->at[i].text);
        for (size_t other = 0; other < i; other++)
            if (name8_equal(also->at[other], also->at[i]))
                conf_problem_add(reading->problems, line, "[connector] also-nodes: \"%s\" is given twice",
                                 also->at[i].text);
    }
    for (size_t i = 0; i < conf->link_count; i++) {
        const struct conf_link *link = &conf->links[i];
        for (size_t n = 0; n < link->nodes.count; n++)
            if (conf_nodes_has(&conf->connector.also_nodes, link->nodes.at[n]))
                conf_problem_add(
                    reading->problems, line_of(&reading->links[i], CONF_LINK, "nodes"),
                    "[link %s] nodes: \"%s\" is one of also-nodes, a node of the connector; remove it from "
                    "one of the two",
                    link->node.text, link->nodes.at[n].text);
    }
}

static void check_names(struct conf_reading *reading)
{
    const struct conf_connector *connector = &reading->conf->connector;
    const struct conf_place *place = &reading->places[CONF_CONNECTOR];
    const char *prefix = connector->registration_prefix.text;
    if (sound(place, CONF_CONNECTOR, "location") && strlen(connector->location.text) != LOCATION_SIZE)
        conf_problem_add(reading->problems, line_of(place, CONF_CONNECTOR, "location"),
                         "[connector] location \"%s\" has not three characters; write the code that the host's REMLOC "
                         "entry for the connector has, for example MSX",
                         connector->location.text);
    if (sound(place, CONF_CONNECTOR, "registration-prefix") &&
        (strlen(prefix) != 1 || prefix[0] < 'A' || prefix[0] > 'Z'))
        conf_problem_add(reading->problems, line_of(place, CONF_CONNECTOR, "registration-prefix"),
                         "[connector] registration-prefix \"%s\" is not one letter; write for example X", prefix);
}

static bool is_given(const struct conf_place *place, enum conf_section_id section, const char *key)
{
    return place->key_lines[conf_key_index(section, key)] != 0;
}

static void check_directory(struct conf_reading *reading)
{
    static const char *const dependent[] = { "base", "bind-dn", "password-file", "host-attributes", "ca-file" };
    const struct conf_place *place = &reading->places[CONF_DIRECTORY];
    const struct conf_directory *directory = &reading->conf->directory;
    if (!is_given(place, CONF_DIRECTORY, "url")) {
        for (size_t i = 0; i < sizeof dependent / sizeof dependent[0]; i++)
            if (is_given(place, CONF_DIRECTORY, dependent[i]))
                conf_problem_add(
                    reading->problems, line_of(place, CONF_DIRECTORY, dependent[i]),
                    "[directory] %s has no use without url; add for example url = ldaps://ldap.example.org",
                    dependent[i]);
        return;
    }
    if (!is_given(place, CONF_DIRECTORY, "base"))
        conf_problem_add(reading->problems, line_of(place, CONF_DIRECTORY, "url"),
                         "[directory] base is missing; add for example base = \"ou=people,dc=example,dc=org\"");
    if (is_given(place, CONF_DIRECTORY, "bind-dn") != is_given(place, CONF_DIRECTORY, "password-file"))
        conf_problem_add(
            reading->problems, line_of(place, CONF_DIRECTORY, "bind-dn"),
            "[directory] bind-dn and password-file belong together; give both, or neither to ask without a "
            "name");
    if (sound(place, CONF_DIRECTORY, "url") && sound(place, CONF_DIRECTORY, "starttls") &&
        directory->starttls == CONF_YES && strncmp(directory->url, "ldap://", 7) != 0)
        conf_problem_add(reading->problems, line_of(place, CONF_DIRECTORY, "starttls"),
                         "[directory] starttls is for ldap:// only; remove it here");
}

/* The connector's own user ids must be different ones, and nobody else's. */
static void check_own_ids(struct conf_reading *reading)
{
    const struct conf_addressing *addressing = &reading->conf->addressing;
    const struct conf_place *place = &reading->places[CONF_ADDRESSING];
    static const char postmaster[] = "POSTMAST";
    static const char *const taken[] = { "a neighbour's system", "the connector" };
    const struct {
        const char *key;
        struct name8 name;
    } ids[] = { { "registrar-id", addressing->registrar_id }, { "in-body-id", addressing->in_body_id } };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        bool system = strcmp(ids[i].name.text, "SYSTEM") == 0;
        if (system || strcmp(ids[i].name.text, postmaster) == 0)
            conf_problem_add(reading->problems, line_of(place, CONF_ADDRESSING, ids[i].key),
                             "[addressing] %s \"%s\" is the name of %s; choose another", ids[i].key, ids[i].name.text,
                             taken[system ? 0 : 1]);
    }
    if (!name8_empty(ids[0].name) && name8_equal(ids[0].name, ids[1].name))
        conf_problem_add(reading->problems, line_of(place, CONF_ADDRESSING, "in-body-id"),
                         "[addressing] in-body-id and registrar-id are both \"%s\"; choose another for one of them",
                         ids[0].name.text);
}

void conf_check(struct conf_reading *reading)
{
    const struct conf *conf = reading->conf;
    const struct conf_place *limits = &reading->places[CONF_LIMITS];
    const struct conf_place *smtp_out = &reading->places[CONF_SMTP_OUT];
    check_reserved(reading, line_of(&reading->places[CONF_CONNECTOR], CONF_CONNECTOR, "node"),
                   "[connector] node:", conf->connector.node);
    if (conf->link_count == 0 && !reading->routes_unsure)
        conf_problem_add(reading->problems, 0,
                         "there is no [link NODE] section; add one for the NJE neighbour, for example [link MAPLEC1]");
    for (size_t i = 0; i < conf->link_count; i++)
        check_link(reading, i);
    check_names(reading);
    check_postmaster(reading);
    check_own_ids(reading);
    check_also_nodes(reading);
    check_default_node(reading);
    check_ports(reading);
    check_directory(reading);
    if (sound(limits, CONF_LIMITS, "retry") && sound(limits, CONF_LIMITS, "retry-max") &&
        conf->limits.retry_us > conf->limits.retry_max_us)
        conf_problem_add(reading->problems, line_of(limits, CONF_LIMITS, "retry"),
                         "[limits] retry is longer than retry-max; make retry-max at least as long");
    if (sound(smtp_out, CONF_SMTP_OUT, "retry") && sound(smtp_out, CONF_SMTP_OUT, "retry-max") &&
        conf->smtp_out.retry_us > conf->smtp_out.retry_max_us)
        conf_problem_add(reading->problems, line_of(smtp_out, CONF_SMTP_OUT, "retry"),
                         "[smtp-out] retry is longer than retry-max; make retry-max at least as long");
}
