// SPDX-License-Identifier: Apache-2.0
// How a number of VUs follows stages: straight lines, VU n starts (and stops) at the instant at
// which the line crosses n (n - 1 on the way down); a stage without duration is a jump.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct ramp_stage {
    nsec_t duration;
    int64_t target;
};

struct ramp_plan {
    int64_t start;
    const struct ramp_stage *stages; // borrowed
    unsigned count;
};

// Where a reader stands. Set up by ramp_begin().
struct ramp_at {
    unsigned stage;
    nsec_t offset;   // of the stage's start
    int64_t from;    // VUs at its start
    int64_t done;    // steps of it that were taken
    int64_t current; // VUs now
};

void ramp_begin(const struct ramp_plan *p, struct ramp_at *at);
// The next change after the current one: its offset and the VUs from then on. False at the end.
bool ramp_next(const struct ramp_plan *p, struct ramp_at *at, nsec_t *ret_offset, int64_t *ret_vus);
nsec_t ramp_duration(const struct ramp_plan *p);
int64_t ramp_max(const struct ramp_plan *p);
