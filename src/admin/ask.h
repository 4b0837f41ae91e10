/* ask: one question to the daemon. */
#ifndef OVVM_ADMIN_ASK_H
#define OVVM_ADMIN_ASK_H

#include <jansson.h>
#include <stdio.h>

enum { ASK_UNREACHABLE = 4 };

struct ask {
    const char *path; /* of the control socket */
    const json_t *request;
    FILE *content;   /* what the daemon takes behind the request, from where it stands; NULL: nothing */
    unsigned wait_s; /* for the answer; 0: a minute */
};
/* Returns the exit status of `ovvm`: 0, or what the daemon's answer says (*reply_r has its "error"), or ASK_UNREACHABLE
 * after printing why. *reply_r is the caller's; NULL where there is none. */
int ask(const struct ask *question, json_t **reply_r);

#endif
