/* The rows. What can go wrong here is a default that its own check refuses; conf_test tries each. */
#include "base/conf_table.h"

#include "base/clock.h"
#include "base/conf.h"

#define KIB              INT64_C(1024)
#define MIB              (1024 * KIB)
#define GIB              (1024 * MIB)
#define AT(type, member) offsetof(struct type, member)
#define KEYS(keys)       (keys), sizeof(keys) / sizeof((keys)[0])

static const char *const kinds[] = { "rscs", "vm370", "nje38", "jes2", "unixnje", NULL };  /* enum conf_kind */
static const char *const levels[] = { "none", "error", "warning", "info", "trace", NULL }; /* enum log_level */
static const char *const targets[] = { "auto", "journal", "stderr", NULL };                /* enum log_target */

static const char *const link_tls[] = { "off", "implicit", "starttls", NULL }; /* enum conf_link_tls */
static const char *const no_yes[] = { "no", "yes", NULL };                     /* enum conf_answer */

static const char *const registrations[] = { "off", "auto", NULL };     /* enum conf_registration */
static const char *const styles[] = { "number", "name", NULL };         /* enum conf_style */
static const char *const scopes[] = { "sub", "one", NULL };             /* enum conf_scope */
static const char *const unlisted[] = { "refuse", "cms", NULL };        /* enum conf_unlisted */
static const char *const generations[] = { "auto", "on-demand", NULL }; /* enum conf_generation */

static const struct conf_key connector_keys[] = {
    { "node", CONF_NAME8, AT(conf_connector, node), .required = true, .example = "MICROSFT",
      .doc = "The connector's own node id in the NJE network. Every neighbour must know the connector by this name." },
    { "also-nodes", CONF_NODES, AT(conf_connector, also_nodes), .example = "BRANCH1 BRANCH2",
      .doc = "Further node ids of the connector, for sites whose people have addresses at a node of their own. The "
             "neighbours must send files for them here, and Ovdfile.dat, where it exists, must list each as LOCAL." },
    { "domain", CONF_DOMAIN, AT(conf_connector, domain), .required = true, .example = "vm.example.org",
      .doc = "The Internet domain under which host users appear: as user@node.domain, and users of the default node as "
             "user@domain as well. Mail for any other domain is refused." },
    { "default-node", CONF_NAME8, AT(conf_connector, default_node), .example = "MAPLEC1",
      .doc = "The node that user@domain means. May be left out where there is exactly one link; it is that "
             "neighbour's node then." },
    { "state", CONF_PATH, AT(conf_connector, state), .fallback = "/var/lib/ovvm", .example = "/var/lib/ovvm",
      .doc = "The directory that holds the ledger. It must belong to the user the daemon runs as and lie on a local "
             "disk." },
    { "postmaster", CONF_MAILBOX, AT(conf_connector, postmaster), .required = true, .example = "postmaster@example.org",
      .doc = "Who gets mail for the postmaster of the connector, and the reports that have no other reader." },
    { "location", CONF_NAME8, AT(conf_connector, location), .example = "MSX",
      .doc = "The connector's location code in the host network, three characters. It must be the one that Ovdfile.dat "
             "gives for the connector's node." },
    { "local-domains", CONF_DOMAINS, AT(conf_connector, local_domains), .example = "example.org example.net",
      .doc = "The Internet domains whose people are the site's own. Where given, every address in the people file and "
             "the directory must belong to one of them." },
    { "people", CONF_PATH, AT(conf_connector, people), .example = "/etc/ovvm/people.csv",
      .doc = "The file of people with host addresses made by rule or given there, see ovvm-tables(5). It is read at "
             "the start, on SIGHUP and by ovvm tables reload." },
    { "proxy-rule", CONF_TEXT, AT(conf_connector, proxy_rule), .example = "MICROSFT(&s&g1) BRANCH1(&m)",
      .doc = "How people in the people file or a directory get a host address where none is given: a node of the "
             "connector, and in "
             "parentheses a pattern of text and of &m (local part of the address), &g (given name), &s (surname), &i "
             "(initials) and &d (whole name), each with a number of characters after it or not; %rXY replaces X by Y "
             "in what follows, and %rXX deletes X. Letters are folded and the result cut to eight characters and made "
             "unique. Each node may have a rule; it is NODE(&m) for one that has none. Another rule changes nobody's "
             "address before ovvm proxy generate --renew." },
    { "registration-prefix", CONF_NAME8, AT(conf_connector, registration_prefix), .fallback = "X", .example = "X",
      .doc = "The letter that the numbers of registered senders begin with, as in X0000017." },
    { "tables", CONF_PATH, AT(conf_connector, tables), .example = "/etc/ovvm/tables",
      .doc =
          "The folder of Ovdfile.dat, Hostusers.csv, Route.tbl, Access.tbl, Cmsxmap.tbl and Dosxmap.tbl, see "
          "ovvm-tables(5). Each "
          "file may be missing: without Ovdfile.dat every node that a link leads to may send mail to the Internet and "
          "get it." },
};

