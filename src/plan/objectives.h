// SPDX-License-Identifier: Apache-2.0
// Thresholds as counts: "p(99)<300" is "over 300 ms, at most 1 % of them". What cannot be counted
// (averages, extremes, totals) is refused by name.
#pragma once

#include "base/err.h"
#include "load/window.h"
#include "metric/threshold.h"

struct objective {
    char *name;     // "http_req_duration p(99)<300"
    double allowed; // share of bad samples, 0 < allowed < 1
};

struct objectives {
    struct window_objective windows[WINDOW_OBJECTIVES_MAX]; // what the engine counts
    struct objective items[WINDOW_OBJECTIVES_MAX];
    unsigned count;
};

void objectives_init(struct objectives *o);
void objectives_fini(struct objectives *o);
// Turns resolved thresholds into counts. 0, or -EINVAL with err.
int objectives_add_sets(struct objectives *o,
                        const struct threshold_set *sets,
                        unsigned count,
                        struct err *err);
