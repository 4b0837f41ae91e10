/* Any bytes as rules and as a name: a rule that is taken makes user ids of sound characters, and one of them is found
 * again as its own. */
#include "address/rule.h"
#include "address/userid.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct reader reader = reader_of(span_of(at, size));
    struct span text = reader_until(&reader, '\n');
    struct span local = reader_until(&reader, '\n');
    struct rules rules;
    struct err err = ERR_CLEAR;
    int result = rules_parse(text, &rules, &err);
    if ((result == -1) != (err.id != ERR_NONE))
        abort();
    for (size_t i = 0; result == 0 && i < rules.count; i++) {
        struct rule rule = rules_of(&rules, rules.at[i].node);
        struct buf made = { .limit = 1 << 20 };
        rule_apply(&rule, local, reader.rest, &made);
        struct span stem = userid_stem(buf_span(&made));
        for (size_t b = 0; b < stem.size; b++)
            if (stem.at[b] >= 0x80 || stem.at[b] <= ' ' || stem.at[b] == '@' || stem.at[b] == '-')
                abort();
        for (int64_t n = 1; stem.size > 0 && n <= USERID_TRIES_MAX; n = n * 7 + 3) {
            struct name8 user = userid_nth(stem, n, 'X');
            if (name8_empty(user) || userid_is_number(user, 'X') || !userid_fits(stem, user, 'X'))
                abort();
        }
        buf_free(&made);
    }
    return 0;
}
