/* from_mail: an RFC 5322 message as a letter.
 *
 * The person is the first mailbox of From. The body is what a reader without HTML sees: text/plain of a
 * multipart/alternative, else its HTML as text; everything else is a part, as it came. Reports say what they speak of.
 */
#ifndef OVVM_LETTER_FROM_MAIL_H
#define OVVM_LETTER_FROM_MAIL_H

#include "letter/letter.h"

/* `host`: the message came on cards and is UTF-8 already, so that a charset in it speaks of encoded parts only, and
 * FRED@NODE is a host pair as well. Any bytes are some letter: ERR_NO_MEMORY only. Release in every case. */
int letter_from_mail(struct span mail, enum letter_source source, struct letter *letter_r, struct err *err);

#endif
