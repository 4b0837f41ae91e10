/* people: people.csv, the site's own people on the Internet side and the host addresses they have; or the same from a
 * directory.
 *
 * CSV as in RFC 4180, UTF-8: address, full name, and any number of columns with host addresses, each NODE(USER) or only
 * USER; several may stand in one column with blanks or semicolons between. The first host address is the one that is
 * shown, the others are accepted; NODE() stands for one by the rule of that node. Empty lines and lines that begin with
 * `#` or `;` are passed over, and so is a first line whose first column is `address`. Who has no host address here gets
 * one by rule.
 */
#ifndef OVVM_ADDRESS_PEOPLE_H
#define OVVM_ADDRESS_PEOPLE_H

#include "address/hostaddress.h"
#include "address/ovdfile.h"

enum {
    PEOPLE_FILE_MAX = 128 << 20,
    PEOPLE_MAX = 500000,
    PEOPLE_HOSTS_MAX = 16,   /* host addresses of one person */
    PEOPLE_PROBLEMS_MAX = 20 /* that are told in words */
};

struct people_row {
    size_t address, name; /* where in `texts` they begin, each with its NUL; the address is the mail key */
    size_t hosts;         /* first in `hosts` */
    unsigned host_count;
    bool first_is_shown; /* else whichever of them is shown already, or else the first */
    bool dropped;        /* while reading: the address came before */
    unsigned line;
};

struct people {
    struct buf texts;
    struct people_row *rows; /* in the order of the text */
    size_t count;
    struct host_address *hosts; /* an empty user: by rule */
    size_t host_count;
    struct people_row **sorted; /* by address */
    size_t problem_count;       /* what was forgiven */
    struct buf problems;        /* the first of them, one line each */
};

/* What the rows are checked against. */
struct people_site {
    struct name8 node;                   /* of a host address without one */
    const struct conf_nodes *also_nodes; /* NULL, or: further nodes of ours */
    const struct ovdfile *ovd;           /* NULL, or: more of them */
    const char *local_domains;           /* NULL: any; else with one blank between */
    const char *name;                    /* of the text, for errors; NULL: people.csv */
    /* The text is a directory's: what is wrong is passed over and counted, and only the third column of a row has an
     * address that is to be shown. */
    bool forgiving;
};

/* -1 CONFIG naming the line, or NO_MEMORY; *people_r is empty then. Refused are an address or host address that stands
 * twice, a host address at a node that is not ours or with a reserved user id, an address outside the local domains,
 * and more than the limits above. Where the site forgives, only text that is no CSV and more than PEOPLE_MAX rows are.
 */
int people_parse(struct span text, const struct people_site *site, struct people *people_r, struct err *err);
void people_free(struct people *people);

const char *people_address(const struct people *people, const struct people_row *row);
const char *people_name(const struct people *people, const struct people_row *row);
/* NULL: not listed. */
const struct people_row *people_find(const struct people *people, const char *address);

#endif
