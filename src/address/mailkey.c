/* Keys of people. Two keys for one person would be two host addresses and a broken thread of replies; one key for two
 * people would send a reply to the wrong one. So whatever is not plainly an address is refused, and nothing is guessed:
 * no case folding, no plus signs, no dots taken out of a local part. */
#include "address/mailkey.h"

#include "base/utf8.h"

#include <idn2.h>
#include <stdlib.h>
#include <uninorm.h>

enum { LABEL_MAX = 63 };

/* --- local part --- */

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] >= 0x80)
            return false;
    return true;
}

/* Takes quotes and their backslashes off. */
static int unquote(struct span local, struct buf *to, struct err *err)
{
    bool quoted = local.size >= 2 && local.at[0] == '"' && local.at[local.size - 1] == '"';
    struct reader reader = reader_of(quoted ? span_slice(local, 1, local.size - 2) : local);
    while (!reader_at_end(&reader)) {
        uint8_t byte = reader_u8(&reader);
        if (quoted && byte == '\\') {
            if (reader_at_end(&reader))
                return err_set(err, ERR_BAD_ADDRESS, "the local part ends in a backslash");
            byte = reader_u8(&reader);
        } else if (byte == '"') {
            return err_set(err, ERR_BAD_ADDRESS, "the local part has a quote in its middle");
        } else if (!quoted && (byte == ' ' || byte == '<' || byte == '>' || byte == ',' || byte == '\\')) {
            return err_set(err, ERR_BAD_ADDRESS, "the local part has a '%c' outside quotes", byte);
        }
        buf_add_u8(to, byte);
    }
    return 0;
}

static int check_local(struct span local, struct err *err)
{
    if (local.size == 0)
        return err_set(err, ERR_BAD_ADDRESS, "the local part is empty");
    if (local.size > MAILKEY_LOCAL_MAX)
        return err_set(err, ERR_BAD_ADDRESS, "the local part is longer than %d octets", MAILKEY_LOCAL_MAX);
    for (struct span rest = local; rest.size > 0;) {
        uint32_t code = 0;
        size_t size = utf8_first(rest, &code);
        if (size == 0)
            return err_set(err, ERR_BAD_ADDRESS, "the local part is no UTF-8");
        if (utf8_is_control(code))
            return err_set(err, ERR_BAD_ADDRESS, "the local part has a control character");
        rest = span_slice(rest, size, rest.size);
    }
    return 0;
}

static int local_of(struct span local, struct buf *to, struct err *err)
{
    struct buf plain = { .limit = 4 * MAILKEY_SIZE };
    int result = local.size > 2 * MAILKEY_SIZE
                     ? err_set(err, ERR_BAD_ADDRESS, "the local part is longer than %d octets", MAILKEY_LOCAL_MAX)
                     : unquote(local, &plain, err);
    if (result == 0 && plain.failed)
        result = err_set(err, ERR_NO_MEMORY, "out of memory for an address");
    if (result == 0)
        result = check_local(buf_span(&plain), err);
    if (result == 0 && !is_ascii(buf_span(&plain))) {
        size_t size = 0;
        uint8_t *composed = u8_normalize(UNINORM_NFC, plain.at, plain.size, NULL, &size);
        if (composed == NULL)
            result = err_set(err, ERR_NO_MEMORY, "out of memory for an address");
        else
            result = check_local(span_of(composed, size), err);
        if (result == 0)
            buf_add(to, composed, size);
        free(composed);
    } else if (result == 0) {
        buf_add_span(to, buf_span(&plain));
    }
    buf_free(&plain);
    return result;
}

/* --- domain --- */

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

static bool is_label_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

/* Letters, digits, hyphens, and the underscore that some names have in spite of RFC 1123. */
static int add_labels(struct span domain, struct buf *to, struct err *err)
{
    struct reader labels = reader_of(domain);
    size_t count = 0;
    if (domain.size == 0 || domain.size > MAILKEY_DOMAIN_MAX || domain.at[domain.size - 1] == '.')
        return err_set(err, ERR_BAD_ADDRESS,
                       domain.size > MAILKEY_DOMAIN_MAX ? "the domain is longer than %d octets"
                                                        : "the domain is empty or ends in dots (at most %d octets)",
                       MAILKEY_DOMAIN_MAX);
    while (!reader_at_end(&labels)) {
        struct span label = reader_until(&labels, '.');
        if (label.size == 0 || label.size > LABEL_MAX)
            return err_set(err, ERR_BAD_ADDRESS, "a part of the domain is empty or longer than %d", LABEL_MAX);
        if (count++ > 0)
            buf_add_u8(to, '.');
        for (size_t i = 0; i < label.size; i++) {
            uint8_t byte = lower(label.at[i]);
            bool edge = i == 0 || i + 1 == label.size;
            if (!is_label_byte(byte) || (byte == '-' && edge))
                return err_set(err, ERR_BAD_ADDRESS, "the domain has a character where none such may be");
            buf_add_u8(to, byte);
        }
    }
    return 0;
}

