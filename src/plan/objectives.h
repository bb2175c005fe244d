// SPDX-License-Identifier: Apache-2.0
// Thresholds as counts: "p(99)<300" is "over 300 ms, at most 1 % of them". What cannot be counted
// (averages, extremes, totals) is refused by name.
#pragma once

#include "base/err.h"
#include "load/window.h"
#include "metric/threshold.h"

struct objective {
    char *name;                 // "http_req_duration p(99)<300"
    double allowed;             // share of bad samples, 0 < allowed < 1
    struct submetric submetric; // owned; no selectors for a whole metric
};

// Stays where it is: `windows` points into it.
struct objectives {
    struct window_objective windows[WINDOW_OBJECTIVES_MAX]; // what the engine counts
    struct objective items[WINDOW_OBJECTIVES_MAX];
    unsigned count;
};

void objectives_init(struct objectives *o);
void objectives_fini(struct objectives *o);
// Turns one expression on a metric or sub-metric ("http_req_duration{name:order}") into counts. The
// metric must be registered (the script's init code has run). 0, or -EINVAL with err.
int objectives_add(struct objectives *o,
                   struct metric_registry *registry,
                   const char *key,
                   const char *expression,
                   struct err *err);
// All sets of a script's thresholds.
int objectives_add_sets(struct objectives *o,
                        struct metric_registry *registry,
                        const struct threshold_set *sets,
                        unsigned count,
                        struct err *err);
