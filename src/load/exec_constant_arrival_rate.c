// SPDX-License-Identifier: Apache-2.0
// Iterations started at a fixed rate, the first at once.
#include "base/mem.h"
#include "load/runner.h"

static void init(struct runner *r)
{
    const struct scenario_options *o = r->options;
    double rate = o->rate * NSEC_PER_SEC / (double)o->time_unit;

    r->arrivals.stages = xcalloc(1, sizeof(*r->arrivals.stages));
    r->arrivals.stages[0] = (struct arrival_stage){o->duration, rate, rate};
    r->arrivals.plan = (struct arrival_plan){r->arrivals.stages, 1, 0};
    arrivals_init(r);
}

const struct executor_ops exec_constant_arrival_rate = {init, arrivals_start, NULL,
                                                        NULL, arrivals_end,   false};
