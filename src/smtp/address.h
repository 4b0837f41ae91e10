/* address: an envelope address in its two parts, for those who look a recipient up. */
#ifndef OVVM_SMTP_ADDRESS_H
#define OVVM_SMTP_ADDRESS_H

#include "base/span.h"
#include "smtp/parse.h"

#include <stdbool.h>
#include <stddef.h>

struct smtp_address {
    char local[SMTP_PATH_MAX + 1];    /* without quotes and quoting backslashes (RFC 5321 §4.1.2: they mean nothing) */
    char domain[SMTP_DOMAIN_MAX + 1]; /* ASCII letters in lower case, so that A-labels compare; empty: none was given
                                         (<Postmaster>) */
};

/* `address` as it stands in an envelope, without < >. False where it is not of the form local@domain or is too long;
 * whether its characters are allowed was smtp_parse_rcpt's to say. The null reverse-path is no address. */
bool smtp_address_split(struct span address, struct smtp_address *address_r);

#endif
