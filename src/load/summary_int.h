// SPDX-License-Identifier: Apache-2.0
// Shared by the forms of the summary. Inside of load/summary*.c.
#pragma once

#include "load/summary.h"

// "avg", "min", "med", "max", "count" or "p(N)" of a trend.
double summary_stat(const struct metric_result *r, const char *stat);
// Of this metric or sub-metric; NULL if it has none.
const struct threshold_set *summary_thresholds(const struct summary *s,
                                               const struct metric_result *r);
// Metrics appear once they have a sample or thresholds.
bool summary_shows(const struct summary *s, const struct metric_result *r);
