/* The border between the two worlds. No open relay in either direction (doc/architecture.md, rule 9): what is not under
 * our domain is refused here, whoever asks. */
#include "address/border.h"

struct border border_of(const struct conf *conf, const struct table_set *const *tables)
{
    struct host_address dummy = { .node = { .text = "" } };
    if (conf->addressing.dummy_address != NULL)
        (void)host_address_parse(span_text(conf->addressing.dummy_address), &dummy, NULL); /* conf looked at it */
    return (struct border){
        .allow_unresolved = conf->addressing.allow_unresolved == CONF_YES,
        .registrar = { .node = conf->connector.node, .user = conf->addressing.registrar_id },
        .in_body = { .node = conf->connector.node, .user = conf->addressing.in_body_id },
        .dummy = dummy,
        .node = conf->connector.node,
        .also_nodes = &conf->connector.also_nodes,
        .default_node = conf->connector.default_node,
        .domain = conf->connector.domain,
        .unlisted_are_cms = conf->addressing.unlisted_nodes == CONF_UNLISTED_CMS,
        .tables = tables,
    };
}

/* --- nodes --- */

const struct ovdnode *border_node(const struct border *border, struct name8 node)
{
    return ovdfile_find(&(*border->tables)->ovdfile, node);
}

bool border_is_ours(const struct border *border, struct name8 node)
{
    const struct ovdnode *listed = border_node(border, node);
    return name8_equal(node, border->node) || conf_nodes_has(border->also_nodes, node) ||
           (listed != NULL && listed->local);
}

static bool is_the(struct host_address service, struct host_address host)
{
    return !name8_empty(service.user) && name8_equal(service.user, host.user) && name8_equal(service.node, host.node);
}

enum border_service border_service(const struct border *border, struct host_address host)
{
    return is_the(border->registrar, host) ? SERVICE_REGISTRAR
           : is_the(border->in_body, host) ? SERVICE_IN_BODY
           : is_the(border->dummy, host)   ? SERVICE_DUMMY
                                           : SERVICE_NONE;
}

const struct conf_link *border_route(const struct border *border, struct host_address host)
{
    const struct route *route =
        border_is_ours(border, host.node) ? NULL : routes_find(&(*border->tables)->routes, host);
    return route != NULL ? route->link : NULL;
}

const struct conf_link *border_link(const struct border *border, struct name8 node)
{
    return border_route(border, (struct host_address){ .node = node });
}

/* DF-09: with the file there, only what it lists exchanges mail, unless the site says otherwise. */
static bool is_listed(const struct border *border, struct name8 node)
{
    return !(*border->tables)->has_ovdfile || border->unlisted_are_cms || border_node(border, node) != NULL;
}

int border_hand_on(const struct border *border, struct host_address host, struct name8 link, struct err *err)
{
    const struct conf_link *way = border_route(border, host);
    if (!border->allow_unresolved)
        return err_set(err, ERR_UNKNOWN_NODE, "%s is not a node of this connector (allow-unresolved = no)",
                       host.node.text);
    if (way == NULL || name8_equal(way->node, link) || !is_listed(border, host.node))
        return err_set(err, ERR_UNKNOWN_NODE, "%s is not a node of this connector%s", host.node.text,
                       way != NULL ? ", and the way there is back where the file came from" : "");
    return 0;
}

int border_may_send(const struct border *border, struct host_address from, struct name8 link, bool trusted,
                    struct err *err)
{
    const struct conf_link *way = border_route(border, from);
    if (border_is_ours(border, from.node))
        return err_set(err, ERR_NOT_ALLOWED, "%s is a node of this connector; no host user sends from there",
                       from.node.text);
    if (!is_listed(border, from.node))
        return err_set(err, ERR_NOT_ALLOWED, "the node %s is not in Ovdfile.dat and may not send mail", from.node.text);
    if (way == NULL)
        return err_set(err, ERR_NOT_ALLOWED, "no link leads to the node %s, so nobody could answer it", from.node.text);
    if (!trusted && !name8_equal(way->node, link))
        return err_set(err, ERR_NOT_ALLOWED,
                       "a file of %s came over the link %s, but the way there is the link %s (trust-origin = no)",
                       from.node.text, link.text, way->node.text);
    return 0;
}

/* --- addresses --- */

/* Splits at the last @ outside quotes and takes the quotes of the local part off. */
static int split(struct span address, char *local_r, size_t room, size_t *local_size_r, struct span *domain_r,
                 struct err *err)
{
    size_t at = address.size;
    while (at > 0 && address.at[at - 1] != '@')
        at--;
    if (at == 0)
        return err_set(err, ERR_BAD_ADDRESS, "the address has no @");
    *domain_r = span_slice(address, at, address.size);
    struct span local = span_slice(address, 0, at - 1);
    bool quoted = local.size >= 2 && local.at[0] == '"' && local.at[local.size - 1] == '"';
    struct reader reader = reader_of(quoted ? span_slice(local, 1, local.size - 2) : local);
    *local_size_r = 0;
    while (!reader_at_end(&reader)) {
        uint8_t byte = reader_u8(&reader);
        if (quoted && byte == '\\' && !reader_at_end(&reader))
            byte = reader_u8(&reader);
        if (*local_size_r == room)
            return err_set(err, ERR_BAD_ADDRESS, "the local part is longer than any host address");
        local_r[(*local_size_r)++] = (char)byte;
    }
    return 0;
}