/* [192.0.2.1], [IPv6:2001:db8::1] (RFC 5321 §4.1.3): kept as given, in lower case. */
static int add_literal(struct span domain, struct buf *to, struct err *err)
{
    if (domain.size < 4 || domain.size > LABEL_MAX || domain.at[domain.size - 1] != ']')
        return err_set(err, ERR_BAD_ADDRESS, "the domain is no address in brackets");
    for (size_t i = 0; i < domain.size; i++) {
        uint8_t byte = lower(domain.at[i]);
        bool bracket = (byte == '[' && i == 0) || (byte == ']' && i + 1 == domain.size);
        if (!bracket && byte != '.' && byte != ':' && (!is_label_byte(byte) || byte == '_'))
            return err_set(err, ERR_BAD_ADDRESS, "the domain is no address in brackets");
        buf_add_u8(to, byte);
    }
    return 0;
}

static int domain_of(struct span domain, struct buf *to, struct err *err)
{
    if (domain.size > 0 && domain.at[domain.size - 1] == '.')
        domain.size--;
    if (domain.size > 0 && domain.at[0] == '[')
        return add_literal(domain, to, err);
    if (is_ascii(domain))
        return add_labels(domain, to, err);
    if (domain.size > MAILKEY_SIZE)
        return err_set(err, ERR_BAD_ADDRESS, "the domain is longer than %d octets", MAILKEY_DOMAIN_MAX);
    char text[MAILKEY_SIZE + 1];
    char *ascii = NULL;
    if (memchr(domain.at, 0, domain.size) != NULL)
        return err_set(err, ERR_BAD_ADDRESS, "the domain has a control character");
    memcpy(text, domain.at, domain.size);
    text[domain.size] = '\0';
    int wrong = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (wrong == IDN2_MALLOC)
        return err_set(err, ERR_NO_MEMORY, "out of memory for an address");
    if (wrong != IDN2_OK)
        return err_set(err, ERR_BAD_ADDRESS, "the domain is no name: %s", idn2_strerror(wrong));
    struct span labels = span_text(ascii);
    if (labels.size > 0 && labels.at[labels.size - 1] == '.') /* an ideographic full stop at the end */
        labels.size--;
    int result = add_labels(labels, to, err);
    idn2_free(ascii);
    return result;
}

int mailkey_of(struct span address, struct mailkey *key_r, struct err *err)
{
    *key_r = (struct mailkey){ .text = "" };
    size_t at = address.size;
    while (at > 0 && address.at[at - 1] != '@')
        at--;
    if (at == 0)
        return err_set(err, ERR_BAD_ADDRESS, "the address has no @");
    struct buf key = { .limit = 2 * MAILKEY_SIZE };
    int result = local_of(span_slice(address, 0, at - 1), &key, err);
    buf_add_u8(&key, '@');
    if (result == 0)
        result = domain_of(span_slice(address, at, address.size), &key, err);
    if (result == 0 && key.failed)
        result = err_set(err, ERR_NO_MEMORY, "out of memory for an address");
    if (result == 0 && key.size >= MAILKEY_SIZE)
        result = err_set(err, ERR_BAD_ADDRESS, "the address is longer than %d octets", MAILKEY_SIZE - 1);
    if (result == 0)
        memcpy(key_r->text, key.at, key.size);
    buf_free(&key);
    return result;
}

/* --- a key's parts --- */

static size_t last_at(const struct mailkey *key)
{
    const char *at = strrchr(key->text, '@');
    return at != NULL ? (size_t)(at - key->text) : strlen(key->text);
}

struct span mailkey_local(const struct mailkey *key)
{
    return span_slice(span_text(key->text), 0, last_at(key));
}

struct span mailkey_domain(const struct mailkey *key)
{
    return span_slice(span_text(key->text), last_at(key) + 1, MAILKEY_SIZE);
}

/* RFC 5322 §3.2.3, and all that is not ASCII (RFC 6532 §3.2). */
static bool is_dot_atom(struct span local)
{
    static const char marks[] = "!#$%&'*+-/=?^_`{|}~";
    bool dot = true;
    for (size_t i = 0; i < local.size; i++) {
        uint8_t byte = local.at[i];
        bool letter = is_label_byte(lower(byte)) || byte >= 0x80 || memchr(marks, byte, sizeof marks - 1) != NULL;
        if (byte == '.' ? dot : !letter)
            return false;
        dot = byte == '.';
    }
    return !dot;
}

void mailkey_write(const struct mailkey *key, struct buf *to)
{
    struct span local = mailkey_local(key);
    if (is_dot_atom(local)) {
        buf_add_text(to, key->text);
        return;
    }
    buf_add_u8(to, '"');
    for (size_t i = 0; i < local.size; i++) {
        if (local.at[i] == '"' || local.at[i] == '\\')
            buf_add_u8(to, '\\');
        buf_add_u8(to, local.at[i]);
    }
    buf_add_text(to, "\"@");
    buf_add_span(to, mailkey_domain(key));
}
