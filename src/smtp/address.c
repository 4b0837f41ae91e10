/* Splits envelope addresses. Why it is not "everything before the @": a quoted local part may hold one, and a gateway
 * that takes the wrong @ gives the letter to the wrong person. */
#include "smtp/address.h"

/* Without its quotes. False where the quotes do not end. */
static bool take_local(struct reader *in, char *to_r, size_t room)
{
    size_t size = 0;
    bool quoted = in->rest.size > 0 && in->rest.at[0] == '"';
    if (quoted)
        reader_skip(in, 1);
    for (;;) {
        if (!quoted && (in->rest.size == 0 || in->rest.at[0] == '@'))
            break;
        uint8_t byte = reader_u8(in);
        if (quoted && byte == '"')
            break;
        if (quoted && byte == '\\')
            byte = reader_u8(in);
        if (in->failed || byte == '\0' || size + 1 == room)
            return false;
        to_r[size++] = (char)byte;
    }
    to_r[size] = '\0';
    return size > 0;
}

bool smtp_address_split(struct span address, struct smtp_address *address_r)
{
    *address_r = (struct smtp_address){ .local = "" };
    struct reader in = reader_of(address);
    if (!take_local(&in, address_r->local, sizeof address_r->local))
        return false;
    if (in.rest.size == 0)
        return true;
    struct span domain = span_slice(in.rest, 1, SIZE_MAX);
    if (in.rest.at[0] != '@' || domain.size == 0 || domain.size > SMTP_DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < domain.size; i++) {
        uint8_t byte = domain.at[i];
        if (byte == '\0' || byte == '@')
            return false;
        address_r->domain[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
    }
    return true;
}
