/* Making user ids. All of it is arithmetic on text; whether a name is free is the registry's question. */
#include "address/userid.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <uninorm.h>

enum { BASE = 36, TAIL_DIGITS = 6, PLAIN_DIGITS = 7 };

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

static bool is_letter(char letter)
{
    return letter >= 'A' && letter <= 'Z';
}

int userid_of_number(char prefix, int64_t number, struct name8 *user_r)
{
    *user_r = (struct name8){ .text = "" };
    if (number < 1)
        return -1;
    if (number <= USERID_PLAIN_NUMBERS) {
        (void)snprintf(user_r->text, sizeof user_r->text, "%c%07u", prefix, (unsigned)number);
        return 0;
    }
    int64_t rest = number - USERID_PLAIN_NUMBERS - 1;
    for (size_t i = NAME8_MAX - 1; i > NAME8_MAX - 1 - TAIL_DIGITS; i--) {
        user_r->text[i] = digits[rest % BASE];
        rest /= BASE;
    }
    if (rest >= 26) {
        *user_r = (struct name8){ .text = "" };
        return -1;
    }
    user_r->text[0] = prefix;
    user_r->text[1] = (char)('A' + rest);
    return 0;
}

bool userid_is_number(struct name8 user, char prefix)
{
    if (user.text[0] != prefix || strlen(user.text) != NAME8_MAX)
        return false;
    bool plain = is_digit(user.text[1]);
    if (!plain && !is_letter(user.text[1]))
        return false;
    for (size_t i = 2; i < NAME8_MAX; i++)
        if (!is_digit(user.text[i]) && (plain || !is_letter(user.text[i])))
            return false;
    return true;
}

bool userid_is_reserved(struct name8 user)
{
    static const char *const reserved[] = {
        /* keywords and programs of the hosts */
        "SYSTEM", "MAILER", "ROOT", "OPERATOR", "MAINT", "RSCS", "NJE", "NET", "JES2", "JES3", "VTAM", "TCPIP", "CMS",
        "TSO", "JOB", "PUNCH", "PRINT", "PRINTER", "READER", "LOCAL", "NULL", "NOBODY", "LISTSERV", "INMR",
        /* gateways */
        "VMGATE", "PROFS", "OV", "OFFICE", "SNADS", "DISOSS", "SMTP", "MHS", "X400", "FAX", "EMS", "LINKAGE",
        /* ours */
        USERID_POSTMASTER, "POSTMSTR", "ABUSE", "OVVM", "OVVMD"
    };
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(reserved[i], user.text) == 0)
            return true;
    return false;
}

/* --- folding --- */

/* Letters that do not come apart into one of A-Z and an accent. */
static const char *spelled(uint32_t code)
{
    static const struct {
        uint32_t code;
        const char *text;
    } letters[] = { { 0xC6, "AE" }, { 0xE6, "AE" }, { 0xD0, "D" },   { 0xF0, "D" },   { 0xD8, "O" },   { 0xF8, "O" },
                    { 0xDE, "TH" }, { 0xFE, "TH" }, { 0xDF, "SS" },  { 0x110, "D" },  { 0x111, "D" },  { 0x131, "I" },
                    { 0x141, "L" }, { 0x142, "L" }, { 0x152, "OE" }, { 0x153, "OE" }, { 0x1E9E, "SS" } };
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (letters[i].code == code)
            return letters[i].text;
    return NULL;
}

static void add_folded(uint32_t code, struct buf *to)
{
    const char *text = spelled(code);
    if (text != NULL)
        buf_add_text(to, text);
    else if (code >= 'a' && code <= 'z')
        buf_add_u8(to, (uint8_t)(code - 'a' + 'A'));
    else if ((code >= 'A' && code <= 'Z') || (code >= '0' && code <= '9') || code == '#' || code == '$' || code == '_')
        buf_add_u8(to, (uint8_t)code);
}

static void fold_each(struct span text, struct buf *to)
{
    while (text.size > 0) {
        uint32_t code = 0;
        size_t size = utf8_first(text, &code);
        if (size > 0)
            add_folded(code, to);
        text = span_slice(text, size > 0 ? size : 1, text.size);
    }
}

static bool is_sound(struct span text, bool *ascii_r)
{
    *ascii_r = true;
    while (text.size > 0) {
        uint32_t code = 0;
        size_t size = utf8_first(text, &code);
        if (size == 0)
            return false;
        *ascii_r = *ascii_r && size == 1;
        text = span_slice(text, size, text.size);
    }
    return true;
}

void userid_fold(struct span text, struct buf *to)
{
    bool ascii = false;
    size_t size = 0;
    if (!is_sound(text, &ascii) || ascii) {
        fold_each(text, to);
        return;
    }
    uint8_t *apart = u8_normalize(UNINORM_NFKD, text.at, text.size, NULL, &size);
    if (apart == NULL)
        to->failed = true;
    fold_each(span_of(apart, size), to);
    free(apart);
}

struct name8 userid_nth(struct span stem, int64_t n, char prefix)
{
    size_t most = stem.size > 0 && stem.at[0] == prefix ? NAME8_MAX - 1 : NAME8_MAX;
    char end[24] = "";
    struct name8 user = { .text = "" };
    if (n > 1)
        (void)snprintf(end, sizeof end, "%lld", (long long)n);
    size_t digit_count = strlen(end) < most ? strlen(end) : most;
    size_t kept = stem.size < most - digit_count ? stem.size : most - digit_count;
    memcpy(user.text, stem.at, kept);
    memcpy(user.text + kept, end, digit_count);
    return user;
}

struct span userid_stem(struct span folded)
{
    while (folded.size > 0 && folded.at[0] >= '0' && folded.at[0] <= '9')
        folded = span_slice(folded, 1, folded.size);
    return folded;
}

bool userid_fits(struct span stem, struct name8 user, char prefix)
{
    size_t size = strlen(user.text);
    int64_t n = 0;
    int64_t scale = 1;
    if (stem.size == 0)
        return userid_is_number(user, prefix);
    if (name8_equal(userid_nth(stem, 1, prefix), user))
        return true;
    /* each number that the digits at the end may be */
    for (size_t i = size; i > 0 && is_digit(user.text[i - 1]) && scale <= USERID_TRIES_MAX; i--, scale *= 10) {
        n += (user.text[i - 1] - '0') * scale;
        if (n > 1 && user.text[i - 1] != '0' && name8_equal(userid_nth(stem, n, prefix), user))
            return true;
    }
    return false;
}
