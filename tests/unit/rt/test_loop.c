// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rt/loop.h"
#include "unit.h"

static char trace[64];
static struct loop *loop;

static void note(char c)
{
    size_t n = strlen(trace);

    trace[n] = c;
    trace[n + 1] = 0;
}

static void on_flush(struct flush *f)
{
    (void)f;
    note('f');
}
static struct flush flush = {.fn = on_flush};

static void on_timer(struct timer *t)
{
    (void)t;
    note('t');
    loop_flush_later(loop, &flush);
    loop_flush_later(loop, &flush);
}

static void on_stop_timer(struct timer *t)
{
    (void)t;
    loop_stop(loop);
}

static void on_read(struct io *io, unsigned events)
{
    char c;

    if (events & IO_READ) {
        while (read(io->fd, &c, 1) == 1) {
            note(c);
        }
    }
}

START_TEST(phases_in_order)
{
    struct timer timer = TIMER_NULL, cancelled = TIMER_NULL, stop = TIMER_NULL;
    int fds[2];

    loop = loop_new();
    ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    struct io io = {.fd = fds[0], .fn = on_read};
    ck_assert_int_eq(io_add(loop, &io), 0);
    ck_assert_int_eq(write(fds[1], "ab", 2), 2);
    timer_set(loop, &timer, clock_now(), on_timer);
    timer_set(loop, &cancelled, clock_now(), on_timer);
    timer_cancel(loop, &cancelled);
    timer_set(loop, &stop, clock_now() + 5 * NSEC_PER_MSEC, on_stop_timer);
    nsec_t begin = clock_now();
    loop_run(loop);
    ck_assert_int_ge(clock_now() - begin, 4 * NSEC_PER_MSEC);
    ck_assert_str_eq(trace, "abtf");
    io_del(loop, &io);
    close(fds[0]);
    close(fds[1]);
    loop_free(loop);
}
END_TEST

static struct io pair[2];
static int pair_calls;

static void on_pair(struct io *io, unsigned events)
{
    (void)io;
    (void)events;
    pair_calls++;
    // Whichever comes first takes the other away.
    io_del(loop, &pair[0]);
    io_del(loop, &pair[1]);
    loop_stop(loop);
}

START_TEST(no_event_after_io_del)
{
    int a[2], b[2];

    loop = loop_new();
    ck_assert_int_eq(pipe2(a, O_NONBLOCK), 0);
    ck_assert_int_eq(pipe2(b, O_NONBLOCK), 0);
    pair[0] = (struct io){.fd = a[0], .fn = on_pair};
    pair[1] = (struct io){.fd = b[0], .fn = on_pair};
    io_add(loop, &pair[0]);
    io_add(loop, &pair[1]);
    ck_assert_int_eq(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
    loop_run(loop);
    ck_assert_int_eq(pair_calls, 1);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    loop_free(loop);
}
END_TEST

static void count_post(void *arg)
{
    if (++*(int *)arg == 2000) {
        loop_stop(loop);
    }
}

static void *poster(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        loop_post(loop, count_post, arg);
    }
    return NULL;
}

START_TEST(posts_from_threads_all_arrive)
{
    pthread_t threads[2];
    int count = 0;

    loop = loop_new();
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, poster, &count);
    }
    loop_run(loop);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(count, 2000);
    loop_free(loop);
}
END_TEST

UNIT_MAIN("rt/loop", phases_in_order, no_event_after_io_del, posts_from_threads_all_arrive)
