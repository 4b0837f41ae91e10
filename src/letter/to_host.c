/* One letter, six layouts. What is common is the text: the body, which files follow under which names, what was lost.
 * The text says how many characters were substituted, which is known only when all of it was built once: so it is
 * built twice. */
#include "letter/to_host.h"

#include "base/mem.h"
#include "codec/mime.h"
#include "letter/sending.h"

#include <stdio.h>

enum { OTHERS_SHOWN = 30, DATE_MIN_YEARS = 30 /* after 1970: no mail is older */, ORIGINAL_NAME_MAX = 200 };

static const int64_t year_us = INT64_C(31556952000000);

/* --- files --- */

struct hostfile sending_file(struct sending *sending, const char *name, const char *type, char klass)
{
    const struct host_resolution *resolution = sending->resolution;
    struct hostfile file = { .from_node = resolution->from_node,
                             .from_user = resolution->from_user,
                             .to_node = resolution->to_node,
                             .to_user = resolution->to_user,
                             .entry_us = resolution->entry_us + (int64_t)sending->file_count,
                             .klass = klass };
    (void)snprintf(file.name, sizeof file.name, "%s", name);
    (void)snprintf(file.type, sizeof file.type, "%s", type);
    (void)snprintf(file.form, sizeof file.form, "STANDARD");
    (void)snprintf(file.dist, sizeof file.dist, "SYSTEM");
    (void)snprintf(file.tag, sizeof file.tag, "%s %s 50", resolution->to_node.text, resolution->to_user.text);
    return file;
}

struct netdata_route sending_route(const struct sending *sending, const struct hostfile *file)
{
    return (struct netdata_route){ .from_node = sending->resolution->from_node,
                                   .from_user = sending->resolution->from_user,
                                   .to_node = sending->resolution->to_node,
                                   .to_user = sending->resolution->to_user,
                                   .time_us = file->entry_us };
}

int sending_put(struct sending *sending, struct hostfile *file, struct err *err)
{
    hostfile_pack(sending->files, file);
    hostfile_release(file);
    sending->file_count++;
    return sending->files->failed ? err_set(err, ERR_NO_MEMORY, "no memory for a host file") : 0;
}

int sending_put_netdata(struct sending *sending, struct hostfile *file, enum netdata_dialect dialect, bool ack_wanted,
                        const struct records *message, const struct netdata_item *item, struct err *err)
{
    struct buf stream = { 0 };
    struct netdata_route route = sending_route(sending, file);
    route.ack_wanted = ack_wanted;
    int result = netdata_encode(dialect, &route, message, item, &stream, err);
    if (result == 0) {
        netdata_cards(buf_span(&stream), &file->records);
        result = sending_put(sending, file, err);
    } else {
        hostfile_release(file);
    }
    buf_free(&stream);
    return result;
}

/* --- the text of the note --- */

static void add_words(struct buf *to, struct span text, size_t most)
{
    size_t count = 0;
    while (text.size > 0 && count++ < most) {
        uint32_t code = utf8_next(&text);
        utf8_add(to, code < 0x20 || code == 0x7F ? ' ' : code);
    }
    if (text.size > 0)
        buf_add_text(to, "...");
}

static void add_others(struct sending *sending, enum letter_role role, const char *label, size_t from)
{
    const struct letter_head *head = &sending->letter->head;
    size_t count = 0;
    for (size_t i = 0; i < head->address_count; i++) {
        const struct letter_address *address = &head->addresses[i];
        if (address->role != role || count++ < from)
            continue;
        if (count - from > OTHERS_SHOWN)
            continue;
        buf_add_text(&sending->text, count - from == 1 ? label : ", ");
        if (address->name.size > 0) {
            add_words(&sending->text, address->name, ORIGINAL_NAME_MAX);
            buf_add_u8(&sending->text, ' ');
        }
        buf_add_u8(&sending->text, '<');
        buf_add_span(&sending->text, address->address);
        buf_add_u8(&sending->text, '>');
    }
    if (count > from + OTHERS_SHOWN)
        buf_printf(&sending->text, " and %zu more", count - from - OTHERS_SHOWN);
    if (count > from)
        buf_add_u8(&sending->text, '\n');
}

static size_t count_role(const struct letter_head *head, enum letter_role role)
{
    size_t count = 0;
    for (size_t i = 0; i < head->address_count; i++)
        count += head->addresses[i].role == role;
    return count;
}

/* Who else got it: on the host this is only text (EN-03). */
static void add_recipients(struct sending *sending)
{
    size_t to = count_role(&sending->letter->head, LETTER_TO);
    size_t cc = count_role(&sending->letter->head, LETTER_CC);
    if (to > 1)
        add_others(sending, LETTER_TO, "Sent to: ", 0);
    add_others(sending, LETTER_CC, "cc: ", 0);
    if (to > 1 || cc > 0)
        buf_add_u8(&sending->text, '\n');
}

