// SPDX-License-Identifier: Apache-2.0
// Progress and result of a limit search for people and programs.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plan/limit_run.h"

struct limit_show {
    const char *target; // SCRIPT or URL
    uint64_t seed;
    bool quiet;
    bool json;     // events as JSON lines
    bool terminal; // stderr is one
    bool line_drawn;
};

// Has the form of limit_run_config.event; `arg` is a struct limit_show. Writes to stderr.
void limit_show_event(void *arg, const struct limit_run_event *e);
// Takes the progress line off the terminal.
void limit_show_clear(struct limit_show *s);
// The result as text on stdout.
void limit_show_text(const struct limit_show *s, const struct limit_run_result *r);
