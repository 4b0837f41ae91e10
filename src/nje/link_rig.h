/* link_rig: for tests only. A link with a spool in memory, and a neighbour that says exactly the bytes the test gives
 * it, over loopback TCP. */
#ifndef OVVM_NJE_LINK_RIG_H
#define OVVM_NJE_LINK_RIG_H

#include "nje/block.h"
#include "nje/buffer.h"
#include "nje/control.h"
#include "nje/link.h"
#include "nje/signon.h"

enum { RIG_FILES_MAX = 20, RIG_PIECE = 700 };

struct nje_incoming {
    bool open, committed;
    int stream;
    struct buf bytes;
    struct nje_incoming_facts facts;
};

struct rig {
    struct loop *loop;
    struct event *guard;
    struct nje_link *link;
    struct nje_spool spool;
    /* the neighbour */
    int listening, fd;
    char address[64]; /* of `listening` */
    struct event *readable;
    struct buf got;
    size_t taken;
    const char *from; /* address to dial from; NULL: any */
    bool closed;      /* by the link */
    uint8_t bcb;      /* of the neighbour's next buffer */
    struct nje_bcb_count bcb_ours;
    /* the spool */
    bool full;        /* has_room says no */
    bool choke;       /* put says no */
    bool hold_commit; /* commit is not answered */
    bool hold_read;   /* read is not answered */
    bool hold_record; /* accepted is not answered */
    bool commit_fails;
    struct nje_incoming in[RIG_FILES_MAX];
    unsigned begun, committed, abandoned, confirmed;
    struct span out[RIG_FILES_MAX];
    unsigned out_count, out_next, asked, reads, accepted, returned, counted;
    struct err why;
    struct nje_message messages[RIG_FILES_MAX];
    unsigned message_count, state_changes;
    bool drained;
};

/* Options for a link with the neighbour NODEA, we are NODEB, waits short. */
struct nje_link_options rig_options(void);
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* The tests of a list: with a rig in *state that is open, or whose link dialled and signed on. */
#define rig_test(test)    cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)
#define rig_test_up(test) cmocka_unit_test_setup_teardown(test, rig_set_up_signed_on, rig_tear_down)
int rig_set_up(void **state);
int rig_set_up_signed_on(void **state);
int rig_tear_down(void **state);
void rig_link(struct rig *rig, const struct nje_link_options *options);
/* Runs the loop until the expression holds; fails the test after ten seconds. */
#define rig_wait(rig, expression) \
    do {                          \
        while (!(expression))     \
            rig_turn(rig);        \
    } while (0)
void rig_turn(struct rig *rig);

/* The neighbour takes the link's connection (which must be dialling rig->address), or dials the link's listener. */
void rig_accept(struct rig *rig);
void rig_dial(struct rig *rig);
void rig_hang_up(struct rig *rig);
void rig_say(struct rig *rig, struct span bytes);
void rig_say_control(struct rig *rig, enum nje_control_type type, const char *rhost, const char *ohost, uint8_t reason);
void rig_say_payload(struct rig *rig, struct span payload);
/* A buffer with the neighbour's next count; `records` without the end RCB. */
void rig_say_buffer(struct rig *rig, struct span records);
#define rig_say_records(rig, literal) rig_say_buffer((rig), SPAN_LITERAL(literal))
void rig_say_signon(struct rig *rig, uint8_t srcb, const char *node, unsigned buffer, const char *line_password);
/* A whole small file on SYSOUT 1: NJH, DSH, `records` cards, NJT, EOF, of the captured session's headers. */
void rig_say_file(struct rig *rig, unsigned records, bool trailer);
/* The same on another stream. */
void rig_say_file_on(struct rig *rig, uint8_t rcb, unsigned records, bool trailer);
/* From the connection to signed on, the neighbour dialling; rig_dial_open stops where its I was sent. */
void rig_dial_open(struct rig *rig);
void rig_dial_sign_on(struct rig *rig);
/* A file for the rig's spool, appended to `spool` (kept while the link has it): headers and so many cards. */
struct span rig_spool_file(struct buf *spool, unsigned records);
/* From now on the neighbour's machine is off: nothing that comes to this socket is even acknowledged. */
void rig_go_dead(struct rig *rig, int fd);
/* Waits for what the link says next. */
struct nje_control rig_hear_control(struct rig *rig);
struct span rig_hear_payload(struct rig *rig); /* valid until the next */
void rig_expect(struct rig *rig, struct span payload);
#define rig_expect_bytes(rig, literal) rig_expect((rig), SPAN_LITERAL(literal))
/* Expects a buffer of one record without bytes, such as A0 99. */
void rig_expect_record(struct rig *rig, uint8_t rcb, uint8_t srcb);
/* From the connection to signed on, the link dialling. */
void rig_sign_on(struct rig *rig);
enum nje_link_state rig_state(const struct rig *rig);
const char *rig_last_error(struct rig *rig);

#endif
