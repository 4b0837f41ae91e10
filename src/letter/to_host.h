/* to_host: a letter as the files that one host user gets.
 *
 * The note first, then one file for each attachment; on TSO the first attachment travels with the message, a mailer
 * gets everything in one. Layouts are those of host-users.md §6.
 */
#ifndef OVVM_LETTER_TO_HOST_H
#define OVVM_LETTER_TO_HOST_H

#include "letter/hostfile.h"
#include "letter/letter.h"
#include "letter/options.h"
#include "letter/resolution.h"

enum { TO_HOST_BINARY_RECORD = 1024 /* bytes of a record that holds a piece of a binary file */ };

/* Appends packed hostfiles. Entry times (and INMFTIME, by which an acknowledgement finds its letter) are
 * resolution->entry_us and the microseconds after it, one for each file. ERR_NO_MEMORY, ERR_BUG, ERR_BAD_ADDRESS. */
int letter_to_host(const struct letter *letter, const struct options *options, const struct ebcdic_page *page,
                   const struct host_resolution *resolution, struct buf *files, struct err *err);

#endif
