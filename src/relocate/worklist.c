/* The host administrator is another person on another system, often far away: what he gets must be ready to paste, and
 * what need not be touched must be said as well. A move that keeps the address needs nothing of him, so that comes
 * first. */
#include "relocate/worklist.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[] = { [CONF_RSCS] = "rscs",
                                     [CONF_VM370] = "vm370",
                                     [CONF_NJE38] = "nje38",
                                     [CONF_JES2] = "jes2",
                                     [CONF_UNIXNJE] = "unixnje" };
static const char new_host[] = "<address of the new computer>";
enum { DEFAULT_PORT_SIZE = 8, HOST_SIZE = 256 };

json_t *worklist_link(const struct conf_link *link)
{
    return json_pack("{s:s, s:s, s:s*, s:s*}", "node", link->node.text, "kind", kinds[link->kind], "listen",
                     link->listen, "connect", link->connect);
}

static const char *fact(const json_t *link, const char *name)
{
    const char *value = json_string_value(json_object_get(link, name));
    return value != NULL ? value : "";
}

__attribute__((format(printf, 2, 3))) static void add(json_t *list, const char *format, ...)
{
    char text[700];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    (void)json_array_append_new(list, json_string(text));
}

/* host:port or [host]:port; an address that means "all of this computer's" is no address to dial. */
static void split(const char *where, char host_r[HOST_SIZE], char port_r[DEFAULT_PORT_SIZE])
{
    const char *colon = strrchr(where, ':');
    (void)snprintf(port_r, DEFAULT_PORT_SIZE, "%.7s", colon != NULL ? colon + 1 : "175");
    (void)snprintf(host_r, HOST_SIZE, "%.*s", colon != NULL ? (int)(colon - where) : 0, where);
    if (host_r[0] == '\0' || strcmp(host_r, "0.0.0.0") == 0 || strcmp(host_r, "[::]") == 0)
        (void)snprintf(host_r, HOST_SIZE, "%s", new_host);
}

struct neighbour {
    const char *node; /* theirs */
    const char *ours;
    char host[HOST_SIZE], port[DEFAULT_PORT_SIZE]; /* where he finds us from now on */
    char own_port[DEFAULT_PORT_SIZE];              /* where he listens, as far as we know */
};

static void for_rscs(json_t *list, const struct neighbour *neighbour)
{
    add(list, "    RSCS console, at once:");
    add(list, "        RSCS DRAIN %s", neighbour->ours);
    add(list, "        RSCS DEFINE %s TYPE TCPNJE PARM HOST=%s RMTPORT=%s LCLPORT=%s STREAMS=1 TA=0", neighbour->ours,
        neighbour->host, neighbour->port, neighbour->own_port);
    add(list, "        RSCS START %s", neighbour->ours);
    add(list, "    RSCS CONFIG, for the next start:");
    add(list, "        PARM %s HOST=%s RMTPORT=%s LCLPORT=%s STREAMS=1 TA=0", neighbour->ours, neighbour->host,
        neighbour->port, neighbour->own_port);
}

static void for_jes2(json_t *list, const struct neighbour *neighbour)
{
    add(list, "    JES2 console, at once (stop the connection first: $E LINE or $P LINE of this node):");
    add(list, "        $T SOCKET(%s),IPADDR=%s,PORT=%s", neighbour->ours, neighbour->host, neighbour->port);
    add(list, "        $SN,S=%s", neighbour->ours);
    add(list, "    JES2 parameters, for the next start:");
    add(list, "        SOCKET(%s) IPADDR=%s,PORT=%s", neighbour->ours, neighbour->host, neighbour->port);
}

