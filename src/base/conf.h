/* conf: the configuration file, read once, checked whole, and handed out as one typed structure.
 *
 * The grammar (ovvm.conf(5)): `[section]` or `[kind NAME]`, `key = value`; `;` or `#` starts a comment at the start
 * of a line or after a blank, outside quotes; a value in "…" may hold \" and \\; no continuation lines. What keys
 * there are, their defaults and their words of explanation stand in one table (conf_table.c), which also makes the
 * manual page and the sample. Every problem of a file is reported, not just the first.
 */
#ifndef OVVM_BASE_CONF_H
#define OVVM_BASE_CONF_H

#include "base/buf.h"
#include "base/log.h"
#include "base/name8.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONF_LINE_MAX = 4096,
    CONF_FILE_MAX = 1 << 20,
    CONF_PROBLEMS_MAX = 100,
    CONF_PROBLEM_SIZE = 512,
};

struct conf_nodes {
    struct name8 *at;
    size_t count;
    bool others; /* `*`: and all nodes that no other link names */
};

/* Does it name the node? NULL names none. */
bool conf_nodes_has(const struct conf_nodes *nodes, struct name8 node);

/* Texts are owned by the structure, NULL where not given and without a default. Times are microseconds. */
struct conf_connector {
    struct name8 node;
    char *domain;                 /* lower case */
    struct conf_nodes also_nodes; /* further ones of ours */
    struct name8 default_node;
    char *state;
    char *postmaster;
    struct name8 location;            /* three characters; empty: none */
    char *local_domains;              /* lower case, with one blank between */
    char *people;                     /* path of people.csv */
    char *proxy_rule;                 /* NODE(rule) for each node; NULL: <node>(&m) */
    struct name8 registration_prefix; /* one letter */
    char *tables;                     /* folder of Ovdfile.dat, Route.tbl, Cmsxmap.tbl, Dosxmap.tbl */
};

/* In the order of the choices in conf_table.c. */
enum conf_answer { CONF_NO, CONF_YES };
enum conf_registration { CONF_REGISTRATION_OFF, CONF_REGISTRATION_AUTO };
enum conf_style { CONF_STYLE_NUMBER, CONF_STYLE_NAME };
enum conf_unlisted { CONF_UNLISTED_REFUSE, CONF_UNLISTED_CMS };
enum conf_generation { CONF_GENERATION_AUTO, CONF_GENERATION_ON_DEMAND };

struct conf_addressing {
    enum conf_registration registration;
    enum conf_style registration_style;
    unsigned registration_limit; /* new senders a peer may bring on a day; 0: any number */
    enum conf_unlisted unlisted_nodes;
    enum conf_generation proxy_generation; /* when people get addresses by rule */
    int64_t reuse_after_us;                /* of a retired address by rule, by its own person */
    unsigned people_removal_limit;         /* percent */
    unsigned registration_age;             /* days; 0: never */
    struct name8 registrar_id;             /* empty: none */
    unsigned registrar_limit;              /* answers to a user on a day */
    struct name8 in_body_id;               /* empty: none */
    char *in_body_keyword;
    unsigned in_body_recipients;
    uint64_t in_body_max_size;
    enum conf_answer in_body_remove;
    char *dummy_address; /* NODE(USER), or NULL */
    enum conf_answer allow_unresolved;
};

/* In the order of the choices in conf_table.c. */
enum conf_scope { CONF_SCOPE_SUB, CONF_SCOPE_ONE };

struct conf_directory {
    char *url; /* ldap://, ldaps:// or ldapi://; NULL: there is no directory, and nothing else here counts */
    char *base, *filter;
    enum conf_scope scope;
    char *bind_dn, *password; /* both or neither */
    char *mail_attribute, *name_attribute;
    char *host_attributes; /* with one blank between; NULL: none */
    enum conf_answer starttls;
    char *ca_file;
    unsigned page; /* entries */
    int64_t interval_us, timeout_us;
};

