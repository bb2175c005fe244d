// SPDX-License-Identifier: Apache-2.0
// The load engine: workers that run a script's scenarios, and the one who conducts them.
//
// Worker interface: a segment of the work goes in, snapshots come out; the rate can be set while it
// runs, and it can be stopped. Threads are its first transport; the messages are plain bytes, so
// that other machines can be the next.
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "load/options.h"
#include "load/script.h"

struct engine;
struct window_objective; // load/window.h

struct engine_config {
    const struct script_ops *ops;
    struct script *script;             // opened; borrowed
    const struct run_options *options; // consolidated; borrowed
    struct net_settings *net;          // sealed; borrowed
    struct metric_registry *registry;
    unsigned workers; // threads, 0 = one per CPU that we may use
    uint64_t seed;
    // What the open-model drive counts; borrowed; WINDOW_OBJECTIVES_MAX at most.
    const struct window_objective *objectives;
    unsigned objective_count;
    // Called for the shard of each thread before it records anything, on any thread (for --out).
    void (*on_shard)(void *arg, struct shard *shard);
    void *on_shard_arg;
    // Raised by a signal handler: 1 = stop as for Ctrl-C, 2 = at once. May be NULL.
    const volatile sig_atomic_t *stop_level;
};

// Prepares workers and VUs (init code of every VU runs) and calls setup(). The calling thread is
// the conductor; the engine's callbacks come on it. 0 or an exit code of tbl/exitcodes.h with err.
// When setup() failed the engine is there all the same (results, summary); it cannot run.
// options_resolve_thresholds() must have been called.
int engine_start(const struct engine_config *config, struct engine **ret_engine, struct err *err);
void engine_free(struct engine *e);

// Runs the scenarios to their end (or abort), then teardown(). Calls `tick` about every `period`
// on the conductor's thread with fresh merged results. Returns the exit code.
struct aggregate; // metric/aggregate.h: merged snapshots
struct engine_status {
    nsec_t now, started; // monotonic; started 0 before the first scenario
    uint64_t vus_active, vus_initialized, vus_max;
    uint64_t iterations, interrupted, dropped;
    double progress;     // 0..1
    bool generator_late; // more than 3 % of recent starts late by more than 1 ms
};
typedef void (*engine_tick_fn)(void *arg,
                               const struct engine_status *status,
                               const struct aggregate *results);
int engine_run(struct engine *e, nsec_t period, engine_tick_fn tick, void *arg, struct err *err);
// After engine_run() (or a failed setup()): the results of all threads, evaluated thresholds
// included. Valid until the next call of the engine.
const struct aggregate *engine_results(struct engine *e, struct engine_status *ret_status);
// Share of one scenario that is done, 0..1.
double engine_scenario_progress(struct engine *e, unsigned index);
// What setup() returned, as JSON; NULL if nothing.
const char *engine_setup_data(const struct engine *e);
// Time from the first scenario's start to the end of the last iteration.
nsec_t engine_duration(const struct engine *e);
// Calls handleSummary(data) in a VU of its own, before engine_free(). 0 with JSON {target: text},
// -ENOENT if there is no such function, -ETIMEDOUT, or -EFAULT with err when it threw.
int engine_handle_summary(struct engine *e,
                          const char *data_json,
                          struct strbuf *ret_json,
                          struct err *err);
// Ends the run from a signal handler's context or a tick: 1 = graceful as Ctrl-C, 2 = at once.
void engine_stop(struct engine *e, int level);

// ---- Open-model drive for the limit search (instead of engine_run) ----
// All VUs run `exec` of one scenario as arrivals. After engine_start() with options that hold one
// arrival-rate scenario; setup() has run. The rate holds from now on; 0 pauses. Poisson arrivals
// when `poisson`, else evenly spaced.
void engine_set_rate(struct engine *e, double per_second, bool poisson);
// Lets the engine run for `d` on this thread.
int engine_pass(struct engine *e, nsec_t d, struct err *err);
// What happened since the last call, over all workers; see load/window.h. 0, or -EPIPE when the
// engine has ended by itself (test aborted by the script).
struct window;
int engine_take_window(struct engine *e, struct window *ret_window);
// Waits until no iteration is under way or `limit` has passed. True when drained.
bool engine_drain(struct engine *e, nsec_t limit);
// Ends it: teardown(), VUs freed.
int engine_finish(struct engine *e, struct err *err);
