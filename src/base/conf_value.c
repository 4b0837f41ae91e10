/* Values of the configuration. Each error is one sentence: what was written, what is wrong with it, what is wanted,
 * an example, so that nobody needs the manual to mend a line. A secret's contents never get into an error. */
#include "base/conf_value.h"

#include "base/allow.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    SHOWN_MAX = 48, /* of a value, in an error */
    DOMAIN_MAX = 253,
    LABEL_MAX = 63,
    LOCAL_PART_MAX = 64,
    SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1,
    SECRET_FILE_MAX = 256,
    NODES_MAX = 4096,
    NJE_PASSWORD_MAX = 8
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* Takes the next word off the front; false at the end. */
static bool next_word(struct span *rest, struct span *word_r)
{
    struct span text = span_trim(*rest);
    size_t size = 0;
    while (size < text.size && text.at[size] != ' ' && text.at[size] != '\t')
        size++;
    *word_r = span_slice(text, 0, size);
    *rest = span_slice(text, size, text.size);
    return size > 0;
}

/* --- what a text must be: NULL where it is, else what is wrong --- */

bool conf_domain_ok(struct span text, const char **why_r)
{
    bool digits_only = false;
    *why_r = NULL;
    if (text.size == 0)
        *why_r = "is no domain";
    else if (text.size > DOMAIN_MAX)
        *why_r = "is longer than 253 characters";
    struct reader labels = reader_of(text);
    while (*why_r == NULL && !reader_at_end(&labels)) {
        struct span label = reader_until(&labels, '.');
        if (label.size == 0)
            *why_r = "has an empty part between dots";
        else if (label.size > LABEL_MAX)
            *why_r = "has a part longer than 63 characters";
        else if (label.at[0] == '-' || label.at[label.size - 1] == '-')
            *why_r = "has a part that begins or ends with a hyphen";
        digits_only = true;
        for (size_t i = 0; i < label.size; i++) {
            if (label.at[i] >= 0x80)
                *why_r = "has letters beyond a-z (write the form that begins with xn--)";
            else if (!is_letter(label.at[i]) && !is_digit(label.at[i]) && label.at[i] != '-')
                *why_r = "has a character other than a-z 0-9 - and the dot";
            digits_only = digits_only && is_digit(label.at[i]);
        }
    }
    if (*why_r == NULL && text.at[text.size - 1] == '.')
        *why_r = "ends with a dot";
    if (*why_r == NULL && digits_only)
        *why_r = "is an address, not a name"; /* its last part is all digits, RFC 1123 §2.1 */
    return *why_r == NULL;
}

static const char *domain_wrong(struct span text)
{
    const char *why;
    (void)conf_domain_ok(text, &why);
    return why;
}

/* RFC 5321 §4.1.2: Dot-string "@" Domain. */
static const char *mailbox_wrong(struct span text)
{
    size_t at = span_find(text, '@');
    struct span local = span_slice(text, 0, at);
    if (at == text.size)
        return "has no @";
    if (local.size == 0 || local.size > LOCAL_PART_MAX)
        return "needs 1 to 64 characters before the @";
    for (size_t i = 0; i < local.size; i++) {
        uint8_t byte = local.at[i];
        bool dot_in_place = byte == '.' && i > 0 && i + 1 < local.size && local.at[i - 1] != '.';
        if (!is_letter(byte) && !is_digit(byte) && !dot_in_place && strchr("!#$%&'*+-/=?^_`{|}~", byte) == NULL)
            return "has a character before the @ that cannot stand there";
    }
    return domain_wrong(span_slice(text, at + 1, text.size));
}

static const char *path_wrong(struct span text)
{
    return text.size > 0 && text.at[0] == '/' ? NULL : "does not begin with a slash";
}

static const char *socket_wrong(struct span text)
{
    return text.size > SOCKET_PATH_MAX ? "is too long for a socket (107 characters)" : path_wrong(text);
}

static const char *url_wrong(struct span text)
{
    struct span scheme = SPAN_LITERAL("sqlite:");
    if (!span_starts_with(text, scheme))
        return "does not begin with sqlite:";
    return path_wrong(span_slice(text, scheme.size, text.size)) == NULL ? NULL : "has no absolute path after sqlite:";
}

