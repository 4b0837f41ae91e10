/* report: telling a sender, in the form of his own world, that his letter did not arrive.
 *
 * To the Internet a delivery status notification (RFC 3464) with the null sender; to a host user a short note in the
 * words of the classic product (ND-01, ND-02). A report never causes a report.
 */
#ifndef OVVM_GATEWAY_REPORT_H
#define OVVM_GATEWAY_REPORT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/ulid.h"

struct report_failure {
    const char *recipient;  /* as the sender wrote it */
    enum err_id id;         /* ERR_NONE: see status */
    const char *status;     /* enhanced status, e.g. "5.1.1" */
    const char *diagnostic; /* the other system's words, or ours */
};

struct report {
    struct ulid letter;    /* of the report itself */
    const char *host_name; /* we, as reporting MTA */
    const char *postmaster;
    const char *node; /* our node */
    const char *to;   /* mail: the sender's address */
    int64_t arrived_us, now_us;
    const struct report_failure *failures;
    size_t failure_count;
    struct span original; /* the letter as it came: the header goes along (mail only) */
};

/* A whole letter, CRLF lines. */
void report_to_mail(const struct report *report, struct buf *to);
/* The lines of a note, \n ended, UTF-8. */
void report_to_host(const struct report *report, struct buf *to);

#endif
