/* nmr: nodal message records, the messages and commands of NJE (RCB X'9A').
 *
 * Source: SA32-0988 nodal message record, Interpreting NMRMSG. They are unacknowledged; a message from a system must
 * never be answered with a message (loops).
 */
#ifndef OVVM_NJE_NMR_H
#define OVVM_NJE_NMR_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "nje/link.h"

/* RSCS takes 1 to 132 characters. */
enum { NJE_MESSAGE_TEXT_MAX = 132 };

/* `record`: one NMR as it comes out of SCB decompression, from NMRFLAG on. A length that is too large is taken as what
 * is there. Names that are none read as empty, so that nothing is ever sent to them; text beyond the room is cut,
 * characters that ASCII lacks become '?'. BAD_CONTENT where the fixed part is not all there, and for a formatted
 * command (NMRTYPE 02), which has no text. */
int nje_message_decode(struct span record, struct nje_message *message_r, struct err *err);

/* Appends one NMR, from NMRFLAG on. Text beyond NJE_MESSAGE_TEXT_MAX is cut. `from_system`, or an empty from_user: sent
 * without a user. */
void nje_message_encode(struct buf *to, const struct nje_message *message);

#endif