static const struct conf_key store_keys[] = {
    { "url", CONF_URL, AT(conf_store, url), .fallback = "sqlite:<state>/ovvm.db",
      .example = "sqlite:/var/lib/ovvm/ovvm.db", .doc = "Where the ledger is: sqlite: and the path of its file." },
    { "readers", CONF_COUNT, AT(conf_store, readers), .fallback = "2", .least = 1, .most = 16, .unit = "threads",
      .example = "2", .doc = "How many threads read from the ledger. One more writes." },
};

static const struct conf_key link_keys[] = {
    { "kind", CONF_CHOICE, AT(conf_link, kind), .fallback = "rscs", .choices = kinds, .example = "rscs",
      .doc = "What runs over there: rscs is RSCS on z/VM, vm370 RSCS on VM/370, nje38 NJE38 on MVS 3.8, jes2 JES2 on "
             "z/OS, unixnje UnixNJE. It sets the buffer size and the conduct the neighbour needs." },
    { "connect", CONF_PEER, AT(conf_link, connect), .example = "rscs.example.org:175",
      .doc = "Where to dial the neighbour. Of connect and listen at least one is required; with both, whoever comes "
             "first makes the connection." },
    { "listen", CONF_LISTEN, AT(conf_link, listen), .example = "0.0.0.0:175",
      .doc = "Where to accept the neighbour's call. Several links may share one address and port." },
    { "allow", CONF_NETWORKS, AT(conf_link, allow), .example = "192.0.2.20 2001:db8::/64",
      .doc = "The addresses and networks the neighbour may call from. Required where only listen is given; else those "
             "of connect are allowed." },
    { "nodes", CONF_NODES, AT(conf_link, nodes), .fallback = "<name>", .example = "MAPLEC1 MAPLEC2",
      .doc = "The nodes that are reached through this link. A * stands for all nodes that no other link names." },
    { "buffer", CONF_COUNT, AT(conf_link, buffer), .least = 300, .most = 32765, .unit = "octets", .example = "1024",
      .doc = "The NJE buffer size to offer (BUFF in RSCS, BUFSIZE in JES2); the smaller of both sides' is used. The "
             "kind's, if not given." },
    { "tcp-block", CONF_COUNT, AT(conf_link, tcp_block), .least = 512, .most = 40960, .unit = "octets",
      .example = "8192",
      .doc =
          "The largest block on the TCP connection. It must hold one NJE buffer and 16 octets more. 8192, or what the "
          "buffer needs where that is more, if not given." },
    { "streams", CONF_COUNT, AT(conf_link, streams), .fallback = "1", .least = 1, .most = 7, .unit = "streams",
      .example = "4",
      .doc = "How many files go each way at a time. With two or more, one is kept for files up to 64 KiB, so that they "
             "do not wait for large ones. Kinds vm370 and nje38 have one stream. What the neighbour is set to (STREAMS "
             "in RSCS, STNUM and SRNUM in JES2) may differ: who has more waits its turn." },
    { "send-line-password-file", CONF_SECRET, AT(conf_link, send_line_password), .most = 8,
      .example = "/etc/ovvm/secret/maplec1-line",
      .doc = "A file with the line password to send at sign-on. Like the other three it holds one line of 1 to 8 "
             "characters and must not be readable by all users. None is sent, or asked for, if not given." },
    { "expect-line-password-file", CONF_SECRET, AT(conf_link, expect_line_password), .most = 8,
      .example = "/etc/ovvm/secret/maplec1-line-theirs",
      .doc = "A file with the line password the neighbour must send." },
    { "send-node-password-file", CONF_SECRET, AT(conf_link, send_node_password), .most = 8,
      .example = "/etc/ovvm/secret/maplec1-node", .doc = "A file with the node password to send at sign-on." },
    { "expect-node-password-file", CONF_SECRET, AT(conf_link, expect_node_password), .most = 8,
      .example = "/etc/ovvm/secret/maplec1-node-theirs",
      .doc = "A file with the node password the neighbour must send." },
    { "rip", CONF_IPV4, AT(conf_link, rip), .example = "192.0.2.10",
      .doc = "Our IPv4 address as the neighbour knows it, for the control record (RIP), where address translation lies "
             "between: JES2 and JES3 refuse any but the one they have defined (IAZ0520I, IAZ0521I). The connection's "
             "own, if not given." },
    { "oip", CONF_IPV4, AT(conf_link, oip), .example = "192.0.2.20",
      .doc = "The neighbour's IPv4 address as it knows it itself (OIP), likewise." },
    { "retry", CONF_DURATION, AT(conf_link, retry_us), .fallback = "2s", .least = CLOCK_SECOND, .most = CLOCK_HOUR,
      .example = "2s",
      .doc = "The wait before dialling again after a first failure. It doubles with each further one." },
    { "retry-max", CONF_DURATION, AT(conf_link, retry_max_us), .fallback = "5m", .least = CLOCK_SECOND,
      .most = CLOCK_DAY, .example = "5m", .doc = "The longest wait before dialling again." },
    { "idle-probe", CONF_DURATION, AT(conf_link, idle_probe_us), .fallback = "2m", .least = 10 * CLOCK_SECOND,
      .most = CLOCK_HOUR, .example = "2m",
      .doc = "After this long without traffic an empty block is sent, so that a dead connection is noticed." },
    { "tls", CONF_CHOICE, AT(conf_link, tls), .fallback = "off", .choices = link_tls, .example = "starttls",
      .doc = "Whether the connection is encrypted (TLS 1.2 or later). With implicit it is from its first octet. With "
             "starttls it begins with the record OPEN SSL in clear, as JES2 and JES3 do with SECURE=YES. A neighbour "
             "that opens the link another way is refused." },
    { "ca", CONF_PATH, AT(conf_link, ca), .example = "/etc/ovvm/tls/maplec1-ca.pem",
      .doc =
          "The certificates (PEM) of the authorities that the neighbour's certificate must come from. Where we dial, "
          "the system's, if not given. Where the neighbour dials, it is asked for a certificate only if this is "
          "given." },
    { "cert", CONF_PATH, AT(conf_link, cert), .example = "/etc/ovvm/tls/ovvm.pem",
      .doc = "Our certificate (PEM), with the intermediate ones behind it. Required with tls and listen." },
    { "key", CONF_PATH, AT(conf_link, key), .example = "/etc/ovvm/tls/ovvm.key",
      .doc = "The private key (PEM, not encrypted) of cert. It must not be readable by all users." },
    { "tls-name", CONF_DOMAIN, AT(conf_link, tls_name), .example = "mvsa.example.org",
      .doc = "The name that must stand in the neighbour's certificate. Where we dial, the host of connect, if not "
             "given. Where the neighbour dials, any certificate of ca will do, if not given." },
    { "trust-origin", CONF_CHOICE, AT(conf_link, trust_origin), .fallback = "no", .choices = no_yes, .example = "yes",
      .doc =
          "With no, a file that comes over this link is taken to the Internet only if its sender's node is reached "
          "over this link, so that a neighbour cannot send in the name of another's users. With yes the neighbour is "
          "believed; for a hub whose files come one way and go another." },
};

