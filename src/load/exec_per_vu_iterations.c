// SPDX-License-Identifier: Apache-2.0
// A fixed number of iterations for each VU.
#include "base/list.h"
#include "load/runner.h"

static void init(struct runner *r)
{
    r->vus = (uint64_t)segment_scale(&r->worker->segment, (int64_t)r->options->vus);
    r->iterations = r->options->iterations;
}

static void start(struct runner *r)
{
    for (unsigned i = 0; i < r->vus; i++) {
        (void)runner_add_vu(r, i);
    }
    runner_check_done(r);
}

static bool next(struct runner *r, struct vu *vu)
{
    return vu->done < r->iterations;
}

// One sample for each VU that has iterations left.
static void end(struct runner *r, bool aborted)
{
    LIST_FOREACH (it, &r->worker->vus) {
        struct vu *vu = LIST_ENTRY(it, struct vu, link);
        if (vu->runner == r && !aborted) {
            runner_drop(r, r->iterations - vu->done);
        }
    }
}

const struct executor_ops exec_per_vu_iterations = {init, start, next, NULL, end, true};
