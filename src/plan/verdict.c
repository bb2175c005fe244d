// SPDX-License-Identifier: Apache-2.0
#include "plan/verdict.h"

#include <math.h>
#include <stdlib.h>

// A pool seen by sampling shows less than full use even when it binds: a connection is back for a
// moment between two requests.
static const double FULL = 0.85;
static const double CPU_FULL = 0.9;

static void derive(struct verdict_resource *r)
{
    if (!r->observable) {
        return;
    }
    r->utilisation = r->capacity > 0 ? r->busy / r->capacity : 0;
    r->ceiling = r->busy > 0 ? r->rate * r->capacity / r->busy : 0;
    switch (r->kind) {
    case VERDICT_POOL:
    case VERDICT_WORKERS:
        r->candidate = r->utilisation >= FULL && (!r->has_waiting || r->waiting > 0);
        break;
    case VERDICT_RATE_LIMIT:
        r->candidate = r->waiting > 0;
        break;
    case VERDICT_CPU:
        r->candidate = r->utilisation >= CPU_FULL;
        break;
    }
}

static int class_of(const struct verdict_resource *r)
{
    return !r->observable || r->ceiling <= 0 ? 2 : r->candidate ? 0 : 1;
}

static int compare(const void *a, const void *b)
{
    const struct verdict_resource *x = a;
    const struct verdict_resource *y = b;
    int classes = class_of(x) - class_of(y);

    return classes ? classes : (x->ceiling > y->ceiling) - (x->ceiling < y->ceiling);
}

size_t verdict_rank(struct verdict_resource *resources, size_t count)
{
    size_t candidates = 0;

    for (size_t i = 0; i < count; i++) {
        derive(&resources[i]);
        candidates += resources[i].candidate;
    }
    qsort(resources, count, sizeof(*resources), compare);
    return candidates;
}

const char *verdict_state(const struct verdict_resource *r)
{
    if (!r->observable) {
        return "not observable";
    }
    if (r->candidate) {
        return "saturated";
    }
    return r->utilisation < 0.5 ? "checked, idle" : "checked, not saturated";
}

double verdict_elasticity(double rate_before,
                          double rate_after,
                          double capacity_before,
                          double capacity_after)
{
    if (rate_before <= 0 || rate_after <= 0 || capacity_before <= 0 || capacity_after <= 0 ||
        capacity_before == capacity_after) {
        return NAN;
    }
    return log(rate_after / rate_before) / log(capacity_after / capacity_before);
}

const struct verdict_resource *
verdict_next(const struct verdict_resource *resources, size_t count, size_t bound)
{
    const struct verdict_resource *next = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct verdict_resource *r = &resources[i];
        if (i != bound && r->observable && r->ceiling > 0 &&
            (!next || r->ceiling < next->ceiling)) {
            next = r;
        }
    }
    return next;
}

double verdict_predict(const struct verdict_resource *resources,
                       size_t count,
                       size_t bound,
                       double rate,
                       double factor,
                       const struct verdict_resource **ret_next)
{
    const struct verdict_resource *next = verdict_next(resources, count, bound);
    double scaled = rate * factor;

    *ret_next = next && next->ceiling < scaled ? next : NULL;
    // A ceiling below the measured limit is an error of measurement, not a prediction.
    return *ret_next ? fmax(next->ceiling, rate) : scaled;
}