static const struct conf_key smtp_in_keys[] = {
    { "listen", CONF_LISTENS, AT(conf_smtp_in, listen), .fallback = "127.0.0.1:2525",
      .example = "127.0.0.1:2525 [::1]:2525", .doc = "Where to accept SMTP." },
    { "lmtp", CONF_SOCKET, AT(conf_smtp_in, lmtp), .example = "/run/ovvm/lmtp.sock",
      .doc = "A Unix socket on which to accept LMTP as well. No LMTP, if not given." },
    { "allow", CONF_NETWORKS, AT(conf_smtp_in, allow), .fallback = "127.0.0.0/8 ::1", .example = "127.0.0.0/8 ::1",
      .doc = "The addresses and networks of the mail systems that may hand over mail. All others are refused." },
    { "max-size", CONF_SIZE, AT(conf_smtp_in, max_size), .fallback = "50M", .least = 64 * KIB, .most = 2 * GIB,
      .example = "50M", .doc = "The largest letter that is accepted." },
    { "max-recipients", CONF_COUNT, AT(conf_smtp_in, max_recipients), .fallback = "1000", .least = 100, .most = 100000,
      .unit = "recipients", .example = "1000", .doc = "The most recipients of one letter (RFC 5321 asks for 100)." },
    { "max-sessions", CONF_COUNT, AT(conf_smtp_in, max_sessions), .fallback = "200", .least = 1, .most = 10000,
      .unit = "sessions", .example = "200", .doc = "The most connections at a time. Further ones wait." },
    { "timeout", CONF_DURATION, AT(conf_smtp_in, timeout_us), .fallback = "5m", .least = 10 * CLOCK_SECOND,
      .most = CLOCK_HOUR, .example = "5m",
      .doc = "How long a connection may be silent (RFC 5321 asks for five minutes)." },
};

