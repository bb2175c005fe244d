// SPDX-License-Identifier: Apache-2.0
// k6 scripts by QuickJS: the implementation of the script seam.
#pragma once

#include "load/script.h"

// Constant; any thread.
const struct script_ops *js_script_ops(void);
