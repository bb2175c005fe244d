// SPDX-License-Identifier: Apache-2.0
// From what was observed during the probes of a limit run to the resources that may bind.
#pragma once

#include "observe/observer.h"
#include "plan/verdict.h"

enum { PLAN_WINDOWS_MAX = 256, PLAN_RESOURCES_MAX = 64 };

struct plan_window { // of one finished probe
    nsec_t from, to;
    double offered;   // per second
    double completed; // per second
};

struct plan_observed {
    const struct observe_pod *pods;
    size_t pod_count;
    const struct observe_sample *samples;
    size_t sample_count;
    const struct plan_window *windows;
    size_t window_count;
    const char *service; // the one that is measured
    double rate;         // its limit
    double rate_limit;   // its setting of a rate limiter, 0 = none
    double cores;        // of the machine
};

// Fills `resources` (PLAN_RESOURCES_MAX), not yet ranked; returns their number.
size_t plan_resources(const struct plan_observed *o, struct verdict_resource *resources);