static const struct conf_key smtp_out_keys[] = {
    { "relay", CONF_RELAY, AT(conf_smtp_out, relay), .required = true, .example = "127.0.0.1:25",
      .doc = "The mail system that takes the mail of host users: host:port for SMTP, lmtp:/path for LMTP." },
    { "connections", CONF_COUNT, AT(conf_smtp_out, connections), .fallback = "4", .least = 1, .most = 64,
      .unit = "connections", .example = "4", .doc = "The most connections to the relay at a time." },
    { "timeout", CONF_DURATION, AT(conf_smtp_out, timeout_us), .fallback = "5m", .least = 10 * CLOCK_SECOND,
      .most = CLOCK_HOUR, .example = "5m", .doc = "How long to wait for each answer of the relay." },
    { "retry", CONF_DURATION, AT(conf_smtp_out, retry_us), .fallback = "1s", .least = CLOCK_SECOND, .most = CLOCK_HOUR,
      .example = "1s",
      .doc = "The wait before the relay is connected to again after a first failure. It doubles with each further one. "
             "Letters that the relay puts off have a time of their own, [limits] retry." },
    { "retry-max", CONF_DURATION, AT(conf_smtp_out, retry_max_us), .fallback = "5m", .least = CLOCK_SECOND,
      .most = CLOCK_DAY, .example = "5m", .doc = "The longest wait before the relay is connected to again." },
};

