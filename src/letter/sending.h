/* sending: what the layouts of to_host share. Private to to_host.c, to_host_files.c and to_host_notes.c. */
#ifndef OVVM_LETTER_SENDING_H
#define OVVM_LETTER_SENDING_H

#include "codec/netdata_send.h"
#include "letter/hostfile.h"
#include "letter/letter.h"
#include "letter/names.h"
#include "letter/options.h"
#include "letter/resolution.h"

struct sending {
    const struct letter *letter;
    const struct options *options;
    const struct ebcdic_page *page;
    const struct host_resolution *resolution;
    struct buf *files; /* out: packed hostfiles */
    size_t file_count;
    int64_t date_us;             /* of the letter, or when it came */
    struct span from, from_name; /* shown: Internet address of the sender, and a name fit to be shown or empty */
    struct span to_name;         /* of the recipient: likewise */
    struct buf text;             /* of the note: the body and what is said below it */
    size_t substituted;          /* characters that the page lacks, in the note and its text attachments */
    struct host_name *names;     /* of the parts */
    struct records message;      /* TSO: the lines that go with the first attachment */
};

/* A part as records of this host. */
struct sending_part {
    const struct letter_part *part;
    struct host_name name;
    struct records records;
    bool fixed;
    size_t lrecl;
};
/* Text where the map of extensions has the extension and says so; else where the media type does, or where the map's
 * default does and there are no bytes in it that no text has. */
bool sending_part_is_text(const struct sending *sending, const struct letter_part *part);
/* Counts what the page lacks in *substituted_r, and long lines that had to be cut in *cut_r. */
void sending_part_make(const struct sending *sending, size_t index, struct sending_part *part_r, size_t *substituted_r,
                       size_t *cut_r);
/* The file of part `index`, as a hostfile of its own; with sending->message (TSO) before it in the same stream. */
int sending_part_put(struct sending *sending, size_t index, struct err *err);

/* The note, as hostfile. For TSO with attachments the message only goes to sending->message. Called twice: the first
 * time `dry`, to count what the page lacks. */
int sending_note_put(struct sending *sending, bool dry, struct err *err);

/* From and to, the next entry time. */
struct hostfile sending_file(struct sending *sending, const char *name, const char *type, char klass);
struct netdata_route sending_route(const struct sending *sending, const struct hostfile *file);
/* Packs the file (its records are cards now) and releases it. */
int sending_put(struct sending *sending, struct hostfile *file, struct err *err);
/* As NETDATA, in cards. */
int sending_put_netdata(struct sending *sending, struct hostfile *file, enum netdata_dialect dialect, bool ack_wanted,
                        const struct records *message, const struct netdata_item *item, struct err *err);

#endif
