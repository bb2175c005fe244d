// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/plan_resources.h"
#include "unit.h"

enum { PER_WINDOW = 20, WINDOWS = 4 };

// A shop with a pool of 10 held 20 ms a request, 1 ms of CPU each, on two cores of which other work
// takes 0.4; windows of 5 s at each rate.
static const double RATES[WINDOWS] = {100, 300, 400, 480};

static void plant(struct observe_sample *samples, struct plan_window *windows)
{
    double cpu = 0;
    double host = 0;

    for (int w = 0; w < WINDOWS; w++) {
        for (int i = 0; i < PER_WINDOW; i++) {
            struct observe_sample *s = &samples[w * PER_WINDOW + i];
            *s = (struct observe_sample){.at = (w * 100 + i) * 250 * NSEC_PER_MSEC};
            cpu += RATES[w] * 0.001 * 0.25;
            host += RATES[w] * 0.001 * 0.25 + 0.4 * 0.25;
            s->host_busy = host;
            s->pods[0].cpu = cpu;
            for (int m = 0; m < OBSERVE_METRIC_COUNT; m++) {
                s->pods[0].metrics[m] = NAN;
            }
            s->pods[0].metrics[OBSERVE_POOL_SIZE] = 10;
            s->pods[0].metrics[OBSERVE_POOL_IN_USE] = RATES[w] * 0.02;
            s->pods[0].metrics[OBSERVE_POOL_PENDING] = RATES[w] > 450 ? 3 : 0;
        }
        windows[w] = (struct plan_window){
            .from = samples[w * PER_WINDOW].at,
            .to = samples[w * PER_WINDOW + PER_WINDOW - 1].at,
            .offered = RATES[w],
            .completed = RATES[w],
        };
        // Between the windows time passes and nothing is known.
        host += 5;
        cpu += 1;
    }
}

static const struct verdict_resource *
find(const struct verdict_resource *all, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return &all[i];
        }
    }
    ck_abort_msg("no resource '%s'", name);
}

START_TEST(demand_and_ceilings)
{
    struct observe_sample *samples = xcalloc(PER_WINDOW * WINDOWS, sizeof(*samples));
    struct plan_window windows[WINDOWS];
    struct observe_pod pod = {.workload = "shop"};
    static struct verdict_resource all[PLAN_RESOURCES_MAX];

    plant(samples, windows);
    struct plan_observed o = {
        .pods = &pod,
        .pod_count = 1,
        .samples = samples,
        .sample_count = PER_WINDOW * WINDOWS,
        .windows = windows,
        .window_count = WINDOWS,
        .service = "shop",
        .rate = 480,
        .cores = 2,
    };
    size_t count = plan_resources(&o, all);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(verdict_rank(all, count), 1);
    ck_assert_str_eq(all[0].name, "DB pool");
    ck_assert_double_eq_tol(all[0].ceiling, 500, 1);
    ck_assert_double_eq_tol(all[0].utilisation, 0.96, 0.01);
    ck_assert_double_eq_tol(find(all, count, "CPU of shop")->ceiling, 2000, 10);
    ck_assert_double_eq_tol(find(all, count, "CPU of this machine")->ceiling, 1600, 10);
    free(samples);
}
END_TEST

UNIT_MAIN("plan/plan_resources", demand_and_ceilings)
