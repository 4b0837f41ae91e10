/* libevent glue: posts from other threads through an eventfd, timers, back-off. */
#include "base/loop.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop {
    struct event_base *base;
    struct event *posted;
    int wake_fd;
    pthread_mutex_t lock;
    struct loop_post *first;
    struct loop_post **last;
};

static void run_posts(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct loop *loop = arg;
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* an eventfd: nothing to do with a failed read */
    (void)pthread_mutex_lock(&loop->lock);
    struct loop_post *post = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    (void)pthread_mutex_unlock(&loop->lock);
    while (post != NULL) {
        struct loop_post *next = post->next; /* run may free the post */
        post->run(post->arg);
        post = next;
    }
}

struct loop *loop_new(void)
{
    struct loop *loop = mem_zero(sizeof *loop);
    if (loop == NULL)
        return NULL;
    /* libevent writes to sockets with writev, which would end the process where the peer has closed */
    (void)signal(SIGPIPE, SIG_IGN);
    loop->wake_fd = -1;
    loop->last = &loop->first;
    (void)pthread_mutex_init(&loop->lock, NULL);
    loop->base = event_base_new();
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->base != NULL && loop->wake_fd != -1)
        loop->posted = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, run_posts, loop);
    if (loop->posted == NULL || event_add(loop->posted, NULL) == -1) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->posted != NULL)
        event_free(loop->posted);
    if (loop->base != NULL)
        event_base_free(loop->base);
    if (loop->wake_fd != -1)
        (void)close(loop->wake_fd);
    (void)pthread_mutex_destroy(&loop->lock);
    mem_free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

void loop_run(struct loop *loop)
{
    (void)event_base_dispatch(loop->base);
}

void loop_stop(struct loop *loop)
{
    (void)event_base_loopbreak(loop->base);
}

void loop_post(struct loop *loop, struct loop_post *post)
{
    post->next = NULL;
    (void)pthread_mutex_lock(&loop->lock);
    bool first = loop->first == NULL;
    *loop->last = post;
    loop->last = &post->next;
    (void)pthread_mutex_unlock(&loop->lock);
    if (first) {
        uint64_t one = 1;
        ssize_t put = write(loop->wake_fd, &one, sizeof one);
        (void)put; /* only fails when the counter is full, and then the loop is awake */
    }
}

static void run_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop_timer *timer = arg;
    timer->run(timer->arg);
}

int loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*run)(void *arg), void *arg)
{
    timer->run = run;
    timer->arg = arg;
    timer->event = event_new(loop->base, -1, 0, run_timer, timer);
    return timer->event != NULL ? 0 : -1;
}

void loop_timer_set(struct loop_timer *timer, int64_t after_us)
{
    if (after_us < 0)
        after_us = 0;
    struct timeval after = { .tv_sec = after_us / CLOCK_SECOND, .tv_usec = after_us % CLOCK_SECOND };
    (void)event_add(timer->event, &after);
}

void loop_timer_unset(struct loop_timer *timer)
{
    if (timer->event != NULL)
        (void)event_del(timer->event);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer->event != NULL)
        event_free(timer->event);
    timer->event = NULL;
}

int64_t loop_backoff(int64_t base_us, unsigned failures, int64_t max_us)
{
    int64_t wait = base_us;
    while (failures-- > 0 && wait < max_us)
        wait *= 2;
    if (wait > max_us)
        wait = max_us;
    int64_t half_ms = wait / 2000;
    return wait - half_ms * 1000 + (int64_t)clock_random_below((uint32_t)(half_ms + 1)) * 1000;
}
