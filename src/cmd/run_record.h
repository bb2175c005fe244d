// SPDX-License-Identifier: Apache-2.0
// The run directory of `plimsoll run`.
#pragma once

#include "cmd/run_args.h"
#include "load/engine.h"
#include "load/options.h"
#include "record/rundir.h"

struct run_record {
    struct rundir *dir; // NULL: not wanted, or it cannot be written
    nsec_t started_wall;
    int argc;
    char **argv; // a copy of the pointers as they came
};

// `argv` before it is parsed.
void run_record_init(struct run_record *r, int argc, char **argv);
// Makes the directory; warns and goes on where that fails.
void run_record_open(struct run_record *r, const struct run_args *args);
// One line of series.jsonl.
void run_record_tick(struct run_record *r, const struct engine_status *status);
// Writes result.json. `engine` may be NULL (the run did not come that far).
void run_record_end(struct run_record *r,
                    const struct run_args *args,
                    const struct run_options *o,
                    struct engine *engine,
                    int code,
                    const char *message);
void run_record_fini(struct run_record *r);