static void add_file_lines(struct sending *sending)
{
    const struct letter *letter = sending->letter;
    bool mvs = sending->options->kind == HOST_TSO || sending->options->kind == HOST_NJE38;
    if (letter->head.part_count == 0)
        return;
    buf_add_u8(&sending->text, '\n');
    for (size_t i = 0; i < letter->head.part_count; i++) {
        if (sending->options->attachments)
            buf_printf(&sending->text, "File %s%s%s%c%s follows: ", mvs ? sending->resolution->from_user.text : "",
                       mvs ? "." : "", sending->names[i].name.text, mvs ? '.' : ' ', sending->names[i].type.text);
        else
            buf_add_text(&sending->text, "File not sent, as this system is set up: ");
        add_words(&sending->text, letter->parts[i].name, ORIGINAL_NAME_MAX);
        buf_add_u8(&sending->text, '\n');
    }
}

static void make_text(struct sending *sending, size_t cut)
{
    const struct letter *letter = sending->letter;
    buf_clear(&sending->text);
    add_recipients(sending);
    buf_add_span(&sending->text, letter->body);
    add_file_lines(sending);
    if (letter->head.losses.size > 0 || cut > 0 || sending->substituted > 0)
        buf_add_u8(&sending->text, '\n');
    buf_add_span(&sending->text, letter->head.losses);
    if (cut > 0)
        buf_printf(&sending->text, "%zu lines of the files were too long for this system and go on in the next.\n",
                   cut);
    if (sending->substituted > 0)
        buf_printf(&sending->text, "%zu character%s that this system does not have %s replaced.\n",
                   sending->substituted, sending->substituted == 1 ? "" : "s",
                   sending->substituted == 1 ? "was" : "were");
}

/* --- all of it --- */

static void choose_sender(struct sending *sending)
{
    const struct host_resolution *resolution = sending->resolution;
    const struct letter_address *from = letter_first(&sending->letter->head, LETTER_FROM);
    if (from == NULL)
        from = letter_first(&sending->letter->head, LETTER_SENDER);
    sending->from = resolution->from;
    sending->from_name = resolution->from_name;
    if (sending->from.size == 0 && from != NULL) {
        sending->from = from->address;
        if (sending->from_name.size == 0)
            sending->from_name = from->name;
    }
    if (!mime_name_fit(&sending->from_name))
        sending->from_name = SPAN_EMPTY;
    sending->to_name = resolution->to_name;
    if (!mime_name_fit(&sending->to_name))
        sending->to_name = SPAN_EMPTY;
}

static int make_names(struct sending *sending, struct err *err)
{
    const struct letter *letter = sending->letter;
    bool mvs = sending->options->kind == HOST_TSO || sending->options->kind == HOST_NJE38;
    if (letter->head.part_count == 0)
        return 0;
    sending->names = mem_zero(letter->head.part_count * sizeof *sending->names);
    if (sending->names == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for the names of files");
    for (size_t i = 0; i < letter->head.part_count; i++)
        host_name_make(letter->parts[i].name, mvs, sending_part_is_text(sending, &letter->parts[i]) ? "TXT" : "BIN",
                       sending->names, i, &sending->names[i]);
    return 0;
}

/* What the attachments lose, before the note that says so is written. */
static size_t measure_parts(struct sending *sending)
{
    size_t all_cut = 0;
    for (size_t i = 0; sending->options->attachments && i < sending->letter->head.part_count; i++) {
        struct sending_part part;
        size_t substituted = 0;
        size_t cut = 0;
        sending_part_make(sending, i, &part, &substituted, &cut);
        records_free(&part.records);
        sending->substituted += substituted;
        all_cut += cut;
    }
    return all_cut;
}

static int send_all(struct sending *sending, struct err *err)
{
    bool inside = sending->options->kind == HOST_MAILER; /* the attachments are */
    if (make_names(sending, err) != 0)
        return -1;
    size_t cut = inside ? 0 : measure_parts(sending);
    make_text(sending, cut);
    if (sending_note_put(sending, true, err) != 0)
        return -1;
    make_text(sending, cut);
    if (sending->text.failed)
        return err_set(err, ERR_NO_MEMORY, "no memory for a note");
    if (sending_note_put(sending, false, err) != 0)
        return -1;
    for (size_t i = 0; !inside && sending->options->attachments && i < sending->letter->head.part_count; i++)
        if (sending_part_put(sending, i, err) != 0)
            return -1;
    return 0;
}

int letter_to_host(const struct letter *letter, const struct options *options, const struct ebcdic_page *page,
                   const struct host_resolution *resolution, struct buf *files, struct err *err)
{
    struct sending sending = {
        .letter = letter, .options = options, .page = page, .resolution = resolution, .files = files
    };
    bool dated = letter->head.has_date && letter->head.date_us > DATE_MIN_YEARS * year_us &&
                 letter->head.date_us < resolution->entry_us + year_us;
    sending.date_us = dated ? letter->head.date_us : resolution->entry_us;
    choose_sender(&sending);
    int result = send_all(&sending, err);
    buf_free(&sending.text);
    records_free(&sending.message);
    mem_free(sending.names);
    return result;
}
