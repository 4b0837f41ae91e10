/* rule: how people of the site get a host address from their name: `NODE(pattern)`, or as the classic product wrote it
 * `PROFS:NODE(pattern)` (PX-01, PX-02; Q169520, Q200233).
 *
 * A pattern is text mixed with variables, which begin with `&` or `%` and may be of either case: m the local part of
 * the mail address, g the given name, s the surname, i the initials, d the whole name without blanks; a number behind
 * takes that many leading characters (&S2). %rXY replaces X by Y in the values that follow, and deletes X where Y is
 * the same.
 * && and %% are themselves. "Last, First" is read as "First Last" (PX-03). What no user id can hold is dropped from a
 * value before its leading characters are counted, so blanks of a name and `&` itself never show.
 */
#ifndef OVVM_ADDRESS_RULE_H
#define OVVM_ADDRESS_RULE_H

#include "base/buf.h"
#include "base/name8.h"

enum { RULE_PARTS_MAX = 32, RULES_MAX = 64 };

struct rule_part {
    char kind;      /* m g s i d; r: replace; 0: text */
    uint8_t x, y;   /* r; text: x is the character */
    unsigned count; /* of leading characters; 0: all */
};

struct rule {
    struct name8 node;
    struct rule_part parts[RULE_PARTS_MAX];
    size_t count;
};

/* One rule for each node of ours that has its own (PX-08). */
struct rules {
    struct rule at[RULES_MAX];
    size_t count;
};

/* CONFIG, saying what is wrong with the rule. */
int rule_parse(struct span text, struct rule *rule_r, struct err *err);
/* Rules one after the other, with blanks between; each ends at its first `)`. CONFIG as above, or where two are for one
 * node. */
int rules_parse(struct span text, struct rules *rules_r, struct err *err);
/* The rule of this node; where none was given, NODE(&m). */
struct rule rules_of(const struct rules *rules, struct name8 node);
/* Appends the user id that the rule makes, not yet cut and perhaps not free: characters of userid_fold. Where the rule
 * gives nothing (no name, no letters) it is the local part; where that gives nothing, nothing. `local`: of the mail
 * key; `name`: the full name, UTF-8. */
void rule_apply(const struct rule *rule, struct span local, struct span name, struct buf *to);

#endif
