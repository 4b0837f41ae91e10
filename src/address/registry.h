/* registry: the one table of host addresses: who in the Internet has which, and who gets a new one.
 *
 * The functions on a `struct db` are part of the caller's ledger job and become true with its commit. A host address
 * may leave the process only after that commit: registry_ask keeps to it, and is what the gateway calls.
 */
#ifndef OVVM_ADDRESS_REGISTRY_H
#define OVVM_ADDRESS_REGISTRY_H

#include "address/hostaddress.h"
#include "address/mailkey.h"
#include "base/conf.h"
#include "store/person.h"
#include "store/store.h"

enum { REGISTRY_CACHE_MAX = 4096, REGISTRY_PEER_SIZE = 64, REGISTRY_AGE_MAX = 500 /* people looked at in one job */ };

/* How senders get their addresses. */
struct registry_policy {
    struct name8 node;   /* ours: all addresses made here are at it */
    char prefix;         /* of numbers */
    bool on;             /* off: nobody new gets an address (TP-06) */
    bool by_name;        /* a name made from the sender's instead of a number */
    unsigned limit;      /* new senders a peer may bring on a day (UTC); 0: no limit */
    struct name8 own[3]; /* registrar-id, in-body-id, dummy-address at our node: nobody's; empty: none */
};
struct registry_policy registry_policy_of(const struct conf *conf);

/* --- who writes: mail to host --- */

struct registry_sender {
    struct mailkey key;            /* empty: nobody is to be registered (a null sender, a report, no usable address) */
    char name[PERSON_NAME_SIZE];   /* display name in UTF-8, may be empty */
    char peer[REGISTRY_PEER_SIZE]; /* who handed the letter over; counted against the limit */
    int64_t now_us;
};

enum registry_how {
    REGISTRY_KNOWN,     /* had an address */
    REGISTRY_NEW,       /* got one */
    REGISTRY_NO_SENDER, /* nobody to be registered */
    REGISTRY_OFF,       /* registration is off */
    REGISTRY_OVER_LIMIT /* the peer brought too many today */
};

struct registry_answer {
    enum registry_how how;
    struct host_address host; /* what the host user sees and answers to. In the last three cases OURNODE(POSTMAST): the
                               * letter must show the real address in its text (TP-05) */
    enum host_kind kind;
    int64_t person;
    int64_t used_us; /* when that address was last used */
};

/* The main host address of the sender, made where there is none. One row for each person, whoever asks how often. */
int registry_resolve_out(struct db *db, const struct registry_policy *policy, const struct registry_sender *sender,
                         struct registry_answer *answer_r, struct err *err);

/* --- who is written to: host to mail --- */

struct registry_owner {
    bool postmaster; /* the address is POSTMAST: the rest is empty, the configuration says who that is */
    struct person person;
    struct person_host host;
};

/* Whose host address this is. UNKNOWN_USER says why where mail to it is refused: it was never given to anybody, is
 * reserved, or retired (then *owner_r is filled all the same). */
int registry_resolve_in(struct db *db, struct host_address host, struct registry_owner *owner_r, struct err *err);

/* --- what operators and the people file do --- */

/* A free user id made from `stem` (of userid_stem), never of the form of a number, never reserved: the stem
 * itself, else with digits that shorten it. Where it has no more of them, or is empty, the next number. Adds it, not
 * shown, for `person`. */
int registry_make(struct db *db, const struct registry_policy *policy, struct name8 node, struct span stem,
                  int64_t person, enum host_kind kind, int64_t now_us, struct name8 *user_r, struct err *err);
/* Gives `host` to the person with this key (who is made where needed) and shows it; an empty user: as a sender would
 * get it, without looking at the limit. REFUSED where it is another's, reserved, or has the form of a number that was
 * not given yet. */
int registry_enter(struct db *db, const struct registry_policy *policy, const struct mailkey *key, const char *name,
                   struct host_address host, int64_t now_us, struct registry_answer *answer_r, struct err *err);
