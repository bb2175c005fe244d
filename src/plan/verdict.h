// SPDX-License-Identifier: Apache-2.0
// Which resource binds a service, by arithmetic: utilisation law U = X · D, so each resource has a
// ceiling c / D. Pure: numbers in, ranking out. An intervention confirms or refutes it.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum verdict_kind { VERDICT_POOL, VERDICT_WORKERS, VERDICT_RATE_LIMIT, VERDICT_CPU };

struct verdict_resource {
    enum verdict_kind kind;
    char name[64];    // "DB pool", "CPU of postgres"
    char owner[64];   // the workload that has it, "" for the machine
    bool observable;  // else nothing below is known
    double capacity;  // c: connections, workers, cores, or requests/s of a rate limiter
    double busy;      // mean in use in the windows near the limit, or requests/s
    double rate;      // completions/s in the same windows
    double waiting;   // mean of what waited for it, refusals/s of a rate limiter
    bool has_waiting; // a queue that can be seen
    // Filled in by verdict_rank():
    double utilisation;
    double ceiling; // completions/s at which it would be fully busy; 0 = unknown
    bool candidate; // saturated: it may be what binds
};

// Computes the derived fields and sorts: candidates by ceiling first, then the others by ceiling,
// what is not observable last. Returns the number of candidates.
size_t verdict_rank(struct verdict_resource *resources, size_t count);
// "binds?", "checked, idle", …
const char *verdict_state(const struct verdict_resource *r);

// Elasticity Δln λ / Δln c of the limit to the capacity. NaN when it is not defined.
double verdict_elasticity(double rate_before,
                          double rate_after,
                          double capacity_before,
                          double capacity_after);
// At least this much confirms.
#define VERDICT_CONFIRMS 0.6

// What the limit should be once `bound` has `factor` of its capacity: its limit times the factor,
// or the next ceiling above if that is lower (its name in *ret_next, else NULL).
double verdict_predict(const struct verdict_resource *resources,
                       size_t count,
                       size_t bound,
                       double rate,
                       double factor,
                       const struct verdict_resource **ret_next);
// The lowest ceiling of the others, NULL when none is known.
const struct verdict_resource *
verdict_next(const struct verdict_resource *resources, size_t count, size_t bound);
