// SPDX-License-Identifier: Apache-2.0
// A limit run under way: one probe after the other on a started engine. Used by limit_run.c.
#pragma once

#include <stdatomic.h>

#include "load/engine.h"
#include "load/window.h"
#include "net/nullserver.h"
#include "plan/limit_run.h"
#include "plan/objectives.h"
#include "plan/target.h"

enum { LIMIT_RUN_BINS = 1200 }; // a quarter second each

// Sums of one window that say whether the generator did its part.
struct limit_tally {
    double seconds;
    double arrivals;
    double completed;
    double dropped;
    double late;
    double busy;                      // of the busiest thread, at worst
    double n[LIMIT_OBJECTIVES_MAX];   // judged, dropped iterations left out
    double bad[LIMIT_OBJECTIVES_MAX]; // of them, bad ones
};

struct limit_run {
    const struct limit_run_config *config;
    struct metric_registry *registry;
    struct script *script;
    struct run_options options;
    struct net_settings net;
    struct objectives objectives;
    struct target_guard guard;
    struct engine *engine;
    struct limit limit;
    struct limit_bin bins[LIMIT_RUN_BINS];
    double ahead[LIMIT_OBJECTIVES_MAX]; // counts of the deficits at the last reading
    double behind[LIMIT_OBJECTIVES_MAX];
    double cpu_share; // of the machine that the generator used in the last probe near the limit
    uint64_t vus;
    uint64_t requests;
    double completed;        // iterations
    double judged_http;      // samples of objectives on HTTP requests, the most of any
    struct nullserver *null; // NULL: no calibration
    struct nullserver_table *responses;
    atomic_bool recording;
    double generator_rate; // calibrated, 0 = not established
    char calibration[160]; // why not
};

// Tells the caller's event function, with what the search knows filled in.
void limit_run_emit(const struct limit_run *run, const struct limit_run_event *e);
bool limit_run_is_stopped(const struct limit_run *run);
// Adds what one window counted.
void limit_tally_add(struct limit_tally *t, const struct limit_run *run, const struct window *w);
// Did the objectives hold, dropped iterations left aside?
bool limit_tally_held(const struct limit_tally *t, const struct limit_run *run);
// Did the generator fail to offer `rate`, on time? VUs that ran out while the objectives held are
// too few VUs; while they broke, the system was slow.
bool limit_tally_generator_bound(const struct limit_tally *t,
                                 const struct limit_run *run,
                                 double rate);
// Makes the engine of `run`, or with other network settings one beside it.
int limit_run_start_engine(struct limit_run *run,
                           struct net_settings *net,
                           struct engine **ret_engine,
                           struct err *err);
// Network settings of the run, guarded and sealed; `null_port` != 0 sends every target that was
// seen to the null server.
int limit_run_set_network(struct limit_run *run,
                          struct net_settings *net,
                          uint16_t null_port,
                          struct err *err);
// `r`, or -EPERM with a message when a target was refused.
int limit_run_check_targets(const struct limit_run *run, int r, struct err *err);
// Learns what the generator can offer for this script, with the null server in the targets' place.
// Whatever goes wrong is in run->calibration.
void limit_run_calibrate(struct limit_run *run);
// Drives the probes until the search ends or the user stops it. 0, or a code with err.
int limit_run_drive(struct limit_run *run, struct err *err);
