// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "rt/co.h"
#include "unit.h"

static struct loop *loop;
static struct co *first, *second;
static char trace[64];
static int values[8];

static void note(char c)
{
    size_t n = strlen(trace);

    trace[n] = c;
    trace[n + 1] = 0;
}

static void waits_twice(void *arg)
{
    (void)arg;
    note('a');
    values[0] = co_suspend();
    note('b');
    values[1] = co_suspend();
    values[2] = co_suspend();
    note('c');
}

static void wakes(void *arg)
{
    (void)arg;
    note('1');
    co_wake(first, 5);
    co_wake(first, 6); // the first value wins
    ck_assert_int_eq(co_yield (), 0);
    note('2');
    co_wake(first, 7);
    co_cancel(first); // a cancellation outranks what came before it
    loop_stop(loop);
}

START_TEST(wake_values_and_cancellation)
{
    loop = loop_new();
    first = co_spawn(loop, waits_twice, NULL, NULL);
    second = co_spawn(loop, wakes, NULL, NULL);
    loop_run(loop);
    ck_assert_str_eq(trace, "a1b2c");
    ck_assert_int_eq(values[0], 5);
    ck_assert_int_eq(values[1], -ECANCELED);
    ck_assert_int_eq(values[2], -ECANCELED);
    ck_assert_uint_eq(co_count(loop), 0);
    loop_free(loop);
}
END_TEST

static int hook_depth, hook_calls;

static void enter(void *arg)
{
    (void)arg;
    ck_assert_int_eq(hook_depth++, 0);
    hook_calls++;
}

static void leave(void *arg)
{
    (void)arg;
    ck_assert_int_eq(--hook_depth, 0);
}

// ThreadSanitizer counts each coroutine as a thread and allows 8,128.
#ifdef __SANITIZE_THREAD__
enum { SLEEPERS = 1000 };
#else
enum { SLEEPERS = 10000 };
#endif
static unsigned asleep;

static void sleeps(void *arg)
{
    nsec_t due = clock_now() + (nsec_t)(uintptr_t)arg;

    ck_assert_int_eq(hook_depth, 1);
    ck_assert_int_eq(co_await_until(due), 0);
    ck_assert_int_ge(clock_now(), due);
    if (--asleep == 0) {
        loop_stop(loop);
    }
}

START_TEST(many_sleepers)
{
    struct co_hooks hooks = {enter, leave, NULL};
    struct rng r;

    rng_init(&r, 1, 0);
    loop = loop_new();
    for (asleep = 0; asleep < SLEEPERS; asleep++) {
        co_spawn(loop, sleeps, (void *)(uintptr_t)rng_below(&r, 20 * NSEC_PER_MSEC), &hooks);
    }
    loop_run(loop);
    ck_assert_int_eq(hook_calls, 2 * SLEEPERS);
    ck_assert_uint_eq(co_count(loop), 0);
    loop_free(loop);
}
END_TEST

static struct co_group group;

static void child(void *arg)
{
    // A cancelled child unwinds in its own time.
    int r = co_await_sleep((nsec_t)(uintptr_t)arg);
    values[3] += r == -ECANCELED;
    co_group_done(&group);
}

static void parent(void *arg)
{
    (void)arg;
    group.pending = 2;
    co_spawn(loop, child, (void *)(uintptr_t)NSEC_PER_MSEC, NULL);
    struct co *slow = co_spawn(loop, child, (void *)(uintptr_t)(3600 * NSEC_PER_SEC), NULL);
    values[4] = co_group_await(&group);
    co_cancel(slow);
    co_group_await_all(&group);
    values[5] = co_is_cancelled(co_self());
    loop_stop(loop);
}

static void cancels_parent(void *arg)
{
    co_await_sleep(5 * NSEC_PER_MSEC);
    co_cancel(arg);
}

START_TEST(group_is_waited_for_after_cancellation)
{
    memset(values, 0, sizeof(values));
    loop = loop_new();
    struct co *p = co_spawn(loop, parent, NULL, NULL);
    co_spawn(loop, cancels_parent, p, NULL);
    loop_run(loop);
    ck_assert_int_eq(values[3], 1);
    ck_assert_int_eq(values[4], -ECANCELED);
    ck_assert_int_eq(values[5], 1);
    loop_free(loop);
}
END_TEST

static unsigned deep(unsigned n)
{
    volatile char frame[512];

    frame[0] = (char)n;
    ck_assert_uint_gt((uintptr_t)&frame[0], co_stack_limit());
    return n ? deep(n - 1) + (unsigned)frame[0] * 0 + 1 : 0;
}

static void recurses(void *arg)
{
    ck_assert_uint_eq(deep(200), 200);
    ck_assert_int_eq(co_yield (), 0);
    if (arg) {
        loop_stop(loop);
    }
}

START_TEST(stacks_are_deep_and_reused)
{
    loop = loop_new();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            co_spawn(loop, recurses, i == 49 ? loop : NULL, NULL);
        }
        loop_run(loop);
    }
    loop_free(loop);
}
END_TEST

static int overflow(volatile char *below)
{
    volatile char frame[512];

    frame[0] = 1;
    return below - frame > 10 << 20 ? 0 : overflow(below) + frame[0];
}

static void overflow_main(void *arg)
{
    volatile char here = 0;

    *(int *)arg = overflow(&here);
    loop_stop(loop_current());
}

START_TEST(overflow_ends_the_process)
{
    int status = 0, result = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct loop *l = loop_new();
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGSEGV, SIG_DFL);
        close(2); // a sanitizer's report
        co_spawn(l, overflow_main, &result, NULL);
        loop_run(l);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}
END_TEST

UNIT_MAIN("rt/co",
          wake_values_and_cancellation,
          many_sleepers,
          group_is_waited_for_after_cancellation,
          stacks_are_deep_and_reused,
          overflow_ends_the_process)
