/* translate: the entry points of a translator, called in a sandboxed child.
 *
 * Pure functions: bytes in, bytes out, no files, no clock, no locale, nothing kept between calls (encoding decodes
 * again). Everything crosses packed: an input is a hostfile (hostfile_pack) or an RFC 5322 message as it came from
 * SMTP; `options` is options_pack, `resolution` one of resolution.h. Outputs are appended; after -1 they hold nothing
 * of use. Errors: ERR_BAD_CONTENT (the input is no hostfile, options or resolution do not fit, there is no such
 * letter), ERR_CONFIG (an unknown code page), ERR_TOO_MANY, ERR_NO_MEMORY, ERR_BUG. Odd letters are no errors: what is
 * not understood is attached as it came, with a remark.
 */
#ifndef OVVM_LETTER_TRANSLATE_H
#define OVVM_LETTER_TRANSLATE_H

#include "base/buf.h"
#include "base/err.h"

/* Once in each process, before it shuts itself in: opens every iconv handle that letters need, since glibc opens none
 * without files. ERR_CONFIG where even UTF-8 is missing. Charsets that this system lacks are read as Latin-1. */
int translate_init(struct err *err);

/* -> facts.h */
int translate_host_facts(struct span hostfile, struct span options, struct buf *facts, struct err *err);
/* -> an RFC 5322 message, lines ended by CRLF, 7-bit. `resolution`: mail_resolution. */
int translate_host_to_mail(struct span hostfile, struct span options, struct span resolution, struct buf *mail,
                           struct err *err);
/* -> a list of one hostfile that acknowledges this one. `resolution`: ack_resolution. ERR_BAD_CONTENT where it is of
 * no kind that is acknowledged. */
int translate_host_ack(struct span hostfile, struct span options, struct span resolution, struct buf *files,
                       struct err *err);
/* -> facts.h, always of one letter */
int translate_mail_facts(struct span mail, struct buf *facts, struct err *err);
/* -> a list of hostfiles: the note first, then one for each attachment. `resolution`: host_resolution. */
int translate_mail_to_host(struct span mail, struct span options, struct span resolution, struct buf *files,
                           struct err *err);

#endif
