// SPDX-License-Identifier: Apache-2.0
// Simulated servers of known capacity, and the driver that lets a limit search probe one: a
// discrete-event simulation, so that 90 simulated seconds take milliseconds.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/rng.h"
#include "model/limit.h"

enum { SIM_WORKERS_MAX = 64 };

// Times in seconds. Zero switches a feature off.
struct sim_params {
    int workers;           // served first come, first served, by this many at once
    double service_mean;   // log-normal
    double service_cv;     // coefficient of variation; 0 = constant service time
    double objective;      // a request slower than this is bad
    double allowed;        // share of bad requests allowed
    bool errors_only;      // judge refusals only, not time
    bool hidden_queue;     // requests are accepted at once and worked off behind the scenes; judged
                           // is by how much the work done falls behind
    bool uniform;          // arrivals at equal distances instead of Poisson's
    double drift_sd;       // of the log speed, first-order autoregressive
    double drift_memory;   // its time constant
    double stall_every;    // mean distance of stalls that stop all workers
    double stall_mean;     // mean length of one
    double cold_factor;    // service takes 1 + this, decaying …
    double cold_memory;    // … with this time constant
    double limiter_rate;   // token bucket in front: beyond it requests are refused at once
    double limiter_burst;  // tokens
    double queue_max;      // a request that would wait longer is refused
    double generator_rate; // the generator cannot offer more
    double failing_below;  // requests fail while the rate is below this (non-monotone)
};

struct sim_server {
    struct sim_params params;
    struct rng rng;
    double now;
    double next_arrival;
    double arrived_at; // last arrival of the limiter's bucket
    double tokens;
    double free_at[SIM_WORKERS_MAX];
    double next_stall;
    double drift;
    double drift_at;
    struct limit_bin *bins; // by absolute time
    int bin_count;
};

extern const double SIM_BIN; // seconds

void sim_init(struct sim_server *s, const struct sim_params *params, uint64_t seed);
void sim_fini(struct sim_server *s);
// Offers `rate` for `seconds`.
void sim_run(struct sim_server *s, double rate, double seconds);
// Runs the whole search against a fresh server; 0 rates in `config` mean its defaults. Objectives
// and seed of `config` are set here. Writes one line a probe to `trace` unless that is NULL.
void sim_search(const struct sim_params *params,
                const struct limit_config *config,
                uint64_t seed,
                FILE *trace,
                struct limit_result *ret_result);
// The true limit: the rate at which the long-run share of bad requests is the allowed one (or the
// completions stop following the arrivals), by bisection over long runs in the settled state, each
// of `stalls` stalls at least.
double sim_true_limit(const struct sim_params *params, double stalls);
