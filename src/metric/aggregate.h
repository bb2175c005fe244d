// SPDX-License-Identifier: Apache-2.0
// Snapshots of many shards merged: the results of a run so far. Single-threaded (the conductor's).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "metric/metric.h"
#include "metric/shard.h"

struct aggregate;
struct trend;

// Both borrowed; the submetrics in the order given to shard_new().
struct aggregate *aggregate_new(const struct metric_registry *registry,
                                const struct submetric *submetrics,
                                unsigned submetric_count);
void aggregate_free(struct aggregate *a);
// Forgets all numbers (snapshots are cumulative: reset, then merge one of each shard).
void aggregate_reset(struct aggregate *a);
// Adds one shard's snapshot. 0, or -EBADMSG with err for bytes that are no snapshot.
int aggregate_merge(struct aggregate *a, const void *bytes, size_t n, struct err *err);

// One metric or sub-metric. Valid until the next reset or merge.
struct metric_result {
    const struct metric *metric;       // the parent's for a sub-metric
    const struct submetric *submetric; // NULL for a metric
    const char *name;                  // "http_req_duration" or "http_req_duration{status:200}"
    uint64_t count;                    // samples
    double sum;                        // counters: the count that k6 shows
    double min, max, last;             // 0 without samples
    uint64_t trues;                    // rates: samples that were not 0
    const struct trend *trend;         // trends with samples, else NULL
};
// Number of metrics (with or without samples) and sub-metrics; they come in the order of their
// registration, each metric followed by its sub-metrics.
unsigned aggregate_count(const struct aggregate *a);
void aggregate_get(const struct aggregate *a, unsigned index, struct metric_result *ret_result);
// False if there is no metric or sub-metric of that name (as written in the thresholds).
bool aggregate_find(const struct aggregate *a, const char *name, struct metric_result *ret_result);
// Percentile 0..100 of a trend, 0 without samples: exact (linear interpolation at q*(n-1)) up to
// 1,024 samples, within 1 % beyond.
double metric_result_percentile(const struct metric_result *r, double percent);

// Checks by group and name, in the order first seen.
struct check_result {
    const char *group; // "::a::b", "" at the root
    const char *name;
    uint64_t passes, fails;
};
unsigned aggregate_check_count(const struct aggregate *a);
void aggregate_check(const struct aggregate *a, unsigned index, struct check_result *ret_check);
// Groups seen (from tag `group` of any sample and from group_duration), in the order first seen.
unsigned aggregate_group_count(const struct aggregate *a);
const char *aggregate_group(const struct aggregate *a, unsigned index);
