// SPDX-License-Identifier: Apache-2.0
// What an open-model drive counts for the limit search, beside the metrics: how many samples of
// each objective were bad, how many arrivals were started, how late the generator itself was.
// Counted per thread on the sample path, summed by the conductor in engine_take_window().
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "metric/metric.h"
#include "metric/shard.h"

enum { WINDOW_OBJECTIVES_MAX = 8 };

// When a sample of a metric (Trend or Rate) is bad; a threshold turned into counts.
struct window_objective {
    const struct metric *metric;
    const struct submetric *submetric; // NULL = every sample of the metric
    // Trend: bad when value > limit (or < limit with `below`); value == limit is good.
    // Rate: bad when the sample is true (or false with `below`); limit is not used.
    double limit;
    bool below;
    // Judge value + the start lag of the sample's iteration in milliseconds (http_req_duration):
    // the user waits from the intended start. `slow` counts with the lag as well.
    bool add_lag;
};

// Since the last engine_take_window() (or engine_set_rate() for the first). Arrivals count when
// they are due, everything else when it happens.
struct window {
    nsec_t elapsed;
    uint64_t arrivals;    // iterations that were due, dropped ones too
    uint64_t dropped;     // of them, those for which no VU was free (maxVUs reached)
    uint64_t completed;   // iterations that ended, however
    uint64_t interrupted; // of them, those that were cut short or threw
    uint64_t in_flight;   // at the end: due, not dropped, not ended
    double duration;      // sum over `completed`, seconds, from the intended start
    uint64_t late;        // started more than 1 ms after they were due although a VU was free
    nsec_t lag_max;       // worst start lag
    double busy;          // share of the time that the busiest worker thread's CPU was busy, 0..1
    uint64_t vus;         // initialised now
    uint64_t n[WINDOW_OBJECTIVES_MAX];    // samples judged
    uint64_t bad[WINDOW_OBJECTIVES_MAX];  // of them, bad ones
    uint64_t slow[WINDOW_OBJECTIVES_MAX]; // Trend: over half of the limit
};
