// SPDX-License-Identifier: Apache-2.0
// A fixed number of iterations that the VUs take from one counter.
#include "load/runner.h"

static void init(struct runner *r)
{
    r->vus = (uint64_t)segment_scale(&r->worker->segment, (int64_t)r->options->vus);
    r->iterations = (uint64_t)segment_scale(&r->worker->segment, (int64_t)r->options->iterations);
}

static void start(struct runner *r)
{
    for (unsigned i = 0; i < r->vus && i < r->iterations; i++) {
        (void)runner_add_vu(r, i);
    }
    runner_check_done(r);
}

static bool next(struct runner *r, struct vu *vu)
{
    return r->begun < r->iterations;
}

static void end(struct runner *r, bool aborted)
{
    runner_drop(r, aborted ? 0 : r->iterations - r->begun);
}

const struct executor_ops exec_shared_iterations = {init, start, next, NULL, end, true};
