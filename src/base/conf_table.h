/* conf_table: every section and key there is. The parser, the checks, the defaults, the manual page and the sample
 * configuration come from these rows; a key that is not here does not exist. */
#ifndef OVVM_BASE_CONF_TABLE_H
#define OVVM_BASE_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value is, and the C type it is kept in. */
enum conf_type {
    CONF_NAME8,    /* struct name8 */
    CONF_DOMAIN,   /* char *, and so are the next ones: DNS name, lower case */
    CONF_DOMAINS,  /* one or more of them */
    CONF_TEXT,     /* any words */
    CONF_MAILBOX,  /* local@domain */
    CONF_HOST,     /* NODE(USER) */
    CONF_URL,      /* sqlite:/path */
    CONF_PATH,     /* absolute */
    CONF_SOCKET,   /* absolute, short enough for a Unix socket */
    CONF_PEER,     /* host:port or [address]:port */
    CONF_LISTEN,   /* address:port */
    CONF_LISTENS,  /* one or more of them */
    CONF_NETWORKS, /* one or more addresses or address/bits */
    CONF_RELAY,    /* host:port or lmtp:/path */
    CONF_LDAP,     /* ldap://host:port, ldaps://host:port or ldapi://path */
    CONF_IPV4,     /* dotted */
    CONF_SECRET,   /* path of a file; kept is its one line */
    CONF_COUNT,    /* unsigned */
    CONF_SIZE,     /* uint64_t, octets */
    CONF_DURATION, /* int64_t, microseconds */
    CONF_CHOICE,   /* an enum: the place in `choices` (yes/no is one of these) */
    CONF_NODES     /* struct conf_nodes */
};

struct conf_key {
    const char *name;
    enum conf_type type;
    size_t offset; /* in the section's structure */
    bool required;
    const char
        *fallback; /* as it would stand in the file, with <state>, <name> (of the section) or <level>; NULL: none */
    int64_t least, most;        /* COUNT, SIZE, DURATION; most for SECRET: characters */
    const char *unit;           /* COUNT: what is counted */
    const char *const *choices; /* CHOICE: ends in NULL */
    const char *example;
    const char
        *also; /* names of the classic product that are taken too, in any case, with one blank between; NULL: none */
    const char *doc; /* sentences for the manual page */
};

enum conf_section_id {
    CONF_CONNECTOR,
    CONF_STORE,
    CONF_LINK,
    CONF_SMTP_IN,
    CONF_SMTP_OUT,
    CONF_ADDRESSING,
    CONF_DIRECTORY,
    CONF_LIMITS,
    CONF_ADMIN,
    CONF_LOG,
    CONF_SECTIONS
};

enum { CONF_KEYS_MAX = 32 /* of one section */ };

struct conf_section {
    const char *name;
    const char *argument; /* what NAME in `[kind NAME]` is; NULL: the section has none and stands once */
    const char *argument_example;
    size_t offset; /* in struct conf; of the array where there is an argument */
    const struct conf_key *keys;
    size_t key_count;
    const char *doc;
};

extern const struct conf_section conf_sections[CONF_SECTIONS];

#endif
