/* The two written forms of a host address. Both ways are exact: what is encoded here is decoded to the same address,
 * for every user id that a host can have. */
#include "address/hostaddress.h"

#include <stdio.h>

struct host_address_text host_address_text(struct host_address address)
{
    struct host_address_text text;
    (void)snprintf(text.text, sizeof text.text, "%s(%s)", address.node.text, address.user.text);
    return text;
}

int host_address_parse(struct span text, struct host_address *address_r, struct err *err)
{
    struct span whole = span_trim(text);
    struct reader reader = reader_of(whole);
    struct span node = span_trim(reader_until(&reader, '('));
    struct span user = span_trim(reader.rest);
    if (user.size == 0 || user.at[user.size - 1] != ')') {
        char shown[64];
        span_to_text(text, shown, sizeof shown);
        return err_set(err, ERR_BAD_ADDRESS, "\"%s\" is not of the form NODE(USER)", shown);
    }
    user = span_trim(span_slice(user, 0, user.size - 1));
    if (name8_parse(node, "node", &address_r->node, err) == -1 ||
        name8_parse(user, "user id", &address_r->user, err) == -1)
        return -1;
    return 0;
}

static bool stands_for_itself(char letter)
{
    return (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') || letter == '#' || letter == '$' ||
           letter == '_' || letter == '-';
}

int host_address_parse_any(struct span text, struct host_address *address_r, struct err *err)
{
    static const char profs[] = "PROFS:";
    text = span_trim(text);
    if (text.size > 1 && text.at[0] == '[' && text.at[text.size - 1] == ']')
        text = span_slice(text, 1, text.size - 2);
    if (span_equal_nocase(span_slice(text, 0, sizeof profs - 1), SPAN_LITERAL(profs)))
        text = span_slice(text, sizeof profs - 1, text.size);
    struct reader reader = reader_of(text);
    struct span parts[3] = { SPAN_EMPTY, SPAN_EMPTY, SPAN_EMPTY };
    size_t count = 0;
    while (count < 3 && span_find(text, '/') < text.size && (count == 0 || reader.rest.size > 0))
        parts[count++] = span_trim(reader_until(&reader, '/'));
    if (count < 2)
        return host_address_parse(text, address_r, err);
    /* the gateway, where there is one, does not matter any more */
    return reader.rest.size > 0 || name8_parse(parts[count - 2], "node", &address_r->node, err) == -1 ||
                   name8_parse(parts[count - 1], "user id", &address_r->user, err) == -1
               ? err_set(err, ERR_BAD_ADDRESS, "that is no host address; write NODE(USER)")
               : 0;
}

void host_local_encode(struct name8 user, struct buf *to)
{
    for (const char *letter = user.text; *letter != '\0'; letter++) {
        if (!stands_for_itself(*letter))
            buf_printf(to, "=%02x", (unsigned char)*letter);
        else
            buf_add_u8(to, (uint8_t)(*letter >= 'A' && *letter <= 'Z' ? *letter - 'A' + 'a' : *letter));
    }
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

int host_local_decode(struct span local, struct name8 *user_r, struct err *err)
{
    char plain[NAME8_MAX + 2];
    size_t size = 0;
    struct reader reader = reader_of(local);
    while (!reader_at_end(&reader) && size < sizeof plain) {
        uint8_t byte = reader_u8(&reader);
        if (byte == '=') {
            int high = hex_digit(reader_u8(&reader));
            int low = hex_digit(reader_u8(&reader));
            if (high == -1 || low == -1)
                return err_set(err, ERR_BAD_ADDRESS, "= in the local part is not followed by two hexadecimal digits");
            byte = (uint8_t)(high << 4 | low);
        }
        plain[size++] = (char)byte;
    }
    return name8_parse(span_of(plain, size), "user id", user_r, err);
}

bool host_node_is_label(struct name8 node)
{
    size_t size = strlen(node.text);
    for (size_t i = 0; i < size; i++) {
        char letter = node.text[i];
        bool hyphen = letter == '-' && i > 0 && i + 1 < size;
        if (!hyphen && !(letter >= 'A' && letter <= 'Z') && !(letter >= '0' && letter <= '9'))
            return false;
    }
    return size > 0;
}
