/* from_host: a host file as letters.
 *
 * What it is, is looked for in this order: nothing at all; NETDATA (note, message, files, acknowledgement, or a
 * mailer's BSMTP inside); a PROFS note or acknowledgement; BSMTP; a :READ deck; a mail header on class M or type MAIL;
 * the text of a CMS NOTE; else text. What none of this can hold (DISK DUMP, object decks, damaged NETDATA) is attached
 * as it came, and the body says so.
 */
#ifndef OVVM_LETTER_FROM_HOST_H
#define OVVM_LETTER_FROM_HOST_H

#include "codec/netdata.h"
#include "letter/hostfile.h"
#include "letter/letter.h"
#include "letter/options.h"

struct host_letters {
    struct letter *letters; /* those not asked for are empty, but counted */
    size_t count;
    struct err rest; /* why what follows the letters cannot be understood; id ERR_NONE: nothing follows */
};

/* `only`: which letter is wanted, from 0, or SIZE_MAX for all. ERR_NO_MEMORY, ERR_TOO_MANY. Release in every case. */
int letters_from_host(const struct hostfile *file, const struct options *options, const struct ebcdic_page *page,
                      size_t only, struct host_letters *letters_r, struct err *err);
void host_letters_release(struct host_letters *letters);

/* Appends the NETDATA stream that the cards hold. */
void host_stream(const struct hostfile *file, struct buf *stream);

/* Appends one letter's place, or NULL (*err filled): shared with from_netdata. */
struct letter *host_letters_add(struct host_letters *letters, enum letter_source source, struct err *err);
/* Appends records as lines of UTF-8, trailing blanks cut; counts what the page does not define in letter->substituted.
 */
void host_lines(struct letter *letter, const struct records *records, const struct ebcdic_page *page, struct buf *to);
/* Attaches records as a file of this name: text or binary by the options' map of file types. */
struct host_data {
    const char *name, *type; /* `name.type`; either may be empty */
    enum letter_form form;
    size_t lrecl;
    unsigned carriage; /* NETDATA_ASA, NETDATA_MACHINE or 0: the first byte of each record */
    int64_t changed_us;
};
void host_attach(struct letter *letter, const struct host_data *data, const struct records *records,
                 const struct options *options, const struct ebcdic_page *page);
/* Attaches the records' bytes as they came, and says why. */
void host_attach_raw(struct letter *letter, const char *name, const struct records *records, const char *why);
/* Is there a mailer's envelope in these records? Then its messages become letters: 1; 0: no; -1: an error. */
int host_bsmtp(struct host_letters *letters, const struct records *records, const struct options *options,
               const struct ebcdic_page *page, size_t only, struct err *err);
/* A note's lines become the head and body of a letter. */
int host_note(struct letter *letter, const struct records *records, const struct ebcdic_page *page, bool *is_note_r,
              struct err *err);

/* NETDATA that was detected. The same errors as letters_from_host. */
int letters_from_netdata(const struct hostfile *file, const struct options *options, const struct ebcdic_page *page,
                         size_t only, struct host_letters *letters, struct err *err);

#endif
