/* ovdfile: Ovdfile.dat, the nodes of the host network that may exchange mail with us, and what kind of system each is.
 *
 * A line is NODE MAILMAN LOCATION and then name=value columns (Q174101; DF-01 to DF-09): mailman `CMS` with location
 * `CMS` for a node whose users get CMS files themselves, `LOCAL` for nodes of ours, else the user id of the host's
 * Distribution Manager. Columns 1-8 and 17-19 of the host's REMLOC entry are node and location.
 */
#ifndef OVVM_ADDRESS_OVDFILE_H
#define OVVM_ADDRESS_OVDFILE_H

#include "address/hostaddress.h"
#include "base/conf.h"

enum { OVDFILE_NODES_MAX = 20000, OVDFILE_PAGE_SIZE = 16 };

/* host-kind= (spec of each: how mail and files go out, doc/architecture.md "What a host user sees"). */
enum host_system {
    SYSTEM_CMS,
    SYSTEM_PROFS,
    SYSTEM_OVVM,
    SYSTEM_TSO,
    SYSTEM_NJE38,
    SYSTEM_CMS370,
    SYSTEM_MAILER,
    SYSTEMS
};
const char *host_system_name(enum host_system system);

struct ovdnode {
    struct name8 node;
    struct name8 mailman; /* empty: none (CMS, LOCAL) */
    char location[4];     /* "" for a CMS node */
    bool local;           /* one of ours */
    bool users_listed;    /* users=listed: its users are those of Hostusers.csv, and nobody else */
    enum host_system system;
    char code_page[OVDFILE_PAGE_SIZE]; /* "": the link's */
    unsigned max_lrecl;                /* 0: the system's */
    unsigned line;
};

struct ovdfile {
    struct ovdnode *nodes; /* sorted by node */
    size_t count;
};

/* Reads the whole table for our node `own` with our `location` (may be empty), and our further nodes `also` (NULL:
 * none). -1 CONFIG naming the line and the remedy; *file_r is empty then. Refused: the shipped sample, a node or
 * location given twice, no LOCAL line for a node of ours. */
int ovdfile_parse(struct span text, struct name8 own, struct name8 location, const struct conf_nodes *also,
                  struct ovdfile *file_r, struct err *err);
void ovdfile_free(struct ovdfile *file);
/* NULL: not listed. */
const struct ovdnode *ovdfile_find(const struct ovdfile *file, struct name8 node);

#endif
