// SPDX-License-Identifier: Apache-2.0
// What a run shows while it goes on: a live line on a terminal, plain lines elsewhere, or events.
#pragma once

#include <stdbool.h>

#include "load/engine.h"
#include "load/options.h"
#include "metric/aggregate.h"

struct progress {
    const struct run_options *options;
    struct engine *engine; // set once it is there
    bool quiet;
    bool live;   // a terminal: one line, drawn again
    bool events; // --progress=json
    bool drawn;  // the live line is on the screen
    char line[512];
    uint64_t last_iterations;
    nsec_t last;
};

void progress_init(struct progress *p, const struct run_options *o, bool quiet, bool events);
void progress_fini(struct progress *p);
// k6's header: script, outputs, scenarios.
void progress_header(const struct progress *p, const char *script);
// An engine_tick_fn.
void progress_tick(void *progress,
                   const struct engine_status *status,
                   const struct aggregate *results);
// The last lines, with the scenarios ticked off.
void progress_end(struct progress *p, const struct engine_status *status);