static int address_family(struct span text)
{
    char address[INET6_ADDRSTRLEN];
    uint8_t binary[sizeof(struct in6_addr)];
    if (text.size >= sizeof address)
        return 0;
    span_to_text(text, address, sizeof address);
    if (inet_pton(AF_INET, address, binary) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, address, binary) == 1 ? AF_INET6 : 0;
}

/* A number of digits only, at most `most`. */
static bool digits(struct span text, int64_t most, int64_t *number_r)
{
    int64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        int64_t digit = text.at[i] - '0';
        if (!is_digit(text.at[i]) || digit > most || number > (most - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *number_r = number;
    return text.size > 0;
}

static const char *host_port_wrong(struct span text, bool literal_only)
{
    bool bracketed = text.size > 0 && text.at[0] == '[';
    size_t host_end = bracketed ? span_find(text, ']') : span_find(text, ':');
    struct span host = bracketed ? span_slice(text, 1, host_end - 1) : span_slice(text, 0, host_end);
    struct span after = span_slice(text, bracketed ? host_end + 1 : host_end, text.size);
    int64_t port;
    if (after.size == 0 || after.at[0] != ':')
        return "has no port";
    if (bracketed && address_family(host) != AF_INET6)
        return "has something other than an IPv6 address in brackets";
    if (!bracketed && span_find(span_slice(after, 1, after.size), ':') != after.size - 1)
        return "has more than one colon (an IPv6 address goes in brackets)";
    if (!digits(span_slice(after, 1, after.size), 65535, &port) || port == 0)
        return "has a port that is no number from 1 to 65535";
    if (bracketed || address_family(host) == AF_INET)
        return NULL;
    return literal_only ? "does not begin with an IP address" : domain_wrong(host);
}

static const char *peer_wrong(struct span text)
{
    return host_port_wrong(text, false);
}

static const char *listen_wrong(struct span text)
{
    return host_port_wrong(text, true);
}

static const char *relay_wrong(struct span text)
{
    struct span scheme = SPAN_LITERAL("lmtp:");
    if (span_starts_with(text, scheme) && text.size > scheme.size && text.at[scheme.size] == '/')
        return socket_wrong(span_slice(text, scheme.size, text.size));
    return peer_wrong(text);
}

/* Only what libldap is given as it stands: one server, no base or filter in it, which are keys of their own. */
static const char *ldap_wrong(struct span text)
{
    struct span at = span_slice(text, span_find(text, ':') + 3, text.size);
    if (span_starts_with(text, SPAN_LITERAL("ldapi://")))
        return at.size > 0 ? NULL : "names no socket";
    if (!span_starts_with(text, SPAN_LITERAL("ldap://")) && !span_starts_with(text, SPAN_LITERAL("ldaps://")))
        return "does not begin with ldap://, ldaps:// or ldapi://";
    if (span_find(at, '/') < at.size)
        return "has a path; the base has a key of its own";
    bool bracketed = at.size > 0 && at.at[0] == '[' && at.at[at.size - 1] == ']';
    return span_find(at, ':') < at.size && !bracketed ? peer_wrong(at) : at.size > 0 ? NULL : "names no server";
}

static const char *ipv4_wrong(struct span text)
{
    return address_family(text) == AF_INET ? NULL : "is no IPv4 address";
}

static const char *host_wrong(struct span text)
{
    struct name8 name;
    size_t open = span_find(text, '(');
    bool closed = text.size > 0 && text.at[text.size - 1] == ')';
    return closed && name8_parse(span_slice(text, 0, open), "node", &name, NULL) == 0 &&
                   name8_parse(span_slice(text, open + 1, text.size - open - 2), "user id", &name, NULL) == 0
               ? NULL
               : "is no host address";
}

/* --- what the types have in common --- */

struct type_row {
    const char *wanted;
    const char *(*wrong)(struct span text); /* of the whole, or of each word; NULL: nothing to look at */
    bool words;
};

static const struct type_row types[] = {
    [CONF_NAME8] = { "1 to 8 of the characters A-Z 0-9 @ # $ _ -", NULL, false },
    [CONF_DOMAIN] = { "a domain name", domain_wrong, false },
    [CONF_DOMAINS] = { "one or more domain names, with blanks between", domain_wrong, true },
    [CONF_TEXT] = { "text", NULL, true },
    [CONF_MAILBOX] = { "a mail address", mailbox_wrong, false },
    [CONF_HOST] = { "NODE(USER), each of 1 to 8 of the characters A-Z 0-9 @ # $ _ -", host_wrong, false },
    [CONF_URL] = { "sqlite: and an absolute path", url_wrong, false },
    [CONF_PATH] = { "an absolute path", path_wrong, false },
    [CONF_SOCKET] = { "an absolute path", socket_wrong, false },
    [CONF_PEER] = { "host:port or [IPv6 address]:port", peer_wrong, false },
    [CONF_LISTEN] = { "IP address:port", listen_wrong, false },
    [CONF_LISTENS] = { "one or more of IP address:port, with blanks between", listen_wrong, true },
    [CONF_NETWORKS] = { "IP addresses or networks (address/bits), with blanks between", NULL, true },
    [CONF_RELAY] = { "host:port or lmtp:/path", relay_wrong, false },
    [CONF_LDAP] = { "ldap://host, ldaps://host or ldapi://path", ldap_wrong, false },
    [CONF_IPV4] = { "an IPv4 address", ipv4_wrong, false },
    [CONF_SECRET] = { "the absolute path of a file", path_wrong, false },
    [CONF_COUNT] = { NULL, NULL, false },
    [CONF_SIZE] = { NULL, NULL, false },
    [CONF_DURATION] = { NULL, NULL, false },
    [CONF_CHOICE] = { NULL, NULL, false },
    [CONF_NODES] = { "node names of 1 to 8 characters with blanks between, or *", NULL, true },
};

struct suffix {
    char letter;
    int64_t worth;
};

static const struct suffix size_suffixes[] = { { 'G', INT64_C(1) << 30 }, { 'M', 1 << 20 }, { 'K', 1 << 10 } };
static const struct suffix time_suffixes[] = {
    { 'd', CLOCK_DAY }, { 'h', CLOCK_HOUR }, { 'm', CLOCK_MINUTE }, { 's', CLOCK_SECOND }
};

static void show_scaled(int64_t number, const struct suffix *suffixes, size_t count, char *to_r, size_t room)
{
    for (size_t i = 0; i < count; i++) {
        if (number % suffixes[i].worth == 0) {
            (void)snprintf(to_r, room, "%" PRId64 "%c", number / suffixes[i].worth, suffixes[i].letter);
            return;
        }
    }
    (void)snprintf(to_r, room, "%" PRId64, number);
}

void conf_value_wanted(const struct conf_key *key, char *to_r, size_t room)
{
    char least[32], most[32];
    switch (key->type) {
    case CONF_COUNT:
        (void)snprintf(to_r, room, "a number from %" PRId64 " to %" PRId64 " (%s)", key->least, key->most, key->unit);
        break;
    case CONF_SIZE:
        show_scaled(key->least, size_suffixes, 3, least, sizeof least);
        show_scaled(key->most, size_suffixes, 3, most, sizeof most);
        (void)snprintf(to_r, room, "a size from %s to %s (octets, or with K, M or G)", least, most);
        break;
    case CONF_DURATION:
        show_scaled(key->least, time_suffixes, 4, least, sizeof least);
        show_scaled(key->most, time_suffixes, 4, most, sizeof most);
        (void)snprintf(to_r, room, "a time from %s to %s (a number and s, m, h or d)", least, most);
        break;
    case CONF_CHOICE: {
        struct buf all = { .limit = room };
        for (size_t i = 0; key->choices[i] != NULL; i++)
            buf_printf(&all, "%s%s", i == 0 ? "one of " : ", ", key->choices[i]);
        span_to_text(buf_span(&all), to_r, room);
        buf_free(&all);
        break;
    }
    default:
        (void)snprintf(to_r, room, "%s", types[key->type].wanted);
        break;
    }
}

static int wrong(const struct conf_key *key, struct span text, const char *why, struct err *err)
{
    char shown[SHOWN_MAX + 1], wanted[128];
    span_to_text(text, shown, sizeof shown);
    conf_value_wanted(key, wanted, sizeof wanted);
    return err_set(err, ERR_CONFIG, "\"%s%s\" %s; write %s, for example %s", shown, text.size > SHOWN_MAX ? "..." : "",
                   why, wanted, key->example);
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* --- the setters, one for each C type --- */

/* Words are joined with one blank. */
static int set_text(const struct conf_key *key, struct span text, char **to, struct err *err)
{
    const struct type_row *type = &types[key->type];
    const char *why = NULL;
    struct buf all = { 0 };
    struct span rest = text, word;
    if (!type->words) {
        if ((why = type->wrong(text)) != NULL)
            return wrong(key, text, why, err);
        buf_add_span(&all, text);
    }
    while (type->words && next_word(&rest, &word)) {
        if (type->wrong != NULL && (why = type->wrong(word)) != NULL) {
            buf_free(&all);
            return wrong(key, word, why, err);
        }
        buf_printf(&all, "%s%.*s", all.size > 0 ? " " : "", (int)word.size, (const char *)word.at);
    }
    if (key->type == CONF_DOMAIN || key->type == CONF_DOMAINS)
        for (size_t i = 0; i < all.size; i++)
            if (all.at[i] >= 'A' && all.at[i] <= 'Z')
                all.at[i] = (uint8_t)(all.at[i] + ('a' - 'A'));
    buf_add_u8(&all, 0);
    char *copy = all.failed ? NULL : mem_strdup((const char *)all.at);
    buf_free(&all);
    if (copy == NULL)
        return no_memory(err);
    *to = copy;
    return 0;
}

/* Asks the list's own reader, so that what is sound here is sound where it is used. */
static int set_networks(const struct conf_key *key, struct span text, char **to, struct err *err)
{
    struct allow_list list = { 0 };
    if (allow_parse(text, &list, err) == -1)
        return -1;
    allow_free(&list);
    return set_text(key, text, to, err);
}

static int set_scaled(const struct conf_key *key, struct span text, const struct suffix *suffixes, size_t count,
                      bool bare, int64_t *number_r, struct err *err)
{
    int64_t worth = bare ? 1 : 0;
    struct span number = text;
    for (size_t i = 0; i < count && text.size > 0; i++) {
        if (text.at[text.size - 1] == suffixes[i].letter) {
            worth = suffixes[i].worth;
            number = span_slice(text, 0, text.size - 1);
        }
    }
    if (worth == 0)
        return wrong(key, text, "has no unit", err);
    for (size_t i = 0; i < number.size; i++)
        if (!is_digit(number.at[i]))
            number.size = 0;
    if (number.size == 0)
        return wrong(key, text,
                     key->type == CONF_COUNT  ? "is no number"
                     : key->type == CONF_SIZE ? "is no size"
                                              : "is no time",
                     err);
    int64_t value;
    if (!digits(number, key->most / worth, &value) || value * worth < key->least)
        return wrong(key, text, "is out of range", err);
    *number_r = value * worth;
    return 0;
}

static int set_choice(const struct conf_key *key, struct span text, unsigned *to, struct err *err)
{
    for (unsigned i = 0; key->choices[i] != NULL; i++) {
        if (span_equal(text, span_text(key->choices[i]))) {
            *to = i;
            return 0;
        }
    }
    return wrong(key, text, "is none of the choices", err);
}

static int set_name8(const struct conf_key *key, struct span text, struct name8 *to, struct err *err)
{
    if (name8_parse(text, "name", to, NULL) == 0)
        return 0;
    return wrong(key, text, text.size > NAME8_MAX ? "is longer than 8 characters" : "is no name of a node", err);
}

static int set_nodes(const struct conf_key *key, struct span text, struct conf_nodes *to, struct err *err)
{
    struct span rest = text, word;
    while (next_word(&rest, &word)) {
        struct name8 name;
        if (span_equal(word, SPAN_LITERAL("*"))) {
            to->others = true;
            continue;
        }
        if (set_name8(key, word, &name, err) == -1)
            return -1;
        if (to->count == NODES_MAX)
            return wrong(key, word, "is one name too many (4096)", err);
        struct name8 *at = mem_realloc(to->at, (to->count + 1) * sizeof *at);
        if (at == NULL)
            return no_memory(err);
        to->at = at;
        to->at[to->count++] = name;
    }
    return 0;
}

/* Only a regular file is opened: opening a device or a pipe can block or do something. */
static const char *read_secret(const char *path, char *to_r, size_t room, size_t *size_r)
{
    struct stat status;
    if (stat(path, &status) == -1)
        return strerror(errno);
    if (!S_ISREG(status.st_mode))
        return "it is no regular file";
    if ((status.st_mode & S_IRWXO) != 0)
        return "all users may use it (chmod o= it)";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1)
        return strerror(errno);
    ssize_t got = read(fd, to_r, room);
    int error = errno;
    (void)close(fd); /* only read */
    if (got == -1)
        return strerror(error);
    *size_r = (size_t)got;
    return NULL;
}

static int set_secret(const struct conf_key *key, struct span text, char **to, struct err *err)
{
    char path[CONF_LINE_MAX], contents[SECRET_FILE_MAX];
    size_t size = 0;
    if (path_wrong(text) != NULL)
        return wrong(key, text, path_wrong(text), err);
    span_to_text(text, path, sizeof path);
    const char *why = read_secret(path, contents, sizeof contents, &size);
    struct span secret = span_trim_end(span_trim_end(span_of(contents, size), '\n'), '\r');
    if (why == NULL && (secret.size == 0 || secret.size > (size_t)key->most))
        why = key->most == NJE_PASSWORD_MAX ? "it does not hold one line of 1 to 8 characters"
                                            : "it does not hold one line, not too long";
    for (size_t i = 0; why == NULL && i < secret.size; i++)
        if (secret.at[i] < ' ' || secret.at[i] == 0x7F ||
            (key->most == NJE_PASSWORD_MAX && (secret.at[i] == ' ' || secret.at[i] > 0x7F)))
            why = "the password has a blank or a character beyond ASCII";
    if (why == NULL) {
        char whole[SECRET_FILE_MAX + 1];
        span_to_text(secret, whole, sizeof whole);
        *to = mem_strdup(whole);
        explicit_bzero(whole, sizeof whole);
    }
    explicit_bzero(contents, sizeof contents);
    if (why != NULL)
        return err_set(err, ERR_CONFIG, "cannot take a password from %.120s: %s", path, why);
    return *to != NULL ? 0 : no_memory(err);
}

int conf_value_set(const struct conf_key *key, struct span text, void *to, struct err *err)
{
    int64_t number = 0;
    if (text.size == 0)
        return wrong(key, text, "is empty", err);
    switch (key->type) {
    case CONF_NAME8:
        return set_name8(key, text, to, err);
    case CONF_NODES:
        return set_nodes(key, text, to, err);
    case CONF_CHOICE:
        return set_choice(key, text, to, err);
    case CONF_NETWORKS:
        return set_networks(key, text, to, err);
    case CONF_SECRET:
        return set_secret(key, text, to, err);
    case CONF_COUNT:
        if (set_scaled(key, text, NULL, 0, true, &number, err) == -1)
            return -1;
        *(unsigned *)to = (unsigned)number;
        return 0;
    case CONF_SIZE:
        if (set_scaled(key, text, size_suffixes, 3, true, &number, err) == -1)
            return -1;
        *(uint64_t *)to = (uint64_t)number;
        return 0;
    case CONF_DURATION:
        return set_scaled(key, text, time_suffixes, 4, false, to, err);
    default:
        return set_text(key, text, to, err);
    }
}

void conf_value_free(const struct conf_key *key, void *to)
{
    switch (key->type) {
    case CONF_NAME8:
    case CONF_COUNT:
    case CONF_SIZE:
    case CONF_DURATION:
    case CONF_CHOICE:
        break;
    case CONF_NODES: {
        struct conf_nodes *nodes = to;
        mem_free(nodes->at);
        *nodes = (struct conf_nodes){ 0 };
        break;
    }
    default: {
        char **text = to;
        if (key->type == CONF_SECRET && *text != NULL)
            explicit_bzero(*text, strlen(*text));
        mem_free(*text);
        *text = NULL;
        break;
    }
    }
}
