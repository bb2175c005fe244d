// SPDX-License-Identifier: Apache-2.0
// When the iterations of an open model start: pure arithmetic on offsets from the scenario's start.
#pragma once

#include "base/clock.h"
#include "base/rng.h"

// A stretch of time in which the rate goes from one value to another in a straight line.
struct arrival_stage {
    nsec_t duration;
    double from, to; // per second
};

struct arrival_plan {
    const struct arrival_stage *stages; // borrowed
    unsigned count;
    // Where number 0 lies under the rate curve: a constant rate starts at once (0), a ramp where
    // the area has grown to 1.
    double first;
};

// Where a reader of the plan stands; numbers must not decrease. {0} at the start.
struct arrival_at {
    unsigned stage;
    double area;   // under the stages before
    nsec_t offset; // duration of the stages before
};

nsec_t arrival_duration(const struct arrival_plan *p);
// Number of arrivals until the end (an arrival at the very end counts).
int64_t arrival_total(const struct arrival_plan *p);
// Offset of arrival `number` (from 0): where the area under the rate curve is first + number. -1
// beyond the end.
nsec_t arrival_offset(const struct arrival_plan *p, struct arrival_at *at, int64_t number);
// Time to the next arrival of a Poisson process, rate > 0 per second.
nsec_t arrival_poisson_gap(struct rng *rng, double rate);
