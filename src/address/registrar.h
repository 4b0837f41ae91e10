/* registrar: what host users ask of the connector in a letter or a message to registrar-id, and what they are told.
 *
 * Commands, one a line: REGISTER address [NAME], WHO address, LIST, HELP. A letter may hold several and any other text;
 * a message is one. Two steps, as in who.h: registrar_begin in the loop's thread, registrar_work in a job that writes.
 * Answers are counted for each user and day, so that two programs cannot talk for ever; who may register whom, and how
 * many a day, is in Access.tbl.
 */
#ifndef OVVM_ADDRESS_REGISTRAR_H
#define OVVM_ADDRESS_REGISTRAR_H

#include "address/access.h"
#include "address/border.h"
#include "address/registry.h"

enum { REGISTRAR_COMMANDS_MAX = 20, REGISTRAR_LIST_MAX = 20, REGISTRAR_LINES_LOOKED = 100, REGISTRAR_OPENING = 4096 };

struct registrar;

struct registrar_question {
    const struct border *border;
    const struct registry_policy *policy;
    struct host_address user; /* who asks */
    struct span text;         /* UTF-8; lines ended by LF */
    unsigned answers_max;     /* of a user on a day */
    int64_t now_us;
};

/* NULL: out of memory. Keeps nothing of the question. */
struct registrar *registrar_begin(const struct registrar_question *question);
void registrar_free(struct registrar *registrar);
/* Does what was asked. May run twice. */
int registrar_work(struct db *db, struct registrar *registrar, struct err *err);
/* After the commit of registrar_work: a line in the log for each address that was given. True where any was: the
 * registry must forget what it remembers. */
bool registrar_log(const struct registrar *registrar);
/* After registrar_work: lines ended by LF, at most 120 columns each; empty: the user gets no answer any more today. */
struct span registrar_answer(const struct registrar *registrar);

#endif
