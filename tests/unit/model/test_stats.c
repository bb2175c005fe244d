// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/mem.h"
#include "model/limit_fit.h"
#include "model/stats.h"
#include "model/steady.h"
#include "unit.h"

START_TEST(quantiles_of_the_tables)
{
    ck_assert_double_eq_tol(stats_normal_quantile(0.975), 1.959964, 1e-6);
    ck_assert_double_eq_tol(stats_t_quantile(1, 0.975), 12.706205, 1e-5);
    ck_assert_double_eq_tol(stats_t_quantile(10, 0.95), 1.812461, 1e-6);
    ck_assert_double_eq_tol(stats_t_quantile(8, 0.025), -2.306004, 1e-6);
    ck_assert_double_eq_tol(stats_beta_cdf(2, 3, 0.4), 0.5248, 1e-9);
    ck_assert_double_eq_tol(stats_beta_quantile(2, 3, 0.5248), 0.4, 1e-9);
}
END_TEST

START_TEST(shares_and_their_bounds)
{
    double low;
    double high;

    // The rule of three, exactly: 1 - 0.05^(1/n).
    ck_assert_double_eq_tol(stats_share_upper(0, 459, 0.99), 1 - pow(0.01, 1 / 459.0), 1e-9);
    ck_assert_double_eq_tol(stats_share_upper(5, 100, 0.95), 0.1022534, 1e-6);
    ck_assert_double_eq_tol(stats_share_lower(5, 100, 0.95), 0.0199056, 1e-6);
    ck_assert_double_eq(stats_share_lower(0, 10, 0.95), 0);
    ck_assert_double_eq(stats_share_upper(10, 10, 0.95), 1);
    stats_wilson(5, 100, 1.959964, &low, &high);
    ck_assert_double_eq_tol(low, 0.0215437, 1e-6);
    ck_assert_double_eq_tol(high, 0.1117505, 1e-6);
}
END_TEST

START_TEST(truncation_finds_the_end_of_the_warm_up)
{
    double x[80];

    for (int i = 0; i < 80; i++) {
        x[i] = (i < 15 ? 30 - i : 10) + (i % 2 ? 0.5 : -0.5);
    }
    ck_assert_int_eq(steady_truncation(x, 80, 5), 15);
    ck_assert(steady_is_reached(x, 80, 5));
    for (int i = 0; i < 80; i++) {
        x[i] = 100 - i;
    }
    ck_assert(!steady_is_reached(x, 80, 5));
    ck_assert(steady_is_moving(x, 80, 0.3));
    ck_assert_int_eq(steady_truncation(x, 19, 5), -1);
    for (int i = 0; i < 80; i++) {
        x[i] = 0.1;
    }
    ck_assert_int_eq(steady_truncation(x, 80, 5), 0);
    ck_assert(!steady_is_moving(x, 80, 0.3));
}
END_TEST

static double exact_share(double rate)
{
    return 0.01 * pow(rate / 1000, 25);
}

START_TEST(fit_recovers_an_exact_line)
{
    static const double RATES[] = {940, 960, 980, 1000, 1020, 1040};
    struct limit_cell cells[ARRAY_SIZE(RATES)];
    struct limit_fit fit;

    for (size_t i = 0; i < ARRAY_SIZE(RATES); i++) {
        cells[i] = (struct limit_cell){RATES[i], 1e5, 1e5 * exact_share(RATES[i]), 1};
    }
    limit_fit_solve(cells, ARRAY_SIZE(RATES), 0.01, 970, &fit);
    ck_assert_double_eq_tol(fit.rate, 1000, 0.5);
    ck_assert_double_eq_tol(fit.slope, 25, 0.5);
    ck_assert_double_le(fit.se, 0.002);
}
END_TEST

START_TEST(fit_without_a_bad_request_points_upwards)
{
    struct limit_cell cell = {1000, 5000, 0, 1};
    struct limit_fit fit;

    limit_fit_solve(&cell, 1, 0.01, 1000, &fit);
    ck_assert_double_gt(fit.rate, 1000);
    ck_assert_double_lt(fit.rate, 1500);
    // Nothing at all: the centre stands, with little trust.
    limit_fit_solve(&cell, 0, 0.01, 1000, &fit);
    ck_assert_double_eq_tol(fit.rate, 1000, 1e-6);
    ck_assert_double_ge(fit.se, 0.05);
}
END_TEST

START_TEST(one_probe_in_overload_does_not_bend_the_line)
{
    struct limit_cell cells[] = {{960, 1e4, 30, 1},
                                 {980, 1e4, 60, 1},
                                 {1000, 1e4, 100, 1},
                                 {1010, 1e4, 130, 1},
                                 {1040, 1e4, 9900, 1}};
    struct limit_fit fit;

    limit_fit_solve(cells, ARRAY_SIZE(cells), 0.01, 1000, &fit);
    ck_assert_double_eq_tol(fit.rate, 1000, 25);
}
END_TEST

UNIT_MAIN("model/stats",
          quantiles_of_the_tables,
          shares_and_their_bounds,
          truncation_finds_the_end_of_the_warm_up,
          fit_recovers_an_exact_line,
          fit_without_a_bad_request_points_upwards,
          one_probe_in_overload_does_not_bend_the_line)
