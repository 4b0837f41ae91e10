/* transition: the states of an instance, and the only ways from one to the next (doc/relocating.md).
 *
 *     active -> exporting -> moved -> done          imported -> active (generation + 1)
 *
 * All inside the caller's transaction: a crash leaves the state before or the state after. Each writes a row of the
 * audit. REFUSED says which command is the right one now.
 */
#ifndef OVVM_RELOCATE_TRANSITION_H
#define OVVM_RELOCATE_TRANSITION_H

#include "store/instance.h"

enum {
    TRANSITION_ID_SIZE = 33, /* 32 hexadecimal digits */
    TRANSITION_RECEIPT_SIZE = 80,
    TRANSITION_SKIP =
        100000,           /* numbers that are never given out after a move was taken back, or something was restored */
    TRANSITION_RATE = 100 /* and as many for each second since the backup: more than can be registered in one */
};

/* A new bundle's id. */
void transition_new_id(char id_r[TRANSITION_ID_SIZE]);
/* What the operator does next; empty for an active instance. */
void transition_next(const struct instance *instance, char *to_r, size_t room);

/* active (or exporting: an export that was not finished) -> exporting. */
int transition_begin(struct db *db, const char *bundle, const char *who, struct err *err);
/* exporting -> moved, for the bundle that transition_begin named. Nothing where it is moved to that bundle already. */
int transition_moved(struct db *db, const char *bundle, const char *who, struct err *err);
/* exporting -> active, where no bundle got its name: the export failed, so no number has to be skipped. Nothing where
 * it is active already. */
int transition_undo(struct db *db, const char *bundle, const char *who, struct err *err);
/* moved -> done, with what `activate` printed on the other side. */
int transition_done(struct db *db, const char *receipt, const char *who, struct err *err);
/* The ledger is older than its last use, by an unknown amount: the sequence jumps by max(100,000, 10 x highest daily
 * use x days since `since_us`) and 100 for each second since then, letters that were ready are held, generation + 1,
 * active. */
struct transition_lossy {
    int64_t jump, next, held;
};
int transition_lossy(struct db *db, int64_t since_us, const char *what, const char *who,
                     struct transition_lossy *lossy_r, struct err *err);

/* What the operator knows of the bundle. */
enum transition_word { TRANSITION_NO_WORD, TRANSITION_NEVER_ACTIVATED, TRANSITION_WAS_ACTIVE };
/* exporting or moved -> active again. A moved instance needs the operator's word: never activated (and never will be):
 * TRANSITION_SKIP numbers are skipped; was active, and that side is lost (from done, too): a lossy restore. */
int transition_cancel(struct db *db, const char *bundle, enum transition_word word, const char *who,
                      struct transition_lossy *lossy_r, struct err *err);
/* imported -> active, generation + 1, after a test of the ledger. The sequence of registrations ends up above every
 * number that was registered (RL-01). An instance that was activated before only gets its receipt again. */
int transition_activate(struct db *db, const char *who, char receipt_r[TRANSITION_RECEIPT_SIZE], struct err *err);

/* No node of ours, also one that has no numbers yet, gives a number below `next` again. */
int transition_raise_numbers(struct db *db, int64_t next, struct err *err);
/* The number a registered user id stands for: X0000017 is 17; XA000000 follows X9999999. False: it is none. */
bool transition_number(const char *user_id, int64_t *number_r);

#endif
