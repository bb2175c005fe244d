// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "metric/hist.h"
#include "unit.h"

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

START_TEST(every_rank_is_within_one_percent)
{
    enum { N = 50000 };
    static double values[N];
    struct hist h = {0};
    struct rng rng;

    rng_init(&rng, 7, 0);
    for (int i = 0; i < N; i++) { // twelve orders of magnitude
        values[i] = exp(rng_double(&rng) * 28 - 14);
        hist_add(&h, values[i]);
    }
    qsort(values, N, sizeof(*values), compare);
    double worst = 0;
    for (int i = 0; i < N; i += 7) {
        worst = fmax(worst, fabs(hist_at_rank(&h, (uint64_t)i) / values[i] - 1));
    }
    ck_assert_double_le(worst, 0.01);
    ck_assert_double_ge(worst, 1e-4); // the bound is tested, not exactness
    hist_fini(&h);
}
END_TEST

START_TEST(bucket_bounds_prove_the_error)
{
    // Half a bucket over its lower end is the worst case, at every octave.
    for (int octave = 0; octave < HIST_OCTAVES; octave++) {
        double low = ldexp(1, octave + HIST_EXP_MIN);
        ck_assert_double_le(hist_bucket_value(0, octave, 0) / low - 1, 1.0 / 256 + 1e-12);
        double next = ldexp(1 + 1.0 / HIST_SUB, octave + HIST_EXP_MIN);
        ck_assert_double_le(1 - hist_bucket_value(0, octave, 0) / next, 1.0 / 256 + 1e-12);
    }
}
END_TEST

START_TEST(signs_zero_and_extremes)
{
    struct hist h = {0};

    hist_add(&h, -100);
    hist_add(&h, -1);
    hist_add(&h, 0);
    hist_add(&h, 1e-300);
    hist_add(&h, 3);
    hist_add(&h, 1e300);
    ck_assert_double_eq_tol(hist_at_rank(&h, 0), -100, 1);
    ck_assert_double_eq_tol(hist_at_rank(&h, 1), -1, 0.01);
    ck_assert_double_eq(hist_at_rank(&h, 2), 0);
    ck_assert_double_eq(hist_at_rank(&h, 3), 0);
    ck_assert_double_eq_tol(hist_at_rank(&h, 4), 3, 0.03);
    ck_assert_double_ge(hist_at_rank(&h, 5), ldexp(1, HIST_EXP_MAX));
    hist_fini(&h);
}
END_TEST

START_TEST(merge_is_addition)
{
    static struct hist a, b, both;

    for (int i = 1; i < 3000; i++) {
        hist_add(i % 3 ? &a : &b, i);
        hist_add(&both, i);
    }
    hist_merge(&a, &b);
    ck_assert_uint_eq(a.count, both.count);
    for (uint64_t r = 0; r < both.count; r += 11) {
        ck_assert_double_eq(hist_at_rank(&a, r), hist_at_rank(&both, r));
    }
    hist_reset(&a);
    ck_assert_double_eq(hist_at_rank(&a, 0), 0);
    hist_fini(&a);
    hist_fini(&b);
    hist_fini(&both);
}
END_TEST

UNIT_MAIN("metric/hist",
          every_rank_is_within_one_percent,
          bucket_bounds_prove_the_error,
          signs_zero_and_extremes,
          merge_is_addition)
