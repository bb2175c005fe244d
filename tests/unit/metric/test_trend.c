// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "metric/trend.h"
#include "metric/wire.h"
#include "unit.h"

START_TEST(small_trends_interpolate_as_k6)
{
    struct trend t = {0};
    const double values[] = {7, 1, 3, 2};

    for (int i = 0; i < 4; i++) {
        trend_add(&t, values[i]);
    }
    ck_assert_double_eq(trend_percentile(&t, 50), 2.5);
    ck_assert_double_eq_tol(trend_percentile(&t, 90), 5.8, 1e-12);
    ck_assert_double_eq_tol(trend_percentile(&t, 95), 6.4, 1e-12);
    ck_assert_double_eq(trend_percentile(&t, 0), 1);
    ck_assert_double_eq(trend_percentile(&t, 100), 7);
    ck_assert_double_eq(t.sum, 13);
    ck_assert_double_eq(t.min, 1);
    ck_assert_double_eq(t.max, 7);
    trend_fini(&t);
    ck_assert_double_eq(trend_percentile(&t, 50), 0);
}
END_TEST

START_TEST(exact_up_to_1024_then_within_one_percent)
{
    struct trend t = {0};

    for (int i = 1; i <= TREND_EXACT; i++) {
        trend_add(&t, i);
    }
    ck_assert_ptr_null(t.hist);
    ck_assert_double_eq(trend_percentile(&t, 50), 512.5);
    for (int i = TREND_EXACT + 1; i <= 20000; i++) {
        trend_add(&t, i);
    }
    ck_assert_ptr_nonnull(t.hist);
    for (double p = 0; p <= 100; p += 2.5) {
        double exact = 1 + p / 100 * 19999;
        ck_assert_double_le(fabs(trend_percentile(&t, p) / exact - 1), 0.01);
    }
    ck_assert_double_eq(trend_percentile(&t, 0), 1);
    ck_assert_double_eq(trend_percentile(&t, 100), 20000);
    ck_assert_uint_eq(t.count, 20000);
    trend_fini(&t);
}
END_TEST

START_TEST(merging_small_ones_stays_exact)
{
    struct trend a = {0}, b = {0};

    for (int i = 0; i < 500; i++) {
        trend_add(&a, 2 * i);
        trend_add(&b, 2 * i + 1);
    }
    trend_merge(&a, &b);
    ck_assert_double_eq(trend_percentile(&a, 50), 499.5);
    trend_merge(&a, &b);
    ck_assert_uint_eq(a.count, 1500);
    ck_assert_ptr_nonnull(a.hist);
    ck_assert_uint_eq(a.hist->count, 1500);
    struct trend c = {0};
    trend_add(&c, 5000);
    trend_merge(&c, &a); // exact takes in a histogram
    ck_assert_uint_eq(c.count, 1501);
    ck_assert_uint_eq(c.hist->count, 1501);
    ck_assert_double_eq(c.max, 5000);
    ck_assert_double_eq(c.min, 0);
    trend_fini(&a);
    trend_fini(&b);
    trend_fini(&c);
}
END_TEST

START_TEST(bytes_come_back)
{
    for (int n = 0; n < 5000; n += 1023) {
        struct trend t = {0}, u = {0};
        struct strbuf b = STRBUF_NULL;
        for (int i = 0; i < n; i++) {
            trend_add(&t, i * 0.37 - 100);
        }
        trend_write(&t, &b);
        struct wire_reader r = {(unsigned char *)b.p, (unsigned char *)b.p + b.n, false};
        ck_assert(trend_read(&u, &r));
        ck_assert_ptr_eq(r.p, r.end);
        ck_assert_uint_eq(u.count, t.count);
        ck_assert_double_eq(u.sum, t.sum);
        ck_assert_double_eq(trend_percentile(&u, 77), trend_percentile(&t, 77));
        trend_fini(&t);
        trend_fini(&u);
        strbuf_fini(&b);
    }
}
END_TEST

UNIT_MAIN("metric/trend",
          small_trends_interpolate_as_k6,
          exact_up_to_1024_then_within_one_percent,
          merging_small_ones_stays_exact,
          bytes_come_back)