static const struct conf_key addressing_keys[] = {
    { "registration", CONF_CHOICE, AT(conf_addressing, registration), .fallback = "auto", .choices = registrations,
      .example = "auto",
      .doc = "With auto each new sender on the Internet side gets a host address of his own, so that host users can "
             "answer. With off only those who have one are shown with it; letters of all others come from "
             "POSTMAST at the connector's node, with the sender's address in the text." },
    { "registration-style", CONF_CHOICE, AT(conf_addressing, registration_style), .fallback = "number",
      .choices = styles, .example = "name", .doc = "A number (X0000017), or a name made from the sender's address." },
    { "registration-limit", CONF_COUNT, AT(conf_addressing, registration_limit), .fallback = "10000", .least = 0,
      .most = 10000000, .unit = "senders a day", .example = "10000",
      .doc = "How many new senders each mail system that hands over mail may bring on a day (UTC). Letters of further "
             "ones are delivered as with registration = off. 0 is no limit." },
    { "registration-age", CONF_COUNT, AT(conf_addressing, registration_age), .fallback = "0", .least = 0, .most = 36500,
      .unit = "days", .example = "0",
      .doc = "After how many days without a letter in either direction mail to a registered sender is refused, until "
             "he writes again. The address stays his. One that an answer could still refer to is kept. 0 is never." },
    { "registrar-id", CONF_NAME8, AT(conf_addressing, registrar_id), .example = "REGISTER",
      .doc = "A user id at the connector's node to which host users send letters and messages with commands: REGISTER "
             "alice@example.com ALICE, WHO, LIST, HELP. Who may do so, and how often, is in Access.tbl, see "
             "ovvm-tables(5). There is none, if not given." },
    { "registrar-limit", CONF_COUNT, AT(conf_addressing, registrar_limit), .fallback = "50", .least = 1, .most = 10000,
      .unit = "answers a day", .example = "50",
      .doc = "How many answers of registrar-id each host user gets on a day (UTC); further letters and messages to it "
             "are not answered, so that two programs cannot talk for ever." },
    { "in-body-id", CONF_NAME8, AT(conf_addressing, in_body_id), .also = "ADHOCID", .example = "INTERNET",
      .doc = "A user id at the connector's node to which host users send notes whose text begins with the Internet "
             "addresses they go to. Who may do so is in Access.tbl. There is none, if not given." },
    { "in-body-keyword", CONF_TEXT, AT(conf_addressing, in_body_keyword), .also = "LASTMSGHEADER LASTMSGHEADERLINE",
      .fallback = "subject:", .example = "/INTERNET",
      .doc =
          "The beginning of the line after which the addresses of such a note stand, up to an empty line. Lines To:, "
          "Cc:, Bcc: and Subject: before it, and addresses at the very beginning of the text, are understood too." },
    { "in-body-recipients", CONF_COUNT, AT(conf_addressing, in_body_recipients), .fallback = "50", .least = 1,
      .most = 1000, .unit = "recipients", .example = "50", .doc = "The most addresses in the text of one note." },
    { "in-body-max-size", CONF_SIZE, AT(conf_addressing, in_body_max_size), .fallback = "1M", .least = KIB,
      .most = 2 * GIB, .example = "1M", .doc = "The largest note with addresses in its text, as the host sends it." },
    { "in-body-remove", CONF_CHOICE, AT(conf_addressing, in_body_remove), .fallback = "yes", .choices = no_yes,
      .example = "yes", .doc = "Whether the addresses are taken out of the text that is delivered." },
    { "dummy-address", CONF_HOST, AT(conf_addressing, dummy_address), .also = "PROFS_DummyAddr",
      .example = "MICROSFT(NOREPLY)",
      .doc = "What stands beside names without an address (.AT and .CT of OfficeVision) in To and Cc. Mail to it is "
             "refused. Without it such names are only in the text." },
    { "unlisted-nodes", CONF_CHOICE, AT(conf_addressing, unlisted_nodes), .fallback = "refuse", .choices = unlisted,
      .example = "cms",
      .doc = "What holds for a node that a link leads to and Ovdfile.dat does not list: refuse mail to and from it, or "
             "treat it as a CMS node." },
    { "allow-unresolved", CONF_CHOICE, AT(conf_addressing, allow_unresolved), .also = "AllowUnresolvedAddresses",
      .fallback = "yes", .choices = no_yes, .example = "no",
      .doc = "With no, only what the tables know gets through: mail from the Internet for host users who are in "
             "Hostusers.csv, where there is one, at whichever node, and no host file for a node that is not the "
             "connector's. With yes, users are looked up only where the line of their node in Ovdfile.dat says "
             "users=listed, and a file for another node that another link leads to is handed to the mail system as "
             "mail for user@node.domain. Internet addresses are not concerned." },
    { "proxy-generation", CONF_CHOICE, AT(conf_addressing, proxy_generation), .fallback = "auto",
      .choices = generations, .example = "on-demand",
      .doc = "When people in the people file get an address by rule: with auto as soon as they are read, with "
             "on-demand by ovvm proxy generate. Until then they are senders like any other. People of a directory get "
             "it as soon as they are read." },
    { "reuse-after", CONF_DURATION, AT(conf_addressing, reuse_after_us), .fallback = "90d", .least = CLOCK_SECOND,
      .most = 3650 * CLOCK_DAY, .example = "90d",
      .doc = "How long a host address that was taken back stays out of use before the rule may give it to its own "
             "person again. Nobody else ever gets it." },
    { "people-removal-limit", CONF_COUNT, AT(conf_addressing, people_removal_limit), .fallback = "10", .least = 0,
      .most = 100, .unit = "percent", .example = "10",
      .doc = "A people file, or a directory, in which more than this part of the people, and more than ten, are "
             "missing that were in it before is taken for damaged and refused. ovvm tables reload --confirm, or ovvm "
             "people load "
             "--confirm, takes it all the same." },
};

