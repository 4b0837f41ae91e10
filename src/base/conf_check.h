/* conf_check: what is wrong between the values of a configuration, and where each was given. Between conf.c and
 * conf_check.c only. */
#ifndef OVVM_BASE_CONF_CHECK_H
#define OVVM_BASE_CONF_CHECK_H

#include "base/conf.h"
#include "base/conf_table.h"

/* Where a section and its keys stand in the file; 0: not given. */
struct conf_place {
    unsigned line;
    unsigned key_lines[CONF_KEYS_MAX];
    bool sound[CONF_KEYS_MAX]; /* a value is there and was understood */
};

struct conf_reading {
    struct conf *conf;
    struct conf_problems *problems;
    struct conf_place places[CONF_SECTIONS]; /* of the sections that stand once */
    struct conf_place *links;                /* beside conf->links */
    bool routes_unsure;                      /* a link's name or nodes had a problem: what is reached is not known */
};

void conf_problem_add(struct conf_problems *problems, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The key's place in its section; it must exist. */
size_t conf_key_index(enum conf_section_id section, const char *name);
void conf_check(struct conf_reading *reading);

#endif