/* A host user's wish (TP-01): an address for this person, and where `wanted` is not empty that one. Who had none is
 * shown with it; who had one keeps showing it, and `wanted` is accepted as well, so that nothing changes for others.
 * answer_r->host is what he can write to. Errors as of registry_enter; BUSY while names are paused. */
int registry_introduce(struct db *db, const struct registry_policy *policy, const struct mailkey *key,
                       struct name8 wanted, int64_t now_us, struct registry_answer *answer_r, struct err *err);
/* After a restore of something older than what was given out (sequence "names-lost", raised by transition_lossy) names
 * made since then are not known here: until an operator confirms that they were brought back, or never were, no new
 * names are made. Senders get numbers, which were moved on. */
int registry_names_paused(struct db *db, bool *paused_r, struct err *err);
/* NOT_FOUND: they are not paused. */
int registry_confirm_names(struct db *db, struct err *err);
/* Retires the addresses of senders who neither wrote nor were written to since `before_us`, unless an answer could
 * still refer to one (a correlation row); looks at most at `limit` people from the one after *after on, which moves on
 * and is 0 at the end (TP-09). *aged_r: how many addresses. Only such as were made for senders. */
int registry_age(struct db *db, int64_t before_us, size_t limit, int64_t *after, size_t *aged_r, struct err *err);
/* A host user wrote to this person: recent use, noted once a day. */
int registry_touch(struct db *db, int64_t person, int64_t now_us, struct err *err);
/* A registration of before, from a list or a log: also one whose number this ledger has not given yet (the caller moves
 * the sequence behind it). Shown where the person shows none. 1: added; 0: it was there; -1 REFUSED where it is
 * another's. */
int registry_restore(struct db *db, const struct registry_policy *policy, const struct mailkey *key, const char *name,
                     struct host_address host, enum host_kind kind, int64_t at_us, struct err *err);
/* Mail to this address is refused from now on, until its owner writes again (people of the people file: until the rule
 * gives it to them again). Nobody else ever gets it. NOT_FOUND. */
int registry_retire(struct db *db, struct host_address host, int64_t now_us, struct err *err);
/* May `host` be given to `person` (0: somebody new)? REFUSED says why not. */
int registry_may_have(struct db *db, const struct registry_policy *policy, struct host_address host, int64_t person,
                      struct err *err);

/* --- in the loop --- */

struct registry;

/* Keeps pointers to `store`. NULL: out of memory. */
struct registry *registry_new(struct store *store, struct registry_policy policy);
void registry_free(struct registry *registry);
const struct registry_policy *registry_policy(const struct registry *registry);

/* A question of the gateway; embedded in its letter. */
struct registry_request {
    struct registry_sender sender;
    void (*done)(void *arg, const struct err *err);
    void *arg;
    struct registry_answer answer; /* set when done is called without an error, or registry_ask returned true */
    /* the registry's */
    struct registry *registry;
    struct store_job job;
    unsigned generation;
};

/* Loop's thread. True: the answer is there already (no sender, or one that was seen before: no job). False: `done` will
 * be called, after the commit of the registration and its line in the log. */
bool registry_ask(struct registry *registry, struct registry_request *request);
/* The other way: whose a host address is (registry_resolve_in, in a reader's thread). `done` is always called later,
 * with the refusal as its error. */
struct registry_lookup {
    struct host_address host;
    void (*done)(void *arg, const struct err *err);
    void *arg;
    struct registry_owner owner; /* set where there is no error */
    /* the registry's */
    struct store_job job;
};
void registry_look_up(struct registry *registry, struct registry_lookup *lookup);
/* After a commit that changed people or addresses by another way than registry_ask. Loop's thread. */
void registry_forget(struct registry *registry);

/* The line in the log for an address that was given, from which it can be entered again where a ledger was lost:
 * "registered person= host= kind= at_us= source= address=<…>". After the commit only. */
void registry_log(const struct registry_answer *answer, const struct mailkey *key, const char *source);

struct registry_figures {
    uint64_t asked, from_memory, registered, over_limit;
};
struct registry_figures registry_figures(const struct registry *registry);

#endif
