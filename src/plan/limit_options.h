// SPDX-License-Identifier: Apache-2.0
// The options under which a script runs in a limit search: its own, but for the shape of the load.
#pragma once

#include "base/err.h"
#include "load/options.h"
#include "plan/limit_run.h"

// `script_options`: the script's exported options as JSON text. Fills ret_options (options_fini()).
// 0, or -EINVAL with err.
int limit_options_build(const struct limit_run_config *config,
                        const char *script_options,
                        struct run_options *ret_options,
                        struct err *err);
