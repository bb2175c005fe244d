// SPDX-License-Identifier: Apache-2.0
// One scenario from its JSON, strictly. Inside of load/options*.c.
#pragma once

#include "load/options.h"

// 0, or -EINVAL with err. `ret_json` gets the canonical form with null for what was not set.
int scenario_parse(const char *name,
                   json_t *value,
                   struct scenario_options *ret_scenario,
                   json_t **ret_json,
                   struct err *err);
void scenario_fini(struct scenario_options *s);
