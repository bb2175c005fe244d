// SPDX-License-Identifier: Apache-2.0
// The search for the highest arrival rate that a service sustains within its objectives: a pure
// state machine. The caller asks for the next probe, offers that load, and feeds back what it
// counted; there is no clock, no I/O and no allocation in here, and all randomness is the seed's.
//
//     limit_init(&l, &config);
//     while (limit_next(&l, &probe)) {
//         ... drain if asked, set the rate, discard probe.settle, count for probe.measure seconds,
//             stopping early when limit_watch() says so ...
//         limit_feed(&l, &window);
//     }
//     limit_result(&l, &result);
//
// An objective is "of n requests at most the share q may be bad": p(99) < 300 ms is "over 300 ms,
// q = 0.01". A latency counts from the intended start of the request; the caller sees to that.
// Beside the objectives the backlog must not grow. The smallest limit wins and is named.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "model/limit_fit.h"

enum {
    LIMIT_OBJECTIVES_MAX = 8,
    LIMIT_PROBES_MAX = 256,   // a search ends before it makes more
    LIMIT_BINS_MAX = 4096,    // of one window; more are ignored
    LIMIT_WARMUP_BINS = 1024, // remembered for the steady-state test
    LIMIT_BACKLOG = -1,       // in place of an objective's index: the backlog grew
    LIMIT_NONE = -2,          // no objective was near its limit
};

struct limit_config {
    unsigned objectives;                  // 1 to LIMIT_OBJECTIVES_MAX
    double allowed[LIMIT_OBJECTIVES_MAX]; // share of bad requests allowed, 0 < q < 1
    double budget;                        // seconds that the search may take; overrun at most 25 %
    double start_rate;                    // first rate, per second; 0: 10/s
    double max_rate;                      // never exceeded; 0: none
    double generator_rate; // what the generator can offer, by calibration; 0: unknown
    double precision;      // relative half-width that ends the search; 0: 0.03
    double confidence;     // of the interval; 0: 0.95
    uint64_t seed;
};

enum limit_kind {
    LIMIT_WARMUP,
    LIMIT_BRACKET,
    LIMIT_REFINE,
    LIMIT_CONFIRM,
    LIMIT_ABOVE,
};
const char *limit_kind_name(enum limit_kind kind);

struct limit_probe {
    enum limit_kind kind;
    double rate;    // arrivals per second
    double settle;  // seconds at this rate to discard first
    double measure; // seconds to count
    bool drain;     // first wait (a few seconds at most) until the backlog is gone
};

// What happened in one short stretch of time, all stretches of a window equally long.
struct limit_bin {
    double arrivals;    // intended starts
    double completions; // requests (iterations) that ended, with whatever outcome
    double in_flight;   // started or waiting at the end of the stretch
    double latency;     // sum over the completions, seconds
    double slow;        // completions that took over half of the latency objective
    double n[LIMIT_OBJECTIVES_MAX];
    double bad[LIMIT_OBJECTIVES_MAX];
};

struct limit_window {
    double bin_seconds; // length of a bin; 0.1 to 1
    const struct limit_bin *bins;
    unsigned count;
    double elapsed;       // seconds that the probe took in all: drain, settling, measuring
    bool generator_bound; // the generator did not offer what was asked: no evidence on the system
};

enum limit_verdict {
    LIMIT_FOUND,           // confirmed by a soak, and a probe above it breached
    LIMIT_LOWER_BOUND,     // the generator, or the budget, ended before the system did
    LIMIT_NOT_REACHED,     // every objective held up to max_rate
    LIMIT_NO_STEADY_STATE, // the system never settled during warm-up
    LIMIT_UNSTABLE,        // no rate near the estimate held when it was tried for longer
    LIMIT_NON_MONOTONE,    // lower rates failed where higher ones held
    LIMIT_NOT_HELD,        // the objectives broke at every rate tried, however low
};
// The name in result.json: "limit", "lower-bound", "not-reached", ….
const char *limit_verdict_name(enum limit_verdict verdict);

