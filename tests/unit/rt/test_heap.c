// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"
#include "rt/heap.h"
#include "unit.h"

enum { N = 500 };

// Against a plain search through all timers.
START_TEST(order_is_that_of_a_search)
{
    struct timer_heap h = {0};
    static struct timer timers[N];
    struct rng r;

    rng_init(&r, 7, 0);
    for (int step = 0; step < 20000; step++) {
        struct timer *t = &timers[rng_below(&r, N)];
        if (!t->index) {
            timer_heap_add(&h, t, 1 + (nsec_t)rng_below(&r, 1000));
        } else if (rng_below(&r, 3) == 0) {
            timer_heap_del(&h, t);
        }
        nsec_t least = NSEC_MAX;
        for (int i = 0; i < N; i++) {
            least = timers[i].index ? MIN(least, timers[i].due) : least;
        }
        ck_assert_int_eq(timer_heap_next(&h), least);
        if (rng_below(&r, 4) == 0 && least != NSEC_MAX) {
            ck_assert_ptr_null(timer_heap_take(&h, least - 1));
            ck_assert_ptr_nonnull(timer_heap_take(&h, least));
        }
    }
    timer_heap_fini(&h);
}
END_TEST

UNIT_MAIN("rt/heap", order_is_that_of_a_search)
