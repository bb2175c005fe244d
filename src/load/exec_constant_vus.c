// SPDX-License-Identifier: Apache-2.0
// A fixed number of VUs that iterate until the time is over.
#include "load/runner.h"

static void init(struct runner *r)
{
    r->vus = (uint64_t)segment_scale(&r->worker->segment, (int64_t)r->options->vus);
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
    return true;
}

const struct executor_ops exec_constant_vus = {init, start, next, NULL, NULL, true};
