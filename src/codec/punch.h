/* punch: plain 80-column card decks.
 *
 * A deck is one text without a name, or, where its first card is a CMS PUNCH header (`:READ  fn ft fm volid mm/dd/yy
 * hh:mm`, netdata.md §2), one or more named files. Bytes are EBCDIC in and out; trailing blanks carry no meaning on a
 * card and are cut.
 */
#ifndef OVVM_CODEC_PUNCH_H
#define OVVM_CODEC_PUNCH_H

#include "codec/records.h"

enum { PUNCH_NAME_SIZE = 9, PUNCH_MODE_SIZE = 3, PUNCH_DATE_SIZE = 20 };

struct punch_file {
    bool named;                 /* it began with a :READ card */
    char name[PUNCH_NAME_SIZE]; /* fn, ft, fm as ASCII in code page 037, blanks cut */
    char type[PUNCH_NAME_SIZE];
    char mode[PUNCH_MODE_SIZE];
    char date[PUNCH_DATE_SIZE]; /* "mm/dd/yy hh:mm[:ss]" as it came, local time there; empty where absent */
};

struct punch_walk {
    struct reader from;
    bool named; /* the deck is made of :READ files */
    bool begun;
    struct span ahead; /* the :READ card that ended the file before */
    bool has_ahead;
};

/* `cards` must stay as it is while the walk is used. */
struct punch_walk punch_walk_of(const struct records *cards);
/* The next file of the deck (skipping what was not read of the one before); false at the end. A deck without cards
 * has no file. */
bool punch_next_file(struct punch_walk *walk, struct punch_file *file_r);
/* The next card of this file without its trailing blanks; false at the end of the file. */
bool punch_next_card(struct punch_walk *walk, struct span *card_r);

/* Is this card a PUNCH header? Used to find a NETDATA stream or a note behind one, too. */
bool punch_is_header(struct span card);
/* DISK DUMP decks (netdata.md §3) are recognised, so that they are attached as they came and never shown as text. */
bool punch_is_disk_dump(struct span first_card);

/* A text line as cards: cut every 80 columns, an empty line as a blank card. Returns the number of cards. */
size_t punch_add_line(struct records *cards, struct span line);

#endif
