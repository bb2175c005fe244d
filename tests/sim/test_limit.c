// SPDX-License-Identifier: Apache-2.0
// The limit search against simulated servers of known capacity: few runs with stated seeds and
// bounds that leave room for chance. The whole score is bench_limit's.
#include <math.h>

#include "base/mem.h"
#include "simserver.h"
#include "unit.h"

enum { RUNS = 12 };

// Searches RUNS times with the default budget; the root of the mean square of the relative error
// of those that found a limit.
static double rmse(const struct sim_params *params, double truth, int *ret_found, int *ret_over)
{
    struct limit_config config = {.budget = 90};
    double square = 0;

    *ret_found = 0;
    *ret_over = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct limit_result r;
        sim_search(params, &config, seed, NULL, &r);
        if (r.verdict != LIMIT_FOUND) {
            continue;
        }
        square += (r.rate / truth - 1) * (r.rate / truth - 1);
        ++*ret_found;
        *ret_over += r.confirmed > 1.03 * truth;
    }
    return sqrt(square / MAX(*ret_found, 1));
}

static void check_server(const struct sim_params *params, double low, double high, double error)
{
    double truth = sim_true_limit(params, 60);
    int found;
    int over;

    ck_assert_double_ge(truth, low);
    ck_assert_double_le(truth, high);
    ck_assert_double_le(rmse(params, truth, &found, &over), error);
    ck_assert_int_ge(found, RUNS - 3);
    ck_assert_int_le(over, RUNS / 2);
}

START_TEST(calm)
{
    check_server(&(struct sim_params){.workers = 8,
                                      .service_mean = 0.004,
                                      .service_cv = 1,
                                      .objective = 0.05,
                                      .allowed = 0.01},
                 1850, 1950, 0.03);
}
END_TEST

START_TEST(stalls_and_drift)
{
    check_server(&(struct sim_params){.workers = 8,
                                      .service_mean = 0.004,
                                      .service_cv = 1,
                                      .objective = 0.05,
                                      .allowed = 0.01,
                                      .stall_every = 8,
                                      .stall_mean = 0.03,
                                      .drift_sd = 0.05,
                                      .drift_memory = 10},
                 1600, 1850, 0.1);
}
END_TEST

START_TEST(cold_start)
{
    check_server(&(struct sim_params){.workers = 4,
                                      .service_mean = 0.003,
                                      .service_cv = 0.8,
                                      .objective = 0.04,
                                      .allowed = 0.01,
                                      .cold_factor = 1,
                                      .cold_memory = 10},
                 1200, 1330, 0.06);
}
END_TEST

START_TEST(fixed_pool)
{
    check_server(&(struct sim_params){.workers = 10,
                                      .service_mean = 0.02,
                                      .service_cv = 0.2,
                                      .objective = 0.3,
                                      .allowed = 0.01,
                                      .uniform = true},
                 490, 505, 0.035);
}
END_TEST

START_TEST(mutex)
{
    check_server(&(struct sim_params){.workers = 1,
                                      .service_mean = 0.005,
                                      .objective = 0.1,
                                      .allowed = 0.01,
                                      .uniform = true},
                 198, 202, 0.04);
}
END_TEST

START_TEST(rate_limiter)
{
    check_server(&(struct sim_params){.workers = 8,
                                      .service_mean = 0.004,
                                      .service_cv = 1,
                                      .objective = 0.2,
                                      .allowed = 0.01,
                                      .limiter_rate = 300,
                                      .limiter_burst = 30,
                                      .uniform = true},
                 299, 306, 0.03);
}
END_TEST

START_TEST(worker_behind_a_queue)
{
    check_server(&(struct sim_params){.workers = 4,
                                      .service_mean = 0.02,
                                      .service_cv = 0.3,
                                      .objective = 1,
                                      .allowed = 0.01,
                                      .hidden_queue = true,
                                      .uniform = true},
                 200, 204, 0.03);
}
END_TEST

START_TEST(starved_generator_is_never_evidence)
{
    struct sim_params params = {.workers = 8,
                                .service_mean = 0.004,
                                .service_cv = 1,
                                .objective = 0.05,
                                .allowed = 0.01,
                                .generator_rate = 700};
    struct limit_config config = {.budget = 90};

    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct limit_result r;
        sim_search(&params, &config, seed, NULL, &r);
        ck_assert_str_eq(limit_verdict_name(r.verdict), "lower-bound");
        ck_assert_str_eq(limit_reason_name(r.reason), "generator");
        ck_assert_double_le(r.rate, 700);
    }
}
END_TEST

START_TEST(non_monotone_is_no_limit)
{
    // Fails while the rate is low, as a cache that only a busy service keeps warm.
    struct sim_params params = {.workers = 8,
                                .service_mean = 0.004,
                                .service_cv = 1,
                                .objective = 0.05,
                                .allowed = 0.01,
                                .failing_below = 200};
    struct limit_config config = {.budget = 90};
    struct limit_result r;

    sim_search(&params, &config, 1, NULL, &r);
    ck_assert_int_ne(r.verdict, LIMIT_FOUND);
}
END_TEST

UNIT_MAIN("sim/limit",
          calm,
          stalls_and_drift,
          cold_start,
          fixed_pool,
          mutex,
          rate_limiter,
          worker_behind_a_queue,
          starved_generator_is_never_evidence,
          non_monotone_is_no_limit)