/* The node that `domain` names under ours: empty for our domain itself. */
static int node_of_domain(const struct border *border, struct span domain, struct name8 *node_r, struct err *err)
{
    struct span ours = span_text(border->domain);
    *node_r = (struct name8){ .text = "" };
    if (domain.size > 0 && domain.at[domain.size - 1] == '.')
        domain.size--;
    if (span_equal_nocase(domain, ours))
        return 0;
    if (domain.size > ours.size + 1 && domain.at[domain.size - ours.size - 1] == '.' &&
        span_equal_nocase(span_slice(domain, domain.size - ours.size, ours.size), ours)) {
        if (name8_parse(span_slice(domain, 0, domain.size - ours.size - 1), "node", node_r, err) == 0)
            return 0;
        err->id = ERR_UNKNOWN_NODE;
        return -1;
    }
    char shown[128];
    span_to_text(domain, shown, sizeof shown);
    return err_set(err, ERR_RELAY_DENIED, "relaying to %s is not allowed; this connector takes mail for %s", shown,
                   border->domain);
}

static bool is_one_off(struct span local)
{
    return local.size > 0 && local.at[local.size - 1] == ')';
}

static int parse(const struct border *border, struct span address, struct host_address *host_r, struct err *err)
{
    char text[64];
    size_t size = 0;
    struct span domain = SPAN_EMPTY;
    struct name8 node;
    if (span_find(address, '@') == address.size)
        return err_set(err, ERR_BAD_ADDRESS, "the address has no domain");
    int at = split(address, text, sizeof text, &size, &domain, err);
    if (node_of_domain(border, domain, &node, err) == -1)
        return -1; /* a foreign domain is the better reason than an odd local part */
    if (at == -1)
        return err_set(err, ERR_UNKNOWN_USER, "there is no such user: a host user id has 1 to 8 characters");
    struct span local = span_of(text, size);
    if (is_one_off(local) && name8_empty(node))
        return host_address_parse(local, host_r, err);
    host_r->node = name8_empty(node) ? border->default_node : node;
    if (host_local_decode(local, &host_r->user, err) == -1) {
        err->id = ERR_UNKNOWN_USER;
        return -1;
    }
    return 0;
}

/* Could be there, for all we are told. */
static bool may_exist(const struct border *border, struct host_address host)
{
    const struct ovdnode *node = border_node(border, host.node);
    const struct hostusers *users = &(*border->tables)->hostusers;
    bool listed = (!border->allow_unresolved && users->count > 0) || (node != NULL && node->users_listed);
    return !listed || hostusers_find(users, host) != NULL;
}

struct span border_name(const struct border *border, struct host_address host)
{
    const char *name = hostusers_find(&(*border->tables)->hostusers, host);
    return name != NULL ? span_text(name) : SPAN_EMPTY;
}

int border_from_mail(const struct border *border, struct span address, struct host_address *host_r, struct err *err)
{
    struct err ignored;
    if (err == NULL)
        err = &ignored;
    if (parse(border, address, host_r, err) == -1)
        return -1;
    if (border_service(border, *host_r) == SERVICE_DUMMY)
        return err_set(err, ERR_UNKNOWN_USER, "%s stands for people without an address; nobody gets mail there",
                       host_address_text(*host_r).text);
    if (border_is_ours(border, host_r->node))
        return err_set(err, ERR_RELAY_DENIED, "%s is an address of this connector itself; it is for host users only",
                       host_address_text(*host_r).text);
    if (border_route(border, *host_r) == NULL || !is_listed(border, host_r->node))
        return err_set(err, ERR_UNKNOWN_NODE, "there is no node %s in the host network", host_r->node.text);
    if (!may_exist(border, *host_r))
        return err_set(err, ERR_UNKNOWN_USER, "there is no user %s at %s", host_r->user.text, host_r->node.text);
    return 0;
}

bool border_is_postmaster(const struct border *border, struct span address)
{
    static const struct span name = SPAN_LITERAL("postmaster");
    char text[64];
    size_t size = 0;
    struct span domain = SPAN_EMPTY;
    struct err ignored;
    struct host_address host = { .user = { .text = "" } };
    if (span_equal_nocase(address, name))
        return true;
    if (split(address, text, sizeof text, &size, &domain, &ignored) == -1 ||
        !span_equal_nocase(span_of(text, size), name) || node_of_domain(border, domain, &host.node, &ignored) == -1)
        return false;
    return name8_empty(host.node) || border_is_ours(border, host.node) ||
           (border_route(border, host) != NULL && is_listed(border, host.node));
}

void border_to_mail(const struct border *border, struct host_address host, struct buf *to)
{
    if (!host_node_is_label(host.node)) {
        buf_printf(to, "\"%s\"@%s", host_address_text(host).text, border->domain);
        return;
    }
    host_local_encode(host.user, to);
    buf_add_u8(to, '@');
    for (const char *letter = host.node.text; *letter != '\0'; letter++)
        buf_add_u8(to, (uint8_t)(*letter >= 'A' && *letter <= 'Z' ? *letter - 'A' + 'a' : *letter));
    buf_printf(to, ".%s", border->domain);
}
