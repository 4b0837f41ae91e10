/* show: the daemon's answers for people. */
#ifndef OVVM_ADMIN_SHOW_H
#define OVVM_ADMIN_SHOW_H

#include <jansson.h>

void show_status(const json_t *reply);
void show_queue(const json_t *reply);
void show_item(const json_t *reply);
void show_trace(const json_t *reply);
void show_who(const json_t *reply);
void show_registrations(const json_t *reply);
void show_registered(const json_t *reply);
void show_retired(const json_t *reply);
void show_imported(const json_t *reply);
/* Lines for a table. */
void show_table_lines(const json_t *reply);
void show_people(const json_t *reply);
void show_proxies(const json_t *reply);
void show_generated(const json_t *reply);
void show_people_check(const json_t *reply);
void show_people_load(const json_t *reply);
void show_tables(const json_t *reply);
void show_reload(const json_t *reply);
/* The one sentence about what was done. */
void show_done(const json_t *reply);
/* A bundle: `reply` is its manifest, with what its command added. */
void show_bundle(const json_t *reply);

#endif
