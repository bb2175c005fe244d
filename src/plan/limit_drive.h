// SPDX-License-Identifier: Apache-2.0
// A limit run under way: one probe after the other on a started engine. Used by limit_run.c.
#pragma once

#include "load/engine.h"
#include "load/window.h"
#include "plan/limit_run.h"
#include "plan/objectives.h"
#include "plan/target.h"

enum { LIMIT_RUN_BINS = 1200 }; // a quarter second each

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
};

// Tells the caller's event function, with what the search knows filled in.
void limit_run_emit(const struct limit_run *run, const struct limit_run_event *e);
bool limit_run_is_stopped(const struct limit_run *run);
// Drives the probes until the search ends or the user stops it. 0, or a code with err.
int limit_run_drive(struct limit_run *run, struct err *err);
