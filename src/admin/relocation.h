/* relocation: one call of a verb that moves, backs up or restores: its configuration, its ledger, its answer. */
#ifndef OVVM_ADMIN_RELOCATION_H
#define OVVM_ADMIN_RELOCATION_H

#include "admin/command.h"
#include "relocate/bundle.h"
#include "relocate/compare.h"
#include "relocate/ledger.h"

/* What most of these verbs need. */
struct relocation {
    const struct command *command;
    struct conf conf;
    struct ledger ledger;
    bool running; /* a daemon has the ledger */
    long drain_s;
    char who[64];
    json_t *back; /* letters that the running daemon put back into their queues; NULL: none */
    struct err err;
};

/* EXIT_DONE, or the exit status after saying why. */
int relocation_begin(const struct command *command, struct relocation *relocation_r);
/* Closes everything. `reply` NULL: shows relocation->err. Exit status. */
int relocation_end(struct relocation *relocation, json_t *reply, void (*show)(const json_t *reply));
int relocation_open(struct relocation *relocation, enum ledger_mode mode);
/* For reading, whether a daemon runs or not. */
int relocation_open_any(struct relocation *relocation);

struct bundle_keys relocation_keys(const struct command *command);
/* A sentence about what comes next. */
void relocation_add_next(json_t *reply, const char *text);
/* The bundle's facts without the long list of its members. */
json_t *relocation_facts(const json_t *manifest);
/* A text of an object; "-" where there is none. */
const char *relocation_fact(const json_t *object, const char *name);
/* The folder of the operator's tables: what was said, what the configuration says, else `tables` beside it. */
const char *relocation_tables(const struct relocation *relocation, char *room_r, size_t room);
/* Does Ovdfile.dat in that folder list nodes with a mail manager? Those have a REMLOC entry for us. */
bool relocation_mail_managers(const char *folder, const struct conf *conf);
/* What every address means here, and meant there; as part of the answer. */
int relocation_compare(struct relocation *relocation, struct db *db, struct compare_result *result_r);
void relocation_add_comparison(json_t *reply, struct compare_result *result);
/* All the reasons of a refusal: the error has only the first. */
void relocation_show_lines(const struct command *command, const json_t *lines);

#endif
