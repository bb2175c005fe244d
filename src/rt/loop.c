// SPDX-License-Identifier: Apache-2.0
#include "rt/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "rt/loop_internal.h"

static __thread struct loop *running;

struct loop *loop_current(void)
{
    return running;
}

nsec_t loop_now(const struct loop *l)
{
    return l->now;
}

nsec_t loop_update_now(struct loop *l)
{
    l->now = clock_now();
    return l->now;
}

static void run_posts(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct loop_post_item *posts = TAKE(l->posts);
    size_t count = l->post_count;
    l->post_count = l->post_cap = 0;
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < count; i++) {
        posts[i].fn(posts[i].arg);
    }
    free(posts);
}

static void on_wake(struct io *io, unsigned events)
{
    struct loop *l = CONTAINER_OF(io, struct loop, wake);
    uint64_t count;

    (void)events;
    while (read(io->fd, &count, sizeof(count)) > 0) {
    }
    run_posts(l);
}

static void ring(struct loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->wake.fd, &one, sizeof(one));
    (void)n; // EAGAIN: it is rung already
}

struct loop *loop_new(void)
{
    struct loop *l = XNEW(struct loop);

    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake = (struct io){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .fn = on_wake};
    ASSERT(l->epoll_fd >= 0 && l->wake.fd >= 0);
    list_init(&l->ready);
    list_init(&l->flushes);
    list_init(&l->idle);
    pthread_mutex_init(&l->lock, NULL);
    int r = io_add(l, &l->wake);
    ASSERT(r == 0);
    l->now = clock_now();
    return l;
}

void loop_free(struct loop *l)
{
    if (!l) {
        return;
    }
    ASSERT(l->live == 0);
    // What was posted too late to run is run here, so that nothing it owns is lost.
    run_posts(l);
    io_del(l, &l->wake);
    close(l->wake.fd);
    close(l->epoll_fd);
    co_fini_pool(l);
    timer_heap_fini(&l->timers);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&l->lock);
    ARRAY_RESERVE(l->posts, l->post_count, l->post_cap);
    l->posts[l->post_count++] = (struct loop_post_item){fn, arg};
    pthread_mutex_unlock(&l->lock);
    ring(l);
}

void loop_stop(struct loop *l)
{
    __atomic_store_n(&l->stopping, true, __ATOMIC_RELEASE);
    ring(l);
}

void timer_set(struct loop *l, struct timer *t, nsec_t due, void (*fn)(struct timer *t))
{
    timer_cancel(l, t);
    t->fn = fn;
    timer_heap_add(&l->timers, t, MAX(due, (nsec_t)1));
}

void timer_cancel(struct loop *l, struct timer *t)
{
    if (t->index) {
        timer_heap_del(&l->timers, t);
    }
}

int io_add(struct loop *l, struct io *io)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = io};

    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, io->fd, &e) < 0 ? -errno : 0;
}

void io_del(struct loop *l, struct io *io)
{
    // The kernel keeps a registration as long as any copy of the file is open, a child's too.
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    // An event of this batch that was not delivered yet must not reach freed memory.
    for (int i = l->event_next; i < l->event_count; i++) {
        if (l->events[i].data.ptr == io) {
            l->events[i].data.ptr = NULL;
        }
    }
}

void loop_flush_later(struct loop *l, struct flush *f)
{
    if (!f->queued) {
        f->queued = true;
        list_push_back(&l->flushes, &f->link);
    }
}

void loop_flush_cancel(struct flush *f)
{
    if (f->queued) {
        f->queued = false;
        list_del(&f->link);
    }
}

// As epoll_pwait2(), which kernels before 5.11, some sandboxes and Valgrind do not have.
static int await_events(struct loop *l, const struct timespec *timeout)
{
    static bool missing;
    struct pollfd p = {.fd = l->epoll_fd, .events = POLLIN};

    if (!__atomic_load_n(&missing, __ATOMIC_RELAXED)) {
        int n = epoll_pwait2(l->epoll_fd, l->events, LOOP_EVENTS, timeout, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return n;
        }
        __atomic_store_n(&missing, true, __ATOMIC_RELAXED);
    }
    ppoll(&p, 1, timeout, NULL);
    return epoll_wait(l->epoll_fd, l->events, LOOP_EVENTS, 0);
}

static void wait_for_events(struct loop *l)
{
    nsec_t next = timer_heap_next(&l->timers);
    nsec_t wait = !list_empty(&l->ready) ? 0 : next == NSEC_MAX ? -1 : MAX(next - l->now, 0);
    struct timespec ts = {wait / NSEC_PER_SEC, wait % NSEC_PER_SEC};
    nsec_t before = l->now;

    if (wait != 0) {
        // The turn's work took time: without this a timer would fire late by as much.
        before = loop_update_now(l);
        if (wait > 0) {
            wait = MAX(next - before, 0);
            ts = (struct timespec){wait / NSEC_PER_SEC, wait % NSEC_PER_SEC};
        }
    }
    int n = await_events(l, wait < 0 ? NULL : &ts);
    loop_update_now(l);
    if (wait != 0) {
        l->stats.waiting += l->now - before;
    }
    l->event_count = MAX(n, 0);
}

static void deliver_events(struct loop *l)
{
    for (l->event_next = 0; l->event_next < l->event_count;) {
        const struct epoll_event *e = &l->events[l->event_next++];
        struct io *io = e->data.ptr;
        if (!io) {
            continue;
        }
        unsigned events = (e->events & (EPOLLIN | EPOLLRDHUP) ? IO_READ : 0) |
                          (e->events & EPOLLOUT ? IO_WRITE : 0) |
                          (e->events & EPOLLRDHUP ? IO_EOF : 0) |
                          (e->events & (EPOLLHUP | EPOLLERR) ? IO_READ | IO_WRITE | IO_HANGUP : 0);
        io->ready |= events;
        io->fn(io, events);
    }
    l->event_count = 0;
}

static void run_timers(struct loop *l)
{
    nsec_t now = l->now;

    for (;;) {
        nsec_t due = timer_heap_next(&l->timers);
        struct timer *t = timer_heap_take(&l->timers, now);
        if (!t) {
            return;
        }
        l->stats.late_max = MAX(l->stats.late_max, now - due);
        t->fn(t);
    }
}

static void run_flushes(struct loop *l)
{
    while (!list_empty(&l->flushes)) {
        struct flush *f = LIST_ENTRY(l->flushes.next, struct flush, link);
        loop_flush_cancel(f);
        f->fn(f);
    }
}

void loop_run(struct loop *l)
{
    struct loop *outer = running;
    nsec_t begin = clock_now();
    nsec_t waited = l->stats.waiting;

    // The default slack of 50 µs would show in every sleep and arrival.
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    running = l;
    l->now = begin;
    while (!__atomic_load_n(&l->stopping, __ATOMIC_ACQUIRE) || !list_empty(&l->ready)) {
        wait_for_events(l);
        deliver_events(l);
        run_timers(l);
        co_run_ready(l);
        run_flushes(l);
        l->stats.turns++;
        l->stats.busy = l->now - begin - (l->stats.waiting - waited);
    }
    __atomic_store_n(&l->stopping, false, __ATOMIC_RELEASE);
    running = outer;
}

void loop_take_stats(struct loop *l, struct loop_stats *ret_stats)
{
    *ret_stats = l->stats;
    l->stats.late_max = 0;
}
