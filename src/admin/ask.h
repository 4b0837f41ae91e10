/* ask: one question to the daemon. */
#ifndef OVVM_ADMIN_ASK_H
#define OVVM_ADMIN_ASK_H

#include <jansson.h>

enum { ASK_UNREACHABLE = 4 };

/* Sends `request` to the control socket at `path` and waits for the answer (a minute at most). Returns the exit status
 * of `ovvm`: 0, or what the daemon's answer says (*reply_r has its "error"), or ASK_UNREACHABLE after printing why.
 * *reply_r is the caller's; NULL where there is none. */
int ask(const char *path, const json_t *request, json_t **reply_r);

#endif
