/* Who may connect. A wrong answer here opens a door or shuts out a neighbour, so an entry that could mean two things
 * (address bits beyond the prefix) is refused when the configuration is read, with the network it probably means. */
#include "base/allow.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

enum { ALLOW_BITS = 128, ALLOW_MAPPED_BITS = 96, ALLOW_ENTRY_TEXT_MAX = 63 };

static void map_ipv4(const uint8_t four[4], uint8_t sixteen_r[16])
{
    memset(sixteen_r, 0, 10);
    memset(sixteen_r + 10, 0xFF, 2);
    memcpy(sixteen_r + 12, four, 4);
}

/* Clears the bits beyond the prefix; true where one was set. */
static bool clear_host_bits(struct allow_network *network)
{
    bool found = false;
    for (unsigned bit = network->prefix; bit < ALLOW_BITS; bit++) {
        uint8_t mask = (uint8_t)(0x80U >> (bit % 8));
        found = found || (network->address[bit / 8] & mask) != 0;
        network->address[bit / 8] &= (uint8_t)~mask;
    }
    return found;
}

static void network_text(const struct allow_network *network, bool ipv4, char text_r[INET6_ADDRSTRLEN])
{
    if (ipv4)
        (void)inet_ntop(AF_INET, network->address + 12, text_r, INET6_ADDRSTRLEN);
    else
        (void)inet_ntop(AF_INET6, network->address, text_r, INET6_ADDRSTRLEN);
}

static int parse_prefix(const char *text, unsigned max, unsigned *prefix_r)
{
    size_t size = strlen(text);
    if (size == 0 || size > 3 || strspn(text, "0123456789") != size)
        return -1;
    unsigned prefix = 0;
    for (const char *digit = text; *digit != '\0'; digit++)
        prefix = prefix * 10 + (unsigned)(*digit - '0');
    if (prefix > max)
        return -1;
    *prefix_r = prefix;
    return 0;
}

static int parse_entry(struct span entry, struct allow_network *network_r, struct err *err)
{
    char text[ALLOW_ENTRY_TEXT_MAX + 1];
    span_to_text(entry, text, sizeof text);
    if (entry.size > ALLOW_ENTRY_TEXT_MAX)
        return err_set(err, ERR_CONFIG, "the entry \"%s…\" is too long for an address", text);
    char shown[ALLOW_ENTRY_TEXT_MAX + 1];
    memcpy(shown, text, sizeof shown);
    char *slash = strchr(text, '/');
    if (slash != NULL)
        *slash = '\0';
    uint8_t four[4];
    bool ipv4 = inet_pton(AF_INET, text, four) == 1;
    if (ipv4)
        map_ipv4(four, network_r->address);
    else if (inet_pton(AF_INET6, text, network_r->address) != 1)
        return err_set(err, ERR_CONFIG,
                       "\"%s\" is no address; give addresses or networks such as 192.0.2.20, "
                       "192.0.2.0/24 or ::1, separated by blanks",
                       shown);
    unsigned width = ipv4 ? ALLOW_BITS - ALLOW_MAPPED_BITS : ALLOW_BITS;
    unsigned prefix = width;
    if (slash != NULL && parse_prefix(slash + 1, width, &prefix) == -1)
        return err_set(err, ERR_CONFIG, "\"%s\": what follows the / must be a number of bits from 0 to %u", shown,
                       width);
    network_r->prefix = ipv4 ? prefix + ALLOW_MAPPED_BITS : prefix;
    if (clear_host_bits(network_r)) {
        char likely[INET6_ADDRSTRLEN];
        network_text(network_r, ipv4, likely);
        return err_set(err, ERR_CONFIG, "\"%s\" has address bits beyond its prefix; for the network write %s/%u", shown,
                       likely, prefix);
    }
    return 0;
}

static int add_network(struct allow_list *list, const struct allow_network *network, struct err *err)
{
    if (list->count == ALLOW_ENTRIES_MAX)
        return err_set(err, ERR_TOO_MANY, "more than %d addresses in one list", ALLOW_ENTRIES_MAX);
    struct allow_network *grown = mem_realloc(list->networks, (list->count + 1) * sizeof *grown);
    if (grown == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for a list of addresses");
    list->networks = grown;
    list->networks[list->count++] = *network;
    return 0;
}

static bool is_separator(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

int allow_parse(struct span text, struct allow_list *list_r, struct err *err)
{
    *list_r = (struct allow_list){ .count = 0 };
    struct reader reader = reader_of(text);
    while (!reader_at_end(&reader)) {
        size_t size = 0;
        while (size < reader.rest.size && !is_separator(reader.rest.at[size]))
            size++;
        struct span entry = reader_take(&reader, size);
        if (!reader_at_end(&reader))
            reader_skip(&reader, 1);
        if (entry.size == 0)
            continue;
        struct allow_network network = { .prefix = 0 };
        if (parse_entry(entry, &network, err) == -1 || add_network(list_r, &network, err) == -1) {
            allow_free(list_r);
            return -1;
        }
    }
    return 0;
}

void allow_free(struct allow_list *list)
{
    mem_free(list->networks);
    *list = (struct allow_list){ .count = 0 };
}

/* The sixteen bytes of an address, IPv4 in mapped form; false for other families. */
static bool address_bytes(const struct sockaddr *address, uint8_t bytes_r[16])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        uint8_t bytes[4];
        memcpy(bytes, &four.sin_addr, sizeof bytes);
        map_ipv4(bytes, bytes_r);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        memcpy(bytes_r, &six.sin6_addr, 16);
        return true;
    }
    return false;
}

int allow_add(struct allow_list *list, const struct sockaddr *address, struct err *err)
{
    struct allow_network network = { .prefix = ALLOW_BITS };
    if (!address_bytes(address, network.address))
        return err_set(err, ERR_CONFIG, "an address of family %d cannot be in a list of addresses", address->sa_family);
    return add_network(list, &network, err);
}

static bool network_has(const struct allow_network *network, const uint8_t bytes[16])
{
    size_t whole = network->prefix / 8;
    if (memcmp(network->address, bytes, whole) != 0)
        return false;
    unsigned rest = network->prefix % 8;
    return rest == 0 || ((network->address[whole] ^ bytes[whole]) & (0xFF00U >> rest) & 0xFFU) == 0;
}

bool allow_has(const struct allow_list *list, const struct sockaddr *address)
{
    uint8_t bytes[16];
    if (!address_bytes(address, bytes))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (network_has(&list->networks[i], bytes))
            return true;
    return false;
}
