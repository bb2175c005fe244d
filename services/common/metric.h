// SPDX-License-Identifier: Apache-2.0
// Histograms of durations and the Prometheus text format (version 0.0.4). Adding is lock-free and
// may come from any thread; writing reads without stopping the writers.
#pragma once

#include "buf.h"

#include <stdatomic.h>
#include <stdint.h>

#define METRIC_BUCKETS 14

// Durations in fixed buckets from 0.5 ms to 10 s.
struct metric_hist {
    _Atomic uint64_t counts[METRIC_BUCKETS + 1]; // the last is +Inf
    _Atomic uint64_t sum_ns;
};

void metric_hist_add(struct metric_hist *hist, int64_t ns);
uint64_t metric_hist_count(const struct metric_hist *hist);

// "# HELP" and "# TYPE" of a family; type is counter, gauge or histogram.
void metric_head(struct buf *out, const char *name, const char *type, const char *help);
// One sample; labels is the inside of the braces or "".
void metric_sample(struct buf *out, const char *name, const char *labels, double value);
// The buckets, sum and count of one histogram under `labels`.
void metric_hist_write(struct buf *out,
                       const char *name,
                       const char *labels,
                       const struct metric_hist *hist);
// Family of one sample: head and sample in one.
void metric_single(
    struct buf *out, const char *name, const char *type, const char *help, double value);
// CPU seconds, resident bytes, open file descriptors and start time of this process.
void metric_process(struct buf *out);