static const struct conf_key directory_keys[] = {
    { "url", CONF_LDAP, AT(conf_directory, url), .example = "ldaps://ldap.example.org",
      .doc = "The LDAP server that people are read from, besides the people file. There is no directory, if not given. "
             "The server is asked at the start, on SIGHUP, by ovvm people load and every interval, by a process of its "
             "own; while it cannot be asked, or answers nonsense, everything goes on with the people of the last good "
             "answer." },
    { "base", CONF_TEXT, AT(conf_directory, base), .example = "\"ou=people,dc=example,dc=org\"",
      .doc = "Where in the tree the people are. Required with url." },
    { "scope", CONF_CHOICE, AT(conf_directory, scope), .fallback = "sub", .choices = scopes, .example = "sub",
      .doc = "Everything below the base (sub), or only what is directly below it (one)." },
    { "filter", CONF_TEXT, AT(conf_directory, filter), .fallback = "(mail=*)",
      .example = "\"(&(objectClass=inetOrgPerson)(mail=*))\"", .doc = "Which entries are people." },
    { "bind-dn", CONF_TEXT, AT(conf_directory, bind_dn), .example = "\"cn=ovvm,dc=example,dc=org\"",
      .doc = "Who asks. Anonymous, if not given." },
    { "password-file", CONF_SECRET, AT(conf_directory, password), .most = 200, .example = "/etc/ovvm/secret/ldap",
      .doc = "A file with the password of bind-dn, one line, that must not be readable by all users." },
    { "mail-attribute", CONF_TEXT, AT(conf_directory, mail_attribute), .fallback = "mail", .example = "mail",
      .doc = "The attribute with a person's Internet address; its first value is taken." },
    { "name-attribute", CONF_TEXT, AT(conf_directory, name_attribute), .fallback = "cn", .example = "displayName",
      .doc = "The attribute with the full name; its first value is taken." },
    { "host-attributes", CONF_TEXT, AT(conf_directory, host_attributes), .example = "proxyAddresses",
      .doc = "Attributes with host addresses, USER or NODE(USER), with any number of values. Of values in the form "
             "type:address only those of the type PROFS count: with the type in capitals it is the one that is shown, "
             "the others are accepted. Where none is marked so, whichever is shown already stays. People without any "
             "get one by proxy-rule." },
    { "starttls", CONF_CHOICE, AT(conf_directory, starttls), .fallback = "no", .choices = no_yes, .example = "yes",
      .doc = "Encrypt the connection to an ldap:// server before anything is said, or do not ask it at all." },
    { "ca-file", CONF_PATH, AT(conf_directory, ca_file), .example = "/etc/ssl/certs/ca-certificates.crt",
      .doc = "The certificates that the server's is checked against. Those of the system's OpenLDAP or TLS library, if "
             "not given." },
    { "page", CONF_COUNT, AT(conf_directory, page), .fallback = "500", .least = 1, .most = 10000, .unit = "entries",
      .example = "500", .doc = "How many entries the server is asked for at a time (RFC 2696)." },
    { "interval", CONF_DURATION, AT(conf_directory, interval_us), .fallback = "1h", .least = CLOCK_SECOND,
      .most = 30 * CLOCK_DAY, .example = "1h",
      .doc = "How often the server is asked. After a failure it is asked "
             "sooner, at most a minute later at first." },
    { "timeout", CONF_DURATION, AT(conf_directory, timeout_us), .fallback = "5m", .least = CLOCK_SECOND,
      .most = CLOCK_HOUR, .example = "5m",
      .doc = "How long it may take to read the whole directory. Then the process that reads it is ended." },
};

