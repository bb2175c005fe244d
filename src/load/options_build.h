// SPDX-License-Identifier: Apache-2.0
// From merged values to struct run_options. Inside of load/options*.c.
#pragma once

#include "load/options.h"
#include "load/options_scenario.h"
#include "load/options_value.h"

extern const struct option_row {
    const char *key, *flag, *env;
    enum option_kind kind;
} option_table[OPTION_N_];

// Derives the scenarios from o->merged, checks all of it and fills in the fields and defaults.
int options_fill(struct run_options *o, struct err *err);
// Fills in the part of the test that is ours from the texts (both may be NULL).
int options_parse_segment(struct run_options *o,
                          const char *segment,
                          const char *sequence,
                          struct err *err);
