// SPDX-License-Identifier: Apache-2.0
// One limit of a plan, observed: the run, what the system did meanwhile, the resources. Used by
// plan.c.
#pragma once

#include "observe/observer.h"
#include "plan/plan.h"
#include "plan/plan_resources.h"

struct plan { // under way
    const struct plan_config *config;
    struct lab *lab;
    const struct plan_limit *limit; // the one that is measured
    double budget;                  // seconds of a limit
    char stage[96];
    double stage_budget; // seconds
    double planned;      // seconds of the stages to come
};

struct plan_measure {
    struct limit_run_result result;
    struct verdict_resource resources[PLAN_RESOURCES_MAX]; // ranked
    size_t resource_count;
};

bool plan_is_stopped(const struct plan *p);
void plan_emit(struct plan *p, const struct limit_run_event *probe);
void plan_begin_stage(struct plan *p, double budget, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Runs the limit of p->limit. 0 or a code of limit_run() with err.
int plan_measure(
    struct plan *p, double budget, double start_rate, struct plan_measure *ret, struct err *err);