enum limit_reason {
    LIMIT_REASON_NONE,
    LIMIT_REASON_GENERATOR,
    LIMIT_REASON_CAP,
    LIMIT_REASON_BUDGET,
    LIMIT_REASON_INTERRUPTED,
};
const char *limit_reason_name(enum limit_reason reason);

struct limit_result {
    enum limit_verdict verdict;
    enum limit_reason reason; // of a lower bound
    double rate;              // the estimate (or the highest rate that held), per second
    double low;        // its interval at the confidence asked for; for a bound low = rate and
    double high;       // high = 0: unknown
    double confirmed;  // highest rate that a soak held; 0: none
    double breached;   // lowest rate near the limit that was seen to break; 0: none
    double saturation; // completions per second under overload; 0: not seen
    double response;   // mean response time near the limit, seconds
    int objective;     // index of the one that binds, LIMIT_BACKLOG or LIMIT_NONE
    double share;      // its share of bad requests in the soak
    double seconds;    // time spent
    int probes;        // windows used as evidence
    int discarded;     // windows lost to the generator
    bool settled;      // the steady-state test passed within the time that the budget allows
};

// One probe as it is remembered; the fields are the search's own.
struct limit_record {
    enum limit_kind kind;
    double rate;
    double seconds;
    double arrivals;
    double completions;
    double growth; // of the backlog over the window
    double noise;  // deviation that chance gives to the growth
    double n[LIMIT_OBJECTIVES_MAX];
    double bad[LIMIT_OBJECTIVES_MAX];
    double phase; // time spent when the window ended
};

// About 80 KB: on the heap or static, not on a small stack.
struct limit {
    struct limit_config config;
    struct rng rng;
    enum { LIMIT_RUNNING, LIMIT_ENDED } status;
    struct limit_probe probe; // the one that is under way
    double spent;
    // Warm-up.
    double means[LIMIT_WARMUP_BINS];
    double slows[LIMIT_WARMUP_BINS];
    int bins;
    double warmup_spent;
    bool settled;
    // Bracket.
    double low;  // highest rate that held grossly
    double high; // lowest that failed twice
    bool repeating;
    double anchor;
    // Everything seen from the bracket on; a soak counts as several.
    struct limit_record records[LIMIT_PROBES_MAX];
    int record_count;
    struct limit_cell cells[LIMIT_PROBES_MAX]; // scratch of the regression
    // Refinement.
    double centre;
    int offsets[8]; // per mille, shuffled
    int offset_at;
    int refined;
    double estimate;
    double se; // of log(estimate)
    int objective;
    double slope;
    // The end.
    double cap;
    enum limit_reason cap_reason;
    bool at_cap;
    int soaks;
    double confirmed;
    double soak_share;
    double breached;
    int starved; // windows in a row that the generator lost
    int discarded;
    double in_flight; // at the end of the last window
    double response;
    double saturation;
    enum limit_verdict verdict;
    enum limit_reason reason;
};

void limit_init(struct limit *l, const struct limit_config *config);
// Before the first probe that is no warm-up: what the generator can offer, known by calibration,
// and the seconds that the calibration took of the budget.
void limit_set_generator(struct limit *l, double rate, double seconds);
// The next probe; false when the search has ended.
bool limit_next(struct limit *l, struct limit_probe *ret_probe);
// May be asked while a probe runs, with what it has counted so far: true when there is nothing to
// learn from going on (the system is clearly overloaded or errors surge): stop and feed.
bool limit_watch(const struct limit *l, const struct limit_window *so_far);
// What the probe of the last limit_next() saw. An empty window counts as lost to the generator.
void limit_feed(struct limit *l, const struct limit_window *window);
// Valid at any time; before the end it is the best so far as a "lower-bound", so that an
// interrupted search still has an answer.
void limit_result(const struct limit *l, struct limit_result *ret_result);
// Share of the work that is behind us, 0 to 1, for a progress bar.
double limit_progress(const struct limit *l);
