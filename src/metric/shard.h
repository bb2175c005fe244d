// SPDX-License-Identifier: Apache-2.0
// Where one thread records its samples. No lock and, once a (metric, tag set) pair was seen, no
// allocation. Snapshots are versioned bytes that merge across threads and machines.
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "metric/metric.h"
#include "metric/tagset.h"

struct shard;

// Sub-metrics to keep apart ("http_req_duration{status:200}"): name and tag selectors, all must
// match. Fixed before the shards are made.
struct submetric {
    const struct metric *parent;
    char *name; // as in the thresholds
    struct tag *selectors;
    unsigned selector_count;
};

struct shard *shard_new(const struct metric_registry *registry,
                        const struct submetric *submetrics,
                        unsigned submetric_count);
void shard_free(struct shard *s);
struct tag_interner *shard_tags(struct shard *s);

// Adds a sample. Rate: value != 0 counts as true. `when` is a monotonic stamp. `metadata` are tags
// that do not make series (vu, iter, trace_id), NULL for none.
void shard_add(struct shard *s,
               const struct metric *m,
               const struct tagset *tags,
               double value,
               nsec_t when,
               const struct tagset *metadata);

// Gets every sample too (for --out json). At most one; called on the shard's thread, must be quick.
typedef void (*shard_sink_fn)(void *arg,
                              const struct metric *m,
                              const struct tagset *tags,
                              double value,
                              nsec_t when,
                              const struct tagset *metadata);
void shard_set_sink(struct shard *s, shard_sink_fn fn, void *arg);

// Calls fn for samples of a metric that match the selectors (0 = all), beside recording them. For
// objectives that are counted by the time of the intended start. At most 64; on the shard's thread.
typedef void (*shard_watch_fn)(void *arg, unsigned watch, double value);
void shard_watch(struct shard *s,
                 unsigned watch,
                 const struct metric *m,
                 const struct tag *selectors,
                 unsigned selector_count,
                 shard_watch_fn fn,
                 void *arg);

// Are all the selectors among the tags?
bool shard_tags_match(const struct tagset *tags, const struct tag *selectors, unsigned count);

// Appends the whole state as versioned bytes (little-endian). On the shard's thread.
void shard_snapshot(const struct shard *s, struct strbuf *b);
