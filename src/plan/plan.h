// SPDX-License-Identifier: Apache-2.0
// The capacity plan: each service's limit with the others held above it, what binds it, checked by
// an intervention, and what the mitigation brings.
#pragma once

#include <jansson.h>
#include <signal.h>
#include <stdint.h>

#include "lab/lab.h"
#include "load/script.h"
#include "plan/limit_run.h"
#include "plan/plan_file.h"
#include "record/rundir.h"

struct plan_event {
    const char *service;                 // NULL while the system starts
    const char *stage;                   // "starting", "limit", "intervention DB_POOL_SIZE=15", …
    double left;                         // seconds that the plan should still take
    const struct limit_run_event *probe; // NULL: the stage begins
};

struct plan_config {
    const struct plan_file *file;
    const struct script_ops *ops;
    const struct lab_options *lab;
    const char *only; // the one service to measure, NULL = all
    double budget;    // seconds of each limit; 0: 75
    uint64_t seed;
    struct rundir *dir;                // NULL: nothing is written
    const volatile sig_atomic_t *stop; // set: end with what is known
    // Told of each stage and of what limit_run() tells; may be NULL.
    void (*event)(void *arg, const struct plan_event *event);
    void *event_arg;
};

// Runs the plan on local pods; nothing of it is left running. Appends to `limits` (an array) an
// object for each service as soon as it is known; a service that failed has "error". Returns an
// exit code of tbl/exitcodes.h, or negative with err when the system could not be started.
int plan_run(const struct plan_config *config, json_t *limits, struct err *err);
