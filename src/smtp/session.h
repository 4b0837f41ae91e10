/* session: one client of the server, from the greeting to QUIT. Private to the server (server.h is the contract). */
#ifndef OVVM_SMTP_SESSION_H
#define OVVM_SMTP_SESSION_H

#include "base/buf.h"
#include "smtp/content.h"
#include "smtp/parse.h"
#include "smtp/server.h"

enum {
    SMTP_CLIENT_SIZE = 64,         /* an address as text */
    SMTP_READ_MAX = 64 * 1024,     /* octets in one recv */
    SMTP_HELD_MAX = 128 * 1024,    /* received and not yet looked at, while something else must happen first */
    SMTP_REPLIES_MAX = 64 * 1024,  /* not yet sent: then the client must read before it may go on */
    SMTP_BAD_COMMANDS_MAX = 20,    /* then 421 */
    SMTP_LINGER_MAX = 1024 * 1024, /* octets thrown away while the client reads our last words */
};
#define SMTP_LINGER_US (5 * INT64_C(1000000))

/* What a session needs of its server. */
struct smtp_shared {
    struct loop *loop;
    struct smtp_sink sink;
    const char *host_name;
    uint64_t max_size;
    unsigned max_recipients;
    unsigned max_hops; /* 0: the default */
    int64_t command_us, data_us;
    bool draining;
    uint8_t *scratch; /* SMTP_HELD_MAX + SMTP_READ_MAX octets: what was held and what comes, side by side */
    struct smtp_server_figures figures;
    struct smtp_session *sessions;
    void (*left)(struct smtp_shared *shared); /* a session is gone; it may free nothing */
};

enum session_state {
    SESSION_COMMAND,
    SESSION_DATA,
    SESSION_COMMIT, /* all of the letter is with the sink: nothing more is read before its answer */
    SESSION_ENDING  /* our last words are said: send them, then wait until the client has read them */
};

struct smtp_session {
    struct smtp_shared *shared;
    struct smtp_session *next, **at; /* `at`: what points to this */
    int fd;
    bool lmtp;
    char client[SMTP_CLIENT_SIZE];
    enum session_state state;
    bool busy;     /* inside advance: the sink's answers change the state and nothing else */
    bool paused;   /* put said: no more until there is room */
    bool eof;      /* the client will send no more */
    bool broken;   /* nothing can be sent any more */
    bool reading;  /* the read event is set */
    bool said_bye; /* answered QUIT: the client closes first or at the same time, there is nothing to linger for */
    bool shut;     /* our sending side is closed */
    bool said_250; /* for the failpoint */
    unsigned bad_commands;
    size_t lingered;
    struct event *read_event, *write_event;
    struct loop_timer timer;
    struct buf in;  /* received, not yet looked at */
    struct buf out; /* replies, not yet sent */

    char helo[SMTP_DOMAIN_MAX + 3]; /* empty: not greeted yet */
    const char *protocol;
    bool has_mail;
    bool body_8bit;
    uint64_t size;
    char sender[SMTP_PATH_MAX + 1];
    char **recipients;
    size_t recipient_count, recipient_room;
    struct smtp_letter *letter; /* NULL: none, or abandoned */
    struct smtp_content content;
};

/* Owns `fd` from now on, also where it fails (NO_MEMORY); sends the greeting. */
int smtp_session_new(struct smtp_shared *shared, int fd, const char *client, bool lmtp, struct err *err);
/* The server drains: ends it with 421 where no letter is being received. The session may be gone afterwards. */
void smtp_session_drain(struct smtp_session *session);
/* Ends it now, with `421` where `say` (NULL: without a word) can be sent at once. */
void smtp_session_end(struct smtp_session *session, const char *say);
struct smtp_session *smtp_session_following(const struct smtp_session *session);

/* --- dialogue.c's, called by session.c --- */

/* Adds one reply; nothing is sent yet. */
void smtp_say(struct smtp_session *session, int code, const char *enhanced, const char *text);
/* The last words are said. */
void smtp_end_dialogue(struct smtp_session *session);
/* One command line, or content up to its end or to the end of the input. False: wait for more, or for the sink. */
bool smtp_take_command(struct smtp_session *session, struct reader *in);
bool smtp_take_content(struct smtp_session *session, struct reader *in);
/* Tells the sink, where there is a letter. */
void smtp_abandon_letter(struct smtp_session *session);
/* The answer to a whole letter: one, or in LMTP one for each recipient (RFC 2033 §4.2). `err` NULL: it is on disk. */
void smtp_answer_letter(struct smtp_session *session, const char *id, const struct err *err);
void smtp_forget_envelope(struct smtp_session *session);

#endif
