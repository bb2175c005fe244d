// SPDX-License-Identifier: Apache-2.0
// Thresholds: "p(95)<500" on a metric or sub-metric (k6's grammar).
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "metric/aggregate.h"

enum threshold_agg {
    THRESHOLD_COUNT,
    THRESHOLD_RATE,
    THRESHOLD_VALUE,
    THRESHOLD_AVG,
    THRESHOLD_MIN,
    THRESHOLD_MAX,
    THRESHOLD_MED,
    THRESHOLD_PERCENTILE,
};
enum threshold_op { OP_LESS, OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL, OP_EQUAL, OP_NOT_EQUAL };

struct threshold {
    char *source; // as written
    enum threshold_agg agg;
    double percentile; // of THRESHOLD_PERCENTILE, 0..100
    enum threshold_op op;
    double limit;
    bool abort_on_fail;
    nsec_t delay_abort;
    bool crossed;  // at the last evaluation
    double actual; // at the last evaluation
};

// All thresholds of one metric or sub-metric.
struct threshold_set {
    char *key; // "http_req_duration{status:200}" as written
    struct threshold *items;
    unsigned count;
    const struct metric *metric;       // resolved
    const struct submetric *submetric; // resolved, NULL for a plain metric
};

// Parses one expression. 0 or -EINVAL with err.
int threshold_parse(const char *text, struct threshold *ret_threshold, struct err *err);
void threshold_fini(struct threshold *t);
// "name{a:b,c:d}" → name and selectors (xmalloc'ed into ret_submetric; parent not set; no selectors
// when there are no braces). 0 or -EINVAL with err.
int threshold_parse_key(const char *key,
                        struct slice *ret_name,
                        struct submetric *ret_submetric,
                        struct err *err);
// Is the aggregation legal for the type (k6's table)? 0 or -EINVAL with err.
int threshold_check_type(const struct threshold *t, const struct metric *m, struct err *err);
// Evaluates all of a set. `elapsed` since the start of the test. Sets crossed and actual; returns
// true if one that is crossed wants the run to end now. `final`: sets without samples count too.
bool threshold_set_evaluate(struct threshold_set *set,
                            const struct aggregate *results,
                            nsec_t elapsed,
                            bool final);
