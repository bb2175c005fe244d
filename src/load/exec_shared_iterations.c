// SPDX-License-Identifier: Apache-2.0
// A fixed number of iterations that the VUs take from one counter.
#include "load/engine_int.h"
#include "load/runner.h"

static void init(struct runner *r)
{
    const struct engine *e = r->worker->engine;

    r->vus = (uint64_t)segment_scale(&r->worker->segment, (int64_t)r->options->vus);
    // Of this instance, not of this worker: the workers' VUs take them from one counter.
    r->iterations = (uint64_t)segment_scale(&e->segment, (int64_t)r->options->iterations);
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
    atomic_uint_fast64_t *claimed = &r->worker->engine->counts[r->index].claimed;
    uint64_t n = atomic_load(claimed);

    while (n < r->iterations && !atomic_compare_exchange_weak(claimed, &n, n + 1)) {
    }
    return n < r->iterations;
}

static void end(struct runner *r, bool aborted)
{
    if (r->vus == 0) {
        return; // the other workers' VUs may still want them
    }
    // Whoever comes first counts what nobody took.
    uint64_t claimed = atomic_exchange(&r->worker->engine->counts[r->index].claimed, r->iterations);

    runner_drop(r, aborted ? 0 : r->iterations - claimed);
}

const struct executor_ops exec_shared_iterations = {init, start, next, NULL, end, true};