struct conf_store {
    char *url; /* "sqlite:/path" */
    unsigned readers;
};

/* In the order of enum nje_kind. */
enum conf_kind { CONF_RSCS, CONF_VM370, CONF_NJE38, CONF_JES2, CONF_UNIXNJE };

/* In the order of enum nje_tls. */
enum conf_link_tls { CONF_LINK_TLS_OFF, CONF_LINK_TLS_IMPLICIT, CONF_LINK_TLS_STARTTLS };

struct conf_link {
    struct name8 node;
    enum conf_kind kind;
    char *connect;           /* "host:port" */
    char *listen;            /* "address:port" */
    char *allow;             /* addresses and networks with one blank between */
    struct conf_nodes nodes; /* at least the link's own */
    unsigned buffer;         /* 0: the kind's */
    unsigned tcp_block;      /* 0: as large as the buffer needs */
    unsigned streams;
    char *send_line_password, *expect_line_password; /* what the files hold, 1 to 8 characters */
    char *send_node_password, *expect_node_password;
    char *rip, *oip; /* dotted IPv4 */
    int64_t retry_us, retry_max_us;
    int64_t idle_probe_us;
    enum conf_link_tls tls;
    char *ca, *cert, *key; /* paths of PEM files */
    char *tls_name;        /* of the neighbour's certificate */
    enum conf_answer trust_origin;
};

struct conf_smtp_in {
    char *listen; /* "address:port" with one blank between */
    char *lmtp;   /* path of a socket */
    char *allow;
    uint64_t max_size;
    unsigned max_recipients;
    unsigned max_sessions;
    int64_t timeout_us;
};

struct conf_smtp_out {
    char *relay; /* "host:port" or "lmtp:/path" */
    unsigned connections;
    int64_t timeout_us;
    int64_t retry_us, retry_max_us;
};

struct conf_limits {
    unsigned queue_depth; /* items */
    int64_t retry_us, retry_max_us, lifetime_us;
    unsigned max_hops;
    unsigned track_days;
};

struct conf_admin {
    char *socket;
};

struct conf_log {
    enum log_target target;
    enum log_level level; /* of the categories that are not given */
    enum log_level levels[LOG_CATEGORIES];
};

struct conf {
    struct conf_connector connector;
    struct conf_store store;
    struct conf_link *links; /* in the file's order, at least one */
    size_t link_count;
    struct conf_smtp_in smtp_in;
    struct conf_smtp_out smtp_out;
    struct conf_addressing addressing;
    struct conf_directory directory;
    struct conf_limits limits;
    struct conf_admin admin;
    struct conf_log log;
};

struct conf_problem {
    unsigned line; /* 0: the file as a whole */
    char text[CONF_PROBLEM_SIZE];
};

struct conf_problems {
    size_t count;  /* of `at`, sorted by line */
    size_t beyond; /* further ones that found no place */
    struct conf_problem at[CONF_PROBLEMS_MAX];
};

/* Reads and checks the file at `path`, and the password files it names. 0: *conf_r is complete and the caller's
 * (conf_free). -1: *conf_r is empty and *problems_r says why, with at least one problem. */
int conf_load(const char *path, struct conf *conf_r, struct conf_problems *problems_r);
/* The same from text that is in memory. */
int conf_parse(struct span text, struct conf *conf_r, struct conf_problems *problems_r);
/* Also overwrites the passwords. Leaves *conf empty. */
void conf_free(struct conf *conf);

/* A line of a configuration without the comment at its end. */
struct span conf_strip_comment(struct span line);

/* "path:12: text" or "path: text", one line each, for people. */
void conf_problems_print(const struct conf_problems *problems, const char *path, struct buf *to);

enum conf_form { CONF_MANUAL /* mdoc source of ovvm.conf(5) */, CONF_SAMPLE /* a configuration with all keys */ };
void conf_describe(enum conf_form form, struct buf *to);

#endif
