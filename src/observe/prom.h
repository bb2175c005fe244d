// SPDX-License-Identifier: Apache-2.0
// Prometheus' text exposition format, read line by line. Pure; any bytes are safe.
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"

struct prom_sample {
    struct slice name;
    struct slice labels; // between the braces, as written; empty for none
    double value;        // may be infinite or NaN
};

// The next sample of *rest; comments and lines that are no samples are passed over. False at the
// end.
bool prom_next(struct slice *rest, struct prom_sample *ret_sample);
// Is `name="value"` among the labels? Values with escapes are compared as written.
bool prom_has_label(struct slice labels, const char *name, const char *value);
