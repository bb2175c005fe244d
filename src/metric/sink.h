// SPDX-License-Identifier: Apache-2.0
// What is kept of the samples of one metric or sub-metric.
#pragma once

#include "base/clock.h"
#include "metric/metric.h"
#include "metric/trend.h"

struct sink {
    enum metric_type type;
    uint64_t count;        // samples
    uint64_t trues;        // rates
    double sum;            // counters, rates
    double min, max, last; // gauges (trends have their own); last by time
    nsec_t last_when;
    struct trend trend;
};

void sink_init(struct sink *s, enum metric_type type);
void sink_fini(struct sink *s);
void sink_reset(struct sink *s);
void sink_add(struct sink *s, double value, nsec_t when);
// Both of the same type.
void sink_merge(struct sink *s, const struct sink *other);
void sink_write(const struct sink *s, struct strbuf *b);
// Reads into an empty sink of the same type. False for garbage.
bool sink_read(struct sink *s, struct wire_reader *r);
