// SPDX-License-Identifier: Apache-2.0
// The end-of-test summary in k6's forms: text, data of handleSummary(), --summary-export.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/strbuf.h"
#include "load/options.h"
#include "metric/aggregate.h"

struct summary {
    const struct run_options *options; // thresholds evaluated
    const struct aggregate *results;
    nsec_t duration;
    const char *setup_data; // JSON or NULL
    bool stdout_tty, stderr_tty;
    bool colors;
};

// For handleSummary(). New reference.
json_t *summary_data(const struct summary *s);
// For --summary-export. New reference.
json_t *summary_export(const struct summary *s);
// For people: compact or full by the options' summary_mode.
void summary_text(const struct summary *s, struct strbuf *ret_text);
// A value as the summary shows it: 12.5 → "12.5ms" for times, "12 B" for data, plain else. `unit`
// is
// "", "s", "ms" or "us". buf of 48 bytes; returns buf.
const char *summary_format(
    double value, enum metric_contains contains, const char *unit, char *buf, unsigned size);
