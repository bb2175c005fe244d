// SPDX-License-Identifier: Apache-2.0
// What a script may ask and tell the engine (k6/execution). One table of functions, so that the
// interpreter needs nothing of the engine's inside. On the VU's thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct script_scenario;

struct engine_view {
    void *arg;
    uint64_t (*iterations_completed)(void *arg);
    uint64_t (*iterations_interrupted)(void *arg);
    uint64_t (*vus_active)(void *arg);
    uint64_t (*vus_initialized)(void *arg);
    nsec_t (*test_start)(void *arg); // monotonic; 0 before the first scenario
    double (*scenario_progress)(void *arg, const struct script_scenario *scenario); // 0..1
    // exec.test.abort(): the engine stops all VUs, exit 108.
    void (*abort)(void *arg, const char *message);
    // exec.test.fail(): exit 110 at the end.
    void (*fail)(void *arg, const char *message);
    // Takes one token of the global rps limiter; the instant at which the request may go.
    nsec_t (*rps_slot)(void *arg, nsec_t now);
};
