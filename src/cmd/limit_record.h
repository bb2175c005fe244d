// SPDX-License-Identifier: Apache-2.0
// The run directory of a limit search. Where it cannot be written, a warning says so and the search
// goes on.
#pragma once

#include "plan/limit_run.h"
#include "record/rundir.h"

struct limit_record_dir {
    struct rundir *dir; // NULL: not written
    const char *name;   // SCRIPT or URL
    int argc;
    char **argv;
    uint64_t seed;
    nsec_t started_wall;
};

// Keeps the command line as it was typed, for "how to reproduce"; opt_parse() moves things about.
void limit_record_init(struct limit_record_dir *r, int argc, char **argv);
void limit_record_open(struct limit_record_dir *r,
                       const char *name,
                       const struct limit_run_config *config);
// One line a finished probe.
void limit_record_event(struct limit_record_dir *r, const struct limit_run_event *e);
// Writes result.json with `limit` (the object of limits[]; NULL: there is none; taken) and closes.
void limit_record_close(struct limit_record_dir *r, json_t *limit, int exit_code);
