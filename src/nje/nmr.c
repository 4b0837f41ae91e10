/* Messages and commands on the wire.
 *
 * What can go wrong: who speaks is told in three ways (flags, type, the text itself), and not every sender sets them as
 * the book has it: one leaves the type 0 and sends neither time nor user, others set no flag for a user id. The flags
 * are believed only where the bytes agree; where in doubt the text is shown whole and the speaker is a system, which is
 * never answered.
 */
#include "nje/nmr.h"

#include "codec/ebcdic.h"
#include "nje/text.h"

enum {
    FLAG_COMMAND = 0x80,
    FLAG_OUT_REMOTE = 0x40, /* NMROUT is a remote number */
    FLAG_OUT_USER = 0x20,   /* NMROUT is a user id */
    FLAG_OUT_CONSOLE = 0x10,
    TYPE_USER_IN_TEXT = 0x08,
    TYPE_NO_STAMP = 0x04,
    TYPE_FORMATTED = 0x02,
    LEVEL = 0x77, /* essential, priority 7: as RSCS and UnixNJE send it */
    STAMP_SIZE = 8
};

/* hh.mm.ss in EBCDIC, with any mark between the digits. */
static bool is_stamp(struct span text)
{
    if (text.size < STAMP_SIZE)
        return false;
    for (size_t i = 0; i < STAMP_SIZE; i++) {
        bool digit = text.at[i] >= 0xF0 && text.at[i] <= 0xF9;
        if (digit != (i % 3 != 2))
            return false;
    }
    return true;
}

/* Takes stamp and user id off the front of a message's text. */
static struct span message_text(uint8_t type, struct span text, struct name8 *from_user_r)
{
    if ((type & TYPE_NO_STAMP) == 0 && is_stamp(text))
        text = span_slice(text, STAMP_SIZE, text.size);
    if ((type & TYPE_USER_IN_TEXT) != 0 && text.size >= NAME8_MAX &&
        name8_from_ebcdic(span_slice(text, 0, NAME8_MAX), from_user_r))
        text = span_slice(text, NAME8_MAX, text.size);
    return text;
}

int nje_message_decode(struct span record, struct nje_message *message_r, struct err *err)
{
    *message_r = (struct nje_message){ .command = false };
    struct reader reader = reader_of(record);
    uint8_t flag = reader_u8(&reader);
    reader_skip(&reader, 1); /* NMRLEVEL */
    uint8_t type = reader_u8(&reader);
    uint8_t length = reader_u8(&reader);
    (void)name8_from_ebcdic(reader_take(&reader, NAME8_MAX), &message_r->to_node);
    reader_skip(&reader, 1); /* NMRTOQUL */
    struct span out = reader_take(&reader, NAME8_MAX);
    (void)name8_from_ebcdic(reader_take(&reader, NAME8_MAX), &message_r->from_node);
    reader_skip(&reader, 1); /* NMRFMQUL */
    if (reader.failed)
        return err_set(err, ERR_BAD_CONTENT, "message record (NMR) of %zu bytes: at least 30 are needed", record.size);
    struct span text = span_slice(reader.rest, 0, length);
    message_r->command = (flag & FLAG_COMMAND) != 0;
    struct name8 out_user = { .text = "" };
    /* JES3 and POWER do not look at FLAG_OUT_USER; remote numbers and console ids are not users */
    if ((flag & FLAG_OUT_USER) != 0 || (flag & (FLAG_OUT_REMOTE | FLAG_OUT_CONSOLE)) == 0)
        (void)name8_from_ebcdic(out, &out_user);
    if (message_r->command) {
        if ((type & TYPE_FORMATTED) != 0)
            return err_set(err, ERR_BAD_CONTENT, "message record (NMR): a formatted command has no text");
        message_r->from_user = out_user;
    } else {
        message_r->to_user = out_user;
        text = message_text(type, text, &message_r->from_user);
    }
    message_r->from_system = name8_empty(message_r->from_user);
    nje_text_decode(text, message_r->text, sizeof message_r->text);
    return 0;
}

static void add_name(struct buf *to, struct name8 name)
{
    uint8_t wire[NAME8_MAX];
    name8_to_ebcdic(name, wire);
    buf_add(to, wire, sizeof wire);
}

void nje_message_encode(struct buf *to, const struct nje_message *message)
{
    bool has_user = !message->from_system && !name8_empty(message->from_user);
    struct name8 nobody = { .text = "" };
    struct name8 out = message->to_user;
    if (message->command)
        out = has_user ? message->from_user : nobody;
    bool user_in_text = has_user && !message->command;
    size_t size = strnlen(message->text, NJE_MESSAGE_TEXT_MAX);

    int flag = (message->command ? FLAG_COMMAND : 0) | (name8_empty(out) ? 0 : FLAG_OUT_USER);
    int type = message->command ? 0 : TYPE_NO_STAMP | (user_in_text ? TYPE_USER_IN_TEXT : 0);
    buf_add_u8(to, (uint8_t)flag);
    buf_add_u8(to, LEVEL);
    buf_add_u8(to, (uint8_t)type);
    buf_add_u8(to, (uint8_t)(size + (user_in_text ? NAME8_MAX : 0)));
    add_name(to, message->to_node);
    buf_add_u8(to, 0); /* NMRTOQUL */
    add_name(to, out);
    add_name(to, message->from_node);
    buf_add_u8(to, 0); /* NMRFMQUL */
    if (user_in_text)
        add_name(to, message->from_user);
    nje_text_encode(to, message->text, size);
}
