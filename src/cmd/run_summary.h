// SPDX-License-Identifier: Apache-2.0
// The end of a run: handleSummary() or the text, and --summary-export.
#pragma once

#include "load/engine.h"
#include "load/options.h"

// Writes all of it; failures are logged, they do not change the exit code (as k6).
void run_summary_write(struct engine *e, const struct run_options *o, bool colors);
