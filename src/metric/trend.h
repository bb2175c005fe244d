// SPDX-License-Identifier: Apache-2.0
// The distribution of a trend: the first 1,024 values as they are, then a log-linear histogram.
// Count, sum, minimum and maximum are exact for ever.
#pragma once

#include <stdint.h>

#include "base/strbuf.h"
#include "metric/hist.h"

enum { TREND_EXACT = 1024 };

struct trend {
    uint64_t count;
    double sum, min, max; // min and max are 0 without samples
    double *values;       // while count <= TREND_EXACT, else NULL
    unsigned cap;
    struct hist *hist; // NULL until count > TREND_EXACT
};

// All zero bytes is an empty trend.
void trend_fini(struct trend *t);
void trend_reset(struct trend *t);
// Adds a finite value.
void trend_add(struct trend *t, double value);
void trend_merge(struct trend *t, const struct trend *other);
// Percentile 0..100: linear interpolation at q*(n-1); 0 without samples. Exact up to TREND_EXACT
// samples, within 0.4 % beyond. Sorts the kept values.
double trend_percentile(struct trend *t, double percent);

// Bytes of a snapshot (metric/wire.h).
struct wire_reader;
void trend_write(const struct trend *t, struct strbuf *b);
// Reads into an empty trend. False for garbage.
bool trend_read(struct trend *t, struct wire_reader *r);
