/* loop: the one event loop, and the few things libevent leaves to us.
 *
 * Everything but the ledger's threads and the translator children runs in the loop's thread; only loop_post may be
 * called from elsewhere. Sockets use libevent's own calls on loop_base(). */
#ifndef OVVM_BASE_LOOP_H
#define OVVM_BASE_LOOP_H

#include <event2/event.h>
#include <stdint.h>

struct loop;

/* NULL: out of memory or descriptors. From then on the process ignores SIGPIPE. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);
struct event_base *loop_base(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* From any thread: `run(arg)` is called once, soon, in the loop's thread, in the order posted. The caller owns the
 * memory of the post until run is called. */
struct loop_post {
    void (*run)(void *arg);
    void *arg;
    struct loop_post *next;
};
void loop_post(struct loop *loop, struct loop_post *post);

/* A timer that belongs to its owner's structure: zero it, loop_timer_init once, then set and unset it at will. */
struct loop_timer {
    struct event *event;
    void (*run)(void *arg);
    void *arg;
};
int loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*run)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *timer, int64_t after_us);
void loop_timer_unset(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);

/* `base_us` doubled `failures` times, at most `max_us`, then spread over 50%..100% of that (a back-off that does
 * not beat in step with the peer's). */
int64_t loop_backoff(int64_t base_us, unsigned failures, int64_t max_us);

#endif
