// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "plan/verdict.h"
#include "unit.h"

static struct verdict_resource pool(double busy, double waiting)
{
    return (struct verdict_resource){
        .kind = VERDICT_POOL,
        .name = "DB pool",
        .owner = "shop",
        .observable = true,
        .capacity = 10,
        .busy = busy,
        .rate = 400,
        .has_waiting = true,
        .waiting = waiting,
    };
}

static struct verdict_resource cpu(double busy)
{
    return (struct verdict_resource){
        .kind = VERDICT_CPU,
        .name = "CPU of shop",
        .owner = "shop",
        .observable = true,
        .capacity = 2,
        .busy = busy,
        .rate = 400,
    };
}

START_TEST(pool_binds_before_cpu)
{
    struct verdict_resource all[] = {cpu(0.5), pool(9.6, 12), {.kind = VERDICT_POOL, .name = "x"}};

    ck_assert_uint_eq(verdict_rank(all, 3), 1);
    ck_assert_str_eq(all[0].name, "DB pool");
    ck_assert_double_eq_tol(all[0].ceiling, 400 * 10 / 9.6, 1e-9);
    ck_assert_double_eq_tol(all[1].ceiling, 1600, 1e-9);
    ck_assert_str_eq(verdict_state(&all[0]), "saturated");
    ck_assert_str_eq(verdict_state(&all[1]), "checked, idle");
    ck_assert_str_eq(verdict_state(&all[2]), "not observable");
    ck_assert_ptr_eq(verdict_next(all, 3, 0), &all[1]);
}
END_TEST

START_TEST(cpu_binds_and_the_pool_does_not)
{
    // A pool that is full for a moment, with nobody waiting, does not bind.
    struct verdict_resource all[] = {pool(9.6, 0), cpu(1.95)};

    ck_assert_uint_eq(verdict_rank(all, 2), 1);
    ck_assert_str_eq(all[0].name, "CPU of shop");
}
END_TEST

START_TEST(nothing_is_saturated)
{
    struct verdict_resource all[] = {pool(3, 0), cpu(0.4)};

    ck_assert_uint_eq(verdict_rank(all, 2), 0);
}
END_TEST

START_TEST(prediction_stops_at_the_next_ceiling)
{
    struct verdict_resource all[] = {pool(9.6, 12), cpu(1.6)};
    const struct verdict_resource *next;

    ck_assert_uint_eq(verdict_rank(all, 2), 1);
    ck_assert_double_eq_tol(verdict_predict(all, 2, 0, 400, 1.2, &next), 480, 1e-9);
    ck_assert_ptr_null(next);
    ck_assert_double_eq_tol(verdict_predict(all, 2, 0, 400, 1.5, &next), 500, 1e-9);
    ck_assert_ptr_eq(next, &all[1]);
}
END_TEST

START_TEST(elasticity)
{
    ck_assert_double_eq_tol(verdict_elasticity(400, 600, 10, 15), 1, 1e-9);
    ck_assert_double_eq_tol(verdict_elasticity(400, 400, 10, 15), 0, 1e-9);
    ck_assert_double_eq_tol(verdict_elasticity(400, 200, 10, 5), 1, 1e-9);
    ck_assert(isnan(verdict_elasticity(400, 0, 10, 15)));
    ck_assert(isnan(verdict_elasticity(400, 500, 10, 10)));
}
END_TEST

UNIT_MAIN("plan/verdict",
          pool_binds_before_cpu,
          cpu_binds_and_the_pool_does_not,
          nothing_is_saturated,
          prediction_stops_at_the_next_ceiling,
          elasticity)
