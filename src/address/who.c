/* Explaining addresses. What can go wrong is that this says one thing and a letter finds another: so everything is
 * asked of the functions that letters ask, and only put into words here. */
#include "address/who.h"

#include <stdarg.h>
#include <stdio.h>

static void say(struct who *who, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct who *who, const char *format, ...)
{
    va_list arguments;
    if (who->line_count == WHO_LINES_MAX)
        return;
    va_start(arguments, format);
    (void)vsnprintf(who->lines[who->line_count++], WHO_LINE_SIZE, format, arguments);
    va_end(arguments);
}

static void describe_right(const struct border *border, struct who *who)
{
    const struct access *access = &(*border->tables)->access;
    struct access_right right = access_of(access, who->host);
    char letters[40] = "any number of";
    if (right.letters > 0)
        (void)snprintf(letters, sizeof letters, "%u", right.letters);
    if (!access->listed)
        return;
    if (!right.allow && right.line > 0)
        say(who, "may not write to the Internet (Access.tbl line %u)", right.line);
    else if (!right.allow)
        say(who, "may not write to the Internet (no line of Access.tbl fits)");
    else
        say(who, "may write %s letters and register %u correspondents a day%s (Access.tbl line %u)", letters,
            right.registrations, right.in_body ? ", and address in the text" : "", right.line);
}

static void describe_host(const struct border *border, struct who *who)
{
    struct buf mail = { .limit = sizeof who->mail - 1 };
    struct err why = ERR_CLEAR;
    const struct route *route = routes_find(&(*border->tables)->routes, who->host);
    const struct ovdnode *node = border_node(border, who->host.node);
    border_to_mail(border, who->host, &mail);
    span_to_text(buf_span(&mail), who->mail, sizeof who->mail);
    buf_free(&mail);
    say(who, "%s is a host user, on the Internet side %s", host_address_text(who->host).text, who->mail);
    if (route == NULL)
        say(who, "no link leads to the node %s", who->host.node.text);
    else if (route->line == 0)
        say(who, "reached through link %s ([link %s] nodes)", route->link->node.text, route->link->node.text);
    else
        say(who, "reached through link %s (Route.tbl line %u)", route->link->node.text, route->line);
    if (node != NULL)
        say(who, "Ovdfile.dat line %u: host-kind %s%s%s%s", node->line, host_system_name(node->system),
            name8_empty(node->mailman) ? "" : ", mailman ", node->mailman.text,
            node->users_listed ? ", users=listed" : "");
    else if ((*border->tables)->has_ovdfile)
        say(who, "not in Ovdfile.dat (unlisted-nodes = %s)", border->unlisted_are_cms ? "cms" : "refuse");
    const char *name = hostusers_find(&(*border->tables)->hostusers, who->host);
    if (name != NULL)
        say(who, "in Hostusers.csv%s%s", name[0] != '\0' ? " as " : "", name);
    if (route != NULL && border_may_send(border, who->host, route->link->node, false, &why) == -1)
        say(who, "may not send: %s", why.text);
    else
        describe_right(border, who);
}

/* An address at a node of ours: the connector's own user ids are told here, the others by the ledger. */
static void describe_own(const struct border *border, struct who *who)
{
    static const char *const services[] = {
        [SERVICE_REGISTRAR] = "takes commands of host users by letter and message ([addressing] registrar-id)",
        [SERVICE_IN_BODY] = "takes notes of host users with Internet addresses in the text ([addressing] in-body-id)",
        [SERVICE_DUMMY] = "stands for people without an address; mail to it is refused ([addressing] dummy-address)"
    };
    enum border_service service = border_service(border, who->host);
    if (service != SERVICE_NONE)
        say(who, "%s %s", host_address_text(who->host).text, services[service]);
    else
        who->ask_host = true;
}

int who_begin(const struct border *border, const struct registry_policy *policy, struct span text, struct who *who_r,
              struct err *err)
{
    struct err why = ERR_CLEAR;
    struct mailkey key;
    *who_r = (struct who){ .registers = policy->on };
    text = span_trim(text);
    if (border_is_postmaster(border, text)) {
        say(who_r, "the postmaster of this connector; mail to it goes to the one of the configuration");
        return 0;
    }
    who_r->is_host = host_address_parse_any(text, &who_r->host, NULL) == 0;
    if (!who_r->is_host) {
        who_r->host = (struct host_address){ .node = { .text = "" } };
        if (mailkey_of(text, &key, err) == -1)
            return -1;
        if (border_from_mail(border, text, &who_r->host, &why) == -1 && !border_is_ours(border, who_r->host.node)) {
            if (border_service(border, who_r->host) == SERVICE_NONE)
                who_r->host = (struct host_address){ .node = { .text = "" } };
        }
    }
    bool ours = !name8_empty(who_r->host.user) &&
                (border_is_ours(border, who_r->host.node) || border_service(border, who_r->host) != SERVICE_NONE);
    if (!who_r->is_host && why.id != ERR_NONE && (ours || why.id != ERR_RELAY_DENIED))
        say(who_r, "mail to it is refused here: %s", why.text);
    if (ours)
        describe_own(border, who_r);
    else if (!name8_empty(who_r->host.user))
        describe_host(border, who_r);
    else if (why.id == ERR_RELAY_DENIED) /* an address of the Internet */
        who_r->key = key;
    return 0;
}

int who_finish(struct db *db, struct who *who, struct err *err)
{
    struct err why = ERR_CLEAR;
    if (who->ask_host) {
        if (registry_resolve_in(db, who->host, &who->owner, &why) == -1 && err_family(why.id) != ERR_FAMILY_PERMANENT) {
            *err = why;
            return -1;
        }
        if (why.id != ERR_NONE)
            say(who, "mail to it is refused: %s", why.text);
        if (who->owner.postmaster)
            say(who, "the postmaster of this connector, who also sends its reports");
        else if (why.id == ERR_NONE)
            say(who, "%s is %s (%s; kind of address: %s)", host_address_text(who->host).text, who->owner.person.address,
                person_source_name(who->owner.person.source), host_kind_name(who->owner.host.kind));
        return 0;
    }
    if (who->key.text[0] == '\0')
        return 0;
    int found = person_find(db, who->key.text, &who->owner.person, err);
    if (found == 1) {
        struct person_host shown;
        int main = person_main(db, who->owner.person.key, &shown, err);
        if (main == -1)
            return -1;
        struct host_address host = { .node = shown.node, .user = shown.user };
        if (main == 1)
            say(who, "%s is shown to host users as %s (%s)", who->key.text, host_address_text(host).text,
                person_source_name(who->owner.person.source));
    }
    if (found == 0)
        say(who, "%s has no host address; %s", who->key.text,
            who->registers ? "the first letter to a host user makes one" : "registration is off");
    return found == -1 ? -1 : 0;
}
