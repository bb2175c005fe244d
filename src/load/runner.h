// SPDX-License-Identifier: Apache-2.0
// One scenario on one worker: starts at its time, lets its executor start iterations until the
// regular end, gives the running ones their grace, then interrupts. Inside of load/.
#pragma once

#include "load/options.h"
#include "load/script.h"
#include "load/vu.h"
#include "load/worker.h"
#include "model/arrival.h"
#include "model/ramp.h"

enum runner_state { RUNNER_WAITING, RUNNER_RUNNING, RUNNER_ENDING, RUNNER_DONE };

// How an executor works; one table each in exec_*.c. All on the worker's thread.
struct executor_ops {
    // VUs that the runner has from the start, of those the whole scenario has.
    void (*init)(struct runner *r);
    // Regular start.
    void (*start)(struct runner *r);
    // Closed models: may this VU begin another iteration? NULL for open models.
    bool (*next)(struct runner *r, struct vu *vu);
    // A VU left the runner (its coroutine is about to end). May be NULL.
    void (*left)(struct runner *r, struct vu *vu);
    // Regular end or abort: no new iterations. Counts what was not started. May be NULL.
    void (*end)(struct runner *r, bool aborted);
    bool ends_when_idle; // the scenario is over when no VU works any more
};
extern const struct executor_ops exec_shared_iterations, exec_per_vu_iterations, exec_constant_vus,
    exec_ramping_vus, exec_constant_arrival_rate, exec_ramping_arrival_rate;

// Arrivals of an open model.
struct arrivals {
    struct timer timer;
    struct arrival_stage *stages;
    struct arrival_plan plan;
    struct arrival_at at;
    int64_t number; // how many of ours were due
    nsec_t next;    // instant of the next, 0 = none
    bool driven;    // by set_rate, not by the plan
    double rate;    // driven: per second, 0 = paused
    bool poisson;
    struct rng rng;
    double grid_next; // driven on a grid: seconds since `grid_base`
    nsec_t grid_base;
    struct list free;       // VUs that wait for an arrival, latest first, by vu.idle_link
    struct segment segment; // of the arrivals, between the workers that have VUs; own 0 = none
    uint64_t max_vus;       // of this worker
};

struct runner {
    struct worker *worker;
    unsigned index; // of the scenario
    const struct scenario_options *options;
    const struct executor_ops *ops;
    struct script_scenario scenario;
    const struct tagset *tags; // of the engine's own samples
    enum runner_state state;
    nsec_t started, ends; // instants of the regular start and end
    struct timer timer;   // start, then end, then grace
    uint64_t vus;         // planned for this worker
    uint64_t attached;    // VUs that it has now
    uint64_t iterations;  // budget of all VUs (shared) or of each
    struct vu **slots;    // ramping VUs: who holds slot n
    uint64_t wanted;      // ramping VUs: slots that should work
    uint64_t slot_count;
    struct ramp_stage *stages;
    struct ramp_plan ramp;
    struct ramp_at ramp_at;
    nsec_t ramp_next;
    struct timer ramp_timer;
    struct arrivals arrivals;
};

struct runner *runner_new(struct worker *w, unsigned index);
void runner_free(struct runner *r);
// Sets the clock going: the scenario starts at test_start + its startTime.
void runner_go(struct runner *r, nsec_t test_start);
// Ends at once: VUs are interrupted.
void runner_interrupt(struct runner *r);
// Takes a VU from the pool and lets it iterate while ops->next says so. False if there is none.
bool runner_add_vu(struct runner *r, unsigned slot);
// A VU's coroutine is about to end.
void runner_vu_left(struct vu *vu);
// No new iterations from here on; done when the running ones have ended.
void runner_end(struct runner *r, bool aborted);
// Ends it early when nothing is left to do (iteration executors).
void runner_check_done(struct runner *r);
double runner_progress(const struct runner *r, nsec_t now);
// Adds to dropped_iterations.
void runner_drop(struct runner *r, uint64_t count);

// Open models. Only workers that have VUs from the start get arrivals: the first so many.
unsigned arrivals_workers(const struct engine *e, const struct scenario_options *o);
void arrivals_init(struct runner *r);
void arrivals_start(struct runner *r);
void arrivals_end(struct runner *r, bool aborted);
void arrivals_fini(struct runner *r);
void arrivals_set_rate(struct runner *r, const struct drive_rate *rate);
