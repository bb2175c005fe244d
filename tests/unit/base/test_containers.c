// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "unit.h"

START_TEST(map_against_arithmetic)
{
    CLEANUP(map_fini) struct map m = MAP_NULL;
    char key[16];

    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 1; i <= 5000; i++) {
            snprintf(key, sizeof(key), "k%zu", i);
            map_sets(&m, key, (void *)(i * (round + 1)));
        }
        for (size_t i = 1; i <= 5000; i += 2) {
            snprintf(key, sizeof(key), "k%zu", i);
            ck_assert_uint_eq((size_t)map_del(&m, slice_of(key)), i * (round + 1));
            ck_assert_ptr_null(map_gets(&m, key));
        }
        ck_assert_uint_eq(m.live, 2500);
        ck_assert_uint_eq((size_t)map_gets(&m, "k4998"), 4998 * (round + 1));
    }
    size_t n = 0;
    MAP_FOREACH (it, &m) {
        n++;
    }
    ck_assert_uint_eq(n, 2500);
}
END_TEST

START_TEST(list_order)
{
    struct list head, a, b, c, other;

    list_init(&head);
    list_init(&other);
    list_push_back(&head, &b);
    list_push_back(&head, &c);
    list_push_front(&head, &a);
    list_del(&b);
    ck_assert_ptr_eq(head.next, &a);
    ck_assert_ptr_eq(a.next, &c);
    list_splice(&other, &head);
    ck_assert(list_empty(&head));
    ck_assert_ptr_eq(other.prev, &c);
}
END_TEST

START_TEST(arena_is_zeroed_after_reset)
{
    CLEANUP(arena_fini) struct arena a = ARENA_NULL;

    for (int round = 0; round < 3; round++) {
        for (size_t i = 1; i < 3000; i++) {
            char *p = arena_alloc(&a, i);
            ck_assert_int_eq(p[0] | p[i - 1], 0);
            memset(p, 0xff, i);
        }
        arena_reset(&a);
    }
    ck_assert_str_eq(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
}
END_TEST

START_TEST(random_numbers_have_their_moments)
{
    struct rng r, same;
    double sum = 0;
    double exponential = 0;
    double square = 0;
    enum { N = 200000 };

    rng_init(&r, 42, 1);
    rng_init(&same, 42, 1);
    ck_assert_uint_eq(rng_u64(&r), rng_u64(&same));
    rng_init(&same, 42, 2);
    ck_assert_uint_ne(rng_u64(&r), rng_u64(&same));
    for (int i = 0; i < N; i++) {
        double normal = rng_normal(&r);
        sum += rng_double(&r);
        exponential += rng_exponential(&r, 3);
        square += normal * normal;
        ck_assert_uint_lt(rng_below(&r, 10), 10);
    }
    ck_assert_double_lt(fabs(sum / N - 0.5), 0.005);
    ck_assert_double_lt(fabs(exponential / N - 3), 0.05);
    ck_assert_double_lt(fabs(square / N - 1), 0.02);
}
END_TEST

UNIT_MAIN("base/containers",
          map_against_arithmetic,
          list_order,
          arena_is_zeroed_after_reset,
          random_numbers_have_their_moments)
