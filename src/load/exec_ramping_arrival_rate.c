// SPDX-License-Identifier: Apache-2.0
// Iterations started at a rate that follows stages; number n where the area under the line is n.
#include "base/mem.h"
#include "load/runner.h"

static void init(struct runner *r)
{
    const struct scenario_options *o = r->options;
    double per_second = NSEC_PER_SEC / (double)o->time_unit, from = o->start_rate * per_second;

    r->arrivals.stages = xcalloc(o->stage_count + 1, sizeof(*r->arrivals.stages));
    for (unsigned i = 0; i < o->stage_count; i++) {
        double to = (double)o->stages[i].target * per_second;
        r->arrivals.stages[i] = (struct arrival_stage){o->stages[i].duration, from, to};
        from = to;
    }
    r->arrivals.plan = (struct arrival_plan){r->arrivals.stages, o->stage_count, 1};
    arrivals_init(r);
}

const struct executor_ops exec_ramping_arrival_rate = {init, arrivals_start, NULL,
                                                       NULL, arrivals_end,   false};
