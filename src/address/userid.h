/* userid: user ids that the connector makes: numbers, and names cut to eight characters of the host world. */
#ifndef OVVM_ADDRESS_USERID_H
#define OVVM_ADDRESS_USERID_H

#include "base/buf.h"
#include "base/name8.h"

#define USERID_POSTMASTER "POSTMAST" /* sender of reports, and of letters whose sender has no address of his own */

enum {
    USERID_PLAIN_NUMBERS = 9999999, /* the last that is the prefix and seven digits */
    USERID_TRIES_MAX = 999999       /* of one stem, so that a character of it is left whatever its size */
};

/* The nth address: X0000001 … X9999999, then XA000000 … XZZZZZZZ (a letter and six digits of base 36). -1: n is less
 * than 1, or there are no more. */
int userid_of_number(char prefix, int64_t number, struct name8 *user_r);
/* Has the form of a number (of either kind)? Names and rules never make such. */
bool userid_is_number(struct name8 user, char prefix);
/* Keywords and programs of the hosts (AD-10), gateways (AD-11), and our own: never anybody's address. */
bool userid_is_reserved(struct name8 user);

/* Appends what a user id can hold of a text in UTF-8: A-Z 0-9 # $ _, letters folded to upper case and without their
 * accents (Müller: MULLER, Straße: STRASSE). All else is dropped; hyphens too, which some hosts cannot answer (AD-14).
 */
void userid_fold(struct span text, struct buf *to);
/* The stem cut to eight characters, for n = 1; with n (to USERID_TRIES_MAX) at its end and the stem shortened for it,
 * for others. To seven characters where eight could have the form of a number. */
struct name8 userid_nth(struct span stem, int64_t n, char prefix);
/* Without the digits that it begins with: MVS takes no user id like that. */
struct span userid_stem(struct span folded);
/* Could userid_nth have made this of the stem? Of an empty stem: is it a number? */
bool userid_fits(struct span stem, struct name8 user, char prefix);

#endif
