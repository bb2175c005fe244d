// SPDX-License-Identifier: Apache-2.0
// What a system of local pods does while it is loaded: a thread that samples four times a second on
// one clock. CPU comes from /proc, the rest from the pods' own /metrics. What a pod does not tell
// is NaN.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

enum { OBSERVE_PODS_MAX = 32 };

enum observe_metric {
#define OBSERVED(id, name, help) OBSERVE_##id,
#include "tbl/observed.h"
#undef OBSERVED
    OBSERVE_METRIC_COUNT
};
const char *observe_metric_name(enum observe_metric m);
// The metric by its name, or "a.b.c" for "a_b_c" or "a_b_c_total"; -1 when it is not observed.
int observe_metric_by_name(const char *name);

struct observe_pod {
    char workload[64];
    pid_t pid; // 0: no CPU
    char host[48];
    unsigned short port; // of /metrics, 0: none
};

struct observe_sample {
    nsec_t at;
    double host_busy, host_total; // CPU seconds so far; NaN when not observable
    double pressure;              // seconds that some task waited for a CPU so far, or NaN
    double db_active;             // PostgreSQL: client backends that run a statement, or NaN
    double db_waiting;            // of them, those that wait for a lock, for I/O or the like
    double db_idle_in_transaction;
    struct {
        double cpu; // seconds so far
        double metrics[OBSERVE_METRIC_COUNT];
    } pods[OBSERVE_PODS_MAX];
};

struct observer;

// Starts the thread. `database`: libpq's connection string, or NULL. 0 or negative errno with err.
int observer_start(const struct observe_pod *pods,
                   size_t count,
                   const char *database,
                   struct observer **ret_observer,
                   struct err *err);
// Ends it; NULL is allowed.
void observer_free(struct observer *o);
// Copies sample number `index` (0 is the first); false when it is not there yet. Any thread.
bool observer_get(struct observer *o, size_t index, struct observe_sample *ret_sample);
// Number of samples so far. Any thread.
size_t observer_count(struct observer *o);
// Why the database is not observed, "" if it is or there is none. After observer_free() invalid.
const char *observer_database_error(struct observer *o);
