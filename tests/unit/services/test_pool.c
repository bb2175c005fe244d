// SPDX-License-Identifier: Apache-2.0
// The worker pool: its bounds, its order, its time-outs.
#include "common/clock.h"
#include "common/pool.h"
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int opened, closed, running, most, ran, expired;
static _Atomic int gate; // jobs run while it is open
static char order[64];
static _Atomic unsigned ordered;

struct job {
    struct pool_job pool;
    char name;
};

static void *open_state(void *closure)
{
    atomic_fetch_add(&opened, 1);
    return closure;
}

static void close_state(void *state)
{
    atomic_fetch_add(&closed, 1);
}

static void run(struct pool_job *job, void *state)
{
    int now = atomic_fetch_add(&running, 1) + 1, before = most;

    while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) {
    }
    while (!gate) {
        poll(NULL, 0, 1);
    }
    order[atomic_fetch_add(&ordered, 1) % sizeof(order)] = ((struct job *)job)->name;
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&ran, 1);
}

static void expire(struct pool_job *job)
{
    atomic_fetch_add(&expired, 1);
}

static struct pool *make(unsigned workers, unsigned queue, int64_t wait)
{
    return pool_new(&(struct pool_config){.name = "test",
                                          .workers = workers,
                                          .queue_max = queue,
                                          .wait_max_ns = wait,
                                          .open = open_state,
                                          .close = close_state});
}

static void await(_Atomic int *value, int wanted)
{
    for (int i = 0; i < 5000 && *value != wanted; i++) {
        poll(NULL, 0, 1);
    }
    ck_assert_int_eq(*value, wanted);
}

static struct job jobs[64];

static int submit(struct pool *pool, unsigned i)
{
    jobs[i] = (struct job){.pool = {.run = run, .expire = expire}, .name = (char)('a' + i)};
    return pool_submit(pool, &jobs[i].pool);
}

START_TEST(size_and_queue_are_bounds)
{
    struct pool *pool = make(3, 2, 60 * SEC);
    struct buf text = BUF_NULL;

    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(submit(pool, i), 0);
    }
    ck_assert_int_eq(submit(pool, 5), -EAGAIN);
    await(&running, 3);
    pool_metrics(pool, &text);
    ck_assert_ptr_nonnull(strstr(text.data, "\ntest_size 3\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "\ntest_in_use 3\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "\ntest_pending 2\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "\ntest_rejected_total 1\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "\ntest_wait_seconds_count 3\n"));
    buf_fini(&text);
    gate = 1;
    await(&ran, 5);
    pool_free(pool);
    ck_assert_int_eq(most, 3);
    ck_assert_int_eq(expired, 0);
    ck_assert_int_eq(opened, 3);
    ck_assert_int_eq(closed, 3);
}
END_TEST

START_TEST(first_come_first_served)
{
    struct pool *pool = make(1, 20, 60 * SEC);

    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(submit(pool, i), 0);
    }
    gate = 1;
    await(&ran, 20);
    pool_free(pool);
    ck_assert(memcmp(order, "abcdefghijklmnopqrst", 20) == 0);
}
END_TEST

START_TEST(waiting_too_long_expires)
{
    struct pool *pool = make(1, 20, 50 * MSEC);

    // Submitted before the worker has taken the first: all but one must still expire.
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_int_eq(submit(pool, i), 0);
    }
    await(&expired, 5);
    ck_assert_int_eq(running, 1);
    // And again after the queue was empty.
    ck_assert_int_eq(submit(pool, 6), 0);
    await(&expired, 6);
    gate = 1;
    await(&ran, 1);
    pool_free(pool);
    ck_assert_int_eq(ran, 1);
}
END_TEST

START_TEST(free_runs_what_is_queued)
{
    struct pool *pool = make(2, 20, 60 * SEC);

    gate = 1;
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(submit(pool, i), 0);
    }
    pool_free(pool);
    ck_assert_int_eq(ran, 10);
}
END_TEST

UNIT_MAIN("pool",
          size_and_queue_are_bounds,
          first_come_first_served,
          waiting_too_long_expires,
          free_runs_what_is_queued)