static const struct conf_key limit_keys[] = {
    { "queue-depth", CONF_COUNT, AT(conf_limits, queue_depth), .fallback = "5000", .least = 10, .most = 10000000,
      .unit = "items", .example = "5000",
      .doc = "How many items a queue may hold before its producer is slowed down. Nothing is lost at this limit: the "
             "relay is asked to try again later, a neighbour waits for permission." },
    { "retry", CONF_DURATION, AT(conf_limits, retry_us), .fallback = "5m", .least = CLOCK_SECOND, .most = CLOCK_DAY,
      .example = "5m",
      .doc = "The wait before an item is tried again after a first failure. It doubles with each further one." },
    { "retry-max", CONF_DURATION, AT(conf_limits, retry_max_us), .fallback = "1h", .least = CLOCK_SECOND,
      .most = 7 * CLOCK_DAY, .example = "1h", .doc = "The longest wait between two tries." },
    { "lifetime", CONF_DURATION, AT(conf_limits, lifetime_us), .fallback = "5d", .least = CLOCK_MINUTE,
      .most = 60 * CLOCK_DAY, .example = "5d",
      .doc = "How long delivery is tried before the letter is returned to its sender." },
    { "max-hops", CONF_COUNT, AT(conf_limits, max_hops), .fallback = "50", .least = 10, .most = 1000, .unit = "hops",
      .example = "50",
      .doc = "A letter that went through more mail systems than this (Received: fields), or a file that was forwarded "
             "more often on the host side, is in a loop and is refused or returned." },
    { "track-days", CONF_COUNT, AT(conf_limits, track_days), .fallback = "30", .least = 1, .most = 3650, .unit = "days",
      .example = "30", .doc = "How many days ovvm trace can look back." },
};

static const struct conf_key admin_keys[] = {
    { "socket", CONF_SOCKET, AT(conf_admin, socket), .fallback = "<state>/ovvm.sock",
      .example = "/var/lib/ovvm/ovvm.sock", .doc = "The Unix socket on which the daemon answers ovvm(1)." },
};

#define CATEGORY(name_, category_, doc_)                                                                    \
    {                                                                                                       \
        name_, CONF_CHOICE, AT(conf_log, levels[category_]), .fallback = "<level>", .choices = levels,      \
                                                             .example = "info", .doc = "The same for " doc_ \
    }
static const struct conf_key log_keys[] = {
    { "target", CONF_CHOICE, AT(conf_log, target), .fallback = "auto", .choices = targets, .example = "journal",
      .doc = "Where the lines go. With auto it is the journal where the daemon was started by systemd, and the "
             "standard error output otherwise." },
    { "level", CONF_CHOICE, AT(conf_log, level), .fallback = "info", .choices = levels, .example = "info",
      .doc = "How much is said: none, errors only, also warnings, also each letter's way (info), or all (trace)." },
    CATEGORY("core", LOG_CORE, "start, stop and the event loop."),
    CATEGORY("store", LOG_STORE, "the ledger."),
    CATEGORY("nje", LOG_NJE, "links and streams."),
    CATEGORY("smtp", LOG_SMTP, "SMTP and LMTP."),
    CATEGORY("gateway", LOG_GATEWAY, "translation, receipts and reports."),
    CATEGORY("address", LOG_ADDRESS, "addresses and registrations."),
    CATEGORY("relocate", LOG_RELOCATE, "moves and backups."),
    CATEGORY("admin", LOG_ADMIN, "what operators do."),
};

const struct conf_section conf_sections[CONF_SECTIONS] = {
    [CONF_CONNECTOR] = { "connector", NULL, NULL, AT(conf, connector), KEYS(connector_keys), "Who the connector is." },
    [CONF_STORE] = { "store", NULL, NULL, AT(conf, store), KEYS(store_keys), "The ledger." },
    [CONF_LINK] = { "link", "NODE", "MAPLEC1", AT(conf, links), KEYS(link_keys),
                    "One section for each NJE neighbour, named by the neighbour's node. At least one is required." },
    [CONF_SMTP_IN] = { "smtp-in", NULL, NULL, AT(conf, smtp_in), KEYS(smtp_in_keys),
                       "Where the mail system hands over mail for host users." },
    [CONF_SMTP_OUT] = { "smtp-out", NULL, NULL, AT(conf, smtp_out), KEYS(smtp_out_keys),
                        "Where mail from host users goes." },
    [CONF_ADDRESSING] = { "addressing", NULL, NULL, AT(conf, addressing), KEYS(addressing_keys),
                          "Which addresses stand for which on the other side." },
    [CONF_DIRECTORY] = { "directory", NULL, NULL, AT(conf, directory), KEYS(directory_keys),
                         "People from an LDAP directory." },
    [CONF_LIMITS] = { "limits", NULL, NULL, AT(conf, limits), KEYS(limit_keys), "Queues, tries and lifetimes." },
    [CONF_ADMIN] = { "admin", NULL, NULL, AT(conf, admin), KEYS(admin_keys), "The operator's door." },
    [CONF_LOG] = { "log", NULL, NULL, AT(conf, log), KEYS(log_keys), "What is logged, and where." },
};
