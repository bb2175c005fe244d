// SPDX-License-Identifier: Apache-2.0
// Metrics by name: what a script declares and what the engine has built in.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_RATE, METRIC_TREND };
enum metric_contains { METRIC_DEFAULT, METRIC_TIME, METRIC_DATA };

// Immutable after it was made; lives as long as its registry.
struct metric {
    unsigned id; // dense, from 0; the built-in ones come first in the order of tbl/metrics.h
    char *name;
    enum metric_type type;
    enum metric_contains contains;
};

// Ids of the built-in metrics.
enum metric_id {
#define METRIC(id, name, type, contains, help) METRIC_##id,
#include "tbl/metrics.h"
#undef METRIC
    METRIC_BUILTIN_N_
};

enum metric_e {
    METRIC_E_NAME = 1, // not [A-Za-z_][A-Za-z0-9_]{1,128}
    METRIC_E_TYPE,     // declared before with another type or contents
};

// Shared by all threads; registration takes a lock (script init only).
struct metric_registry;
struct metric_registry *metric_registry_new(void); // with the built-in metrics
void metric_registry_free(struct metric_registry *r);
// 0, METRIC_E_NAME or METRIC_E_TYPE; the same declaration again yields the same metric.
int metric_register(struct metric_registry *r,
                    struct slice name,
                    enum metric_type type,
                    enum metric_contains contains,
                    const struct metric **ret_metric);
const struct metric *metric_by_id(const struct metric_registry *r, unsigned id);
const struct metric *metric_by_name(const struct metric_registry *r, struct slice name);
unsigned metric_count(const struct metric_registry *r);
const char *metric_type_name(enum metric_type type);             // "counter" …
const char *metric_contains_name(enum metric_contains contains); // "default", "time", "data"
