/* to_mail_private: one host file on its way to the Internet, as the files of that translation share it. Not for others.
 */
#ifndef OVVM_GATEWAY_TO_MAIL_PRIVATE_H
#define OVVM_GATEWAY_TO_MAIL_PRIVATE_H

#include "gateway/translation.h"

#include "address/inbody.h"
#include "address/registrar.h"
#include "gateway/hostfiles.h"
#include "letter/facts.h"
#include "store/correlation.h"

enum { TOUCHED_MAX = 64 /* people of one file whose use is noted */ };

/* One recipient of one letter. */
struct target {
    bool is_host;       /* `host` is asked of the registry; else `address` is taken as it stands */
    bool is_postmaster; /* many senders share that address, and anybody may write to it */
    enum border_service service;
    struct host_address host;
    int64_t person;                 /* whose host address it is; 0: nobody's */
    char shown[ITEM_ADDRESS_MAX];   /* in reports */
    char address[ITEM_ADDRESS_MAX]; /* empty: `why` */
    char name[PERSON_NAME_SIZE];
    struct err why;
};

struct to_mail {
    struct err loop; /* why nobody gets the file */
    struct hostfiles files;
    size_t file, letter, target;
    struct hostfile current;  /* of `file`, without its records */
    struct buf node_options;  /* packed: tables may be read anew in the middle of a file */
    struct buf plain_options; /* packed, for the facts */
    struct buf facts_bytes;
    struct facts facts;
    struct target *targets;
    size_t target_count;
    struct access_right right; /* of the host user */
    struct registrar *registrar;
    struct ulid letter_id; /* in Message-ID */
    struct store_job job;
    /* which letter is answered */
    bool answers;
    struct correlation correlation;
    struct buf correlation_texts;
    /* addresses in the text (address/inbody.h) */
    struct inbody *inbody;
    struct buf also_to, also_cc;
    int64_t touched[TOUCHED_MAX]; /* people who were written to */
    size_t touched_count;
    struct buf sender; /* mail address of the host user, with a NUL */
    struct buf options;
};

/* ERR_NO_MEMORY; always -1. */
static inline int to_mail_no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory for a letter");
}

/* Of the letter in hand. */
static inline const struct letter_head *to_mail_head(const struct to_mail *state)
{
    return &state->facts.letters[state->letter];
}

/* The host user who wrote. */
static inline struct host_address to_mail_sender(const struct to_mail *state)
{
    return (struct host_address){ .node = state->current.from_node, .user = state->current.from_user };
}

/* to_mail_targets.c */
/* Makes the targets of the letter in hand: the destination of the file, those of a mailer's envelope, or those in the
 * text of a note to in-body-id. Who cannot get it has no address and a reason. -1 temporary. */
int to_mail_targets(struct translation *translation, struct err *err);

/* to_mail_ledger.c */
/* In a reader's job, `arg` is the translation: whose the host addresses are, whether the host user may write to them,
 * and which letter is answered. */
int to_mail_look_up(struct db *db, void *arg, struct err *err);
/* Who is unknown may be in a directory that was never loaded: that is no reason to return a letter. True sets BUSY. */
bool to_mail_unknown_yet(const struct translation *translation, struct err *err);
/* In the commit: the letters are counted, and those who were written to are in use. */
int to_mail_note_use(struct db *db, struct translation *translation, struct err *err);

#endif