/* The Hercules device does the TCP work for both. */
static void for_hercules(json_t *list, const struct neighbour *neighbour, bool nje38)
{
    add(list,
        "    Hercules configuration, the device of this line (cuu is its address; detach and attach it, or restart):");
    add(list, "        cuu TCPNJE 2703 lnode=%s rnode=%s lport=%s rport=%s rhost=%s", neighbour->node, neighbour->ours,
        neighbour->own_port, neighbour->port, neighbour->host);
    if (nje38) {
        add(list, "    MVS console, after that:");
        add(list, "        F NJE,P %s", neighbour->ours);
        add(list, "        F NJE,S %s", neighbour->ours);
    } else {
        add(list, "    RSCS, after that:");
        add(list, "        DRAIN %s", neighbour->ours);
        add(list, "        START %s", neighbour->ours);
    }
}

static void for_unixnje(json_t *list, const struct neighbour *neighbour)
{
    add(list, "    UnixNJE configuration, in the LINE of %s:", neighbour->ours);
    add(list, "         IPPORT       %s", neighbour->port);
    add(list, "         TCPNAME      %s", neighbour->host);
    add(list, "    then restart it, or: ucp STOP LINE n, ucp START LINE n");
}

static const json_t *link_of(const json_t *links, const char *node)
{
    size_t index;
    json_t *link;
    json_array_foreach(links, index, link)
    {
        if (strcmp(fact(link, "node"), node) == 0)
            return link;
    }
    return NULL;
}

static const char *or_none(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void add_neighbour(json_t *list, const char *node, const json_t *link, const json_t *before, bool known)
{
    struct neighbour neighbour = { .node = fact(link, "node"), .ours = node };
    char ignored[HOST_SIZE];
    split(fact(link, "listen"), neighbour.host, neighbour.port);
    split(fact(link, "connect"), ignored, neighbour.own_port);
    const char *kind = fact(link, "kind");
    if (!known)
        (void)snprintf(neighbour.host, sizeof neighbour.host, "%s", new_host);
    if (known)
        add(list, "%s (%s): we listened at %s, now %s; we dialled %s, now %s", neighbour.node, kind,
            or_none(fact(before, "listen")), or_none(fact(link, "listen")), or_none(fact(before, "connect")),
            or_none(fact(link, "connect")));
    else
        add(list, "%s (%s): we listened at %s and dialled %s", neighbour.node, kind, or_none(fact(link, "listen")),
            or_none(fact(link, "connect")));
    if (strcmp(kind, "rscs") == 0)
        for_rscs(list, &neighbour);
    else if (strcmp(kind, "jes2") == 0)
        for_jes2(list, &neighbour);
    else if (strcmp(kind, "unixnje") == 0)
        for_unixnje(list, &neighbour);
    else
        for_hercules(list, &neighbour, strcmp(kind, "nje38") == 0);
}

json_t *worklist_make(const char *node, const char *location, const json_t *before, const struct conf *conf,
                      bool mail_managers)
{
    json_t *list = json_array();
    size_t index;
    json_t *link;
    add(list,
        "Take the IP address (and name) along to the new computer, and nothing has to be changed at any neighbour.");
    add(list, "Otherwise, at each neighbour (its link name stays %s; node names, routes and passwords stay):", node);
    for (size_t i = 0; conf != NULL && i < conf->link_count; i++) {
        json_t *ours = worklist_link(&conf->links[i]);
        add_neighbour(list, node, ours, link_of(before, conf->links[i].node.text), true);
        json_decref(ours);
    }
    json_array_foreach(before, index, link)
    {
        bool kept = false;
        for (size_t i = 0; conf != NULL && i < conf->link_count; i++)
            kept = kept || strcmp(fact(link, "node"), conf->links[i].node.text) == 0;
        if (conf == NULL)
            add_neighbour(list, node, link, link, false);
        else if (!kept)
            add(list, "%.8s: had a link before, and there is no [link %.8s] now: add one, or its mail waits",
                fact(link, "node"), fact(link, "node"));
    }
    if (mail_managers)
        add(list, "OV/VM: the REMLOC entry of location %s names node %s and its mail manager, and stays as it is.",
            location[0] != '\0' ? location : "(ours)", node);
    return list;
}
