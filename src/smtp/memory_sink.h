/* memory_sink: a sink that keeps letters in memory and fails as it is told. For the tests and the fuzz target. */
#ifndef OVVM_SMTP_MEMORY_SINK_H
#define OVVM_SMTP_MEMORY_SINK_H

#include "base/buf.h"
#include "smtp/server.h"

enum { MEMORY_SINK_LETTERS = 16 };

struct memory_letter {
    struct smtp_session *session;
    struct buf envelope; /* "sender\nrecipient\n…", then flags */
    struct buf content;
    bool abandoned, committed;
};

struct memory_sink {
    enum err_id mail_fails, recipient_fails, begin_fails, commit_fails;
    bool commit_waits;    /* the test answers with memory_sink_commit */
    size_t room;          /* put says "no more" each time this many octets came; 0: never */
    bool room_at_once;    /* and there is room again before put returns */
    bool keeps_nothing;   /* count only */
    const char *only_for; /* recipients with another domain: 550 5.7.1; NULL: all */
    struct memory_letter letters[MEMORY_SINK_LETTERS];
    size_t count; /* begun; the last MEMORY_SINK_LETTERS are kept */
    size_t committed, abandoned;
    struct smtp_sink calls;
};

void memory_sink_init(struct memory_sink *sink);
void memory_sink_clear(struct memory_sink *sink);
/* Answers the commit that waits. */
void memory_sink_commit(struct memory_letter *letter, const struct err *err);

#endif
