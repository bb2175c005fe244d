// SPDX-License-Identifier: Apache-2.0
// One limit run: an engine driven through the search of model/limit. setup() runs once, VUs and
// connections are kept, the rate changes in place. Stages and VUs of the script are ignored: its
// function runs as arrivals, sleeps included.
#pragma once

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "load/script.h"
#include "model/limit.h"

// A share of work that must not be lost or left lying, counted outside of the script (a consumer's
// backlog): over a probe, `behind` may fall behind `ahead` by less than the share `allowed`.
struct limit_deficit {
    const char *name; // as the user wrote it
    double allowed;
    // Both counts so far, monotonic. Called on the run's thread four times a second; quick.
    void (*read)(void *arg, double *ret_ahead, double *ret_behind);
    void *arg;
};

struct limit_run_event; // below

struct limit_run_config {
    const struct script_ops *ops; // the interpreter
    const char *path;             // of the script
    const char *text;             // the script itself if it was made here, else NULL
    const char *scenario;         // whose function to run; NULL = the default function
    const char *const *env;       // "NAME=value", NULL-terminated: __ENV; may be NULL
    const char *const *hosts;     // "name=ip[:port]", NULL-terminated; may be NULL
    // Thresholds on top of the script's, "key\0expression\0" as pairs, NULL-terminated; may be
    // NULL.
    const char *const *thresholds;
    bool only_these_thresholds;           // and not the script's
    const struct limit_deficit *deficits; // objectives counted outside; may be NULL
    unsigned deficit_count;
    const char *const *allowed_targets; // beside loopback; NULL-terminated; may be NULL
    double budget;                      // seconds; 0: 90
    double start_rate, max_rate;        // iterations per second; 0: none given
    bool poisson;                       // arrivals at random instead of evenly spaced
    bool no_calibration;
    uint64_t max_vus; // 0: 2,000
    unsigned workers; // threads of the generator, 0: one
    uint64_t seed;
    const volatile sig_atomic_t *stop; // set: end with what is known; may be NULL
    // Told of each quarter second and each finished probe; may be NULL.
    void (*event)(void *arg, const struct limit_run_event *event);
    void *event_arg;
};

struct limit_run_event {
    bool finished;     // the probe is complete: `window` counts it; else it is under way
    const char *phase; // "prepare", "calibrate", or limit_kind_name()
    double rate;       // offered, per second
    double spent;      // seconds of the budget so far
    double budget;     // seconds
    double progress;   // 0..1
    nsec_t from, to;   // of the measured part, monotonic (finished)
    double arrivals, completions, bad; // of the worst objective (finished)
    double worst_share;
    bool generator_bound;
    double estimate; // so far, 0 = none
};

struct limit_run_result {
    struct limit_result limit;
    const char *unit;       // "requests/s", or "iterations/s" where one makes several requests
    char objective[256];    // the threshold that binds, "" if none
    bool calibrated;        // generator_rate was measured against the null server
    char calibration[160];  // why not
    double generator_rate;  // highest rate that the generator was shown to offer for this script
    double headroom;        // generator_rate / rate, 0 = unknown
    double generator_share; // of the machine's cores that the generator used near the limit
    bool colocated;         // generator and target share this machine
    uint64_t vus;           // initialised at the end
    uint64_t requests;      // iterations offered in all
    double seconds;         // wall time, preparation included
};

// Runs the search. 0: *ret_result has a verdict (which may be "no-steady-state" and the like), also
// when it was stopped. Else an exit code of tbl/exitcodes.h, or -EINVAL for bad input, with err.
int limit_run(const struct limit_run_config *config,
              struct limit_run_result *ret_result,
              struct err *err);
// Exit status that a result stands for: 0 found, not reached or bounded by the user's own cap,
// 1 no rate held, 3 inconclusive.
int limit_run_exit(const struct limit_run_result *r);

// The object of `limits[]` in result.json, without what only a plan knows (bottleneck, mitigation).
json_t *limit_run_json(const struct limit_run_result *r, const char *service, const char *script);
