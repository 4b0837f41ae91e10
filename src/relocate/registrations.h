/* registrations: who has which host address, as this and other systems write it down, taken apart for `ovvm register
 * import`; and what other systems' tables of users and routes are in ours.
 *
 * Be liberal: forms that differ between sites are understood where their sense is clear; an error names the line.
 */
#ifndef OVVM_RELOCATE_REGISTRATIONS_H
#define OVVM_RELOCATE_REGISTRATIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/name8.h"

enum registrations_form {
    FORM_CSV,     /* columns by the names in the first line, or by what is in them; ours are host,address,name,… */
    FORM_JOURNAL, /* lines of the log: "registered person=… host=… address=<…>" and "retired host=…" */
    FORM_NAMES,   /* a CMS NAMES file: entries :nick. with an Internet address in one of their tags */
    FORM_SECURE,  /* SECURETABLE of the SMTP server of z/OS and VM: USERID NODE [NICKNAME …] */
    FORM_UNIXNJE_ROUTES, /* ROUTE NODE LINK … */
    FORMS
};
/* FORMS: there is none of this name. */
enum registrations_form registrations_form_find(const char *name);
/* FORM_SECURE and FORM_UNIXNJE_ROUTES hold no registrations but lines for our own tables. */
static inline bool registrations_form_is_table(enum registrations_form form)
{
    return form == FORM_SECURE || form == FORM_UNIXNJE_ROUTES;
}

struct registration {
    size_t line;         /* from 1 */
    bool retired;        /* mail to `host` was refused from then on */
    struct span host;    /* in any written form; empty: as a sender would get one */
    struct span address; /* as written; empty where retired */
    struct span name;    /* may be empty */
    struct span kind;    /* as in the log; empty: not said */
    int64_t at_us;       /* 0: not said */
};

/* `each` is called for every registration and may return -1 with its error. `node`: ours, for NAMES. BAD_CONTENT "line
 * N: …". Spans live until `each` returns. */
int registrations_read(struct span text, enum registrations_form form, struct name8 node,
                       int (*each)(void *arg, const struct registration *registration, struct err *err), void *arg,
                       struct err *err);
/* The lines for Access.tbl or Route.tbl, appended, what they were as comments. */
int registrations_tables(struct span text, enum registrations_form form, struct buf *to, struct err *err);

#endif
